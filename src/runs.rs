//! The one door: every call, from the API, the queue or the command line, becomes a run here.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use engine::context::Limits;
use engine::plan::{self, Entry, Refusal};
use engine::run::{Failure, Outcome, Reason};
use engine::value::{Record, Value};
use engine::variables::Name;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::programs::Served;
use crate::recorder::Recorder;
use crate::store::{Claimed, NewRun, RunId, VersionId};
use crate::{Error, now};

/// What the record says of a run that was at work when its server stopped.
pub const INTERRUPTED: &str = "the server stopped while the run was at work; it was not repeated";

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
    /// Whether the caller waits for the outcome.
    pub wait: bool,
}

/// What became of a call.
pub enum Started {
    /// The run ended.
    Ended(RunId, Outcome),
    /// The run is accepted and will begin.
    Queued(RunId),
    /// The run goes on, and the caller has waited long enough.
    Running(RunId),
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
    /// The server is stopping.
    Draining,
    /// The run ended or was to be accepted, and the record could not be written.
    Failed(Option<RunId>, Error),
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
    pub trigger: &'static str,
    /// When it was called for, in microseconds since 1970.
    pub created_at: i64,
    /// Whether the store knows it as running.
    pub begun: bool,
}

/// Starts what `call` asks for. Every trigger, the API and the command line come through here.
///
/// # Errors
/// Why nothing was started.
pub async fn start(app: &Arc<App>, call: Call) -> Result<Started, Refused> {
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
    let function = function.name.clone();
    let (id, created_at) = (RunId::new(), now());
    let run = Run {
        id,
        program,
        function,
        variables,
        trigger: call.trigger,
        created_at,
        begun: false,
    };
    match call.wait {
        true => wait(app, run).await,
        false => queue(app, run).await,
    }
}

/// Accepts a run for later: it is in the record before this returns.
async fn queue(app: &App, run: Run) -> Result<Started, Refused> {
    if app.queued.fetch_add(1, Ordering::Relaxed) >= app.config.max_queued {
        app.queued.fetch_sub(1, Ordering::Relaxed);
        return Err(Refused::QueueFull);
    }
    let id = run.id;
    if let Err(error) = app.store.begin(run.header(None)).await {
        app.queued.fetch_sub(1, Ordering::Relaxed);
        return Err(Refused::Failed(Some(id), error.into()));
    }
    app.wake.notify_one();
    Ok(Started::Queued(id))
}

/// Runs a run now and waits for its outcome, up to the limit. It goes on when the caller leaves.
async fn wait(app: &Arc<App>, run: Run) -> Result<Started, Refused> {
    let called = Instant::now();
    let slot = slot(app).await?;
    let id = run.id;
    let app = app.clone();
    let limit = app.config.wait.saturating_sub(called.elapsed());
    let work = async move {
        let outcome = execute(&app, run).await;
        drop(slot);
        outcome
    };
    match tokio::time::timeout(limit, Lasting(Some(Box::pin(work)))).await {
        Ok(Ok(outcome)) => Ok(Started::Ended(id, outcome)),
        Ok(Err(error)) => Err(Refused::Failed(Some(id), error)),
        Err(_) => Ok(Started::Running(id)),
    }
}

/// A place to run in; calls wait in line for one, as many and as long as the settings allow.
async fn slot(app: &App) -> Result<OwnedSemaphorePermit, Refused> {
    if let Ok(slot) = app.slots.clone().try_acquire_owned() {
        return Ok(slot);
    }
    let _waiting = Waiting::new(app)?;
    match tokio::time::timeout(app.config.wait, app.slots.clone().acquire_owned()).await {
        Ok(slot) => slot.map_err(|_| Refused::Draining),
        Err(_) => Err(Refused::TooMany),
    }
}

/// A call that waits for a place, counted as long as it does.
struct Waiting<'a>(&'a App);

