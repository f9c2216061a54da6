//! Measures what a long history costs: the start of a server, a page of runs and calls of `/api`, with a million runs in the record
//! and with a few pages of them, in turn; and then whether `--keep` holds the file to a tenth of its size while callers make as many runs again.
//!
//! Medians over rounds. The last line has every figure as JSON. Settings by environment: `BENCH_RUNS`, how many runs there are
//! (1000000), `BENCH_ROUNDS` (5), and `BENCH_SECONDS` of a round (2).

#[path = "../api/load.rs"]
#[allow(dead_code, reason = "other measurements use the rest")]
mod load;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use load::{Load, Measured, Until, ms};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::{KEY, TestCommand, TestServer};

const PROGRAM: &str = r#"id: 1
name: Greeting
functions:
  Main:
    triggers: [webhook: {outputs: {Name: World}}]
    steps:
      - set: {Line: "Hello, {{ Name }}!"}
        show: [Line]
      - print: "{{ Line }}"
"#;
const ANSWER: &str = r#"{"Success":"Program finished.","Result":[["Line","Hello, Ann!"]]}"#;

/// Pages of history that are asked for, after `/v1/runs`.
const PAGES: [&str; 5] = [
    "",
    "?program=7",
    "?state=failed",
    "?program=7&state=failed",
    "?state=waiting",
];

/// How many runs an empty record has, so that its pages are full too.
const FEW: usize = 5_000;
/// The most by which something may take longer than with an empty record.
const SLOWER: f64 = 1.2;
/// How often a page is asked for in a round. The servers answer in turn: what disturbs one for a while disturbs both.
const ASKED: usize = 21;
/// Connections at once.
const CONNECTIONS: usize = 16;
/// How often the size of the file is looked at.
const LOOK: usize = 20_000;

fn main() {
    let runs = setting("BENCH_RUNS", 1e6) as usize;
    let rounds = setting("BENCH_ROUNDS", 5.0) as usize;
    let time = Duration::from_secs_f64(setting("BENCH_SECONDS", 2.0));
    let (empty, full) = (command(), command());
    fill(&empty, FEW);
    let filled = Instant::now();
    fill(&full, runs);
    let size = size(&full);
    println!(
        "{runs} runs, {:.0} MB, made in {:.1?}",
        mb(size),
        filled.elapsed()
    );
    println!("\n                            empty       full  ratio");
    let start = compare("start", rounds, || (started(&empty), started(&full)));
    let keep = ["--keep", "everything"];
    let (bare, whole) = (
        TestServer::start(&empty, &keep),
        TestServer::start(&full, &keep),
    );
    let mut pages = Vec::new();
    for page in PAGES {
        let both = || (asked(&bare, page), asked(&whole, page));
        let name = format!("/v1/runs{page}");
        pages.push(compare(&name, rounds * ASKED, both));
    }
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        theirs.push(called(&bare.address, Until::Time(time)));
        ours.push(called(&whole.address, Until::Time(time)));
    }
    let (theirs, ours) = (Measured::median(&theirs), Measured::median(&ours));
    let p50 = shown("/api p50", theirs.p50, ours.p50);
    let p99 = shown("/api p99", theirs.p99, ours.p99);
    drop((bare, whole));
    let kept = kept(&full, runs, size / 10);
    let all = json!({
        "runs": runs, "bytes": size, "start": start, "pages": pages, "api_p50": p50, "api_p99": p99, "keep": kept,
    });
    println!("\n{all}");
}

fn setting(name: &str, default: f64) -> f64 {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{name} is no number"))
}

fn command() -> TestCommand {
    TestCommand::new(&[("greeting.yaml", PROGRAM)])
}

fn record(command: &TestCommand) -> PathBuf {
    command
        .folder
        .path()
        .join("data")
        .join(waystation::store::RECORD)
}

