//! The key is sent in every place and state; nothing that the server writes has it but its own file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::{Path, PathBuf};

use support::{KEY, Ran, TestCommand, TestServer};

/// A program that ends well or fails, as it is told.
const STATES: &str = r#"
id: 1
name: States
functions:
  Main:
    triggers:
      - webhook:
          outputs: {How: well, Number: 1}
    steps:
      - print: "{{ How }}"
      - if: How == "badly"
        then:
          - set: {Bad: "{{ Number / 0 }}"}
      - set: {How: "{{ How }}"}
        show: [How]
  Off:
    triggers: [webhook: {active: false}]
    steps: [print: x]
"#;

/// Code that writes down all that it can see.
const NOSY: &str = r#"
id: 2
name: Nosy
functions:
  Main:
    triggers: [webhook]
    steps:
      - python: |
          import os, sys
          print(dict(os.environ), sys.argv, inputs)
          outputs["Seen"] = str((dict(os.environ), sys.argv, inputs))
        show: [Seen]
"#;

/// Code that takes too long.
const SLOW: &str = r#"
id: 3
name: Slow
functions:
  Main:
    triggers: [webhook]
    steps:
      - python: |
          import time
          time.sleep(60)
        timeout: 100ms
"#;

/// Requests with the key in every place, for a call with these parameters.
fn requests(parameters: &str) -> Vec<String> {
    let host = "Host: x\r\nConnection: close\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let with = |headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /api?{parameters} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let json = format!(r#"{{"api_key":"{KEY}"}}"#);
    vec![
        format!("POST /api?api_key={KEY}&{parameters} HTTP/1.1\r\n{host}\r\n"),
        format!("GET /api?{parameters}&%61pi_key={KEY} HTTP/1.1\r\n{host}\r\n"),
        format!("GET http://x/api?{parameters}&api_key={KEY} HTTP/1.1\r\n{host}\r\n"),
        with(&format!("Authorization: Bearer {KEY}\r\n"), ""),
        with(&format!("X-API-Key: {KEY}\r\n"), ""),
        with(form, &format!("api_key={KEY}")),
        with("Content-Type: application/json\r\n", &json),
    ]
}

/// Requests that are refused, before and after the key is looked at.
fn refused() -> Vec<String> {
    let host = "Host: x\r\nConnection: close\r\n";
    let target = format!("/api?api_key={KEY}&program_id=1");
    let body = format!("api_key={KEY}");
    vec![
        format!("POST {target}&api_key=other HTTP/1.1\r\n{host}\r\n"),
        format!("POST {target}x HTTP/1.1\r\n{host}\r\n"),
        format!("POST /api?api_key={KEY}x&program_id=1 HTTP/1.1\r\n{host}\r\n"),
        format!("POST /api?API_KEY={KEY}&program_id=1 HTTP/1.1\r\n{host}\r\n"),
        format!("DELETE {target} HTTP/1.1\r\n{host}\r\n"),
        format!("OPTIONS {target} HTTP/1.1\r\n{host}\r\n"),
        format!("GET /other?api_key={KEY} HTTP/1.1\r\n{host}\r\n"),
        format!("GET /{KEY} HTTP/1.1\r\n{host}\r\n"),
        format!("GET {target} HTTP/1.1\r\n\r\n"),
        format!("GET {target} <bad> HTTP/1.1\r\n{host}\r\n"),
        format!("GET {target}&{} HTTP/1.1\r\n{host}\r\n", "x".repeat(65_600)),
        format!(
            "POST {target} HTTP/1.1\r\n{host}Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"
        ),
        format!("POST {target} HTTP/1.1\r\n{host}Content-Length: 9000000\r\n\r\n"),
        format!(
            "POST {target} HTTP/1.1\r\n{host}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        format!(
            "GET /api?program_id=1 HTTP/1.1\r\n{host}Cookie: api_key={KEY}\r\nReferer: http://x{target}\r\n\r\n"
        ),
        format!("GET /api?program_id=1 HTTP/1.1\r\n{host}Authorization: Basic {KEY}\r\n\r\n"),
        format!("Authorization: Bearer {KEY}\r\n\r\n"),
    ]
}

#[test]
fn nothing_that_is_written_has_the_key() {
    let programs = [
        ("states.yaml", STATES),
        ("nosy.yaml", NOSY),
        ("slow.yaml", SLOW),
    ];
    let command = TestCommand::new(&programs);
    let server = TestServer::start(&command, &["--log", "trace"]);
    let mut answers = Vec::new();
    for (parameters, status) in [
        ("program_id=1", "200"),
        ("program_id=1&run_async=True", "200"),
        ("program_id=1&variables=badly", "500"),
        ("program_id=1&variables=badly&run_async=1", "200"),
        ("program_id=1&variables=%ff", "400"),
        ("program_id=1&variables=a&variables=x", "400"),
        ("program_id=x", "400"),
        ("program_id=1&run_async=maybe", "400"),
        ("program_id=4", "404"),
        ("program_id=1&function=Nobody", "404"),
        ("program_id=1&function=Off", "409"),
    ] {
        for request in requests(parameters) {
            let answer = server.raw(&request);
            assert_eq!(answer.get(9..12), Some(status), "{parameters}: {answer}");
            answers.push(answer);
        }
    }
    for (parameters, status) in [("program_id=2", "200"), ("program_id=3", "504")] {
        let answer = server.raw(&requests(parameters)[0]);
        assert_eq!(answer.get(9..12), Some(status), "{answer}");
        answers.push(answer);
    }
    answers.extend(refused().iter().map(|request| server.raw(request)));
    let mut written = vec![answers.join("\n"), server.greeting.clone()];
    written.extend(shown(&command));
    server.signal(rustix::process::Signal::TERM);
    let logged = ended(server);
    assert!(
        logged.contains("TRACE") || logged.contains("DEBUG"),
        "{logged}"
    );
    written.push(logged);
    for text in &written {
        assert!(!text.contains(KEY), "{text}");
    }
    let key = Path::new("data/keys/api-key");
    assert_eq!(
        holding(command.folder.path()),
        [command.folder.path().join(key)]
    );
}

/// What the commands that show the record write about it.
fn shown(command: &TestCommand) -> Vec<String> {
    let run = |args: &[&str]| -> Ran { command.run(&[args, &["--data", "data"]].concat()) };
    let list = run(&["runs", "--json", "--limit", "1000"]);
    let runs: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 30);
    let mut shown = vec![list.stdout, run(&["runs"]).stdout];
    // The newest, the oldest and two between are of every state.
    for run_of in [
        &runs[0], &runs[1], &runs[8], &runs[15], &runs[22], &runs[28],
    ] {
        let id = run_of["id"].as_str().unwrap();
        for args in [
            &["runs", id, "--json"][..],
            &["runs", id],
            &["logs", id, "--json"],
            &["logs", id],
        ] {
            let ran = run(args);
            shown.extend([ran.stdout, ran.stderr]);
        }
    }
    shown
}

/// What the server wrote, once it has ended.
fn ended(mut server: TestServer) -> String {
    server.child.wait().unwrap();
    server.logged()
}

/// The files in a folder and those in it that hold the key.
fn holding(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path));
        } else if holds(&std::fs::read(&path).unwrap()) {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes())
}
