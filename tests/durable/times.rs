//! Time triggers.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::world::World;

/// A program that a time trigger starts, with further settings of it.
fn program(settings: &str) -> String {
    format!(
        r"id: 1
name: Time
functions:
  Main:
    triggers:
      - time: {{every: minute{settings}}}
    steps:
      - print: tick
"
    )
}

/// A world whose server was away for so many minutes.
fn away(settings: &str, minutes: i64) -> World {
    let mut world = World::new(&program(settings));
    until(&world, "SELECT count(*) FROM schedules", 1);
    world.kill();
    let database = Connection::open(world.database()).unwrap();
    let back = "UPDATE schedules SET next_at = next_at - ?1 * 60000000";
    assert_eq!(database.execute(back, [minutes]).unwrap(), 1);
    drop(database);
    world.start();
    world
}

fn count(world: &World, sql: &str) -> i64 {
    let database = Connection::open(world.database()).unwrap();
    database.busy_timeout(Duration::from_secs(20)).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Waits until the record has so many.
#[track_caller]
fn until(world: &World, sql: &str, expected: i64) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let found = count(world, sql);
        if found == expected {
            return;
        }
        assert!(Instant::now() < end, "{sql}: {found}, not {expected}");
        std::thread::yield_now();
    }
}

const ENDED: &str = "SELECT count(*) FROM runs WHERE trigger = 'time' AND outcome = 'succeeded'";
/// Whether the time that is next is in the future.
const SEEN_TO: &str = "SELECT count(*) FROM schedules WHERE next_at > (unixepoch() - 1) * 1000000";

/// Waits until everything that was due has been seen to, and all runs have ended; gives how many there were. The minute that
/// the test runs in may end meanwhile, and is one more.
fn ended(world: &World) -> i64 {
    until(world, SEEN_TO, 1);
    until(world, "SELECT count(*) FROM queue", 0);
    count(world, ENDED)
}

#[test]
fn for_all_times_that_were_missed_there_is_one_run() {
    let world = away("", 10);
    until(&world, ENDED, 1);
    assert!((1..=2).contains(&ended(&world)));
}

#[test]
fn every_time_that_was_missed_can_have_a_run() {
    let world = away(", missed: all", 10);
    assert!((10..=11).contains(&ended(&world)));
    let gaps = "SELECT max(due) - min(due) - (count(*) - 1) * 60000000 FROM fires";
    assert_eq!(count(&world, gaps), 0);
}

#[test]
fn only_the_last_hundred_have() {
    let world = away(", missed: all", 1_000);
    assert!((100..=101).contains(&ended(&world)));
}

#[test]
fn times_that_were_missed_can_be_left_out() {
    let world = away(", missed: skip", 10);
    // The last of them may be less than a minute ago, and was not missed then.
    assert!((0..=2).contains(&ended(&world)));
}

#[test]
fn a_trigger_that_is_off_starts_nothing() {
    let world = World::new(&program(", active: false"));
    assert_eq!(count(&world, "SELECT count(*) FROM schedules"), 0);
}

#[test]
fn a_time_has_one_run_though_the_server_is_killed_in_between() {
    let mut world = World::new(&program(", missed: all"));
    until(&world, "SELECT count(*) FROM schedules", 1);
    for place in ["schedule.mid", "commit.after", "claim.after_commit"] {
        world.kill();
        let database = Connection::open(world.database()).unwrap();
        // As if the server had been away before it was ever started.
        let back = "UPDATE schedules SET next_at = (SELECT coalesce(min(due), next_at) FROM fires) - 5 * 60000000";
        database.execute(back, []).unwrap();
        database.execute("DELETE FROM fires", []).unwrap();
        database.execute("DELETE FROM runs", []).unwrap();
        drop(database);
        world.start_to_die(&format!("{place}=kill@1"));
        world.start();
        ended(&world);
        let due = "SELECT count(*) FROM fires";
        assert!(count(&world, due) >= 5, "{place}");
        assert_eq!(count(&world, due), count(&world, ENDED), "{place}");
        let gaps = "SELECT max(due) - min(due) - (count(*) - 1) * 60000000 FROM fires";
        assert_eq!(count(&world, gaps), 0, "{place}");
    }
}

const HELD: &str = r"id: 1
name: Held
functions:
  Main:
    triggers:
      - time: {every: minute, missed: all, overlap: WORD}
    steps:
      - javascript: |
          {call} 'tick')
";

/// A world whose server was away, with a run at work.
fn held(word: &str) -> World {
    let mut world = World::new(&HELD.replace("WORD", word));
    until(&world, "SELECT count(*) FROM schedules", 1);
    world.kill();
    let database = Connection::open(world.database()).unwrap();
    let back = "UPDATE schedules SET next_at = next_at - 3 * 60000000";
    assert_eq!(database.execute(back, []).unwrap(), 1);
    drop(database);
    world.start();
    world
}

#[test]
fn a_time_can_be_left_out_while_the_run_before_is_at_work() {
    let mut world = held("skip");
    let at_work = world.called("tick");
    until(&world, SEEN_TO, 1);
    assert_eq!(count(&world, "SELECT count(*) FROM fires"), 1);
    world.kill();
    drop(at_work);
}

#[test]
fn a_time_can_wait_for_the_run_before() {
    let world = held("queue");
    for number in 1..=3 {
        let at_work = world.called("tick");
        assert_eq!(count(&world, "SELECT count(*) FROM queue"), 1);
        assert_eq!(count(&world, "SELECT count(*) FROM fires"), number);
        at_work.answer();
    }
}

#[test]
fn runs_can_go_beside_each_other() {
    let world = held("allow");
    let calls: Vec<_> = (0..3).map(|_| world.called("tick")).collect();
    assert!(count(&world, "SELECT count(*) FROM queue") >= 3);
    calls.into_iter().for_each(|call| call.answer());
}
