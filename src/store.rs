//! The record: programs' versions, runs and keys, and who may change the state of a run.
//!
//! The store knows nothing of what programs mean: what it keeps of their values is JSON text. Times are
//! microseconds since 1970 (UTC), given by the caller.

mod callback;
mod run_id;
pub mod sqlite;

use std::borrow::Cow;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

pub use self::callback::{CALLBACK_TIME, Callback, Callbacks, Called, Told};
pub use self::run_id::RunId;

/// The name of the file in a data folder that holds the record.
pub const RECORD: &str = "waystation.db";

/// What a store answers with, once it is durable.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Tells the time when it is asked, in microseconds since 1970.
pub type Clock = Box<dyn Fn() -> i64 + Send>;

/// A database of programs' versions, runs and keys.
///
/// A method that writes answers when what it wrote is committed and synced to disk.
pub trait Store: Send + Sync + 'static {
    /// Keeps an accepted text of a program. The same text again is the same version.
    fn accept(&self, version: NewVersion) -> Reply<'_, VersionId>;

    /// A version of a program.
    fn version(&self, id: VersionId) -> Reply<'_, Option<Version>>;

    /// Makes a server known that will hold runs.
    fn enter(&self, node: Node) -> Reply<'_, ()>;

    /// Notes a run: as held by a server, which is at it, or as queued. One that the server holds already stays as it is.
    fn begin(&self, run: NewRun, holder: Option<NodeId>) -> Reply<'_, ()>;

    /// Notes a run that has begun and ended, at once.
    fn record(&self, run: NewRun, made: Arc<Made>, end: End) -> Reply<'_, ()>;

    /// When the first of the runs that nobody holds is due, in microseconds since 1970; nothing where there is none.
    fn due(&self) -> Reply<'_, Option<i64>>;

    /// Takes runs that nobody holds and that are due, the longest due first; the server holds them from now on. The clock is
    /// read when nothing else is being written, so that no run begins before the one whose place it takes has ended.
    fn claim(&self, node: NodeId, limit: u32, clock: Clock) -> Reply<'_, Claims>;

    /// Adds to the journal and the log of a run that is held.
    fn append(&self, hold: Hold, made: Arc<Made>) -> Reply<'_, ()>;

    /// Lets go of a run that is held, adding to its journal and log: it has ended, or somebody takes it later. An outcome
    /// is never changed.
    fn leave(&self, hold: Hold, made: Arc<Made>, how: Leave) -> Reply<'_, ()>;

    /// Some of the journal of a run, in its order: the records after a number, as many as are read at once.
    fn journal(&self, id: RunId, after: i64) -> Reply<'_, Vec<StepRecord>>;

    /// Cancels a run: one that nobody holds ends, one that is held is to be ended by its holder. `answer` is what is
    /// recorded of one that ends.
    fn cancel(&self, id: RunId, now: i64, answer: String) -> Reply<'_, Cancel>;

    /// Takes the runs of servers that are gone from them. `node` is the one server that is there.
    fn sweep(&self, node: NodeId, now: i64, answers: Answers) -> Reply<'_, Swept>;

    /// Keeps when time triggers are due: of those that are wanted, and of no others. Gives them in their order.
    fn schedule(&self, wanted: Vec<NewSchedule>) -> Reply<'_, Vec<Scheduled>>;

    /// Queues the runs of a time trigger that is due, and sets when it is due next.
    fn fire(&self, fire: Fire) -> Reply<'_, Fired>;

    /// Forgets some of the oldest runs that have ended, as far as they are not to be kept, and gives space back that nothing
    /// is in. Where nothing is done, nothing is left to do.
    fn prune(&self, keep: Keep, now: i64) -> Reply<'_, Pruned>;

    /// How many runs are queued.
    fn queued(&self) -> Reply<'_, u64>;

    /// Runs, the newest first.
    fn runs(&self, filter: Filter) -> Reply<'_, Vec<Summary>>;

    /// Everything about a run but its log.
    fn run(&self, id: RunId) -> Reply<'_, Option<Detail>>;

    /// The log of a run from a place on.
    fn log(&self, id: RunId, from: i64) -> Reply<'_, LogPage>;

    /// A value that runs of a program keep, JSON.
    fn stored(&self, place: Place) -> Reply<'_, Option<String>>;

    /// Takes callbacks that are due. Where nothing is said of what came of one, it is due again after [`CALLBACK_TIME`].
    fn callbacks(&self, limit: u32, now: i64) -> Reply<'_, Callbacks>;

    /// Notes what came of a callback.
    fn called(&self, called: Called) -> Reply<'_, ()>;

    /// Makes a key's hash the account's only one.
    fn set_key(&self, account: i64, hash: [u8; 32]) -> Reply<'_, ()>;

    /// The keys' hashes with their accounts.
    fn keys(&self) -> Reply<'_, Vec<([u8; 32], i64)>>;

    /// Examines the whole database.
    fn check(&self) -> Reply<'_, ()>;

    /// Writes out what is left to write; nothing can be written afterwards.
    fn close(&self) -> Reply<'_, ()>;
}

