//! Measures `/api` against a bare axum handler, in one run on one machine, in turn.
//!
//! `cargo bench` prints requests a second and latencies at 1, 16 and 64 connections, the ratio of ours to the
//! bare handler's, how long a loop of 100,000 passes takes, and how much memory the idle server holds. Medians over
//! rounds; the rounds of the two servers alternate. The last line has every figure as JSON. Settings by environment:
//! `BENCH_ROUNDS` (5), `BENCH_SECONDS` of a round (2), `BENCH_AGAINST`, the binary of another release that is measured in
//! turn with these two, and `BENCH_RUNS`, how many runs to make at 64 connections while memory is watched (none; a million
//! takes some minutes).

mod bare;
mod load;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use load::{Load, Measured, Until, ms};
use serde_json::{Value, json};
use support::{KEY, TestCommand, TestServer};

/// A program of five steps.
const FIVE: &str = r#"id: 1
name: Five steps
functions:
  Main:
    triggers: [webhook: {outputs: {Name: World, Count: {type: number, default: 3}}}]
    steps:
      - set: {Greeting: "Hello, {{ Name }}!"}
      - set: {Twice: "{{ Count * 2 }}"}
      - if: Twice > 4
        then:
          - print: "{{ Greeting }}"
      - set: {Line: "{{ Greeting }} {{ Twice }}"}
        show: [Line]
"#;

/// What it answers to the call that is measured.
const ANSWER: &str = r#"{"Success":"Program finished.","Result":[["Line","Hello, Ann! 14"]]}"#;

const LOOP: &str = r#"id: 2
name: Loop
functions:
  Main:
    triggers: [webhook]
    steps:
      - loop: range(100000)
        as: N
        steps:
          - set: {Next: "{{ N + 1 }}"}
"#;

/// Connections at once, and the least ratio to the bare handler that is aimed at, if there is one.
const CONNECTIONS: [(usize, Option<f64>); 3] = [(1, None), (16, Some(0.25)), (64, Some(0.35))];
/// The most by which the median latency at one connection may exceed the bare handler's.
const SLOWER: Duration = Duration::from_micros(500);
/// The most that the loop may take.
const LOOP_TIME: Duration = Duration::from_millis(200);
/// The most memory of an idle server, in MiB.
const IDLE: f64 = 30.0;
/// After how many runs memory is looked at.
const SAMPLE: usize = 50_000;
/// By how much memory may vary over many runs, in MiB.
const FLAT: f64 = 10.0;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("bare") {
        return bare::serve(ANSWER);
    }
    let command = TestCommand::new(&[("five.yaml", FIVE), ("loop.yaml", LOOP)]);
    let sync = ms(load::sync(command.folder.path()));
    println!("a sync of 4 KiB to this disk: {sync:.2} ms");
    let server = TestServer::start(&command, &[]);
    let idle = resident(server.child.id());
    println!(
        "resident when idle: {idle:.1} MiB ({})",
        bar(idle < IDLE, &format!("under {IDLE} MiB"))
    );
    let looped = looped(&server.address);
    println!(
        "a loop of 100,000 passes: {:.3} s ({})",
        looped.as_secs_f64(),
        bar(looped < LOOP_TIME, "under 0.2 s")
    );
    let mut command = TestCommand::new(&[("five.yaml", FIVE)]);
    let other = std::env::var_os("BENCH_AGAINST").map(|program| {
        command.program = program.into();
        TestServer::start(&command, &[])
    });
    let calls = compare(&server.address, other.as_ref().map(|other| &*other.address));
    let memory = setting("BENCH_RUNS").map(|runs| watch(&server, runs as usize));
    let all = json!({
        "sync_ms": sync,
        "idle_mib": idle,
        "loop_s": looped.as_secs_f64(),
        "calls": calls,
        "memory_mib": memory,
    });
    println!("\n{all}");
}

fn setting(name: &str) -> Option<f64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}

fn bar(met: bool, what: &str) -> String {
    format!("aimed at: {what}, {}", if met { "met" } else { "missed" })
}

