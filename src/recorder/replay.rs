//! Goes through a run again, by its journal and without doing anything, to show what it did and what its variables were.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::context::Limits;
use engine::date::Date;
use engine::host::{Boxed, Code, Effect, Host, Line, Pause, Wanted};
use engine::plan::Entry;
use engine::run::{Failure, Outcome, Reason};
use engine::storage::Shelf;
use engine::value::{self, Value};
use engine::watch::{Stage, Watch};
use schemars::JsonSchema;
use serde::Serialize;

use super::clock::Clock;
use super::journal::{self, Deed, Journal};
use super::stored::found;
use crate::programs::Programs;
use crate::store::{Detail, Status, Store};
use crate::{Error, runs};

/// The longest that a run is gone through for.
pub const MOST: Duration = Duration::from_secs(10);

/// A step that a run has taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The how-manieth of the run it is, from 1; each try of a step is one of its own.
    pub number: u64,
    /// Its function.
    pub function: String,
    /// Its number in the function.
    pub step: String,
    /// Where it stands in the run: its number, behind those of the calls around it, each with the passes of loops.
    pub key: String,
    /// Its kind.
    pub kind: String,
    /// The line of the program.
    pub line: usize,
    /// How it stands; of a step with others inside it only where those are shown as well.
    pub state: Progress,
    /// Why it failed.
    pub failure: Option<String>,
    /// When what it did outside began, in microseconds since 1970.
    pub began_at: Option<i64>,
    /// When that ended.
    pub ended_at: Option<i64>,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It has begun.
    Begun,
    /// It was done.
    Done,
    /// It failed.
    Failed,
}

/// Some of the steps of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Steps {
    /// The steps, in the order in which they began.
    pub steps: Vec<Step>,
    /// Whether the run has taken more.
    pub more: bool,
}

/// A step of a run, with the variables of its function.
#[derive(Debug, Serialize)]
pub struct Moment {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// All variables before it.
    pub before: value::Record,
    /// All variables after it, if it has ended.
    pub after: Option<value::Record>,
}

/// Where runs are recorded, and what they are held to.
pub struct Record<'a> {
    /// The record.
    pub store: &'a dyn Store,
    /// The programs' versions.
    pub programs: &'a Programs,
    /// What runs may do.
    pub limits: Limits,
}

/// Why a run cannot be shown so.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// It takes too long.
    #[error("going through the run up to there takes longer than {MOST:?}")]
    TooLong,
    /// It is not in the record any more, or cannot be read.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Error {
        match obstacle {
            Obstacle::TooLong => Error::new(obstacle.to_string()),
            Obstacle::Failed(error) => error,
        }
    }
}

/// What is looked for.
struct Look {
    from: u64,
    most: usize,
    with_variables: bool,
    steps: Vec<Step>,
    before: Option<value::Record>,
    after: Option<value::Record>,
    more: bool,
}

/// The steps of a run from a number on, as many as are wanted.
///
/// # Errors
/// See [`Obstacle`].
pub async fn steps(
    record: &Record<'_>,
    run: &Detail,
    from: u64,
    most: usize,
) -> Result<Steps, Obstacle> {
    let look = replay(record, run, look(from, most, false)).await?;
    Ok(Steps {
        steps: look.steps,
        more: look.more,
    })
}

/// One step of a run, with all variables before and after it. Nothing where the run has not come there.
///
/// # Errors
/// See [`Obstacle`].
pub async fn moment(
    record: &Record<'_>,
    run: &Detail,
    number: u64,
) -> Result<Option<Moment>, Obstacle> {
    let mut look = replay(record, run, look(number, 1, true)).await?;
    let step = look.steps.pop();
    Ok(step.zip(look.before).map(|(step, before)| Moment {
        step,
        before,
        after: look.after,
    }))
}

fn look(from: u64, most: usize, with_variables: bool) -> Look {
    Look {
        from,
        most,
        with_variables,
        steps: Vec::new(),
        before: None,
        after: None,
        more: false,
    }
}

async fn replay(record: &Record<'_>, run: &Detail, look: Look) -> Result<Look, Obstacle> {
    if run.summary.started_at.is_none() {
        return Ok(look);
    }
    let program = record
        .programs
        .version(record.store, run.version_id)
        .await?;
    let function = program.plan.functions.get(run.summary.function.as_str());
    let function = function.ok_or_else(|| Error::new("a run's function is not in its program"))?;
    let entry = Entry {
        function,
        variables: runs::inputs(function, &run.inputs)?,
    };
    let clock = Arc::new(Clock::new());
    let replay = Replay {
        store: record.store,
        run,
        journal: Mutex::new(Journal::new(run.seed, true, clock.clone())),
        clock,
        look: Mutex::new(look),
        over: AtomicBool::new(false),
        end: Instant::now() + MOST,
    };
    replay.read_on().await?;
    // It ends where the run did, however long that takes here.
    let limits = Limits {
        time: Duration::MAX,
        steps: u64::MAX,
        ..record.limits
    };
    let outcome = engine::run::watched(&program.plan, entry, &replay, limits, Some(&replay)).await;
    if replay.is_late() {
        return Err(Obstacle::TooLong);
    }
    if let Outcome::Failed(failure) = outcome
        && failure.reason == Reason::Nondeterministic
        && run.summary.reason.as_deref() != Some(Reason::Nondeterministic.name())
    {
        return Err(Error::new(failure.to_string()).into());
    }
    let look = replay.look.into_inner();
    Ok(look.unwrap_or_else(PoisonError::into_inner))
}

