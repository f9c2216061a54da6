//! Runs as large as they get, and what the server takes for them.

use std::time::Duration;

use rusqlite::Connection;
use waystation::store::State;

use crate::world::World;

/// A program that does so many things, then calls itself as deep as functions may.
fn program(effects: u32) -> String {
    format!(
        r"id: 1
name: Much
functions:
  Main:
    triggers: [webhook]
    steps:
      - loop: range({effects})
        as: At
        steps:
          - storage: 'Last {{{{ At }}}}'
            action: read
            default: 0
            into: Last
      - call: Down
        inputs: {{Left: 62}}
        outputs: [Sum]
      - set: {{Done: '{{{{ Sum }}}}'}}
        show: [Done]
  Down:
    inputs: {{Left: number}}
    outputs: {{Sum: number}}
    steps:
      - if: Left > 0
        then:
          - call: Down
            inputs: {{Left: '{{{{ Left - 1 }}}}'}}
            outputs: {{Sum: Below}}
          - return: {{Sum: '{{{{ Below + 1 }}}}'}}
      - return: {{Sum: 0}}
"
    )
}

/// The most memory that the server has taken, in MiB.
fn most(world: &World) -> u64 {
    let status = format!("/proc/{}/status", world.server().child.id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().split(' ').next().unwrap();
    kib.parse::<u64>().unwrap() >> 10
}

fn records(world: &World) -> u32 {
    let connection = Connection::open(world.database()).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
        .query_row("SELECT count(*) FROM journal", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_run_does_as_much_as_it_may_and_goes_on_in_the_middle() {
    let mut world = World::with(&program(50_000), &["--max-passes", "100000"]);
    let run = world.begin();
    while records(&world) < 20_000 {
        assert_eq!(world.run(run).summary.state, State::Running);
    }
    world.restart();
    let run = world.until(run, State::Succeeded);
    assert_eq!(run.answer.unwrap(), r#"[["Done",62]]"#);
    assert_eq!(records(&world), 50_000);
    let most = most(&world);
    assert!(most < 160, "{most} MiB");
}

#[test]
fn a_run_that_would_do_more_ends() {
    let world = World::with(&program(50_001), &["--max-passes", "100000"]);
    let run = world.until(world.begin(), State::Failed);
    assert_eq!(run.summary.reason.as_deref(), Some("limit"));
    let why = "the run has done 50000 things outside of itself, or their results come to more than 64 MiB; nothing more \
               can be recorded";
    assert!(
        run.answer.as_ref().unwrap().contains(why),
        "{:?}",
        run.answer
    );
    assert_eq!(records(&world), 50_000);
}

const LARGE: &str = r"id: 1
name: Large
functions:
  Main:
    triggers: [webhook]
    steps:
      - javascript: outputs.Large = 'ab'.repeat(7999900);
        show: [Large]
";

#[test]
fn the_largest_values_take_memory_only_as_long_as_they_are_at_work() {
    let world = World::new(LARGE);
    for _ in 0..2 {
        world.until(world.begin(), State::Succeeded);
    }
    let before = most(&world);
    for _ in 0..6 {
        let answer = world.call("program_id=1");
        assert!(answer.ends_with("abab\"]]}"), "{}", &answer[..300]);
    }
    let after = most(&world);
    assert!(after < before + 64, "{before} MiB, then {after} MiB");
    assert!(before < 400, "{before} MiB");
}
