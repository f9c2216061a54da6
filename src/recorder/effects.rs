//! What a run does outside of itself: done now, or done when the run was gone through before.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::host::{Boxed, Effect, Pause};
use engine::retry::OnLost;
use engine::run::{Failure, Reason};
use engine::value::Value;

use super::Recorder;
use super::journal::{self, Deed, MAX_BYTES, MAX_RECORDS};
use crate::store::{Leave, Status, StepRecord};
use crate::{Error, fault, now};

/// How long a pause must be for the run to be put aside in the store.
const PARKED: Duration = Duration::from_secs(5);
/// How long a pause must be for the run to give its place to another one.
const STEPS_ASIDE: Duration = Duration::from_millis(50);

impl Recorder<'_> {
    /// Reads more of the journal, where all that was read has been gone through.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read_on(&self) -> Result<(), Error> {
        let wanted = {
            let mut progress = self.progress();
            let wanted = progress.journal.wants_more();
            if !progress.journal.is_past() && !wanted {
                progress.goes_live(0);
            }
            wanted.then_some(progress.journal.read)
        };
        let Some(after) = wanted else { return Ok(()) };
        let records = self.app.store.journal(self.run.id, after).await?;
        let mut progress = self.progress();
        progress.journal.found(records);
        if !progress.journal.is_past() {
            progress.goes_live(self.run.loose);
        }
        Ok(())
    }

    /// What the journal has of what the run is about to do, if the run has been there before.
    pub(super) async fn past(&self, deed: &Deed<'_>) -> Result<Option<StepRecord>, Failure> {
        let record = self.progress().journal.next(deed)?;
        if record.is_some() {
            let read = self.read_on().await;
            read.map_err(|error| {
                Failure::new(error.to_string()).because(Reason::Nondeterministic)
            })?;
        }
        Ok(record)
    }

    /// Adds a record of what has come to its end, which is to be written soon.
    fn add(&self, record: StepRecord, result: &Result<Value, Failure>) {
        self.note(record, result);
        if self.run.resumes {
            self.news.notify_one();
        }
    }

    /// Adds a record of what has come to its end.
    pub(super) fn note(&self, record: StepRecord, result: &Result<Value, Failure>) {
        let (status, output) = journal::kept(result);
        let mut progress = self.progress();
        let clock = self.clock.elapsed().as_micros() as i64;
        if self.run.resumes || !progress.journal.is_full() {
            progress.add(StepRecord {
                status,
                output,
                clock,
                ended_at: Some(now()),
                ..record
            });
        }
        progress.at_work = false;
    }

    /// Does what is new, and has it recorded.
    pub(super) async fn perform(
        &self,
        effect: &Effect<'_>,
        deed: &Deed<'_>,
        work: Boxed<'_, Result<Value, Failure>>,
    ) -> Result<Value, Failure> {
        let record = match self.past(deed).await? {
            None => None,
            Some(record) if record.status != Status::Begun => return journal::told(&record),
            Some(record) => match effect.lost {
                OnLost::Retry => Some(record),
                OnLost::Skip => return self.lost(record, Ok(Value::Nothing)),
                OnLost::Fail => {
                    let message = "the server stopped while this step was at work, so it is not known whether it was \
                                   done, and it is not to be done twice";
                    let failure = Failure::new(message).because(Reason::OutcomeUnknown);
                    return self.lost(record, Err(failure));
                }
            },
        };
        let record = self.about(effect, deed, record).await?;
        let left = effect.deadline.saturating_sub(self.clock.elapsed());
        let mut told = self
            .app
            .traces
            .step(self.trace.as_ref(), effect.kind, &effect.key);
        self.progress().trace = told.trace().cloned();
        let result = tokio::select! {
            result = work => result,
            () = tokio::time::sleep(left) => Err(Failure::new("").because(Reason::Timeout)),
            () = self.stopped() => Err(Failure::new("the run was cancelled").because(Reason::Cancelled)),
        };
        fault::at("step.after_effect");
        if let Err(failure) = &result {
            told.failed(failure.reason.name());
        }
        self.add(record, &result);
        result
    }

    /// Settles what becomes of something that may have been done.
    fn lost(&self, record: StepRecord, result: Result<Value, Failure>) -> Result<Value, Failure> {
        self.add(record, &result);
        result
    }

    /// Gets ready for doing something: all before it is recorded, and it is too, where it must not be done twice.
    async fn about(
        &self,
        effect: &Effect<'_>,
        deed: &Deed<'_>,
        record: Option<StepRecord>,
    ) -> Result<StepRecord, Failure> {
        self.room()?;
        if self.run.resumes {
            self.settled().await?;
            if self.app.draining.load(Ordering::Relaxed)
                && self.leave(Leave::Released).await.is_ok()
            {
                std::future::pending::<()>().await;
            }
        } else if effect.kind != "javascript" {
            // JavaScript touches nothing outside until it fetches.
            self.noted().await?;
        }
        let marked = record.is_some();
        let record = match record {
            Some(record) => record,
            None => {
                let mut progress = self.progress();
                progress.journal.begin(deed, now(), "null".to_owned())
            }
        };
        if effect.lost != OnLost::Retry && self.run.resumes && !marked {
            fault::at("step.before_intent");
            self.progress().add(record.clone());
            self.settled().await?;
            fault::at("step.after_intent");
        }
        self.progress().at_work = true;
        Ok(record)
    }

    /// Makes sure that one more record can be kept.
    pub(super) fn room(&self) -> Result<(), Failure> {
        if !self.run.resumes || !self.progress().journal.is_full() {
            return Ok(());
        }
        let message = format!(
            "the run has done {MAX_RECORDS} things outside of itself, or their results come to more than {} MiB; \
             nothing more can be recorded",
            MAX_BYTES >> 20
        );
        Err(Failure::new(message).because(Reason::Limit))
    }

    /// Has the run in the record, before it touches anything outside.
    pub(super) async fn noted(&self) -> Result<(), Failure> {
        if self.hold.lock().await.is_some() {
            return Ok(());
        }
        self.settled().await
    }

    /// Lets time pass, as a record says or as it should from now on.
    pub(super) async fn wait(&self, pause: &Pause<'_>) -> Result<(), Failure> {
        let deed = Deed {
            step: &pause.key,
            kind: "sleep",
            input: None,
        };
        let record = match self.past(&deed).await? {
            Some(record) if record.status != Status::Begun => {
                return journal::told(&record).map(drop);
            }
            Some(record) => record,
            None => {
                self.room()?;
                let mut progress = self.progress();
                progress.journal.begin(&deed, now(), "null".to_owned())
            }
        };
        let clock = Duration::from_micros(record.clock as u64);
        let left = pause.deadline.saturating_sub(clock);
        let time = pause.time.min(left);
        let wake = record.began_at.saturating_add(micros(time));
        let apart = Duration::from_micros((wake - now()).max(0) as u64);
        if self.run.resumes && apart >= PARKED {
            self.put_aside(&record, wake).await;
        }
        let result = self.sleep_out(apart).await;
        let result = result.and_then(|()| match pause.time > left {
            true => Err(Failure::new("").because(Reason::Timeout)),
            false => Ok(Value::Nothing),
        });
        self.clock.go_on(clock + time);
        self.add(record, &result);
        result.map(drop)
    }

    /// Puts the run aside until then. Where that cannot be recorded, it goes on waiting here.
    async fn put_aside(&self, record: &StepRecord, wake: i64) {
        if self.write().await.is_err() {
            return;
        }
        self.progress().add(record.clone());
        fault::at("park.before_commit");
        if self.leave(Leave::Until(wake)).await.is_ok() {
            fault::at("park.after_commit");
            std::future::pending::<()>().await;
        }
    }

    /// Sleeps, and lets another run have the place meanwhile.
    async fn sleep_out(&self, time: Duration) -> Result<(), Failure> {
        let slot = || self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let aside = time >= STEPS_ASIDE && slot().take().is_some();
        let slept = tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.stopped() => Err(Failure::new("the run was cancelled").because(Reason::Cancelled)),
        };
        if aside {
            *slot() = self.app.slots.clone().acquire_owned().await.ok();
        }
        slept
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