impl<'a> Waiting<'a> {
    fn new(app: &'a App) -> Result<Waiting<'a>, Refused> {
        let waiting = Waiting(app);
        match app.waiting.fetch_add(1, Ordering::Relaxed) >= app.config.max_waiting {
            true => Err(Refused::TooMany),
            false => Ok(waiting),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A run taken from the queue.
///
/// # Errors
/// When its program's version cannot be had.
pub async fn claimed(app: &App, claimed: Claimed) -> Result<Run, Error> {
    let version: VersionId = claimed.version;
    let program = app.programs.version(&*app.store, version).await?;
    let inputs = engine::json::record(&claimed.inputs).map_err(Error::new)?;
    let function = program.plan.functions.get(claimed.function.as_str());
    let function = function.ok_or_else(|| Error::new("a run's function is not in its program"))?;
    let variables = inputs.iter().map(|(name, value)| {
        let name = Name::new(name.clone());
        let value = function.restored(&name, value.clone());
        (name, value)
    });
    Ok(Run {
        id: claimed.id,
        function: function.name.clone(),
        variables: variables.collect(),
        program,
        trigger: "webhook",
        created_at: claimed.created_at,
        begun: true,
    })
}

/// Runs a run that is ours to run, and records how it ended before anybody learns of it.
///
/// # Errors
/// When the record cannot be written.
pub async fn execute(app: &App, run: Run) -> Result<Outcome, Error> {
    let working = Working::new(app, run.id);
    let function = run.program.plan.functions.get(&run.function);
    let function = function.ok_or_else(|| Error::new("a run's function is not in its program"))?;
    let recorder = Recorder::new(app, &run, working.stop.clone());
    let entry = Entry {
        function,
        variables: run.variables.clone(),
    };
    let limits = Limits {
        time: app.config.run_time,
        steps: app.config.max_steps,
        passes: app.config.max_passes,
        calls: app.config.max_calls,
    };
    let work = Guarded(Box::pin(engine::run::run(
        &run.program.plan,
        entry,
        &recorder,
        limits,
    )));
    let outcome = working.outcome(recorder.attend(work).await);
    recorder.finish(&outcome).await?;
    Ok(outcome)
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
            function: self.function.to_string(),
            trigger: self.trigger.to_owned(),
            inputs: Value::from(inputs.collect::<Record>()).to_json(),
            created_at: self.created_at,
            started_at,
        }
    }
}

/// Begins no more runs, lets those at work end for as long as the setting gives them, and stops the
/// others. `working` is the task that takes runs from the queue; what it has not taken stays there.
pub async fn drain(app: &App, working: JoinHandle<()>) {
    app.draining.store(true, Ordering::Relaxed);
    app.slots.close();
    app.wake.notify_one();
    let ended = async {
        let _ = working.await;
        none_running(app).await;
    };
    if tokio::time::timeout(app.config.drain, ended).await.is_ok() {
        return;
    }
    tracing::warn!("runs that did not end in time are stopped");
    for stop in lock(&app.running).values() {
        stop.store(Stop::Server as u8, Ordering::Relaxed);
    }
    app.ended.notify_waiters();
    let _ = tokio::time::timeout(STOPPING, none_running(app)).await;
}

/// How long runs may take to stop once they are told to.
const STOPPING: Duration = Duration::from_secs(5);

/// Waits until no run is at work.
async fn none_running(app: &App) {
    loop {
        let ended = app.ended.notified();
        if lock(&app.running).is_empty() {
            return;
        }
        ended.await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a run is to stop.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Stop {
    /// Somebody cancelled it.
    Cancelled = 1,
    /// The server stops.
    Server = 2,
}

/// A run at work: the app knows it as long as this is kept, and can tell it to stop.
struct Working<'a> {
    app: &'a App,
    id: RunId,
    stop: Arc<AtomicU8>,
}

impl<'a> Working<'a> {
    fn new(app: &'a App, id: RunId) -> Working<'a> {
        let stop = Arc::new(AtomicU8::new(0));
        lock(&app.running).insert(id, stop.clone());
        Working { app, id, stop }
    }

    /// The outcome as it is recorded: a run that stopped because the server did has failed.
    fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Cancelled(failure)
                if self.stop.load(Ordering::Relaxed) == Stop::Server as u8 =>
            {
                let message = INTERRUPTED.to_owned();
                Outcome::Failed(Failure { message, ..failure }.because(Reason::Interrupted))
            }
            outcome => outcome,
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        lock(&self.app.running).remove(&self.id);
        self.app.ended.notify_waiters();
    }
}

/// Work that is finished elsewhere when nobody waits for it any more: a caller who hangs up does
/// not take the run along.
struct Lasting<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Future for Lasting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        let ready = work.as_mut().poll(context);
        if ready.is_ready() {
            self.0 = None;
        }
        ready
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Lasting<F> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// A run whose panics become failures.
struct Guarded<'a>(Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>);

impl Future for Guarded<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let poll = AssertUnwindSafe(|| self.0.as_mut().poll(context));
        std::panic::catch_unwind(poll).unwrap_or_else(|_| {
            tracing::error!("a step panicked");
            let failure =
                Failure::new("the step failed by a fault of the server; its log has more");
            Poll::Ready(Outcome::Failed(failure.because(Reason::Error)))
        })
    }
}
