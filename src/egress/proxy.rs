//! An HTTP proxy for the processes of code: the guarded way out for whatever speaks `HTTP_PROXY`.
//!
//! It answers `CONNECT` and, in absolute form, plain HTTP. Whoever asks shows the token of a [`Grant`], as user `run` with
//! the token as password; what the grant may reach is judged by [`Egress`], and all that it moves is counted.

mod answer;
mod connection;
mod counts;
mod forward;
mod grant;
mod ledger;
mod metered;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use self::counts::Reached;
pub use self::grant::{Allowance, Grant, Tokens, Watch};
use super::Egress;

/// What the proxy's clients may hold open, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of clients open at once, 1,024. Further ones wait to be accepted.
    pub connections: usize,
    /// How long a new connection may take to bring its first request with a good token, 10 s.
    pub admission: Duration,
    /// How long a connection may move no byte, between requests or within a tunnel, 60 s.
    pub idle: Duration,
    /// Headers of a request, 64. More is 431.
    pub headers: usize,
    /// Bytes of a head, of a request or an answer, 128 KiB; at least 8 KiB. More is 431, or 502 for an answer.
    pub head: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            admission: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            headers: 64,
            head: 128 << 10,
        }
    }
}

/// How long accepting rests after the system refused to, as it does when file descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// The proxy.
pub struct Proxy {
    egress: Arc<Egress>,
    tokens: Arc<Tokens>,
    limits: Limits,
    http: http1::Builder,
}

impl Proxy {
    /// A proxy that lets the bearers of tokens through a door.
    pub fn new(egress: Arc<Egress>, tokens: Arc<Tokens>, limits: Limits) -> Proxy {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_headers(limits.headers)
            .max_header_size(limits.head)
            .max_buf_size(limits.head);
        Proxy {
            egress,
            tokens,
            limits,
            http,
        }
    }

    /// Serves all that connects to a listener. Dropping the future closes all of it.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(
            self.limits.connections.min(Semaphore::MAX_PERMITS),
        ));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let place = places.clone().acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let proxy = self.clone();
                    connections.spawn(async move {
                        let _place = place;
                        proxy.serve_stream(stream).await;
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept connections to the proxy: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Serves one connection, of any kind, until it ends. Dropping the future closes it and all that it led to.
    pub async fn serve_stream(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        connection::serve(self, stream).await;
    }
}
