//! Runs programs in memory, with a world that stands still.

#![allow(dead_code, reason = "every test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use engine::context::Limits;
use engine::date::Date;
use engine::host::{Boxed, Code, Effect, Host, Line, Pause, Wanted};
use engine::plan::{Call, Plan};
use engine::problem::Source;
use engine::run::{Failure, Outcome, Values};
use engine::storage::Shelf;
use engine::value::{Record, Value};
use steps::KINDS;

/// The time that every test runs at.
pub const NOW: &str = "2020-01-15T10:30:00Z";

/// A world that stands still.
#[derive(Default)]
pub struct Still {
    /// The lines of the log.
    pub log: Mutex<Vec<String>>,
    /// The random number that is always drawn.
    pub random: u64,
}

impl Host for Still {
    fn log(&self, line: Line<'_>) {
        self.log.lock().unwrap().push(line.text.to_owned());
    }

    fn effect<'a>(
        &'a self,
        _: Effect<'a>,
        work: Boxed<'a, Result<Value, Failure>>,
    ) -> Boxed<'a, Result<Value, Failure>> {
        work
    }

    fn code<'a>(&'a self, _: Code<'a>) -> Boxed<'a, Result<Record, Failure>> {
        Box::pin(async { Err(Failure::new("no code runs here")) })
    }

    fn sleep<'a>(&'a self, _: Pause<'a>) -> Boxed<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn left<'a>(&'a self, _: Wanted<'a>) -> Boxed<'a, Result<Option<Value>, Failure>> {
        Box::pin(async { Ok(None) })
    }

    fn keep(&self, _: Shelf, _: &str, _: Option<&Value>) {}

    fn now(&self) -> Date {
        NOW.parse().unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn random(&self) -> u64 {
        self.random
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn took(&self, _: u64) {}
}

/// Checks a program.
pub fn plan(text: &str) -> Result<Plan, String> {
    let source = Source {
        name: "test.yaml".into(),
        text: text.into(),
    };
    Plan::check(&source, &KINDS).map_err(|problems| {
        let drawn = problems.iter().map(|problem| problem.drawn(&source));
        drawn.map(|problem| problem.to_string()).collect()
    })
}

/// Runs the main function of a plan with the values for its inputs.
pub fn run(plan: &Plan, host: &Still, values: Vec<Value>) -> Result<Values, Failure> {
    let call = Call {
        values,
        ..Call::default()
    };
    let entry = plan.entry(&call).unwrap();
    match ended(engine::run::run(plan, entry, host, Limits::default())) {
        Outcome::Succeeded(values) => Ok(values),
        Outcome::Failed(failure) | Outcome::Cancelled(failure) => Err(failure),
    }
}

/// A plan whose main function runs one step on its inputs and gives what the step leaves in `R`.
pub fn one_step(inputs: &[&str], step: &str) -> Plan {
    let inputs: Vec<String> = inputs.iter().map(|name| format!("{name}: any")).collect();
    let text = format!(
        "id: 1\nname: Test\nfunctions:\n  Main:\n    inputs: {{{}}}\n    outputs: {{R: any}}\n    steps:\n      - {}\n      - return: {{R: '{{{{ R }}}}'}}\n",
        inputs.join(", "),
        step.replace('\n', "\n        ")
    );
    plan(&text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

/// What such a plan gives.
pub fn given(plan: &Plan, values: Vec<Value>) -> Result<Value, String> {
    let values = run(plan, &Still::default(), values).map_err(|failure| failure.message)?;
    Ok(values.into_iter().next().unwrap().1)
}

fn ended<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(ended) = work.as_mut().poll(&mut context) {
            return ended;
        }
    }
}
