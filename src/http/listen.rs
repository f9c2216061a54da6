//! Accepts connections and serves HTTP/1 on them, with a limit on everything a client can hold open.
//!
//! `axum::serve` sets none of these limits, nor does it turn off Nagle's algorithm; hence this loop. HTTP/1.1 and 1.0
//! only: a caller of HTTP/2 gets its connection closed.

mod connection;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What clients may hold open, and for how long. Every limit is finite by default.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once, 2,048. Another gets 503 and is closed.
    pub connections: usize,
    /// Connections open at once from one IPv4 address or one IPv6 /64, 128. Another is closed without an answer. Callers
    /// behind one reverse proxy share its address.
    pub connections_per_address: usize,
    /// How long a new connection may stay silent, 10 s.
    pub first_byte: Duration,
    /// How long the head of a request may take from its first byte to its last, 10 s.
    pub head_time: Duration,
    /// How long a connection may wait for its next request, 75 s: longer than the 60 s after which common load balancers
    /// close theirs, so that it is they who close.
    pub idle: Duration,
    /// How long [`read_body`](super::transport::read_body) should wait for the next part of a body, 10 s.
    pub body_idle: Duration,
    /// How long a client may take no byte of an answer that is ready for it, 30 s. Its connection is then reset.
    pub write_idle: Duration,
    /// How long a connection closed in the middle of a request goes on discarding what the client still sends, 2 s. Without
    /// this the client's system would see a reset and might throw the answer away (RFC 9112, section 9.6).
    pub linger: Duration,
    /// How long requests in flight may take to finish once the server stops, 30 s.
    pub drain: Duration,
    /// Bytes of path and query, 65,534, which is also the most that hyper takes. More is 414.
    pub uri: usize,
    /// Headers of a request, 64. More is 431.
    pub headers: usize,
    /// Bytes of one header, name and value, 16 KiB. More is 431.
    pub header: usize,
    /// Bytes of a request's whole head, 128 KiB; at least 8 KiB. More is 431. Also bounds each connection's buffers.
    pub head: usize,
    /// Bytes any request may declare as its body's length, 100 MiB. More is 413. Routes have limits of their own below it.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            connections_per_address: 128,
            first_byte: Duration::from_secs(10),
            head_time: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_idle: Duration::from_secs(10),
            write_idle: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            drain: Duration::from_secs(30),
            uri: 65_534,
            headers: 64,
            header: 16 << 10,
            head: 128 << 10,
            body: 100 << 20,
        }
    }
}

/// Serves `router` on the connections of `listener` until `stop` is ready.
///
/// Then it accepts no more, closes idle connections at once, lets requests in flight finish for at most [`Limits::drain`],
/// closes what is left and gives the number of connections so cut off. Dropping the future closes all connections at once.
///
/// Requests pass [`check`](super::transport::check) before they are routed, and carry the client's address as
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo) in their extensions. A request's handler is dropped when its
/// client goes away.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> usize {
    let mut connections = JoinSet::new();
    let shared = Arc::new(Shared::new(limits));
    let mut stop = pin!(stop);
    let mut pause = SHORTEST_PAUSE;
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = SHORTEST_PAUSE;
                shared.admit(stream, peer, &router, &mut connections);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("cannot accept connections: {error}; trying again in {pause:?}");
                tokio::select! {
                    () = &mut stop => break,
                    () = sleep(pause) => pause = LONGEST_PAUSE.min(pause * 2),
                }
            }
        }
    }
    drop(listener);
    shared.end(connections).await
}

/// The first wait after the system refuses to accept, as it does when file descriptors run out; doubled each time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// The longest such wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Connections that are being told 503 at once. Others are closed without an answer.
const TURNED_AWAY: usize = 64;

/// What a connection over the total is told.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    access-control-allow-origin: *\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\
    content-length: 53\r\n\
    \r\n\
    {\"Error\":\"The server has too many open connections.\"}";

/// What all connections of one listener share.
struct Shared {
    http: http1::Builder,
    limits: Limits,
    open: Mutex<Open>,
    turning_away: Arc<Semaphore>,
    stopping: AtomicBool,
    stopped: Notify,
}

/// How many connections are open, in all and from each address.
#[derive(Default)]
struct Open {
    all: usize,
    from: HashMap<IpAddr, usize>,
}

/// Counts one connection as open until dropped.
struct Counted {
    shared: Arc<Shared>,
    address: IpAddr,
}

/// Why a connection is not served.
enum Full {
    InAll,
    FromAddress,
}

impl Shared {
    fn new(limits: Limits) -> Self {
        Self {
            http: connection::http(&limits),
            limits,
            open: Mutex::default(),
            turning_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            stopping: AtomicBool::new(false),
            stopped: Notify::new(),
        }
    }

    /// Serves a new connection or turns it away.
    fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        router: &Router,
        connections: &mut JoinSet<()>,
    ) {
        match self.count(source(peer.ip())) {
            Ok(counted) => {
                let _ = stream.set_nodelay(true);
                connections.spawn(connection::serve(stream, peer, router.clone(), counted));
            }
            Err(Full::FromAddress) => {}
            Err(Full::InAll) => {
                if let Ok(permit) = self.turning_away.clone().try_acquire_owned() {
                    let told = timeout(self.limits.linger, tell_full(stream));
                    connections.spawn(async move {
                        let _permit = permit;
                        let _ = told.await;
                    });
                }
            }
        }
    }

    fn count(self: &Arc<Self>, address: IpAddr) -> Result<Counted, Full> {
        let mut open = self.lock();
        if open.all >= self.limits.connections {
            return Err(Full::InAll);
        }
        let from = open.from.entry(address).or_default();
        if *from >= self.limits.connections_per_address {
            return Err(Full::FromAddress);
        }
        *from += 1;
        open.all += 1;
        Ok(Counted {
            shared: self.clone(),
            address,
        })
    }

    /// Ends all connections, and gives the number of those that did not end in time.
    async fn end(&self, mut connections: JoinSet<()>) -> usize {
        self.stopping.store(true, Ordering::Release);
        self.stopped.notify_waiters();
        let ended = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.limits.drain, ended).await;
        let cut = self.lock().all;
        connections.shutdown().await;
        cut
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.shared.lock();
        open.all -= 1;
        if let Some(from) = open.from.get_mut(&self.address) {
            *from -= 1;
            if *from == 0 {
                open.from.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: an IPv6 caller usually has a whole /64 to choose from.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// Whether accepting failed for the connection at hand only, as when the client has already gone.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Answers 503 and discards what the client sends until it has read that.
async fn tell_full(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(FULL.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(64 << 10);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FULL, source};

    #[test]
    fn ipv6_callers_are_counted_by_their_64_bit_network() {
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
        ] {
            assert_eq!(source(address.parse().unwrap()).to_string(), counted);
        }
    }

    #[test]
    fn the_answer_over_the_total_has_the_length_it_says() {
        let (head, body) = FULL.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}
