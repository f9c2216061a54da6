//! Steps that are at work when their server is killed.

use waystation::store::State;

use crate::world::World;

fn program(settings: &str) -> String {
    format!(
        r#"id: 1
name: Lost
functions:
  Main:
    triggers: [webhook]
    steps:
      - javascript: |
          {{call}} 'a')
          outputs.A = 1
      - javascript: |
          {{call}} 'b')
          outputs.B = 2
{settings}
      - javascript: |
          {{call}} "c")
"#
    )
}

/// Starts a run, kills the server while `b` is at work, and starts it again.
fn lost(settings: &str) -> (World, waystation::store::RunId) {
    let mut world = World::new(&program(settings));
    let run = world.begin();
    world.answer("a");
    let _at_work = world.called("b");
    world.restart();
    (world, run)
}

const UNKNOWN: &str = "the server stopped while this step was at work, so it is not known whether it was done, and it is \
                       not to be done twice";

#[test]
fn by_default_a_step_is_done_again() {
    let (world, run) = lost("");
    world.answer("b");
    world.answer("c");
    world.until(run, State::Succeeded);
}

#[test]
fn a_step_with_once_is_not_done_again() {
    let (world, run) = lost("        once: true");
    assert_eq!(
        world.failure(run),
        ("outcome_unknown".to_owned(), UNKNOWN.to_owned())
    );
    let steps = ["1 javascript done", "2 javascript failed"];
    assert_eq!(world.journal(run), steps);
}

#[test]
fn a_step_can_fail_and_the_run_go_on() {
    let mut world = World::new(&program(
        "        once: true\n        on_error: {into: Problem}",
    ));
    let run = world.begin();
    world.answer("a");
    let _at_work = world.called("b");
    world.restart();
    let at_work = world.called("c");
    // What was found out about the lost step is kept.
    world.restart();
    drop(at_work);
    world.answer("c");
    world.until(run, State::Succeeded);
    assert_eq!(
        world.log(run),
        [format!(
            "the run goes on after a failure: Main, step 2 (javascript): {UNKNOWN}"
        )]
    );
}

#[test]
fn a_step_can_be_left_as_it_is() {
    let (world, run) = lost("        on_lost: skip");
    world.answer("c");
    world.until(run, State::Succeeded);
}

#[test]
fn a_step_can_fail_when_it_is_lost() {
    let (world, run) = lost("        on_lost: fail");
    assert_eq!(world.failure(run).0, "outcome_unknown");
}

#[test]
fn a_step_with_once_that_was_done_is_done() {
    let mut world = World::new(&program("        once: true"));
    let run = world.begin();
    world.answer("a");
    world.answer("b");
    let _at_work = world.called("c");
    world.restart();
    world.answer("c");
    world.until(run, State::Succeeded);
}
