//! Waystation: a self-hosted server that runs stored programs when somebody calls them.

pub mod app;
pub mod callbacks;
pub mod cli;
pub mod code;
pub mod config;
pub mod egress;
pub mod fault;
pub mod http;
pub mod keys;
pub mod metrics;
pub mod packages;
pub mod programs;
pub mod recorder;
pub mod reference;
pub mod retention;
pub mod runs;
pub mod schedule;
pub mod store;
pub mod traces;
pub mod watch;
pub mod worker;

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Something that we failed at: the store, a file, the system. Programs' own failures are none of it.
#[derive(Debug)]
pub struct Error {
    message: String,
    /// Whether the cause is that there is no room left.
    pub full: bool,
}

impl Error {
    /// An error, in words.
    pub fn new(message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            full: false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error {
            message: error.to_string(),
            full: matches!(error, store::Error::Full),
        }
    }
}

/// The time now, in microseconds since 1970 (UTC).
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_micros() as i64
}
