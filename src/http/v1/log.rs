//! The logs of runs: in pages, as text, and as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::runs::found;
use super::{Account, Problem, json};
use crate::app::App;
use crate::recorder::LogLine;
use crate::store::{LogPage, RunId};

/// Some of a log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Log")]
pub struct Page<'a> {
    #[serde(borrow)]
    #[schemars(with = "Vec<LogLine>")]
    lines: Vec<&'a RawValue>,
    /// Where the next page starts; nothing where the run has ended and this was the last.
    next: Option<i64>,
}

/// How often a log that is followed is looked at without a word that there is more of it.
const LOOK: Duration = Duration::from_secs(1);
/// How often a stream says that it is still there, and how long a client waits before it comes again.
const ALIVE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(2);

/// A page of the log of a run: the pieces from `after` on. As events, where the client wants those.
pub async fn page(
    State(app): State<Arc<App>>,
    account: Account,
    Path(run): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: RunId = found(&app, &account, &run).await?.summary.id;
    let mut after = 0;
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match (&*name, value.parse()) {
            ("after", Ok(number)) => after = number,
            _ => {
                let detail = "The log takes `after`, a number that the page before gave as `next`.";
                return Err(Problem::bad(detail));
            }
        }
    }
    let accepts = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
    if accepts.is_some_and(|kinds| kinds.starts_with(b"text/event-stream")) {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let last = last.and_then(|id| id.parse().ok());
        return Ok(follow(app, id, last.unwrap_or(after)));
    }
    let page = app.store.log(id, after).await;
    let page = page.map_err(|error| Problem::ours(&error.into()))?;
    let lines = page.text.lines();
    let lines = lines.filter_map(|line| serde_json::from_str(line).ok());
    let shown = Page {
        lines: lines.collect(),
        next: (!page.ended).then_some(page.next),
    };
    Ok(json(StatusCode::OK, &shown))
}

/// The log of a run as it comes, from a piece on: events `log` with some lines, whose ids are where the next piece starts,
/// and in the end `end` with the state of the run.
fn follow(app: Arc<App>, id: RunId, after: i64) -> Response {
    let events = stream::unfold(Some((app, after)), move |at| async move {
        let (app, after) = at?;
        loop {
            let written = app.written.notified();
            let page = app.store.log(id, after).await.ok()?;
            if !page.text.is_empty() || page.ended {
                let events = events(&app, id, &page).await;
                let next = (!page.ended).then_some((app.clone(), page.next));
                return Some((stream::iter(events), next));
            }
            let _ = tokio::time::timeout(LOOK, written).await;
        }
    });
    let events = Sse::new(events.flatten()).keep_alive(KeepAlive::new().interval(ALIVE));
    let mut response = events.into_response();
    let unbuffered = HeaderValue::from_static("no");
    response
        .headers_mut()
        .insert("x-accel-buffering", unbuffered);
    response
}

/// The events that a page of a log makes.
async fn events(app: &App, id: RunId, page: &LogPage) -> Vec<Result<Event, Infallible>> {
    let mut events = Vec::new();
    if !page.text.is_empty() {
        let lines = page.text.lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<&RawValue>(line).ok());
        let lines = serde_json::to_string(&lines.collect::<Vec<_>>()).unwrap_or_default();
        let event = Event::default().event("log").retry(AGAIN).data(lines);
        events.push(Ok(event.id(page.next.to_string())));
    }
    if page.ended {
        let run = app.store.run(id).await.ok().flatten();
        let state = run.map_or("unknown", |run| run.summary.state.name());
        let data = format!(r#"{{"state":"{state}"}}"#);
        events.push(Ok(Event::default().event("end").data(data)));
    }
    events
}

/// The log of a run as it is so far, as text.
pub async fn text(
    State(app): State<Arc<App>>,
    account: Account,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct Line {
        text: String,
    }
    let id = found(&app, &account, &run).await?.summary.id;
    let page = app.store.log(id, 0).await;
    let page = page.map_err(|error| Problem::ours(&error.into()))?;
    let mut text = String::with_capacity(page.text.len());
    for line in page.text.lines() {
        if let Ok(line) = serde_json::from_str::<Line>(line) {
            text.push_str(&line.text);
            text.push('\n');
        }
    }
    let mut response = text.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    Ok(response)
}
