//! A run that goes on after its server was killed, or stopped.

use waystation::store::State;

use crate::world::World;

const THREE: &str = r"id: 1
name: Three
functions:
  Main:
    triggers: [webhook]
    steps:
      - set: {Word: a}
      - print: begins
      - javascript: |
          {call} inputs.Word)
          outputs.First = inputs.Word + '1'
      - print: between
      - javascript: |
          {call} 'b')
          console.log('b is done')
      - set: {Word: '{{ First }}-c'}
      - javascript: |
          {call} inputs.Word)
      - set: {End: '{{ Word }}'}
        show: [End]
";

#[test]
fn what_was_done_is_not_done_again() {
    let mut world = World::new(THREE);
    let run = world.begin();
    world.answer("a");
    let lost = world.called("b");
    world.restart();
    drop(lost);
    world.answer("b");
    world.answer("a1-c");
    let ended = world.until(run, State::Succeeded);
    assert_eq!(ended.answer.unwrap(), r#"[["End","a1-c"]]"#);
    assert_eq!(world.log(run), ["begins", "between", "b is done"]);
    let steps = [
        "3 javascript done",
        "5 javascript done",
        "7 javascript done",
    ];
    assert_eq!(world.journal(run), steps);
}

#[test]
fn a_run_goes_on_however_often_its_server_is_killed() {
    let mut world = World::new(THREE);
    let run = world.begin();
    for step in ["a", "b", "a1-c"] {
        let lost = world.called(step);
        world.restart();
        drop(lost);
        world.answer(step);
    }
    world.until(run, State::Succeeded);
    assert_eq!(world.log(run), ["begins", "between", "b is done"]);
}

#[test]
fn passes_and_calls_are_told_apart() {
    let mut world = World::new(
        r"id: 1
name: Nested
functions:
  Main:
    triggers: [webhook]
    steps:
      - loop: [x, y]
        as: Letter
        steps:
          - loop: [1, 2]
            as: Number
            steps:
              - call: Send
                inputs: {What: '{{ Letter }}{{ Number }}'}
      - call: Send
        inputs: {What: end}
  Send:
    inputs: {What: text}
    steps:
      - javascript: |
          {call} inputs.What)
",
    );
    let run = world.begin();
    for step in ["x1", "x2", "y1", "y2", "end"] {
        let lost = world.called(step);
        world.restart();
        drop(lost);
        world.answer(step);
    }
    world.until(run, State::Succeeded);
    let steps = [
        "1.1.1[0,0]/1 javascript done",
        "1.1.1[0,1]/1 javascript done",
        "1.1.1[1,0]/1 javascript done",
        "1.1.1[1,1]/1 javascript done",
        "2/1 javascript done",
    ];
    assert_eq!(world.journal(run), steps);
}

#[test]
fn chance_and_time_are_what_they_were() {
    let mut world = World::new(
        r"id: 1
name: Chance
functions:
  Main:
    triggers: [webhook]
    steps:
      - calculator: [1, 1000000000]
        action: random
        into: Number
      - date:
        action: now
        into: Time
      - javascript: |
          {call} inputs.Number + inputs.Time)
      - calculator: [1, 1000000000]
        action: random
        into: More
      - javascript: |
          {call} inputs.Number + inputs.Time + inputs.More)
      - set: {End: '{{ Number }}{{ Time }}{{ More }}'}
        show: [End]
