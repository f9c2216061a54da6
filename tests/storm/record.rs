//! The record held against what was heard and what came.

use std::collections::HashMap;
use std::time::Instant;

use rusqlite::Connection;

use waystation::store::RunId;

use crate::client::{Call, Way};
use crate::programs::Program;
use crate::support::TestServer;
use crate::{FLAGS, PATIENCE, Storm, inputs, sink};

/// How soon after it was told to stop a run has stopped, in microseconds.
const SOON: i64 = 2_000_000;

/// A run as the record has it.
#[derive(Clone, Debug)]
struct Run {
    timed: bool,
    inputs: String,
    outcome: Option<String>,
    reason: Option<String>,
    answer: Option<String>,
    lines: Vec<String>,
    ended_at: i64,
}

impl Storm {
    /// Notes which effects have come and are not recorded as done.
    pub fn count_in_flight(&mut self) {
        let connection = sink::open(&self.record());
        let mut unfinished = connection
            .prepare("SELECT runs.number, runs.inputs FROM queue JOIN runs ON runs.number = queue.run WHERE queue.resumes")
            .unwrap();
        let unfinished = unfinished.query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        });
        let unfinished: HashMap<String, i64> = unfinished
            .unwrap()
            .map(Result::unwrap)
            .map(|(number, inputs)| (inputs, number))
            .collect();
        let mut recorded = connection
            .prepare("SELECT count(*) FROM journal WHERE run = ?1 AND kind = 'javascript' AND status <> 'begun'")
            .unwrap();
        let come = self.sink.come().times.clone();
        for ((mark, number), times) in &come {
            let Some(run) = unfinished.get(&inputs(mark)) else {
                continue;
            };
            if self.before.get(&(mark.clone(), *number)) == Some(times) {
                continue;
            }
            let recorded: u32 = recorded.query_row([run], |row| row.get(0)).unwrap();
            if *number >= recorded as usize {
                *self.in_flight.entry((mark.clone(), *number)).or_default() += 1;
            }
        }
        self.before = come;
    }

    /// Checks what was heard in the last round, before the server starts again.
    pub fn look(&self) {
        let wrong = &self.sink.come().wrong;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let connection = sink::open(&self.record());
        let last = format!("{}-", self.rounds);
        for call in self
            .calls
            .iter()
            .filter(|call| call.mark.starts_with(&last))
        {
            check_answers(&connection, call);
        }
    }

    /// Has what is left come to its end, and checks everything.
    pub fn end(&mut self) {
        self.command.environment.clear();
        let again = std::mem::take(&mut self.again);
        let address = self.sink.address.clone();
        let flags = [&FLAGS[..], &["--egress-allow", &address]].concat();
        let server = TestServer::start(&self.command, &flags);
        let mut client = crate::client::Client::new(&server.address).unwrap();
        for call in again {
            self.calls.push(client.again(call));
        }
        let connection = sink::open(&self.record());
        let began = Instant::now();
        let left = || -> i64 {
            let sql = "SELECT count(*) FROM queue";
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let ends = |mut server: TestServer| {
            while left() > 0 {
                assert!(began.elapsed() < PATIENCE, "{} runs do not end", left());
                std::thread::yield_now();
            }
            server.signal(rustix::process::Signal::TERM);
            assert!(server.child.wait().unwrap().success());
        };
        ends(server);
        // The time may start another one at the last moment.
        while left() > 0 {
            ends(TestServer::start(&self.command, &flags));
        }
        self.times.pass(&self.record(), 0);
        self.check(&connection);
    }

    fn check(&self, connection: &Connection) {
        let intact: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(intact, "ok");
        let (timed, runs): (Vec<Run>, Vec<Run>) =
            runs(connection).into_iter().partition(|run| run.timed);
        assert_eq!(timed.len() as i64, self.times.runs, "runs by time");
        for run in &timed {
            match run.reason.as_deref() {
                None => assert_eq!(
                    (run.outcome.as_deref(), &run.lines),
                    (Some("succeeded"), &vec!["tick".to_owned()]),
                    "{run:?}"
                ),
                reason => assert_eq!(reason, Some("poison"), "{run:?}"),
            }
        }
        let mut marks = HashMap::new();
        for run in &runs {
            assert!(run.outcome.is_some(), "no outcome: {run:?}");
            let before = marks.insert(run.inputs.clone(), run);
            assert!(before.is_none(), "two runs: {before:?} {run:?}");
        }
        let mut calls = HashMap::new();
        for call in &self.calls {
            check_answers(connection, call);
            let run = marks.get(&inputs(&call.mark)).copied();
            self.check_run(call, run);
            calls.insert(call.mark.as_str(), call);
        }
        for run in &runs {
            let mark = run.inputs.split('"').nth(3).unwrap();
            assert!(
                calls.contains_key(mark),
                "a run that nobody called for: {run:?}"
            );
        }
        let come = self.sink.come();
        assert!(come.wrong.is_empty(), "{}", come.wrong.join("\n"));
        for ((mark, number), times) in &come.times {
            let call = calls.get(mark.as_str());
            let call = call.unwrap_or_else(|| panic!("an effect of no call: {mark}"));
            let effect = (mark.clone(), *number);
            let flights = self.in_flight.get(&effect).copied().unwrap_or_default();
            let most = match call.way {
                _ if call.program == Program::Once => 1,
                Way::Sync if call.program != Program::Resumed => 1,
                _ => 1 + flights,
            };
            assert!(
                *times <= most,
                "{mark}/{number} came {times} times, at most {most}: {call:?}"
            );
        }
    }

    /// Checks the run of a call, when everything has come to its end.
    fn check_run(&self, call: &Call, run: Option<&Run>) {
        let accepted = call.answers.iter().any(|answer| answer.run.is_some());
        let Some(run) = run else {
            // A call that was not answered may have come to nothing.
            let refused = call.answers.iter().all(|answer| answer.status >= 503);
            assert!(!accepted || refused, "lost: {call:?}");
            return;
        };
        let reason = run.reason.as_deref().unwrap_or_default();
        let outcome = run.outcome.as_deref().unwrap_or_default();
        let resumes = call.way != Way::Sync || call.program == Program::Resumed;
        match (outcome, reason) {
            ("cancelled", "cancelled") => assert_eq!(call.way, Way::Cancelled, "{call:?} {run:?}"),
            ("failed", "node_lost") => assert!(!resumes, "{call:?} {run:?}"),
            ("failed", "poison") => assert!(resumes, "{call:?} {run:?}"),
            // The record could not be written for a while.
            ("failed", "error")
                if run
                    .answer
                    .as_deref()
                    .unwrap()
                    .contains("the database is full") => {}
            _ => self.check_end(call, run),
        }
        match call.cancel {
            Some((200, _)) => assert_eq!(outcome, "cancelled", "{call:?} {run:?}"),
            // It may have been at its end already.
            Some((202, heard)) if outcome != "cancelled" => {
                assert!(run.ended_at < heard + SOON, "{call:?} {run:?}");
            }
            _ => {}
        }
    }

    /// Checks a run that came to the end that its program has.
    fn check_end(&self, call: &Call, run: &Run) {
        let (succeeded, expected) = call.program.outcome(&call.mark);
        let answer = run.answer.as_deref().unwrap_or_default();
        match succeeded {
            true => assert_eq!(
                (run.outcome.as_deref(), answer),
                (Some("succeeded"), &*expected),
                "{call:?} {run:?}"
            ),
            false => {
                let failure: engine::run::Failure = serde_json::from_str(answer).unwrap();
                assert_eq!(failure.to_string(), expected, "{call:?} {run:?}");
            }
        }
        // Where an effect must not be done twice, the run goes on without it, and says so.
        let lines: Vec<&String> = run
            .lines
            .iter()
            .filter(|line| !line.starts_with("the run goes on"))
            .collect();
        let expected = call.program.log(&call.mark);
        assert_eq!(
            lines,
            expected.iter().collect::<Vec<_>>(),
            "{call:?} {run:?}"
        );
        let come = self.sink.come();
        for number in 0..call.program.effects() {
            let came = come.times.contains_key(&(call.mark.clone(), number));
            let lost = call.program == Program::Once;
            assert!(came || lost, "{}/{number} never came: {run:?}", call.mark);
        }
    }
}

