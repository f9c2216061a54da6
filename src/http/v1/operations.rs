//! What is asked for below `/v1`, each with what answers it: routes and the OpenAPI document are made of this list.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use schemars::SchemaGenerator;
use serde_json::{Value as Json, json};

use super::runs::{Accepted, Succeeded};
use super::view::Whole;
use super::{list, log, programs, runs, schedules, steps};
use crate::app::App;
use crate::callbacks::MAX_URL;
use crate::http::openapi::{Gives, Operation, Takes, of, text};
use crate::http::parameters::MAX_KEY;
use crate::store::State;

/// The operations.
pub fn operations() -> Vec<(Operation, MethodRouter<Arc<App>>)> {
    let one = |method, path, id, summary| Operation {
        method,
        path,
        id,
        summary,
        takes: Vec::new(),
        body: None,
        keyed: true,
        gives: Vec::new(),
        refuses: &[],
    };
    let whole = |about| Gives {
        status: 200,
        about,
        bodies: vec![("application/json", of::<Whole>)],
    };
    vec![
        (
            Operation {
                takes: vec![prefer(), key()],
                body: Some((&["application/json"], start)),
                gives: outcome(),
                refuses: &[400, 404, 408, 409, 413, 415, 422, 429, 500, 503, 504, 507],
                ..one(
                    "post",
                    "/v1/programs/{program}/runs",
                    "startRun",
                    "Start a run of a program",
                )
            },
            post(runs::start),
        ),
        (
            Operation {
                gives: vec![Gives {
                    status: 200,
                    about: "The document.",
                    bodies: vec![("application/json", document)],
                }],
                refuses: &[404],
                ..one(
                    "get",
                    "/v1/programs/{program}/openapi.json",
                    "describeProgram",
                    "Describe how a program is started, as an OpenAPI document",
                )
            },
            get(programs::openapi),
        ),
        (
            Operation {
                gives: vec![Gives {
                    status: 200,
                    about: "The time triggers.",
                    bodies: vec![("application/json", of::<schedules::Page>)],
                }],
                ..one(
                    "get",
                    "/v1/schedules",
                    "listSchedules",
                    "List the time triggers, each with when it is due next",
                )
            },
            get(schedules::list),
        ),
        (
            Operation {
                takes: filters(),
                gives: vec![Gives {
                    status: 200,
                    about: "A page of runs.",
                    bodies: vec![("application/json", of::<list::Page>)],
                }],
                refuses: &[400, 503],
                ..one("get", "/v1/runs", "listRuns", "List runs, the newest first")
            },
            get(list::runs),
        ),
        (
            Operation {
                gives: vec![whole("The run.")],
                refuses: &[404, 503],
                ..one(
                    "get",
                    "/v1/runs/{run}",
                    "getRun",
                    "Show everything about a run but its log",
                )
            },
            get(runs::one),
        ),
        (
            Operation {
                takes: vec![prefer()],
                gives: outcome(),
                refuses: &[404, 409, 500, 503, 504],
                ..one(
                    "get",
                    "/v1/runs/{run}/outcome",
                    "getOutcome",
                    "Show how a run ended, for which it can be waited",
                )
            },
            get(runs::outcome),
        ),
        (
            Operation {
                gives: vec![
                    whole("The run was not at work, and has ended."),
                    Gives {
                        status: 202,
                        about: "The run is at work, and is told to stop.",
                        bodies: vec![("application/json", of::<Accepted>)],
                    },
                ],
                refuses: &[404, 409, 503, 507],
                ..one("post", "/v1/runs/{run}/cancel", "cancelRun", "Cancel a run")
            },
            post(runs::cancel),
        ),
        (
            Operation {
                takes: vec![prefer(), key()],
                gives: outcome(),
                refuses: &[400, 404, 409, 422, 429, 500, 503, 504, 507],
                ..one(
                    "post",
                    "/v1/runs/{run}/rerun",
                    "rerun",
                    "Start a run as another one was started, of the program as it is now",
                )
            },
            post(runs::rerun),
        ),
        (
            Operation {
                takes: vec![
                    Takes {
                        name: "after",
                        place: "query",
                        about: "The last step of the page before.",
                        schema: json!({ "type": "integer", "minimum": 0, "default": 0 }),
                        required: false,
                    },
                    Takes {
                        name: "limit",
                        place: "query",
                        about: "How many a page has at most.",
                        schema: json!({
                            "type": "integer", "minimum": 1, "maximum": steps::MOST_STEPS, "default": steps::PAGE,
                        }),
                        required: false,
                    },
                ],
                gives: vec![Gives {
                    status: 200,
                    about: "A page of steps.",
                    bodies: vec![("application/json", of::<steps::Page>)],
                }],
                refuses: &[400, 404, 422, 503],
                ..one(
                    "get",
                    "/v1/runs/{run}/steps",
                    "listSteps",
                    "List the steps that a run has taken so far",
                )
            },
            get(steps::list),
        ),
        (
            Operation {
                gives: vec![Gives {
                    status: 200,
                    about: "The step.",
                    bodies: vec![("application/json", of::<steps::Moment>)],
                }],
                refuses: &[404, 422, 503],
                ..one(
                    "get",
                    "/v1/runs/{run}/steps/{step}",
                    "getStep",
                    "Show a step of a run, with all variables before and after it",
                )
            },
            get(steps::one),
        ),
        (
            Operation {
                takes: vec![
                    Takes {
                        name: "after",
                        place: "query",
                        about: "Where the page starts, as the page before said in `next`.",
                        schema: json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }),
                        required: false,
                    },
                    Takes {
                        name: "Last-Event-ID",
                        place: "header",
                        about: "The last event that came, where the log is followed.",
                        schema: json!({ "type": "string" }),
                        required: false,
                    },
                ],
                gives: vec![Gives {
                    status: 200,
                    about: "A page, or events as they come where `Accept` asks for those.",
                    bodies: vec![
                        ("application/json", of::<log::Page>),
                        ("text/event-stream", text),
                    ],
                }],
                refuses: &[400, 404, 503],
                ..one(
                    "get",
                    "/v1/runs/{run}/log",
                    "getLog",
                    "Show the log of a run, in pages or as it comes",
                )
            },
            get(log::page),
        ),
        (
            Operation {
                gives: vec![Gives {
                    status: 200,
                    about: "The lines so far.",
                    bodies: vec![("text/plain", text)],
                }],
                refuses: &[404, 503],
                ..one(
                    "get",
                    "/v1/runs/{run}/log.txt",
                    "getLogText",
                    "Show the log of a run as text",
                )
            },
            get(log::text),
        ),
    ]
}

