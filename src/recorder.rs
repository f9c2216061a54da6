//! What a run asks of the world, and what is recorded of it.

mod clock;
mod effects;
mod journal;
mod log;
pub mod replay;
mod stored;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use engine::date::Date;
use engine::host::{Boxed, Code, Effect, Host, Line, Logger, Pause, Wanted};
use engine::run::{Failure, Outcome, Reason};
use engine::storage::Shelf;
use engine::value::{Record, Value};
use sandbox::isolation::Isolation;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, OwnedSemaphorePermit};

pub use self::journal::{MAX_BYTES, MAX_RECORDS};
pub use self::log::{MAX_LINE, MAX_LINES, MAX_LOG, stream_name};

use self::clock::Clock;
use self::journal::{Deed, Journal};
pub use self::log::LogLine;

use self::log::Log;
use self::stored::Kept;
use crate::app::App;
use crate::packages::Environment;
use crate::runs::{Run, Stop};
use crate::store::{self, End, Hold, Leave, Made, State, StepRecord, Store};
use crate::traces::Trace;
use crate::{Error, fault, now};

/// How often the log of a run at work is written to the store, and how soon a run without effects is
/// noted there as running.
const FLUSH: Duration = Duration::from_millis(500);
/// Records a run while it is at work.
pub struct Recorder<'a> {
    app: &'a App,
    run: &'a Run,
    stop: Arc<AtomicU8>,
    /// What it belongs to in a trace, if anything.
    trace: Option<Trace>,
    started_at: i64,
    /// How the run is held in the store; nothing as long as the store does not know it. Whoever writes keeps it locked.
    hold: tokio::sync::Mutex<Option<Hold>>,
    clock: Arc<Clock>,
    progress: Mutex<Progress>,
    /// The run's place among those at work.
    slot: Mutex<Option<OwnedSemaphorePermit>>,
    /// Told when there is something that is to be written soon.
    news: Notify,
    /// Told when the run is to be left as it is.
    gone: Notify,
    /// Whether the run has run code.
    coded: AtomicBool,
}

/// How far a run is.
struct Progress {
    journal: Journal,
    log: Log,
    /// How many lines of the log came after the last record and come again when the run is gone through again.
    loose: u32,
    /// How many of those the store has already, as long as no record has been added: the run may be left before it has come to
    /// them again.
    known: u32,
    /// How many lines of the log have come already that come again now.
    again: u32,
    /// Whether something is being done outside of the run.
    at_work: bool,
    /// What the run keeps for those after it, if it succeeds.
    kept: Kept,
    /// How many steps it took, once it has ended.
    steps: Option<i64>,
    /// The trace that belongs to what is being done outside.
    trace: Option<Trace>,
}

/// What came of a run that was at work.
pub enum Attended {
    /// It ended so.
    Ended(Outcome),
    /// It is not ours any more: it waits, or somebody else goes on with it.
    Left,
}

