//! The one door through which the processes that install packages are started.

use std::ffi::OsString;
use std::path::PathBuf;

use engine::host::Boxed;

/// The most that is kept of what an installer writes, in bytes of each of its two outputs: the last.
pub const MAX_OUTPUT: usize = 256 << 10;

/// A process that installs packages, about to start.
#[derive(Clone, Debug)]
pub struct Installer {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Its environment beside what all code has.
    pub environment: Vec<(&'static str, OsString)>,
    /// The folders and files it may read beside the system's.
    pub reads: Vec<PathBuf>,
    /// The folder it may write in, and starts in.
    pub writes: PathBuf,
    /// The hosts it may reach, each with its port.
    pub hosts: Vec<(String, u16)>,
}

/// How an installer ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether it did what it was started for.
    pub success: bool,
    /// The last it wrote to standard output and then to standard error.
    pub text: String,
    /// Why the first connection was not made that was not, if any was not.
    pub refused: Option<String>,
}

/// Starts installers behind walls.
pub trait Walls: Send + Sync {
    /// Runs an installer to its end. Dropping the future ends it and what it started.
    ///
    /// # Errors
    /// The sentence that says why it cannot be started.
    fn install<'a>(&'a self, installer: Installer) -> Boxed<'a, Result<Output, String>>;
}
