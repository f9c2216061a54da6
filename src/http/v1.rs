//! `/v1`: programs are started, and runs looked at, cancelled and run again.

mod body;
mod list;
mod log;
mod operations;
mod prefer;
mod problem;
mod programs;
mod runs;
mod schedules;
mod steps;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub use self::operations::operations;
pub use self::problem::Problem;
pub use self::view::Whole;
use super::key::Given;
use crate::app::App;

/// The routes below `/v1`.
pub fn routes() -> Router<Arc<App>> {
    let routes = operations().into_iter();
    let routes = routes.fold(Router::new(), |router, (operation, handler)| {
        let below = operation.path.strip_prefix("/v1");
        router.route(below.unwrap_or(operation.path), handler)
    });
    routes
        .fallback(async || Problem::not_found("address"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ("method_not_allowed", "Method not allowed"),
                "This address does not take requests of this method.",
            )
        })
}

/// Whose key the request has.
pub struct Account(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Account
where
    Arc<App>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Account, Problem> {
        let app = Arc::from_ref(state);
        let given = parts.extensions.get::<Given>();
        let account = given
            .and_then(Given::only)
            .and_then(|key| app.keys.account(key));
        account.map(Account).ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                ("bad_key", "The API key is missing or wrong"),
                "Send the API key as `Authorization: Bearer KEY`.",
            )
        })
    }
}

/// An answer in JSON.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_string(body).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
