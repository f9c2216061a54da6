//! The routes, and what surrounds them.

pub mod api;
pub mod health;
pub mod key;
pub mod listen;
pub mod parameters;
pub mod timing;
pub mod transport;
pub mod v1;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get};
use tower::util::MapFuture;

use self::listen::Limits;
use crate::app::App;
use crate::config::Config;

/// Every route, behind the layer that takes keys out of requests.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/api", any(api::answer))
        .nest("/v1", v1::routes())
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(async || legacy(StatusCode::NOT_FOUND, "There is nothing at this address."))
        .with_state(app)
        .layer(tower::layer::layer_fn(key::Keyless))
        .layer(tower::layer::layer_fn(|inner| {
            MapFuture::new(inner, timing::timed::<Infallible, _>)
        }))
}

/// An answer of the 2019 API that is an error: `{"Error":"…"}`.
pub fn legacy(status: StatusCode, sentence: &str) -> Response {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        #[serde(rename = "Error")]
        error: &'a str,
    }
    api::json(
        status,
        serde_json::to_string(&Body { error: sentence }).unwrap_or_default(),
    )
}

/// What clients may hold open under these settings, and for how long.
pub fn limits(config: &Config) -> Limits {
    Limits {
        connections: config.max_connections,
        connections_per_address: config.max_connections_per_address,
        first_byte: config.head_time,
        head_time: config.head_time,
        body_idle: config.body_time,
        drain: config.drain,
        ..Limits::default()
    }
}