/// The number of a program's version in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionId(pub i64);

/// A server's id: another one each time a server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(Uuid);

impl NodeId {
    /// A new id.
    #[expect(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> NodeId {
        NodeId(Uuid::now_v7())
    }
}

/// A server that holds runs.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The release it is of.
    pub version: String,
    /// When it was started.
    pub started_at: i64,
}

/// That a server holds a run: whatever changes the run says so. The fence grows each time that the run is taken, so what
/// a server says that held it before is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The run.
    pub run: RunId,
    /// The server.
    pub node: NodeId,
    /// How often the run had been taken when it was.
    pub fence: i64,
}

/// The state of a run. Queued, running and waiting become each other and one of the rest, and that is that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, not begun.
    Queued,
    /// At work.
    Running,
    /// Lets time pass, and is not at work.
    Waiting,
    /// Came to its end.
    Succeeded,
    /// A step failed, or the server did.
    Failed,
    /// Was told to stop.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [State; 6] = [
        State::Queued,
        State::Running,
        State::Waiting,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Waiting => "waiting",
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
    pub function: Arc<str>,
    /// What started it.
    pub trigger: Cow<'static, str>,
    /// The variables it starts with, a JSON object.
    pub inputs: String,
    /// What its random numbers come from.
    pub seed: i64,
    /// Whether it is gone on with when the server that holds it is gone.
    pub resumes: bool,
    /// How its caller named the call, if it did.
    pub key: Option<Key>,
    /// What limits how many runs are at work beside it, if anything does.
    pub limit: Option<Limit>,
    /// The URL that is told how it ended, if one is.
    pub callback: Option<String>,
    /// The trace it belongs to, as it is written out, if it belongs to one.
    pub trace: Option<String>,
    /// How many runs of its account may be unfinished beside it, where it is to be seen to.
    pub account_runs: Option<u32>,
    /// When it was called for.
    pub created_at: i64,
    /// When it began, if it has.
    pub started_at: Option<i64>,
}

/// How many runs of one key are at work at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The key.
    pub key: String,
    /// How many are at work.
    pub max: u32,
    /// How many may wait; nothing where as many as come.
    pub queue: Option<u32>,
}

/// How a caller named a call: calls to one program with one name have one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub text: String,
    /// A hash of what was called for.
    pub hash: [u8; 32],
}

/// How long after the end of its run a call's name is kept, in microseconds.
pub const KEY_KEPT: i64 = 24 * 3600 * 1_000_000;

/// What a run has made since its store last heard of it.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// Records for its journal, in order.
    pub records: Vec<StepRecord>,
    /// The piece of its log that has come since: JSON lines.
    pub log: String,
    /// How many lines that piece has.
    pub log_lines: u32,
    /// How many lines of the whole log came after the last record and come again when the run is gone through again.
    pub loose: u32,
}