/// The answers about an outcome.
fn outcome() -> Vec<Gives> {
    vec![
        Gives {
            status: 200,
            about: "The run has succeeded.",
            bodies: vec![("application/json", of::<Succeeded>)],
        },
        Gives {
            status: 202,
            about: "The run has not ended; `Location` says where it is.",
            bodies: vec![("application/json", of::<Accepted>)],
        },
    ]
}

fn prefer() -> Takes {
    Takes {
        name: "Prefer",
        place: "header",
        about: "`wait=SECONDS` or `respond-async` (RFC 7240).",
        schema: json!({ "type": "string", "examples": ["wait=10", "respond-async"] }),
        required: false,
    }
}

fn key() -> Takes {
    Takes {
        name: "Idempotency-Key",
        place: "header",
        about: "A name for the call: calls of one name have one run.",
        schema: json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY }),
        required: false,
    }
}

fn filters() -> Vec<Takes> {
    let takes = |name, about, schema| Takes {
        name,
        place: "query",
        about,
        schema,
        required: false,
    };
    let any = || json!({ "type": "string" });
    let moment = || json!({ "type": "string", "format": "date-time" });
    let id = json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX });
    vec![
        takes("program", "Those of one program.", id),
        takes(
            "state",
            "Those in one state.",
            json!({ "enum": State::ALL.map(State::name) }),
        ),
        takes("function", "Those of one function.", any()),
        takes("trigger", "Those that one trigger started.", any()),
        takes("reason", "Those that failed for one reason.", any()),
        takes("from", "Those called for at this time or later.", moment()),
        takes("to", "Those called for before this time.", moment()),
        takes(
            "cursor",
            "Those after a page, which said it in `next`.",
            json!({ "type": "string", "format": "uuid" }),
        ),
        takes(
            "limit",
            "How many a page has at most.",
            json!({ "type": "integer", "minimum": 1, "maximum": list::MOST, "default": list::PAGE }),
        ),
    ]
}

/// What starts a run of any program.
fn start(_: &mut SchemaGenerator) -> Json {
    json!({
        "type": "object",
        "properties": {
            "function": {
                "type": ["string", "null"],
                "description": "Which function; not needed where only one can be started.",
            },
            "variables": {
                "type": ["array", "object", "null"],
                "description": "The values, in the order of the function's variables or by their names.",
            },
            "callback": callback(),
        },
        "additionalProperties": false,
    })
}

/// The URL that is told how a run ended.
pub fn callback() -> Json {
    json!({
        "type": ["string", "null"],
        "pattern": "^https?://",
        "maxLength": MAX_URL,
        "description": "A URL that is told how the run ended, as Standard Webhooks has it.",
    })
}

fn document(_: &mut SchemaGenerator) -> Json {
    json!({ "type": "object" })
}
