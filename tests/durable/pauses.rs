//! Runs that wait.

use waystation::store::State;

use crate::world::World;

const SLEEP: &str = r"id: 1
name: Sleep
functions:
  Main:
    triggers: [webhook]
    steps:
      - print: before
      - sleep: 30 days
      - print: after
";

/// Says that the time has come for which all runs wait.
fn hurry(world: &World) {
    let database = rusqlite::Connection::open(world.database()).unwrap();
    let month = 30 * 24 * 3600 * 1_000_000_i64;
    database
        .execute("UPDATE queue SET due = due - ?1", [month])
        .unwrap();
    database
        .execute("UPDATE journal SET began_at = began_at - ?1", [month])
        .unwrap();
}

#[test]
fn a_run_that_sleeps_takes_no_place_and_outlives_its_server() {
    let mut world = World::with(SLEEP, &["--max-running", "1", "--run-time", "1m"]);
    let first = world.begin();
    world.until(first, State::Waiting);
    let second = world.begin();
    world.until(second, State::Waiting);
    world.restart();
    assert_eq!(world.run(first).summary.state, State::Waiting);
    world.kill();
    hurry(&world);
    world.start();
    for run in [first, second] {
        world.until(run, State::Succeeded);
        assert_eq!(world.log(run), ["before", "after"]);
        assert_eq!(world.journal(run), ["2 sleep done"]);
    }
}

#[test]
fn a_run_that_sleeps_beyond_its_time_is_woken_to_fail() {
    let sleeps = SLEEP.replace("30 days", "40 days\n        timeout: 30 days");
    let mut world = World::new(&sleeps);
    let run = world.begin();
    world.until(run, State::Waiting);
    world.kill();
    hurry(&world);
    world.start();
    let (reason, message) = world.failure(run);
    let expected = "the step took longer than its `timeout` of 2592000s";
    assert_eq!((reason.as_str(), message.as_str()), ("timeout", expected));
}

#[test]
fn a_caller_waits_for_a_run_that_is_put_aside() {
    let text = SLEEP
        .replace("30 days", "5200ms")
        .replace("name: Sleep", "name: Sleep\non_node_loss: resume");
    let world = World::new(&text.replace("- print: after", "- set: {A: 1}\n        show: [A]"));
    let answer = world.call("program_id=1");
    assert!(
        answer.ends_with(r#"{"Success":"Program finished.","Result":[["A",1]]}"#),
        "{answer}"
    );
}
