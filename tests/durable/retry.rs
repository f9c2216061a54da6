//! Steps that are tried again.

use waystation::store::State;

use crate::world::World;

fn program(settings: &str) -> String {
    format!(
        r#"id: 1
name: Retry
functions:
  Main:
    triggers: [webhook]
    steps:
      - javascript: |
          {{call}} 'try')
          throw new Error('no')
{settings}
      - print: 'after'
"#
    )
}

#[test]
fn a_step_is_tried_again_as_often_as_it_says() {
    let world = World::new(&program(
        "        retry: {max: 2, backoff: 2ms, jitter: false}",
    ));
    let run = world.begin();
    for _ in 0..3 {
        world.answer("try");
    }
    let (reason, message) = world.failure(run);
    assert_eq!(
        (reason.as_str(), message.as_str()),
        ("error", "Error: no (line 2 of the code)")
    );
    let log = world.log(run);
    let tries: Vec<&String> = log.iter().filter(|line| line.starts_with("try ")).collect();
    assert_eq!(
        tries,
        [
            "try 1 of 3 failed, the next is in 2ms: Error: no (line 2 of the code)",
            "try 2 of 3 failed, the next is in 4ms: Error: no (line 2 of the code)"
        ]
    );
}

#[test]
fn tries_are_counted_across_servers_and_a_long_pause_takes_no_place() {
    let mut world = World::with(
        &program("        retry: {max: 1, backoff: 6s, jitter: false}"),
        &["--max-running", "1"],
    );
    let run = world.begin();
    world.answer("try");
    world.until(run, State::Waiting);
    // The one place is free.
    let other = world.begin();
    world.answer("try");
    world.until(other, State::Waiting);
    world.restart();
    for _ in 0..2 {
        world.answer("try");
    }
    for run in [run, other] {
        assert_eq!(world.failure(run).1, "Error: no (line 2 of the code)");
        let steps = ["1 javascript failed", "1 sleep done", "1 javascript failed"];
        assert_eq!(world.journal(run), steps);
    }
}

#[test]
fn other_failures_are_not_tried_again() {
    let world = World::new(&program("        retry: {max: 5, on: [timeout]}"));
    let run = world.begin();
    world.answer("try");
    assert_eq!(world.failure(run).1, "Error: no (line 2 of the code)");
}

#[test]
fn no_try_begins_after_the_budget() {
    let world = World::new(&program(
        "        retry: {max: 5, backoff: 1m, jitter: false, budget: 30s}",
    ));
    let run = world.begin();
    world.answer("try");
    assert_eq!(world.failure(run).1, "Error: no (line 2 of the code)");
}

#[test]
fn a_run_can_go_on_after_a_failure_and_look_at_it() {
    let world = World::new(&program(
        "        on_error: {into: Problem}
      - print: '{{ Problem.reason }} {{ Problem.message }} {{ Problem.function }} {{ Problem.step }} {{ Problem.kind }}'
      - javascript: '1'
        on_error: {into: Problem}
      - print: '{{ Problem is filled }}'",
    ));
    let run = world.begin();
    world.answer("try");
    world.until(run, State::Succeeded);
    let log = world.log(run);
    assert_eq!(
        log[log.len() - 4..],
        [
            "the run goes on after a failure: Main, step 1 (javascript): Error: no (line 2 of the code)",
            "error Error: no (line 2 of the code) Main 1 javascript",
            "false",
            "after"
        ]
    );
}
