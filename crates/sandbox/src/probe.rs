//! The hostile probe: attempts from inside a sandbox whatever must not come through.
//!
//! The host sets a [`Stage`] and has [`run`] called in a sandboxed process with its [`Bait`]; the stage then says which
//! attempts [really came through](Stage::verdicts), and [`holes`] which of them a tier may not have. Every attempt is
//! made so that the machine is as before even where it succeeds.

mod child;
mod errno;
mod files;
mod kernel;
mod network;
mod privileges;
mod processes;
mod stage;
mod table;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::path::PathBuf;

use rustix::process::{getpid, getppid};
use serde::{Deserialize, Serialize};

pub use stage::Stage;
pub use table::{ATTEMPTS, Attempt, Kind, Tiers};

use child::Stopped;

/// What the probe is let loose on: made by the host beside the sandbox, before the sandbox starts.
///
/// Numbers and paths are as the host sees them. Nothing in it is worth keeping secret once the stage is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bait {
    /// What every file, page and process of the stage holds: who reads it got there.
    pub secret: String,
    /// A file with the secret, which anybody may read.
    pub secret_file: PathBuf,
    /// The folder of another run, with the secret in its file `result`. Anybody may write to it.
    pub foreign_folder: PathBuf,
    /// A folder that anybody may write to.
    pub writable_outside: PathBuf,
    /// The name of the files that the probe plants.
    pub planted: String,
    /// The process id of a stand-in for the server, which leads a process group of its own.
    pub server: u32,
    /// When the stand-in started, in clock ticks since the machine did. Whatever started later may be the sandbox's.
    pub server_started: u64,
    /// The environment variable of the stand-in that holds the secret.
    pub server_secret_env: String,
    /// Where the secret is in the stand-in's memory; 0 if the host may not know.
    pub secret_address: u64,
    /// The port of an HTTP server on 127.0.0.1 that answers with the secret.
    pub tcp: u16,
    /// The port of a datagram service on 127.0.0.1.
    pub udp: u16,
    /// A socket file, which anybody may connect to.
    pub socket_file: PathBuf,
    /// The name of an abstract socket.
    pub abstract_socket: String,
    /// A descriptor of the secret file that the host left open for its children.
    pub leaked_fd: i32,
    /// A descriptor of a folder of the host that the host left open for its children.
    pub leaked_folder: i32,
    /// A program that root owns and lends its rights: it ends with 1 as root and with 0 as anybody else. None if the
    /// host is not root.
    pub setuid_program: Option<PathBuf>,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The attempt, in its words in [`ATTEMPTS`].
    pub attempt: String,
    /// Whether it succeeded. What could not be tried counts as a success: nothing is known to stop it.
    pub came_through: bool,
    /// What was got, or what stopped it: the name of an error, a signal, a few words.
    pub detail: String,
}

/// What the code of an attempt works with.
pub(crate) struct Trial<'a> {
    bait: &'a Bait,
    /// The attempt's words, by which the host's listeners know it.
    words: &'static str,
    /// The process ids of the probe and of who started it.
    family: [i32; 2],
}

impl Trial<'_> {
    /// That what was read holds the secret.
    fn expect_secret(&self, read: &[u8]) -> child::Tried {
        let secret = self.bait.secret.as_bytes();
        match read.windows(secret.len()).any(|part| part == secret) {
            true => Ok("the secret".to_owned()),
            false => Err(Stopped::from("something else was read")),
        }
    }
}

/// Attempts everything in [`ATTEMPTS`], in that order and each in a child process of its own.
///
/// To be called in the sandbox, in a process with one thread. Takes well under a second. An attempt that gives
/// no answer is ended after a second, and counts as one that could not be tried.
pub fn run(bait: &Bait) -> Vec<Finding> {
    let family = [getpid(), getppid().unwrap_or(getpid())].map(|pid| pid.as_raw_nonzero().get());
    let one = |attempt: &Attempt| {
        let words = attempt.words;
        let trial = Trial {
            bait,
            words,
            family,
        };
        let (came_through, detail) = child::alone(|| attempt.act(&trial));
        let attempt = words.to_owned();
        Finding {
            attempt,
            came_through,
            detail,
        }
    };
    ATTEMPTS.iter().map(one).collect()
}

/// The findings that came through although they must be stopped, in the tiers that `needed` picks:
/// `holes(&findings, |tiers| tiers.jail)`. A tier passes its self-test if there are none.
pub fn holes(findings: &[Finding], needed: impl Fn(&Tiers) -> bool) -> Vec<&Finding> {
    let must_stop = |finding: &&Finding| {
        let attempt = ATTEMPTS
            .iter()
            .find(|attempt| attempt.words == finding.attempt);
        finding.came_through && attempt.is_none_or(|attempt| needed(&attempt.needed_in))
    };
    findings.iter().filter(must_stop).collect()
}
