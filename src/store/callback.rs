//! Who is told how runs ended, and how far that has come.

use super::RunId;

/// Who is to be told how a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// The run.
    pub run: RunId,
    /// Where it is told.
    pub url: String,
    /// How often that was tried.
    pub tries: u32,
}

/// Callbacks that were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Callbacks {
    /// Those that are due, the longest due first.
    pub due: Vec<Callback>,
    /// When the next one is, those taken among them.
    pub next: Option<i64>,
}

/// How long whoever takes a callback has, in microseconds, until somebody else may.
pub const CALLBACK_TIME: i64 = 60_000_000;

/// What came of a callback.
#[derive(Clone, Debug)]
pub struct Called {
    /// The run.
    pub run: RunId,
    /// Whether it was told.
    pub told: bool,
    /// When it is tried again, if it is.
    pub again: Option<i64>,
    /// What came of it, in words.
    pub answer: String,
}

/// How far telling whoever wants to know how a run ended has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Where it is told.
    pub url: String,
    /// When that is tried next, if it is.
    pub due: Option<i64>,
    /// How often it was tried.
    pub tries: u32,
    /// Whether it was told.
    pub told: bool,
    /// What came of the last try, in words.
    pub answer: Option<String>,
}
