//! What a run asks of the world, and what is recorded of it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::date::Date;
use engine::host::{Boxed, Code, Effect, Host, Line, Logger, Stream};
use engine::run::{Failure, Outcome, Reason};
use engine::value::{Record, Value};
use jiff::Zoned;
use sandbox::isolation::Isolation;
use serde::Serialize;
use tokio::sync::Notify;

use crate::app::App;
use crate::packages::Environment;
use crate::runs::Run;
use crate::store::{self, End, RunId, State, Store};
use crate::{Error, now};

/// The most lines a run's log keeps.
pub const MAX_LINES: u32 = 10_000;
/// The most bytes a run's log keeps.
pub const MAX_LOG: usize = 4 << 20;
/// The longest line a log keeps whole, in bytes.
pub const MAX_LINE: usize = 8 << 10;

/// What stands in the log instead of the first line that is not kept.
const FULL: &str = "the log is full: what the run writes from here on is not kept";

/// How often the log of a run at work is written to the store, and how soon a run without effects is
/// noted there as running.
const FLUSH: Duration = Duration::from_millis(500);

/// Records a run while it is at work.
pub struct Recorder<'a> {
    app: &'a App,
    run: &'a Run,
    stop: Arc<AtomicU8>,
    started: Instant,
    started_at: i64,
    begun: tokio::sync::Mutex<bool>,
    log: Mutex<Log>,
    pieces: AtomicU64,
    /// Whether the run has run code.
    coded: AtomicBool,
}

/// The lines that are not in the store yet, as JSON lines.
#[derive(Default)]
struct Log {
    text: String,
    waiting: u32,
    lines: u32,
    bytes: usize,
    full: bool,
}

#[derive(Serialize)]
struct LogLine<'a> {
    at: i64,
    function: &'a str,
    step: &'a str,
    stream: &'a str,
    text: &'a str,
}

impl<'a> Recorder<'a> {
    /// A recorder of a run that is about to begin.
    pub fn new(app: &'a App, run: &'a Run, stop: Arc<AtomicU8>) -> Recorder<'a> {
        Recorder {
            app,
            run,
            stop,
            started: Instant::now(),
            started_at: now(),
            begun: tokio::sync::Mutex::new(run.begun),
            log: Mutex::default(),
            pieces: AtomicU64::new(0),
            coded: AtomicBool::new(false),
        }
    }

    /// Lets the run work to its end, and keeps the store abreast of one that takes a while. Both go on side
    /// by side, since either may wait for what the other is about to write.
    pub async fn attend(&self, work: impl Future<Output = Outcome>) -> Outcome {
        let ended = Notify::new();
        let work = async {
            let outcome = work.await;
            ended.notify_one();
            outcome
        };
        let writing = async {
            loop {
                tokio::select! {
                    biased;
                    () = ended.notified() => return,
                    () = tokio::time::sleep(FLUSH) => {}
                }
                if let Err(error) = self.keep_abreast().await {
                    tracing::warn!(run = %self.run.id, "the log of a run cannot be written: {error}");
                }
            }
        };
        tokio::join!(work, writing).0
    }

    async fn keep_abreast(&self) -> Result<(), Error> {
        self.begin().await?;
        let (text, lines) = self.take_log();
        if lines > 0 {
            let piece = self.pieces.fetch_add(1, Ordering::Relaxed);
            self.app
                .store
                .append_log(self.run.id, piece as i64, text, lines)
                .await?;
        }
        Ok(())
    }

    /// Notes the run as running, unless it is noted already.
    async fn begin(&self) -> Result<(), Error> {
        let mut begun = self.begun.lock().await;
        if !*begun {
            self.app
                .store
                .begin(self.run.header(Some(self.started_at)))
                .await?;
            *begun = true;
        }
        Ok(())
    }

    /// How far the code of the run was kept apart, if it ran any.
    fn isolation(&self) -> Option<&'static str> {
        let isolation = self.app.codes.isolation();
        isolation
            .filter(|_| self.coded.load(Ordering::Relaxed))
            .map(Isolation::name)
    }

    /// Has the run in the record, before it touches anything outside.
    async fn noted(&self) -> Result<(), Failure> {
        let noted = self.begin().await;
        noted.map_err(|error| Failure::new(error.to_string()))
    }

    fn take_log(&self) -> (String, u32) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        (
            std::mem::take(&mut log.text),
            std::mem::take(&mut log.waiting),
        )
    }

    /// Records how the run ended.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn finish(&self, outcome: &Outcome) -> Result<(), Error> {
        let (log, log_lines) = self.take_log();
        let (state, reason, answer) = recorded(outcome);
        let end = End {
            state,
            reason,
            answer,
            log,
            log_lines,
            isolation: self.isolation(),
            ended_at: now(),
        };
        if !*self.begun.lock().await {
            let run = self.run.header(Some(self.started_at));
            return Ok(self.app.store.record(run, end).await?);
        }
        let written = self.app.store.finish(self.run.id, end.clone()).await;
        if written.is_err() {
            tokio::spawn(persist(self.app.store.clone(), self.run.id, end));
        }
        Ok(written?)
    }
}

