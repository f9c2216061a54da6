//! The record in SQLite.
//!
//! One connection, on a thread of its own, does all the writing; see [`writer`]. Reading goes through
//! other connections that cannot write.

mod migrations;
mod sql;
mod writer;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use self::sql::large::{Large, Texts};
use self::writer::{Writer, Writing};
use super::{
    Answers, Callbacks, Called, Cancel, Claims, Clock, Detail, End, Error, Filter, Fire, Fired,
    Hold, Keep, Leave, LogPage, Made, NewRun, NewSchedule, NewVersion, Node, NodeId, Place, Pruned,
    Reply, RunId, Scheduled, State, StepRecord, Store, Summary, Swept, Version, VersionId,
};

/// The oldest SQLite that is used: those before may damage a write-ahead log that is reset while it is
/// read (release notes of 3.51.3).
const OLDEST: i32 = 3_051_003;

/// How a database is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The largest size of the database, in bytes; as large as there is room for without it.
    pub max_bytes: Option<u64>,
}

/// A database in a file, or in memory.
pub struct Sqlite {
    writer: Option<Writer>,
    readers: Readers,
    commits: Arc<AtomicU64>,
}

enum Readers {
    /// Connections that are not in use.
    File(PathBuf, Arc<Mutex<Vec<Connection>>>),
    /// A database in memory is read where it is written.
    Memory,
}

impl Sqlite {
    /// Opens the database in a file, making it if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened, is of a newer release, or is no database.
    pub fn open(path: &Path, options: Options) -> Result<Sqlite, Error> {
        if rusqlite::version_number() < OLDEST {
            let message = format!(
                "SQLite {} is too old; 3.51.3 is needed",
                rusqlite::version()
            );
            return Err(Error::Failed(message));
        }
        let connection = Connection::open(path)?;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, private)
            .map_err(|error| Error::Failed(error.to_string()))?;
        let readers = Readers::File(path.to_owned(), Arc::default());
        Sqlite::with(connection, readers, options)
    }

    /// A database that is forgotten when it is closed.
    ///
    /// # Errors
    /// When there is no memory or thread for it.
    pub fn memory() -> Result<Sqlite, Error> {
        Sqlite::with(
            Connection::open_in_memory()?,
            Readers::Memory,
            Options::default(),
        )
    }

    /// Opens a database that another process may be writing to, to read it only.
    ///
    /// # Errors
    /// When it cannot be opened, or is of another release.
    pub fn read_only(path: &Path) -> Result<Sqlite, Error> {
        let connection = reader(path)?;
        migrations::current(&connection)?;
        let readers = Readers::File(path.to_owned(), Arc::new(Mutex::new(vec![connection])));
        Ok(Sqlite {
            writer: None,
            readers,
            commits: Arc::default(),
        })
    }

    /// Copies the database in a file to a new file, as it is at one moment; a server may be writing to it meanwhile. The copy has
    /// been examined and is on the disk when this returns.
    ///
    /// # Errors
    /// When there is no such database, it is of a newer release or damaged, or there is no room.
    pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
        let failed = |error: std::io::Error| Error::Failed(error.to_string());
        let source = reader(from)?;
        if migrations::known(&source)? == 0 {
            return Err(Error::Failed("it is no record of Waystation".to_owned()));
        }
        let name = to.to_str();
        let name =
            name.ok_or_else(|| Error::Failed("the name of the copy is not UTF-8".to_owned()))?;
        let file = std::fs::File::create_new(to).map_err(failed)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .map_err(failed)?;
        // Not page by page: a copy of that kind begins again whenever somebody writes.
        source.execute("VACUUM INTO ?1", [name])?;
        sql::check(&reader(to)?)?;
        file.sync_all().map_err(failed)
    }

    fn with(connection: Connection, readers: Readers, options: Options) -> Result<Sqlite, Error> {
        prepare(&connection)?;
        migrations::apply(&connection)?;
        RunId::after(sql::runs::newest(&connection)?);
        if let Some(bytes) = options.max_bytes {
            let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let most = (bytes as i64 / page).max(1);
            connection.pragma_update(None, "max_page_count", most)?;
        }
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer::start(connection, commits.clone())?;
        Ok(Sqlite {
            writer: Some(writer),
            readers,
            commits,
        })
    }

    /// How many transactions have been committed since the database was opened.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Writing) -> Result<T, Error> + Send + 'static,
    ) -> Reply<'_, T> {
        match &self.writer {
            Some(writer) => writer.write(work),
            None => Box::pin(std::future::ready(Err(Error::Closed))),
        }
    }

    /// The same, with what has texts that may be too large for their rows.
    fn write_texts<W: Texts + Send + 'static, T: Send + 'static>(
        &self,
        what: W,
        work: impl Fn(&Writing, &W, &Large) -> Result<T, Error> + Send + 'static,
    ) -> Reply<'_, T> {
        if !what.are_large() {
            return self.write(move |connection| work(connection, &what, &Large::default()));
        }
        Box::pin(async move {
            let pack = tokio::task::spawn_blocking(move || {
                let large = Large::of(&what);
                (what, large)
            });
            let packed = pack.await;
            let (what, large) = packed.map_err(|error| Error::Failed(error.to_string()))?;
            self.write(move |connection| work(connection, &what, &large))
                .await
        })
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Reply<'_, T> {
        let Readers::File(path, idle) = &self.readers else {
            return self.write(move |connection| work(connection));
        };
        let (path, idle) = (path.clone(), idle.clone());
        Box::pin(async move {
            let task = tokio::task::spawn_blocking(move || {
                let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let connection = kept.map_or_else(|| reader(&path), Ok)?;
                let result = work(&connection);
                idle.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(connection);
                result
            });
            task.await
                .map_err(|error| Error::Failed(error.to_string()))?
        })
    }
}

