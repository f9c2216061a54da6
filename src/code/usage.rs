//! Looks from outside at what the processes of a run use, soon after their start and then four times a second.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::run::Failure;
use rustix::process::{Pid, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::disk;
use super::launcher;
use super::limits::Limits;

/// When processes are looked at first, after they began.
const FIRST: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(250);

/// The priority of processes that are not done by then.
const NICE: i32 = 19;

/// What the processes of a run use together.
#[derive(Default)]
struct Usage {
    memory: u64,
    cpu: Duration,
    processes: u64,
    pids: Vec<u32>,
}

/// What was found of a run.
enum Found {
    Within,
    /// More than a limit, which is named.
    Over(&'static str),
    /// The code keeps from being looked at.
    Hidden,
}

/// Watches a process and all below it, and comes back when they meet a limit. `folder` is where
/// the process works.
pub async fn watch(descriptor: &OwnedFd, limits: &Limits, folder: &Path) -> Failure {
    tokio::time::sleep(FIRST).await;
    // In a jail the folder is a file system of its own, which grows no further.
    let held = folder.parent().filter(|held| *held != Path::new("/"));
    loop {
        let (limits_then, held) = (limits.clone(), held.map(Path::to_owned));
        // When it has been waited for, others may have its number.
        let Some(pid) = launcher::pid(descriptor) else {
            return std::future::pending().await;
        };
        let looked = tokio::task::spawn_blocking(move || look(pid, &limits_then, held)).await;
        let found = match launcher::pid(descriptor) {
            Some(_) => looked.unwrap_or(Found::Within),
            None => Found::Within,
        };
        match found {
            Found::Within => {}
            Found::Over(name) => return limits.met(name),
            Found::Hidden => {
                let message = "the code hides a folder or a process from the server, which so cannot see what it uses";
                return Failure::new(message);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn look(pid: u32, limits: &Limits, held: Option<PathBuf>) -> Found {
    let usage = Usage::of(pid, limits.processes);
    usage.step_back();
    let met = [
        // Where there are many of them, the rest of what they use comes of that.
        (usage.processes > limits.processes, "processes"),
        (usage.memory > limits.memory, "memory"),
        (usage.cpu > limits.cpu, "cpu"),
    ];
    if let Some((_, name)) = met.into_iter().find(|(met, _)| *met) {
        return Found::Over(name);
    }
    match held.map(|held| disk::is_within(&held, &usage.pids, limits.disk)) {
        None | Some(Ok(true)) => Found::Within,
        Some(Ok(false)) => Found::Over("disk"),
        Some(Err(disk::Hidden)) => Found::Hidden,
    }
}

impl Usage {
    /// What is used by a process and all below it, as far as that is needed to know that there are too many.
    fn of(root: u32, processes: u64) -> Usage {
        let mut usage = Usage::default();
        let mut pids = vec![root];
        while let Some(pid) = pids.pop() {
            if usage.add(pid).is_some() {
                usage.pids.push(pid);
            }
            if usage.processes > processes {
                break;
            }
            pids.extend(children(pid));
        }
        usage
    }

    /// Has everything else on the machine go before the processes and all that they will start, and leaves one of
    /// the processors without them: so neither the server nor short runs wait for endless ones.
    fn step_back(&self) {
        let others = others();
        for pid in &self.pids {
            let threads = fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten()
                .flatten();
            let threads = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            for thread in threads.filter_map(Pid::from_raw) {
                // Where they are somebody else's by now, nothing is lost by it.
                let _ = setpriority_process(Some(thread), NICE);
                if let Some(others) = &others {
                    let _ = sched_setaffinity(Some(thread), others);
                }
            }
        }
    }

    fn add(&mut self, pid: u32) -> Option<()> {
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
        // Its own time, and that of its children that have ended and were waited for: the fields 14 to 17 of
        // proc_pid_stat(5), of which the first two are gone.
        let times = rest.split_whitespace().skip(11).take(4);
        let ticks = times
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum::<u64>();
        self.cpu += Duration::from_millis(ticks * 10);
        Some(())
    }
}

/// All processors that this process can use but the first, where it can use more than one.
fn others() -> Option<CpuSet> {
    let mut set = sched_getaffinity(None).ok()?;
    if set.count() < 2 {
        return None;
    }
    let first = (0..CpuSet::MAX_CPU).find(|number| set.is_set(*number))?;
    set.unset(first);
    Some(set)
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
