//! Runs are cancelled.

use crate::support::TestApp;
use crate::{PROGRAMS, app, begin, get, json, post, problem, until};

#[tokio::test]
async fn a_run_that_waits_ends_at_once() {
    let app = app().await;
    let run = begin(&app, 3).await;
    until(&app, &run, "waiting").await;
    let answer = post(&app, &format!("/v1/runs/{run}/cancel"), "").await;
    assert_eq!(answer.status, 200);
    let shown = json(&answer);
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&"cancelled".into(), &"cancelled".into())
    );
    let again = post(&app, &format!("/v1/runs/{run}/cancel"), "").await;
    let found = problem(&again, 409, "run_over");
    assert_eq!(
        found["detail"],
        "The run has ended already: it is cancelled."
    );
    let outcome = get(&app, &format!("/v1/runs/{run}/outcome")).await;
    let found = problem(&outcome, 409, "run_cancelled");
    assert_eq!(found["detail"], "The run was cancelled.");
}

#[tokio::test]
async fn a_run_that_is_queued_never_begins() {
    let app = TestApp::with(&PROGRAMS, &["--max-running", "1"]).await;
    let slot = app.app.slots.clone().acquire_owned().await.unwrap();
    let run = begin(&app, 1).await;
    let answer = post(&app, &format!("/v1/runs/{run}/cancel"), "").await;
    assert_eq!(json(&answer)["state"], "cancelled");
    drop(slot);
    assert_eq!(
        json(&get(&app, &format!("/v1/runs/{run}")).await)["started_at"],
        serde_json::Value::Null
    );
}

#[tokio::test]
async fn a_run_at_work_ends_where_it_is() {
    let programs = [(
        "busy.yaml",
        r"id: 1
name: Busy
functions:
  Main:
    triggers: [webhook]
    steps:
      - while: true
        steps:
          - set: {A: 1}
",
    )];
    let app = TestApp::new(&programs).await;
    let run = begin(&app, 1).await;
    let answer = post(&app, &format!("/v1/runs/{run}/cancel"), "").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let shown = until(&app, &run, "cancelled").await;
    assert_eq!(shown["failure"]["message"], "the run was cancelled");
    problem(&post(&app, "/v1/runs/x/cancel", "").await, 404, "not_found");
}
