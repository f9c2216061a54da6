//! The steps of runs, and what their variables were.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::value::Value;
use schemars::JsonSchema;
use serde::Serialize;

use super::runs::{found, id};
use super::view::moment;
use super::{Account, Problem, json};
use crate::app::App;
use crate::recorder::replay::{self, MOST, Obstacle, Progress, Record};

/// How many steps a page has at most, and if nothing is said.
pub const MOST_STEPS: usize = 1_000;
pub const PAGE: usize = 100;

/// Steps, in the order in which they began.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Steps")]
pub struct Page {
    items: Vec<Step>,
    /// What to ask for the next page with, as `after`, if there is one.
    next: Option<u64>,
}

/// A step that a run has taken.
#[derive(Serialize, JsonSchema)]
pub struct Step {
    /// The how-manieth of the run it is, from 1; each try of a step is one of its own.
    number: u64,
    function: String,
    /// Its number in the function.
    step: String,
    /// Where it stands in the run: its number, behind those of the calls around it, each with the passes of loops.
    key: String,
    kind: String,
    /// The line of the program.
    line: usize,
    /// How it stands; a step whose end is not on the page has begun.
    state: Progress,
    /// Why it failed.
    failure: Option<String>,
    /// When what it did outside of the run began.
    #[schemars(extend("format" = "date-time"))]
    began_at: Option<String>,
    /// When that ended.
    #[schemars(extend("format" = "date-time"))]
    ended_at: Option<String>,
}

/// A step of a run, with the variables of its function.
#[derive(Serialize, JsonSchema)]
pub struct Moment {
    #[serde(flatten)]
    step: Step,
    /// All variables before it, by name.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    before: Value,
    /// All variables after it, by name, if it has ended.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    after: Option<Value>,
}

impl From<replay::Step> for Step {
    fn from(step: replay::Step) -> Step {
        Step {
            number: step.number,
            function: step.function,
            step: step.step,
            key: step.key,
            kind: step.kind,
            line: step.line,
            state: step.state,
            failure: step.failure,
            began_at: step.began_at.map(moment),
            ended_at: step.ended_at.map(moment),
        }
    }
}

/// The steps that a run has taken so far.
pub async fn list(
    State(app): State<Arc<App>>,
    account: Account,
    Path(run): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let run = found(&app, &account, &run).await?;
    let (after, limit) = page(query.as_deref().unwrap_or_default()).map_err(Problem::bad)?;
    let _turn = app.replays.acquire().await;
    let steps = replay::steps(&record(&app), &run, after.saturating_add(1), limit).await;
    let steps = steps.map_err(refused)?;
    let last = steps.steps.last().map(|step| step.number);
    let page = Page {
        next: last.filter(|_| steps.more),
        items: steps.steps.into_iter().map(Step::from).collect(),
    };
    Ok(json(StatusCode::OK, &page))
}

/// A step of a run, with all variables before and after it.
pub async fn one(
    State(app): State<Arc<App>>,
    account: Account,
    Path((run, number)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let run = found(&app, &account, &run).await?;
    let number = id(&number).ok_or_else(|| Problem::not_found("step"))?;
    let _turn = app.replays.acquire().await;
    let moment = replay::moment(&record(&app), &run, number).await;
    let moment = moment.map_err(refused)?;
    let moment = moment.ok_or_else(|| Problem::not_found("step"))?;
    let moment = Moment {
        step: moment.step.into(),
        before: moment.before.into(),
        after: moment.after.map(Value::from),
    };
    Ok(json(StatusCode::OK, &moment))
}

fn record(app: &App) -> Record<'_> {
    Record {
        store: &*app.store,
        programs: &app.programs,
        limits: app.config.limits(),
    }
}

fn refused(obstacle: Obstacle) -> Problem {
    match obstacle {
        Obstacle::Failed(error) => Problem::ours(&error),
        Obstacle::TooLong => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            ("run_too_long", "The run is too long to be gone through"),
            format!("Going through the run up to there takes longer than {MOST:?}."),
        ),
    }
}

/// Reads after which step a page begins, and how many it has.
fn page(query: &str) -> Result<(u64, usize), String> {
    let (mut after, mut limit) = (0, PAGE);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = || {
            let value = engine::read::cut(&value);
            format!("`{name}` cannot be `{value}`.")
        };
        match &*name {
            "after" => after = value.parse().map_err(|_| wrong())?,
            "limit" => {
                let given = value.parse().ok();
                let given = given.filter(|limit| (1..=MOST_STEPS).contains(limit));
                limit = given.ok_or_else(wrong)?;
            }
            _ => {
                let name = engine::read::cut(&name);
                return Err(format!(
                    "There is no parameter `{name}`; there are `after` and `limit`."
                ));
            }
        }
    }
    Ok((after, limit))
}
