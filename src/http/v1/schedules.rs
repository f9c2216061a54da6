//! The time triggers of the programs that are served.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::plan::{Function, Timer};
use engine::program::{Missed, Overlap};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::view::Program;
use super::{Account, Problem, json};
use crate::app::App;
use crate::programs::Served;
use crate::schedule;

/// Time triggers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedules")]
pub struct Page {
    items: Vec<Row>,
}

/// A time trigger.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedule")]
struct Row {
    program: Program,
    function: Arc<str>,
    trigger: String,
    active: bool,
    missed: Missed,
    overlap: Overlap,
    /// When it is due next, where it is on.
    next: Option<String>,
}

/// The time triggers, each with when it is due next.
pub async fn list(State(app): State<Arc<App>>, account: Account) -> Result<Response, Problem> {
    let all = app.programs.all();
    let ours = all.iter().filter(|served| served.account == account.0);
    let items = ours.flat_map(|served| schedule::timers(&served.plan).map(|of| row(served, of)));
    let items = items.collect();
    Ok(json(StatusCode::OK, &Page { items }))
}

fn row(served: &Served, (function, timer): (&Function, &Timer)) -> Row {
    let mut next = schedule::next(timer, Timestamp::now(), 1);
    Row {
        program: Program {
            id: served.plan.id as i64,
            name: served.plan.name.to_string(),
        },
        function: function.name.clone(),
        trigger: timer.schedule.to_string(),
        active: timer.active,
        missed: timer.missed,
        overlap: timer.overlap,
        next: next
            .next()
            .filter(|_| timer.active)
            .map(|next| next.to_string()),
    }
}
