//! Values of many bytes: they are kept apart from the rows of their runs, and are what they were.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value;
use support::{Answer, KEY, TestApp};
use waystation::store::Keep;
use waystation::store::sqlite::{Options, Sqlite};

const PROGRAM: &str = "id: 1
name: Large
functions:
  Main:
    triggers: [webhook: {outputs: {Text: ''}}]
    steps:
      - javascript: outputs.Double = inputs.Text + inputs.Text;
        show: [Double]
      - sleep: 1s
      - set: {Size: '{{ Double | length }}'}
        show: [Size]
  Most:
    outputs: {Out: text}
    steps:
      - javascript: outputs.Out = 'ab\u{e9}'.repeat(3999900);
      - return: {Out: '{{ Out }}'}
";

async fn at(folder: &Path) -> TestApp {
    let store = Sqlite::open(&folder.join("r.db"), Options::default()).unwrap();
    TestApp::on(
        Arc::new(store),
        &[("large.yaml", PROGRAM)],
        &["--max-body", "20MB"],
    )
    .await
}

async fn send(
    app: &TestApp,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let mut request = axum::http::Request::builder()
        .method(method)
        .uri(target)
        .header("x-api-key", KEY)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(body.into()).unwrap()).await
}

async fn get(app: &TestApp, target: &str) -> Value {
    let answer = send(app, "GET", target, &[], String::new()).await;
    serde_json::from_str(&answer.body).unwrap()
}

/// Waits until a run is in a state, and gives it.
async fn until(app: &TestApp, run: &str, state: &str) -> Value {
    support::until(async || {
        let run = get(app, &format!("/v1/runs/{run}")).await;
        let is_so = run["state"] == state;
        assert!(is_so || run["ended_at"].is_null(), "{}", run["failure"]);
        is_so.then_some(run)
    })
    .await
}

/// What is kept apart of runs: where it belongs, and its size in the database.
fn apart(folder: &Path) -> Vec<(String, i64)> {
    let connection = Connection::open(folder.join("r.db")).unwrap();
    let sql = "SELECT part, octet_length(bytes) FROM large ORDER BY rowid";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_run_goes_on_with_what_is_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let text = "0123456789\u{e9}\"\n".repeat(30_000);
    let app = at(folder.path()).await;
    let body = serde_json::json!({"variables": [text]}).to_string();
    let headers = [("prefer", "respond-async")];
    let answer = send(&app, "POST", "/v1/programs/1/runs", &headers, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let run = answer.header("waystation-run").to_owned();
    support::until(async || (apart(folder.path()).len() >= 2).then_some(())).await;
    app.app.store.close().await.unwrap();
    drop(app);

    // Another server takes it up, and has what it needs from the record alone.
    let app = at(folder.path()).await;
    let shown = until(&app, &run, "succeeded").await;
    assert_eq!(shown["variables"]["Text"], text);
    let result = &shown["result"];
    assert_eq!(result["Double"], text.repeat(2));
    assert_eq!(result["Size"], 26 * 30_000);
    let steps = get(&app, &format!("/v1/runs/{run}/steps/1")).await;
    assert_eq!(steps["after"]["Double"], text.repeat(2));

    let apart = apart(folder.path());
    let parts: Vec<&str> = apart.iter().map(|(part, _)| part.as_str()).collect();
    assert_eq!(parts, ["inputs", "output 1", "answer"]);
    for (part, size) in &apart {
        assert!(*size < 30_000, "{part} takes {size} bytes");
    }
}

#[tokio::test]
async fn the_largest_value_is_answered_and_kept_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let app = at(folder.path()).await;
    let wanted = "ab\u{e9}".repeat(3_999_900);
    let body = r#"{"function": "Most"}"#.to_owned();
    let answer = send(&app, "POST", "/v1/programs/1/runs", &[], body).await;
    assert_eq!(answer.status, 200, "{}", &answer.body[..200]);
    let result: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(result["result"]["Out"] == wanted);
    let shown = get(
        &app,
        &format!("/v1/runs/{}", answer.header("waystation-run")),
    )
    .await;
    assert!(shown["result"]["Out"] == wanted);
    assert_eq!(apart(folder.path()).len(), 2);

    let none = Keep {
        bytes: Some(0),
        time: None,
    };
    let pruned = app.app.store.prune(none, waystation::now()).await.unwrap();
    assert_eq!(pruned.runs, 1);
    assert_eq!(apart(folder.path()), []);
}
