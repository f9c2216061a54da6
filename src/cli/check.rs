//! `waystation check`: all problems of programs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use engine::plan::Plan;
use engine::problem::{Place, Problem, Source};
use steps::KINDS;

use super::output::{self, note};
use super::{Done, WELL, counted, failed, program_files, read};
use crate::packages::lock::Lock;
use crate::packages::pins;

/// Show everything that is wrong with programs
///
/// Nothing is run. Every problem is shown with its place, the line, and what to do about it.
#[derive(Args)]
pub struct Check {
    /// Program files, and folders of them
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Write the problems as a JSON list
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Done {
        let files = program_files(&self.paths)?;
        let mut ids: HashMap<u64, String> = HashMap::new();
        let mut all = Vec::new();
        let mut count = 0;
        for path in &files {
            let source = read(path)?;
            let checked = Plan::check(&source, &KINDS);
            let unpinned = checked.as_ref().ok().and_then(|plan| unpinned(plan, path));
            let problems = problems(checked, &source, &mut ids);
            count += problems.len();
            for problem in &problems {
                if self.json {
                    all.push(serde_json::to_value(problem.shown(&source)).unwrap_or_default());
                } else {
                    note(format_args!("{:#}", problem.drawn(&source)));
                }
            }
            if let Some(unpinned) = unpinned.filter(|_| !self.json) {
                note(format_args!("note: {unpinned}"));
            }
        }
        if self.json {
            output::line(serde_json::Value::Array(all))?;
        } else {
            let what = if count == 0 {
                "no problems".to_owned()
            } else {
                counted(count, "problem")
            };
            note(format_args!(
                "{} checked, {what}",
                counted(files.len(), "program")
            ));
        }
        Ok(if count == 0 { WELL } else { failed() })
    }
}

fn problems(
    checked: Result<Plan, Vec<Problem>>,
    source: &Source,
    ids: &mut HashMap<u64, String>,
) -> Vec<Problem> {
    let plan = match checked {
        Ok(plan) => plan,
        Err(problems) => return problems,
    };
    match ids.insert(plan.id, source.name.to_string()) {
        None => Vec::new(),
        Some(other) => {
            let start = source.text.find("id:").unwrap_or(0);
            let message = format!("the id {} is that of `{other}` already", plan.id);
            let problem = Problem::new(
                Place {
                    start,
                    end: start + 2,
                },
                message,
            );
            vec![problem.help("give this program another id")]
        }
    }
}

/// What is to be said of a program whose packages have not all been installed, or cannot be.
fn unpinned(plan: &Plan, path: &Path) -> Option<String> {
    let file = pins::beside(path).filter(|_| !plan.packages.is_empty())?;
    let lock = match Lock::read(&file) {
        Ok(lock) => lock,
        Err(why) => return Some(why),
    };
    let pinned = |set: &Vec<String>| lock.0.keys().any(|key| key.wanted == *set);
    let name = Path::new(&*plan.source.name);
    (!plan.packages.iter().all(pinned)).then(|| {
        format!(
            "the packages of {} are installed when it is first served or run, and pinned in {}",
            name.display(),
            name.with_extension("lock").display()
        )
    })
}
