//! What runs keep for those after them: `storage` and `changed`.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use axum::http::Request;
use serde_json::Value;
use support::{Answer, KEY, TestApp};

const KEEPS: &str = r"id: 1
name: Keeps
functions:
  Main:
    triggers: [webhook: {outputs: {Fail: false}}]
    steps:
      - storage: Count
        action: read
        default: 0
        into: Count
        show: [Count]
      - storage: Count
        action: write
        value: '{{ Count + 1 }}'
      - storage: Count
        action: read
        into: Now
        show: [Now]
      - assert: not Fail
  Forget:
    triggers: [webhook]
    steps:
      - storage: Count
        action: delete
      - storage: Count
        action: read
        into: Count
        show: [Count]
  Keep:
    triggers: [webhook: {outputs: {What: {}}}]
    steps:
      - storage: What
        action: read
        into: Before
        show: [Before]
      - storage: What
        action: write
        value: '{{ What }}'
";

const COMPARES: &str = r"id: 2
name: Compares
functions:
  Main:
    triggers: [webhook: {outputs: {Value: ''}}]
    steps:
      - changed: Value
        into: Changed
        last: Last
        first: First
        show: [Changed, Last, First]
      - changed: Value
        how: not_changed
        into: Same
        show: [Same]
      - assert: Value != 'fail'
  Number:
    triggers: [webhook: {outputs: {Value: 0}}]
    steps:
      - changed: Value
        by: 2
        into: By Two
        show: [By Two]
      - changed: Value
        how: increased
        into: More
        show: [More]
      - changed: Value
        how: decreased
        by: '1.5'
        since: first
        into: Less
        show: [Less]
  Day:
    triggers: [webhook: {outputs: {Value: ''}}]
    steps:
      - cast: '{{ Value }}'
        to: date
        into: Day
      - changed: Day
        how: increased
        by: 2 days
        into: Later
        show: [Later]
  Each:
    triggers: [webhook: {outputs: {Shops: []}}]
    outputs: {News: list}
    steps:
      - set: {News: []}
      - loop: Shops
        as: Shop
        steps:
          - changed: Shop.open
            key: '{{ Shop.name }}'
            into: New
          - if: New
            then:
              - list: News
                action: append
                value: '{{ Shop.name }}'
      - return: {News: '{{ News }}'}
";

async fn app() -> TestApp {
    TestApp::new(&[("keeps.yaml", KEEPS), ("compares.yaml", COMPARES)]).await
}

/// Calls a function with JSON values, and gives its result.
async fn call(app: &TestApp, program: u64, function: &str, values: &str) -> Value {
    let answer = called(app, program, function, values).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["result"].clone()
}

