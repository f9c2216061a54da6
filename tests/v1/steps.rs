//! The steps of runs are shown, with what the variables were.

use serde_json::{Value, json as object};

use crate::support::TestApp;
use crate::{get, json, post, problem, until};

const WALK: &str = r"id: 1
name: Walk
functions:
  Main:
    triggers: [webhook: {outputs: {Name: Ann, Fail: false}}]
    steps:
      - set: {Count: 0}
      - loop: [a, b]
        as: Letter
        steps:
          - set: {Count: '{{ Count + 1 }}'}
          - call: Tell
            inputs: {What: '{{ Letter }}'}
      - date:
        action: now
        into: Now
        show: [Now]
      - storage: Seen
        action: read
        into: Seen
      - storage: Seen
        action: write
        value: '{{ Name }}'
      - assert: not Fail
        on_error: {into: Why}
      - calculator: [1, 1000000000]
        action: random
        into: Mixed
      - set: {End: '{{ Mixed }}'}
        show: [End]
  Tell:
    inputs: {What: text}
    steps:
      - set: {Told: '{{ What }}!'}
  Endless:
    triggers: [webhook]
    steps:
      - set: {Count: 0}
      - sleep: 1 day
      - set: {Count: 1}
  Deep:
    triggers: [webhook: {outputs: {Depth: 1}}]
    steps:
      - call: Deep
        inputs: {Depth: '{{ Depth + 1 }}'}
    inputs: {Depth: number}
";

async fn app() -> TestApp {
    TestApp::new(&[("walk.yaml", WALK)]).await
}

/// Starts a run and gives the id and the answer.
async fn run(app: &TestApp, body: &str) -> (String, Value) {
    let answer = post(app, "/v1/programs/1/runs", body).await;
    (answer.header("waystation-run").to_owned(), json(&answer))
}

