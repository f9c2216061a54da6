//! Runs as they are shown.

use engine::run::Failure;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::store::{self, Detail, RunId, State, Summary};

/// A line about a run.
#[derive(Serialize, JsonSchema)]
pub struct Line {
    id: RunId,
    program: Program,
    function: String,
    trigger: String,
    state: State,
    reason: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    started_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    ended_at: Option<String>,
    /// How long it took, in milliseconds.
    ms: Option<f64>,
}

/// Which program.
#[derive(Serialize, JsonSchema)]
pub struct Program {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// Everything about a run but its log.
#[derive(Serialize, JsonSchema)]
pub struct Whole {
    #[serde(flatten)]
    line: Line,
    /// The version of the program, counted from 1.
    version: i64,
    /// What it was started with, by name.
    #[schemars(with = "Map<String, Json>")]
    variables: Box<RawValue>,
    /// What it gave, by name.
    result: Option<Map<String, Json>>,
    failure: Option<Failure>,
    log_lines: u32,
    /// How many steps it took, those in loops counted each time, once it has ended.
    steps: Option<i64>,
    isolation: Option<String>,
    /// How far telling the callback has come, if there is one.
    callback: Option<Told>,
}

/// How far telling a callback how a run ended has come.
#[derive(Serialize, JsonSchema)]
struct Told {
    /// Where it is told, without what may be secret in it.
    url: String,
    told: bool,
    tries: u32,
    /// What came of the last try: the status of the answer, or what was wrong.
    answer: Option<String>,
    /// When it is tried next.
    #[schemars(extend("format" = "date-time"))]
    next_at: Option<String>,
}

impl Line {
    /// A line about a run.
    pub fn of(run: Summary) -> Line {
        let time = run.ended_at.zip(run.started_at);
        Line {
            id: run.id,
            program: Program {
                id: run.program,
                name: run.name,
            },
            function: run.function,
            trigger: run.trigger,
            state: run.state,
            reason: run.reason,
            created_at: moment(run.created_at),
            started_at: run.started_at.map(moment),
            ended_at: run.ended_at.map(moment),
            ms: time.map(|(end, start)| (end - start) as f64 / 1e3),
        }
    }
}

impl Whole {
    /// Everything about a run but its log.
    pub fn of(run: Detail) -> Whole {
        let answer = run.answer.as_deref();
        let succeeded = run.summary.state == State::Succeeded;
        let pairs = answer
            .filter(|_| succeeded)
            .and_then(|answer| serde_json::from_str::<Vec<(String, Json)>>(answer).ok());
        let failure = answer
            .filter(|_| !succeeded)
            .and_then(|answer| serde_json::from_str(answer).ok());
        Whole {
            line: Line::of(run.summary),
            version: run.version,
            variables: RawValue::from_string(run.inputs)
                .unwrap_or_else(|_| RawValue::NULL.to_owned()),
            result: pairs.map(|pairs| pairs.into_iter().collect()),
            failure,
            log_lines: run.log_lines,
            steps: run.steps,
            isolation: run.isolation,
            callback: run.callback.map(Told::of),
        }
    }
}

impl Told {
    fn of(told: store::Told) -> Told {
        let open = told.url.split(['?', '#']).next();
        Told {
            url: open.unwrap_or_default().to_owned(),
            told: told.told,
            tries: told.tries,
            answer: told.answer,
            next_at: told.due.map(moment),
        }
    }
}

/// A moment given in microseconds since 1970, as RFC 3339 has it.
pub fn moment(at: i64) -> String {
    Timestamp::from_microsecond(at)
        .unwrap_or(Timestamp::MIN)
        .to_string()
}
