//! One connection: its requests, one after the other, and a limit on each of its waits.
//!
//! hyper's own head time-out is not used. It runs between requests too, so it cannot differ from the idle time-out, and it
//! allocates and registers a timer for every request. Here a connection has one timer, set back only when it fires or when
//! a nearer deadline appears; serving a request costs one look at the clock.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tower::Service;

use super::super::transport;
use super::{Counted, Limits};

/// hyper's settings for connections under `limits`.
///
/// Its `pipeline_flush` stays off: with it a streamed answer is buffered without bound when its client reads slowly, and a
/// finished answer waits for the next one while requests are pipelined.
pub(super) fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .max_header_size(limits.head)
        .max_buf_size(limits.head.max(SMALLEST_BUFFER));
    if limits.headers > HYPER_HEADERS {
        http.max_headers(limits.headers);
    }
    http
}

/// The smallest buffer hyper can be set to.
const SMALLEST_BUFFER: usize = 8 << 10;

/// The headers hyper takes when not told otherwise; it keeps room for them on the stack.
const HYPER_HEADERS: usize = 100;

/// The most that is discarded from a client which goes on sending after its answer.
const DISCARDED: usize = 16 << 20;

/// Serves the requests of one connection until it ends, waits too long, or is idle and told to stop.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, counted: Counted) {
    let shared = &counted.shared;
    let limits = &shared.limits;
    let watch = Arc::new(Watch::default());
    let socket = TokioIo::new(Socket::new(stream, watch.clone()));
    let requests = Requests {
        router: RefCell::new(router),
        peer,
        limits,
        watch: watch.clone(),
    };
    let service = service_fn(move |request| requests.answer(request));
    let mut connection = pin!(shared.http.serve_connection(socket, service));
    let mut clock = Clock::new(&watch, limits);
    let mut timer = pin!(sleep(limits.first_byte));
    let mut stopped = pin!(shared.stopped.notified());
    let mut polled = false;
    let mut stopping = false;
    poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // One poll is enough to be woken by, since a task keeps its waker. More would each take a lock that all
            // connections share.
            if !std::mem::replace(&mut polled, true) {
                let _ = stopped.as_mut().poll(cx);
            }
            if stopping || !shared.stopping.load(Ordering::Acquire) {
                return clock.poll(timer.as_mut(), cx);
            }
            stopping = true;
            connection.as_mut().graceful_shutdown();
        }
    })
    .await;
}

/// The requests of one connection, on their way to the router.
struct Requests<'a> {
    /// In a cell because hyper calls by shared reference, one request at a time; cloning the router for each would have
    /// all connections write to one counter.
    router: RefCell<Router>,
    peer: SocketAddr,
    limits: &'a Limits,
    watch: Arc<Watch>,
}

impl Requests<'_> {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + use<> {
        self.watch.wait(Wait::Answer);
        let watch = self.watch.clone();
        let mut request = request.map(|body| RequestBody::wrap(body, &watch));
        let routed = transport::check(&request, self.limits).map(|()| {
            request.extensions_mut().insert(ConnectInfo(self.peer));
            self.router.borrow_mut().call(request)
        });
        async move {
            let response = match routed {
                Ok(response) => response.await.unwrap_or_else(|never| match never {}),
                Err(refusal) => refusal.into_response(),
            };
            Ok(response.map(|body| AnswerBody { body, watch }))
        }
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Default)]
enum Wait {
    /// The first byte of its first request.
    #[default]
    First,
    /// The rest of a head.
    Head,
    /// A handler, for as long as that takes, or its answer being taken by the client.
    Answer,
    /// The next request.
    Idle,
    /// The end of what the client sends, so as to close.
    Close,
}

/// What the parts of a connection know of its progress. All of them run in one task; the atomics only say so to the
/// compiler, and are never contended.
#[derive(Default)]
struct Watch {
    wait: AtomicU8,
    /// Bytes of an answer are ready, and the client takes none.
    blocked: AtomicBool,
    /// The last request's body was dropped before its end.
    unread: AtomicBool,
    /// Counts the moments from which a new limit runs.
    changes: AtomicU32,
}

impl Watch {
    fn waits_for(&self) -> Wait {
        const WAITS: [Wait; 5] = [
            Wait::First,
            Wait::Head,
            Wait::Answer,
            Wait::Idle,
            Wait::Close,
        ];
        WAITS[usize::from(self.wait.load(Ordering::Relaxed))]
    }

