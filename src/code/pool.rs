//! Processes that stand ready, one use each.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sandbox::message::Work;

use super::launcher::{Launcher, Process};

/// How many processes stand ready at least, once one was asked for.
const FEWEST: usize = 2;
/// How many stand ready at most.
const MOST: usize = 16;

/// A launcher, and the processes of it that stand ready.
pub struct Pool {
    launcher: Arc<Launcher>,
    shelves: Mutex<HashMap<Work, Shelf>>,
    used: Mutex<Instant>,
    /// Ends with the pool: what serves the proxy of the launcher.
    _proxy: Option<Aborted>,
}

/// The processes for one kind of work.
#[derive(Default)]
struct Shelf {
    ready: VecDeque<Process>,
    /// How many are being started.
    coming: usize,
    at_work: Arc<AtomicUsize>,
}

/// A task that ends when this is dropped.
pub struct Aborted(pub tokio::task::JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A process at work.
pub struct Taken {
    /// The process.
    pub process: Process,
    at_work: Arc<AtomicUsize>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// A pool of a launcher's processes.
    pub fn new(launcher: Arc<Launcher>, proxy: Option<Aborted>) -> Pool {
        Pool {
            launcher,
            shelves: Mutex::default(),
            used: Mutex::new(Instant::now()),
            _proxy: proxy,
        }
    }

    /// Whether its launcher is still there.
    pub fn is_alive(&self) -> bool {
        self.launcher.is_alive()
    }

    /// How long nothing was asked of it; nothing while anything is at work.
    pub fn idle(&self) -> Duration {
        let busy = self
            .shelves()
            .values()
            .any(|shelf| shelf.at_work.load(Ordering::Relaxed) > 0);
        match busy {
            true => Duration::ZERO,
            false => self
                .used
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .elapsed(),
        }
    }

    /// A process for some work: one that stands ready, or else a new one. Others are started in its place.
    ///
    /// # Errors
    /// In words, why none can be started.
    pub async fn take(self: &Arc<Pool>, work: Work, extra: bool) -> Result<Taken, String> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let (ready, at_work) = {
            let mut shelves = self.shelves();
            let shelf = shelves.entry(work.clone()).or_default();
            shelf.at_work.fetch_add(1, Ordering::Relaxed);
            let mut ready = shelf.ready.pop_front();
            while let Some(process) = &mut ready
                && !process.is_alive()
            {
                ready = shelf.ready.pop_front();
            }
            (ready, shelf.at_work.clone())
        };
        let counted = Counted(Some(at_work));
        self.fill(&work, extra);
        let process = match ready {
            Some(process) => process,
            None => self.launcher.process(work, extra).await?,
        };
        Ok(counted.taken(process))
    }

    /// Starts as many processes as are to stand ready: as many as are at work, and a few.
    pub fn fill(self: &Arc<Pool>, work: &Work, extra: bool) {
        let missing = {
            let mut shelves = self.shelves();
            let shelf = shelves.entry(work.clone()).or_default();
            let wanted = (FEWEST + shelf.at_work.load(Ordering::Relaxed)).min(MOST);
            let missing = wanted.saturating_sub(shelf.ready.len() + shelf.coming);
            shelf.coming += missing;
            missing
        };
        for _ in 0..missing {
            let (pool, work) = (self.clone(), work.clone());
            tokio::spawn(async move {
                let process = pool.launcher.process(work.clone(), extra).await;
                let mut shelves = pool.shelves();
                let shelf = shelves.entry(work).or_default();
                shelf.coming -= 1;
                shelf.ready.extend(process.ok());
            });
        }
    }

    fn shelves(&self) -> std::sync::MutexGuard<'_, HashMap<Work, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more at work, until it is taken over or dropped.
struct Counted(Option<Arc<AtomicUsize>>);

impl Counted {
    fn taken(mut self, process: Process) -> Taken {
        let at_work = self.0.take().unwrap_or_default();
        Taken { process, at_work }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(at_work) = &self.0 {
            at_work.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
