//! What runs keep for those after them, when their server is killed.

use waystation::store::State;

use crate::world::World;

const COUNTS: &str = r"id: 1
name: Counts
functions:
  Main:
    triggers: [webhook]
    steps:
      - storage: Count
        action: read
        default: 0
        into: Count
      - javascript: |
          {call} 'before-' + inputs.Count)
      - storage: Count
        action: write
        value: '{{ Count + 1 }}'
      - javascript: |
          {call} 'after-' + inputs.Count)
      - storage: Count
        action: read
        into: Now
        show: [Now]
";

#[test]
fn a_run_that_goes_on_has_read_what_it_read() {
    let mut world = World::new(COUNTS);
    let first = world.begin();
    world.answer("before-0");
    let lost = world.called("after-0");
    // Another one comes and goes meanwhile, and is not found by the first.
    let second = world.begin();
    world.answer("before-0");
    world.answer("after-0");
    world.until(second, State::Succeeded);
    world.restart();
    drop(lost);
    world.answer("after-0");
    let ended = world.until(first, State::Succeeded);
    assert_eq!(ended.answer.unwrap(), r#"[["Now",1]]"#);
    let steps = ["1 storage done", "2 javascript done", "4 javascript done"];
    assert_eq!(world.journal(first), steps);
}

const PLAIN: &str = r"id: 1
name: Plain
functions:
  Main:
    triggers: [webhook]
    steps:
      - storage: Count
        action: read
        default: 0
        into: Count
      - set: {Now: '{{ Count + 1 }}'}
        show: [Now]
      - storage: Count
        action: write
        value: '{{ Now }}'
";

#[test]
fn what_a_run_keeps_is_kept_once_wherever_its_server_dies() {
    for place in ["finish.before_commit", "finish.after_commit"] {
        let mut world = World::new(PLAIN);
        world.kill();
        world.start_with(&format!("{place}=kill@1"));
        // The server may die before it has answered.
        world.call("program_id=1&run_async=true");
        world.died();
        world.start();
        let first = world.first();
        let ended = world.until(first, State::Succeeded);
        assert_eq!(ended.answer.unwrap(), r#"[["Now",1]]"#);
        let second = world.begin();
        let ended = world.until(second, State::Succeeded);
        assert_eq!(ended.answer.unwrap(), r#"[["Now",2]]"#);
    }
}
