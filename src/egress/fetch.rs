//! HTTP requests through the guarded way out.
//!
//! Every hop of a redirect is checked from the start: its scheme, its host, the addresses that it resolves to. Proxies that
//! the environment names are not used.

mod body;
mod client;
mod error;
mod hop;

use std::time::Duration;

use tokio::time::timeout;

pub use self::client::Client;
pub use self::error::FetchError;
use hop::{Hop, Next};

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The URL, of `http` or `https`, without a user name.
    pub url: String,
    /// Headers beyond those that follow from the URL and the body.
    pub headers: Vec<(String, String)>,
    /// The body, empty if there is none.
    pub body: Vec<u8>,
    /// What a redirect leads to.
    pub redirect: Redirect,
}

/// What a redirect leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirect {
    /// The next request.
    #[default]
    Follow,
    /// An answer like any other.
    Manual,
    /// An error.
    Error,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Where it came from in the end, without a fragment.
    pub url: String,
    /// The status, such as 200.
    pub status: u16,
    /// The headers as they came, at most 100; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// Whether there were redirects on the way.
    pub redirected: bool,
}

/// What a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long everything may take together, 30 s.
    pub time: Duration,
    /// Bytes of the body, before and after decompression, 16 MiB.
    pub body: usize,
    /// Redirects that are followed, 5.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(30),
            body: 16 << 20,
            redirects: 5,
        }
    }
}

impl Client {
    /// Sends a request and gives the answer. Dropping the future cancels it.
    ///
    /// # Errors
    /// When the request cannot be sent as it stands, may not be, or gets no whole answer within the limits. An answer with a
    /// status of 400 or more is none.
    pub async fn fetch(&self, request: Request, limits: Limits) -> Result<Response, FetchError> {
        let followed = timeout(limits.time, self.follow(request, limits)).await;
        followed.unwrap_or(Err(FetchError::Time(limits.time)))
    }

    async fn follow(&self, request: Request, limits: Limits) -> Result<Response, FetchError> {
        let redirect = request.redirect;
        let mut hop = Hop::new(request)?;
        let mut followed = 0;
        loop {
            let response = self.send(&hop).await?;
            let next = match redirect {
                Redirect::Manual => Next::Stay(hop),
                _ => hop.next(&response)?,
            };
            match next {
                Next::Stay(hop) => {
                    let whole = body::read(&hop, response, limits.body).await?;
                    return Ok(Response {
                        redirected: followed > 0,
                        ..whole
                    });
                }
                Next::Go(_) if redirect == Redirect::Error => return Err(FetchError::Redirected),
                Next::Go(_) if followed == limits.redirects => {
                    return Err(FetchError::Redirects(followed));
                }
                Next::Go(next) => hop = next,
            }
            followed += 1;
        }
    }
}
