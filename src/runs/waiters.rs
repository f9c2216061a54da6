//! Callers who wait for runs that may be put aside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::lock;
use crate::store::RunId;

/// Callers who wait for runs that may be put aside.
#[derive(Default)]
pub struct Waiters(Mutex<HashMap<RunId, Weak<Notify>>>);

impl Waiters {
    /// One more who waits for a run.
    pub(super) fn add(&self, id: RunId) -> Waiter<'_> {
        let mut waiting = lock(&self.0);
        let known = waiting.get(&id).and_then(Weak::upgrade);
        let told = known.unwrap_or_default();
        waiting.insert(id, Arc::downgrade(&told));
        Waiter {
            waiters: self,
            id,
            told,
        }
    }

    /// Tells all who wait for a run that it has ended.
    pub fn tell(&self, id: RunId) {
        let told = lock(&self.0).get(&id).and_then(Weak::upgrade);
        if let Some(told) = told {
            told.notify_waiters();
            told.notify_one();
        }
    }
}

/// One who waits for a run.
pub(super) struct Waiter<'a> {
    waiters: &'a Waiters,
    id: RunId,
    told: Arc<Notify>,
}

impl Waiter<'_> {
    /// Waits until the run may have ended.
    pub(super) async fn told(&self) {
        // Whoever else ends the run may not tell us.
        let _ = tokio::time::timeout(LOOK, self.told.notified()).await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiters.0);
        if Arc::strong_count(&self.told) == 1 {
            waiting.remove(&self.id);
        }
    }
}

/// How often whoever waits for a run looks at it without being told.
const LOOK: Duration = Duration::from_secs(1);
