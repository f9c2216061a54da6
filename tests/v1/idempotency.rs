//! A call that is repeated under one name has one run.

use crate::{app, get, json, problem, send};

const KEY: &str = "idempotency-key: \"one\"";

#[tokio::test]
async fn a_repeated_call_has_the_answer_of_the_first() {
    let app = app().await;
    let body = r#"{"variables": ["Ann"]}"#;
    let first = send(&app, "POST", "/v1/programs/1/runs", &[KEY], body).await;
    assert_eq!(
        (first.status.as_u16(), first.header("idempotency-replayed")),
        (200, "")
    );
    for key in [KEY, "idempotency-key: one"] {
        let again = send(&app, "POST", "/v1/programs/1/runs", &[key], body).await;
        again.is(200, &first.body);
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    let runs = json(&get(&app, "/v1/runs").await);
    assert_eq!(runs["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_call_joins_a_run_at_work() {
    let app = app().await;
    let calls = (0..5).map(|_| send(&app, "POST", "/v1/programs/4/runs", &[KEY], ""));
    let mut calls: Vec<_> = calls.collect();
    let last = calls.pop().unwrap();
    let first = calls.pop().unwrap();
    let (first, last) = tokio::join!(first, last);
    assert_eq!((first.status.as_u16(), &first.body), (200, &last.body));
    for call in calls {
        assert_eq!(call.await.body, first.body);
    }
    let wishes = ["prefer: respond-async", KEY];
    let answer = send(&app, "POST", "/v1/programs/4/runs", &wishes, "").await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.header("waystation-run"),
        first.header("waystation-run")
    );
}

#[tokio::test]
async fn a_key_is_for_one_call_of_one_program() {
    let app = app().await;
    let send = async |program: u64, body: &str| {
        let target = format!("/v1/programs/{program}/runs");
        send(&app, "POST", &target, &[KEY], body).await
    };
    assert_eq!(send(1, r#"{"variables": ["Ann"]}"#).await.status, 200);
    let other = send(1, r#"{"variables": ["Bob"]}"#).await;
    problem(&other, 422, "key_reused");
    let other = send(1, r#"{"function": "Plain"}"#).await;
    problem(&other, 422, "key_reused");
    assert_eq!(send(4, "").await.status, 200);
    let failed = send(2, "").await;
    let again = send(2, "").await;
    assert_eq!((failed.status, failed.body), (again.status, again.body));
}

#[tokio::test]
async fn a_key_is_visible_text() {
    let app = app().await;
    let long = format!("idempotency-key: {}", "x".repeat(256));
    for headers in [
        &["idempotency-key: \"\""][..],
        &[&long],
        &[KEY, "idempotency-key: two"],
    ] {
        let answer = send(&app, "POST", "/v1/programs/1/runs", headers, "").await;
        let found = problem(&answer, 400, "bad_request");
        let detail = "The header `Idempotency-Key` must come once and hold 1 to 255 visible ASCII characters.";
        assert_eq!(found["detail"], detail);
    }
}

#[tokio::test]
async fn calls_to_the_old_address_can_be_named_too() {
    let app = app().await;
    let target = "/api?program_id=1&variables=Ann";
    let first = send(&app, "POST", target, &[KEY], "").await;
    let again = send(&app, "POST", target, &[KEY], "").await;
    again.is(200, &first.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = send(&app, "POST", "/api?program_id=1&variables=Bob", &[KEY], "").await;
    other.is(
        422,
        r#"{"Error":"The `Idempotency-Key` was used for another call of this program."}"#,
    );
}
