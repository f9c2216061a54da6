//! The `python` step: what code sees, what it may give, and what becomes of it when it goes wrong.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod ending;
mod errors;
mod outputs;
mod packages;
#[path = "../support/mod.rs"]
mod support;
mod surroundings;

use support::TestApp;

/// A program that runs `code`, which begins on line 8, and shows what it puts into `outputs`.
fn program(code: &str, show: &str) -> String {
    let code: String = code
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    format!(
        "id: 1\nname: P\nfunctions:\n  Main:\n    triggers: [webhook: {{outputs: {{Given: x}}}}]\n    steps:\n      - python: |\n{code}        show: [{show}]\n"
    )
}

/// An application that can be given one code after the other.
struct Runs(TestApp);

/// What came of a run: the answer's body and the log, each line after the stream it came from.
struct Came {
    body: String,
    log: Vec<String>,
    /// The failure, as the record has it.
    failure: serde_json::Value,
}

impl Runs {
    /// One program for each code, with the ids from 1 on.
    async fn of(codes: &[&str]) -> Runs {
        Runs::with(codes, "", &[]).await
    }

    async fn with(codes: &[&str], show: &str, flags: &[&str]) -> Runs {
        let programs: Vec<(String, String)> = codes
            .iter()
            .zip(1..)
            .map(|(code, id)| {
                let text = program(code, show).replacen("id: 1", &format!("id: {id}"), 1);
                (format!("p{id}.yaml"), text)
            })
            .collect();
        let programs: Vec<(&str, &str)> = programs
            .iter()
            .map(|(name, text)| (&**name, &**text))
            .collect();
        Runs(TestApp::with(&programs, flags).await)
    }

    /// Runs the program of this id.
    async fn run(&self, id: usize) -> Came {
        let answer = self.0.api(&format!("program_id={id}")).await;
        let run = answer.header("waystation-run").parse().unwrap();
        let store = &self.0.app.store;
        let log = store.log(run, 0).await.unwrap().text;
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let part = |name: &str| line[name].as_str().unwrap().to_owned();
            format!("{} {}", part("stream"), part("text"))
        };
        let recorded = store.run(run).await.unwrap().unwrap().answer;
        let failure = recorded.and_then(|text| serde_json::from_str(&text).ok());
        Came {
            body: answer.body,
            log: log.lines().map(line).collect(),
            failure: failure.unwrap_or_default(),
        }
    }
}

/// Runs `code` and gives the answer's body and the log.
async fn run(code: &str, show: &str) -> (String, Vec<String>) {
    let came = Runs::with(&[code], show, &[]).await.run(1).await;
    (came.body, came.log)
}

#[track_caller]
fn failed(body: &str, message: &str) {
    let error = format!("Main, step 1 (python): {message}");
    let expected = format!(r#"{{"Error":{}}}"#, serde_json::Value::from(error));
    assert_eq!(body, expected);
}

#[track_caller]
fn gives(body: &str, value: &str) {
    let expected = format!(r#"{{"Success":"Program finished.","Result":[["A",{value}]]}}"#);
    assert_eq!(body, expected);
}
