//! Whether the server is there, and whether it takes calls: for whoever watches over it. No key is needed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;

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