/// A record of the journal: something that a step did outside of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// Its number in the journal, counted from 1.
    pub number: i64,
    /// The key of the step.
    pub step: String,
    /// The kind of the step.
    pub kind: String,
    /// How far it came.
    pub status: Status,
    /// A hash of what it depended on.
    pub input: Option<[u8; 32]>,
    /// What it gave, or why it failed, JSON.
    pub output: String,
    /// The times that the run was told since the record before, a JSON list; empty where there are none.
    pub times: String,
    /// How long the run had taken, in microseconds.
    pub clock: i64,
    /// When it began.
    pub began_at: i64,
    /// When it ended, if it did.
    pub ended_at: Option<i64>,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was about to begin.
    Begun,
    /// It was done.
    Done,
    /// It failed.
    Failed,
}

impl Status {
    const ALL: [Status; 3] = [Status::Begun, Status::Done, Status::Failed];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Status::Begun => "begun",
            Status::Done => "done",
            Status::Failed => "failed",
        }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Status, String> {
        let status = Status::ALL.into_iter().find(|status| status.name() == text);
        status.ok_or_else(|| format!("there is no status `{text}`"))
    }
}

/// Why a run is let go.
#[derive(Clone, Debug)]
pub enum Leave {
    /// It has ended.
    Ended(End),
    /// It waits until then.
    Until(i64),
    /// Its server stops, and another one is to go on with it.
    Released,
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
    /// How far its code was kept apart, if it ran any.
    pub isolation: Option<&'static str>,
    /// How many steps it took, if that is known.
    pub steps: Option<i64>,
    /// What it keeps for the runs of its program after it.
    pub stored: Vec<Stored>,
    /// When it ended.
    pub ended_at: i64,
}

/// A value that a run keeps, or forgets.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Among which it is.
    pub shelf: &'static str,
    /// Its key.
    pub key: String,
    /// The value, JSON; nothing where it is forgotten.
    pub value: Option<String>,
}

/// Where a value is that runs keep.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose program it is of.
    pub account: i64,
    /// The program's id.
    pub program: i64,
    /// Among which it is.
    pub shelf: &'static str,
    /// Its key.
    pub key: String,
}

/// The most values that the runs of a program keep.
pub const MAX_STORED: i64 = 10_000;
/// The most bytes of them together, with their keys.
pub const MAX_STORED_BYTES: i64 = 64 << 20;

/// Runs that were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// The runs.
    pub runs: Vec<Claimed>,
    /// When the next one is due, if there is one that nobody holds.
    pub next: Option<i64>,
}

/// A run that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// How it is held.
    pub hold: Hold,
    /// The version it runs in.
    pub version: VersionId,
    /// The function it runs.
    pub function: String,
    /// What started it.
    pub trigger: String,
    /// The variables it starts with, a JSON object.
    pub inputs: String,
    /// What its random numbers come from.
    pub seed: i64,
    /// Whether it is gone on with when the server that holds it is gone.
    pub resumes: bool,
    /// When it was called for.
    pub created_at: i64,
    /// When it first began.
    pub started_at: i64,
    /// How many lines its log has.
    pub log_lines: u32,
    /// How many of them come again; see [`Made::loose`].
    pub loose: u32,
    /// Whether it is to be cancelled.
    pub cancelled: bool,
    /// Whether others of its key wait for it.
    pub limited: bool,
    /// The URL that is told how it ended, if one is.
    pub callback: Option<String>,
    /// The trace it belongs to, as it was written out, if it belongs to one.
    pub trace: Option<String>,
}

/// What came of the wish to cancel a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It was not at work, and has ended. It was queued and had never begun, or it waited.
    Ended {
        /// Whether it had begun.
        begun: bool,
    },
    /// It is at work, and is to be ended by the server that is at it.
    Asked,
    /// It had ended before.
    Over(State),
    /// There is none.
    Unknown,
}

