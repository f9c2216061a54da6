//! Callers hang up before they have an answer.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use axum::body::Body;
use axum::http::Request;
use rusqlite::Connection;
use tempfile::TempDir;
use tower::ServiceExt;
use waystation::http;
use waystation::programs::OWNER;
use waystation::store::sqlite::{Options, Sqlite};

use crate::support::{self, KEY, TestApp};
use crate::{PROGRAMS, begin, get, json, until};

/// The application, and a second hand on its record.
struct Left {
    app: TestApp,
    other: Connection,
    _folder: TempDir,
}

async fn serve(programs: &[(&str, &str)], flags: &[&str]) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    Left {
        app: TestApp::on(Arc::new(store), programs, flags).await,
        other: Connection::open(path).unwrap(),
        _folder: folder,
    }
}

/// Sends a request and goes away while the server waits to record it.
async fn leave(left: &Left, target: &str, key: Option<&str>) {
    let mut request = Request::post(target).header("authorization", format!("Bearer {KEY}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::empty()).unwrap();
    let mut answer = Box::pin(http::routes(left.app.app.clone()).oneshot(request));
    left.other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_pending()));
    assert!(begun.await, "it was answered before it was recorded");
    drop(answer);
    left.other.execute_batch("ROLLBACK").unwrap();
}

/// Waits until the only run there is has come to a state.
async fn only(left: &Left, state: &str) {
    let app = &left.app;
    let newest = async || {
        let runs = json(&get(app, "/v1/runs").await);
        runs["items"][0]["id"].as_str().map(str::to_owned)
    };
    let run = support::until(newest).await;
    until(app, &run, state).await;
}

#[tokio::test]
async fn a_run_that_is_accepted_ends() {
    let left = serve(&PROGRAMS, &[]).await;
    leave(&left, "/api?program_id=4&run_async=true", None).await;
    only(&left, "succeeded").await;
}

#[tokio::test]
async fn a_run_that_was_to_be_waited_for_ends() {
    let left = serve(&PROGRAMS, &[]).await;
    leave(&left, "/api?program_id=4", None).await;
    only(&left, "succeeded").await;
}

#[tokio::test]
async fn a_run_of_a_named_call_ends() {
    let left = serve(&PROGRAMS, &[]).await;
    leave(&left, "/api?program_id=4", Some("a")).await;
    only(&left, "succeeded").await;
}

#[tokio::test]
async fn a_run_that_is_queued_begins_and_is_not_counted_any_more() {
    let left = serve(&PROGRAMS, &["--max-running", "1"]).await;
    let slot = left.app.app.slots.clone().acquire_owned().await.unwrap();
    leave(&left, "/api?program_id=4&run_async=true", None).await;
    only(&left, "queued").await;
    drop(slot);
    only(&left, "succeeded").await;
    assert_eq!(left.app.app.queued.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_run_that_is_cancelled_ends() {
    let busy = "id: 1\nname: Busy\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - while: true\n        steps: [sleep: 10ms]\n";
    let left = serve(&[("busy.yaml", busy)], &[]).await;
    let app = &left.app;
    let run = begin(app, 1).await;
    let id = run.parse().unwrap();
    support::until(async || app.app.is_at_work(id, OWNER).then_some(())).await;
    leave(&left, &format!("/v1/runs/{run}/cancel"), None).await;
    until(app, &run, "cancelled").await;
}
