//! The one door: every call, from the API, the queue or the command line, becomes a run here.

mod outcome;
mod places;
mod stop;
mod waiters;
mod work;

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::plan::{self, Entry, Function, Refusal};
use engine::program::OnNodeLoss;
use engine::run::Outcome;
use engine::value::{Record, Value};
use engine::variables::Name;
use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinHandle};

pub use self::outcome::outcome;
use self::outcome::{elsewhere, known};
use self::places::{Calling, slot};
use self::stop::Working;
pub use self::stop::{LOST, Stop, cancel, drain};
pub use self::waiters::Waiters;
use self::work::{Guarded, Lasting};
use crate::app::App;
use crate::programs::Served;
use crate::recorder::{self, Attended, Recorder};
use crate::store::{self, Claimed, Hold, Key, Leave, Limit, NewRun, RunId, State, VersionId};
use crate::traces::{Trace, Work};
use crate::{Error, fault, now};

/// A wish to run a program.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose call it is.
    pub account: i64,
    /// Which program.
    pub program: u64,
    /// Which function, and with what.
    pub entry: plan::Call,
    /// What started it, as the record names it.
    pub trigger: &'static str,
    /// How long the caller waits for the outcome, if at all.
    pub wait: Option<Duration>,
    /// How the caller names the call, so that a repeated one has one run.
    pub key: Option<String>,
    /// The URL that is told how its run ended, if one is.
    pub callback: Option<String>,
    /// The trace that the call belongs to, if it does to one.
    pub trace: Option<Trace>,
}

/// What became of a call.
pub struct Started {
    /// Its run.
    pub run: RunId,
    /// How that ended, if the caller waited and it did in time.
    pub outcome: Option<Outcome>,
    /// Whether the run is of a call of the same name before this one.
    pub replayed: bool,
    /// Where the time of a caller went who waited for a run that was at work here to its end.
    pub took: Option<Took>,
}

/// Where the time of a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// Until there was a place for the run.
    pub wait: Duration,
    /// Until it had ended.
    pub run: Duration,
    /// Until its outcome was in the record.
    pub record: Duration,
}

/// Why a call starts no run.
pub enum Refused {
    /// There is no such program, or it is somebody else's.
    NoProgram,
    /// The program cannot be started so.
    Entry(Refusal),
    /// Too many calls wait already, or this one has waited too long for its run to begin.
    TooMany,
    /// Too many runs are queued already.
    QueueFull,
    /// As many runs wait for others of their program as it allows.
    Crowded,
    /// As many calls of the account wait as may.
    AccountCalls,
    /// As many runs of the account are unfinished as may be.
    AccountRuns,
    /// A call of the same name was for something else.
    KeyReused,
    /// The server is stopping.
    Draining,
    /// The run was to be accepted, and the record could not be written.
    NotAccepted(Error),
    /// The run may have ended, and the record could not be written or read.
    Failed(RunId, Error),
}

/// A run that is ours to run.
pub struct Run {
    /// Which.
    pub id: RunId,
    /// The program, in the version it runs in.
    pub program: Arc<Served>,
    /// Which function.
    pub function: Arc<str>,
    /// What it starts with.
    pub variables: Vec<(Name, Value)>,
    /// What started it.
    pub trigger: Cow<'static, str>,
    /// What its random numbers come from.
    pub seed: i64,
    /// Whether another server goes on with it when this one is gone.
    pub resumes: bool,
    /// How its caller named the call, if it did.
    pub key: Option<Key>,
    /// What limits how many runs are at work beside it, if anything does.
    pub limit: Option<Limit>,
    /// The URL that is told how it ended, if one is.
    pub callback: Option<String>,
    /// The trace it belongs to, if it does to one.
    pub trace: Option<Trace>,
    /// When it was called for, in microseconds since 1970.
    pub created_at: i64,
    /// When it first began, if it has.
    pub started_at: Option<i64>,
    /// How it is held in the store, if the store knows it.
    pub hold: Option<Hold>,
    /// How many lines of its log the store has, and how many of them come again.
    pub log_lines: u32,
    /// See [`crate::store::Made::loose`].
    pub loose: u32,
    /// Whether it is to be cancelled.
    pub cancelled: bool,
    /// Whether others wait for it to end.
    pub limited: bool,
}

