//! One request of those that redirects lead to.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use url::{ParseError, Position, Url};

use super::{FetchError, Request};

/// Headers that say how a request is carried. To set them would be to say something else than what is sent.
static FRAMING: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];

/// Headers of the author that go along to another origin.
static HARMLESS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ACCEPT, header::USER_AGENT];

/// One request of those that redirects lead to.
pub(super) struct Hop {
    method: Method,
    pub url: Url,
    headers: HeaderMap,
    body: Bytes,
}

/// What an answer leads to.
pub(super) enum Next {
    /// It is the answer to the request that was sent.
    Stay(Hop),
    /// It is a redirect, to this.
    Go(Hop),
}

impl Hop {
    /// The first request.
    pub fn new(request: Request) -> Result<Hop, FetchError> {
        let method = request.method.to_ascii_uppercase();
        let known = Method::from_bytes(method.as_bytes()).ok();
        let method = known
            .filter(|method| !matches!(*method, Method::CONNECT | Method::TRACE))
            .ok_or(FetchError::Method(request.method))?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            add(&mut headers, &name, &value)?;
        }
        Ok(Hop {
            method,
            url: checked(Url::parse(&request.url))?,
            headers,
            body: request.body.into(),
        })
    }

    /// The host and perhaps the port.
    pub fn host(&self) -> String {
        self.url[Position::BeforeHost..Position::AfterPort].to_owned()
    }

    /// The request as it is sent.
    pub fn request(&self) -> Result<hyper::Request<Full<Bytes>>, FetchError> {
        let uri: Uri = self
            .url
            .as_str()
            .parse()
            .map_err(|error| FetchError::Url(format!("{error}")))?;
        let mut request = hyper::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        for (name, usual) in [
            (header::ACCEPT, "*/*"),
            (header::ACCEPT_ENCODING, "gzip, deflate, br"),
            (
                header::USER_AGENT,
                concat!("waystation/", env!("CARGO_PKG_VERSION")),
            ),
        ] {
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(usual));
        }
        Ok(request)
    }

    /// Where an answer to this leads.
    pub fn next(self, response: &hyper::Response<Incoming>) -> Result<Next, FetchError> {
        let status = response.status();
        let redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        match response
            .headers()
            .get(header::LOCATION)
            .filter(|_| redirect)
        {
            Some(location) => self.redirected(status, location).map(Next::Go),
            None => Ok(Next::Stay(self)),
        }
    }

    fn redirected(mut self, status: StatusCode, location: &HeaderValue) -> Result<Hop, FetchError> {
        let location = String::from_utf8_lossy(location.as_bytes());
        let url = checked(self.url.join(&location))?;
        let rewritten = match status {
            StatusCode::SEE_OTHER => self.method != Method::GET && self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if rewritten {
            self.method = Method::GET;
            self.body = Bytes::new();
            let about_body = |name: &HeaderName| name.as_str().starts_with("content-");
            keep(&mut self.headers, |name| !about_body(name));
        }
        if url.origin() != self.url.origin() {
            if !self.body.is_empty() {
                return Err(FetchError::Body(url.origin().ascii_serialization()));
            }
            keep(&mut self.headers, |name| HARMLESS.contains(name));
        }
        self.url = url;
        Ok(self)
    }
}

/// A URL that may be asked for.
fn checked(url: Result<Url, ParseError>) -> Result<Url, FetchError> {
    let mut url = url.map_err(|error| FetchError::Url(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FetchError::UserInfo);
    }
    url.set_fragment(None);
    Ok(url)
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), FetchError> {
    let wrong = || FetchError::Header(name.escape_debug().to_string());
    let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    let own = known == "keep-alive" || known.as_str().starts_with("proxy-");
    if own || FRAMING.contains(&known) {
        return Err(FetchError::Framing(name.to_owned()));
    }
    let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    headers.append(known, value);
    Ok(())
}

fn keep(headers: &mut HeaderMap, wanted: impl Fn(&HeaderName) -> bool) {
    let kept = headers.iter().filter(|(name, _)| wanted(name));
    *headers = kept
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
}