    fn wait(&self, wait: Wait) {
        self.wait.store(wait as u8, Ordering::Relaxed);
        self.change();
    }

    fn change(&self) {
        let changes = self.changes.load(Ordering::Relaxed);
        self.changes
            .store(changes.wrapping_add(1), Ordering::Relaxed);
    }

    fn received(&self) {
        if matches!(self.waits_for(), Wait::First | Wait::Idle) {
            self.wait(Wait::Head);
        }
    }

    fn wrote(&self, blocked: bool) {
        if self.blocked.load(Ordering::Relaxed) != blocked {
            self.blocked.store(blocked, Ordering::Relaxed);
            self.change();
        }
    }

    /// How long the present wait may last, if there is a limit.
    fn limit(&self, limits: &Limits) -> Option<Duration> {
        if self.blocked.load(Ordering::Relaxed) {
            return Some(limits.write_idle);
        }
        match self.waits_for() {
            Wait::First => Some(limits.first_byte),
            Wait::Head => Some(limits.head_time),
            Wait::Answer => None,
            Wait::Idle => Some(limits.idle),
            Wait::Close => Some(limits.linger),
        }
    }
}

/// Holds the waits of a connection to their limits.
struct Clock<'a> {
    watch: &'a Watch,
    limits: &'a Limits,
    /// The count of changes that `deadline` belongs to.
    seen: u32,
    deadline: Option<Instant>,
}

impl<'a> Clock<'a> {
    fn new(watch: &'a Watch, limits: &'a Limits) -> Self {
        let deadline = Instant::now().checked_add(limits.first_byte);
        Self {
            watch,
            limits,
            seen: 0,
            deadline,
        }
    }

    /// Ready when the present wait has lasted too long. `timer` is due at the deadline or before it.
    fn poll(&mut self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        let changes = self.watch.changes.load(Ordering::Relaxed);
        if self.seen != changes {
            self.seen = changes;
            let limit = self.watch.limit(self.limits);
            self.deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
            if let Some(deadline) = self
                .deadline
                .filter(|deadline| *deadline < timer.deadline())
            {
                timer.as_mut().reset(deadline);
            }
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            match self.deadline {
                Some(deadline) if deadline <= now => return Poll::Ready(()),
                Some(deadline) => timer.as_mut().reset(deadline),
                None => timer.as_mut().reset(now + UNLIMITED),
            }
        }
    }
}

/// When a timer is set to fire that has nothing to wait for.
const UNLIMITED: Duration = Duration::from_secs(3600);

/// A connection's socket, which tells `watch` what passes through it.
struct Socket {
    stream: TcpStream,
    watch: Arc<Watch>,
    discarded: usize,
}

impl Socket {
    fn new(stream: TcpStream, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            watch,
            discarded: 0,
        }
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.watch.wrote(polled.is_pending());
        polled
    }

    /// Ready when the client has closed its side too, or has sent too much.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        while self.discarded < DISCARDED {
            let mut bytes = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut bytes))?;
            match bytes.filled().len() {
                0 => break,
                length => self.discarded += length,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = bytes.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, bytes);
        if bytes.filled().len() > before {
            self.watch.received();
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes our side, and the connection unless the client may be in the middle of sending.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.watch.waits_for(), Wait::Close) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            let in_head = matches!(self.watch.waits_for(), Wait::Head);
            if !in_head && !self.watch.unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.watch.wait(Wait::Close);
        }
        self.poll_discard(cx)
    }
}

impl Drop for Socket {
    /// Frees at once what a client does not take, instead of leaving it to the system to send.
    fn drop(&mut self) {
        if self.watch.blocked.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// The body of a request, which notes if it was dropped before its end.
struct RequestBody {
    body: Incoming,
    watch: Arc<Watch>,
}

impl RequestBody {
    fn wrap(body: Incoming, watch: &Arc<Watch>) -> Body {
        watch.unread.store(false, Ordering::Relaxed);
        if body.is_end_stream() {
            return Body::empty();
        }
        let watch = watch.clone();
        Body::new(Self { body, watch })
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    /// A body in chunks is taken for unread, since only its last frame tells the end; the cost is a later close.
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.watch.unread.store(true, Ordering::Relaxed);
        }
    }
}

/// The body of an answer, which notes that hyper has taken all of it.
struct AnswerBody {
    body: Body,
    watch: Arc<Watch>,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.watch.wait(Wait::Idle);
    }
}
