//! Places for runs at work, and calls that wait for them.

use std::collections::hash_map::Entry;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::{Refused, lock};
use crate::app::App;

/// A place to run in, and how long it was waited for; calls wait in line for one, as many and as long as the settings allow.
pub(super) async fn slot(
    app: &App,
    limit: Duration,
) -> Result<(OwnedSemaphorePermit, Duration), Refused> {
    if let Ok(slot) = app.slots.clone().try_acquire_owned() {
        return Ok((slot, Duration::ZERO));
    }
    let called = Instant::now();
    let _waiting = Waiting::new(app)?;
    match tokio::time::timeout(limit, app.slots.clone().acquire_owned()).await {
        Ok(Ok(slot)) => Ok((slot, called.elapsed())),
        Ok(Err(_)) => Err(Refused::Draining),
        Err(_) => Err(Refused::TooMany),
    }
}

/// A call of an account that waits for its run, counted as long as it does.
pub(super) struct Calling<'a>(&'a App, i64);

impl<'a> Calling<'a> {
    pub fn new(app: &'a App, account: i64) -> Result<Calling<'a>, Refused> {
        let mut calls = lock(&app.calls);
        let count = calls.entry(account).or_default();
        if app.config.account_calls.is_some_and(|most| *count >= most) {
            return Err(Refused::AccountCalls);
        }
        *count += 1;
        Ok(Calling(app, account))
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        let mut calls = lock(&self.0.calls);
        if let Entry::Occupied(mut count) = calls.entry(self.1) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
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