impl<'a> Recorder<'a> {
    /// A recorder of a run that is about to begin, or to go on once its journal has been read.
    pub fn new(
        app: &'a App,
        run: &'a Run,
        (stop, trace): (Arc<AtomicU8>, Option<Trace>),
        slot: OwnedSemaphorePermit,
    ) -> Recorder<'a> {
        let before = run.hold.is_some_and(|hold| hold.fence > 1);
        let clock = Arc::new(Clock::new());
        Recorder {
            trace,
            app,
            run,
            stop,
            started_at: run.started_at.unwrap_or_else(now),
            hold: tokio::sync::Mutex::new(run.hold),
            progress: Mutex::new(Progress {
                journal: Journal::new(run.seed, before, clock.clone()),
                log: Log::after(run.log_lines),
                loose: 0,
                known: run.loose,
                again: 0,
                at_work: false,
                kept: Kept::default(),
                steps: None,
                trace: None,
            }),
            clock,
            slot: Mutex::new(Some(slot)),
            news: Notify::new(),
            gone: Notify::new(),
            coded: AtomicBool::new(false),
        }
    }

    /// Lets the run work to its end, and keeps the store abreast of one that takes a while. Both go on side
    /// by side, since either may wait for what the other is about to write. Work that is left is dropped at once: it may
    /// stand before the other in a line.
    pub async fn attend(&self, mut work: impl Future<Output = Outcome> + Unpin) -> Attended {
        // Most runs end before anything else could be done.
        if let Poll::Ready(outcome) = futures_util::poll!(&mut work) {
            return Attended::Ended(outcome);
        }
        let ended = Notify::new();
        let work = async {
            let attended = tokio::select! {
                biased;
                outcome = work => Attended::Ended(outcome),
                () = self.gone.notified() => Attended::Left,
            };
            ended.notify_one();
            attended
        };
        let writing = async {
            loop {
                let drains = self.app.drains.notified();
                if self.stands_aside().await {
                    return;
                }
                tokio::select! {
                    biased;
                    () = ended.notified() => return,
                    () = self.news.notified() => {}
                    () = drains => {}
                    () = tokio::time::sleep(FLUSH) => {}
                }
                if let Err(error) = self.write().await {
                    tracing::warn!(run = %self.run.id, "the journal of a run cannot be written: {error}");
                }
            }
        };
        tokio::join!(work, Box::pin(writing)).0
    }

    /// Leaves the run to the next server when this one stops, unless it is in the middle of something.
    async fn stands_aside(&self) -> bool {
        let drains = self.run.resumes && self.app.draining.load(Ordering::Relaxed);
        drains && !self.progress().at_work && self.leave(Leave::Released).await.is_ok()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the store does not have yet; a run that it does not know it knows afterwards.
    async fn write(&self) -> Result<(), store::Error> {
        let mut hold = self.hold.lock().await;
        let hold = match *hold {
            Some(hold) => hold,
            None => {
                let run = self.run.header(Some(self.started_at));
                let node = self.app.node;
                self.app.store.begin(run, Some(node)).await?;
                self.app.written.notify_waiters();
                *hold.insert(Hold {
                    run: self.run.id,
                    node,
                    fence: 1,
                })
            }
        };
        let made = Arc::new(self.progress().take());
        if made.records.is_empty() && made.log_lines == 0 {
            return Ok(());
        }
        let written = self.app.store.append(hold, made.clone()).await;
        if !made.records.is_empty() {
            fault::at("step.after_record");
        }
        match &written {
            Err(store::Error::Lost) => self.gone.notify_one(),
            Err(_) => self.progress().give_back(made),
            Ok(()) => self.app.written.notify_waiters(),
        }
        written
    }

    /// Has everything in the record that the run has done so far, before it does anything else outside.
    async fn settled(&self) -> Result<(), Failure> {
        match self.write().await {
            Ok(()) => Ok(()),
            Err(store::Error::Lost) => std::future::pending().await,
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }

    /// Lets go of the run in the store, and has it left as it is.
    async fn leave(&self, how: Leave) -> Result<(), store::Error> {
        let hold = self.hold.lock().await;
        let Some(held) = *hold else {
            return Err(store::Error::Lost);
        };
        let made = Arc::new(self.progress().take());
        match self.app.store.leave(held, made.clone(), how).await {
            Ok(()) | Err(store::Error::Lost) => {
                self.app.wake.notify_one();
                self.gone.notify_one();
                Ok(())
            }
            Err(error) => {
                self.progress().give_back(made);
                Err(error)
            }
        }
    }

    /// When the run first began, in microseconds since 1970.
    pub fn started_at(&self) -> i64 {
        self.started_at
    }

    /// How far the code of the run was kept apart, if it ran any.
    fn isolation(&self) -> Option<&'static str> {
        let isolation = self.app.codes.isolation();
        isolation
            .filter(|_| self.coded.load(Ordering::Relaxed))
            .map(Isolation::name)
    }

    /// Records how the run ended, with what it keeps for those after it, and gives that outcome; nothing where the run was
    /// not ours to end any more. A run that would keep more than it may has failed.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn finish(&self, outcome: Outcome) -> Result<Option<Outcome>, Error> {
        let ended_at = now();
        let (made, kept, steps) = {
            let mut progress = self.progress();
            let last = progress.journal.end(ended_at);
            last.into_iter().for_each(|record| progress.add(record));
            (
                Arc::new(progress.take()),
                progress.kept.take(),
                progress.steps,
            )
        };
        let end = End {
            stored: match &outcome {
                Outcome::Succeeded(_) => kept,
                Outcome::Failed(_) | Outcome::Cancelled(_) => Vec::new(),
            },
            steps,
            ..ended(&outcome, self.isolation(), ended_at)
        };
        match self.end(made.clone(), end).await {
            Ok(()) => Ok(Some(outcome)),
            Err(store::Error::Lost) => Ok(None),
            Err(error @ store::Error::Overfull) => {
                let outcome = overfull(&error);
                let end = End {
                    steps,
                    ..ended(&outcome, self.isolation(), ended_at)
                };
                self.end(made, end).await?;
                Ok(Some(outcome))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an outcome. Where that fails for now, it goes on trying to.
    async fn end(&self, made: Arc<Made>, end: End) -> Result<(), store::Error> {
        let Some(hold) = *self.hold.lock().await else {
            let run = self.run.header(Some(self.started_at));
            return self.app.store.record(run, made, end).await;
        };
        let how = Leave::Ended(end);
        fault::at("finish.before_commit");
        let left = self.app.store.leave(hold, made.clone(), how.clone()).await;
        fault::at("finish.after_commit");
        if let Err(error) = &left
            && !matches!(error, store::Error::Lost | store::Error::Overfull)
        {
            tokio::spawn(persist(self.app.store.clone(), hold, made, how));
        }
        left
    }

    /// What code imports, where it names packages; it is installed if need be.
    async fn packages(&self, wanted: &[String]) -> Result<Option<Arc<Environment>>, Failure> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let python = self.app.codes.python().await.map_err(Failure::new)?;
        let ready = self
            .app
            .packages
            .ready(python, wanted, self.run.program.packages());
        ready.await.map(Some).map_err(Failure::new)
    }

    /// Waits until the run is told to stop. One that the next server goes on with is left to it.
    async fn stopped(&self) {
        loop {
            let told = self.app.ended.notified();
            let stop = self.stop.load(Ordering::Relaxed);
            if stop == Stop::Server as u8 && self.run.resumes {
                if self.leave(Leave::Released).await.is_ok() {
                    std::future::pending::<()>().await;
                }
                return;
            }
            if stop != 0 {
                return;
            }
            told.await;
        }
    }
}

impl Progress {
    /// What the store does not have yet.
    fn take(&mut self) -> Made {
        Made {
            records: self.journal.take(),
            log: std::mem::take(&mut self.log.text),
            log_lines: std::mem::take(&mut self.log.waiting),
            loose: self.loose.max(self.known),
        }
    }

    /// Adds a record. What came in the log before it does not come again.
    fn add(&mut self, record: StepRecord) {
        self.journal.add(record);
        (self.loose, self.known) = (0, 0);
    }

    /// Takes back what could not be written.
    fn give_back(&mut self, made: Arc<Made>) {
        let made = Arc::unwrap_or_clone(made);
        self.journal.give_back(made.records);
        self.log.text.insert_str(0, &made.log);
        self.log.waiting += made.log_lines;
    }

    /// Begins to do what is new, where so many lines of the log that come next have come before.
    fn goes_live(&mut self, again: u32) {
        self.again = again;
        self.loose = 0;
    }

    /// Keeps a line, unless it came when the run was gone through before.
    fn line(&mut self, line: &LogLine<'_>) -> bool {
        if self.journal.is_past() {
            return false;
        }
        if !self.at_work {
            self.loose += 1;
            if self.again > 0 {
                self.again -= 1;
                return false;
            }
        }
        self.log.add(line);
        true
    }
}

impl Host for Recorder<'_> {
    fn log(&self, line: Line<'_>) {
        let (function, step) = line.step;
        let kept = LogLine {
            at: now(),
            function,
            step,
            stream: stream_name(line.stream),
            text: line.text,
        };
        if self.progress().line(&kept)
            && let Some(watch) = &self.app.watch
        {
            watch(line.stream, line.text);
        }
    }

    fn effect<'e>(
        &'e self,
        effect: Effect<'e>,
        work: Boxed<'e, Result<Value, Failure>>,
    ) -> Boxed<'e, Result<Value, Failure>> {
        Box::pin(async move {
            let deed = Deed {
                step: &effect.key,
                kind: effect.kind,
                input: self.run.resumes.then(|| hash(&effect.input)),
            };
            self.perform(&effect, &deed, work).await
        })
    }

    fn code<'e>(&'e self, code: Code<'e>) -> Boxed<'e, Result<Record, Failure>> {
        let logger = Logger::new(self, code.step);
        self.coded.store(true, Ordering::Relaxed);
        let limit = match code.timeout {
            Some(_) => Duration::MAX,
            None => self.app.config.code_time,
        };
        Box::pin(async move {
            let environment = self.packages(code.asked.packages).await?;
            let account = self.run.program.account;
            let begin = || -> Boxed<'_, Result<Vec<(String, String)>, Failure>> {
                Box::pin(async {
                    self.noted().await?;
                    let progress = self.progress();
                    Ok(progress
                        .trace
                        .as_ref()
                        .map(Trace::headers)
                        .unwrap_or_default())
                })
            };
            let ran = self
                .app
                .codes
                .run(account, code, environment, (logger, &begin));
            tokio::time::timeout(limit, ran).await.unwrap_or_else(|_| {
                let message = format!(
                    "the code took longer than {limit:?}; the step's `timeout` can give it more"
                );
                Err(Failure::new(message).because(Reason::Timeout))
            })
        })
    }

    fn sleep<'e>(&'e self, pause: Pause<'e>) -> Boxed<'e, Result<(), Failure>> {
        Box::pin(async move { self.wait(&pause).await })
    }

    fn left<'e>(&'e self, wanted: Wanted<'e>) -> Boxed<'e, Result<Option<Value>, Failure>> {
        Box::pin(async move { self.left_before(&wanted).await })
    }

    fn keep(&self, shelf: Shelf, key: &str, value: Option<&Value>) {
        self.progress().kept.set(shelf, key, value);
    }

    fn now(&self) -> Date {
        Date::Moment(self.progress().journal.now())
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn random(&self) -> u64 {
        self.progress().journal.random()
    }

    fn cancelled(&self) -> bool {
        match self.stop.load(Ordering::Relaxed) {
            0 => false,
            // One that the next server goes on with stops where it next waits.
            stop => stop != Stop::Server as u8 || !self.run.resumes,
        }
    }

    fn took(&self, steps: u64) {
        self.progress().steps = i64::try_from(steps).ok();
    }
}

