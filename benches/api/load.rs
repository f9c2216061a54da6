//! Calls a server as fast as it answers.

use std::fmt;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A load: what is sent, what must come back, over how many connections at once and until when.
pub struct Load<'a> {
    pub request: &'a str,
    pub body: &'a str,
    pub connections: usize,
    pub until: Until,
    /// How long after the start of a request the next one of a connection starts, at the soonest.
    pub pace: Duration,
}

/// When a load ends. Every connection sends at least one request.
#[derive(Clone, Copy)]
pub enum Until {
    /// When this time has passed.
    Time(Duration),
    /// When so many requests are answered.
    Answers(usize),
}

/// When one connection ends, which all of a load share.
#[derive(Clone)]
enum End {
    At(Instant),
    After(Arc<AtomicUsize>),
}

impl End {
    /// Whether it has come, asked once after every answer.
    fn has_come(&self) -> bool {
        match self {
            End::At(end) => Instant::now() >= *end,
            End::After(left) => left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_err(),
        }
    }
}

/// What came of a round.
pub struct Measured {
    pub count: usize,
    pub rate: f64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Load<'_> {
    /// Puts the load on a server. Every connection sends its next request when it has its answer.
    pub fn on(&self, address: &str) -> Measured {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let start = Instant::now();
        let end = match self.until {
            Until::Time(time) => End::At(start + time),
            Until::Answers(count) => End::After(Arc::new(AtomicUsize::new(
                count.saturating_sub(self.connections),
            ))),
        };
        let mut latencies = runtime.block_on(async {
            let calls = (0..self.connections).map(|_| {
                let (address, request, body) = (
                    address.to_owned(),
                    self.request.to_owned(),
                    self.body.to_owned(),
                );
                let (end, pace) = (end.clone(), self.pace);
                tokio::spawn(async move {
                    call(&address, request.as_bytes(), body.as_bytes(), (end, pace)).await
                })
            });
            let calls: Vec<_> = calls.collect();
            let mut all = Vec::new();
            for call in calls {
                all.extend(call.await.expect("a good answer"));
            }
            all
        });
        Measured::of(&mut latencies, start.elapsed())
    }
}

async fn call(
    address: &str,
    request: &[u8],
    body: &[u8],
    (end, pace): (End, Duration),
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut answer = vec![0; 4096];
    loop {
        let start = Instant::now();
        stream.write_all(request).await.expect("it is sent");
        let mut read = 0;
        while !answer[..read].ends_with(body) {
            let more = stream
                .read(&mut answer[read..])
                .await
                .expect("it is answered");
            assert!(
                more > 0,
                "the connection was closed: {}",
                String::from_utf8_lossy(&answer[..read])
            );
            read += more;
        }
        latencies.push(start.elapsed());
        let good = answer.starts_with(b"HTTP/1.1 200");
        assert!(good, "{}", String::from_utf8_lossy(&answer[..read]));
        if end.has_come() {
            return latencies;
        }
        // Even a time that is over is slept for to the end of its millisecond.
        if !pace.is_zero() {
            tokio::time::sleep_until((start + pace).into()).await;
        }
    }
}

impl Measured {
    /// What came of requests that took so long each, and together.
    pub fn of(latencies: &mut [Duration], time: Duration) -> Measured {
        latencies.sort_unstable();
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
        Measured {
            count: latencies.len(),
            rate: latencies.len() as f64 / time.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
        }
    }

    /// The median of each figure.
    pub fn median(rounds: &[Measured]) -> Measured {
        fn middle<T: Copy>(
            rounds: &[Measured],
            figure: fn(&Measured) -> T,
            less: fn(&T, &T) -> std::cmp::Ordering,
        ) -> T {
            let mut figures: Vec<T> = rounds.iter().map(figure).collect();
            figures.sort_by(less);
            figures[figures.len() / 2]
        }
        Measured {
            count: rounds.iter().map(|round| round.count).sum(),
            rate: middle(rounds, |round| round.rate, f64::total_cmp),
            p50: middle(rounds, |round| round.p50, Ord::cmp),
            p99: middle(rounds, |round| round.p99, Ord::cmp),
        }
    }
}

/// A time in milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10.0}  {:>7.3}  {:>7.3}",
            self.rate,
            ms(self.p50),
            ms(self.p99)
        )
    }
}

/// What it costs to overwrite 4 KiB of a file and sync it, the median of 200.
pub fn sync(folder: &Path) -> Duration {
    let mut file = std::fs::File::create(folder.join("sync")).expect("a file");
    let mut times: Vec<Duration> = (0..201)
        .map(|_| {
            let start = Instant::now();
            file.rewind()
                .and_then(|()| file.write_all(&[1; 4096]))
                .and_then(|()| file.sync_data())
                .expect("a disk");
            start.elapsed()
        })
        .skip(1)
        .collect();
    times.sort();
    times[100]
}
