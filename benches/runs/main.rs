//! Measures runs that nobody waits for: how many are accepted a second, against plain inserts into SQLite with the same durability;
//! what a journal costs a run of three effects; and how soon after a kill the first queued run has ended.
//!
//! Medians over rounds, which alternate. The last line has every figure as JSON. Settings by environment: `BENCH_ROUNDS` (5) and
//! `BENCH_SECONDS` of a round (2).

#[path = "../api/load.rs"]
#[allow(dead_code, reason = "other measurements use the rest")]
mod load;
mod plain;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use load::{Load, Measured, Until, ms};
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{KEY, TestCommand, TestServer};

const PROGRAM: &str = r#"id: 1
name: Greeting
functions:
  Main:
    triggers: [webhook: {outputs: {Name: World, Count: {type: number, default: 3}}}]
    steps:
      - set: {Line: "Hello, {{ Name }}, {{ Count }}!"}
        show: [Line]
"#;
/// A run that has its place for as long as the server is there.
const HOLDS: &str = r"id: 2
name: Holds
functions:
  Main:
    triggers: [webhook]
    steps:
      - shell: sleep 100000
        timeout: 1 day
";
/// Three effects, one after the other.
const THREE: &str = r"id: 3
name: Three
on_node_loss: LOSS
functions:
  Main:
    triggers: [webhook]
    steps:
      - javascript: outputs.A = 1
      - javascript: outputs.B = inputs.A + 1
      - javascript: outputs.C = inputs.B + 1
        show: [C]
";
const ACCEPTED: &str = r#"{"Success":"Program started."}"#;
const THREE_DONE: &str = r#"{"Success":"Program finished.","Result":[["C",3]]}"#;

/// Connections at once, and the least ratio to plain inserts that is aimed at, if there is one.
const CONNECTIONS: [(usize, Option<f64>); 3] = [(1, None), (16, None), (64, Some(0.5))];
/// As many runs may wait as come.
const MANY: [&str; 2] = ["--max-queued", "100000000"];
/// How soon after the start of a server the first queued run is to have ended.
const RESUMED: Duration = Duration::from_secs(1);
/// How many runs are queued then.
const QUEUED: usize = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("plain") {
        let path = arguments.next().expect("a path");
        return plain::serve(Path::new(&path), ACCEPTED);
    }
    let rounds = setting("BENCH_ROUNDS", 5.0) as usize;
    let time = Duration::from_secs_f64(setting("BENCH_SECONDS", 2.0));
    let accepted = accepted(rounds, time);
    let three = three(rounds, time);
    let resumed = resumed(rounds);
    let all = json!({ "accepted": accepted, "three_effects": three, "resumed_ms": resumed });
    println!("\n{all}");
}

fn setting(name: &str, default: f64) -> f64 {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{name} is no number"))
}

fn bar(met: bool, what: &str) -> String {
    format!("aimed at: {what}, {}", if met { "met" } else { "missed" })
}

fn request(parameters: &str) -> String {
    format!(
        "POST /api?{parameters} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n"
    )
}

fn command() -> TestCommand {
    let three = |id: &str, loss: &str| THREE.replace("id: 3", id).replace("LOSS", loss);
    TestCommand::new(&[
        ("greeting.yaml", PROGRAM),
        ("holds.yaml", HOLDS),
        ("resumes.yaml", &three("id: 3", "resume")),
        ("fails.yaml", &three("id: 4", "fail")),
    ])
}

/// A server whose one place is taken, so that what it accepts stays queued.
fn held(command: &TestCommand) -> TestServer {
    let server = TestServer::start(command, &[&["--max-running", "1"], &MANY[..]].concat());
    once(&server.address, "program_id=2&run_async=true", ACCEPTED);
    server
}

fn once(address: &str, parameters: &str, body: &str) {
    let load = Load {
        request: &request(parameters),
        body,
        connections: 1,
        until: Until::Answers(1),
        pace: Duration::ZERO,
    };
    load.on(address);
}