fn lines(page: &Value) -> Vec<String> {
    let line = |step: &Value| {
        let text = |name: &str| step[name].as_str().unwrap().to_owned();
        let (number, key) = (&step["number"], text("key"));
        format!(
            "{number} {} {key} {} {}",
            text("function"),
            text("kind"),
            text("state")
        )
    };
    page["items"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn the_steps_of_a_run_are_listed() {
    let app = app().await;
    let (id, _) = run(&app, r#"{"function": "Main"}"#).await;
    let page = json(&get(&app, &format!("/v1/runs/{id}/steps")).await);
    let expected = [
        "1 Main 1 set done",
        "2 Main 2 loop done",
        "3 Main 2.1[0] set done",
        "4 Main 2.2[0] call done",
        "5 Tell 2.2[0]/1 set done",
        "6 Main 2.1[1] set done",
        "7 Main 2.2[1] call done",
        "8 Tell 2.2[1]/1 set done",
        "9 Main 3 date done",
        "10 Main 4 storage done",
        "11 Main 5 storage done",
        "12 Main 6 assert done",
        "13 Main 7 calculator done",
        "14 Main 8 set done",
    ];
    assert_eq!(lines(&page), expected);
    assert_eq!(page["next"], Value::Null);
    assert_eq!(page["items"][4]["line"], 34);
    let whole = json(&get(&app, &format!("/v1/runs/{id}")).await);
    assert_eq!(whole["steps"], 14);
}

#[tokio::test]
async fn steps_come_in_pages() {
    let app = app().await;
    let (id, _) = run(&app, r#"{"function": "Main"}"#).await;
    let (mut all, mut next) = (Vec::new(), object!(0));
    while !next.is_null() {
        let page = json(&get(&app, &format!("/v1/runs/{id}/steps?limit=4&after={next}")).await);
        all.extend(lines(&page));
        next = page["next"].clone();
    }
    assert_eq!(all.len(), 14);
    // Its end is on a later page.
    assert_eq!(all[1], "2 Main 2 loop begun");
    let page = json(&get(&app, &format!("/v1/runs/{id}/steps?after=14")).await);
    assert_eq!(page, object!({"items": [], "next": null}));
    let answer = get(&app, &format!("/v1/runs/{id}/steps?limit=1001")).await;
    assert_eq!(
        problem(&answer, 400, "bad_request")["detail"],
        "`limit` cannot be `1001`."
    );
}

#[tokio::test]
async fn all_variables_are_as_they_were_at_any_step() {
    let app = app().await;
    let (id, answer) = run(
        &app,
        r#"{"function": "Main", "variables": {"Name": "Bob"}}"#,
    )
    .await;
    let at = async |step: u32| json(&get(&app, &format!("/v1/runs/{id}/steps/{step}")).await);
    let sixth = at(6).await;
    let before = object!({"Name": "Bob", "Fail": false, "Count": 1, "Letter": "b"});
    assert_eq!(sixth["before"], before);
    assert_eq!(sixth["after"]["Count"], 2);
    assert_eq!(sixth["key"], "2.1[1]");
    // Of the function that is called.
    assert_eq!(at(8).await["after"], object!({"What": "b", "Told": "b!"}));
    // A step with others inside it has ended when they have.
    assert_eq!(at(2).await["after"]["Count"], 2);
    // Times and random numbers are those that the run had.
    let last = at(14).await;
    assert_eq!(last["after"]["Now"], answer["result"]["Now"]);
    assert_eq!(last["after"]["Mixed"], answer["result"]["End"]);
    assert_eq!(last["after"]["Seen"], Value::Null);
    problem(
        &get(&app, &format!("/v1/runs/{id}/steps/15")).await,
        404,
        "not_found",
    );
    problem(
        &get(&app, &format!("/v1/runs/{id}/steps/0")).await,
        404,
        "not_found",
    );
}

#[tokio::test]
async fn what_was_read_is_what_the_run_read() {
    let app = app().await;
    run(&app, r#"{"function": "Main", "variables": ["Ann"]}"#).await;
    let (id, _) = run(&app, r#"{"function": "Main", "variables": ["Bob"]}"#).await;
    run(&app, r#"{"function": "Main", "variables": ["Eve"]}"#).await;
    let read = json(&get(&app, &format!("/v1/runs/{id}/steps/10")).await);
    assert_eq!(read["after"]["Seen"], "Ann");
}

#[tokio::test]
async fn a_step_that_failed_says_why() {
    let app = app().await;
    let (id, _) = run(&app, r#"{"function": "Main", "variables": {"Fail": true}}"#).await;
    let failed = json(&get(&app, &format!("/v1/runs/{id}/steps/12")).await);
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["failure"], "the condition does not hold");
    let (id, answer) = run(&app, r#"{"function": "Deep"}"#).await;
    let whole = json(&get(&app, &format!("/v1/runs/{id}")).await);
    assert_eq!(whole["steps"], 65, "{answer}");
    let page = json(&get(&app, &format!("/v1/runs/{id}/steps?after=63")).await);
    assert_eq!(page["items"][1]["state"], "failed");
    let why = "functions call each other more than 64 deep";
    assert_eq!(page["items"][1]["failure"], why);
}

#[tokio::test]
async fn a_run_that_waits_or_was_cancelled_is_shown_as_far_as_it_came() {
    let app = app().await;
    let target = "/v1/programs/1/runs";
    let headers = ["prefer: respond-async"];
    let body = r#"{"function": "Endless"}"#;
    let id = crate::send(&app, "POST", target, &headers, body).await;
    let id = id.header("waystation-run").to_owned();
    until(&app, &id, "waiting").await;
    let shown = ["1 Endless 1 set done", "2 Endless 2 sleep begun"];
    let page = json(&get(&app, &format!("/v1/runs/{id}/steps")).await);
    assert_eq!(lines(&page), shown);
    assert!(page["items"][1]["began_at"].is_string());
    post(&app, &format!("/v1/runs/{id}/cancel"), "").await;
    let page = json(&get(&app, &format!("/v1/runs/{id}/steps")).await);
    assert_eq!(lines(&page), shown);
    let at = json(&get(&app, &format!("/v1/runs/{id}/steps/2")).await);
    assert_eq!(at["before"], object!({"Count": 0}));
    assert_eq!(at["after"], Value::Null);
}
