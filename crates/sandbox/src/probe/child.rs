//! An attempt in a process of its own, so that what it changes and what kills it ends with it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, kill_process, setrlimit, waitpid,
};

use super::errno;

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was got, or what stopped it.
pub type Tried = Result<String, Stopped>;

/// What stopped an attempt, in words.
pub struct Stopped(pub String);

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Stopped {
        Stopped(errno::name(error.raw_os_error()))
    }
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Stopped {
        Stopped(
            error
                .raw_os_error()
                .map_or_else(|| error.to_string(), errno::name),
        )
    }
}

impl From<&str> for Stopped {
    fn from(words: &str) -> Stopped {
        Stopped(words.to_owned())
    }
}

/// Makes an attempt in a child process: whether it came through, and what was got or what stopped it.
pub fn alone(act: impl FnOnce() -> Tried) -> (bool, String) {
    attempt(act).unwrap_or_else(|error| {
        let Stopped(error) = error.into();
        (true, format!("not tried, no child process: {error}"))
    })
}

fn attempt(act: impl FnOnce() -> Tried) -> Result<(bool, String), Errno> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: the child makes its attempt and leaves by `_exit`. Of what another thread may have held at this moment it
    // uses the allocator only, which the C library makes whole again in the child.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(std::io::Error::last_os_error()
            .raw_os_error()
            .map_or(Errno::NOSYS, Errno::from_raw_os_error)),
        0 => {
            drop(ours);
            report(act, theirs);
            // SAFETY: ends this process at once; what the parent wanted written is the parent's to write.
            unsafe { libc::_exit(0) }
        }
        child => {
            drop(theirs);
            Ok(verdict(Pid::from_raw(child), ours))
        }
    }
}

/// Tells the parent what became of an attempt, in one write: `+` or `-`, then the words.
fn report(act: impl FnOnce() -> Tried, parent: OwnedFd) {
    // A core of 1 byte is none at all, and is not handed to a program that collects cores either.
    let limit = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    let _ = setrlimit(Resource::Core, limit);
    let tried = catch_unwind(AssertUnwindSafe(act));
    let text = match tried.unwrap_or_else(|_| Ok("not tried, it panicked".to_owned())) {
        Ok(got) => format!("+{got}"),
        Err(Stopped(by)) => format!("-{by}"),
    };
    let _ = File::from(parent).write_all(text.as_bytes());
}

/// An attempt that gives no answer may have done anything, so it came through.
fn verdict(child: Option<Pid>, pipe: OwnedFd) -> (bool, String) {
    let text = hear(pipe);
    if let (None, Some(child)) = (&text, child) {
        let _ = kill_process(child, Signal::KILL);
    }
    let status = waitpid(child, WaitOptions::empty()).ok().flatten();
    let Some(text) = text else {
        return (true, format!("no answer within {PATIENCE:?}"));
    };
    match text.split_at_checked(1) {
        Some((sign, words)) => (sign == "+", words.to_owned()),
        None => end(status.map(|(_, status)| status)),
    }
}

/// What the child wrote until it ended; nothing if it did not end in time.
fn hear(pipe: OwnedFd) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut pipe = File::from(pipe);
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok()?;
        let ready = poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&left));
        match ready {
            Ok(0) => return None,
            Err(Errno::INTR) => continue,
            _ => {}
        }
        match pipe.read(&mut part).ok()? {
            0 => return Some(String::from_utf8_lossy(&bytes).into_owned()),
            length => bytes.extend_from_slice(&part[..length]),
        }
    }
}

/// What became of a child that said nothing. A filter kills by `SIGSYS`, the processor's refusal is `SIGSEGV`; any other
/// end has nothing to do with the attempt.
fn end(status: Option<WaitStatus>) -> (bool, String) {
    match status.and_then(|status| status.terminating_signal()) {
        Some(signal) => {
            let refused = [libc::SIGSYS, libc::SIGSEGV].contains(&signal);
            (!refused, format!("killed by {}", errno::signal(signal)))
        }
        None => (true, "ended without a word".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpid;

    use super::*;

    fn killed_by(signal: Signal) -> (bool, String) {
        alone(|| {
            kill_process(getpid(), signal)?;
            Ok("alive".to_owned())
        })
    }

    #[test]
    fn an_attempt_tells_what_it_got_or_what_stopped_it() {
        assert_eq!(alone(|| Ok("it".to_owned())), (true, "it".to_owned()));
        assert_eq!(
            alone(|| Err(Errno::PERM.into())),
            (false, "EPERM".to_owned())
        );
        assert_eq!(alone(|| Ok(String::new())), (true, String::new()));
    }

    #[test]
    fn a_filter_stops_an_attempt_by_killing_it() {
        assert_eq!(
            killed_by(Signal::SYS),
            (false, "killed by SIGSYS".to_owned())
        );
        assert_eq!(
            killed_by(Signal::KILL),
            (true, "killed by SIGKILL".to_owned())
        );
    }

    #[test]
    fn what_gives_no_answer_is_ended_and_is_not_known_to_be_stopped() {
        let endless = || loop {
            std::thread::park();
        };
        assert_eq!(alone(endless), (true, "no answer within 1s".to_owned()));
    }
}