async fn called(app: &TestApp, program: u64, function: &str, values: &str) -> Answer {
    let body = format!(r#"{{"function": "{function}", "variables": {values}}}"#);
    let request = Request::post(format!("/v1/programs/{program}/runs"))
        .header("x-api-key", KEY)
        .header("content-type", "application/json");
    app.send(request.body(body.into()).unwrap()).await
}

/// Calls a function that fails, and gives why it does.
async fn failed(app: &TestApp, function: &str, values: &str) -> String {
    let answer = called(app, 1, function, values).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_run_finds_what_the_one_before_has_kept() {
    let app = app().await;
    for count in 0..3 {
        let result = call(&app, 1, "Main", "[]").await;
        assert_eq!(result["Count"], count);
        assert_eq!(result["Now"], count + 1);
    }
    assert_eq!(call(&app, 1, "Forget", "[]").await["Count"], Value::Null);
    assert_eq!(call(&app, 1, "Main", "[]").await["Count"], 0);
}

#[tokio::test]
async fn a_run_that_fails_keeps_nothing() {
    let app = app().await;
    call(&app, 1, "Main", "[]").await;
    assert_eq!(
        failed(&app, "Main", "[true]").await,
        "Main, step 4 (assert): the condition does not hold"
    );
    assert_eq!(call(&app, 1, "Main", "[]").await["Count"], 1);
}

#[tokio::test]
async fn any_value_is_kept_as_it_is() {
    let app = app().await;
    let mut before = Value::Null;
    for value in [
        r#"{"a": [1, 2.5, null, true, ""]}"#,
        r#"{"big": 170141183460469231731687303715884105727}"#,
        r#"{"\u0000 ' \" {{ x }}": "ä\n"}"#,
        r"{}",
    ] {
        let result = call(&app, 1, "Keep", &format!("[{value}]")).await;
        assert_eq!(result["Before"], before);
        before = serde_json::from_str(value).unwrap();
    }
    assert_eq!(call(&app, 1, "Keep", "[{}]").await["Before"], before);
}

#[tokio::test]
async fn programs_and_servers_started_again_find_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let other = KEEPS.replace("id: 1", "id: 3");
    let programs = [("keeps.yaml", KEEPS), ("other.yaml", &*other)];
    for round in 0..2 {
        let options = waystation::store::sqlite::Options::default();
        let store = waystation::store::sqlite::Sqlite::open(&folder.path().join("r.db"), options);
        let app = TestApp::on(std::sync::Arc::new(store.unwrap()), &programs, &[]).await;
        assert_eq!(call(&app, 1, "Main", "[]").await["Count"], round * 2);
        assert_eq!(call(&app, 1, "Main", "[]").await["Count"], round * 2 + 1);
        assert_eq!(call(&app, 3, "Main", "[]").await["Count"], round);
        app.app.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_value_is_compared_with_that_of_the_run_before() {
    let app = app().await;
    let mut found = Vec::new();
    for value in ["a", "a", "A", "A", "fail", "A"] {
        let answer = called(&app, 2, "Main", &format!("[\"{value}\"]")).await;
        if answer.status == 200 {
            let answer: Value = serde_json::from_str(&answer.body).unwrap();
            found.push(answer["result"].to_string());
        }
    }
    let expected = [
        r#"{"Changed":false,"Last":null,"First":null,"Same":true}"#,
        r#"{"Changed":false,"Last":"a","First":"a","Same":true}"#,
        r#"{"Changed":true,"Last":"a","First":"a","Same":false}"#,
        r#"{"Changed":false,"Last":"A","First":"a","Same":true}"#,
        r#"{"Changed":false,"Last":"A","First":"a","Same":true}"#,
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn numbers_change_by_an_amount() {
    let app = app().await;
    let mut found = Vec::new();
    for value in ["10", "11.5", "9", "9", "10.5", "12.5"] {
        let result = call(&app, 2, "Number", &format!("[{value}]")).await;
        let answers = ["By Two", "More", "Less"].map(|name| result[name].as_bool().unwrap());
        found.push(answers);
    }
    let expected = [
        [false, false, false],
        [false, true, false],
        [true, false, false],
        [false, false, false],
        [false, true, false],
        [true, true, false],
    ];
    assert_eq!(found, expected);
    let result = call(&app, 2, "Number", "[8.5]").await;
    assert_eq!(result["Less"], true);
}

#[tokio::test]
async fn dates_change_by_a_length_of_time() {
    let app = app().await;
    let mut found = Vec::new();
    for day in [
        "2020-01-01",
        "2020-01-02",
        "2020-01-04",
        "2020-01-04T01:00:00Z",
        "2020-01-01",
    ] {
        let result = call(&app, 2, "Day", &format!("[\"{day}\"]")).await;
        found.push(result["Later"].as_bool().unwrap());
    }
    assert_eq!(found, [false, false, true, false, false]);
}

#[tokio::test]
async fn the_items_of_a_loop_are_compared_each_with_its_own() {
    let app = app().await;
    let shops = |corner: bool, market: bool| {
        format!(
            r#"[[{{"name": "Corner", "open": {corner}}}, {{"name": "Market", "open": {market}}}]]"#
        )
    };
    let news = |result: Value| result["News"].to_string();
    assert_eq!(news(call(&app, 2, "Each", &shops(true, true)).await), "[]");
    let found = news(call(&app, 2, "Each", &shops(true, false)).await);
    assert_eq!(found, r#"["Market"]"#);
    let found = news(call(&app, 2, "Each", &shops(false, true)).await);
    assert_eq!(found, r#"["Corner","Market"]"#);
}

const MUCH: &str = r"id: 1
name: Much
functions:
  Main:
    triggers: [webhook: {outputs: {From: 0, To: 0, Text: ''}}]
    steps:
      - loop: range(From, To)
        as: Number
        steps:
          - storage: 'value {{ Number }}'
            action: write
            value: '{{ Text }}'
  Read:
    triggers: [webhook]
    steps:
      - storage: value 0
        action: read
        into: Value
        show: [Value]
";

#[tokio::test]
async fn what_is_kept_has_limits() {
    let app = TestApp::new(&[("much.yaml", MUCH)]).await;
    let text = "x".repeat(1 << 20);
    let expected = "Main, step 1.1 (storage): `value 0` is 1048578 bytes as JSON, and a value that is kept has 1 MiB at most";
    assert_eq!(
        failed(&app, "Main", &format!(r#"[0, 1, "{text}"]"#)).await,
        expected
    );
    let expected = "Main, step 1.1 (storage): a run keeps 1000 values at most";
    assert_eq!(failed(&app, "Main", r#"[0, 1001, "x"]"#).await, expected);

    // All of a program together: what is too much fails the run, and nothing of it is kept.
    let half = "x".repeat(1 << 19);
    call(&app, 1, "Main", &format!(r#"[0, 100, "{half}"]"#)).await;
    let over = "The program's storage would hold more than 10000 values or 64 MiB.";
    let more = failed(&app, "Main", &format!(r#"[50, 150, "{half}"]"#)).await;
    assert_eq!(more, over);
    call(&app, 1, "Main", r#"[0, 100, "x"]"#).await;
    for thousand in 0..10 {
        let (from, to) = (thousand * 1_000, thousand * 1_000 + 1_000);
        call(&app, 1, "Main", &format!(r#"[{from}, {to}, "y"]"#)).await;
    }
    assert_eq!(failed(&app, "Main", r#"[9999, 10001, "z"]"#).await, over);
    assert_eq!(call(&app, 1, "Read", "[]").await["Value"], "y");
}