/// Checks that the record has what was answered.
fn check_answers(connection: &Connection, call: &Call) {
    let expected = call.program.outcome(&call.mark);
    let mut ids = call.answers.iter().filter(|answer| answer.status < 503);
    let first = ids.next().and_then(|answer| answer.run);
    assert!(ids.all(|answer| answer.run == first), "two runs: {call:?}");
    for answer in call.answers.iter().filter(|answer| answer.status < 503) {
        let id: RunId = answer
            .run
            .unwrap_or_else(|| panic!("no run: {call:?}"))
            .to_string()
            .parse()
            .unwrap();
        let found = connection
            .prepare_cached("SELECT inputs, outcome, answer FROM runs WHERE number = ?1")
            .unwrap()
            .query_row([id.number()], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, Option<String>>(1)?,
                    row.get::<_, Option<String>>(2)?,
                ))
            });
        let (found, outcome, recorded) =
            found.unwrap_or_else(|error| panic!("not in the record: {call:?} {error}"));
        assert_eq!(found, inputs(&call.mark), "{call:?}");
        let waited = matches!(call.way, Way::Sync | Way::Named) && answer.status != 202;
        if waited {
            assert!(outcome.is_some(), "answered before its end: {call:?}");
        }
        if waited && answer.status == 200 {
            assert_eq!(recorded.as_deref(), Some(&*expected.1), "{call:?}");
            assert!(answer.body.contains(&call.mark), "{call:?}");
        }
    }
}

fn runs(connection: &Connection) -> Vec<Run> {
    let sql = "SELECT inputs, outcome, reason, answer, log,
                      (SELECT group_concat(lines, '') FROM (SELECT lines FROM log_pieces WHERE run = runs.number ORDER BY number)), ended_at,
                      trigger = 'time'
                 FROM runs";
    let mut statement = connection.prepare(sql).unwrap();
    let runs = statement.query_map([], |row| {
        let log =
            row.get::<_, Option<String>>(5)?.unwrap_or_default() + &row.get::<_, String>(4)?;
        let text = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["text"].as_str().unwrap().to_owned()
        };
        Ok(Run {
            timed: row.get(7)?,
            inputs: row.get(0)?,
            outcome: row.get(1)?,
            reason: row.get(2)?,
            answer: row.get(3)?,
            lines: log.lines().map(text).collect(),
            ended_at: row.get::<_, Option<i64>>(6)?.unwrap_or_default(),
        })
    });
    runs.unwrap().map(Result::unwrap).collect()
}
