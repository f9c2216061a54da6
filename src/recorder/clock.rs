//! How long a run has taken.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// The time that a run has taken: it stands still where the run goes through again what it has done before. Read at every
/// step, so reading takes no lock; only who holds the journal sets it.
pub(super) struct Clock {
    origin: Instant,
    /// What the run had taken at the origin; where the clock stands still, what it has taken. In nanoseconds.
    offset: AtomicI64,
    still: AtomicBool,
}

impl Clock {
    /// A clock that begins to run now.
    pub fn new() -> Clock {
        Clock {
            origin: Instant::now(),
            offset: AtomicI64::new(0),
            still: AtomicBool::new(false),
        }
    }

    /// What the run has taken.
    pub fn elapsed(&self) -> Duration {
        let offset = self.offset.load(Ordering::Relaxed);
        let since = match self.still.load(Ordering::Relaxed) {
            true => 0,
            false => nanos(self.origin.elapsed()),
        };
        Duration::from_nanos((offset + since).max(0) as u64)
    }

    /// Has the clock stand still at a time.
    pub fn stand(&self, at: Duration) {
        self.still.store(true, Ordering::Relaxed);
        self.offset.store(nanos(at), Ordering::Relaxed);
    }

    /// Has the clock go on from a time.
    pub fn go_on(&self, at: Duration) {
        let offset = nanos(at) - nanos(self.origin.elapsed());
        self.offset.store(offset, Ordering::Relaxed);
        self.still.store(false, Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 2)
}
