//! A connection to another machine, all of whose bytes are counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::counts::Counts;
use super::ledger::Ledger;

/// A connection that fails once its grant has moved all that it may.
pub(super) struct Metered {
    stream: TcpStream,
    ledger: Arc<Ledger>,
    counts: Arc<Counts>,
    pulse: Arc<Pulse>,
}

/// When a connection last moved a byte.
pub(super) struct Pulse {
    began: Instant,
    /// Milliseconds after the beginning.
    last: AtomicU64,
}

impl Pulse {
    fn beat(&self) {
        let after = self.began.elapsed().as_millis() as u64;
        self.last.store(after, Ordering::Relaxed);
    }

    /// Ends when nothing has moved for so long.
    pub async fn still(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let end = self.began + last + limit;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
}

impl Metered {
    pub fn new(stream: TcpStream, ledger: Arc<Ledger>, counts: Arc<Counts>) -> Metered {
        let pulse = Pulse {
            began: Instant::now(),
            last: AtomicU64::new(0),
        };
        Metered {
            stream,
            ledger,
            counts,
            pulse: Arc::new(pulse),
        }
    }

    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    fn moved(&self, down: usize, up: usize) -> io::Result<()> {
        self.pulse.beat();
        let counted = self.ledger.moved(&self.counts, down as u64, up as u64);
        counted.map_err(io::Error::other)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = bytes.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, bytes))?;
        Poll::Ready(self.moved(bytes.filled().len() - before, 0))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        Poll::Ready(self.moved(0, length).map(|()| length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
