//! How long requests take: for their callers in the header `Server-Timing` (W3C Server Timing), in milliseconds, and for whoever
//! watches over the server in its metrics and traces.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, Method, Request};
use axum::response::Response;
use tower::Service;

use super::{api, health, metrics, v1};
use crate::app::App;
use crate::runs::Took;

const NAME: HeaderName = HeaderName::from_static("server-timing");

/// A service whose answers say how long they took, and are counted.
#[derive(Clone)]
pub struct Timed<S> {
    /// What answers.
    pub inner: S,
    /// Where it is counted.
    pub app: Arc<App>,
}

impl<S, B> Service<Request<B>> for Timed<S>
where
    S: Service<Request<B>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let start = Instant::now();
        let method = method(request.method());
        let route = route(request.uri().path());
        let mut told = self
            .app
            .traces
            .request(method, route, request.headers_mut());
        let answer = self.inner.call(request);
        let app = self.app.clone();
        Box::pin(async move {
            let mut response = answer.await?;
            let took = start.elapsed();
            tell(&mut response, took);
            let status = response.status().as_u16();
            app.metrics.request(method, route, status, took);
            told.note("http.response.status_code", i64::from(status));
            if status >= 500 {
                told.failed(status.to_string());
            }
            Ok(response)
        })
    }
}

/// Adds the header: the whole time, and the parts of a run that was waited for, which stand in the extensions of the answer.
fn tell(response: &mut Response, took: Duration) {
    let mut text = String::with_capacity(80);
    if let Some(Took { wait, run, record }) = response.extensions_mut().remove() {
        for (part, time) in [
            ("wait;dur=", wait),
            ("run;dur=", run),
            ("record;dur=", record),
        ] {
            text.push_str(part);
            milliseconds(&mut text, time);
            text.push_str(", ");
        }
    }
    text.push_str("total;dur=");
    milliseconds(&mut text, took);
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(NAME, value);
    }
}

/// Adds a time to the microsecond. Written digit by digit: every answer has up to four of them.
fn milliseconds(text: &mut String, time: Duration) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut digits = itoa::Buffer::new();
    text.push_str(digits.format(micros / 1_000));
    text.push('.');
    // With a digit before it, so that it has its zeros.
    text.push_str(&digits.format(1_000 + micros % 1_000)[1..]);
}

/// The method, or another word where callers could think of any.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "_OTHER",
    }
}

/// The address as it stands in the OpenAPI document, empty where there is none.
fn route(path: &str) -> &'static str {
    static ROUTES: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let v1 = v1::operations();
        let v1 = v1.iter().map(|(operation, _)| operation.path);
        let mut routes: Vec<_> = v1.collect();
        for operation in [
            api::operations(),
            health::operations(),
            metrics::operations(),
        ]
        .concat()
        {
            routes.push(operation.path);
        }
        routes
    });
    let fits = |route: &&str| {
        let mut parts = path.split('/');
        let same = |of: &str| {
            let part = parts.next();
            part == Some(of) || (of.starts_with('{') && part.is_some_and(|part| !part.is_empty()))
        };
        route.split('/').all(same) && parts.next().is_none()
    };
    match path {
        "/api" => "/api",
        _ => ROUTES.iter().copied().find(fits).unwrap_or(""),
    }
}
