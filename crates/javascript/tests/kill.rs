//! Workers in a process of their own: what the engine cannot stop is killed, and what it can use stays small.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use javascript::Worker;
use support::{Request, frame};

/// Set in the processes that are workers.
const IS_WORKER: &str = "WAYSTATION_TEST_IS_WORKER";

/// How much more than its limit a worker's process may hold, in KiB: the engine's own and the test's code.
const BESIDE: usize = 16 << 10;

/// In a process that is a worker, this serves; else it does nothing.
#[test]
fn worker() {
    if std::env::var_os(IS_WORKER).is_none() {
        return;
    }
    let channel = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let mut held = channel.try_clone().unwrap();
    let serve = move || Worker::prepare().serve(channel, std::io::sink(), std::io::sink());
    std::thread::Builder::new()
        .stack_size(8 << 20)
        .spawn(serve)
        .unwrap()
        .join()
        .unwrap();
    // It stays until it was looked at.
    let _ = held.read(&mut [0]);
}

fn spawn() -> (Child, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "worker", "--nocapture"])
        .env(IS_WORKER, "1");
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
    (command.spawn().unwrap(), ours)
}

/// The most memory that a process held, in KiB.
fn peak(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn what_the_engine_cannot_stop_is_killed() {
    for code in [
        "new Array(4294967295).join('')",
        "const a = []; a[4294967290] = 1; a.sort()",
        "const a = 'x'.repeat(2.5e6); (a + a).indexOf(a + 'y')",
    ] {
        let (mut child, mut channel) = spawn();
        let limit = Duration::from_millis(200);
        channel
            .write_all(
                &Request {
                    time_ms: 200,
                    ..Request::new(code)
                }
                .frame(),
            )
            .unwrap();
        channel
            .set_read_timeout(Some(limit + Duration::from_millis(250)))
            .unwrap();
        let begin = Instant::now();
        assert_eq!(frame(&mut channel), None, "{code}");
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(
            begin.elapsed() < limit + Duration::from_millis(900),
            "{:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn a_worker_stays_small() {
    for code in [
        "'a'.repeat(2 ** 30)",
        "new Uint8Array(2 ** 40)",
        "Array.from({ length: 1e9 })",
        "2n ** (2n ** 30n)",
        "const a = []; for (;;) a.push(new Array(1000).fill(1))",
        "const a = []; for (;;) a.push('x'.repeat(1000) + a.length)",
        "const a = []; for (;;) a.push(Promise.reject(a))",
        "for (;;) setTimeout(() => {}, 1e6)",
        "const l = () => Promise.resolve().then(l); l()",
        "for (;;) console.log('x'.repeat(1e6))",
    ] {
        let (mut child, mut channel) = spawn();
        channel
            .write_all(
                &Request {
                    time_ms: 1500,
                    ..Request::new(code)
                }
                .frame(),
            )
            .unwrap();
        let answer = frame(&mut channel).unwrap();
        assert_eq!(answer[0], b'e');
        let peak = peak(&child);
        drop(channel);
        assert!(child.wait().unwrap().success());
        assert!(peak < (64 << 10) + BESIDE, "{peak} KiB: {code}");
    }
}