fn request(program: u8, rest: &str) -> String {
    format!(
        "POST /api?program_id={program}{rest} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n"
    )
}

/// The servers in turn at each number of connections; gives the figures.
fn compare(ours: &str, other: Option<&str>) -> Vec<Value> {
    let mut bare = bare::Bare::start();
    let rounds = setting("BENCH_ROUNDS").unwrap_or(5.0) as usize;
    let time = Duration::from_secs_f64(setting("BENCH_SECONDS").unwrap_or(2.0));
    let request = request(1, "&variables=Ann&variables=7&function=Main");
    let mut all = Vec::new();
    println!("\nconnections  server      requests/s   p50 ms   p99 ms  ratio");
    for (connections, least) in CONNECTIONS {
        let load = Load {
            request: &request,
            body: ANSWER,
            connections,
            until: Until::Time(time),
            pace: Duration::ZERO,
        };
        let (mut bares, mut own, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            bares.push(load.on(&bare.address));
            // What ran before changes the machine, so ours and the other take turns at coming first.
            let first = round % 2 == 0;
            if first {
                own.push(load.on(ours));
            }
            others.extend(other.map(|other| load.on(other)));
            if !first {
                own.push(load.on(ours));
            }
        }
        let (bare, own) = (Measured::median(&bares), Measured::median(&own));
        let ratio = own.rate / bare.rate;
        println!("{connections:>11}  bare        {bare}");
        let verdict = match least {
            Some(least) => bar(ratio >= least, &format!("at least {least}")),
            None => {
                let slower = own.p50.saturating_sub(bare.p50);
                bar(
                    slower <= SLOWER,
                    &format!("p50 at most 0.5 ms slower, is {:.2}", ms(slower)),
                )
            }
        };
        println!("{connections:>11}  waystation  {own}  {ratio:.2}   ({verdict})");
        let other = other.map(|_| Measured::median(&others));
        if let Some(other) = &other {
            println!(
                "{connections:>11}  the other   {other}  {:.2} of it are ours",
                own.rate / other.rate
            );
        }
        all.push(json!({
            "connections": connections,
            "bare": figures(&bare),
            "waystation": figures(&own),
            "other": other.as_ref().map(figures),
            "ratio": ratio,
        }));
    }
    bare.stop();
    all
}

fn figures(measured: &Measured) -> Value {
    json!({
        "per_second": measured.rate,
        "p50_ms": ms(measured.p50),
        "p99_ms": ms(measured.p99),
    })
}

/// How long the loop takes, the median of nine calls.
fn looped(address: &str) -> Duration {
    let request = request(2, "");
    let body = r#"{"Success":"Program finished.","Result":[]}"#;
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let start = Instant::now();
            let load = Load {
                request: &request,
                body,
                connections: 1,
                until: Until::Answers(1),
                pace: Duration::ZERO,
            };
            load.on(address);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[4]
}

/// Memory over many runs; gives its sizes.
fn watch(server: &TestServer, runs: usize) -> Vec<f64> {
    let request = request(1, "&variables=Ann&variables=7");
    let load = Load {
        request: &request,
        body: ANSWER,
        connections: 64,
        until: Until::Answers(SAMPLE),
        pace: Duration::ZERO,
    };
    let (mut made, mut sizes) = (0, Vec::new());
    println!("\n     runs  resident MiB");
    while made < runs {
        made += load.on(&server.address).count;
        sizes.push(resident(server.child.id()));
        println!("{made:>9}  {:.1}", sizes[sizes.len() - 1]);
    }
    // The first rounds fill caches.
    let settled = &sizes[sizes.len().min(3) - 1..];
    let (least, most) = settled
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), size| {
            (least.min(*size), most.max(*size))
        });
    println!(
        "from {least:.1} to {most:.1} MiB ({})",
        bar(most - least <= 2.0 * FLAT, "flat to 10 MiB up or down")
    );
    sizes
}

/// The memory of a process that is in use, in MiB.
fn resident(process: u32) -> f64 {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("Linux tells");
    let kib: f64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib / 1024.0
}