/// A run that is gone through again.
struct Replay<'a> {
    store: &'a dyn Store,
    run: &'a Detail,
    journal: Mutex<Journal>,
    clock: Arc<Clock>,
    look: Mutex<Look>,
    /// Whether the run has come to where its record ends, or all that is looked for has been seen.
    over: AtomicBool,
    end: Instant,
}

impl Replay<'_> {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_late(&self) -> bool {
        !self.over.load(Ordering::Relaxed) && Instant::now() > self.end
    }

    /// Ends the run here.
    fn end(&self) -> Failure {
        self.over.store(true, Ordering::Relaxed);
        Failure::new("").because(Reason::Cancelled)
    }

    /// Reads more of the journal, where all that was read has been gone through.
    async fn read_on(&self) -> Result<(), Error> {
        let after = {
            let journal = self.journal();
            journal.wants_more().then_some(journal.read)
        };
        if let Some(after) = after {
            let records = self.store.journal(self.run.summary.id, after).await?;
            self.journal().found(records);
        }
        Ok(())
    }

    /// What came of what the run did at this step.
    async fn told(&self, step: &str, kind: &str) -> Result<Value, Failure> {
        let deed = Deed {
            step,
            kind,
            input: None,
        };
        let record = self.journal().next(&deed)?;
        let Some(record) = record else {
            return Err(self.end());
        };
        let read = self.read_on().await;
        read.map_err(|error| Failure::new(error.to_string()).because(Reason::Nondeterministic))?;
        if let Some(shown) = self.look().steps.last_mut()
            && shown.key == step
        {
            shown.began_at = Some(record.began_at);
            shown.ended_at = record.ended_at;
        }
        match record.status {
            Status::Begun => Err(self.end()),
            Status::Done | Status::Failed => journal::told(&record),
        }
    }
}

impl Watch for Replay<'_> {
    fn begins(&self, stage: &Stage<'_>) -> Result<(), Failure> {
        let beyond = self
            .run
            .steps
            .is_some_and(|steps| stage.number as i64 > steps);
        if beyond || self.over.load(Ordering::Relaxed) {
            return Err(self.end());
        }
        let mut look = self.look();
        if stage.number < look.from {
            return Ok(());
        }
        if look.steps.len() == look.most {
            // One step is looked at to its end, which comes after those inside it.
            if look.with_variables {
                return Ok(());
            }
            look.more = true;
            return Err(self.end());
        }
        look.steps.push(Step {
            number: stage.number,
            function: stage.function.to_owned(),
            step: stage.step.number.to_string(),
            key: stage.key(),
            kind: stage.step.kind.name.to_owned(),
            line: stage.step.line,
            state: Progress::Begun,
            failure: None,
            began_at: None,
            ended_at: None,
        });
        if look.with_variables {
            look.before = Some(stage.variables());
        }
        Ok(())
    }

    fn ends(&self, stage: &Stage<'_>, result: Result<(), &Failure>) {
        let mut look = self.look();
        if self.over.load(Ordering::Relaxed) || stage.number < look.from {
            return;
        }
        let at = look
            .steps
            .binary_search_by_key(&stage.number, |step| step.number);
        let Ok(at) = at else {
            return;
        };
        let step = &mut look.steps[at];
        step.state = match result {
            Ok(()) => Progress::Done,
            Err(_) => Progress::Failed,
        };
        step.failure = result.err().map(|failure| failure.message.clone());
        if look.with_variables {
            look.after = Some(stage.variables());
            self.over.store(true, Ordering::Relaxed);
        }
    }
}

impl Host for Replay<'_> {
    fn log(&self, _: Line<'_>) {}

    fn effect<'e>(
        &'e self,
        effect: Effect<'e>,
        _: Boxed<'e, Result<Value, Failure>>,
    ) -> Boxed<'e, Result<Value, Failure>> {
        Box::pin(async move { self.told(&effect.key, effect.kind).await })
    }

    fn code<'e>(&'e self, _: Code<'e>) -> Boxed<'e, Result<value::Record, Failure>> {
        Box::pin(async { Err(self.end()) })
    }

    fn sleep<'e>(&'e self, pause: Pause<'e>) -> Boxed<'e, Result<(), Failure>> {
        Box::pin(async move { self.told(&pause.key, "sleep").await.map(drop) })
    }

    fn left<'e>(&'e self, wanted: Wanted<'e>) -> Boxed<'e, Result<Option<Value>, Failure>> {
        Box::pin(async move { self.told(&wanted.step, wanted.kind).await.map(found) })
    }

    fn keep(&self, _: Shelf, _: &str, _: Option<&Value>) {}

    fn now(&self) -> Date {
        let mut journal = self.journal();
        if !journal.is_past() {
            self.over.store(true, Ordering::Relaxed);
        }
        Date::Moment(journal.now())
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn random(&self) -> u64 {
        self.journal().random()
    }

    fn cancelled(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.is_late()
    }

    fn took(&self, _: u64) {}
}