fn reader(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // This before the first page is written: afterwards it takes a `VACUUM`.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -8_000)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full,
            _ => Error::Failed(error.to_string()),
        }
    }
}

impl Store for Sqlite {
    fn accept(&self, version: NewVersion) -> Reply<'_, VersionId> {
        self.write(move |connection| sql::accept(connection, &version))
    }

    fn version(&self, id: VersionId) -> Reply<'_, Option<Version>> {
        self.read(move |connection| sql::version(connection, id))
    }

    fn enter(&self, node: Node) -> Reply<'_, ()> {
        self.write(move |connection| sql::runs::enter(connection, &node))
    }

    fn begin(&self, run: NewRun, holder: Option<NodeId>) -> Reply<'_, ()> {
        self.write_texts(run, move |connection, run, large| {
            sql::runs::begin(connection, run, holder, large)
        })
    }

    fn record(&self, run: NewRun, made: Arc<Made>, end: End) -> Reply<'_, ()> {
        self.write_texts(
            (run, (made, end)),
            |connection, (run, (made, end)), large| {
                sql::runs::record(connection, run, made, end, large)
            },
        )
    }

    fn due(&self) -> Reply<'_, Option<i64>> {
        self.read(|connection| sql::queue::next(connection, i64::MIN))
    }

    fn claim(&self, node: NodeId, limit: u32, clock: Clock) -> Reply<'_, Claims> {
        self.write(move |connection| sql::queue::claim(connection, node, limit, clock()))
    }

    fn append(&self, hold: Hold, made: Arc<Made>) -> Reply<'_, ()> {
        self.write_texts(made, move |connection, made, large| {
            sql::runs::append(connection, hold, made, large)
        })
    }

    fn leave(&self, hold: Hold, made: Arc<Made>, how: Leave) -> Reply<'_, ()> {
        self.write_texts((made, how), move |connection, (made, how), large| {
            sql::runs::leave(connection, hold, made, how, large)
        })
    }

    fn journal(&self, id: RunId, after: i64) -> Reply<'_, Vec<StepRecord>> {
        self.read(move |connection| sql::journal::page(connection, id, after))
    }

    fn cancel(&self, id: RunId, now: i64, answer: String) -> Reply<'_, Cancel> {
        self.write(move |connection| sql::queue::cancel(connection, id, now, &answer))
    }

    fn sweep(&self, node: NodeId, now: i64, answers: Answers) -> Reply<'_, Swept> {
        self.write(move |connection| sql::sweep::sweep(connection, node, now, &answers))
    }

    fn schedule(&self, wanted: Vec<NewSchedule>) -> Reply<'_, Vec<Scheduled>> {
        self.write(move |connection| sql::schedules::set(connection, &wanted))
    }

    fn fire(&self, fire: Fire) -> Reply<'_, Fired> {
        self.write(move |connection| sql::schedules::fire(connection, &fire))
    }

    fn prune(&self, keep: Keep, now: i64) -> Reply<'_, Pruned> {
        Box::pin(async move {
            let stale = self.read(move |connection| sql::prune::stale(connection, &keep, now));
            let stale = stale.await?;
            let pruned = self.write(move |connection| sql::prune::prune(connection, &stale, &keep));
            pruned.await
        })
    }

    fn queued(&self) -> Reply<'_, u64> {
        self.read(sql::queue::queued)
    }

    fn runs(&self, filter: Filter) -> Reply<'_, Vec<Summary>> {
        self.read(move |connection| sql::history::runs(connection, &filter))
    }

    fn run(&self, id: RunId) -> Reply<'_, Option<Detail>> {
        self.read(move |connection| sql::history::run(connection, id))
    }

    fn log(&self, id: RunId, from: i64) -> Reply<'_, LogPage> {
        self.read(move |connection| sql::history::log(connection, id, from))
    }

    fn stored(&self, place: Place) -> Reply<'_, Option<String>> {
        self.read(move |connection| sql::storage::get(connection, &place))
    }

    fn callbacks(&self, limit: u32, now: i64) -> Reply<'_, Callbacks> {
        self.write(move |connection| sql::callbacks::take(connection, limit, now))
    }

    fn called(&self, called: Called) -> Reply<'_, ()> {
        self.write(move |connection| sql::callbacks::called(connection, &called))
    }

    fn set_key(&self, account: i64, hash: [u8; 32]) -> Reply<'_, ()> {
        self.write(move |connection| sql::set_key(connection, account, &hash))
    }

    fn keys(&self) -> Reply<'_, Vec<([u8; 32], i64)>> {
        self.read(sql::keys)
    }

    fn check(&self) -> Reply<'_, ()> {
        self.read(sql::check)
    }

    fn close(&self) -> Reply<'_, ()> {
        Box::pin(async move {
            match &self.writer {
                Some(writer) => writer.close().await,
                None => Ok(()),
            }
        })
    }
}

/// A state as the database writes it.
fn state(text: &str) -> Result<State, Error> {
    text.parse().map_err(Error::Failed)
}
