//! Programs that limit how many of their runs are at work at once.

use waystation::store::State;

use crate::world::World;

fn program(concurrency: &str) -> String {
    format!(
        r"id: 1
name: Limited
concurrency: {concurrency}
functions:
  Main:
    triggers: [webhook: {{outputs: {{Who: a}}}}]
    steps:
      - javascript: |
          {{call}} inputs.Who)
      - set: {{Done: '{{{{ Who }}}}'}}
        show: [Done]
"
    )
}

#[test]
fn runs_wait_for_each_other_in_their_order() {
    let world = World::new(&program("{max: 1}"));
    let runs: Vec<_> = ["a", "b", "c"]
        .map(|who| world.of(&world.call(&format!("program_id=1&run_async=1&variables={who}"))))
        .into();
    for (at, who) in ["a", "b", "c"].into_iter().enumerate() {
        let at_work = world.called(who);
        for later in &runs[at + 1..] {
            assert_eq!(world.run(*later).summary.state, State::Queued);
        }
        at_work.answer();
        world.until(runs[at], State::Succeeded);
    }
}

#[test]
fn a_key_tells_runs_apart() {
    let world = World::new(&program("{max: 1, key: '{{ Who }}'}"));
    let run =
        |who: &str| world.of(&world.call(&format!("program_id=1&run_async=1&variables={who}")));
    let first = [run("a"), run("b")];
    let second = run("a");
    let mut calls = [world.outside.called(), world.outside.called()];
    calls.sort_by(|one, other| one.path.cmp(&other.path));
    assert_eq!([&calls[0].path, &calls[1].path], ["a", "b"]);
    assert_eq!(world.run(second).summary.state, State::Queued);
    for call in calls {
        call.answer();
    }
    world.answer("a");
    for run in [first[0], first[1], second] {
        world.until(run, State::Succeeded);
    }
}

#[test]
fn callers_wait_in_line_and_one_too_many_is_sent_away() {
    let world = World::new(&program("{max: 1, queue: 1}"));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| world.call("program_id=1&variables=a"));
        let at_work = world.called("a");
        let second = world.of(&world.call("program_id=1&variables=b&run_async=1"));
        let refused = world.call("program_id=1&variables=c");
        assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
        assert!(refused.contains("retry-after: 5"), "{refused}");
        let sentence =
            r#"{"Error":"Too many runs of this program are waiting. Try again in 5 seconds."}"#;
        assert!(refused.ends_with(sentence), "{refused}");
        at_work.answer();
        assert!(first.join().unwrap().ends_with(r#"[["Done","a"]]}"#));
        world.answer("b");
        world.until(second, State::Succeeded);
    });
}

#[test]
fn the_limit_holds_when_the_server_is_killed() {
    let mut world = World::new(&program("{max: 1}"));
    let runs = [world.begin(), world.begin()];
    let at_work = world.called("a");
    world.restart();
    drop(at_work);
    let at_work = world.called("a");
    let states = runs.map(|run| world.run(run).summary.state);
    assert_eq!(states, [State::Running, State::Queued]);
    at_work.answer();
    world.answer("a");
    for run in runs {
        world.until(run, State::Succeeded);
    }
}

#[test]
fn a_run_that_waits_lets_the_next_one_in() {
    let program = program("{max: 1}").replace("      - set:", "      - sleep: 1 day\n      - set:");
    let world = World::new(&program);
    let first = world.begin();
    world.answer("a");
    world.until(first, State::Waiting);
    let second = world.begin();
    world.answer("a");
    world.until(second, State::Waiting);
}

#[test]
fn a_thousand_runs_go_one_after_the_other() {
    let text = "id: 1\nname: Many\nconcurrency: {max: 1}\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps: []\n";
    let world = World::new(text);
    let runs: Vec<_> = (0..1_000).map(|_| world.begin()).collect();
    let store = world.store();
    let mut ended = 0;
    for run in runs {
        let run = world.until(run, State::Succeeded);
        let about = &run.summary;
        // None begins before the one before has ended.
        assert!(about.started_at.unwrap() >= ended, "{about:?}");
        ended = about.ended_at.unwrap();
    }
    drop(store);
}

#[test]
fn a_key_that_cannot_be_worked_out_is_told() {
    let world = World::new(&program("{max: 1, key: '{{ Nobody }}'}"));
    let answer = world.call("program_id=1");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains("The `key` of the program's `concurrency` cannot be worked out: "),
        "{answer}"
    );
}
