//! How long an engine takes to be ready, and a prepared one to answer.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "it measures, and is no part of the interface"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use javascript::Worker;
use support::{Log, Request, frame};

const RUNS: usize = 500;

fn main() {
    let list: String = (0..1_000_000).map(|number| format!("{number},")).collect();
    let list = format!(r#"{{"list":[{}0]}}"#, list);
    for (name, runs, request) in [
        ("one output", RUNS, Request::new("outputs.Total = 1 + 2")),
        (
            "a text in and out",
            RUNS,
            Request::new("outputs.a = inputs.a").inputs(r#"{"a":"text"}"#),
        ),
        (
            "a log line",
            RUNS,
            Request::new("console.log({ a: [1, 2] })"),
        ),
        (
            "a million numbers in and out",
            5,
            Request::new("outputs.a = inputs.list").inputs(&list),
        ),
    ] {
        let mut times: Vec<(Duration, Duration)> = (0..runs).map(|_| once(&request)).collect();
        times.sort_by_key(|times| times.0);
        let prepare = times[runs / 2].0;
        times.sort_by_key(|times| times.1);
        println!(
            "{name}: prepared in {prepare:?}, answered in {:?}, p99 {:?}",
            times[runs / 2].1,
            times[runs * 99 / 100].1
        );
    }
}

/// How long it took to prepare, and from the request to the answer.
fn once(request: &Request) -> (Duration, Duration) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (ready, wait) = mpsc::channel();
    let serve = move || {
        let begin = Instant::now();
        let worker = Worker::prepare();
        ready.send(begin.elapsed()).unwrap();
        worker.serve(theirs, Log::default(), Log::default());
    };
    let worker = std::thread::Builder::new()
        .stack_size(8 << 20)
        .spawn(serve)
        .unwrap();
    let prepare = wait.recv().unwrap();
    let bytes = request.frame();
    let begin = Instant::now();
    ours.write_all(&bytes).unwrap();
    let answer = frame(&mut ours).unwrap();
    let took = begin.elapsed();
    assert_eq!(answer[0], b'o');
    worker.join().unwrap();
    (prepare, took)
}
