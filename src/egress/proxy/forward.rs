//! Plain HTTP: a request in absolute form, passed on to the machine that it names.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Position, Url};

use super::answer::{self, Answer};
use super::connection::{Session, target};
use super::ledger::Ledger;
use crate::egress::Target;

/// How long a connection that was used before may take to be ready for the next request.
const READY_TIME: Duration = Duration::from_secs(1);

/// The connection that the last request went over, for the next one; and the tasks that drive connections, which end
/// with this.
#[derive(Default)]
pub(super) struct Kept {
    last: Mutex<Option<(Target, Sender)>>,
    driven: Mutex<JoinSet<()>>,
}

type Sender = SendRequest<Incoming>;

impl Session<'_> {
    /// Passes a request on, and its answer back.
    pub async fn forward(
        &self,
        ledger: &Arc<Ledger>,
        mut request: Request<Incoming>,
    ) -> Result<Answer, Box<Answer>> {
        let target = target(ledger, rewrite(&mut request)?)?;
        let mut sender = match self.kept(&target).await {
            Some(sender) => sender,
            None => self.sender(ledger, &target).await?,
        };
        let sent = match sender.try_send_request(request).await {
            Ok(response) => Ok(response),
            // The other side closed a kept connection just now, and nothing of the request has left.
            Err(mut error) => match error.take_message() {
                Some(request) => {
                    sender = self.sender(ledger, &target).await?;
                    sender.send_request(request).await
                }
                None => Err(error.into_error()),
            },
        };
        let mut response = sent.map_err(|error| lost(ledger, &target, &error))?;
        strip(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        *lock(&self.kept.last) = Some((target, sender));
        Ok(response.map(Either::Right))
    }

    /// The connection that the last request went over, if it can take another to the same target.
    async fn kept(&self, target: &Target) -> Option<Sender> {
        let (last, mut sender) = lock(&self.kept.last).take()?;
        let ready =
            last == *target && matches!(timeout(READY_TIME, sender.ready()).await, Ok(Ok(())));
        ready.then_some(sender)
    }

    /// A new connection to a target.
    async fn sender(&self, ledger: &Arc<Ledger>, target: &Target) -> Result<Sender, Box<Answer>> {
        let stream = self.open(ledger, target).await?;
        let (pulse, idle) = (stream.pulse(), self.proxy.limits.idle);
        let mut http = http1::Builder::new();
        http.max_buf_size(self.proxy.limits.head);
        let made = http.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| lost(ledger, target, &error))?;
        let mut driven = lock(&self.kept.driven);
        while driven.try_join_next().is_some() {}
        driven.spawn(async move {
            tokio::select! {
                _ = connection => {}
                () = pulse.still(idle) => {}
            }
        });
        Ok(sender)
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost(ledger: &Ledger, target: &Target, error: &hyper::Error) -> Answer {
    let sentence = format!("`{target}` gave no answer that can be passed on: {error}");
    ledger.tell(&sentence);
    answer::told(StatusCode::BAD_GATEWAY, sentence)
}

/// The URL that a request names.
fn named(uri: &Uri) -> Result<Url, &'static str> {
    let whole = "this is a proxy: ask for whole URLs, or CONNECT to a host and a port";
    let url = Url::parse(&uri.to_string()).map_err(|_| whole)?;
    if url.scheme() != "http" {
        return Err("only `http` URLs are passed on; CONNECT to others");
    }
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(url),
        false => Err("a URL cannot have a user name or a password here"),
    }
}

/// Makes a request that names its target one that is sent to its target, which is given.
fn rewrite(request: &mut Request<Incoming>) -> Result<(String, u16), Box<Answer>> {
    let url = named(request.uri()).map_err(answer::not_understood)?;
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
    let host = host.map_err(|_| answer::not_understood("that host cannot be sent"))?;
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    strip(headers);
    headers.insert(header::HOST, host);
    let port = url.port_or_known_default().unwrap_or_default();
    Ok((url.host_str().unwrap_or_default().to_owned(), port))
}

/// What is between two machines only (RFC 9110, section 7.6.1), and what hyper has answered already.
static OF_ONE_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// Takes out what is not passed on, what is for the proxy among it.
fn strip(headers: &mut HeaderMap) {
    let listed = headers.get_all(header::CONNECTION).into_iter();
    let listed = listed.filter_map(|value| value.to_str().ok());
    let listed: Vec<HeaderName> = listed
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let ours = |name: &HeaderName| {
        name.as_str().starts_with("proxy-")
            || name == "keep-alive"
            || OF_ONE_CONNECTION.contains(name)
            || listed.contains(name)
    };
    let kept = headers.iter().filter(|(name, _)| !ours(name));
    *headers = kept
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
}
