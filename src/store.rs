//! The record: programs' versions, runs and keys, and who may change the state of a run.
//!
//! The store knows nothing of what programs mean: what it keeps of their values is JSON text. Times are
//! microseconds since 1970 (UTC), given by the caller.

pub mod sqlite;

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;

use serde::Serialize;
use uuid::Uuid;

/// The name of the file in a data folder that holds the record.
pub const RECORD: &str = "waystation.db";

/// What a store answers with, once it is durable.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A database of programs' versions, runs and keys.
///
/// A method that writes answers when what it wrote is committed and synced to disk.
pub trait Store: Send + Sync + 'static {
    /// Keeps an accepted text of a program. The same text again is the same version.
    fn accept(&self, version: NewVersion) -> Reply<'_, VersionId>;

    /// A version of a program.
    fn version(&self, id: VersionId) -> Reply<'_, Option<Version>>;

    /// Notes a run: as queued, or as running when it has a start.
    fn begin(&self, run: NewRun) -> Reply<'_, ()>;

    /// Notes a run that has begun and ended, at once.
    fn record(&self, run: NewRun, end: End) -> Reply<'_, ()>;

    /// Takes queued runs, the oldest first; they are running from now on.
    fn claim(&self, limit: u32, now: i64) -> Reply<'_, Vec<Claimed>>;

    /// Ends a running run. A run that is not running is a conflict: an outcome is never changed.
    fn finish(&self, id: RunId, end: End) -> Reply<'_, ()>;

    /// Adds a piece, some lines, to the log of a running run.
    fn append_log(&self, id: RunId, number: i64, piece: String, lines: u32) -> Reply<'_, ()>;

    /// Ends all running runs as failed, because the server that ran them is gone; says how many.
    fn interrupt(&self, now: i64, answer: String) -> Reply<'_, u64>;

    /// How many runs are queued.
    fn queued(&self) -> Reply<'_, u64>;

    /// Runs, the newest first.
    fn runs(&self, filter: Filter) -> Reply<'_, Vec<Summary>>;

    /// Everything about a run but its log.
    fn run(&self, id: RunId) -> Reply<'_, Option<Detail>>;

    /// The log of a run from a place on.
    fn log(&self, id: RunId, from: i64) -> Reply<'_, LogPage>;

    /// Makes a key's hash the account's only one.
    fn set_key(&self, account: i64, hash: [u8; 32]) -> Reply<'_, ()>;

    /// The keys' hashes with their accounts.
    fn keys(&self) -> Reply<'_, Vec<([u8; 32], i64)>>;

    /// Examines the whole database.
    fn check(&self) -> Reply<'_, ()>;

    /// Writes out what is left to write; nothing can be written afterwards.
    fn close(&self) -> Reply<'_, ()>;
}

/// A run's id: a UUID of version 7, so later runs have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// A new id.
    #[expect(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> RunId {
        RunId(Uuid::now_v7())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<RunId, String> {
        Uuid::from_str(text)
            .map(RunId)
            .map_err(|_| format!("`{text}` is not the id of a run"))
    }
}

/// The number of a program's version in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionId(pub i64);

/// The state of a run. Queued becomes running, running becomes one of the others, and that is that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, not begun.
    Queued,
    /// At work.
    Running,
    /// Came to its end.
    Succeeded,
    /// A step failed, or the server did.
    Failed,
    /// Was told to stop.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [State; 5] = [
        State::Queued,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<State, String> {
        let state = State::ALL.into_iter().find(|state| state.name() == text);
        state.ok_or_else(|| format!("there is no state `{text}`"))
    }
}

/// A text of a program that has been checked.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Whose program it is.
    pub account: i64,
    /// The program's id.
    pub program: i64,
    /// The program's name.
    pub name: String,
    /// The text.
    pub text: String,
    /// When it was accepted.
    pub accepted_at: i64,
}

/// A version of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Whose program it is.
    pub account: i64,
    /// The program's id.
    pub program: i64,
    /// Which version of the program, counted from 1.
    pub number: i64,
    /// The program's name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A run that has not ended.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    pub account: i64,
    /// The program's id.
    pub program: i64,
    /// The version it runs in.
    pub version: VersionId,
    /// The function it runs.
    pub function: String,
    /// What started it.
    pub trigger: String,
    /// The variables it starts with, a JSON object.
    pub inputs: String,
    /// When it was called for.
    pub created_at: i64,
    /// When it began, if it has.
    pub started_at: Option<i64>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Succeeded, failed or cancelled.
    pub state: State,
    /// Why it failed, as a word.
    pub reason: Option<String>,
    /// The result, a JSON list of names and values, or the failure, a JSON object.
    pub answer: String,
    /// The last piece of its log: JSON lines.
    pub log: String,
    /// How many lines that piece has.
    pub log_lines: u32,
    /// How far its code was kept apart, if it ran any.
    pub isolation: Option<&'static str>,
    /// When it ended.
    pub ended_at: i64,
}

/// A queued run that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// Its id.
    pub id: RunId,
    /// The version it runs in.
    pub version: VersionId,
    /// The function it runs.
    pub function: String,
    /// The variables it starts with, a JSON object.
    pub inputs: String,
    /// When it was called for.
    pub created_at: i64,
}

/// Which runs are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of one program.
    pub program: Option<i64>,
    /// Those in one state.
    pub state: Option<State>,
    /// Those older than one run.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: u32,
}

/// A line about a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: RunId,
    /// The program's id.
    pub program: i64,
    /// The program's name.
    pub name: String,
    /// The function it ran.
    pub function: String,
    /// What started it.
    pub trigger: String,
    /// How it stands.
    pub state: State,
    /// Why it failed, as a word.
    pub reason: Option<String>,
    /// When it was called for.
    pub created_at: i64,
    /// When it began.
    pub started_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
}

/// Everything about a run but its log.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// The line about it.
    pub summary: Summary,
    /// Which version of the program it ran, counted from 1.
    pub version: i64,
    /// The variables it started with, a JSON object.
    pub inputs: String,
    /// The result or the failure, JSON.
    pub answer: Option<String>,
    /// How many lines its log has.
    pub log_lines: u32,
    /// How far its code was kept apart, if it ran any.
    pub isolation: Option<String>,
}

/// Some of a run's log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogPage {
    /// JSON lines.
    pub text: String,
    /// Where the next page starts.
    pub next: i64,
    /// Whether the run has ended, so that there is no next page.
    pub ended: bool,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The disk, or the room that the settings give, is full.
    #[error("the database is full")]
    Full,
    /// The store has been closed.
    #[error("the database is closed")]
    Closed,
    /// What is asked does not fit what is there.
    #[error("{0}")]
    Conflict(String),
    /// The database was made by a newer release.
    #[error(
        "the database is of a newer release of Waystation (its format is {found}, this release knows {known})"
    )]
    Newer {
        /// The format of the database.
        found: i64,
        /// The newest format this release knows.
        known: i64,
    },
    /// Anything else.
    #[error("the database failed: {0}")]
    Failed(String),
}
