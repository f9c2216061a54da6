//! Whether the server is there, and whether it takes calls: for whoever watches over it. No key is needed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;

use super::openapi::{Gives, Operation, Shape, text};
use crate::app::App;

/// What errors look like.
pub const ERROR: (&str, Shape) = ("text/plain", text);

/// What can be asked for.
pub fn operations() -> Vec<Operation> {
    let one = |path, id, summary, about, refuses| Operation {
        method: "get",
        path,
        id,
        summary,
        takes: Vec::new(),
        body: None,
        keyed: false,
        gives: vec![Gives {
            status: 200,
            about,
            bodies: vec![("text/plain", text as Shape)],
        }],
        refuses,
    };
    vec![
        one(
            "/livez",
            "live",
            "Say that the server is there",
            "It is.",
            &[],
        ),
        one(
            "/readyz",
            "ready",
            "Say whether the server takes calls",
            "It does.",
            &[503],
        ),
    ]
}

/// Says that the server is there.
pub async fn live() -> &'static str {
    "alive\n"
}

/// Says whether the server takes calls: it does not where it is stopping, or the record cannot be read.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match app.store.queued().await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!("the record cannot be read: {error}");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the record cannot be read\n",
            )
        }
    }
}
