//! Measures what calm callers notice of hostile code, and what it leaves behind.
//!
//! `cargo bench --bench hostile` first calls a program without steps and one with a step of Python fifty times a
//! second each, on a machine at rest. Then it does the same while other connections have endless loops, fork
//! bombs, memory bombs, floods of output and sleeps run, mixed, as fast as they end. In the end it says what the
//! server holds that it did not hold before. `BENCH_RUNS` sets how much hostile code runs (1000), `BENCH_AT_ONCE`
//! how much of it at once (16), `BENCH_ONLY` what alone it is, such as `sleep`, and `BENCH_SECONDS` how long the machine is measured at rest (20).

#[allow(dead_code, reason = "other measurements use the rest")]
#[path = "../api/load.rs"]
mod load;
#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/sandbox/processes.rs"]
mod processes;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use load::{Load, Measured, Until, ms};
use serde_json::{Value, json};
use support::{KEY, TestCommand, TestServer};

/// What calm callers call, and what is answered.
const CALM: [(&str, &str); 2] = [("no step", "[]"), ("python", "[python: pass]")];
const ANSWER: &str = r#"{"Success":"Program finished.","Result":[]}"#;
const PACE: Duration = Duration::from_millis(20);

/// The most that the slowest hundredth may take of what it takes at rest.
const OF_QUIET: f64 = 2.0;

/// Hostile code: what it is called, its kind, and its text.
const HOSTILE: [(&str, &str, &str); 12] = [
    ("loop", "python", "while True: pass"),
    ("loop", "javascript", "for (;;);"),
    ("loop", "shell", "while :; do :; done"),
    ("fork bomb", "python", "import os\nwhile True: os.fork()"),
    ("fork bomb", "shell", "bomb() { bomb | bomb; }\nbomb"),
    (
        "memory bomb",
        "python",
        "x = []\nwhile True: x.append(bytes(1_000_000))",
    ),
    (
        "memory bomb",
        "javascript",
        "const x = []; for (;;) x.push('x'.repeat(1e6) + x.length);",
    ),
    ("flood", "python", "while True: print('x' * 1000)"),
    ("flood", "shell", "yes"),
    (
        "flood",
        "javascript",
        "for (;;) console.log('x'.repeat(1000));",
    ),
    ("sleep", "python", "import time\ntime.sleep(600)"),
    ("sleep", "shell", "sleep 600"),
];
const LIMITS: &str = "timeout: 2s
        limits: {memory: 128MB, cpu: 1s, processes: 32, output: 4MB}";

fn main() {
    let runs = setting("BENCH_RUNS", 1000);
    let at_once = setting("BENCH_AT_ONCE", 16);
    let time = Duration::from_secs(setting("BENCH_SECONDS", 20) as u64);
    let programs = programs();
    let programs: Vec<(&str, &str)> = programs
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let mut command = TestCommand::new(&programs);
    let scratch = command.folder.path().join("scratch");
    fs::create_dir(&scratch).expect("a folder");
    command.environment = vec![("TMPDIR".to_owned(), scratch.display().to_string())];
    let server = TestServer::start(&command, &[]);
    let only = std::env::var("BENCH_ONLY").ok();
    let is_meant = |at: &usize| only.as_deref().is_none_or(|only| HOSTILE[*at].0 == only);
    let which: Vec<usize> = (0..HOSTILE.len()).filter(is_meant).collect();
    // From here on there stands ready what will stand ready.
    beside(&server, &which, (4 * at_once, at_once));
    let quiet = calm(&server.address, Until::Time(time));
    let before = Held::by(&server, &scratch);
    let start = Instant::now();
    let (loaded, ends) = beside(&server, &which, (runs, at_once));
    let took = start.elapsed();
    println!("{runs} hostile runs, {at_once} at once, took {took:.1?}; they ended like this:");
    for (end, count) in &ends {
        println!("{count:>6}  {end}");
    }
    let calls = shown(&quiet, loaded);
    processes::comes_true(Duration::from_secs(10), || {
        Held::by(&server, &scratch).is_as(&before)
    });
    let after = Held::by(&server, &scratch);
    println!("\n         processes  MB of memory  files");
    println!("before   {before}\nafter    {after}");
    println!(
        "\n{}",
        json!({ "runs": runs, "calls": calls, "ends": ends })
    );
}

fn programs() -> Vec<(String, String)> {
    let head = |id| {
        format!("id: {id}\nname: P{id}\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps: ")
    };
    let calm = CALM.iter().map(|(_, steps)| (*steps).to_owned());
    let hostile = HOSTILE.iter().map(|(_, kind, code)| {
        let code = code.replace('\n', "\n          ");
        format!("\n      - {kind}: |\n          {code}\n        {LIMITS}")
    });
    let steps = calm.chain(hostile).zip(1..);
    let files = steps.map(|(steps, id)| (format!("{id}.yaml"), format!("{}{steps}\n", head(id))));
    files.collect()
}

