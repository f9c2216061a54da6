//! All pools: one for the code of each account, network and set of packages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::host::Language;
use engine::run::Failure;
use sandbox::isolation::Network;
use sandbox::message::{Launch, Work};
use tokio::sync::OnceCell;

use super::launcher::Launcher;
use super::pool::{Pool, Taken};
use super::{Codes, isolation, javascript, shell};
use crate::packages::Environment;

/// How long a pool is kept that nothing is asked of.
const IDLE: Duration = Duration::from_secs(600);
/// How many pools are kept that nothing is at work in.
const KEPT: usize = 32;

/// The pools there are.
#[derive(Default)]
pub struct Pools(Mutex<HashMap<Key, Arc<Slot>>>);

/// The place of a pool, which may be about to start.
struct Slot {
    /// No other pool has this number.
    number: u32,
    pool: OnceCell<Arc<Pool>>,
}

/// Whose processes stand ready together, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    account: i64,
    network: Network,
    /// For Python, the environment of the packages.
    python: Option<Option<Arc<Environment>>>,
}

impl Key {
    /// The key for code of a language.
    pub fn new(
        account: i64,
        network: Network,
        language: Language,
        environment: Option<Arc<Environment>>,
    ) -> Key {
        Key {
            account,
            network,
            python: (language == Language::Python).then_some(environment),
        }
    }
}

impl Pools {
    fn all(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place for a key. Pools that are gone, and those that nobody needs any more, are dropped.
    fn slot(&self, key: &Key) -> Arc<Slot> {
        let mut all = self.all();
        all.retain(|_, slot| {
            let pool = slot.pool.get();
            pool.is_none_or(|pool| pool.is_alive() && pool.idle() < IDLE)
        });
        if let Some(slot) = all.get(key) {
            return slot.clone();
        }
        let idle = |slot: &Slot| slot.pool.get().map_or(Duration::ZERO, |pool| pool.idle());
        while all.len() >= KEPT {
            let unneeded = all.iter().filter(|(_, slot)| !idle(slot).is_zero());
            let oldest = unneeded.max_by_key(|(_, slot)| idle(slot));
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        let taken = |number: &u32| all.values().any(|slot| slot.number == *number);
        let number = (0..).find(|number| !taken(number)).unwrap_or_default();
        let pool = OnceCell::new();
        let slot = Arc::new(Slot { number, pool });
        all.insert(key.clone(), slot.clone());
        slot
    }
}

/// The work that runs code of a language, and whether its processes have a further pipe.
fn work(language: Language) -> (Work, bool) {
    match language {
        Language::Python => (Work::Python, false),
        Language::JavaScript => (Work::Worker(javascript::JAVASCRIPT.to_owned()), false),
        Language::Shell => (Work::Worker(shell::SHELL.to_owned()), true),
    }
}

impl Codes {
    /// A process that runs code of a language.
    pub(super) async fn taken(&self, key: &Key, language: Language) -> Result<Taken, Failure> {
        let failed = |why: String| Failure::new(format!("the code cannot be run: {why}"));
        let pool = self.pool(key).await.map_err(failed)?;
        let (work, extra) = work(language);
        pool.take(work, extra).await.map_err(failed)
    }

    /// Has processes stand ready for code of a language, before any is run.
    ///
    /// # Errors
    /// In words, why none can.
    pub async fn warm(
        &self,
        account: i64,
        language: Language,
        environment: Option<Arc<Environment>>,
    ) -> Result<(), String> {
        let key = Key::new(account, self.config.code_network, language, environment);
        let (work, extra) = work(language);
        self.pool(&key).await?.fill(&work, extra);
        Ok(())
    }

    async fn pool(&self, key: &Key) -> Result<Arc<Pool>, String> {
        let slot = self.pools.slot(key);
        let started = slot.pool.get_or_try_init(|| self.start(key, slot.number));
        started.await.cloned()
    }

    async fn start(&self, key: &Key, number: u32) -> Result<Arc<Pool>, String> {
        let isolation = self.allowed().await?;
        let python = match &key.python {
            Some(environment) => Some(self.python.ready(environment.as_deref()).await?),
            None => None,
        };
        let mut readable = self.python.readable().await?;
        readable.extend(python.iter().filter_map(|python| python.site.clone()));
        let launch = Launch {
            isolation,
            network: key.network,
            user: isolation::user(number),
            folder: None,
            proxy: self.port(isolation, key.network).await?,
            readable,
            writable: Vec::new(),
            disk: self.config.code_disk.bytes(),
            python,
        };
        let ready = Launcher::start(&self.launcher, launch).await?;
        for module in &ready.unready {
            tracing::debug!("not imported beforehand: {module}");
        }
        let served = ready.proxy.map(|listener| self.proxy.serve(listener));
        Ok(Arc::new(Pool::new(ready.launcher, served.transpose()?)))
    }
}
