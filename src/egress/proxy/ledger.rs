//! What is known of a grant while it is used: what it may do, and what it did.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use tokio::sync::watch;

use super::counts::{Counts, Reached, grouped};
use super::grant::{Allowance, Watch};
use crate::egress::{Scope, Target};

/// How many hosts a grant remembers. What goes to further ones counts in its totals only.
const REMEMBERED: usize = 100;

/// What is known of a grant while it is used.
pub(super) struct Ledger {
    pub scope: Scope,
    allowance: Allowance,
    watch: Watch,
    revoked: watch::Receiver<()>,
    total: Counts,
    /// Bytes, both ways together.
    bytes: AtomicU64,
    /// Whether the holder was told that there are no more connections.
    full: AtomicBool,
    hosts: Mutex<IndexMap<Target, Arc<Counts>>>,
}

impl Ledger {
    /// Nothing done yet; `revoked` closes when the grant is dropped.
    pub fn new(
        scope: Scope,
        allowance: Allowance,
        watch: Watch,
        revoked: watch::Receiver<()>,
    ) -> Ledger {
        Ledger {
            scope,
            allowance,
            watch,
            revoked,
            total: Counts::default(),
            bytes: AtomicU64::new(0),
            full: AtomicBool::new(false),
            hosts: Mutex::default(),
        }
    }

    /// Counts a connection that is asked for, if there may be another.
    pub fn begin(&self) -> Result<(), String> {
        let most = self.allowance.connections;
        if !self.total.connected(most) {
            let sentence = format!("the proxy makes no more than {most} connections for a run");
            if !self.full.swap(true, Ordering::Relaxed) {
                self.tell(&sentence);
            }
            return Err(sentence);
        }
        match self.bytes.load(Ordering::Relaxed) > self.allowance.bytes {
            true => Err(self.spent()),
            false => Ok(()),
        }
    }

    /// Counts a connection that came about, and gives what counts its bytes.
    pub fn reach(&self, target: &Target) -> Arc<Counts> {
        let mut hosts = self.hosts();
        let counts = hosts.get(target).cloned().unwrap_or_default();
        if hosts.len() < REMEMBERED {
            hosts.insert(target.clone(), counts.clone());
        }
        counts.connected(usize::MAX);
        counts
    }

    /// Counts bytes, unless there were more than there may be.
    pub fn moved(&self, to: &Counts, down: u64, up: u64) -> Result<(), String> {
        to.moved(down, up);
        self.total.moved(down, up);
        let before = self.bytes.fetch_add(down + up, Ordering::Relaxed);
        if before + down + up <= self.allowance.bytes {
            return Ok(());
        }
        // Said once, by whoever goes over the limit.
        if before <= self.allowance.bytes {
            self.tell(&self.spent());
        }
        Err(self.spent())
    }

    fn spent(&self) -> String {
        let bytes = grouped(self.allowance.bytes);
        format!("the proxy moves no more than {bytes} bytes for a run")
    }

    /// Tells the holder of the grant.
    pub fn tell(&self, sentence: &str) {
        (self.watch)(sentence);
    }

    /// Ends when the grant is dropped.
    pub async fn revoked(&self) {
        let mut revoked = self.revoked.clone();
        while revoked.changed().await.is_ok() {}
    }

    /// What went to each host.
    pub fn reached(&self) -> Vec<Reached> {
        let hosts = self.hosts();
        let reached = hosts
            .iter()
            .map(|(target, counts)| counts.of(target.to_string()));
        reached.collect()
    }

    /// What went to all hosts.
    pub fn total(&self) -> Reached {
        self.total.of("all".to_owned())
    }

    fn hosts(&self) -> MutexGuard<'_, IndexMap<Target, Arc<Counts>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