/// Calls each calm program fifty times a second, all at the same time.
fn calm(address: &str, until: Until) -> Vec<Measured> {
    std::thread::scope(|threads| {
        let calls: Vec<_> = (1..=CALM.len())
            .map(|program| {
                threads.spawn(move || {
                    let request = format!(
                        "POST /api?program_id={program} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\r\n"
                    );
                    let load = Load {
                        request: &request,
                        body: ANSWER,
                        connections: 1,
                        until,
                        pace: PACE,
                    };
                    load.on(address)
                })
            })
            .collect();
        let measured = calls
            .into_iter()
            .map(|call| call.join().expect("good answers"));
        measured.collect()
    })
}

/// Has hostile code run so often, and so often at once, beside the calm callers. Gives what these noticed, and how
/// often the code ended in which way.
fn beside(
    server: &TestServer,
    which: &[usize],
    (runs, at_once): (usize, usize),
) -> (Vec<Vec<Measured>>, BTreeMap<String, usize>) {
    let next = AtomicUsize::new(0);
    let ends = Mutex::new(BTreeMap::new());
    let noticed = std::thread::scope(|threads| {
        for _ in 0..at_once {
            threads.spawn(|| {
                while let number @ 0.. = next.fetch_add(1, Ordering::Relaxed)
                    && number < runs
                {
                    let end = hostile(server, which[number % which.len()]);
                    *ends.lock().expect("a lock").entry(end).or_default() += 1;
                }
            });
        }
        let mut rounds = Vec::new();
        while next.load(Ordering::Relaxed) < runs {
            rounds.push(calm(&server.address, Until::Time(Duration::from_secs(5))));
        }
        rounds
    });
    (noticed, ends.into_inner().expect("a lock"))
}

/// Has hostile code run to its end, and gives what it was and what was said of it.
fn hostile(server: &TestServer, which: usize) -> String {
    let program = CALM.len() + which + 1;
    let answer = server.raw(format!(
        "POST /api?program_id={program} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\
         connection: close\r\n\r\n"
    ));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let said = body["Error"].as_str().unwrap_or("nothing was said of it");
    let said = said.split_once("): ").map_or(said, |(_, said)| said);
    let said = said.split(['.', ';', ':']).next().unwrap_or_default();
    let (name, kind, _) = HOSTILE[which];
    format!("{name} ({kind}): {said}")
}

/// Prints what calm callers noticed, and gives the figures.
fn shown(quiet: &[Measured], loaded: Vec<Vec<Measured>>) -> Vec<Value> {
    println!("\nprogram     p50 at rest  p50 beside  p99 at rest  p99 beside");
    let mut rounds: Vec<Vec<Measured>> = CALM.iter().map(|_| Vec::new()).collect();
    for round in loaded {
        for (all, one) in rounds.iter_mut().zip(round) {
            all.push(one);
        }
    }
    let all = CALM.iter().zip(quiet).zip(rounds);
    all.map(|(((name, _), quiet), rounds)| {
        let beside = Measured::median(&rounds);
        let part = beside.p99.as_secs_f64() / quiet.p99.as_secs_f64();
        let verdict = if part <= OF_QUIET { "met" } else { "missed" };
        println!(
            "{name:<10}  {:>8.2} ms  {:>7.2} ms  {:>8.2} ms  {:>7.2} ms  (at most {OF_QUIET} of the p99 at rest, is {part:.2}, {verdict})",
            ms(quiet.p50),
            ms(beside.p50),
            ms(quiet.p99),
            ms(beside.p99)
        );
        json!({
            "program": name,
            "quiet_p50_ms": ms(quiet.p50),
            "beside_p50_ms": ms(beside.p50),
            "quiet_p99_ms": ms(quiet.p99),
            "beside_p99_ms": ms(beside.p99),
        })
    })
    .collect()
}

/// What a server holds.
struct Held {
    processes: usize,
    /// Of the server and all below it, in bytes.
    memory: u64,
    /// In the folders of runs.
    files: usize,
}

impl Held {
    fn by(server: &TestServer, scratch: &Path) -> Held {
        let below = processes::below(server.child.id());
        let pids = below.iter().map(|process| process.pid);
        Held {
            processes: below.len(),
            memory: pids.chain([server.child.id()]).map(memory).sum(),
            files: files(scratch),
        }
    }

    fn is_as(&self, before: &Held) -> bool {
        self.processes <= before.processes && self.files <= before.files
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = self.memory as f64 / 1e6;
        write!(f, "{:>9}  {mb:>12.0}  {:>5}", self.processes, self.files)
    }
}

/// How much memory a process holds, in bytes; none when it is gone.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse::<u64>().ok())
        .map_or(0, |number| number * 1024)
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| 1 + files(&entry.path())).sum()
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no whole number"))
    })
}
