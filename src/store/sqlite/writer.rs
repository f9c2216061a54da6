//! The thread that writes.
//!
//! While one transaction is being committed, what is to be written next gathers; the next transaction takes all of it, and
//! what comes while it is being written. So a sync to disk is shared by all who wait for it, and nobody waits for a timer.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::sql::history::Listing;
use crate::fault;
use crate::store::{Error, Reply};

/// The most pieces of work in one transaction.
const BATCH: usize = 512;
/// How many pieces of work may wait; more than that wait to be let in.
const WAITING: usize = 4_096;

/// The connection that writes, with what is known of what was written by it.
pub(super) struct Writing {
    connection: Connection,
    pub listing: Listing,
}

impl Deref for Writing {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// What became of work, whether it went well or not.
enum Done {
    /// What it was to change is changed, or nothing is.
    Whole,
    /// It failed, and may have changed something before.
    Halfway,
}

/// A piece of work, and whoever waits for it.
trait Work: Send {
    /// Does it, inside of a transaction. It may be done again in another one, when this one was taken back.
    fn work(&mut self, connection: &Writing) -> Done;

    /// Tells how it went, once that is known of the transaction.
    fn tell(self: Box<Self>, committed: Result<(), Error>);
}

struct Piece<T, W> {
    work: W,
    /// What came of it; nothing where the transaction had failed before.
    result: Option<Result<T, Error>>,
    told: oneshot::Sender<Result<T, Error>>,
}

impl<T, W> Work for Piece<T, W>
where
    T: Send,
    W: FnMut(&Writing) -> Result<T, Error> + Send,
{
    fn work(&mut self, connection: &Writing) -> Done {
        let before = connection.total_changes();
        match self.result.insert((self.work)(connection)) {
            Ok(_) => Done::Whole,
            // Not everything that a database does is counted.
            Err(Error::Failed(_)) => Done::Halfway,
            Err(_) if connection.total_changes() != before => Done::Halfway,
            Err(_) => Done::Whole,
        }
    }

    fn tell(self: Box<Self>, committed: Result<(), Error>) {
        let result = self.result.unwrap_or(Err(Error::Closed));
        let _ = self.told.send(committed.and(result));
    }
}

enum Job {
    Work(Box<dyn Work>),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// The way to the writing thread.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(connection: Connection, commits: Arc<AtomicU64>) -> Result<Writer, Error> {
        let listing = Listing::of(&connection)?;
        let writing = Writing {
            connection,
            listing,
        };
        let (jobs, waiting) = mpsc::channel(WAITING);
        let tellers = Tellers::start();
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || work(writing, waiting, &commits, &tellers))
            .map_err(|error| Error::Failed(format!("no thread to write on: {error}")))?;
        Ok(Writer { jobs })
    }

    /// Does work, in one of the next transactions, and answers when that is committed. Once it has been let in it is done
    /// even if nobody waits for it any more. Work that fails leaves nothing behind.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Writing) -> Result<T, Error> + Send + 'static,
    ) -> Reply<'_, T> {
        let (told, answer) = oneshot::channel();
        let result = None;
        let piece = Box::new(Piece { work, result, told });
        // Before the future is made, which is the smaller for it. What is not let in any more is dropped here: kept, it would wait
        // for itself to answer.
        let left = match self.jobs.try_send(Job::Work(piece)) {
            Err(TrySendError::Full(job)) => Some(job),
            Ok(()) | Err(TrySendError::Closed(_)) => None,
        };
        Box::pin(async move {
            if let Some(job) = left {
                let _ = self.jobs.send(job).await;
            }
            answer.await.map_err(|_| Error::Closed)?
        })
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
type Batch = (Vec<Box<dyn Work>>, Result<(), Error>);

impl Tellers {
    /// Tells from the runtime that this is called in, if it is called in one.
    fn start() -> Tellers {
        let Ok(runtime) = Handle::try_current() else {
            return Tellers(None);
        };
        let (send, mut waiting) = mpsc::unbounded_channel::<Batch>();
        runtime.spawn(async move {
            while let Some(batch) = waiting.recv().await {
                tell(batch);
            }
        });
        Tellers(Some(send))
    }