/// Starts what `call` asks for. Every trigger, the API and the command line come through here.
///
/// # Errors
/// Why nothing was started.
pub async fn start(app: &Arc<App>, call: Call) -> Result<Started, Refused> {
    let (account, limit) = (call.account, call.wait);
    let run = accepted(app, call)?;
    match limit {
        Some(limit) => {
            let _calling = Calling::new(app, account)?;
            wait(app, run, limit).await
        }
        None => queue(app, run).await,
    }
}

/// The run that a call asks for. Boxed, as it goes through many hands.
fn accepted(app: &App, call: Call) -> Result<Box<Run>, Refused> {
    let program = app
        .programs
        .get(call.program)
        .filter(|p| p.account == call.account);
    let program = program.ok_or(Refused::NoProgram)?;
    let Entry {
        function,
        variables,
    } = program.plan.entry(&call.entry).map_err(Refused::Entry)?;
    if app.draining.load(Ordering::Relaxed) {
        return Err(Refused::Draining);
    }
    let limit = limit(&program, &variables).map_err(Refused::Entry)?;
    let resumes = match program.plan.on_node_loss {
        // Whoever names a call can come back for its outcome, and whoever wants to be called back is.
        None => call.wait.is_none() || call.key.is_some() || call.callback.is_some(),
        Some(loss) => loss == OnNodeLoss::Resume,
    };
    let key = call.key.map(|text| Key {
        text,
        hash: hash(&function.name, &variables),
    });
    Ok(Box::new(Run {
        id: RunId::new(),
        function: function.name.clone(),
        program,
        variables,
        trigger: call.trigger.into(),
        seed: rand::random(),
        resumes,
        key,
        limit,
        callback: call.callback,
        trace: call.trace,
        created_at: now(),
        started_at: None,
        hold: None,
        log_lines: 0,
        loose: 0,
        cancelled: false,
        limited: false,
    }))
}

/// What limits a run, as the store knows it.
fn limit(program: &Served, variables: &[(Name, Value)]) -> Result<Option<Limit>, Refusal> {
    let limit = program.plan.limit(variables)?;
    Ok(limit.map(|limit| Limit {
        key: format!("{} {} {}", program.account, program.plan.id, limit.key),
        max: limit.max,
        queue: Some(limit.queue),
    }))
}

/// What the store is to keep of a run that a time trigger starts.
pub fn by_time(program: &Arc<Served>, function: &Function) -> NewRun {
    let parameters = function.starts_with();
    let run = Run {
        id: RunId::new(),
        function: function.name.clone(),
        program: program.clone(),
        trigger: "time".into(),
        seed: rand::random(),
        resumes: program.plan.on_node_loss != Some(OnNodeLoss::Fail),
        key: None,
        limit: limit(program, &parameters)
            .ok()
            .flatten()
            .map(|limit| Limit {
                queue: None,
                ..limit
            }),
        variables: parameters,
        callback: None,
        trace: None,
        created_at: now(),
        started_at: None,
        hold: None,
        log_lines: 0,
        loose: 0,
        cancelled: false,
        limited: false,
    };
    run.header(None)
}

/// A hash of what is called for.
fn hash(function: &str, variables: &[(Name, Value)]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(function);
    for (name, value) in variables {
        hash.update([0]);
        hash.update(&*name.text);
        hash.update([0]);
        hash.update(value.to_json());
    }
    hash.finalize().into()
}

