//! The processes below the launcher: looking at them, and ending those that nobody knows.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

/// How long leftovers are hunted before the launcher turns to other work.
const HUNT: Duration = Duration::from_millis(50);
/// How often what came to this process is killed before everything below it is held still.
const ROUNDS: u32 = 16;

/// Ends every child of this process that is not known, and all of theirs: what a process leaves behind comes
/// to the launcher. Gives whether none is left.
pub fn sweep(known: &[Pid]) -> bool {
    let until = Instant::now() + HUNT;
    for round in 0.. {
        let unknown: Vec<Pid> = children()
            .into_iter()
            .filter(|pid| !known.contains(pid))
            .collect();
        if unknown.is_empty() {
            return true;
        }
        // A process that forks and ends at once is met only by being quick; many that fork without end only
        // by being held still before any is killed.
        if round % ROUNDS == ROUNDS - 1 {
            signal(&with_descendants(&unknown), Signal::STOP);
        }
        signal(&unknown, Signal::KILL);
        for pid in unknown {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        if Instant::now() > until {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    false
}

fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _ = kill_process(*pid, signal);
    }
}

/// The children of this process.
fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero();
    match fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(text) => text.split_whitespace().filter_map(pid).collect(),
        Err(_) => {
            let all = all();
            let mine = all.into_iter().filter(|(_, parent)| *parent == own.get());
            mine.filter_map(|(pid, _)| Pid::from_raw(pid)).collect()
        }
    }
}

/// Some processes, and everything below them.
fn with_descendants(roots: &[Pid]) -> Vec<Pid> {
    let all = all();
    let mut found: Vec<i32> = roots.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// Every process that can be seen, with its parent.
fn all() -> Vec<(i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// The parent of a process.
pub fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}
