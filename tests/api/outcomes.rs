//! Runs that do not come to their end: failed, cancelled, too long.

use waystation::store::State;

use super::support::{Answer, TestApp, until};
use super::{ENDLESS, NO_END};

/// Steps in a program whose `Main` has a webhook.
fn program(steps: &str) -> String {
    format!("id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n{steps}")
}

/// A step that takes longer than any test.
const SLEEP: &str = "      - python: |\n          import time\n          time.sleep(60)\n";

#[tokio::test]
async fn a_failed_step_is_named_by_function_number_and_kind() {
    for (steps, sentence) in [
        (
            "      - set: {A: 1}\n      - python: |\n          outputs['Age'] = int('forty')\n",
            "Main, step 2 (python): ValueError: invalid literal for int() with base 10: 'forty'",
        ),
        (
            "      - if: true\n        then:\n          - set: {A: 1}\n          - set: {B: '{{ A / 0 }}'}\n",
            "Main, step 1.2 (set): ",
        ),
        (
            "      - call: Other\n  Other:\n    steps:\n      - print: x\n      - loop: {A: [1], B: [1, 2]}\n        steps: [print: x]\n",
            "Other, step 2 (loop): lists that are walked together must have one length: `A` has 1, `B` has 2",
        ),
    ] {
        let app = TestApp::new(&[("p.yaml", &program(steps))]).await;
        let answer = app.api("program_id=1").await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let told = body["Error"].as_str().unwrap();
        assert!(told.starts_with(sentence), "{told}");
        let run = answer.failed(500, told);
        let kept = app.app.store.run(run).await.unwrap().unwrap();
        assert_eq!(kept.summary.state, State::Failed);
        assert_eq!(kept.summary.reason.as_deref(), Some("error"));
    }
}

#[tokio::test]
async fn a_failure_says_what_the_code_said() {
    let raise = "      - python: |\n          raise Exception('a \"b\"\\n\\x1b[31m é')\n";
    let app = TestApp::new(&[("p.yaml", &program(raise))]).await;
    app.api("program_id=1").await.failed(
        500,
        "Main, step 1 (python): Exception: a \"b\"\n\u{1b}[31m é (line 1 of the code)",
    );
}

#[tokio::test]
async fn a_function_that_does_not_return_is_named() {
    let text = "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook]\n    outputs: {A: text}\n    steps:\n      - if: false\n        then:\n          - return: {A: x}\n";
    let app = TestApp::new(&[("p.yaml", text)]).await;
    app.api("program_id=1").await.failed(
        500,
        "The function `Main` ended without `return`, and it declares outputs.",
    );
}

#[tokio::test]
async fn a_limit_that_is_passed_is_a_failure() {
    let flags = ["--max-passes", "10"];
    let app = TestApp::with(&[("endless.yaml", ENDLESS)], &flags).await;
    let run = app.api("program_id=2").await.failed(
        500,
        "Main, step 1 (while): the loops of this run made more than 10 passes",
    );
    let kept = app.app.store.run(run).await.unwrap().unwrap();
    assert_eq!(kept.summary.reason.as_deref(), Some("limit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_says_so() {
    let app = TestApp::new(&[("p.yaml", &program(SLEEP))]).await;
    let (answer, ()) = tokio::join!(app.api("program_id=1"), async {
        app.at_work(1).await;
        app.cancel();
    });
    let run = answer.failed(500, "Main, step 1 (python): the run was cancelled");
    let kept = app.app.store.run(run).await.unwrap().unwrap();
    assert_eq!(kept.summary.state, State::Cancelled);
    assert_eq!(kept.summary.reason.as_deref(), Some("cancelled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_longer_than_a_run_may() {
    let app = TestApp::with(&[("p.yaml", &program(SLEEP))], &["--run-time", "50ms"]).await;
    let answer = app.api("program_id=1").await;
    let run = answer.failed(504, "Main, step 1 (python): the run took longer than 50ms");
    let kept = app.app.store.run(run).await.unwrap().unwrap();
    assert_eq!(kept.summary.state, State::Failed);
    assert_eq!(kept.summary.reason.as_deref(), Some("timeout"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_without_end_that_takes_longer_than_a_run_may() {
    let flags = [&NO_END[..], &["--run-time", "50ms"]].concat();
    let app = TestApp::with(&[("endless.yaml", ENDLESS)], &flags).await;
    let answer = app.api("program_id=2").await;
    let told = "the run took longer than 50ms";
    let sentence = match answer.body.contains("step 1.1") {
        true => format!("Main, step 1.1 (set): {told}"),
        false => format!("Main, step 1 (while): {told}"),
    };
    answer.failed(504, &sentence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_longer_than_it_may() {
    let limited = format!("{SLEEP}        timeout: 50ms\n");
    let app = TestApp::new(&[("p.yaml", &program(&limited))]).await;
    app.api("program_id=1").await.failed(
        504,
        "Main, step 1 (python): the step took longer than its `timeout` of 50ms",
    );
    let app = TestApp::with(&[("p.yaml", &program(SLEEP))], &["--code-time", "50ms"]).await;
    app.api("program_id=1").await.failed(
        504,
        "Main, step 1 (python): the code took longer than 50ms; the step's `timeout` can give it more",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_waits_no_longer_than_the_setting_and_the_run_goes_on() {
    let flags = [&NO_END[..], &["--wait", "50ms"]].concat();
    let app = TestApp::with(&[("endless.yaml", ENDLESS)], &flags).await;
    let answer = app.api("program_id=2").await;
    let run = answer.run();
    answer.failed(
        504,
        &format!("The program is still running after 50ms; its outcome will be in the record of run {run}."),
    );
    app.at_work(1).await;
    let look = async || app.app.store.run(run).await.unwrap();
    let kept = until(look).await;
    assert_eq!(kept.summary.state, State::Running);
    app.cancel();
    assert_eq!(app.ended(run).await.summary.state, State::Cancelled);
}

#[tokio::test]
async fn an_answer_says_where_its_time_went() {
    let app = TestApp::new(&[(
        "a.yaml",
        "id: 1\nname: A\nfunctions: {Main: {triggers: [webhook], steps: []}}\n",
    )])
    .await;
    let parts = |answer: &Answer| -> Vec<(String, f64)> {
        let parts = answer.header("server-timing").split(", ");
        let parts = parts.map(|part| part.split_once(";dur=").unwrap());
        parts
            .map(|(name, time)| (name.to_owned(), time.parse().unwrap()))
            .collect()
    };
    let names = |parts: &[(String, f64)]| {
        let names: Vec<_> = parts.iter().map(|(name, _)| &**name).collect();
        names.join(" ")
    };
    let waited = parts(
        app.api("program_id=1")
            .await
            .is(200, r#"{"Success":"Program finished.","Result":[]}"#),
    );
    assert_eq!(names(&waited), "wait run record total");
    let sum: f64 = waited[..3].iter().map(|(_, time)| time).sum();
    // Each is rounded to a thousandth.
    assert!(sum <= waited[3].1 + 0.002, "{waited:?}");
    for target in ["/api?program_id=1", "/livez", "/v1/runs", "/nothing"] {
        let answer = app.request("GET", target).await;
        assert_eq!(names(&parts(&answer)), "total", "{target}");
    }
    let started = app.api("program_id=1&run_async=true").await;
    assert_eq!(names(&parts(&started)), "total");
}
