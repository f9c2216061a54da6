//! `waystation run`: one run in the terminal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use engine::host::Stream;
use engine::plan::Plan;
use engine::run::{Failure, Outcome};
use engine::value::Value;
use steps::KINDS;

use super::output::{self, note};
use super::{Done, WELL, failed, read, runtime};
use crate::Error;
use crate::app::App;
use crate::code::Codes;
use crate::config::Config;
use crate::keys::Keys;
use crate::packages::{Packages, Tools};
use crate::programs::{OWNER, drawn};
use crate::runs::{self, Call, Refused, Started};
use crate::store::sqlite::Sqlite;
use crate::worker;

/// Run a program here and now
///
/// The log is written to standard error as it comes, the result to standard output. The values are the
/// variables of the function's webhook, in order; of a function without one, its inputs.
#[derive(Args)]
pub struct Run {
    /// The program file
    file: PathBuf,
    /// The values
    #[arg(allow_negative_numbers = true)]
    values: Vec<String>,
    /// The function to run; the one with the webhook, or the main one, by default
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Write the answer as `/api` gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// Whether a flag of `run` concerns a run, and not only a server.
pub(super) fn concerns(flag: &str) -> bool {
    const OWN: [&str; 4] = ["file", "values", "function", "json"];
    const OF_RUNS: [&str; 4] = ["run_time", "max_steps", "max_passes", "max_calls"];
    let of_code = [
        "code_",
        "egress_allow",
        "max_code_",
        "sandbox",
        "python",
        "uv",
        "package_index",
    ];
    let of_code = of_code.iter().any(|start| flag.starts_with(start));
    OWN.contains(&flag) || OF_RUNS.contains(&flag) || of_code
}

impl Run {
    pub(super) fn run(self) -> Done {
        let source = read(&self.file)?;
        let plan = match Plan::check(&source, &KINDS) {
            Ok(plan) => plan,
            Err(problems) => {
                note(drawn(&problems, &source).trim_end());
                return Ok(failed());
            }
        };
        let entry = engine::plan::Call {
            function: self.function,
            values: self
                .values
                .iter()
                .map(|value| Value::text(value.as_str()))
                .collect(),
            named: None,
            by_webhook: false,
        };
        let watch = |stream: Stream, line: &str| match stream {
            Stream::Note => note(format_args!("note: {line}")),
            _ => note(line),
        };
        let outcome = runtime()?.block_on(once(
            self.config,
            None,
            (plan, &self.file),
            entry,
            Some(Box::new(watch)),
        ));
        match outcome? {
            Ok(outcome) => shown(&source.name, outcome, self.json),
            Err(refusal) => {
                if self.json {
                    output::line(serde_json::json!({ "Error": refusal }))?;
                }
                note(format_args!("error: {refusal}"));
                Ok(failed())
            }
        }
    }
}

/// Runs a program of a file once, with a record that is forgotten afterwards. Many runs can share what runs
/// their code.
///
/// # Errors
/// When the record cannot be kept. A call that starts nothing gives the sentence why.
pub(super) async fn once(
    config: Config,
    codes: Option<Arc<Codes>>,
    (plan, file): (Plan, &Path),
    entry: engine::plan::Call,
    watch: Option<crate::app::Watch>,
) -> Result<Result<Outcome, String>, Error> {
    let store = Arc::new(Sqlite::memory()?);
    let mut app = App::new(
        Config {
            wait: config.run_time * 2,
            ..config
        },
        store.clone(),
        Keys::forgotten()?,
    );
    app.watch = watch;
    if let Some(codes) = codes {
        app.codes = codes;
    }
    if let Some(folder) = cache() {
        let tools = Tools::of(&app.config, app.codes.clone());
        app.packages = Packages::new(tools, folder, Box::new(|line| note(line)));
    }
    let program = plan.id;
    app.programs.serve(plan, file, &*store).await?;
    let call = Call {
        account: OWNER,
        program,
        entry,
        trigger: "terminal",
        wait: Some(app.config.wait),
        key: None,
        callback: None,
        trace: None,
    };
    let app = Arc::new(app);
    worker::recover(&app).await?;
    // It takes the run again where that has been put aside.
    tokio::spawn(worker::work(app.clone()));
    match runs::start(&app, call).await {
        Ok(Started {
            outcome: Some(outcome),
            ..
        }) => Ok(Ok(outcome)),
        Ok(_) => Err(Error::new("the run did not end")),
        Err(Refused::Entry(refusal)) => Ok(Err(refusal.to_string())),
        Err(Refused::Failed(_, error)) => Err(error),
        Err(_) => Err(Error::new("the run could not be started")),
    }
}

/// The user's folder for packages; nothing where the environment names none.
fn cache() -> Option<PathBuf> {
    let named = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    folder.map(|folder| folder.join("waystation/packages"))
}

/// Writes an outcome for people, or as JSON.
fn shown(file: &str, outcome: Outcome, json: bool) -> Done {
    match outcome {
        Outcome::Succeeded(values) if json => {
            let result = serde_json::to_string(&values).unwrap_or_default();
            output::line(format_args!(
                r#"{{"Success":"Program finished.","Result":{result}}}"#
            ))?;
            Ok(WELL)
        }
        Outcome::Succeeded(values) => {
            for (name, value) in values {
                output::line(format_args!("{name}: {value}"))?;
            }
            Ok(WELL)
        }
        Outcome::Failed(failure) | Outcome::Cancelled(failure) => {
            if json {
                output::line(serde_json::json!({ "Error": failure.to_string() }))?;
            }
            note(told(file, &failure));
            Ok(failed())
        }
    }
}

/// A failure for people: the traceback if there is one, then where and what.
fn told(file: &str, failure: &Failure) -> String {
    let place = match &failure.at {
        Some(at) => format!("{file}:{}:{}: ", at.line, at.column),
        None => "error: ".to_owned(),
    };
    match &failure.traceback {
        Some(traceback) => format!("{}\n{place}{failure}", traceback.trim_end()),
        None => format!("{place}{failure}"),
    }
}