/// How many runs are accepted a second: ours and queued, ours and run at once, plain rows, and plain rows behind HTTP.
fn accepted(rounds: usize, time: Duration) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = plain::Plain::open(&folder.path().join("rows.db"));
    let behind = plain::Server::start(&folder.path().join("behind.db"));
    let (queues, runs) = (command(), command());
    let queues = (held(&queues), queues);
    let runs = (TestServer::start(&runs, &MANY), runs);
    let request = request("program_id=1&variables=Ann&variables=7&run_async=true");
    println!("connections                      accepted/s   p50 ms   p99 ms  ratio");
    let mut all = Vec::new();
    for (connections, least) in CONNECTIONS {
        let load = Load {
            request: &request,
            body: ACCEPTED,
            connections,
            until: Until::Time(time),
            pace: Duration::ZERO,
        };
        let mut measured: [Vec<Measured>; 4] = Default::default();
        for _ in 0..rounds {
            measured[0].push(rows.on(connections, time));
            measured[1].push(load.on(&behind.address));
            measured[2].push(load.on(&queues.0.address));
            measured[3].push(load.on(&runs.0.address));
        }
        let measured = measured.map(|rounds| Measured::median(&rounds));
        let names = ["plain rows", "plain rows by HTTP", "queued", "run at once"];
        let mut figures = serde_json::Map::new();
        figures.insert("connections".to_owned(), connections.into());
        for (name, measured) in names.iter().zip(&measured) {
            println!("{connections:>11}  {name:18}  {measured}");
            figures.insert((*name).to_owned(), measured.rate.into());
        }
        let (alone, by_http) = (
            measured[2].rate / measured[0].rate,
            measured[2].rate / measured[1].rate,
        );
        let verdict = least.map(|least| bar(alone >= least, &format!("at least {least}")));
        println!(
            "             queued to plain rows {alone:.2}, to those by HTTP {by_http:.2}   {}",
            verdict.unwrap_or_default()
        );
        all.push(figures.into());
    }
    all
}

/// How long a run of three effects takes whose journal is kept before each of them, and one whose is not.
fn three(rounds: usize, time: Duration) -> Value {
    let command = command();
    let server = TestServer::start(&command, &[]);
    let load = |program: u8| {
        let request = request(&format!("program_id={program}"));
        let load = Load {
            request: &request,
            body: THREE_DONE,
            connections: 1,
            until: Until::Time(time),
            pace: Duration::ZERO,
        };
        load.on(&server.address)
    };
    // The first one waits until it is known how code can be kept apart.
    load(3);
    load(4);
    let (mut kept, mut not) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        kept.push(load(3));
        not.push(load(4));
    }
    let (kept, not) = (Measured::median(&kept), Measured::median(&not));
    let ratio = kept.p50.as_secs_f64() / not.p50.as_secs_f64();
    println!(
        "\nthree effects, p50: {:.2} ms with a journal, {:.2} ms without one: {ratio:.2}",
        ms(kept.p50),
        ms(not.p50)
    );
    json!({ "journal_ms": ms(kept.p50), "none_ms": ms(not.p50) })
}

/// How long after the start of a server, whose predecessor was killed, the first and the last of the queued runs have ended; in
/// milliseconds.
fn resumed(rounds: usize) -> [f64; 2] {
    let times: Vec<[Duration; 2]> = (0..rounds)
        .map(|_| {
            let command = command();
            let mut server = held(&command);
            let load = Load {
                request: &request("program_id=1&run_async=true"),
                body: ACCEPTED,
                connections: 16,
                until: Until::Answers(QUEUED),
                pace: Duration::ZERO,
            };
            load.on(&server.address);
            server.signal(Signal::KILL);
            server.child.wait().expect("it is gone");
            let record = command
                .folder
                .path()
                .join("data")
                .join(waystation::store::RECORD);
            let record = Connection::open_with_flags(record, OpenFlags::SQLITE_OPEN_READ_ONLY);
            let record = record.expect("a record");
            let began = Instant::now();
            let server = TestServer::start(&command, &[]);
            let times = [1, QUEUED].map(|runs| {
                while ended(&record) < runs {
                    std::thread::yield_now();
                }
                began.elapsed()
            });
            drop(server);
            times
        })
        .collect();
    let middle = |of: usize| {
        let mut times: Vec<Duration> = times.iter().map(|times| times[of]).collect();
        times.sort();
        times[times.len() / 2]
    };
    let (first, last) = (middle(0), middle(1));
    println!(
        "\nthe first of {QUEUED} queued runs ended {:.0} ms after the start ({}), the last {:.0} ms",
        ms(first),
        bar(first <= RESUMED, "at most 1 s"),
        ms(last)
    );
    [ms(first), ms(last)]
}

/// How many runs of the greeting have ended.
fn ended(record: &Connection) -> usize {
    let sql = "SELECT count(*) FROM runs WHERE program = 1 AND outcome IS NOT NULL";
    let count = record.query_row(sql, [], |row| row.get::<_, i64>(0));
    count.expect("the record can be read") as usize
}
