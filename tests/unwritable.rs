//! A record that cannot be written for a while.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::time::{Duration, Instant};

use support::{KEY, TestCommand, TestServer};
use waystation::store::sqlite::Sqlite;
use waystation::store::{Filter, RECORD, State, Store};

const PROGRAM: &str = r#"id: 1
name: Wait
functions:
  Main:
    triggers: [webhook: {outputs: {File: ''}}]
    steps:
      - python: |
          import os, time
          while not os.path.exists(inputs["File"]):
              time.sleep(0.01)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_run_is_written_when_it_can_be() {
    let command = TestCommand::new(&[("wait.yaml", PROGRAM)]);
    let server = TestServer::start(&command, &[]);
    let file = command.folder.path().join("go");
    let target = format!(
        "/api?api_key={KEY}&program_id=1&variables={}",
        file.display()
    );
    let address = server.address.clone();
    let call = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let request = format!("POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    });
    let path = command.folder.path().join("data").join(RECORD);
    let store = Sqlite::read_only(&path).unwrap();
    until(&store, State::Running).await;
    // Another program holds the database longer than the server waits for it.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::fs::write(&file, "").unwrap();
    let answer = call.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with(r#"{"Error":"The run could not be recorded, so its outcome is not known. The server's log says why."}"#), "{answer}");
    other.execute_batch("ROLLBACK").unwrap();
    until(&store, State::Succeeded).await;
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
