//! The thread that writes.
//!
//! While one transaction is being committed, what is to be written next gathers; the next
//! transaction takes all of it. So a sync to disk is shared by all who wait for it, and nobody waits
//! for a timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::fault;
use crate::store::Error;

/// The most pieces of work in one transaction.
const BATCH: usize = 512;
/// How many pieces of work may wait; more than that wait to be let in.
const WAITING: usize = 4_096;

/// Work inside a transaction, or, without a connection, work that is given up because the transaction
/// has failed. It gives what tells its caller how it went, once that is known.
type Work = Box<dyn FnOnce(Option<&Connection>) -> Told + Send>;
type Told = Box<dyn FnOnce(Result<(), Error>) + Send>;

enum Job {
    Work(Work),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// The way to the writing thread.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(connection: Connection, commits: Arc<AtomicU64>) -> Result<Writer, Error> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let tellers = Tellers::start();
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || work(connection, waiting, &commits, &tellers))
            .map_err(|error| Error::Failed(format!("no thread to write on: {error}")))?;
        Ok(Writer { jobs })
    }

    /// Does work in the next transaction, and answers when that is committed.
    ///
    /// Work that fails must leave nothing behind: it changes at most one thing, at its end.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let result = connection.map(work);
            Box::new(move |committed| {
                let _ = tell.send(committed.and(result.unwrap_or(Err(Error::Closed))));
            })
        });
        self.jobs
            .send(Job::Work(work))
            .await
            .map_err(|_| Error::Closed)?;
        told.await.map_err(|_| Error::Closed)?
    }

    /// Ends the thread when all that waits is written.
    pub async fn close(&self) -> Result<(), Error> {
        let (tell, told) = oneshot::channel();
        if self.jobs.send(Job::Close(tell)).await.is_err() {
            return Ok(());
        }
        told.await.unwrap_or(Ok(()))
    }
}

/// Tells callers how their work went. That is done by a task of the runtime: to wake many tasks from another thread
/// takes a word to the runtime for each of them.
struct Tellers(Option<mpsc::UnboundedSender<Batch>>);

/// Those whose work was in one transaction, and how that went.
type Batch = (Vec<Told>, Result<(), Error>);

impl Tellers {
    /// Tells from the runtime that this is called in, if it is called in one.
    fn start() -> Tellers {
        let Ok(runtime) = Handle::try_current() else {
            return Tellers(None);
        };
        let (send, mut waiting) = mpsc::unbounded_channel::<Batch>();
        runtime.spawn(async move {
            while let Some((told, result)) = waiting.recv().await {
                told.into_iter().for_each(|tell| tell(result.clone()));
            }
        });
        Tellers(Some(send))
    }

    fn tell(&self, told: Vec<Told>, result: Result<(), Error>) {
        let left = match &self.0 {
            Some(send) if told.len() > 1 => match send.send((told, result)) {
                Ok(()) => return,
                Err(back) => back.0,
            },
            _ => (told, result),
        };
        let (told, result) = left;
        told.into_iter().for_each(|tell| tell(result.clone()));
    }
}

fn work(
    connection: Connection,
    mut waiting: mpsc::Receiver<Job>,
    commits: &AtomicU64,
    tellers: &Tellers,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = waiting.blocking_recv() else {
            break;
        };
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Work(work) => batch.push(work),
                Job::Close(tell) => closing = Some(tell),
            }
            next = if batch.len() < BATCH {
                waiting.try_recv().ok()
            } else {
                None
            };
        }
        if !batch.is_empty() {
            commit(&connection, batch.drain(..), commits, tellers);
        }
    }
    let closed = connection.close().map_err(|(_, error)| Error::from(error));
    if let Some(tell) = closing {
        let _ = tell.send(closed);
    }
}

/// Does a batch of work in one transaction and tells everybody.
fn commit(
    connection: &Connection,
    batch: impl Iterator<Item = Work>,
    commits: &AtomicU64,
    tellers: &Tellers,
) {
    let mut told = Vec::new();
    let mut result = begin(connection);
    for (number, work) in batch.enumerate() {
        if number == 1 {
            fault::at("batch.split");
        }
        told.push(work(result.is_ok().then_some(connection)));
        // A full disk ends the transaction there and then: what was written in it is gone.
        if result.is_ok() && connection.is_autocommit() {
            result = Err(Error::Full);
        }
    }
    if result.is_ok() && fault::fails("commit.before") {
        result = Err(Error::Full);
    }
    if result.is_ok() {
        result = execute(connection, "COMMIT");
        fault::at("commit.after");
        commits.fetch_add(1, Ordering::Relaxed);
    }
    if result.is_err() && !connection.is_autocommit() {
        let _ = execute(connection, "ROLLBACK");
    }
    tellers.tell(told, result);
}

fn begin(connection: &Connection) -> Result<(), Error> {
    execute(connection, "BEGIN IMMEDIATE")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
