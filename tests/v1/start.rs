//! Runs are started.

use crate::support::TestApp;
use crate::{PROGRAMS, app, begin, get, json, post, problem, send, until};

#[tokio::test]
async fn a_run_that_is_waited_for_gives_its_result() {
    let app = app().await;
    let body = r#"{"variables": ["Ann", 4]}"#;
    let answer = post(&app, "/v1/programs/1/runs", body).await;
    let id = answer.header("waystation-run").to_owned();
    assert_eq!(answer.header("location"), format!("/v1/runs/{id}"));
    let expected = format!(r#"{{"id":"{id}","result":{{"Greeting":"Hello, Ann","Twice":8}}}}"#);
    answer.is(200, &expected);
}

#[tokio::test]
async fn variables_can_be_named() {
    let app = app().await;
    let body = r#"{"function": "Main", "variables": {"Times": 5}}"#;
    let answer = json(&post(&app, "/v1/programs/1/runs", body).await);
    assert_eq!(answer["result"]["Greeting"], "Hello, World");
    assert_eq!(answer["result"]["Twice"], 10);
    let body = r#"{"variables": {"Time": 5}}"#;
    let answer = post(&app, "/v1/programs/1/runs", body).await;
    let detail = "The function `Main` takes no variable `Time`. Did you mean `Times`? It takes `Name` and `Times`.";
    assert_eq!(problem(&answer, 422, "bad_call")["detail"], detail);
}

#[tokio::test]
async fn what_is_not_known_is_refused_even_where_it_is_nothing() {
    let app = app().await;
    let body = r#"{"variables": null, "function": null}"#;
    assert_eq!(post(&app, "/v1/programs/1/runs", body).await.status, 200);
    let answer = post(&app, "/v1/programs/1/runs", r#"{"variable": null}"#).await;
    let detail =
        "There is no `variable`: a run is started with `function`, `variables` and `callback`.";
    assert_eq!(problem(&answer, 400, "bad_request")["detail"], detail);
}

#[tokio::test]
async fn a_function_without_a_trigger_can_be_started() {
    let app = app().await;
    let body = r#"{"function": "Plain", "variables": ["go"]}"#;
    let answer = json(&post(&app, "/v1/programs/1/runs", body).await);
    assert_eq!(answer["result"]["Out"], "go!");
}

#[tokio::test]
async fn a_failed_run_is_never_a_success() {
    let app = app().await;
    let answer = post(&app, "/v1/programs/2/runs", "").await;
    let found = problem(&answer, 500, "run_failed");
    assert_eq!(found["detail"], "Main, step 1 (assert): it does not hold");
    assert_eq!(found["run"], answer.header("waystation-run"));
    assert_eq!(found["step"]["function"], "Main");
    assert_eq!(found["step"]["line"], 7);
    assert_eq!(found["retry_safe"], true);
}

#[tokio::test]
async fn a_caller_may_prefer_not_to_wait_or_not_long() {
    let app = app().await;
    let answer = send(
        &app,
        "POST",
        "/v1/programs/4/runs",
        &["prefer: respond-async"],
        "",
    )
    .await;
    let id = answer.header("waystation-run").to_owned();
    answer.is(202, &format!(r#"{{"id":"{id}"}}"#));
    assert_eq!(answer.header("preference-applied"), "respond-async");
    assert_eq!(answer.header("location"), format!("/v1/runs/{id}"));
    assert_eq!(answer.header("retry-after"), "1");
    let target = format!("/v1/runs/{id}/outcome");
    let ended = send(&app, "GET", &target, &["prefer: wait=30"], "").await;
    ended.is(200, &format!(r#"{{"id":"{id}","result":{{"A":1}}}}"#));
    let answer = send(
        &app,
        "POST",
        "/v1/programs/3/runs",
        &["prefer: foo, wait=1; x=y"],
        "",
    )
    .await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("preference-applied"), "wait=1");
}

#[tokio::test]
async fn the_outcome_of_a_run_can_be_asked_for_later() {
    let app = app().await;
    let long = begin(&app, 3).await;
    let target = format!("/v1/runs/{long}/outcome");
    let answer = get(&app, &target).await;
    answer.is(202, &format!(r#"{{"id":"{long}"}}"#));
    let failed = begin(&app, 2).await;
    until(&app, &failed, "failed").await;
    let answer = get(&app, &format!("/v1/runs/{failed}/outcome")).await;
    let found = problem(&answer, 500, "run_failed");
    assert_eq!(found["detail"], "Main, step 1 (assert): it does not hold");
}

#[tokio::test]
async fn what_starts_nothing_says_why() {
    let app = app().await;
    let cases = [
        (
            "/v1/programs/9/runs",
            "",
            404,
            "no_program",
            "Program 9 does not exist or you have no access to it.",
        ),
        (
            "/v1/programs/x/runs",
            "",
            404,
            "not_found",
            "There is no such program, or you have no access to it.",
        ),
        (
            "/v1/programs/1/runs",
            r#"{"function": "Mian"}"#,
            404,
            "no_function",
            "There is no function `Mian`. Did you mean `Main`? The functions that can be run: `Main` and `Plain`.",
        ),
        (
            "/v1/programs/1/runs",
            r#"{"variables": ["a", 1, 2]}"#,
            422,
            "bad_call",
            "The function `Main` takes 2 values in `variables`, and 3 were sent.",
        ),
        (
            "/v1/programs/1/runs",
            r#"{"variables": ["a", "b"]}"#,
            422,
            "bad_call",
            "The variable `Times` takes a number, and `b` is none.",
        ),
        (
            "/v1/programs/1/runs",
            "[]",
            400,
            "bad_request",
            "The body is no JSON object: it is no JSON object.",
        ),
        (
            "/v1/programs/1/runs",
            r#"{"inputs": []}"#,
            400,
            "bad_request",
            "There is no `inputs`: a run is started with `function`, `variables` and `callback`.",
        ),
        (
            "/v1/programs/1/runs",
            r#"{"variables": 1}"#,
            400,
            "bad_request",
            "`variables` must be a list of values, or an object.",
        ),
        (
            "/v1/programs/1/runs",
            r#"{"function": "Main", "function": "Plain"}"#,
            400,
            "bad_request",
            "The body is no JSON object: the name `function` is there twice.",
        ),
    ];
    for (target, body, status, code, detail) in cases {
        let answer = post(&app, target, body).await;
        assert_eq!(problem(&answer, status, code)["detail"], detail);
    }
    let answer = get(&app, "/v1/runs?limit=1").await;
    assert_eq!(answer.body, r#"{"items":[],"next":null}"#);
}

#[tokio::test]
async fn only_who_has_the_key_is_let_in() {
    let app = app().await;
    for target in ["/v1/runs", "/v1/runs/x", "/v1/runs/x/log"] {
        let answer = app.request("GET", target).await;
        problem(&answer, 401, "bad_key");
    }
    let answer = app.request("POST", "/v1/programs/1/runs").await;
    problem(&answer, 401, "bad_key");
    problem(&get(&app, "/v1/nothing").await, 404, "not_found");
    let answer = send(&app, "DELETE", "/v1/runs", &[], "").await;
    problem(&answer, 405, "method_not_allowed");
}

#[tokio::test]
async fn who_is_told_that_a_run_goes_on_finds_it() {
    let app = TestApp::with(&PROGRAMS, &["--wait", "1ms"]).await;
    let answer = post(&app, "/v1/programs/3/runs", "").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let location = answer.header("location");
    assert_eq!(json(&get(&app, location).await)["state"], "running");
}
