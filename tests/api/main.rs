//! `/api`: the wire contract of 2019, row by row.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod functions;
mod keys;
mod limits;
mod methods;
mod order;
mod outcomes;
mod parameters;
mod properties;
mod record;
mod result;
mod variables;

use std::sync::atomic::Ordering;

use support::{Answer, TestApp, until};
use waystation::runs::Stop;
use waystation::store::{Detail, Filter, RunId, Summary};

/// A program that shows the three values it is called with.
const ECHO: &str = r#"
id: 1
name: Echo
functions:
  Main:
    triggers:
      - webhook:
          outputs: {First: one, Second: two, Third: three}
    steps:
      - set: {First: "{{ First }}", Second: "{{ Second }}", Third: "{{ Third }}"}
        show: [First, Second, Third]
"#;

/// A program that does not end by itself.
const ENDLESS: &str = r#"
id: 2
name: Endless
functions:
  Main:
    triggers: [webhook]
    steps:
      - while: true
        steps:
          - set: {Number: 1}
"#;

/// The settings under which [`ENDLESS`] has no end.
const NO_END: [&str; 4] = ["--max-passes", "99999999999", "--max-steps", "99999999999"];

impl Answer {
    /// Checks the headers that every answer carries.
    #[track_caller]
    fn headed(&self) -> &Answer {
        for (name, value) in [
            ("content-type", "application/json"),
            ("access-control-allow-origin", "*"),
            (
                "access-control-expose-headers",
                "waystation-run, retry-after, idempotency-replayed",
            ),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("access-control-allow-credentials", ""),
        ] {
            assert_eq!(self.header(name), value, "{name}: {self:?}");
        }
        self
    }

    /// Checks an answer that belongs to no run: an error, its status and sentence.
    #[track_caller]
    fn refused(&self, status: u16, sentence: &str) -> &Answer {
        assert_eq!(self.header("waystation-run"), "", "{self:?}");
        self.headed().is(status, &error(sentence))
    }

    /// Checks an answer that belongs to a run and is an error, and gives the run.
    #[track_caller]
    fn failed(&self, status: u16, sentence: &str) -> RunId {
        self.headed().is(status, &error(sentence));
        self.run()
    }

    /// Checks the answer of a run that came to its end, and gives the run.
    #[track_caller]
    fn finished(&self, result: &str) -> RunId {
        let body = format!(r#"{{"Success":"Program finished.","Result":{result}}}"#);
        self.headed().is(200, &body);
        self.run()
    }

    /// Checks the answer of a run that will begin, and gives the run.
    #[track_caller]
    fn started(&self) -> RunId {
        self.headed().is(200, r#"{"Success":"Program started."}"#);
        self.run()
    }

    /// The run that the answer belongs to.
    #[track_caller]
    fn run(&self) -> RunId {
        assert_eq!(self.headers.get_all("waystation-run").iter().count(), 1);
        self.header("waystation-run").parse().unwrap()
    }
}

impl TestApp {
    /// All runs in the record, the newest first.
    async fn runs(&self) -> Vec<Summary> {
        let all = Filter {
            limit: 1_000,
            ..Filter::default()
        };
        self.app.store.runs(all).await.unwrap()
    }

    /// A run once it has ended.
    async fn ended(&self, run: RunId) -> Detail {
        until(async || {
            let found = self.app.store.run(run).await.unwrap();
            found.filter(|found| found.summary.ended_at.is_some())
        })
        .await
    }

    /// Waits until so many runs are at work.
    async fn at_work(&self, count: usize) {
        let look = async || (self.app.running.lock().unwrap().len() == count).then_some(());
        until(look).await;
    }

    /// Cancels all runs at work.
    fn cancel(&self) {
        for (_, stop) in self.app.running.lock().unwrap().values() {
            stop.store(Stop::Cancelled as u8, Ordering::Relaxed);
        }
        self.app.ended.notify_waiters();
    }
}

fn error(sentence: &str) -> String {
    format!(r#"{{"Error":{}}}"#, serde_json::Value::from(sentence))
}

/// Any bytes as a query carries them.
fn encoded(bytes: impl AsRef<[u8]>) -> String {
    percent_encoding::percent_encode(bytes.as_ref(), percent_encoding::NON_ALPHANUMERIC).to_string()
}