fn size(command: &TestCommand) -> u64 {
    record(command).metadata().expect("a record").len()
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Has runs in the record: one is made by a call, and the others are like it, of fifty programs, with every hundredth
/// failed.
fn fill(command: &TestCommand, runs: usize) {
    let server = TestServer::start(command, &[]);
    called(&server.address, Until::Answers(1));
    drop(server);
    let record = Connection::open(record(command)).expect("a record");
    let count = runs as i64;
    record
        .execute(
            "INSERT INTO runs (number, id, account, program, version, function, trigger, inputs, seed, created_at, outcome,
                               started_at, ended_at, reason, answer, log_lines, log)
             WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?1)
             SELECT created_at / 1000 - 1 - ?1 + n << 21, unhex(printf('%012x7000%016x', created_at / 1000 - 1 - ?1 + n, n)), account, 1 + n % 50, version, function,
                    trigger, inputs, seed, created_at - 1000 * (?1 - n), iif(n % 100, outcome, 'failed'),
                    started_at - 1000 * (?1 - n), ended_at - 1000 * (?1 - n), iif(n % 100, NULL, 'error'), answer,
                    log_lines, log
               FROM counted, (SELECT * FROM runs LIMIT 1)",
            [count],
        )
        .expect("room");
    // As a server lists them when they come.
    record
        .execute_batch(
            "INSERT OR IGNORE INTO runs_by_program (program, run) SELECT program, number FROM runs ORDER BY program, number;
             UPDATE listed SET up_to = (SELECT max(number) FROM runs);",
        )
        .expect("room");
}

/// Both in turn; gives the medians.
fn compare(name: &str, rounds: usize, mut both: impl FnMut() -> (Duration, Duration)) -> Value {
    let (mut theirs, mut ours): (Vec<_>, Vec<_>) = (0..rounds.max(1)).map(|_| both()).unzip();
    theirs.sort();
    ours.sort();
    shown(name, theirs[theirs.len() / 2], ours[ours.len() / 2])
}

fn shown(name: &str, empty: Duration, full: Duration) -> Value {
    let ratio = ms(full) / ms(empty);
    let verdict = if ratio <= SLOWER { "met" } else { "missed" };
    println!(
        "{name:<24} {:>6.2} ms  {:>6.2} ms  {ratio:>5.2}  (aimed at: at most {SLOWER}, {verdict})",
        ms(empty),
        ms(full)
    );
    json!({ "name": name, "empty_ms": ms(empty), "full_ms": ms(full), "ratio": ratio })
}

/// How long it takes a server to be there.
fn started(command: &TestCommand) -> Duration {
    let start = Instant::now();
    let server = TestServer::start(command, &[]);
    let time = start.elapsed();
    drop(server);
    time
}

/// How long a page takes.
fn asked(server: &TestServer, page: &str) -> Duration {
    let request = format!(
        "GET /v1/runs{page} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n"
    );
    let start = Instant::now();
    let answer = server.raw(&request);
    let time = start.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    time
}

fn called(address: &str, until: Until) -> Measured {
    let request = format!(
        "POST /api?program_id=1&variables=Ann HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n"
    );
    let connections = match until {
        Until::Answers(1) => 1,
        _ => CONNECTIONS,
    };
    let load = Load {
        request: &request,
        body: ANSWER,
        connections,
        until,
        pace: Duration::ZERO,
    };
    load.on(address)
}

/// Serves with a budget for the record, and makes so many runs.
fn kept(command: &TestCommand, runs: usize, budget: u64) -> Value {
    let keep = budget.to_string() + "B";
    let server = TestServer::start(command, &["--keep", &keep]);
    let path = record(command);
    let start = Instant::now();
    while length(&path) > budget {
        // The file becomes smaller as what was written is brought into it.
        called(&server.address, Until::Answers(64));
    }
    let shrunk = start.elapsed();
    println!("\nto a budget of {:.0} MB: {shrunk:.1?}", mb(budget));
    let (mut made, mut largest, mut rounds) = (0, 0, Vec::new());
    while made < runs {
        let round = called(&server.address, Until::Answers(LOOK));
        made += round.count;
        largest = largest.max(length(&path));
        rounds.push(round);
    }
    let measured = Measured::median(&rounds);
    let verdict = if largest <= budget { "met" } else { "missed" };
    println!(
        "{made} more runs: at most {:.1} MB (aimed at: the budget, {verdict}), {:.0} a second, p99 {:.2} ms",
        mb(largest),
        measured.rate,
        ms(measured.p99)
    );
    json!({
        "budget": budget, "shrunk_s": shrunk.as_secs_f64(), "runs": made, "largest": largest,
        "per_second": measured.rate, "p99_ms": ms(measured.p99),
    })
}

fn length(path: &Path) -> u64 {
    path.metadata().expect("a record").len()
}