/// What is recorded of runs that end because their server is gone, JSON.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Of one that was to be cancelled.
    pub cancelled: String,
    /// Of one that is not gone on with.
    pub lost: String,
    /// Of one that servers die of.
    pub poison: String,
}

/// How often servers may die with a run that comes no further, before it is ended.
pub const DEATHS: i64 = 3;

/// A time trigger that is on.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSchedule {
    /// Whose it is.
    pub account: i64,
    /// The program's id.
    pub program: i64,
    /// The function that it starts.
    pub function: String,
    /// What it is called.
    pub timer: String,
    /// When it is due first, where it is new.
    pub next_at: i64,
}

/// A time trigger as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Its number.
    pub id: i64,
    /// When it is due.
    pub next_at: i64,
}

/// What happens when a time trigger is due and the run of the time before has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// There is another one beside it.
    Allow,
    /// The time is left out.
    Skip,
    /// The next run begins when it has ended.
    Queue,
}

/// What a time trigger that is due starts.
#[derive(Clone, Debug)]
pub struct Fire {
    /// The trigger, with when it is thought to be due.
    pub schedule: Scheduled,
    /// When it is due next.
    pub next_at: i64,
    /// What happens when the run of the time before has not ended.
    pub overlap: Overlap,
    /// The runs, each with the time that it is for.
    pub runs: Vec<(i64, NewRun)>,
}

/// What came of a time trigger that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// So many runs are queued.
    Runs(u64),
    /// The run before has not ended, and the next is to wait for it.
    Busy,
    /// It was not due any more: somebody else has seen to it.
    Elsewhere,
}

/// What became of the runs of servers that are gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Swept {
    /// How many wait to be gone on with.
    pub again: u64,
    /// Those that have ended.
    pub ended: Vec<RunId>,
}

/// How much is kept of what has ended; everything by default. Unfinished runs are always kept, and those whose callers named
/// them as long as their names are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The bytes of the database.
    pub bytes: Option<u64>,
    /// How long after its end a run is kept, in microseconds.
    pub time: Option<i64>,
}

/// What is not kept any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many runs.
    pub runs: u64,
    /// How many bytes were given back to the file system.
    pub bytes: u64,
}

/// Which runs are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of one account.
    pub account: Option<i64>,
    /// Those of one program.
    pub program: Option<i64>,
    /// Those of one function.
    pub function: Option<String>,
    /// Those that one trigger started.
    pub trigger: Option<String>,
    /// Those that failed for one reason.
    pub reason: Option<String>,
    /// Those called for at this time or later.
    pub from: Option<i64>,
    /// Those called for before this time.
    pub to: Option<i64>,
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
    /// Whose it is.
    pub account: i64,
    /// Which version of the program it ran, counted from 1.
    pub version: i64,
    /// That version in the store.
    pub version_id: VersionId,
    /// What its random numbers come from.
    pub seed: i64,
    /// How many steps it took, once it has ended and if that is known.
    pub steps: Option<i64>,
    /// How far telling whoever wants to know how it ended has come, if somebody does.
    pub callback: Option<Told>,
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
    /// The run is not held, or no longer.
    #[error("the run is not held by this server any more")]
    Lost,
    /// As many runs wait for others of their key as may.
    #[error("too many runs wait for others of their key")]
    Crowded,
    /// As many runs of the account are unfinished as may be.
    #[error("too many runs of the account are unfinished")]
    Busy,
    /// A call of that name has a run already.
    #[error("a call of that name has run {run} already")]
    Taken {
        /// The run.
        run: RunId,
        /// Whether the same was called for.
        same: bool,
    },
    /// The runs of the program would keep more than they may.
    #[error(
        "the program's storage would hold more than {MAX_STORED} values or {} MiB",
        MAX_STORED_BYTES >> 20
    )]
    Overfull,
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
