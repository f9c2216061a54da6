//! What a run has done outside of itself: the part of its journal that it goes through again, and the part that it makes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::run::{Failure, Reason};
use engine::value::Value;
use jiff::Zoned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clock::Clock;
use crate::store::{Status, StepRecord};

/// The most records in the journal of a run.
pub const MAX_RECORDS: i64 = 50_000;
/// The most bytes of outputs in the journal of a run.
pub const MAX_BYTES: usize = 64 << 20;

/// The journal of a run at work.
pub(super) struct Journal {
    seed: i64,
    randoms: u64,
    /// Records to go through again, the next first. As long as there are any, the run does nothing.
    past: VecDeque<StepRecord>,
    /// The times that the run was told before the first of them.
    told: VecDeque<String>,
    /// The number of the last record read, and whether the store may have more.
    pub read: i64,
    pub more: bool,
    /// The number of the last record that the run has gone through or made.
    last: i64,
    bytes: usize,
    /// Records that the store does not have yet.
    fresh: Vec<StepRecord>,
    /// The times that the run was told since the last record.
    times: Vec<String>,
    clock: Arc<Clock>,
    /// Whether the run has asked for something that is not recorded where it should be.
    astray: bool,
}

/// Something that a run does, before it is recorded.
pub(super) struct Deed<'a> {
    pub step: &'a str,
    pub kind: &'a str,
    pub input: Option<[u8; 32]>,
}

