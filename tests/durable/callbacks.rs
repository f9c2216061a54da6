//! Those who want to know how runs ended are told so.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use waystation::store::{RunId, State};

use crate::support::outside::Called;
use crate::world::World;

const PROGRAM: &str = r"id: 1
name: Told
functions:
  Main:
    triggers: [webhook: {outputs: {Fail: false}}]
    steps:
      - assert: not Fail
      - set: {Answer: 42}
        show: [Answer]
  Wait:
    triggers: [webhook]
    steps:
      - sleep: 1 day
";

/// Starts a run that somebody is to be told of.
fn begin(world: &World, rest: &str) -> RunId {
    let url = format!("{}/told?token=hidden", world.outside.url());
    let body = format!(r#"{{"callback": "{url}"{rest}}}"#);
    world.of(&world.post("/v1/programs/1/runs", &body))
}

/// Everything about a run, as it is shown.
fn shown(world: &World, run: RunId) -> Value {
    serde_json::from_str(&world.get(&format!("/v1/runs/{run}"))).unwrap()
}

/// Waits until so many tries are recorded, and gives what is shown of them.
fn tried(world: &World, run: RunId, tries: u32) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let callback = shown(world, run)["callback"].clone();
        if callback["tries"] == tries {
            return callback;
        }
        assert!(Instant::now() < end, "{callback}");
        std::thread::yield_now();
    }
}

/// Checks the signature of a message as Standard Webhooks has it.
fn verify(world: &World, called: &Called) {
    let secret = world.command.run(&["key", "callbacks", "--data", "data"]);
    let secret = secret
        .stdout
        .trim()
        .strip_prefix("whsec_")
        .unwrap()
        .to_owned();
    let secret = STANDARD.decode(secret).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    let (id, time) = (
        called.header("webhook-id"),
        called.header("webhook-timestamp"),
    );
    mac.update(format!("{id}.{time}.{}", called.body).as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(called.header("webhook-signature"), wanted);
}

#[test]
fn who_wants_to_know_how_a_run_ended_is_told_and_can_see_by_whom() {
    let world = World::new(PROGRAM);
    let run = begin(&world, "");
    let called = world.called("told?token=hidden");
    let told: Value = serde_json::from_str(&called.body).unwrap();
    assert_eq!(told["type"], "run.succeeded");
    assert_eq!(told["data"]["id"], run.to_string());
    assert_eq!(told["data"]["result"], json!({"Answer": 42}));
    assert_eq!(told["timestamp"], told["data"]["ended_at"]);
    assert_eq!(called.header("webhook-id"), run.to_string());
    assert_eq!(called.header("content-type"), "application/json");
    verify(&world, &called);
    called.answer();
    let callback = tried(&world, run, 1);
    let url = format!("{}/told", world.outside.url());
    let expected = json!({"url": url, "told": true, "tries": 1, "answer": "204", "next_at": null});
    assert_eq!(callback, expected);
}

#[test]
fn a_run_that_failed_or_was_cancelled_is_told_too() {
    let world = World::new(PROGRAM);
    begin(
        &world,
        r#", "function": "Main", "variables": {"Fail": true}"#,
    );
    let called = world.called("told?token=hidden");
    let told: Value = serde_json::from_str(&called.body).unwrap();
    assert_eq!(told["type"], "run.failed");
    assert_eq!(
        told["data"]["failure"]["message"],
        "the condition does not hold"
    );
    called.answer();
    let url = format!("{}/told", world.outside.url());
    let body = format!(r#"{{"callback": "{url}", "function": "Wait"}}"#);
    let answer = world.begin_with(&body);
    let run = world.of(&answer);
    world.until(run, State::Waiting);
    world.post(&format!("/v1/runs/{run}/cancel"), "");
    let called = world.called("told");
    let told: Value = serde_json::from_str(&called.body).unwrap();
    assert_eq!(told["type"], "run.cancelled");
    called.answer();
}

#[test]
fn who_does_not_hear_is_told_again() {
    let world = World::new(PROGRAM);
    let run = begin(&world, "");
    let first = world.called("told?token=hidden");
    let id = first.header("webhook-id").to_owned();
    first.answer_with("503 Service Unavailable");
    let callback = tried(&world, run, 1);
    assert_eq!(callback["told"], false);
    assert_eq!(callback["answer"], "503");
    assert!(callback["next_at"].is_string());
    let second = world.called("told?token=hidden");
    assert_eq!(second.header("webhook-id"), id);
    verify(&world, &second);
    second.answer();
    assert_eq!(tried(&world, run, 2)["told"], true);
}

#[test]
fn who_is_gone_for_good_is_not_told_again() {
    let world = World::new(PROGRAM);
    let run = begin(&world, "");
    world.called("told?token=hidden").answer_with("410 Gone");
    let callback = tried(&world, run, 1);
    assert_eq!(callback["told"], false);
    assert_eq!(callback["next_at"], Value::Null);
}

#[test]
fn a_server_that_is_killed_tells_when_it_is_there_again() {
    let mut world = World::new(PROGRAM);
    let run = begin(&world, "");
    let lost = world.called("told?token=hidden");
    world.kill();
    drop(lost);
    let database = rusqlite::Connection::open(world.database()).unwrap();
    database
        .execute("UPDATE callbacks SET due = 0", [])
        .unwrap();
    drop(database);
    world.start();
    let called = world.called("told?token=hidden");
    assert_eq!(called.header("webhook-id"), run.to_string());
    called.answer();
    assert_eq!(tried(&world, run, 1)["told"], true);
}

#[test]
fn nobody_is_told_who_may_not_be_reached() {
    let world = World::new(PROGRAM);
    let body = r#"{"callback": "http://127.0.0.1:1/"}"#;
    let run = world.of(&world.post("/v1/programs/1/runs", body));
    let callback = tried(&world, run, 1);
    let answer = callback["answer"].as_str().unwrap();
    assert!(answer.contains("127.0.0.1:1"), "{answer}");
    for url in ["ftp://x.org", "x", "http://", "http://me:word@x.org/"] {
        let answer = world.post(
            "/v1/programs/1/runs",
            &format!(r#"{{"callback": "{url}"}}"#),
        );
        let expected = "`callback` must be a URL of `http` or `https` without a user name, at most 2048 bytes long.";
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains(expected), "{answer}");
    }
}
