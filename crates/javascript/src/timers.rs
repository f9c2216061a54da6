//! What is to be called later.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use rquickjs::{Function, Persistent, Value};

/// The most timers that may wait at once.
pub(crate) const MAX_TIMERS: usize = 10_000;

/// The longest that a timer may wait, as in browsers: about 25 days.
const MAX_WAIT: f64 = i32::MAX as f64;

/// A call that waits for its time.
pub(crate) struct Timer {
    pub id: u64,
    pub call: Persistent<Function<'static>>,
    pub arguments: Vec<Persistent<Value<'static>>>,
    /// How long after each call the next one comes, where there is one.
    pub every: Option<Duration>,
}

/// The calls that wait, the next one first; those of the same moment in the order they were made.
#[derive(Default)]
pub(crate) struct Timers {
    waiting: BTreeMap<(Instant, u64), Timer>,
    due: HashMap<u64, (Instant, u64)>,
    made: u64,
}

impl Timers {
    /// A number that no timer had.
    pub fn id(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Whether there are as many as may be.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_TIMERS
    }

    /// Lets `timer` wait.
    pub fn add(&mut self, wait: Duration, timer: Timer) {
        let due = (Instant::now() + wait, self.id());
        self.due.insert(timer.id, due);
        self.waiting.insert(due, timer);
    }

    /// Forgets a timer, if it still waits.
    pub fn clear(&mut self, id: u64) {
        if let Some(due) = self.due.remove(&id) {
            self.waiting.remove(&due);
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    /// Takes one that is due.
    pub fn take(&mut self) -> Option<Timer> {
        let entry = self.waiting.first_entry()?;
        if entry.key().0 > Instant::now() {
            return None;
        }
        let timer = entry.remove();
        self.due.remove(&timer.id);
        Some(timer)
    }
}

/// How long a script's number of milliseconds is.
pub(crate) fn wait(milliseconds: f64) -> Duration {
    let whole = milliseconds.clamp(0.0, MAX_WAIT);
    // What is not a number is no wait.
    Duration::from_millis(whole as u64)
}
