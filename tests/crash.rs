//! Killing the server at any moment: what was answered is in the record, and what was begun ends.
//!
//! Several clients call one server without a pause. At a moment drawn by lot it is killed with SIGKILL and
//! started again on the same data, again and again; what the clients heard is then held against the record.
//!
//! `CRASH_ROUNDS` sets how many times, 100 if it is not set. The lots are drawn from a seed that is printed;
//! `CRASH_SEED` sets it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::outside::Outside;
use support::{KEY, TestCommand, TestServer};
use tokio::runtime::Runtime;
use waystation::store::sqlite::Sqlite;
use waystation::store::{Detail, Filter, RECORD, RunId, State, Store};

/// The moments of a kill, after the first answer of its round, in microseconds.
const MOMENTS: std::ops::Range<u64> = 5_000..150_000;
/// The longest that anything which must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// In one of so many rounds code runs as well.
const CODE: u64 = 4;
/// How many clients call at once.
const CLIENTS: u64 = 12;

#[test]
fn what_was_answered_survives_a_kill_at_any_moment() {
    let rounds = setting("CRASH_ROUNDS").unwrap_or(100);
    let seed = setting("CRASH_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    println!("CRASH_SEED={seed}");
    let began = Instant::now();
    let mut chance = Chance(seed);
    let mut crash = Crash::new();
    let mut server = crash.start();
    for round in 0..rounds {
        let answers = crash.kill(server, round, &mut chance);
        // Every other time the server is the first to open what it left, so that mending it is its task.
        server = match round % 2 {
            0 => {
                crash.look(&answers);
                crash.start_looking()
            }
            _ => crash.start(),
        };
        crash.look(&answers);
        crash.answers.extend(answers);
    }
    crash.end(server);
    let told = crash.told();
    println!("{told}, {:?}", began.elapsed());
    assert!(
        rounds < 100 || crash.interrupted > 0,
        "no kill met a run at work"
    );
}

/// A killed server does not lose what it has given to the system but not yet synced, so the kills alone do not
/// show an answer that comes too soon. A reader does: it sees a commit when its sync is done.
#[test]
fn an_answer_comes_after_its_commit() {
    let mut crash = Crash::new();
    let server = crash.start();
    let store = crash.store();
    let killed = AtomicBool::new(false);
    let mut client = Client::new(&server, (0, 0), Chance(0), &killed);
    for number in 0..100 {
        let program = [Quick, Failing][number % 2];
        let answer = client.one(program, number % 5 == 0, &number.to_string());
        crash.compare(&store, &answer.unwrap());
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// Numbers by lot, the same ones from the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A program that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// A few steps.
    Quick = 1,
    /// A few steps, of which the last fails.
    Failing,
    /// Python, for a while; notes outside of the record that it ran.
    Code,
    /// Many passes of a loop.
    Long,
}

use Program::{Code, Failing, Long, Quick};

impl Program {
    const ALL: [Program; 4] = [Quick, Failing, Code, Long];

    /// Its steps.
    fn steps(self, witness: &str) -> String {
        match self {
            Quick => "
      - set: {Twice: '{{ Mark }} {{ Mark }}'}
      - if: Mark is filled
        then:
          - print: '{{ Twice }}'
      - set: {Echo: '{{ Mark }}', Number: 7}
        show: [Echo, Number]"
                .to_owned(),
            Failing => "
      - set: {Words: '{{ Mark }}'}
      - loop: '{{ Words }}'
        steps: [print: never]"
                .to_owned(),
            Code => format!(
                "
      - python: |
          import time, urllib.request
          urllib.request.urlopen('{witness}/' + inputs['Mark'])
          time.sleep(0.05)
      - set: {{Echo: '{{{{ Mark }}}}'}}
        show: [Echo]"
            ),
            Long => "
      - loop: range(2000)
        as: N
        steps:
          - set: {Sum: '{{ N + 1 }}'}
      - set: {Echo: '{{ Mark }}'}
        show: [Echo]"
                .to_owned(),
        }
    }

    fn text(self, witness: &str) -> String {
        let (id, steps) = (self as u64, self.steps(witness));
        format!(
            "id: {id}
name: Program {id}
functions:
  Main:
    triggers:
      - webhook:
          outputs: {{Mark: ''}}
    steps:{steps}
"
        )
    }

    /// The body and status that it answers with.
    fn answer(self, mark: &str) -> (u16, String) {
        let result = match self {
            Quick => format!(r#"[["Echo","{mark}"],["Number",7]]"#),
            Failing => {
                let sentence = "Main, step 2 (loop): a list is needed, and this is a text";
                return (500, format!(r#"{{"Error":"{sentence}"}}"#));
            }
            Code | Long => format!(r#"[["Echo","{mark}"]]"#),
        };
        let body = format!(r#"{{"Success":"Program finished.","Result":{result}}}"#);
        (200, body)
    }
}

const ACCEPTED: &str = r#"{"Success":"Program started."}"#;

/// An answer that a client has heard to its end.
#[derive(Clone, Debug)]
struct Answer {
    mark: String,
    program: Program,
    run_async: bool,
    run: RunId,
    status: u16,
    body: String,
}

/// A client, with one connection.
struct Client<'a> {
    chance: Chance,
    round: u64,
    number: u64,
    stream: BufReader<TcpStream>,
    killed: &'a AtomicBool,
}

impl<'a> Client<'a> {
    fn new(
        server: &TestServer,
        (round, number): (u64, u64),
        chance: Chance,
        killed: &'a AtomicBool,
    ) -> Client<'a> {
        Client {
            chance,
            round,
            number,
            stream: BufReader::new(TcpStream::connect(&server.address).unwrap()),
            killed,
        }
    }

    /// Calls until the server is gone, and gives what it heard.
    fn call(mut self, first: &Sender<()>) -> Vec<Answer> {
        let mut answers = Vec::new();
        loop {
            let (program, run_async) = self.lot();
            let mark = format!("{}-{}-{}", self.round, self.number, answers.len());
            match self.one(program, run_async, &mark) {
                Ok(answer) => {
                    let _ = first.send(());
                    answers.push(answer);
                }
                Err(error) => {
                    let killed = self.killed.load(Ordering::SeqCst);
                    assert!(killed, "a server that was not killed: {error}");
                    return answers;
                }
            }
        }
    }

    /// What to call next. Two of the clients call what takes a while.
    fn lot(&mut self) -> (Program, bool) {
        let lot = self.chance.below(100);
        match self.number {
            0 if lot < 60 => (Code, lot < 20),
            1 if lot < 60 => (Long, lot < 20),
            _ if lot < 15 => (Failing, lot < 3),
            _ => (Quick, lot < 35),
        }
    }

    /// Makes one call and hears its answer to the end.
    fn one(&mut self, program: Program, run_async: bool, mark: &str) -> std::io::Result<Answer> {
        let (id, wish) = (program as u64, if run_async { "True" } else { "" });
        let query = format!("program_id={id}&variables={mark}&run_async={wish}");
        let request = format!(
            "POST /api?{query} HTTP/1.1\r\nHost: test\r\nX-API-Key: {KEY}\r\nContent-Length: 0\r\n\r\n"
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length, mut run) = (0, 0, None);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            match line.split_once(": ") {
                None => status = line.split(' ').nth(1).unwrap().parse().unwrap(),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("waystation-run", value)) => run = Some(value.parse().unwrap()),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).unwrap();
        let run = run.unwrap_or_else(|| panic!("no run was started: {status} {body}"));
        Ok(Answer {
            mark: mark.to_owned(),
            program,
            run_async,
            run,
            status,
            body,
        })
    }
}

/// A server that is killed again and again, and what its clients heard.
struct Crash {
    command: TestCommand,
    /// What code may reach: where it notes that it ran.
    allowed: String,
    /// The marks of the code that ran.
    witness: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
    answers: Vec<Answer>,
    /// How many runs were seen to be at work when the server was killed.
    interrupted: usize,
    starts: Vec<Duration>,
}

impl Crash {
    fn new() -> Crash {
        let command = TestCommand::new(&[]);
        let outside = Outside::new();
        let allowed = outside.address();
        let url = outside.url();
        let witness = Arc::<Mutex<Vec<String>>>::default();
        let noted = witness.clone();
        std::thread::spawn(move || {
            loop {
                let called = outside.called();
                // A kill may come between the connection and the request.
                if !called.path.is_empty() {
                    noted.lock().unwrap().push(called.path.clone());
                }
                called.answer();
            }
        });
        for program in Program::ALL {
            let name = format!("{program:?}.yaml");
            let text = program.text(&url);
            support::write(command.folder.path(), &name, &text);
        }
        Crash {
            command,
            allowed,
            witness,
            runtime: Runtime::new().unwrap(),
            answers: Vec::new(),
            interrupted: 0,
            starts: Vec::new(),
        }
    }

    /// Starts the server, and checks that no run from before its start is at work.
    fn start(&mut self) -> TestServer {
        let (began, since) = (Instant::now(), waystation::now());
        // The queue must not fill up: every accepted run is one more to look for.
        let flags = ["--max-queued", "100000", "--egress-allow", &self.allowed];
        let server = TestServer::start(&self.command, &flags);
        self.starts.push(began.elapsed());
        let store = self.store();
        for id in self.list(&store, Some(State::Running), None, 10_000) {
            let run = self.run(&store, id);
            assert!(run.summary.started_at > Some(since), "{run:?}");
        }
        server
    }

    /// Starts the server, and checks that the runs that were at work are those it closed.
    fn start_looking(&mut self) -> TestServer {
        let closed = |crash: &Crash, store: &Sqlite| {
            let failed = crash.list(store, Some(State::Failed), None, 100_000);
            let interrupted = |id: &RunId| {
                let run = crash.run(store, *id);
                run.summary.reason.as_deref() == Some("interrupted")
            };
            failed
                .into_iter()
                .filter(interrupted)
                .collect::<HashSet<_>>()
        };
        let store = self.store();
        let at_work = self.list(&store, Some(State::Running), None, 10_000);
        let before = closed(self, &store);
        drop(store);
        let server = self.start();
        let after = closed(self, &self.store());
        self.interrupted += at_work.len();
        assert_eq!(after, before.into_iter().chain(at_work).collect());
        server
    }

    /// Kills the server while clients call it, and gives what they heard.
    fn kill(&self, mut server: TestServer, round: u64, chance: &mut Chance) -> Vec<Answer> {
        let killed = AtomicBool::new(false);
        let (first, heard) = channel();
        // Most kills do not wait for the server to find out how far code can be kept apart.
        let mut answers = Vec::new();
        if round.is_multiple_of(CODE) {
            let mut client = Client::new(&server, (round, CLIENTS), Chance(0), &killed);
            let answer = client.one(Code, false, &format!("{round}-{CLIENTS}-0"));
            answers.push(answer.unwrap());
        }
        let moment =
            Duration::from_micros(MOMENTS.start + chance.below(MOMENTS.end - MOMENTS.start));
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let chance = Chance(chance.next());
                    let client = Client::new(&server, (round, number), chance, &killed);
                    let first = first.clone();
                    scope.spawn(move || client.call(&first))
                })
                .collect();
            drop(first);
            await_moment(&heard, moment);
            killed.store(true, Ordering::SeqCst);
            server.signal(Signal::KILL);
            server.child.wait().unwrap();
            let heard = clients.into_iter().map(|client| client.join().unwrap());
            answers.extend(heard.flatten());
        });
        answers
    }

    /// Checks what clients heard against the record, and the record itself.
    fn look(&self, answers: &[Answer]) {
        let store = self.store();
        for answer in answers {
            self.compare(&store, answer);
        }
        self.runtime.block_on(store.check()).unwrap();
    }

    /// Lets the last server run what is queued, stops it, and checks everything.
    fn end(&self, mut server: TestServer) {
        let store = self.store();
        let began = Instant::now();
        for state in [State::Queued, State::Running] {
            while !self.list(&store, Some(state), None, 1).is_empty() {
                assert!(began.elapsed() < PATIENCE, "runs that do not end");
                std::thread::yield_now();
            }
        }
        server.signal(Signal::TERM);
        assert!(server.child.wait().unwrap().success());
        drop(store);
        let store = self.store();
        self.runtime.block_on(store.check()).unwrap();
        for answer in &self.answers {
            let run = self.compare(&store, answer);
            assert!(run.summary.ended_at.is_some(), "{run:?}");
            if run.summary.state == State::Failed && answer.program != Failing {
                assert_interrupted(&run);
            }
        }
        self.check_repetitions(&store);
    }

    /// Checks that nothing ran twice: no call has two runs, and no code was begun twice. Code is begun only by
    /// a run that is in the record.
    fn check_repetitions(&self, store: &Sqlite) {
        let mut runs = HashMap::new();
        for id in self.all(store) {
            let run = self.run(store, id);
            assert!(run.summary.ended_at.is_some(), "{run:?}");
            let before = runs.insert(run.inputs.clone(), run.clone());
            assert!(before.is_none(), "recorded twice: {before:?}, {run:?}");
        }
        let witness = self.witness.lock().unwrap();
        assert!(!witness.is_empty(), "no code ran");
        let mut began = HashSet::new();
        for mark in &*witness {
            assert!(began.insert(mark.as_str()), "the code of {mark} ran twice");
            let run = runs.get(&inputs(mark));
            assert!(run.is_some(), "the code of {mark} ran without a record");
        }
        for run in runs.values() {
            let succeeded = run.summary.state == State::Succeeded;
            if run.summary.program == Code as i64 && succeeded {
                let mark = began.iter().any(|mark| run.inputs == inputs(mark));
                assert!(mark, "succeeded without having run: {run:?}");
            }
        }
    }

    /// Checks that the record has a run with the answer that was given.
    fn compare(&self, store: &Sqlite, answer: &Answer) -> Detail {
        let run = self.runtime.block_on(store.run(answer.run)).unwrap();
        let run = run.unwrap_or_else(|| panic!("not in the record: {answer:?}"));
        assert_eq!(run.summary.program, answer.program as i64, "{answer:?}");
        assert_eq!(run.inputs, inputs(&answer.mark), "{answer:?}");
        let (status, body) = answer.program.answer(&answer.mark);
        match answer.run_async {
            true => assert_eq!((answer.status, &*answer.body), (200, ACCEPTED)),
            false => assert_eq!((answer.status, &answer.body), (status, &body)),
        }
        let interrupted = run.summary.reason.as_deref() == Some("interrupted");
        if !answer.run_async || (run.summary.ended_at.is_some() && !interrupted) {
            assert_eq!(recorded(&run), body, "{answer:?}, {run:?}");
        }
        run
    }

    fn path(&self) -> PathBuf {
        self.command.folder.path().join("data").join(RECORD)
    }

    fn store(&self) -> Sqlite {
        Sqlite::read_only(&self.path()).unwrap()
    }

    fn run(&self, store: &Sqlite, id: RunId) -> Detail {
        self.runtime.block_on(store.run(id)).unwrap().unwrap()
    }

    fn list(
        &self,
        store: &Sqlite,
        state: Option<State>,
        before: Option<RunId>,
        limit: u32,
    ) -> Vec<RunId> {
        let filter = Filter {
            program: None,
            state,
            before,
            limit,
        };
        let runs = self.runtime.block_on(store.runs(filter)).unwrap();
        runs.into_iter().map(|run| run.id).collect()
    }

    fn all(&self, store: &Sqlite) -> Vec<RunId> {
        let mut all = self.list(store, None, None, 10_000);
        loop {
            let more = self.list(store, None, all.last().copied(), 10_000);
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// What the test has done, in a line.
    fn told(&mut self) -> String {
        self.starts.sort();
        let accepted = self.answers.iter().filter(|answer| answer.run_async);
        format!(
            "{} answers, of these {} to calls that do not wait; {} runs interrupted; a start took {:?}, at most {:?}",
            self.answers.len(),
            accepted.count(),
            self.interrupted,
            self.starts[self.starts.len() / 2],
            self.starts[self.starts.len() - 1],
        )
    }
}

/// Waits until a client has heard an answer, then for a while. A client that gives up ends the wait.
fn await_moment(heard: &Receiver<()>, moment: Duration) {
    let answered = heard.recv_timeout(PATIENCE);
    assert_eq!(answered, Ok(()), "nothing was answered");
    let end = Instant::now() + moment;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if heard.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
    }
}

/// The inputs of a run as the record has them.
fn inputs(mark: &str) -> String {
    format!(r#"{{"Mark":"{mark}"}}"#)
}

/// The body that a recorded outcome was answered with.
fn recorded(run: &Detail) -> String {
    let answer = run.answer.as_deref().unwrap_or_default();
    if run.summary.state == State::Succeeded {
        return format!(r#"{{"Success":"Program finished.","Result":{answer}}}"#);
    }
    let failure: serde_json::Value = serde_json::from_str(answer).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let at = &failure["at"];
    format!(
        r#"{{"Error":"{}, step {} ({}): {}"}}"#,
        text(&at["function"]),
        text(&at["step"]),
        text(&at["kind"]),
        text(&failure["message"])
    )
}

#[track_caller]
fn assert_interrupted(run: &Detail) {
    let about = &run.summary;
    assert_eq!(
        (about.state, about.reason.as_deref()),
        (State::Failed, Some("interrupted")),
        "{run:?}"
    );
}
