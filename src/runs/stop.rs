//! Runs that are told to stop: one that is cancelled, or all when the server stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use engine::run::{Failure, Outcome, Reason};
use tokio::task::JoinHandle;

use super::work::Lasting;
use super::{Run, lock};
use crate::app::App;
use crate::store::{Cancel, RunId};
use crate::{Error, fault, now};

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
pub(super) struct Working<'a> {
    app: &'a App,
    id: RunId,
    pub(super) stop: Arc<AtomicU8>,
}

impl<'a> Working<'a> {
    pub(super) fn new(app: &'a App, run: &Run) -> Working<'a> {
        let (id, account) = (run.id, run.program.account);
        let mut running = lock(&app.running);
        let cancelled = lock(&app.cancelled_early).remove(&id) || run.cancelled;
        let stop = if cancelled { Stop::Cancelled as u8 } else { 0 };
        let stop = Arc::new(AtomicU8::new(stop));
        running.insert(id, (account, stop.clone()));
        drop(running);
        Working { app, id, stop }
    }

    /// The outcome as it is recorded: a run that stopped because the server did has failed.
    pub(super) fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Cancelled(failure)
                if self.stop.load(Ordering::Relaxed) == Stop::Server as u8 =>
            {
                let message = LOST.to_owned();
                Outcome::Failed(Failure { message, ..failure }.because(Reason::NodeLost))
            }
            outcome => outcome,
        }
    }
}

/// What the record says of a run that was at work when its server stopped, and that is not gone on with.
pub const LOST: &str = "the server stopped while the run was at work; it was not repeated";

impl Drop for Working<'_> {
    fn drop(&mut self) {
        lock(&self.app.running).remove(&self.id);
        self.app.ended.notify_waiters();
    }
}

/// Cancels a run. That it is to end is in the record before this returns, and the run is told even if nobody waits for
/// this any more.
///
/// # Errors
/// When the record cannot be written.
pub async fn cancel(app: &Arc<App>, id: RunId) -> Result<Cancel, Error> {
    let app = app.clone();
    Lasting::new(async move { cancelled(&app, id).await }).await
}

async fn cancelled(app: &App, id: RunId) -> Result<Cancel, Error> {
    let failure = Failure::new("the run was cancelled").because(Reason::Cancelled);
    let answer = serde_json::to_string(&failure).unwrap_or_default();
    let mut cancel = app.store.cancel(id, now(), answer).await?;
    fault::at("cancel.race");
    let early = {
        let running = lock(&app.running);
        match running.get(&id) {
            Some((_, stop)) => {
                stop.store(Stop::Cancelled as u8, Ordering::Relaxed);
                // The store does not know a short run as long as it is at work.
                if cancel == Cancel::Unknown {
                    cancel = Cancel::Asked;
                }
                false
            }
            None => cancel == Cancel::Asked && lock(&app.cancelled_early).insert(id),
        }
    };
    if early && !is_unfinished(app, id).await {
        lock(&app.cancelled_early).remove(&id);
    }
    app.ended.notify_waiters();
    if let Cancel::Ended { begun } = cancel {
        app.queued.fetch_sub(u64::from(!begun), Ordering::Relaxed);
        app.calls_back.notify_one();
        app.waiters.tell(id);
    }
    Ok(cancel)
}

/// Whether a run has not ended, as far as is known.
async fn is_unfinished(app: &App, id: RunId) -> bool {
    let run = app.store.run(id).await.ok().flatten();
    run.is_none_or(|run| run.answer.is_none())
}

/// Begins no more runs, lets those at work end for as long as the setting gives them, and stops the
/// others. `working` is the task that takes runs from the queue; what it has not taken stays there.
pub async fn drain(app: &App, working: JoinHandle<()>) {
    app.draining.store(true, Ordering::Relaxed);
    app.slots.close();
    app.wake.notify_one();
    app.drains.notify_waiters();
    fault::at("drain.mid");
    let ended = async {
        let _ = working.await;
        none_running(app).await;
    };
    if tokio::time::timeout(app.config.drain, ended).await.is_ok() {
        return;
    }
    tracing::warn!("runs that did not end in time are stopped");
    for (_, stop) in lock(&app.running).values() {
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
