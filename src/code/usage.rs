//! Looks from outside at what the processes of a run use, four times a second.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use engine::run::Failure;

use super::launcher;
use super::limits::Limits;

const PAUSE: Duration = Duration::from_millis(250);
/// The most files that are looked at to see how large a folder is.
const FILES: usize = 20_000;

/// What the processes of a run use together.
#[derive(Default)]
struct Usage {
    memory: u64,
    cpu: Duration,
    processes: u64,
}

/// Watches a process and all below it, and comes back when they meet a limit. `folder` is where
/// the process works.
pub async fn watch(descriptor: &OwnedFd, limits: &Limits, folder: &Path) -> Failure {
    tokio::time::sleep(PAUSE).await;
    let Some(pid) = launcher::pid(descriptor) else {
        return std::future::pending().await;
    };
    // In a jail the folder is a file system of its own, which grows no further.
    let held = folder.parent().filter(|held| *held != Path::new("/"));
    loop {
        let usage = Usage::of(pid);
        let met = [
            (usage.memory > limits.memory, "memory"),
            (usage.cpu > limits.cpu, "cpu"),
            (usage.processes > limits.processes, "processes"),
            (held.is_some_and(|held| size(held) > limits.disk), "disk"),
        ];
        if let Some((_, name)) = met.into_iter().find(|(met, _)| *met) {
            return limits.met(name);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Usage {
    fn of(root: u32) -> Usage {
        let mut usage = Usage::default();
        let mut pids = vec![root];
        while let Some(pid) = pids.pop() {
            usage.add(pid, pid == root);
            pids.extend(children(pid));
        }
        usage
    }

    fn add(&mut self, pid: u32, root: bool) -> Option<()> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        self.memory += (field("RssAnon:") + field("RssShmem:")) * 1024;
        self.processes += field("Threads:");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let numbers: Vec<u64> = rest
            .split_whitespace()
            .skip(1)
            .filter_map(|number| number.parse().ok())
            .collect();
        // Its own time; of the first process also that of its children that have ended.
        let own = numbers.get(10..12)?.iter().sum::<u64>();
        let ended = if root {
            numbers.get(12..14)?.iter().sum()
        } else {
            0
        };
        self.cpu += Duration::from_millis((own + ended) * 10);
        Some(())
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids = texts.flat_map(|text| {
        let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect::<Vec<_>>()
    });
    pids.collect()
}

/// What the files in a folder take on the disk, in bytes.
fn size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let (mut bytes, mut seen) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            seen += 1;
            bytes += metadata.blocks() * 512;
            match metadata.is_dir() && seen < FILES {
                true => folders.push(entry.path()),
                false => {}
            }
        }
    }
    // So many files are taken for too many bytes.
    if seen < FILES { bytes } else { u64::MAX }
}
