//! Lists of runs.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::view::Line;
use super::{Account, Problem, json};
use crate::app::App;
use crate::store::Filter;

/// How many runs a page has at most, and if nothing is said.
pub const MOST: u32 = 200;
pub const PAGE: u32 = 50;

/// Runs, the newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Runs")]
pub struct Page {
    items: Vec<Line>,
    /// What to ask for the next page with, if there is one.
    next: Option<String>,
}

/// Runs, the newest first.
pub async fn runs(
    State(app): State<Arc<App>>,
    account: Account,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut filter = filter(query.as_deref().unwrap_or_default()).map_err(Problem::bad)?;
    filter.account = Some(account.0);
    let limit = filter.limit as usize;
    // One more says whether there is another page.
    filter.limit += 1;
    let runs = app.store.runs(filter).await;
    let mut runs = runs.map_err(|error| Problem::ours(&error.into()))?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| more).map(|run| run.id.to_string());
    let items = runs.into_iter().map(Line::of).collect();
    Ok(json(StatusCode::OK, &Page { items, next }))
}

/// Reads which runs are asked for.
fn filter(query: &str) -> Result<Filter, String> {
    let mut filter = Filter {
        limit: PAGE,
        ..Filter::default()
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = || {
            let value = engine::read::cut(&value);
            format!("`{name}` cannot be `{value}`.")
        };
        match &*name {
            "program" => filter.program = Some(value.parse().map_err(|_| wrong())?),
            "state" => filter.state = Some(value.parse().map_err(|_| wrong())?),
            "function" => filter.function = Some(value.into_owned()),
            "trigger" => filter.trigger = Some(value.into_owned()),
            "reason" => filter.reason = Some(value.into_owned()),
            "from" => filter.from = Some(moment(&value).ok_or_else(wrong)?),
            "to" => filter.to = Some(moment(&value).ok_or_else(wrong)?),
            "cursor" => filter.before = Some(value.parse().map_err(|_| wrong())?),
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MOST).contains(limit));
                filter.limit = limit.ok_or_else(wrong)?;
            }
            _ => {
                let name = engine::read::cut(&name);
                return Err(format!(
                    "There is no parameter `{name}`; there are `program`, `state`, `function`, `trigger`, `reason`, \
                     `from`, `to`, `cursor` and `limit`."
                ));
            }
        }
    }
    Ok(filter)
}

/// A moment as RFC 3339 has it, in microseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    text.parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_microsecond)
}
