//! The record: what it says of a run is what the caller was told.

use serde_json::{Value, json};
use waystation::store::State;

use super::support::{Answer, KEY, TestApp};
use super::{ECHO, encoded};

/// What the record says of the run of an answer, as that answer would say it.
async fn recorded(app: &TestApp, answer: &Answer) -> String {
    let kept = app.app.store.run(answer.run()).await.unwrap().unwrap();
    let told = kept.answer.unwrap();
    if kept.summary.state == State::Succeeded {
        return format!(r#"{{"Success":"Program finished.","Result":{told}}}"#);
    }
    let failure: Value = serde_json::from_str(&told).unwrap();
    let (at, text) = (&failure["at"], |value: &Value| {
        value.as_str().unwrap().to_owned()
    });
    let place = format!(
        "{}, step {} ({})",
        text(&at["function"]),
        text(&at["step"]),
        text(&at["kind"])
    );
    json!({ "Error": format!("{place}: {}", text(&failure["message"])) }).to_string()
}

#[tokio::test]
async fn a_run_that_was_waited_for_is_recorded_as_it_was_answered() {
    let failing = "id: 2\nname: Failing\nfunctions:\n  Main:\n    triggers: [webhook: {outputs: {A: x}}]\n    steps:\n      - print: before\n      - python: raise Exception(inputs['A'])\n";
    let app = TestApp::new(&[("echo.yaml", ECHO), ("failing.yaml", failing)]).await;
    for (query, inputs) in [
        (
            "program_id=1",
            r#"{"First":"one","Second":"two","Third":"three"}"#,
        ),
        (
            "program_id=1&variables=&variables=%F0%9F%98%80%0a%22",
            r#"{"First":"","Second":"😀\n\"","Third":"three"}"#,
        ),
        ("program_id=2&variables=no+luck", r#"{"A":"no luck"}"#),
    ] {
        let answer = app.api(query).await;
        assert_eq!(recorded(&app, &answer).await, answer.body);
        let kept = app.app.store.run(answer.run()).await.unwrap().unwrap();
        assert_eq!(kept.inputs, inputs);
        let about = kept.summary;
        assert_eq!(
            (about.function.as_str(), about.trigger.as_str()),
            ("Main", "webhook")
        );
        let succeeded = answer.status == 200;
        assert_eq!(about.state == State::Succeeded, succeeded);
        assert_eq!(about.reason.as_deref(), (!succeeded).then_some("error"));
        let (began, ended) = (about.started_at.unwrap(), about.ended_at.unwrap());
        assert!(about.created_at <= began && began <= ended);
    }
    assert_eq!(app.runs().await.len(), 3);
}

#[tokio::test]
async fn the_log_holds_what_was_printed() {
    let program = "id: 1\nname: Log\nfunctions:\n  Main:\n    triggers: [webhook: {outputs: {A: x}}]\n    steps:\n      - print: first {{ A }}\n      - print: \"second\\nthird\"\n";
    let app = TestApp::new(&[("log.yaml", program)]).await;
    let answer = app.api("program_id=1&variables=é").await;
    let run = answer.finished("[]");
    let log = app.app.store.log(run, 0).await.unwrap();
    assert!(log.ended);
    let lines: Vec<Value> = log
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |line: &Value| {
        (
            line["step"].clone(),
            line["stream"].clone(),
            line["text"].clone(),
        )
    };
    let wanted = [
        (json!("1"), json!("print"), json!("first é")),
        (json!("2"), json!("print"), json!("second")),
        (json!("2"), json!("print"), json!("third")),
    ];
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), wanted);
    assert_eq!(app.app.store.run(run).await.unwrap().unwrap().log_lines, 3);
}