/// A hash of what something depends on.
fn hash(input: &Value) -> [u8; 32] {
    let mut hash = Hashed(Sha256::new());
    let _ = serde_json::to_writer(&mut hash, input);
    hash.0.finalize().into()
}

/// Takes in what is written.
struct Hashed(Sha256);

impl std::io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lets go of a run that is held until that can be written: nothing else would end the run, or have it gone on with,
/// before the server starts again.
pub async fn persist(store: Arc<dyn Store>, hold: Hold, made: Arc<Made>, mut how: Leave) {
    loop {
        tokio::time::sleep(AGAIN).await;
        match store.leave(hold, made.clone(), how.clone()).await {
            Ok(()) => {
                return tracing::info!(run = %hold.run, "what became of a run is recorded now");
            }
            Err(store::Error::Closed | store::Error::Lost) => return,
            Err(error @ store::Error::Overfull) => {
                if let Leave::Ended(end) = &how {
                    let failed = ended(&overfull(&error), end.isolation, end.ended_at);
                    let steps = end.steps;
                    how = Leave::Ended(End { steps, ..failed });
                }
            }
            Err(_) => {}
        }
    }
}

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How a run ends that would keep more than it may.
fn overfull(error: &store::Error) -> Outcome {
    Outcome::Failed(Failure::new(error.to_string()).because(Reason::Limit))
}

/// An outcome as the store keeps it.
fn ended(outcome: &Outcome, isolation: Option<&'static str>, ended_at: i64) -> End {
    let (state, failure) = match outcome {
        Outcome::Succeeded(_) => (State::Succeeded, None),
        Outcome::Failed(failure) => (State::Failed, Some(failure)),
        Outcome::Cancelled(failure) => (State::Cancelled, Some(failure)),
    };
    let answer = match outcome {
        Outcome::Succeeded(values) => serde_json::to_string(values),
        Outcome::Failed(failure) | Outcome::Cancelled(failure) => serde_json::to_string(failure),
    };
    End {
        state,
        reason: failure.map(|failure| failure.reason.name().to_owned()),
        answer: answer.unwrap_or_default(),
        isolation,
        steps: None,
        stored: Vec::new(),
        ended_at,
    }
}