/// Accepts a run that nobody waits for: it is in the record before this returns.
async fn queue(app: &Arc<App>, run: Box<Run>) -> Result<Started, Refused> {
    let started = Started {
        run: run.id,
        outcome: None,
        replayed: false,
        took: None,
    };
    // Where nobody is before it and there is a place, it begins without having been queued.
    if run.limit.is_none()
        && app.queued.load(Ordering::Relaxed) == 0
        && let Ok(slot) = app.slots.clone().try_acquire_owned()
    {
        let ours = app.clone();
        return match Lasting::new(async move { begun(&ours, run, slot).await }).await {
            Ok(_) => Ok(started),
            Err(error) => taken(app, None, error).await,
        };
    }
    if app.queued.fetch_add(1, Ordering::Relaxed) >= app.config.max_queued {
        app.queued.fetch_sub(1, Ordering::Relaxed);
        return Err(Refused::QueueFull);
    }
    let queued = {
        let app = app.clone();
        async move {
            fault::at("accept.before_commit");
            let header = NewRun {
                account_runs: app.config.account_runs,
                ..run.header(None)
            };
            let queued = app.store.begin(header, None).await;
            match &queued {
                Ok(()) => {
                    fault::at("accept.after_commit");
                    app.wake.notify_one();
                }
                Err(_) => {
                    app.queued.fetch_sub(1, Ordering::Relaxed);
                }
            }
            queued
        }
    };
    match Lasting::new(queued).await {
        Ok(()) => Ok(started),
        Err(error) => taken(app, None, error).await,
    }
}

/// A run that is at work in a task of its own.
type AtWork = JoinHandle<Result<Ran, Error>>;

/// Has a run in the record, as held by this server, and at work.
async fn begun(
    app: &Arc<App>,
    mut run: Box<Run>,
    slot: OwnedSemaphorePermit,
) -> Result<AtWork, store::Error> {
    begin(app, &mut run).await?;
    Ok(tokio::spawn(attended(app.clone(), run, slot)))
}

/// Has a run in the record, as held by this server.
async fn begin(app: &App, run: &mut Run) -> Result<(), store::Error> {
    let (node, started_at) = (app.node, now());
    fault::at("accept.before_commit");
    let header = run.header(Some(started_at));
    let header = NewRun {
        account_runs: app.config.account_runs,
        ..header
    };
    app.store.begin(header, Some(node)).await?;
    fault::at("accept.after_commit");
    run.started_at = Some(started_at);
    run.hold = Some(Hold {
        run: run.id,
        node,
        fence: 1,
    });
    Ok(())
}

/// What becomes of a call whose run could not be begun: one that is repeated has the run of the first.
async fn taken(app: &App, wait: Option<Duration>, error: store::Error) -> Result<Started, Refused> {
    let run = match error {
        store::Error::Taken { same: false, .. } => return Err(Refused::KeyReused),
        store::Error::Crowded => return Err(Refused::Crowded),
        store::Error::Busy => return Err(Refused::AccountRuns),
        store::Error::Taken { run, .. } => run,
        error => return Err(Refused::NotAccepted(error.into())),
    };
    let outcome = match wait {
        Some(limit) => outcome(app, run, limit).await,
        None => Ok(None),
    };
    let outcome = outcome.map_err(|error| Refused::Failed(run, error))?;
    Ok(Started {
        run,
        outcome,
        replayed: true,
        took: None,
    })
}

