//! What is wrong with a request, or with the run it is about: a problem detail of RFC 9457.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::run::{At, Failure, Reason};
use schemars::JsonSchema;
use serde::Serialize;

use crate::runs::Refused;
use crate::store::RunId;

/// A problem, as it is answered with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// What kind of problem it is, as a URN.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong here.
    pub detail: String,
    /// The kind as a word.
    pub code: &'static str,
    /// The run it is about, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The step that failed, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Box<At>>,
    /// For code, the traceback as its language prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// Whether the same request can be made again without something being done twice.
    pub retry_safe: bool,
    /// After how many seconds the request can be made again, where that is known.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of a kind, in words of its own.
    pub fn new(
        status: StatusCode,
        (code, title): (&'static str, &'static str),
        detail: impl Into<String>,
    ) -> Problem {
        Problem {
            kind: format!("urn:waystation:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            code,
            run: None,
            step: None,
            traceback: None,
            retry_safe: true,
            retry_after: None,
        }
    }

    /// The same for a time after which the request can be made again.
    fn after(mut self, seconds: u64) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    /// There is no such thing, or it is somebody else's.
    pub fn not_found(what: &str) -> Problem {
        let detail = format!("There is no such {what}, or you have no access to it.");
        Problem::new(StatusCode::NOT_FOUND, ("not_found", "Not found"), detail)
    }

    /// The request makes no sense.
    pub fn bad(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            ("bad_request", "Bad request"),
            detail,
        )
    }

    /// We failed. What happened is logged, and not told.
    pub fn ours(error: &crate::Error) -> Problem {
        tracing::error!("a request failed: {error}");
        match error.full {
            true => Problem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                ("no_room", "No room left"),
                "There is no room left for the record. Free some room and try again.",
            ),
            false => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ("unavailable", "The record is not available"),
                "The record could not be read or written. The server's log says why.",
            ),
        }
    }

    /// A run failed, or was cancelled. `done` says whether it may have done something outside of itself.
    pub fn failed(run: RunId, failure: &Failure, done: bool) -> Problem {
        let status = match failure.reason {
            Reason::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Reason::Cancelled => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let kind = match failure.reason {
            Reason::Cancelled => ("run_cancelled", "The run was cancelled"),
            Reason::Timeout => ("run_timed_out", "The run took too long"),
            _ => ("run_failed", "The run failed"),
        };
        Problem {
            run: Some(run),
            step: failure.at.clone(),
            traceback: failure.traceback.clone(),
            retry_safe: !done,
            ..Problem::new(status, kind, failure.to_string())
        }
    }

    /// Nothing was started.
    pub fn refused(program: u64, refused: Refused) -> Problem {
        use engine::plan::Refusal as Entry;
        match refused {
            Refused::NoProgram => Problem::new(
                StatusCode::NOT_FOUND,
                ("no_program", "No such program"),
                format!("Program {program} does not exist or you have no access to it."),
            ),
            Refused::Entry(refusal) => {
                let (status, kind) = match refusal {
                    Entry::NoFunction(..) => {
                        (StatusCode::NOT_FOUND, ("no_function", "No such function"))
                    }
                    Entry::NotActive(_) | Entry::NoWebhook => {
                        (StatusCode::CONFLICT, ("no_trigger", "No active trigger"))
                    }
                    _ => (
                        StatusCode::UNPROCESSABLE_ENTITY,
                        ("bad_call", "The call does not fit the program"),
                    ),
                };
                Problem::new(status, kind, refusal.to_string())
            }
            Refused::KeyReused => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                ("key_reused", "The key was used for another call"),
                "The `Idempotency-Key` was used for another call of this program.",
            ),
            Refused::Crowded => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                ("too_many_runs", "Too many runs"),
                "Too many runs of this program are waiting.",
            )
            .after(5),
            Refused::AccountCalls => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                ("too_many_calls", "Too many calls"),
                "Too many calls of this account are waiting.",
            )
            .after(1),
            Refused::AccountRuns => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                ("too_many_runs", "Too many runs"),
                "Too many runs of this account are unfinished.",
            )
            .after(5),
            Refused::TooMany => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                ("too_many_calls", "Too many calls"),
                "Too many calls are waiting.",
            )
            .after(1),
            Refused::QueueFull => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ("queue_full", "The queue is full"),
                "Too many runs are queued.",
            )
            .after(5),
            Refused::Draining => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ("stopping", "The server is stopping"),
                "The server is stopping.",
            )
            .after(5),
            Refused::NotAccepted(error) => Problem::ours(&error),
            Refused::Failed(run, error) => Problem {
                run: Some(run),
                retry_safe: false,
                ..Problem::ours(&error)
            },
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(run) = self.run
            && let Ok(run) = HeaderValue::from_str(&run.to_string())
        {
            headers.insert(super::super::api::RUN, run);
        }
        response
    }
}
