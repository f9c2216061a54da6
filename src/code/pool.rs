//! Processes that stand ready, one use each.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sandbox::message::Work;
use tokio::runtime::Handle;

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

/// A process at work. When it is dropped, another one is started in its place.
pub struct Taken {
    /// The process.
    pub process: Process,
    /// After the process, so that its end comes first.
    _place: Place,
}

/// The place of a process at work.
struct Place {
    pool: Arc<Pool>,
    work: (Work, bool),
    at_work: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.at_work.fetch_sub(1, Ordering::Relaxed);
        let (work, extra) = &self.work;
        self.pool.fill(work, *extra);
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

    /// A process for some work: one that stands ready, or else a new one. Others are started in its place when it
    /// has done its work, so that they do not keep the processors from it; at once where none is left.
    ///
    /// # Errors
    /// In words, why none can be started.
    pub async fn take(self: &Arc<Pool>, work: Work, extra: bool) -> Result<Taken, String> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let (ready, left, at_work) = {
            let mut shelves = self.shelves();
            let shelf = shelves.entry(work.clone()).or_default();
            shelf.at_work.fetch_add(1, Ordering::Relaxed);
            let mut ready = shelf.ready.pop_front();
            while let Some(process) = &mut ready
                && !process.is_alive()
            {
                ready = shelf.ready.pop_front();
            }
            (ready, shelf.ready.len(), shelf.at_work.clone())
        };
        let place = Place {
            pool: self.clone(),
            work: (work.clone(), extra),
            at_work,
        };
        if left == 0 {
            self.fill(&work, extra);
        }
        let process = match ready {
            Some(process) => process,
            None => self.launcher.process(work, extra).await?,
        };
        Ok(Taken {
            process,
            _place: place,
        })
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
        // Nothing is started any more when the server ends.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        for _ in 0..missing {
            let (pool, work) = (self.clone(), work.clone());
            runtime.spawn(async move {
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