/// Runs a run now and waits for its outcome, up to the limit. It goes on when the caller leaves.
async fn wait(app: &Arc<App>, run: Box<Run>, limit: Duration) -> Result<Started, Refused> {
    if run.limit.is_some() {
        return Box::pin(wait_in_line(app, run, limit)).await;
    }
    let (slot, waited) = slot(app, limit).await?;
    let limit = limit.saturating_sub(waited);
    let id = run.id;
    let waiter = run.resumes.then(|| app.waiters.add(id));
    let ours = app.clone();
    let (work, limit) = if run.key.is_some() || run.callback.is_some() {
        let asked = Instant::now();
        let begun = Lasting::new(async move { begun(&ours, run, slot).await }).await;
        let left = limit.saturating_sub(asked.elapsed());
        match begun {
            Ok(work) => {
                let ended = |ran: Result<_, JoinError>| match ran {
                    Ok(ran) => ran,
                    Err(error) => Err(Error::new(error.to_string())),
                };
                (work.map(ended).left_future(), left)
            }
            Err(error) => return Box::pin(taken(app, Some(left), error)).await,
        }
    } else {
        let work = Lasting::new(async move { execute(&ours, run, slot).await });
        (work.right_future(), limit)
    };
    let outcome = async {
        match work.await? {
            Ran::Ended(outcome, (run, record)) => {
                let wait = waited;
                Ok((outcome, Some(Took { wait, run, record })))
            }
            Ran::Left => Ok((Box::pin(elsewhere(app, id, waiter)).await?, None)),
        }
    };
    let failed = |error| Refused::Failed(id, error);
    let ended = match tokio::time::timeout(limit, outcome).await {
        Ok(ended) => Some(ended.map_err(failed)?),
        Err(_) => {
            Box::pin(known(app, id)).await.map_err(failed)?;
            None
        }
    };
    let (outcome, took) = ended.unzip();
    Ok(Started {
        run: id,
        outcome,
        replayed: false,
        took: took.flatten(),
    })
}

/// Has a run that is limited queued, and waits for its outcome.
async fn wait_in_line(app: &Arc<App>, run: Box<Run>, limit: Duration) -> Result<Started, Refused> {
    let (called, id) = (Instant::now(), run.id);
    let started = queue(app, run).await?;
    let run = started.run;
    let left = limit.saturating_sub(called.elapsed());
    let outcome = outcome(app, run, left).await;
    let outcome = outcome.map_err(|error| Refused::Failed(id, error))?;
    Ok(Started { outcome, ..started })
}

/// A run taken from the queue.
///
/// # Errors
/// When its program's version cannot be had.
pub async fn claimed(app: &App, claimed: Claimed) -> Result<Box<Run>, Error> {
    let version: VersionId = claimed.version;
    let program = app.programs.version(&*app.store, version).await?;
    let function = program.plan.functions.get(claimed.function.as_str());
    let function = function.ok_or_else(|| Error::new("a run's function is not in its program"))?;
    Ok(Box::new(Run {
        id: claimed.hold.run,
        function: function.name.clone(),
        variables: inputs(function, &claimed.inputs)?,
        program,
        trigger: claimed.trigger.into(),
        seed: claimed.seed,
        resumes: claimed.resumes,
        key: None,
        limit: None,
        callback: claimed.callback,
        trace: claimed.trace.and_then(|trace| trace.parse().ok()),
        created_at: claimed.created_at,
        started_at: Some(claimed.started_at),
        hold: Some(claimed.hold),
        log_lines: claimed.log_lines,
        loose: claimed.loose,
        cancelled: claimed.cancelled,
        limited: claimed.limited,
    }))
}

/// The variables that a function was started with, as the record has them.
///
/// # Errors
/// When they cannot be read.
pub fn inputs(function: &Function, recorded: &str) -> Result<Vec<(Name, Value)>, Error> {
    let recorded = engine::json::record(recorded).map_err(Error::new)?;
    let inputs = recorded.iter().map(|(name, value)| {
        let name = Name::new(name.clone());
        let value = function.restored(&name, value.clone());
        (name, value)
    });
    Ok(inputs.collect())
}

/// Runs a run in a task of its own.
///
/// # Errors
/// When the record cannot be read or written, which is logged too.
pub async fn attended(
    app: Arc<App>,
    run: Box<Run>,
    slot: OwnedSemaphorePermit,
) -> Result<Ran, Error> {
    let id = run.id;
    let ran = execute(&app, run, slot).await;
    ran.inspect_err(|error| {
        tracing::error!(run = %id, "a run's outcome cannot be recorded: {error}");
    })
}