    fn tell(&self, batch: Batch) {
        let left = match &self.0 {
            Some(send) if batch.0.len() > 1 => send.send(batch).err().map(|back| back.0),
            _ => Some(batch),
        };
        left.into_iter().for_each(tell);
    }
}

fn tell((batch, result): Batch) {
    for work in batch {
        work.tell(result.clone());
    }
}

/// What is done in one transaction.
#[derive(Default)]
struct Gathered {
    batch: Vec<Box<dyn Work>>,
    closing: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Gathered {
    /// Takes in what waits, and says whether that is work.
    fn take(&mut self, job: Option<Job>) -> bool {
        match job {
            Some(Job::Work(work)) => self.batch.push(work),
            Some(Job::Close(tell)) => self.closing = Some(tell),
            None => return false,
        }
        self.closing.is_none()
    }
}

fn work(
    connection: Writing,
    mut waiting: mpsc::Receiver<Job>,
    commits: &AtomicU64,
    tellers: &Tellers,
) {
    let mut closing = None;
    while closing.is_none()
        && let Some(first) = waiting.blocking_recv()
    {
        let mut gathered = Gathered::default();
        if gathered.take(Some(first)) {
            let next = || waiting.try_recv().ok();
            let committed = commit(&connection, &mut gathered, next, commits);
            tellers.tell((gathered.batch, committed));
        }
        closing = gathered.closing;
    }
    let Writing { connection, .. } = connection;
    let closed = connection.close();
    if let Some(tell) = closing {
        let _ = tell.send(closed.map_err(|(_, error)| Error::from(error)));
    }
}

/// Does what is gathered in one transaction, with what comes meanwhile.
fn commit(
    connection: &Writing,
    gathered: &mut Gathered,
    next: impl FnMut() -> Option<Job>,
    commits: &AtomicU64,
) -> Result<(), Error> {
    let mut result = begin(connection).and_then(|()| gather(connection, gathered, next));
    // For a savepoint SQLite copies every page that is changed after it. Hardly any work fails halfway, so there are none until some
    // does.
    if let Ok(Done::Halfway) = result {
        result = execute(connection, "ROLLBACK")
            .and_then(|()| begin(connection))
            .and_then(|()| again(connection, &mut gathered.batch));
    }
    let mut result = result.map(drop);
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
    result
}

/// Does work as it comes, up to what is done halfway.
fn gather(
    connection: &Writing,
    gathered: &mut Gathered,
    mut next: impl FnMut() -> Option<Job>,
) -> Result<Done, Error> {
    let mut number = 0;
    while let Some(work) = gathered.batch.get_mut(number) {
        if number == 1 {
            fault::at("batch.split");
        }
        if let Done::Halfway = lasting(connection, work.work(connection))? {
            return Ok(Done::Halfway);
        }
        number += 1;
        if number < BATCH {
            gathered.take(next());
        }
    }
    Ok(Done::Whole)
}

/// Does all work once more, and takes back what is done halfway.
fn again(connection: &Writing, batch: &mut [Box<dyn Work>]) -> Result<Done, Error> {
    for work in batch {
        execute(connection, "SAVEPOINT work")?;
        if let Done::Halfway = lasting(connection, work.work(connection))? {
            execute(connection, "ROLLBACK TO work")?;
        }
        execute(connection, "RELEASE work")?;
    }
    Ok(Done::Whole)
}

/// A full disk ends the transaction there and then: what was written in it is gone.
fn lasting(connection: &Writing, done: Done) -> Result<Done, Error> {
    match connection.is_autocommit() {
        true => Err(Error::Full),
        false => Ok(done),
    }
}

fn begin(connection: &Connection) -> Result<(), Error> {
    execute(connection, "BEGIN IMMEDIATE")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
