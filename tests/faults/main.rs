//! What callers see when something goes wrong, which is the table of the guide: made by what happens here.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/mod.rs"]
mod support;
mod world;

use std::fmt::Write;
use std::path::Path;
use std::thread::Builder;

use rusqlite::Connection;
use waystation::store::State;

use self::world::{Caller, Seen, World, seen};

/// A program of these steps.
fn program(steps: &str) -> String {
    format!(
        "id: 1\nname: One\nfunctions:\n  Main:\n    triggers: [webhook: {{outputs: {{Text: ''}}}}]\n    steps:\n{steps}"
    )
}

const SLEEPS: &str = "      - sleep: 2\n      - set: {Done: true}\n        show: [Done]\n";
const PARKS: &str = "      - sleep: 1 day\n      - set: {Done: true}\n        show: [Done]\n";
const HOLDS: &str = "      - shell: sleep 1000\n        timeout: 1 day\n";

type Fault = fn(Caller) -> Seen;

/// What goes wrong, in the order of the table.
const FAULTS: [(&str, Fault); 15] = [
    ("a step fails", step_fails),
    ("a step hangs; it has `timeout: 1`", step_hangs),
    ("the process of a step is killed", process_dies),
    ("a run passes a limit, here of passes", limit_passed),
    ("the server is killed and started again", server_dies),
    ("the caller hangs up", caller_leaves),
    (
        "the run takes longer than callers wait, here `--wait 1s`",
        wait_is_over,
    ),
    (
        "as many runs of the program are at work as `concurrency` lets, and none may wait",
        crowded,
    ),
    ("all places are taken, and as many wait as may", queue_full),
    ("a place is free too late, here `--wait 1s`", place_too_late),
    ("the disk is full, or `--max-data` reached", disk_full),
    ("another program keeps the database locked", database_locked),
    (
        "the clock jumps an hour forward while the run sleeps 2 s",
        clock_forward,
    ),
    (
        "the clock jumps an hour back while the run sleeps 2 s",
        clock_back,
    ),
    (
        "the clock jumps two days forward while the run sleeps a day, here with `--wait 1s`",
        clock_days,
    ),
];

#[test]
fn what_goes_wrong_is_told_as_the_guide_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/faults.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let made = format!("{head}{BEGIN}{}{END}{tail}", table());
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, made).unwrap();
    }
    assert_eq!(page, made);
}

const BEGIN: &str = "<!-- made by tests/faults -->\n";
const END: &str = "<!-- to here -->\n";

/// Has everything go wrong, all at the same time, and gives the table of what was seen.
fn table() -> String {
    let rows = std::thread::scope(|scope| {
        let rows = FAULTS.map(|(what, fault)| {
            let both = [Caller::Waits, Caller::Leaves];
            (
                what,
                both.map(|caller| {
                    let named = Builder::new().name(what.to_owned());
                    named.spawn_scoped(scope, move || fault(caller)).unwrap()
                }),
            )
        });
        rows.map(|(what, seen)| (what, seen.map(|seen| seen.join().unwrap())))
    });
    let mut table = String::from(
        "| what goes wrong | the caller | answer | after | in the record |\n|---|---|---|---|---|\n",
    );
    for (what, [waits, leaves]) in rows {
        for (what, caller, seen) in [(what, "waits", waits), ("", "does not wait", leaves)] {
            let Seen {
                answer,
                after,
                record,
            } = seen;
            let _ = writeln!(
                table,
                "| {what} | {caller} | {answer} | {after} | {record} |"
            );
        }
    }
    table
}

fn plainly(steps: &str, flags: &[&str], caller: Caller, wanted: u64) -> Seen {
    let world = World::new(&program(steps), flags);
    let wanted = if caller == Caller::Waits { wanted } else { 0 };
    let answer = world.called(caller, "");
    world.seen(&answer, wanted)
}

fn step_fails(caller: Caller) -> Seen {
    let steps = "      - assert: false\n        message: it does not hold\n";
    plainly(steps, &[], caller, 0)
}

fn step_hangs(caller: Caller) -> Seen {
    let steps = "      - shell: sleep 1000\n        timeout: 1\n";
    plainly(steps, &[], caller, 1)
}

fn process_dies(caller: Caller) -> Seen {
    plainly("      - shell: kill -9 $$\n", &[], caller, 0)
}

fn limit_passed(caller: Caller) -> Seen {
    let steps = "      - loop: range(1001)\n        steps:\n          - set: {A: 1}\n";
    plainly(steps, &["--max-passes", "1000"], caller, 0)
}

