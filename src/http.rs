//! The routes, and what surrounds them.

pub mod api;
pub mod health;
pub mod key;
pub mod listen;
pub mod metrics;
pub mod openapi;
pub mod parameters;
pub mod timing;
pub mod transport;
pub mod v1;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get};

use self::key::Keyless;
use self::listen::Limits;
use self::timing::Timed;
pub use self::v1::Whole;
use crate::app::App;
use crate::config::Config;

/// Every route, behind the layer that takes keys out of requests.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/api", any(api::answer))
        .route("/openapi.json", get(described))
        .nest("/v1", v1::routes())
        .route("/metrics", get(metrics::answer))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(async || legacy(StatusCode::NOT_FOUND, "There is nothing at this address."))
        .with_state(app.clone())
        // One layer of both: a router boxes what each of its layers makes, and every answer of it.
        .layer(tower::layer::layer_fn(move |inner| Timed {
            inner: Keyless(inner),
            app: app.clone(),
        }))
}

/// The OpenAPI document of the server.
async fn described() -> Response {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(&document()).unwrap_or_default());
    api::json(StatusCode::OK, DOCUMENT.clone())
}

/// Everything that the server answers, as an OpenAPI document.
pub fn document() -> serde_json::Value {
    let (api, health, v1) = (api::operations(), health::operations(), v1::operations());
    let v1 = v1
        .iter()
        .map(|(operation, _)| (operation, openapi::PROBLEM));
    let api = api.iter().map(|operation| (operation, api::ERROR));
    let health = health.iter().map(|operation| (operation, health::ERROR));
    let metrics = metrics::operations();
    let metrics = metrics
        .iter()
        .map(|operation| (operation, openapi::PROBLEM));
    openapi::document("Waystation", api.chain(v1).chain(health).chain(metrics))
}

/// An answer of the 2019 API that is an error: `{"Error":"…"}`.
pub fn legacy(status: StatusCode, sentence: &str) -> Response {
    let body = api::Error { error: sentence };
    api::json(status, serde_json::to_string(&body).unwrap_or_default())
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
