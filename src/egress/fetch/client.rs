//! The client: connections that are made through the door alone, and kept for a while.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::Uri;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::ring;
use tokio::net::TcpStream;
use tower::Service;

use super::FetchError;
use super::hop::Hop;
use crate::egress::{Egress, Refused, Scope};

/// The most headers that an answer may have.
const HEADERS: usize = 100;
/// The largest head of an answer, in bytes.
const HEAD: usize = 64 << 10;
/// How many connections to one host are kept for further requests, and for how long.
const KEPT: usize = 8;
const KEPT_TIME: Duration = Duration::from_secs(30);

type Http = legacy::Client<HttpsConnector<Door>, Full<Bytes>>;

/// Makes HTTP/1.1 requests for those who may reach one scope.
pub struct Client {
    door: Door,
    http: OnceLock<Result<Http, String>>,
}

impl Client {
    /// A client that goes through a door. The certificates that it trusts are the system's, or those of the file that
    /// `SSL_CERT_FILE` names; they are read when they are first wanted.
    pub fn new(egress: Arc<Egress>, scope: Scope) -> Client {
        Client {
            door: Door {
                egress,
                scope: Arc::new(scope),
            },
            http: OnceLock::new(),
        }
    }

    /// Sends one request, and gives the answer as soon as its head is there.
    pub(super) async fn send(&self, hop: &Hop) -> Result<hyper::Response<Incoming>, FetchError> {
        let http = self.http.get_or_init(|| http(self.door.clone()));
        let http = http.as_ref().map_err(|why| FetchError::Secure {
            host: hop.host(),
            why: why.clone(),
        })?;
        let response = http
            .request(hop.request()?)
            .await
            .map_err(|error| failed(hop, &error))?;
        // hyper holds its buffer to the limit, which may have room for a little more than a head of that length.
        let length = |(name, value): (&HeaderName, &HeaderValue)| {
            name.as_str().len() + value.len() + ": \r\n".len()
        };
        match response.headers().iter().map(length).sum::<usize>() > HEAD {
            true => Err(FetchError::Head),
            false => Ok(response),
        }
    }
}

fn http(door: Door) -> Result<Http, String> {
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(ring::default_provider())
        .map_err(|error| format!("there are no certificates to trust: {error}"))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(door);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT_TIME)
        .pool_max_idle_per_host(KEPT)
        .http1_max_headers(HEADERS)
        .http1_max_buf_size(HEAD)
        .build(https))
}

/// Says what went wrong with a request.
fn failed(hop: &Hop, error: &legacy::Error) -> FetchError {
    let source = error.source();
    if let Some(refused) = source.and_then(|source| source.downcast_ref::<Refused>()) {
        return refused.clone().into();
    }
    let (host, why) = (
        hop.host(),
        source.map_or_else(|| error.to_string(), ToString::to_string),
    );
    if error.is_connect() {
        return FetchError::Secure { host, why };
    }
    match source.and_then(|source| source.downcast_ref::<hyper::Error>()) {
        Some(error) if error.is_parse_too_large() => FetchError::Head,
        _ => FetchError::Broken { host, why },
    }
}

/// Makes the client's connections.
#[derive(Clone)]
struct Door {
    egress: Arc<Egress>,
    scope: Arc<Scope>,
}

impl Service<Uri> for Door {
    type Response = TokioIo<TcpStream>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Door { egress, scope } = self.clone();
        Box::pin(async move {
            let usual = if uri.scheme_str() == Some("https") {
                443
            } else {
                80
            };
            let port = uri.port_u16().unwrap_or(usual);
            let host = uri.host().unwrap_or_default();
            egress.connect(host, port, &scope).await.map(TokioIo::new)
        })
    }
}