#[tokio::test]
async fn the_key_is_in_no_record() {
    let program = "id: 1\nname: Keys\nfunctions:\n  Main:\n    triggers: [webhook: {outputs: {A: x, B: y}}]\n    steps:\n      - print: \"{{ A }} {{ B }}\"\n";
    let app = TestApp::new(&[("keys.yaml", program)]).await;
    let answer = app.api("program_id=1&variables=a&extra=b").await;
    let run = answer.finished("[]");
    let kept = app.app.store.run(run).await.unwrap().unwrap();
    assert_eq!(kept.inputs, r#"{"A":"a","B":"y"}"#);
    let all = format!("{kept:?}{:?}", app.app.store.log(run, 0).await.unwrap());
    assert!(!all.contains(KEY));
}

#[tokio::test]
async fn a_run_nobody_waits_for_is_in_the_record_when_it_is_answered() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for _ in 0..20 {
        let answer = app.api("program_id=1&run_async=True&variables=a").await;
        let run = answer.started();
        let kept = app
            .app
            .store
            .run(run)
            .await
            .unwrap()
            .expect("it is in the record");
        assert_eq!(
            kept.inputs,
            r#"{"First":"a","Second":"two","Third":"three"}"#
        );
        let ended = app.ended(run).await;
        assert_eq!(ended.summary.state, State::Succeeded);
        assert_eq!(
            ended.answer.unwrap(),
            r#"[["First","a"],["Second","two"],["Third","three"]]"#
        );
    }
}

#[tokio::test]
async fn a_run_nobody_waits_for_fails_in_the_record_alone() {
    let failing = "id: 1\nname: Failing\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - python: raise Exception('no')\n";
    let app = TestApp::new(&[("failing.yaml", failing)]).await;
    let answer = app.api("program_id=1&run_async=True").await;
    let ended = app.ended(answer.started()).await;
    assert_eq!(ended.summary.state, State::Failed);
    let failure: Value = serde_json::from_str(&ended.answer.unwrap()).unwrap();
    assert_eq!(failure["message"], "Exception: no (line 1 of the code)");
}

/// A run from the queue starts with what one that is waited for starts with.
#[tokio::test]
async fn waiting_or_not_the_values_are_the_same() {
    let program = r#"
id: 1
name: Typed
functions:
  Main:
    inputs: {Blank: {type: date, default: 2020-02-02}}
    triggers:
      - webhook:
          outputs: {When: {type: date, default: 2020-01-01}, Rate: 1.0, Big: {type: number}, Any: {type: any, default: 2020-03-03}, Text: ''}
    steps:
      - set:
          Kinds: "{{ [When is string, Blank is string, Any is string, Text is string, Rate is float, Big is integer] }}"
          All: "{{ [When, Blank, Rate, Big, Any, Text] }}"
        show: [Kinds, All]
"#;
    let app = TestApp::new(&[("typed.yaml", program)]).await;
    for sent in [
        "",
        "&variables=2020-01-15T10:00:00%2B01:00&variables=2&variables=170141183460469231731687303715884105727",
        "&variables=2020-01-15&variables=2.0&variables=1&variables=2020-04-04&variables=2020-05-05",
    ] {
        let waited = app.api(&format!("program_id=1{sent}")).await;
        let queued = app.api(&format!("program_id=1&run_async=1{sent}")).await;
        let ended = app.ended(queued.started()).await;
        let body = format!(
            r#"{{"Success":"Program finished.","Result":{}}}"#,
            ended.answer.unwrap()
        );
        assert_eq!(waited.body, body, "{}", encoded(sent));
    }
}

#[tokio::test]
async fn a_value_as_deep_as_values_go_can_be_queued() {
    let program = "id: 1\nname: Deep\nfunctions:\n  Main:\n    triggers: [webhook: {outputs: {Deep: {type: list}}}]\n    steps:\n      - set: {Deep: '{{ Deep }}'}\n        show: [Deep]\n";
    let app = TestApp::new(&[("deep.yaml", program)]).await;
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let sent = format!("program_id=1&variables={}", encoded(&deep));
    app.api(&sent)
        .await
        .finished(&format!(r#"[["Deep",{deep}]]"#));
    let queued = app.api(&format!("{sent}&run_async=1")).await;
    let ended = app.ended(queued.started()).await;
    assert_eq!(ended.answer.unwrap(), format!(r#"[["Deep",{deep}]]"#));
    let deeper = encoded(format!("[{deep}]"));
    let cut = "[".repeat(80);
    app.api(&format!("program_id=1&variables={deeper}"))
        .await
        .refused(
            400,
            &format!("The variable `Deep` takes a list, and `{cut}…` is none."),
        );
}
