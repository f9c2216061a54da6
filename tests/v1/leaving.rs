//! Callers hang up before they have an answer.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use tower::ServiceExt;
use waystation::http;
use waystation::programs::OWNER;

use crate::support::{KEY, TestApp};
use crate::{PROGRAMS, app, begin, get, json, until};

/// Sends a request and goes away as soon as the server has begun with it.
async fn left(app: &TestApp, target: &str, key: Option<&str>) {
    let mut request = Request::post(target).header("authorization", format!("Bearer {KEY}"));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::empty()).unwrap();
    let mut answer = Box::pin(http::routes(app.app.clone()).oneshot(request));
    let begun = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_pending()));
    assert!(begun.await, "it was answered at once");
}

/// Waits until the only run there is has come to a state.
async fn only(app: &TestApp, state: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    let run = loop {
        let runs = json(&get(app, "/v1/runs").await);
        if let Some(run) = runs["items"][0]["id"].as_str() {
            break run.to_owned();
        }
        assert!(Instant::now() < end, "there is no run");
        tokio::task::yield_now().await;
    };
    until(app, &run, state).await;
}

#[tokio::test]
async fn a_run_that_is_accepted_ends() {
    let app = app().await;
    left(&app, "/api?program_id=4&run_async=true", None).await;
    only(&app, "succeeded").await;
}

#[tokio::test]
async fn a_run_that_was_to_be_waited_for_ends() {
    let app = app().await;
    left(&app, "/api?program_id=4", None).await;
    only(&app, "succeeded").await;
}

#[tokio::test]
async fn a_run_of_a_named_call_ends() {
    let app = app().await;
    left(&app, "/api?program_id=4", Some("a")).await;
    only(&app, "succeeded").await;
}

#[tokio::test]
async fn a_run_that_is_queued_begins_and_is_not_counted_any_more() {
    let app = TestApp::with(&PROGRAMS, &["--max-running", "1"]).await;
    let slot = app.app.slots.clone().acquire_owned().await.unwrap();
    left(&app, "/api?program_id=4&run_async=true", None).await;
    only(&app, "queued").await;
    drop(slot);
    only(&app, "succeeded").await;
    assert_eq!(app.app.queued.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_run_that_is_cancelled_ends() {
    let busy = "id: 1\nname: Busy\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - while: true\n        steps: [sleep: 10ms]\n";
    let app = TestApp::new(&[("busy.yaml", busy)]).await;
    let run = begin(&app, 1).await;
    while !app.app.is_at_work(run.parse().unwrap(), OWNER) {
        tokio::task::yield_now().await;
    }
    left(&app, &format!("/v1/runs/{run}/cancel"), None).await;
    until(&app, &run, "cancelled").await;
}