/// What became of a run that was at work here.
pub enum Ran {
    /// It ended so, and that is recorded; each took so long.
    Ended(Outcome, (Duration, Duration)),
    /// It was put aside, or somebody else goes on with it.
    Left,
}

/// Runs a run that is ours to run, and records how it ended before anybody learns of it.
///
/// # Errors
/// When the record cannot be read or written.
pub async fn execute(app: &App, run: Box<Run>, slot: OwnedSemaphorePermit) -> Result<Ran, Error> {
    let working = Working::new(app, &run);
    let function = run.program.plan.functions.get(&run.function);
    let function = function.ok_or_else(|| Error::new("a run's function is not in its program"))?;
    let mut told = told(app, &run);
    let trace = told.trace().cloned();
    let recorder = Recorder::new(app, &run, (working.stop.clone(), trace), slot);
    if let Err(error) = recorder.read_on().await {
        if let Some(hold) = run.hold {
            let (store, made) = (app.store.clone(), Arc::default());
            tokio::spawn(recorder::persist(store, hold, made, Leave::Released));
        }
        return Err(error);
    }
    let entry = Entry {
        function,
        variables: run.variables.clone(),
    };
    let limits = app.config.limits();
    if run.hold.is_none_or(|hold| hold.fence == 1) {
        let delay = u64::try_from(recorder.started_at() - run.created_at).unwrap_or_default();
        app.metrics.began(Duration::from_micros(delay));
    }
    let begun = Instant::now();
    let work = engine::run::run(&run.program.plan, entry, &recorder, limits);
    let outcome = match recorder.attend(Guarded(Box::pin(work))).await {
        Attended::Ended(outcome) => working.outcome(outcome),
        Attended::Left => return Ok(Ran::Left),
    };
    let ran = begun.elapsed();
    let Some(outcome) = recorder.finish(outcome).await? else {
        return Ok(Ran::Left);
    };
    let recorded = begun.elapsed() - ran;
    let (state, reason) = words(&outcome);
    app.metrics.ended(run.program.plan.id, (state, reason), ran);
    told.note("waystation.state", state);
    if !reason.is_empty() {
        told.failed(reason);
    }
    app.waiters.tell(run.id);
    app.written.notify_waiters();
    if run.limited {
        app.wake.notify_one();
    }
    if run.callback.is_some() {
        app.calls_back.notify_one();
    }
    Ok(Ran::Ended(outcome, (ran, recorded)))
}

/// What is told of a run in traces.
fn told(app: &App, run: &Run) -> Work {
    app.traces.run(run.trace.as_ref(), || {
        let plan = &run.program.plan;
        vec![
            ("waystation.run", run.id.to_string()),
            ("waystation.program", plan.id.to_string()),
            ("waystation.program.name", plan.name.to_string()),
            ("waystation.function", run.function.to_string()),
            ("waystation.trigger", run.trigger.to_string()),
        ]
    })
}

/// How a run ended, in words.
fn words(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Succeeded(_) => (State::Succeeded.name(), ""),
        Outcome::Failed(failure) => (State::Failed.name(), failure.reason.name()),
        Outcome::Cancelled(failure) => (State::Cancelled.name(), failure.reason.name()),
    }
}

impl Run {
    /// What the store keeps of a run that has not ended.
    pub fn header(&self, started_at: Option<i64>) -> NewRun {
        let inputs = self
            .variables
            .iter()
            .map(|(name, value)| (name.text.clone(), value.clone()));
        NewRun {
            id: self.id,
            account: self.program.account,
            program: self.program.plan.id as i64,
            version: self.program.version,
            function: self.function.clone(),
            trigger: self.trigger.clone(),
            inputs: Value::from(inputs.collect::<Record>()).to_json(),
            seed: self.seed,
            resumes: self.resumes,
            key: self.key.clone(),
            limit: self.limit.clone(),
            callback: self.callback.clone(),
            trace: self.trace.as_ref().map(Trace::to_string),
            account_runs: None,
            created_at: self.created_at,
            started_at,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