/// A failure as the journal keeps it.
#[derive(Deserialize, Serialize)]
struct Kept {
    message: String,
    reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceback: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl Journal {
    /// A journal without records, which may be in the store, of a run with this clock.
    pub fn new(seed: i64, more: bool, clock: Arc<Clock>) -> Journal {
        Journal {
            seed,
            randoms: 0,
            past: VecDeque::new(),
            told: VecDeque::new(),
            read: 0,
            more,
            last: 0,
            bytes: 0,
            fresh: Vec::new(),
            times: Vec::new(),
            clock,
            astray: false,
        }
    }

    /// Takes in records that the store has.
    pub fn found(&mut self, records: Vec<StepRecord>) {
        self.more = !records.is_empty();
        self.read = records.last().map_or(self.read, |record| record.number);
        self.bytes += records.iter().map(size).sum::<usize>();
        let first = self.past.is_empty();
        self.past.extend(records);
        if first {
            self.look(Duration::ZERO);
        }
    }

    /// Makes ready for the next record, or for doing what is new, where the run has taken so long.
    fn look(&mut self, taken: Duration) {
        match self.past.is_empty() {
            true => self.clock.go_on(taken),
            false => self.clock.stand(taken),
        }
        let times = self.past.front().map(|record| record.times.as_str());
        let times = times.filter(|times| !times.is_empty());
        self.told = times
            .and_then(|times| serde_json::from_str(times).ok())
            .unwrap_or_default();
    }

    /// Whether records are gone through again.
    pub fn is_past(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether the records that were read have all been gone through, and there may be more.
    pub fn wants_more(&self) -> bool {
        self.past.is_empty() && self.more
    }

    /// The time, as it was when the run was gone through before.
    pub fn now(&mut self) -> Zoned {
        if self.past.is_empty() {
            let now = Zoned::now();
            if !self.is_full() {
                let told = now.to_string();
                self.bytes += told.len();
                self.times.push(told);
            }
            return now;
        }
        let told = self.told.pop_front().and_then(|told| told.parse().ok());
        told.unwrap_or_else(|| {
            self.astray = true;
            Zoned::now()
        })
    }

    /// A random number, as it was when the run was gone through before.
    pub fn random(&mut self) -> u64 {
        self.randoms += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.randoms.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        u64::from_be_bytes(hash[..8].try_into().unwrap_or_default())
    }

    /// The record of what the run is about to do, if it has been there before.
    ///
    /// # Errors
    /// That the record is of something else.
    pub fn next(&mut self, deed: &Deed<'_>) -> Result<Option<StepRecord>, Failure> {
        let Some(record) = self.past.pop_front() else {
            return Ok(None);
        };
        let other = record.input.is_some() && deed.input.is_some() && record.input != deed.input;
        let strayed = self.astray || !self.told.is_empty();
        if strayed || record.step != deed.step || record.kind != deed.kind || other {
            let message = format!(
                "the journal of the run has {} at {} as its record {}, and the run is at {} at {} or has other \
                 variables there, so it cannot be gone on with",
                record.kind, record.step, record.number, deed.kind, deed.step
            );
            return Err(Failure::new(message).because(Reason::Nondeterministic));
        }
        self.last = record.number;
        self.look(Duration::from_micros(record.clock as u64));
        Ok(Some(record))
    }

    /// Whether the journal takes no more records.
    pub fn is_full(&self) -> bool {
        self.last >= MAX_RECORDS || self.bytes >= MAX_BYTES
    }

    /// Notes that something is about to begin, and gives the record.
    pub fn begin(&mut self, deed: &Deed<'_>, began_at: i64, output: String) -> StepRecord {
        let record = StepRecord {
            number: self.last + 1,
            step: deed.step.to_owned(),
            kind: deed.kind.to_owned(),
            status: Status::Begun,
            input: deed.input,
            output,
            times: self.take_times(),
            clock: self.clock.elapsed().as_micros() as i64,
            began_at,
            ended_at: None,
        };
        self.last = record.number;
        record
    }

    /// Adds a record that the store does not have, or not as it is now.
    pub fn add(&mut self, record: StepRecord) {
        self.bytes += size(&record);
        self.fresh.push(record);
    }

    /// The records that the store does not have.
    pub fn take(&mut self) -> Vec<StepRecord> {
        std::mem::take(&mut self.fresh)
    }

    /// Takes records back that could not be written.
    pub fn give_back(&mut self, mut records: Vec<StepRecord>) {
        records.append(&mut self.fresh);
        self.fresh = records;
    }

    /// The last times that the run was told, as a record, if there are any.
    pub fn end(&mut self, now: i64) -> Option<StepRecord> {
        if self.times.is_empty() || self.is_full() {
            return None;
        }
        let deed = Deed {
            step: "",
            kind: "end",
            input: None,
        };
        let record = self.begin(&deed, now, "null".to_owned());
        Some(StepRecord {
            status: Status::Done,
            ended_at: Some(now),
            ..record
        })
    }

    fn take_times(&mut self) -> String {
        match self.times.is_empty() {
            true => String::new(),
            false => serde_json::to_string(&std::mem::take(&mut self.times)).unwrap_or_default(),
        }
    }
}

fn size(record: &StepRecord) -> usize {
    record.output.len() + record.times.len()
}

/// What came of something, as the journal keeps it.
pub(super) fn kept(result: &Result<Value, Failure>) -> (Status, String) {
    match result {
        Ok(value) => (Status::Done, value.to_json()),
        Err(failure) => {
            let kept = Kept {
                message: failure.message.clone(),
                reason: failure.reason,
                traceback: failure.traceback.clone(),
                line: failure.line,
            };
            let kept = serde_json::to_string(&kept).unwrap_or_default();
            (Status::Failed, kept)
        }
    }
}

/// What a record says came of it.
pub(super) fn told(record: &StepRecord) -> Result<Value, Failure> {
    let unreadable = |why: String| {
        let message = format!(
            "record {} of the journal cannot be read: {why}",
            record.number
        );
        Failure::new(message).because(Reason::Nondeterministic)
    };
    match record.status {
        Status::Failed => {
            let kept: Kept = serde_json::from_str(&record.output)
                .map_err(|error| unreadable(error.to_string()))?;
            Err(Failure {
                message: kept.message,
                reason: kept.reason,
                at: None,
                traceback: kept.traceback,
                line: kept.line,
            })
        }
        _ => match record.output.starts_with('{') {
            // The members of an object are values of their own.
            true => engine::json::record(&record.output).map(Value::from),
            false => Value::from_json(&record.output),
        }
        .map_err(unreadable),
    }
}
