//! A record that cannot be written for a while.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::outside::Outside;
use support::{KEY, TestCommand, TestServer};
use waystation::store::sqlite::Sqlite;
use waystation::store::{Filter, RECORD, State, Store};

const PROGRAM: &str = r#"id: 1
name: Wait
functions:
  Main:
    triggers: [webhook: {outputs: {Url: ''}}]
    steps:
      - python: |
          import urllib.request
          urllib.request.urlopen(inputs["Url"])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_run_is_written_when_it_can_be() {
    let command = TestCommand::new(&[("wait.yaml", PROGRAM)]);
    let outside = Outside::new();
    let server = TestServer::start(&command, &["--egress-allow", &outside.address()]);
    let parameters = format!("program_id=1&variables={}", outside.url());
    let address = server.address.clone();
    let called = std::thread::spawn(move || call(&address, &parameters));
    let path = command.folder.path().join("data").join(RECORD);
    let store = Sqlite::read_only(&path).unwrap();
    until(&store, State::Running).await;
    // Another program holds the database longer than the server waits for it.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    outside.called().answer();
    let answer = called.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with(r#"{"Error":"The run could not be recorded, so its outcome is not known. The server's log says why."}"#), "{answer}");
    other.execute_batch("ROLLBACK").unwrap();
    until(&store, State::Succeeded).await;
}

const BRIEF: &str = r#"id: 2
name: Brief
functions:
  Main:
    triggers: [webhook]
    steps:
      - sleep: 1ms
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_beginning_is_slow_to_write_goes_on() {
    let command = TestCommand::new(&[("brief.yaml", BRIEF)]);
    let server = TestServer::start(&command, &[]);
    let path = command.folder.path().join("data").join(RECORD);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let address = server.address.clone();
    std::thread::spawn(move || tell.send(call(&address, "program_id=2")));
    // Longer than the log of a run at work waits to be written.
    let early = told.recv_timeout(Duration::from_secs(1));
    assert!(early.is_err(), "{early:?}");
    other.execute_batch("ROLLBACK").unwrap();
    let answer = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(
        answer.ends_with(r#"{"Success":"Program finished.","Result":[]}"#),
        "{answer}"
    );
}

/// Calls the server and gives the whole answer.
fn call(address: &str, parameters: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let request = format!(
        "POST /api?api_key={KEY}&{parameters} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits for the one run to be in a state.
async fn until(store: &Sqlite, state: State) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let runs = store
            .runs(Filter {
                limit: 2,
                ..Filter::default()
            })
            .await
            .unwrap();
        match &runs[..] {
            [run] if run.state == state => return,
            _ => assert!(Instant::now() < end, "{runs:?}"),
        }
        tokio::task::yield_now().await;
    }
}