/// Writes the end of a run that the store knows as running until it can be written: nothing else would
/// end the run before the server starts again.
async fn persist(store: Arc<dyn Store>, id: RunId, end: End) {
    loop {
        tokio::time::sleep(AGAIN).await;
        match store.finish(id, end.clone()).await {
            Ok(()) => return tracing::info!(run = %id, "the outcome of a run is recorded now"),
            Err(store::Error::Closed | store::Error::Conflict(_)) => return,
            Err(_) => {}
        }
    }
}

/// How long after a failure the end of a run is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// An outcome as the store keeps it.
fn recorded(outcome: &Outcome) -> (State, Option<String>, String) {
    match outcome {
        Outcome::Succeeded(values) => (
            State::Succeeded,
            None,
            serde_json::to_string(values).unwrap_or_default(),
        ),
        Outcome::Failed(failure) => (
            State::Failed,
            Some(word(failure.reason)),
            failure_json(failure),
        ),
        Outcome::Cancelled(failure) => (
            State::Cancelled,
            Some(word(failure.reason)),
            failure_json(failure),
        ),
    }
}

fn failure_json(failure: &Failure) -> String {
    serde_json::to_string(failure).unwrap_or_default()
}

fn word(reason: Reason) -> String {
    match reason {
        Reason::Error => "error",
        Reason::Timeout => "timeout",
        Reason::Limit => "limit",
        Reason::Cancelled => "cancelled",
        Reason::Interrupted => "interrupted",
    }
    .to_owned()
}

/// The name of a stream in the log.
pub fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Print => "print",
        Stream::Out => "out",
        Stream::Error => "err",
        Stream::Note => "note",
    }
}

impl Log {
    /// Keeps a line as long as there is room; the first that there is none for leaves a note.
    fn add(&mut self, line: &LogLine<'_>) {
        if self.full {
            return;
        }
        self.bytes += line.text.len();
        self.full = self.lines >= MAX_LINES || self.bytes > MAX_LOG;
        let line = match self.full {
            true => &LogLine {
                stream: stream_name(Stream::Note),
                text: FULL,
                ..*line
            },
            false => line,
        };
        self.text
            .push_str(&serde_json::to_string(line).unwrap_or_default());
        self.text.push('\n');
        self.waiting += 1;
        self.lines += 1;
    }
}

impl Host for Recorder<'_> {
    fn log(&self, line: Line<'_>) {
        let cut;
        let text = match line.text.len() > MAX_LINE {
            false => line.text,
            true => {
                let end = line.text.floor_char_boundary(MAX_LINE);
                cut = format!("{} … (the rest of the line is left out)", &line.text[..end]);
                &cut
            }
        };
        let (function, step) = line.step;
        let kept = LogLine {
            at: now(),
            function,
            step,
            stream: stream_name(line.stream),
            text,
        };
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&kept);
        if let Some(watch) = &self.app.watch {
            watch(line.stream, line.text);
        }
    }

    fn effect<'e>(
        &'e self,
        effect: Effect<'e>,
        work: Boxed<'e, Result<Value, Failure>>,
    ) -> Boxed<'e, Result<Value, Failure>> {
        Box::pin(async move {
            // JavaScript touches nothing outside until it fetches.
            if effect.kind != "javascript" {
                self.noted().await?;
            }
            let left = effect.deadline.saturating_sub(self.elapsed());
            tokio::select! {
                result = work => result,
                () = tokio::time::sleep(left) => Err(Failure::new("").because(Reason::Timeout)),
                () = self.stopped() => Err(Failure::new("the run was cancelled").because(Reason::Cancelled)),
            }
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
            let begin = || -> Boxed<'_, Result<(), Failure>> { Box::pin(self.noted()) };
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

    fn sleep(&self, time: Duration) -> Boxed<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn now(&self) -> Date {
        Date::Moment(Zoned::now())
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_default()
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }
}

impl Recorder<'_> {
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

    /// Waits until the run is told to stop.
    async fn stopped(&self) {
        loop {
            let told = self.app.ended.notified();
            if self.cancelled() {
                return;
            }
            told.await;
        }
    }
}
