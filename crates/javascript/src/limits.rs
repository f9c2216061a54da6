//! What a run may use, and whether it has used it up.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::frame::Request;

/// A limit that a run can pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Limit {
    Time,
    Memory,
    Result,
    Output,
}

/// The limits of one run.
pub(crate) struct Limits {
    time: Duration,
    deadline: Option<Instant>,
    pub memory: usize,
    pub result: usize,
    output: usize,
    /// How much more may be logged, in bytes.
    room: Cell<usize>,
    full: Cell<bool>,
}

impl Limits {
    /// Limits that begin to count now.
    pub fn new(request: &Request<'_>) -> Limits {
        let time = Duration::from_millis(request.time_ms);
        Limits {
            time,
            deadline: Instant::now().checked_add(time),
            memory: request.memory,
            result: request.result,
            output: request.output,
            room: Cell::new(request.output),
            full: Cell::new(false),
        }
    }

    /// When the run must be over; never, where that is beyond what clocks count.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How much more may be logged, in bytes.
    pub fn room(&self) -> usize {
        self.room.get()
    }

    /// Takes note that `bytes` are logged, and gives how many of them still have room.
    pub fn take(&self, bytes: usize) -> usize {
        let taken = bytes.min(self.room.get());
        self.room.set(self.room.get() - taken);
        if taken < bytes {
            self.full.set(true);
        }
        taken
    }

    /// The limit that the run has passed, whatever the engine says.
    pub fn passed(&self) -> Option<Limit> {
        if self.full.get() {
            return Some(Limit::Output);
        }
        let late = self
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now());
        late.then_some(Limit::Time)
    }

    /// That a limit was passed, in words.
    pub fn sentence(&self, limit: Limit) -> String {
        match limit {
            Limit::Time => format!("the code took longer than {:?}", self.time),
            Limit::Memory => format!("the code used more than {} of memory", size(self.memory)),
            Limit::Result => format!("the outputs are larger than {} together", size(self.result)),
            Limit::Output => format!("the code wrote more than {}", size(self.output)),
        }
    }
}

fn size(bytes: usize) -> String {
    match bytes >> 20 {
        mib if bytes > 0 && mib << 20 == bytes => format!("{mib} MiB"),
        _ => format!("{bytes} bytes"),
    }
}
