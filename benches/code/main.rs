//! Measures steps that run code against starting an interpreter bare and against a program without steps, in one
//! run on one machine, in turn.
//!
//! `cargo bench --bench code` prints how long a bare `python3 -c pass` takes from its start to its end, and what a
//! call of a program takes that has one step of Python, JavaScript or shell, or none: at one connection as fast
//! as it goes and fifty times a second, and at sixteen. Every run has a new process, as far apart as the machine
//! offers. Medians over rounds. The last line has every figure as JSON. `BENCH_ROUNDS` (5) and `BENCH_SECONDS` of a
//! round (2) set how much is measured.

#[allow(dead_code, reason = "other measurements use the rest")]
#[path = "../api/load.rs"]
mod load;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use load::{Load, Measured, Until, ms};
use serde_json::{Value, json};
use support::{KEY, TestCommand, TestServer};

/// The programs: what they are called, and their steps.
const PROGRAMS: [(&str, &str); 4] = [
    ("no step", "[]"),
    ("python", "[python: pass]"),
    ("javascript", "[javascript: \"0\"]"),
    ("shell", "[shell: \":\"]"),
];
const ANSWER: &str = r#"{"Success":"Program finished.","Result":[]}"#;

/// Connections, and how many calls a second there are at most.
const LOADS: [(usize, Option<u32>); 3] = [(1, None), (1, Some(50)), (16, None)];

/// The most that a Python step may take of the time of a bare start.
const OF_BARE: f64 = 0.25;
/// The most by which a JavaScript step may be slower than no step.
const SLOWER: Duration = Duration::from_micros(1500);
/// How many times the interpreter is started a round.
const STARTS: usize = 20;

fn main() {
    let programs: Vec<(String, String)> = PROGRAMS
        .iter()
        .zip(1..)
        .map(|((name, steps), id)| {
            let text = format!(
                "id: {id}\nname: {name}\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps: {steps}\n"
            );
            (format!("{id}.yaml"), text)
        })
        .collect();
    let programs: Vec<(&str, &str)> = programs
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let command = TestCommand::new(&programs);
    let server = TestServer::start(&command, &[]);
    let python = interpreter();
    println!("code is kept apart as: {}", isolation(&command));
    println!(
        "a sync of 4 KiB to this disk: {:.2} ms",
        ms(load::sync(command.folder.path()))
    );
    let all = measure(&server.address, &python);
    println!("\n{all}");
}

/// The interpreter itself: what stands for it on the path may be a script.
fn interpreter() -> String {
    let ask = ["-c", "import sys; print(sys.executable, end=\'\')"];
    let output = Command::new("python3").args(ask).output().expect("Python");
    String::from_utf8(output.stdout).expect("a path")
}

fn isolation(command: &TestCommand) -> String {
    let output = command
        .command(&["doctor", "--json"])
        .output()
        .expect("the command");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    report["isolation"].as_str().unwrap_or_default().to_owned()
}

/// Starts an interpreter and waits for its end, some times; gives the times.
fn starts(python: &str) -> Vec<Duration> {
    (0..STARTS)
        .map(|_| {
            let start = Instant::now();
            let status = Command::new(python)
                .args(["-c", "pass"])
                .stdin(Stdio::null())
                .status();
            assert!(status.expect("Python").success());
            start.elapsed()
        })
        .collect()
}

fn measure(address: &str, python: &str) -> Value {
    let rounds = setting("BENCH_ROUNDS").unwrap_or(5.0) as usize;
    let time = Duration::from_secs_f64(setting("BENCH_SECONDS").unwrap_or(2.0));
    let mut bare = Vec::new();
    let mut measured: Vec<Vec<Measured>> = (0..LOADS.len() * PROGRAMS.len())
        .map(|_| Vec::new())
        .collect();
    for _ in 0..rounds {
        bare.extend(starts(python));
        let cases = LOADS
            .iter()
            .flat_map(|load| (1..=PROGRAMS.len()).map(move |program| (load, program)));
        for (((connections, rate), program), measured) in cases.zip(&mut measured) {
            let request = format!(
                "POST /api?program_id={program} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n"
            );
            let load = Load {
                request: &request,
                body: ANSWER,
                connections: *connections,
                until: Until::Time(time),
                pace: rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate),
            };
            measured.push(load.on(address));
        }
    }
    bare.sort();
    let bare = bare[bare.len() / 2];
    println!("\na bare `python3 -c pass`: {:.2} ms", ms(bare));
    println!("\nconnections  at most  program     requests/s   p50 ms   p99 ms");
    let medians: Vec<Measured> = measured
        .iter()
        .map(|rounds| Measured::median(rounds))
        .collect();
    let calls = medians
        .chunks(PROGRAMS.len())
        .zip(LOADS)
        .flat_map(|(medians, load)| shown(medians, load, bare));
    let calls: Vec<Value> = calls.collect();
    json!({ "bare_python_ms": ms(bare), "calls": calls })
}

/// Prints what was measured of all programs under one load, and gives the figures.
fn shown(
    medians: &[Measured],
    (connections, rate): (usize, Option<u32>),
    bare: Duration,
) -> Vec<Value> {
    let none = medians[0].p50;
    let all = medians.iter().zip(PROGRAMS);
    all.map(|(measured, (name, _))| {
        let shown = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate}/s"));
        let verdict = match name {
            "python" if connections == 1 => {
                let part = measured.p50.as_secs_f64() / bare.as_secs_f64();
                aimed(
                    part <= OF_BARE,
                    &format!("p50 at most {OF_BARE} of a bare start, is {part:.2}"),
                )
            }
            "javascript" if connections == 1 => {
                let slower = measured.p50.saturating_sub(none);
                aimed(
                    slower <= SLOWER,
                    &format!("p50 at most 1.5 ms over no step, is {:.2}", ms(slower)),
                )
            }
            _ => String::new(),
        };
        println!("{connections:>11}  {shown:>7}  {name:<10}  {measured}  {verdict}");
        json!({
            "connections": connections,
            "at_most": rate,
            "program": name,
            "per_second": measured.rate,
            "p50_ms": ms(measured.p50),
            "p99_ms": ms(measured.p99),
        })
    })
    .collect()
}

fn aimed(met: bool, what: &str) -> String {
    format!("({what}, {})", if met { "met" } else { "missed" })
}

fn setting(name: &str) -> Option<f64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}
