//! Takes runs that are due, and runs them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::run::{Failure, Reason};
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::store::{Answers, Claimed, DEATHS, End, Hold, Leave, Made, Node, State, Swept};
use crate::{Error, fault, now, recorder, runs};

/// Makes the server known to the store, takes what servers that are gone left behind from them, and counts what is
/// queued.
///
/// # Errors
/// When the store fails.
pub async fn recover(app: &App) -> Result<Swept, Error> {
    let node = Node {
        id: app.node,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: now(),
    };
    app.store.enter(node).await?;
    let swept = app.store.sweep(app.node, now(), answers()).await?;
    app.queued
        .store(app.store.queued().await?, Ordering::Relaxed);
    Ok(swept)
}

/// What is recorded of runs that end because their server is gone.
fn answers() -> Answers {
    let answer = |message: &str, reason| {
        let failure = Failure::new(message).because(reason);
        serde_json::to_string(&failure).unwrap_or_default()
    };
    let poison = format!(
        "the server stopped {DEATHS} times while the run was at work, and each time it had come no further"
    );
    Answers {
        cancelled: answer("the run was cancelled", Reason::Cancelled),
        lost: answer(runs::LOST, Reason::NodeLost),
        poison: answer(&poison, Reason::Poison),
    }
}

/// The most runs that are taken at once.
const MOST: u64 = 64;
/// How long the worker goes without looking at the store.
const LOOK: Duration = Duration::from_secs(5);

/// Runs what is due as places become free, until the server stops.
pub async fn work(app: Arc<App>) {
    while !app.draining.load(Ordering::Relaxed) {
        match claim(&app).await {
            Ok(None) => {}
            Ok(Some(pause)) => {
                let _ = tokio::time::timeout(pause, app.wake.notified()).await;
            }
            Err(error) => {
                tracing::error!("runs cannot be taken: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Where something is due, waits for a free place, then takes as many runs as there are places, and starts them. Says how long
/// nothing else is due, unless something else can be taken now.
async fn claim(app: &Arc<App>) -> Result<Option<Duration>, Error> {
    // A place that is held only to look for runs is missed by calls that come meanwhile. Runs that wait for others of their
    // program are due too, and are looked for with places.
    if app.queued.load(Ordering::Relaxed) == 0
        && let Some(pause) = until(app.store.due().await?)
    {
        return Ok(Some(pause));
    }
    let Ok(first) = app.slots.clone().acquire_owned().await else {
        return Ok(Some(Duration::ZERO));
    };
    let mut slots = vec![first];
    // What was put aside or left behind is not counted, so there is room for some of it.
    let wanted = app.queued.load(Ordering::Relaxed).clamp(4, MOST) as usize;
    while slots.len() < wanted
        && let Ok(slot) = app.slots.clone().try_acquire_owned()
    {
        slots.push(slot);
    }
    if app.draining.load(Ordering::Relaxed) {
        return Ok(Some(Duration::ZERO));
    }
    let claims = app.store.claim(app.node, slots.len() as u32, Box::new(now));
    let claims = claims.await?;
    if !claims.runs.is_empty() {
        fault::at("claim.after_commit");
    }
    let first = claims.runs.iter().filter(|run| run.hold.fence == 1).count();
    app.queued.fetch_sub(first as u64, Ordering::Relaxed);
    for (run, slot) in claims.runs.into_iter().zip(slots) {
        tokio::spawn(execute(app.clone(), run, slot));
    }
    Ok(until(claims.next))
}

/// How long the worker can wait before it takes what is due next; nothing where that is due already.
fn until(due: Option<i64>) -> Option<Duration> {
    let Some(due) = due else { return Some(LOOK) };
    let left = u64::try_from(due - now()).unwrap_or_default();
    (left > 0).then(|| LOOK.min(Duration::from_micros(left)))
}

async fn execute(app: Arc<App>, claimed: Claimed, slot: OwnedSemaphorePermit) {
    let hold = claimed.hold;
    match runs::claimed(&app, claimed).await {
        Ok(run) => drop(runs::attended(app, run, slot).await),
        Err(error) => close(&app, hold, &error).await,
    }
}

/// Ends a run that cannot begin.
async fn close(app: &App, hold: Hold, error: &Error) {
    tracing::error!(run = %hold.run, "a run cannot begin: {error}");
    let failure = Failure::new(error.to_string());
    let end = End {
        state: State::Failed,
        reason: Some(failure.reason.name().to_owned()),
        answer: serde_json::to_string(&failure).unwrap_or_default(),
        isolation: None,
        steps: None,
        stored: Vec::new(),
        ended_at: now(),
    };
    let (made, how) = (Arc::new(Made::default()), Leave::Ended(end));
    let left = app.store.leave(hold, made.clone(), how.clone()).await;
    if left.is_err() {
        recorder::persist(app.store.clone(), hold, made, how).await;
    }
}