fn server_dies(caller: Caller) -> Seen {
    let mut world = World::new(&program(SLEEPS), &[]);
    let sent = world.sent(caller, "");
    world.until(&[State::Running]);
    let mut answer = match caller {
        Caller::Waits => {
            world.kill();
            sent.answer()
        }
        Caller::Leaves => {
            let answer = sent.answer();
            world.kill();
            answer
        }
    };
    // How soon it was killed is not of interest.
    answer.took = std::time::Duration::ZERO;
    world.start();
    world.seen(&answer, 0)
}

fn caller_leaves(caller: Caller) -> Seen {
    let world = World::new(&program(SLEEPS), &[]);
    let sent = world.sent(caller, "");
    world.until(&[State::Running]);
    sent.leave();
    Seen {
        answer: "nobody hears it".to_owned(),
        after: "–".to_owned(),
        record: world.ended(),
    }
}

fn wait_is_over(caller: Caller) -> Seen {
    plainly(SLEEPS, &["--wait", "1s"], caller, 1)
}

fn crowded(caller: Caller) -> Seen {
    let limited =
        program(SLEEPS).replace("name: One", "name: One\nconcurrency: {max: 1, queue: 0}");
    let world = World::new(&limited, &[]);
    world.called(Caller::Leaves, "");
    world.until(&[State::Running]);
    let answer = world.called(caller, "");
    assert_eq!(world.count(), 1);
    seen(&answer, 0, "nothing")
}

fn queue_full(caller: Caller) -> Seen {
    let flags = [
        "--max-running",
        "1",
        "--max-queued",
        "1",
        "--max-waiting",
        "0",
    ];
    let world = World::new(&program(HOLDS), &flags);
    world.called(Caller::Leaves, "");
    world.until(&[State::Running]);
    // The first is counted as waiting until a moment after it is in the record.
    while world.count() < 2 {
        world.called(Caller::Leaves, "");
    }
    let answer = world.called(caller, "");
    assert_eq!(world.count(), 2);
    seen(&answer, 0, "nothing")
}

fn place_too_late(caller: Caller) -> Seen {
    let world = World::new(&program(HOLDS), &["--max-running", "1", "--wait", "1s"]);
    world.called(Caller::Leaves, "");
    world.until(&[State::Running]);
    let answer = world.called(caller, "");
    match caller {
        Caller::Waits => {
            assert_eq!(world.count(), 1);
            seen(&answer, 1, "nothing")
        }
        Caller::Leaves => {
            world.until(&[State::Queued]);
            seen(&answer, 0, "`queued`")
        }
    }
}

fn disk_full(caller: Caller) -> Seen {
    let steps = "      - print: '{{ Text }}'\n";
    let world = World::new(&program(steps), &["--max-data", "800KB"]);
    let text = format!("&variables={}", "x".repeat(30_000));
    while world
        .called(Caller::Waits, &text)
        .text
        .starts_with("HTTP/1.1 200")
    {}
    // The last pages are for what is small.
    while world
        .called(Caller::Waits, "")
        .text
        .starts_with("HTTP/1.1 200")
    {}
    let before = world.count();
    let answer = world.called(caller, &text);
    assert_eq!(world.count(), before);
    seen(&answer, 0, "nothing")
}

fn database_locked(caller: Caller) -> Seen {
    let world = World::new(&program("      - print: done\n"), &[]);
    let other = Connection::open(world.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = world.called(caller, "");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(world.count(), 0);
    let works = world.called(Caller::Waits, "");
    assert!(works.text.starts_with("HTTP/1.1 200"), "{}", works.text);
    seen(&answer, 5, "nothing")
}

fn clock(caller: Caller, seconds: i64) -> Seen {
    let world = World::with_clock(&program(SLEEPS), &[]);
    let sent = world.sent(caller, "");
    world.until(&[State::Running]);
    world.jump(seconds);
    let answer = sent.answer();
    let wanted = if caller == Caller::Waits { 2 } else { 0 };
    world.seen(&answer, wanted)
}

fn clock_forward(caller: Caller) -> Seen {
    clock(caller, 3600)
}

fn clock_back(caller: Caller) -> Seen {
    clock(caller, -3600)
}

fn clock_days(caller: Caller) -> Seen {
    let world = World::with_clock(&program(PARKS), &["--wait", "1s"]);
    let sent = world.sent(caller, "");
    let waits = match caller {
        Caller::Waits => State::Running,
        Caller::Leaves => State::Waiting,
    };
    world.until(&[waits]);
    world.jump(2 * 24 * 3600);
    let answer = sent.answer();
    match caller {
        Caller::Waits => seen(&answer, 1, "`running`, and goes on"),
        Caller::Leaves => world.seen(&answer, 0),
    }
}
