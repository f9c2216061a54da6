//! What every request must satisfy before it is routed, and how its body is read.
//!
//! [`check`] looks at the head and [`read_body`] at the body; both refuse with a sentence. hyper refuses some requests
//! before either of them can: always with an empty body, and always closing the connection.
//!
//! | hyper answers | to |
//! |---|---|
//! | 400 | a request line or header it cannot read: a bad version, a space or `<` in the address, a folded line, a NUL, a space before the colon |
//! | 400 | `Content-Length` given twice with different values, or not a number; `Transfer-Encoding` whose last coding is not `chunked` |
//! | 414 | an address of more than 65,534 bytes |
//! | 431 | more than 100 headers, or [`Limits::headers`] if that is more; a head larger than [`Limits::head`] |
//!
//! A request with both `Transfer-Encoding` and `Content-Length` is read as chunked, answered, and its connection closed,
//! so that nothing behind it is taken for a request (RFC 9112, section 6.1). hyper removes the length before we see it.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONNECTION, CONTENT_ENCODING, HOST};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::listen::Limits;

/// A request that is not taken: the status, and one sentence for the caller.
///
/// As a response it has the 2019 API's form, [`legacy`](super::legacy), readable from any origin.
/// It closes its connection, because what follows on it may not be a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status, 4xx or 5xx.
    pub status: StatusCode,
    /// What is wrong, as a sentence with a capital and a full stop.
    pub sentence: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with this status and sentence.
    pub fn new(status: StatusCode, sentence: impl Into<Cow<'static, str>>) -> Self {
        let sentence = sentence.into();
        Self { status, sentence }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = super::legacy(self.status, &self.sentence);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        response
    }
}

/// Whether the head of `request` may be routed.
///
/// # Errors
///
/// 414 and 431 over a limit, 400 for a `Host` that is missing (HTTP/1.1), given twice or malformed, 415 for a body in any
/// coding but `identity`, 413 for a declared length over [`Limits::body`]. None of them reads from the body, so a caller
/// that sent `Expect: 100-continue` is refused before it sends one.
pub fn check<B: HttpBody>(request: &Request<B>, limits: &Limits) -> Result<(), Refusal> {
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > limits.uri) {
        let sentence = format!("The address is longer than {} bytes.", limits.uri);
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, sentence));
    }
    match check_headers(request.headers(), limits)? {
        Some(host) if !is_host(host.as_bytes()) => {
            Err(bad_request("Host is not a name or address with a port."))
        }
        None if request.version() == Version::HTTP_11 => Err(bad_request("Host is missing.")),
        _ => check_length(request.body(), limits.body),
    }
}

/// Reads a request body of at most `limit` bytes, waiting at most `idle` for each next part of it.
///
/// A body that comes in one part, as small ones do, is given on without a copy. Trailers are dropped.
///
/// # Errors
///
/// 413 if the declared length is over `limit`, before anything is read and so before `100 Continue` is sent; 413 as soon
/// as more than `limit` bytes have arrived; 408 after `idle` without any; 400 if the body is cut short or its chunks are
/// malformed.
pub async fn read_body(mut body: Body, limit: usize, idle: Duration) -> Result<Bytes, Refusal> {
    check_length(&body, limit)?;
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    while let Some(frame) = timeout(idle, body.frame()).await.map_err(|_| too_late())? {
        let Ok(part) = frame.map_err(|_| cut_short())?.into_data() else {
            continue;
        };
        if first.len().max(joined.len()) + part.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() {
            first = part;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&part);
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.into()
    })
}

/// Checks number, size and coding in one pass, and gives the one `Host` there may be.
fn check_headers<'a>(
    headers: &'a HeaderMap,
    limits: &Limits,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    if headers.len() > limits.headers {
        let sentence = format!("The request has more than {} headers.", limits.headers);
        return Err(headers_too_large(sentence));
    }
    let mut host = None;
    for (name, value) in headers {
        if name.as_str().len() + value.len() > limits.header {
            let sentence = format!("A header is longer than {} bytes.", limits.header);
            return Err(headers_too_large(sentence));
        }
        if name == HOST && host.replace(value).is_some() {
            return Err(bad_request("Host is given more than once."));
        }
        if name == CONTENT_ENCODING && !value.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(compressed());
        }
    }
    Ok(host)
}

/// Checks the length that `body` declares; one sent in chunks declares none.
fn check_length(body: &impl HttpBody, limit: usize) -> Result<(), Refusal> {
    match usize::try_from(body.size_hint().lower()) {
        Ok(declared) if declared <= limit => Ok(()),
        _ => Err(too_large(limit)),
    }
}

/// Whether `value` is a `uri-host [ ":" port ]` (RFC 9110, section 7.2). Names are kept to letters, digits, `-`, `.` and
/// `_`, which is what resolvers and container networks give out.
fn is_host(value: &[u8]) -> bool {
    let Ok(value) = str::from_utf8(value) else {
        return false;
    };
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match value.strip_prefix('[').map(|rest| rest.split_once(']')) {
        None => {
            let (name, port) = value.split_once(':').unwrap_or((value, ""));
            !name.is_empty() && name.bytes().all(name_byte) && is_port(port)
        }
        Some(None) => false,
        Some(Some((address, ""))) => address.parse::<Ipv6Addr>().is_ok(),
        Some(Some((address, port))) => {
            address.parse::<Ipv6Addr>().is_ok() && port.strip_prefix(':').is_some_and(is_port)
        }
    }
}

/// Whether `text` is a port number or, as the grammar allows, nothing.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn bad_request(sentence: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, sentence)
}

fn headers_too_large(sentence: String) -> Refusal {
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, sentence)
}

fn compressed() -> Refusal {
    let sentence = "Compressed request bodies are not accepted.";
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence)
}

fn too_large(limit: usize) -> Refusal {
    let sentence = format!("The request body is larger than {limit} bytes.");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
}

fn too_late() -> Refusal {
    let sentence = "The request body did not arrive in time.";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, sentence)
}

fn cut_short() -> Refusal {
    bad_request("The request body is cut short or malformed.")
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "localhost",
            "localhost:8080",
            "a.example.:80",
            "my_app",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:65535",
            "name:",
            "[2001:db8::7]:",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for host in [
            "",
            ":80",
            "[::1",
            "[]",
            "[::1]80",
            "[::g]",
            "::1",
            "a b",
            "a,b",
            "a/b",
            "a:b",
            "a:1:2",
            "a:65536",
            "a:+1",
            "a@b",
            "localhost:1@evil.test",
            "a\u{e9}",
            "[::1%eth0]",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
