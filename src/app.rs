//! What calls, workers and commands share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use engine::host::{Language, Stream};
use tokio::sync::{Notify, Semaphore};

use crate::code::Codes;
use crate::config::Config;
use crate::egress::Egress;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::packages::{Packages, Tools};
use crate::programs::{Programs, Served};
use crate::runs::Waiters;
use crate::store::{NodeId, RECORD, RunId, Store};
use crate::traces::Traces;

/// What calls, workers and commands share.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The record.
    pub store: Arc<dyn Store>,
    /// Who holds the runs of this server in the record.
    pub node: NodeId,
    /// The programs that are served.
    pub programs: Programs,
    /// Who may call.
    pub keys: Keys,
    /// What runs code of other languages.
    pub codes: Arc<Codes>,
    /// What Python code imports.
    pub packages: Packages,
    /// The way to other machines.
    pub egress: Arc<Egress>,
    /// Places for runs at work.
    pub slots: Arc<Semaphore>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who is told what everything took.
    pub traces: Traces,
    /// Turns at going through runs again, to show their steps.
    pub replays: Semaphore,
    /// How many calls wait for a place.
    pub waiting: AtomicUsize,
    /// How many calls of each account wait for runs or their outcomes.
    pub calls: Mutex<HashMap<i64, usize>>,
    /// How many runs wait in the store to begin.
    pub queued: AtomicU64,
    /// The runs at work, each with whose it is and the [word](crate::runs::Stop) that stops it, 0 as long as none is said.
    pub running: Mutex<HashMap<RunId, (i64, Arc<AtomicU8>)>>,
    /// Runs that are to be cancelled and are about to begin here. It is locked while `running` is.
    pub cancelled_early: Mutex<HashSet<RunId>>,
    /// Told when a run ends, or is told to stop.
    pub ended: Notify,
    /// Callers who wait for runs that may be put aside.
    pub waiters: Waiters,
    /// Told when a run is queued, or put aside.
    pub wake: Notify,
    /// Told when somebody may be to be told how a run ended.
    pub calls_back: Notify,
    /// Told when the programs that are served have changed.
    pub reloaded: Notify,
    /// Told when more of a log is in the record.
    pub written: Notify,
    /// Told when the server takes no new runs.
    pub drains: Notify,
    /// Whether the server takes no new runs.
    pub draining: AtomicBool,
    /// Sees every line of every run's log as it is written.
    pub watch: Option<Watch>,
}

/// Sees a line of a log as it is written.
pub type Watch = Box<dyn Fn(Stream, &str) + Send + Sync>;

impl App {
    /// An app with nothing served yet.
    pub fn new(config: Config, store: Arc<dyn Store>, keys: Keys) -> App {
        let egress = Arc::new(Egress::new(config.egress_allow.clone().unwrap_or_default()));
        let codes = Arc::new(Codes::new(&config, egress.clone()));
        App {
            slots: Arc::new(Semaphore::new(
                config.max_running.clamp(1, Semaphore::MAX_PERMITS),
            )),
            metrics: Metrics::new(config.data.join(RECORD)),
            traces: Traces::default(),
            replays: Semaphore::new(2),
            packages: Packages::new(
                Tools::of(&config, codes.clone()),
                config.data.join("packages"),
                Box::new(|line| tracing::info!("{line}")),
            ),
            codes,
            egress,
            config,
            store,
            node: NodeId::new(),
            programs: Programs::default(),
            keys,
            waiting: AtomicUsize::new(0),
            calls: Mutex::default(),
            queued: AtomicU64::new(0),
            running: Mutex::default(),
            cancelled_early: Mutex::default(),
            ended: Notify::new(),
            waiters: Waiters::default(),
            wake: Notify::new(),
            calls_back: Notify::new(),
            reloaded: Notify::new(),
            written: Notify::new(),
            drains: Notify::new(),
            draining: AtomicBool::new(false),
            watch: None,
        }
    }

    /// Whether a run of an account is at work here.
    pub fn is_at_work(&self, id: RunId, account: i64) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(&id).is_some_and(|(of, _)| *of == account)
    }

    /// Gets ready what the code of a program needs: its packages, and processes that stand ready.
    ///
    /// # Errors
    /// In words, what cannot be had.
    pub async fn prepare(&self, served: &Served) -> Result<(), String> {
        let (plan, account) = (&served.plan, served.account);
        if plan.uses("python") {
            let python = self.codes.python().await?;
            for set in &plan.packages {
                let ready = self.packages.ready(python, set, served.packages());
                let environment = Some(ready.await?);
                self.codes
                    .warm(account, Language::Python, environment)
                    .await?;
            }
            if plan.packages.is_empty() {
                self.codes.warm(account, Language::Python, None).await?;
            }
        }
        for (kind, language) in [
            ("javascript", Language::JavaScript),
            ("shell", Language::Shell),
        ] {
            if plan.uses(kind) {
                self.codes.warm(account, language, None).await?;
            }
        }
        Ok(())
    }
}
