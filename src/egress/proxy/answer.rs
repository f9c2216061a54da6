//! What the proxy itself answers: short texts.

use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, PROXY_AUTHENTICATE};
use hyper::{Response, StatusCode};

use crate::egress::Refused;

/// The body of an answer: a text of ours, or what comes from the other machine.
pub(super) type Body = Either<Full<Bytes>, Incoming>;

/// An answer of the proxy's own.
pub(super) type Answer = Response<Body>;

/// An empty answer, as `CONNECT` gets before its tunnel.
pub(super) fn connected() -> Answer {
    Response::new(Either::Left(Full::default()))
}

/// An answer with a sentence in it.
pub(super) fn told(status: StatusCode, sentence: String) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(sentence)));
    *answer.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, text);
    answer
}

/// An answer to a request that makes no sense to a proxy.
pub(super) fn not_understood(sentence: &str) -> Answer {
    told(StatusCode::BAD_REQUEST, sentence.to_owned())
}

/// The answer to whoever shows no token, or one that is not good.
pub(super) fn unknown() -> Answer {
    let sentence = "this proxy takes the token of a run as its password";
    let mut answer = told(
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        sentence.to_owned(),
    );
    let how = HeaderValue::from_static("Basic realm=\"waystation\"");
    answer.headers_mut().insert(PROXY_AUTHENTICATE, how);
    answer
}

/// The answer when there is no connection.
pub(super) fn refused(refused: &Refused) -> Answer {
    let status = match refused.by_rule() {
        true => StatusCode::FORBIDDEN,
        false => StatusCode::BAD_GATEWAY,
    };
    told(status, refused.to_string())
}
