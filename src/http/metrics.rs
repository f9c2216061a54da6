//! `/metrics`: what is counted of the server, for Prometheus.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::openapi::{Gives, Operation, Shape, text};
use super::v1::{Account, Problem};
use crate::app::App;
use crate::metrics::Moment;

/// The type of the answer.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What can be asked for.
pub fn operations() -> Vec<Operation> {
    vec![Operation {
        method: "get",
        path: "/metrics",
        id: "metrics",
        summary: "Give what is counted of the server, as Prometheus reads it",
        takes: Vec::new(),
        body: None,
        keyed: true,
        gives: vec![Gives {
            status: 200,
            about: "The metrics.",
            bodies: vec![(KIND, text as Shape)],
        }],
        refuses: &[],
    }]
}

/// Gives what is counted of the server.
pub async fn answer(State(app): State<Arc<App>>, _: Account) -> Result<Response, Problem> {
    let running = app.running.lock().unwrap_or_else(PoisonError::into_inner);
    let moment = Moment {
        running: running.len(),
        queued: app.queued.load(Ordering::Relaxed),
        waiting: app.waiting.load(Ordering::Relaxed),
    };
    drop(running);
    let mut response = app.metrics.text(moment).into_response();
    let kind = HeaderValue::from_static(KIND);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
