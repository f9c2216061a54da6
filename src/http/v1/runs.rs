//! One run: started, looked at, cancelled, run again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::run::Outcome;
use schemars::JsonSchema;
use serde::Serialize;
use steps::KINDS;

use super::prefer::Prefer;
use super::view::Whole;
use super::{Account, Problem, body, json};
use crate::app::App;
use crate::http::api::{REPLAYED, RUN};
use crate::http::parameters;
use crate::runs::{self, Call, Started};
use crate::store::{self, Cancel, Detail, RunId};
use crate::traces::Trace;

/// After how many seconds it is worth asking again for a run that has not ended.
const AGAIN: HeaderValue = HeaderValue::from_static("1");

/// A run that has not ended.
#[derive(Serialize, JsonSchema)]
pub struct Accepted {
    id: RunId,
}

/// A run that has succeeded.
#[derive(Serialize, JsonSchema)]
pub struct Succeeded<'a> {
    id: RunId,
    /// What it gave, by name.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    result: &'a engine::value::Value,
}

/// Starts a run of a program.
pub async fn start(
    State(app): State<Arc<App>>,
    account: Account,
    Path(program): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let program = id(&program).ok_or_else(|| Problem::not_found("program"))?;
    let start = body::read(&app, &headers, body).await?;
    let entry = engine::plan::Call {
        function: start.function,
        values: start.values,
        named: start.named,
        by_webhook: false,
    };
    begin(&app, &account, (program, entry, start.callback), &headers).await
}

/// Starts a run as another one was started, of the program as it is now.
pub async fn rerun(
    State(app): State<Arc<App>>,
    account: Account,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = found(&app, &account, &run).await?;
    let variables = engine::json::record(&run.inputs);
    let variables = variables.map_err(|why| Problem::ours(&crate::Error::new(why)))?;
    let entry = engine::plan::Call {
        function: Some(run.summary.function),
        values: Vec::new(),
        named: Some(Arc::new(variables)),
        by_webhook: false,
    };
    begin(
        &app,
        &account,
        (run.summary.program as u64, entry, None),
        &headers,
    )
    .await
}

async fn begin(
    app: &Arc<App>,
    account: &Account,
    (program, entry, callback): (u64, engine::plan::Call, Option<String>),
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let prefer = Prefer::of(headers);
    let key = parameters::key(headers).map_err(|(_, sentence)| Problem::bad(sentence))?;
    let call = Call {
        account: account.0,
        program,
        entry,
        trigger: "api",
        wait: prefer.limit(app.config.wait),
        key,
        callback,
        trace: Trace::of(headers),
    };
    let started = runs::start(app, call).await;
    let started = started.map_err(|refused| Problem::refused(program, refused))?;
    let mut response = answer(app, &started).await;
    if let Some(took) = started.took {
        response.extensions_mut().insert(took);
    }
    let headers = response.headers_mut();
    if started.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(applied) = prefer.applied(app.config.wait) {
        let name = HeaderName::from_static("preference-applied");
        headers.extend(
            HeaderValue::from_str(&applied)
                .ok()
                .map(|value| (name, value)),
        );
    }
    Ok(response)
}

/// The answer to whoever started a run.
async fn answer(app: &App, started: &Started) -> Response {
    let run = started.run;
    match &started.outcome {
        None => accepted(run),
        Some(outcome) => of_outcome(app, run, outcome).await,
    }
}

/// The answer where a run has not ended.
fn accepted(run: RunId) -> Response {
    let mut response = json(StatusCode::ACCEPTED, &Accepted { id: run });
    response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
    of_run(run, response)
}

/// The answer where a run has ended.
async fn of_outcome(app: &App, run: RunId, outcome: &Outcome) -> Response {
    match outcome {
        Outcome::Succeeded(values) => {
            let result = values.iter().cloned().collect::<engine::value::Record>();
            let body = Succeeded {
                id: run,
                result: &result.into(),
            };
            of_run(run, json(StatusCode::OK, &body))
        }
        Outcome::Failed(failure) | Outcome::Cancelled(failure) => {
            let acted = acted(app, run).await.unwrap_or(true);
            of_run(run, Problem::failed(run, failure, acted).into_response())
        }
    }
}

/// Whether a run may have changed anything outside of itself.
async fn acted(app: &App, run: RunId) -> Result<bool, store::Error> {
    let acts = |kind: &str| KINDS.iter().any(|known| known.name == kind && known.effect);
    let mut after = 0;
    loop {
        let records = app.store.journal(run, after).await?;
        let Some(last) = records.last() else {
            return Ok(false);
        };
        after = last.number;
        if records.iter().any(|record| acts(&record.kind)) {
            return Ok(true);
        }
    }
}

fn of_run(run: RunId, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let place = format!("/v1/runs/{run}");
    headers.extend(
        HeaderValue::from_str(&place)
            .ok()
            .map(|place| (header::LOCATION, place)),
    );
    headers.extend(
        HeaderValue::from_str(&run.to_string())
            .ok()
            .map(|run| (RUN, run)),
    );
    response
}

/// Everything about a run but its log.
pub async fn one(
    State(app): State<Arc<App>>,
    account: Account,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let run = found(&app, &account, &run).await?;
    Ok(json(StatusCode::OK, &Whole::of(run)))
}

/// How a run ended, for which it is waited as long as the caller likes; by default it is not.
pub async fn outcome(
    State(app): State<Arc<App>>,
    account: Account,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = found(&app, &account, &run).await?.summary.id;
    let limit = match Prefer::of(&headers) {
        Prefer::Nothing => Duration::ZERO,
        prefer => prefer.limit(app.config.wait).unwrap_or_default(),
    };
    let outcome = runs::outcome(&app, run, limit).await;
    match outcome.map_err(|error| Problem::ours(&error))? {
        None => Ok(accepted(run)),
        Some(outcome) => Ok(of_outcome(&app, run, &outcome).await),
    }
}

/// Cancels a run.
pub async fn cancel(
    State(app): State<Arc<App>>,
    account: Account,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    // A short run is not in the record as long as it is at work.
    let run = match run.parse().ok().filter(|id| app.is_at_work(*id, account.0)) {
        Some(id) => id,
        None => found(&app, &account, &run).await?.summary.id,
    };
    let cancel = runs::cancel(&app, run).await;
    match cancel.map_err(|error| Problem::ours(&error))? {
        Cancel::Unknown => Err(Problem::not_found("run")),
        Cancel::Over(state) => {
            let detail = format!("The run has ended already: it is {}.", state.name());
            let kind = ("run_over", "The run has ended");
            Err(Problem {
                run: Some(run),
                ..Problem::new(StatusCode::CONFLICT, kind, detail)
            })
        }
        Cancel::Asked => Ok(accepted(run)),
        Cancel::Ended { .. } => {
            let run = found(&app, &account, &run.to_string()).await?;
            Ok(json(StatusCode::OK, &Whole::of(run)))
        }
    }
}

/// A run of an account.
pub async fn found(app: &App, account: &Account, run: &str) -> Result<Detail, Problem> {
    let none = || Problem::not_found("run");
    let id: RunId = run.parse().map_err(|_| none())?;
    let run = app.store.run(id).await;
    let run = run.map_err(|error| Problem::ours(&error.into()))?;
    run.filter(|run| run.account == account.0).ok_or_else(none)
}

/// A whole number, 1 or greater.
pub fn id(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id > 0)
}
