//! The processes below the launcher: looking at them, and ending those that nobody knows.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open,
    pidfd_send_signal, waitpid,
};

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
            let below = descendants(&unknown);
            signal(&below, Signal::STOP);
            signal(&below, Signal::KILL);
        }
        for pid in unknown {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        if Instant::now() > until {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    false
}

/// Ends all of a process's group. Its number means that group for as long as the process is not waited for.
pub fn end_group(pid: Pid) {
    let _ = kill_process_group(pid, Signal::KILL);
}

/// Signals processes that are still what they were when they were seen: of numbers that are taken again others
/// may be the processes.
fn signal(seen: &[(Pid, Pid)], signal: Signal) {
    for (pid, of) in seen {
        let Ok(descriptor) = pidfd_open(*pid, PidfdFlags::empty()) else {
            continue;
        };
        let parent = parent(pid.as_raw_nonzero().get()).and_then(Pid::from_raw);
        if parent.is_some_and(|parent| parent == *of || parent == getpid()) {
            let _ = pidfd_send_signal(&descriptor, signal);
        }
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

/// Some children of this process and everything below them, each with its parent.
fn descendants(roots: &[Pid]) -> Vec<(Pid, Pid)> {
    let mut below: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, parent) in all() {
        below.entry(parent).or_default().push(pid);
    }
    let mut found: Vec<(Pid, Pid)> = roots.iter().map(|pid| (*pid, getpid())).collect();
    let mut next = 0;
    while let Some((parent, _)) = found.get(next).copied() {
        let children = below.remove(&parent.as_raw_nonzero().get());
        let children = children.into_iter().flatten().filter_map(Pid::from_raw);
        found.extend(children.map(|pid| (pid, parent)));
        next += 1;
    }
    found
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
