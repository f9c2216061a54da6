//! `waystation test`: makes the calls that programs name as their tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Parser};
use engine::host::Stream;
use engine::plan::{Plan, Test as Case};
use engine::problem::Source;
use engine::run::Outcome;
use engine::value::Value;
use steps::KINDS;

use super::output::{self, note};
use super::{Done, WELL, counted, failed, program_files, read, runtime};
use crate::Error;
use crate::code::Codes;
use crate::config::Config;
use crate::egress::{Egress, Rules};
use crate::programs::drawn;

/// Run the tests of programs
///
/// A program's `tests` name calls, and the result, the log or the error that must come of them.
#[derive(Args)]
pub struct Test {
    /// Program files, and folders of them
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Write what came of every test as a JSON list
    #[arg(long)]
    json: bool,
}

/// The settings that tests run with: the defaults.
#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    config: Config,
}

/// What came of a test: what it is called, and what was not as it should be.
#[derive(serde::Serialize)]
pub struct Tested {
    program: String,
    test: String,
    wrong: Vec<String>,
}

impl Test {
    pub(super) fn run(self) -> Done {
        let runtime = runtime()?;
        let config = Defaults::parse_from(["test"]).config;
        let codes = Arc::new(Codes::new(&config, Arc::new(Egress::new(Rules::default()))));
        let mut all = Vec::new();
        for path in program_files(&self.paths)? {
            let source = read(&path)?;
            let tested = runtime.block_on(tests(&source, &path, &codes))?;
            if !self.json {
                tested.iter().try_for_each(show)?;
            }
            all.extend(tested);
        }
        let wrong = all.iter().filter(|tested| !tested.wrong.is_empty()).count();
        if self.json {
            output::line(serde_json::to_string(&all).unwrap_or_default())?;
        } else {
            note(format_args!(
                "{}, {wrong} failed",
                counted(all.len(), "test")
            ));
        }
        Ok(if wrong == 0 { WELL } else { failed() })
    }
}

fn show(tested: &Tested) -> Result<(), Error> {
    let Tested {
        program,
        test,
        wrong,
    } = tested;
    match wrong.is_empty() {
        true => output::line(format_args!("ok      {program}: {test}")),
        false => output::line(format_args!(
            "FAILED  {program}: {test}\n{}",
            wrong.join("\n")
        )),
    }
}

/// Runs all tests of a program, which stands in the file `path`.
///
/// # Errors
/// When the runs cannot be recorded.
pub async fn tests(source: &Source, path: &Path, codes: &Arc<Codes>) -> Result<Vec<Tested>, Error> {
    let plan = match Plan::check(source, &KINDS) {
        Ok(plan) => plan,
        Err(problems) => {
            let wrong = vec![drawn(&problems, source)];
            return Ok(vec![Tested {
                program: source.name.to_string(),
                test: "check".to_owned(),
                wrong,
            }]);
        }
    };
    let mut all = Vec::new();
    for (at, case) in plan.tests.iter().enumerate() {
        let Ok(plan) = Plan::check(source, &KINDS) else {
            continue;
        };
        let test = case
            .name
            .clone()
            .unwrap_or_else(|| format!("test {}", at + 1));
        all.push(Tested {
            program: source.name.to_string(),
            test,
            wrong: wrong((plan, path), case, codes.clone()).await?,
        });
    }
    Ok(all)
}

async fn wrong(
    program: (Plan, &Path),
    case: &Case,
    codes: Arc<Codes>,
) -> Result<Vec<String>, Error> {
    let config = Defaults::parse_from(["test"]).config;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let watch = move |stream: Stream, line: &str| {
        if stream != Stream::Error {
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line.to_owned());
        }
    };
    let entry = engine::plan::Call {
        function: case.function.clone(),
        values: case.variables.clone(),
        named: None,
        by_webhook: false,
    };
    let came =
        match super::run::once(config, Some(codes), program, entry, Some(Box::new(watch))).await? {
            Ok(Outcome::Succeeded(values)) => {
                let pair = |(name, value)| Value::list(vec![Value::Text(name), value]);
                Ok(Value::list(values.into_iter().map(pair).collect()))
            }
            Ok(Outcome::Failed(failure) | Outcome::Cancelled(failure)) => Err(failure.to_string()),
            Err(sentence) => Err(sentence),
        };
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(differences(case, &came, &lines))
}

fn differences(case: &Case, came: &Result<Value, String>, lines: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut differ = |what: &str, wanted: String, came: String| {
        if wanted != came {
            wrong.push(format!(
                "  {what}\n    expected: {wanted}\n    came:     {came}"
            ));
        }
    };
    match (came, &case.error) {
        (Ok(_), None) => {}
        (Ok(result), Some(error)) => differ(
            "error",
            error.clone(),
            format!("none, and the result {result}"),
        ),
        (Err(sentence), wanted) => {
            differ(
                "error",
                wanted.clone().unwrap_or_else(|| "none".to_owned()),
                sentence.clone(),
            );
        }
    }
    if let (Some(wanted), Ok(result)) = (&case.result, came) {
        differ("result", wanted.to_json(), result.to_json());
    }
    if let Some(wanted) = &case.log {
        differ(
            "log",
            wanted.join("\n              "),
            lines.join("\n              "),
        );
    }
    wrong
}
