//! Outcomes of runs that are not at work in the call that asks for them.

use std::fmt;
use std::time::Duration;

use engine::run::{Failure, Outcome};

use super::waiters::Waiter;
use crate::Error;
use crate::app::App;
use crate::store::{RunId, State};

/// Waits for the outcome of a run, as long as the limit says. Nothing where it has not ended by then.
///
/// # Errors
/// When the record cannot be read, or has no such run.
pub async fn outcome(app: &App, id: RunId, limit: Duration) -> Result<Option<Outcome>, Error> {
    let waiter = app.waiters.add(id);
    let ended = elsewhere(app, id, Some(waiter));
    match tokio::time::timeout(limit, ended).await {
        Ok(outcome) => outcome.map(Some),
        Err(_) => recorded(app, id).await,
    }
}

/// Waits until a run that is at work is in the record: who is told that it goes on is to find it there.
pub(super) async fn known(app: &App, id: RunId) -> Result<(), Error> {
    let known = async {
        loop {
            let written = app.written.notified();
            if app.store.run(id).await?.is_some() {
                return Ok(());
            }
            written.await;
        }
    };
    let unknown = |_| Error::new("the run goes on, and is not in the record yet");
    tokio::time::timeout(KNOWN, known).await.map_err(unknown)?
}

/// How long a caller waits for that.
const KNOWN: Duration = Duration::from_secs(10);

/// Waits for the outcome of a run that has been put aside, or that somebody else goes on with.
pub(super) async fn elsewhere(
    app: &App,
    id: RunId,
    waiter: Option<Waiter<'_>>,
) -> Result<Outcome, Error> {
    loop {
        if let Some(outcome) = recorded(app, id).await? {
            return Ok(outcome);
        }
        match &waiter {
            Some(waiter) => waiter.told().await,
            None => return Err(Error::new("the run is not held by this server any more")),
        }
    }
}

/// The outcome of a run, if it has ended.
async fn recorded(app: &App, id: RunId) -> Result<Option<Outcome>, Error> {
    let run = app.store.run(id).await?;
    let run = run.ok_or_else(|| Error::new(format!("there is no run {id}")))?;
    let Some(answer) = run.answer else {
        return Ok(None);
    };
    let unreadable =
        |error: &dyn fmt::Display| Error::new(format!("the outcome of run {id}: {error}"));
    let failure =
        |answer: &str| serde_json::from_str::<Failure>(answer).map_err(|error| unreadable(&error));
    Ok(Some(match run.summary.state {
        State::Succeeded => {
            let values = engine::json::pairs(&answer).map_err(|error| unreadable(&error))?;
            Outcome::Succeeded(values)
        }
        State::Cancelled => Outcome::Cancelled(failure(&answer)?),
        _ => Outcome::Failed(failure(&answer)?),
    }))
}
