//! The `javascript` step: what code sees and gives, what it may fetch, and how it is stopped.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use support::TestApp;

/// A step of `javascript` with further settings, in a program that shows `X`.
fn program(code: &str, settings: &str) -> String {
    let code: String = code
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    format!(
        "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - javascript: |\n          outputs.X = null;\n{code}        show: [X]\n{settings}"
    )
}

/// Runs code and gives the answer's body and the log.
async fn run_with(code: &str, settings: &str, flags: &[&str]) -> (String, Vec<String>) {
    let app = TestApp::with(&[("p.yaml", &program(code, settings))], flags).await;
    let answer = app.api("program_id=1").await;
    let run = answer.header("waystation-run").parse().unwrap();
    let log = app.app.store.log(run, 0).await.unwrap().text;
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!(
            "{} {}",
            line["stream"].as_str().unwrap(),
            line["text"].as_str().unwrap()
        )
    };
    (answer.body, log.lines().map(line).collect())
}

async fn run(code: &str) -> (String, Vec<String>) {
    run_with(code, "", &[]).await
}

#[track_caller]
fn failed(body: &str, message: &str) {
    let error = format!("Main, step 1 (javascript): {message}");
    let expected = format!(r#"{{"Error":{}}}"#, serde_json::Value::from(error));
    assert_eq!(body, expected);
}

#[track_caller]
fn gives(body: &str, value: &str) {
    let expected = format!(r#"{{"Success":"Program finished.","Result":[["X",{value}]]}}"#);
    assert_eq!(body, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_out_as_they_are() {
    let (body, _) =
        run("outputs.X = [1, 2.5, true, null, 'é\\n', {b: 10n ** 30n, a: new Date(0)}]").await;
    gives(
        &body,
        r#"[1,2.5,true,null,"é\n",{"b":1000000000000000000000000000000,"a":"1970-01-01T00:00:00.000Z"}]"#,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_goes_to_the_log_with_its_stream() {
    let (_, mut log) = run("console.log('one', {two: 2}); console.error('three')").await;
    log.sort();
    assert_eq!(log, ["err three", "out one { two: 2 }"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_with_its_line() {
    let rows = [
        (
            "null.x",
            "TypeError: cannot read property 'x' of null (line 2 of the code)",
        ),
        (
            "Promise.reject(new Error('later'))",
            "Error: later (line 2 of the code)",
        ),
        (
            "outputs.X = [1, NaN]",
            "the output `X[1]` cannot be kept: it is NaN",
        ),
        (
            "require('fs')",
            "ReferenceError: require is not defined (line 2 of the code)",
        ),
    ];
    for (code, message) in rows {
        failed(&run(code).await.0, message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_code_is_ended_whatever_it_does() {
    let rows = [
        "for (;;) {}",
        "for (;;) { try { for (;;) {} } catch {} finally {} }",
        "const again = () => Promise.resolve().then(again); await again()",
        // The engine looks at no clock in these: the process is killed.
        "new Array(4294967295).join('')",
        "const a = []; a[4294967290] = 1; a.sort()",
        "const half = 'a'.repeat(2500000); (half + half).indexOf(half + 'b')",
    ];
    for code in rows {
        let start = Instant::now();
        let (body, _) = run_with(code, "        timeout: 300ms\n", &[]).await;
        let message = "the step took longer than its `timeout` of 300ms";
        failed(&body, message);
        assert!(start.elapsed() < Duration::from_secs(10), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_output_and_result_are_limited() {
    let rows = [
        (
            "const all = []; for (;;) all.push('x'.repeat(1000000))",
            "memory: 64MB",
            "the code used more memory than its limit of 64MB; the step's `limits` can set `memory` up to 2GB, the server's `max-code-memory`",
        ),
        (
            "for (;;) console.log('x'.repeat(1000))",
            "output: 1MB",
            "the code used more output than its limit of 1MB; the step's `limits` can set `output` up to 256MB, the server's `max-code-output`",
        ),
        (
            "outputs.X = 'x'.repeat(2000000)",
            "result: 1MB",
            "the code used more outputs than its limit of 1MB; the step's `limits` can set `result` up to 64MB, the server's `max-code-result`",
        ),
    ];
    for (code, limit, message) in rows {
        let settings = format!("        limits: {{{limit}}}\n");
        failed(&run_with(code, &settings, &[]).await.0, message);
    }
}

/// Answers every request with its first line, and says where.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let text = String::from_utf8(head).unwrap();
            let line = text.lines().next().unwrap_or_default();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{line}",
                line.len()
            );
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn code_fetches_what_the_server_lets_it() {
    let address = echo();
    let fetch = format!("outputs.X = await (await fetch('{address}/a?b')).text()");
    let allow = ["--egress-allow", "127.0.0.1"];
    let (body, _) = run_with(&fetch, "", &allow).await;
    gives(&body, r#""GET /a?b HTTP/1.1""#);
    let (body, _) = run_with(&fetch, "", &[]).await;
    let port = address.rsplit_once(':').unwrap().1;
    failed(
        &body,
        &format!(
            "TypeError: the address 127.0.0.1 is in a loopback range, which this server does not allow; an administrator can allow it with `egress_allow = \"127.0.0.1:{port}\"` (line 2 of the code)"
        ),
    );
    let (body, _) = run_with(&fetch, "        network: none\n", &allow).await;
    failed(
        &body,
        "TypeError: fetch is off: this step has no network (line 2 of the code)",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_are_counted_and_end_with_the_run() {
    let address = echo();
    let allow = ["--egress-allow", "127.0.0.1"];
    let many = format!("for (let i = 0; i < 10000; i++) await (await fetch('{address}/')).text()");
    let (body, _) = run_with(&many, "", &allow).await;
    failed(
        &body,
        "TypeError: fetch was called more than 50 times, the most in one run (line 2 of the code)",
    );
    let never = format!("fetch('{address}/never'); outputs.X = 1");
    gives(&run_with(&never, "", &allow).await.0, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_gone_fails_its_run_and_no_other() {
    // More than the engine may hold of the machine's memory by other means than its own.
    let (body, _) = run("new TextEncoder().encode('x'.repeat(2 ** 28)); outputs.X = 1").await;
    assert!(
        !body.contains("Success") || body.contains("[\"X\",1]"),
        "{body}"
    );
    gives(&run("outputs.X = 2").await.0, "2");
}
