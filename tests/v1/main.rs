//! `/v1`: runs are started, looked at, cancelled and run again.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/mod.rs"]
mod support;

mod cancel;
mod health;
mod idempotency;
mod leaving;
mod log;
mod runs;
mod schedules;
mod start;
mod steps;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use support::{Answer, KEY, TestApp};

/// Programs: a greeting, one that fails, one that waits for long, one that waits a moment.
const PROGRAMS: [(&str, &str); 4] = [
    (
        "greet.yaml",
        r#"id: 1
name: Greet
functions:
  Main:
    triggers: [webhook: {outputs: {Name: World, Times: 1}}]
    steps:
      - print: 'Hello, {{ Name }}'
      - set: {Greeting: 'Hello, {{ Name }}', Twice: '{{ Times * 2 }}'}
        show: [Greeting, Twice]
  Plain:
    inputs: {Word: text}
    outputs: {Out: text}
    steps:
      - return: {Out: '{{ Word }}!'}
"#,
    ),
    (
        "fail.yaml",
        r"id: 2
name: Fail
functions:
  Main:
    triggers: [webhook]
    steps:
      - assert: false
        message: it does not hold
",
    ),
    (
        "long.yaml",
        r"id: 3
name: Long
functions:
  Main:
    triggers: [webhook]
    steps:
      - print: begins
      - sleep: 1 day
",
    ),
    (
        "moment.yaml",
        r"id: 4
name: Moment
functions:
  Main:
    triggers: [webhook]
    steps:
      - sleep: 20ms
      - set: {A: 1}
        show: [A]
",
    ),
];

async fn app() -> TestApp {
    TestApp::new(&PROGRAMS).await
}

/// A request with the good key; `headers` with a colon between name and value.
async fn send(app: &TestApp, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("authorization", format!("Bearer {KEY}"));
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let body = Body::from(body.to_owned());
    app.send(request.body(body).unwrap()).await
}

async fn get(app: &TestApp, target: &str) -> Answer {
    send(app, "GET", target, &[], "").await
}

async fn post(app: &TestApp, target: &str, body: &str) -> Answer {
    send(app, "POST", target, &[], body).await
}

/// Starts a run that nobody waits for, and gives its id.
async fn begin(app: &TestApp, program: u64) -> String {
    let target = format!("/v1/programs/{program}/runs");
    let answer = send(app, "POST", &target, &["prefer: respond-async"], "").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    json(&answer)["id"].as_str().unwrap().to_owned()
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// Checks that the answer is a problem of this kind, and gives it.
#[track_caller]
fn problem(answer: &Answer, status: u16, code: &str) -> Value {
    let problem = json(answer);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let kind = format!("urn:waystation:problem:{code}");
    assert_eq!(
        (
            answer.status.as_u16(),
            &problem["status"],
            &problem["code"],
            &problem["type"]
        ),
        (status, &status.into(), &code.into(), &kind.into()),
        "{answer:?}"
    );
    problem
}

/// Waits until a run is in a state.
async fn until(app: &TestApp, run: &str, state: &str) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let run = json(&get(app, &format!("/v1/runs/{run}")).await);
        if run["state"] == state {
            return run;
        }
        assert!(Instant::now() < end, "{run}");
        tokio::task::yield_now().await;
    }
}