",
    );
    let run = world.begin();
    let called = world.outside.called();
    let first = called.path.clone();
    called.answer();
    let lost = world.outside.called();
    assert!(lost.path.starts_with(&first), "{} {first}", lost.path);
    let second = lost.path.clone();
    world.restart();
    drop(lost);
    world.answer(&second);
    let ended = world.until(run, State::Succeeded);
    assert_eq!(ended.answer.unwrap(), format!(r#"[["End","{second}"]]"#));
}

#[test]
fn a_server_that_is_stopped_leaves_its_runs_to_the_next() {
    let mut world = World::new(THREE);
    let run = world.begin();
    world.answer("a");
    // What is at work comes to its end, and nothing new begins.
    let at_work = world.called("b");
    world.tell_to_stop();
    at_work.answer();
    assert_eq!(world.stopped(), Some(0));
    assert_eq!(world.run(run).summary.state, State::Queued);
    assert_eq!(world.journal(run).len(), 2);
    world.start();
    world.answer("a1-c");
    world.until(run, State::Succeeded);
    assert_eq!(world.log(run), ["begins", "between", "b is done"]);
}

#[test]
fn a_server_that_stops_before_it_has_come_as_far_as_the_one_before_forgets_nothing() {
    let mut world = World::new(THREE);
    let run = world.begin();
    world.answer("a");
    let lost = world.called("b");
    world.kill();
    drop(lost);
    // It is told to stop while it is about to go on with the run.
    world.start_with("claim.after_commit=pause@1");
    world.until(run, State::Running);
    assert_eq!(world.stop(), Some(0));
    world.start();
    world.answer("b");
    world.answer("a1-c");
    world.until(run, State::Succeeded);
    assert_eq!(world.log(run), ["begins", "between", "b is done"]);
}

#[test]
fn what_takes_too_long_to_end_is_left_to_the_next_server_too() {
    let mut world = World::with(THREE, &["--drain", "100ms"]);
    let run = world.begin();
    let lost = world.called("a");
    assert_eq!(world.stop(), Some(0));
    drop(lost);
    assert_eq!(world.run(run).summary.state, State::Queued);
    world.start();
    for step in ["a", "b", "a1-c"] {
        world.answer(step);
    }
    world.until(run, State::Succeeded);
}

#[test]
fn a_run_whose_caller_waits_ends_with_its_server_unless_the_program_says_otherwise() {
    let mut world = World::new(THREE);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| world.call("program_id=1"));
        let _at_work = world.called("a");
        world.server().signal(rustix::process::Signal::KILL);
        assert_eq!(call.join().unwrap(), "");
    });
    world.restart();
    let failed = world
        .command
        .run(&["runs", "--state", "failed", "--json", "--data", "data"]);
    assert!(
        failed.stdout.contains(r#""reason":"node_lost""#),
        "{failed:?}"
    );
}

#[test]
fn a_program_can_have_its_runs_fail_or_go_on() {
    let fails = THREE.replace("name: Three", "name: Three\non_node_loss: fail");
    let mut world = World::new(&fails);
    let run = world.begin();
    let _at_work = world.called("a");
    world.restart();
    assert_eq!(
        world.failure(run),
        (
            "node_lost".to_owned(),
            "the server stopped while the run was at work; it was not repeated".to_owned()
        )
    );
}

#[test]
fn a_run_that_servers_die_of_ends() {
    let mut world = World::new(THREE);
    let run = world.begin();
    let _at_work = world.called("a");
    world.restart();
    let _at_work = world.called("a");
    world.kill();
    // A run that two servers have died with waits for a while, which nobody waits for here.
    world.start();
    assert_eq!(world.run(run).summary.state, State::Queued);
    world.kill();
    let database = rusqlite::Connection::open(world.database()).unwrap();
    assert_eq!(database.execute("UPDATE queue SET due = 0", []).unwrap(), 1);
    drop(database);
    world.start();
    let _at_work = world.called("a");
    world.restart();
    let (reason, message) = world.failure(run);
    let expected = "the server stopped 3 times while the run was at work, and each time it had come no further";
    assert_eq!((reason.as_str(), message.as_str()), ("poison", expected));
}

#[test]
fn a_journal_that_does_not_fit_ends_the_run() {
    let mut world = World::new(THREE);
    let run = world.begin();
    world.answer("a");
    let _at_work = world.called("b");
    world.kill();
    let database = rusqlite::Connection::open(world.database()).unwrap();
    let other = "UPDATE journal SET step = '2' WHERE step = '3'";
    assert_eq!(database.execute(other, []).unwrap(), 1);
    drop(database);
    world.start();
    let (reason, message) = world.failure(run);
    let expected = "the journal of the run has javascript at 2 as its record 1, and the run is at javascript at 3 or has \
                    other variables there, so it cannot be gone on with";
    assert_eq!(
        (reason.as_str(), message.as_str()),
        ("nondeterministic", expected)
    );
}

#[test]
fn a_run_at_work_is_shown_as_far_as_its_record_goes() {
    let mut world = World::new(THREE);
    let run = world.begin();
    world.answer("a");
    let lost = world.called("b");
    let shown = |world: &World| {
        let steps = world.get(&format!("/v1/runs/{run}/steps"));
        let steps: serde_json::Value = serde_json::from_str(&steps).unwrap();
        let steps = steps["items"].as_array().unwrap().iter();
        let steps = steps.map(|step| {
            let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", step["number"], text("kind"), text("state"))
        });
        steps.collect::<Vec<_>>()
    };
    let so_far = [
        "1 set done",
        "2 print done",
        "3 javascript done",
        "4 print done",
        "5 javascript begun",
    ];
    assert_eq!(shown(&world), so_far);
    world.restart();
    drop(lost);
    world.answer("b");
    let lost = world.called("a1-c");
    assert_eq!(shown(&world).len(), 7);
    let at: serde_json::Value =
        serde_json::from_str(&world.get(&format!("/v1/runs/{run}/steps/6"))).unwrap();
    assert_eq!(at["after"]["Word"], "a1-c");
    lost.answer();
    world.until(run, State::Succeeded);
    assert_eq!(shown(&world)[7], "8 set done");
}
