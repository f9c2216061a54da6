//! What is answered is on the disk before the first byte of the answer leaves: seen from below, by tracing what the server writes and
//! syncs.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use support::{KEY, TestCommand, TestServer};

const PROGRAM: &str = r#"id: 1
name: Echo
functions:
  Main:
    triggers: [webhook: {outputs: {Text: ''}}]
    steps:
      - print: "{{ Text }}"
"#;

/// One thing that the server did.
#[derive(Debug)]
struct Event {
    /// `write`, before it is done, or `synced`, when it has been.
    what: String,
    path: String,
    bytes: Vec<u8>,
}

impl Event {
    fn of(line: &str) -> Event {
        let (what, rest) = line.split_once(' ').unwrap();
        let (path, digits) = rest.rsplit_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        Event {
            what: what.to_owned(),
            path: path.to_owned(),
            bytes: (0..digits.len()).step_by(2).map(byte).collect(),
        }
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.bytes.windows(bytes.len()).any(|found| found == bytes)
    }
}

/// Compiles what traces, and gives its path.
fn tracer(folder: &Path) -> String {
    let library = folder.join("trace.so").display().to_string();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/synced/trace.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiled = Command::new(compiler)
        .args(["-shared", "-fPIC", "-O1", "-o", &library, source, "-ldl"])
        .status();
    assert!(compiled.unwrap().success(), "the tracer does not compile");
    library
}

/// A call, and the run that the answer names.
fn call(server: &TestServer, parameters: &str) -> String {
    let answer = server.raw(format!(
        "POST /api?program_id=1&{parameters} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
    ));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let run = answer
        .lines()
        .find_map(|line| line.strip_prefix("waystation-run: "));
    run.unwrap().to_owned()
}

#[test]
fn a_sync_to_the_disk_comes_before_the_first_byte_of_an_answer() {
    let mut command = TestCommand::new(&[("echo.yaml", PROGRAM)]);
    let trace = command.folder.path().join("trace");
    let tracer = tracer(command.folder.path());
    command.environment = vec![
        ("LD_PRELOAD".to_owned(), tracer),
        ("TRACE".to_owned(), trace.display().to_string()),
    ];
    let server = TestServer::start(&command, &[]);
    // Several at once, so that syncs are shared.
    let runs: Vec<String> = std::thread::scope(|scope| {
        let server = &server;
        let callers: Vec<_> = (0..6)
            .map(|caller| {
                scope.spawn(move || {
                    let parameters = |call: i32| match (caller + call) % 2 {
                        0 => format!("variables={caller}-{call}"),
                        _ => format!("variables={caller}-{call}&run_async=true"),
                    };
                    let calls = (0..10).map(|number| call(server, &parameters(number)));
                    calls.collect::<Vec<_>>()
                })
            })
            .collect();
        callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap())
            .collect()
    });
    drop(server);
    let trace = std::fs::read_to_string(trace).unwrap();
    let events: Vec<Event> = trace.lines().map(Event::of).collect();
    assert_eq!(runs.len(), 60);
    for run in runs {
        let id = uuid::Uuid::parse_str(&run).unwrap();
        let answered = events
            .iter()
            .position(|event| event.path.starts_with("socket:") && event.has(run.as_bytes()));
        let answered = answered.expect("the answer is traced");
        let written = events
            .iter()
            .position(|event| event.path.ends_with(".db-wal") && event.has(id.as_bytes()));
        let written = written.expect("the run is written");
        assert!(written < answered, "{run}: answered before it is written");
        let synced = events[written..answered]
            .iter()
            .any(|event| event.what == "synced" && event.path.ends_with(".db-wal"));
        assert!(synced, "{run}: answered before it is synced");
    }
}
