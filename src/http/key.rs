//! The API key of a request: taken out of it before anything can log it.

use std::task::{Context, Poll};

use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderName, Request, header};
use tower::Service;

use super::parameters::decoded;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The keys that a request carries, in the places that are looked at before its body.
#[derive(Clone, Default)]
pub struct Given(Vec<String>);

impl Given {
    /// Adds a key.
    pub fn add(&mut self, key: String) {
        if !self.0.contains(&key) {
            self.0.push(key);
        }
    }

    /// The key, if there is exactly one.
    pub fn only(&self) -> Option<&str> {
        match &self.0[..] {
            [key] => Some(key),
            _ => None,
        }
    }
}

/// A service that is given requests without keys in them; the keys are in the request's extensions.
#[derive(Clone)]
pub struct Keyless<S>(pub S);

impl<S: Service<Request<B>>, B> Service<Request<B>> for Keyless<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let given = take(&mut request);
        request.extensions_mut().insert(given);
        self.0.call(request)
    }
}

fn take<B>(request: &mut Request<B>) -> Given {
    let mut given = Given::default();
    for value in request.headers().get_all(header::AUTHORIZATION) {
        if let Some(key) = value.to_str().ok().and_then(bearer) {
            given.add(key.to_owned());
        }
    }
    for value in request.headers().get_all(X_API_KEY) {
        given.add(value.to_str().unwrap_or_default().to_owned());
    }
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove(X_API_KEY);
    if let Some(uri) = without_key(request.uri(), &mut given) {
        *request.uri_mut() = uri;
    }
    given
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// The address without the key in it, if it has one.
fn without_key(uri: &Uri, given: &mut Given) -> Option<Uri> {
    let query = uri.query()?;
    if !query.contains("api") && !query.contains('%') {
        return None;
    }
    let mut rest = String::with_capacity(query.len());
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decoded(name).as_deref() == Some("api_key") {
            given.add(decoded(value).unwrap_or_default().into_owned());
            continue;
        }
        if !rest.is_empty() {
            rest.push('&');
        }
        rest.push_str(pair);
    }
    let target = format!("{}?{rest}", uri.path());
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::from_maybe_shared(axum::body::Bytes::from(target)).ok();
    Uri::from_parts(parts).ok()
}
