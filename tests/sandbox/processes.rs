//! Looking at the processes of the machine.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// What the machine says of a process.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    /// Whether it has ended, and only waits to be noticed.
    pub ended: bool,
    /// Its name and its command line.
    pub words: String,
}

/// All processes.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process).collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let words = format!("{} {line}", before.split_once('(')?.1);
    Some(Process {
        pid,
        parent,
        ended,
        words,
    })
}

/// The processes that say a word in their name or their command line, and have not ended.
pub fn marked(mark: &str) -> Vec<Process> {
    let said = |process: &Process| process.words.contains(mark) && !process.ended;
    all().into_iter().filter(said).collect()
}

/// Every process below another one.
pub fn below(root: u32) -> Vec<Process> {
    let all = all();
    let mut of: HashMap<u32, Vec<&Process>> = HashMap::new();
    for process in &all {
        of.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Process> = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in of.get(&pid).into_iter().flatten() {
            next.push(child.pid);
            found.push((*child).clone());
        }
    }
    found
}

/// Waits until something holds, for so long at most; gives whether it did.
pub fn comes_true(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        // Who looks without a pause keeps others from what is looked at.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Waits until no process says a word any more.
#[track_caller]
pub fn assert_gone(mark: &str, within: Duration) {
    let gone = comes_true(within, || marked(mark).is_empty());
    assert!(gone, "after {within:?} there is {:?}", marked(mark));
}
