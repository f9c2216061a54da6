//! Why a request got no answer.

use std::time::Duration;

use thiserror::Error;

use crate::egress::Refused;

/// Why a request got no answer, in a sentence for the author of the program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The URL cannot be read.
    #[error("the URL is not valid: {0}")]
    Url(String),
    /// The URL is of another kind.
    #[error("only URLs of `http` and `https` can be fetched, not of `{0}`")]
    Scheme(String),
    /// The URL holds a user name or a password.
    #[error("the URL has a user name or a password in it; send the header `Authorization` instead")]
    UserInfo,
    /// The method is none, or one that is not for programs.
    #[error("`{0}` is no method that can be sent")]
    Method(String),
    /// The name of a header is no name, or its value has a control character in it.
    #[error(
        "the header `{0}` cannot be sent: its name or its value has a character that no header has"
    )]
    Header(String),
    /// The header says what the request itself says.
    #[error("the header `{0}` cannot be set; it follows from the URL and the body")]
    Framing(String),
    /// The connection was refused or failed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No secure connection was made.
    #[error("cannot connect to `{host}` securely: {why}")]
    Secure {
        /// The host and perhaps the port.
        host: String,
        /// What is wrong, with its certificate for example.
        why: String,
    },
    /// More redirects than are followed.
    #[error("too many redirects: more than {0}")]
    Redirects(usize),
    /// A redirect that was not wanted.
    #[error("the answer is a redirect")]
    Redirected,
    /// A redirect that would carry the body to where it was not sent.
    #[error("a redirect asks to send the body to another origin, `{0}`")]
    Body(String),
    /// No whole answer in time.
    #[error("no whole answer within {} s", .0.as_secs_f64())]
    Time(Duration),
    /// The head of the answer is too large.
    #[error("the answer has more than 100 headers, or a head larger than 64 KiB")]
    Head,
    /// The body is too large.
    #[error("the answer is larger than {0} bytes")]
    Large(usize),
    /// The body is compressed in a way that is not undone, or is damaged.
    #[error("the answer cannot be decompressed: {0}")]
    Encoding(String),
    /// What came is no answer, or not a whole one.
    #[error("`{host}` gave no whole answer: {why}")]
    Broken {
        /// The host and perhaps the port.
        host: String,
        /// What happened.
        why: String,
    },
}
