//! What runs are called.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use schemars::JsonSchema;
use serde::Serialize;
use uuid::{Timestamp, Uuid};

/// How many bits of an id's number count the ids of one millisecond; the others are the milliseconds since 1970.
const COUNTER: u32 = 21;
/// The bits that they are counted in.
const COUNT: u128 = (1 << COUNTER) - 1;
/// The last millisecond that a number can have: one of the year 2109.
const LAST: i64 = i64::MAX >> COUNTER;

/// The greatest number of an id that was made.
static NEWEST: AtomicI64 = AtomicI64::new(0);
/// Tells the ids of this process from those that another one makes in the same millisecond.
static PROCESS: LazyLock<u128> = LazyLock::new(|| Uuid::now_v7().as_u128() & COUNT);

/// A run's id: a UUID of version 7, so later runs have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RunId(pub(super) Uuid);

impl RunId {
    /// A new id.
    #[expect(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> RunId {
        let now = (crate::now() / 1_000) << COUNTER;
        let next = |newest: i64| now.max(newest + 1);
        let newest = NEWEST.update(Ordering::Relaxed, Ordering::Relaxed, next);
        RunId::of(next(newest))
    }

    /// Has the ids that are made from now on have greater numbers than this.
    pub(super) fn after(number: i64) {
        NEWEST.fetch_max(number, Ordering::Relaxed);
    }

    /// An id of a number.
    fn of(number: i64) -> RunId {
        let (milliseconds, count) = (number as u64 >> COUNTER, number as u128 & COUNT);
        let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
        let counter = *PROCESS << COUNTER | count;
        let bits = 2 * COUNTER as u8;
        let time = Timestamp::from_unix_time(seconds, rest as u32 * 1_000_000, counter, bits);
        RunId(Uuid::new_v7(time))
    }

    /// The number that the id is found by, another one for each id that one server makes, and a greater one for each that it makes later.
    pub fn number(self) -> i64 {
        // Ids of earlier releases have a counter in the same place: before the 32 random bits at the end.
        let (milliseconds, counter) = (self.0.as_u128() >> 80, self.0.as_u128() >> 32);
        (milliseconds as i64).min(LAST) << COUNTER | (counter & COUNT) as i64
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<RunId, String> {
        Uuid::from_str(text)
            .map(RunId)
            .map_err(|_| format!("`{text}` is not the id of a run"))
    }
}
