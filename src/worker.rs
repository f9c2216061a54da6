//! Runs what is queued.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::run::{Failure, Outcome, Reason};

use crate::app::App;
use crate::store::{Claimed, End, State};
use crate::{Error, now, runs};

/// Closes the runs that were at work when the server last stopped, and counts those that wait.
///
/// # Errors
/// When the store fails.
pub async fn recover(app: &App) -> Result<u64, Error> {
    let failure = Failure::new(runs::INTERRUPTED).because(Reason::Interrupted);
    let answer = serde_json::to_string(&failure).unwrap_or_default();
    let closed = app.store.interrupt(now(), answer).await?;
    app.queued
        .store(app.store.queued().await?, Ordering::Relaxed);
    Ok(closed)
}

/// The most runs that are taken from the queue at once.
const MOST: u64 = 64;

/// Runs queued runs as places become free, until the server stops.
pub async fn work(app: Arc<App>) {
    loop {
        if app.draining.load(Ordering::Relaxed) {
            return;
        }
        match claim(&app).await {
            Ok(0) => app.wake.notified().await,
            Ok(_) => {}
            Err(error) => {
                tracing::error!("queued runs cannot be taken: {error}");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

/// Waits for a free place, then takes as many queued runs as there are places, and starts them.
async fn claim(app: &Arc<App>) -> Result<usize, Error> {
    let queued = app.queued.load(Ordering::Relaxed).min(MOST) as usize;
    if queued == 0 {
        return Ok(0);
    }
    let Ok(first) = app.slots.clone().acquire_owned().await else {
        return Ok(0);
    };
    let mut slots = vec![first];
    while slots.len() < queued
        && let Ok(slot) = app.slots.clone().try_acquire_owned()
    {
        slots.push(slot);
    }
    if app.draining.load(Ordering::Relaxed) {
        return Ok(0);
    }
    let claimed = app.store.claim(slots.len() as u32, now()).await?;
    let count = claimed.len();
    app.queued.fetch_sub(count as u64, Ordering::Relaxed);
    for (run, slot) in claimed.into_iter().zip(slots) {
        let app = app.clone();
        tokio::spawn(async move {
            execute(&app, run).await;
            drop(slot);
        });
    }
    Ok(count)
}

async fn execute(app: &App, claimed: Claimed) {
    let id = claimed.id;
    let result = match runs::claimed(app, claimed).await {
        Ok(run) => runs::execute(app, run).await.map(|_: Outcome| ()),
        Err(error) => close(app, id, &error).await,
    };
    if let Err(error) = result {
        tracing::error!(run = %id, "a run's outcome cannot be recorded: {error}");
    }
}

/// Ends a run that cannot begin.
async fn close(app: &App, id: crate::store::RunId, error: &Error) -> Result<(), Error> {
    let failure = Failure::new(error.to_string());
    let answer = serde_json::to_string(&failure).unwrap_or_default();
    let end = End {
        state: State::Failed,
        reason: Some("error".to_owned()),
        answer,
        log: String::new(),
        log_lines: 0,
        isolation: None,
        ended_at: now(),
    };
    Ok(app.store.finish(id, end).await?)
}
