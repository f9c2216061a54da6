//! `waystation schedules`: when time triggers are due next.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use engine::plan::{Plan, Timer};
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use steps::KINDS;

use super::output::{self, note};
use super::{Done, WELL, failed, program_files, read};
use crate::programs::drawn;
use crate::schedule;

/// Show when the time triggers of programs are due next
///
/// Of triggers that are off it is said that they are.
#[derive(Args)]
pub struct Schedules {
    /// Program files, and folders of them
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How many times of each trigger to show
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000), value_name = "COUNT")]
    count: u16,
    /// Write JSON: a list of triggers, each with its next times
    #[arg(long)]
    json: bool,
}

/// A time trigger, with when it is due.
#[derive(Serialize)]
struct Row {
    program: u64,
    name: Arc<str>,
    function: Arc<str>,
    trigger: String,
    active: bool,
    /// The next times, as RFC 9557 has them.
    next: Vec<Zoned>,
}

impl Schedules {
    pub(super) fn run(self) -> Done {
        let (mut rows, mut wrong) = (Vec::new(), false);
        let now = Timestamp::now();
        for path in program_files(&self.paths)? {
            let source = read(&path)?;
            match Plan::check(&source, &KINDS) {
                Ok(plan) => rows.extend(self.rows(&plan, now)),
                Err(problems) => {
                    note(drawn(&problems, &source).trim_end());
                    wrong = true;
                }
            }
        }
        // What is due first stands first, what is off last.
        rows.sort_by_key(|row| (!row.active, row.next.first().map(Zoned::timestamp)));
        match self.json {
            true => output::line(serde_json::to_string(&rows).unwrap_or_default())?,
            false => table(&rows)?,
        }
        Ok(if wrong { failed() } else { WELL })
    }

    fn rows(&self, plan: &Plan, now: Timestamp) -> Vec<Row> {
        let row = |(function, timer): (&engine::plan::Function, &Timer)| {
            let zone = timer.schedule.zone();
            let next = schedule::next(timer, now, self.count.into());
            Row {
                program: plan.id,
                name: plan.name.clone(),
                function: function.name.clone(),
                trigger: timer.schedule.to_string(),
                active: timer.active,
                next: match timer.active {
                    true => next.map(|next| next.to_zoned(zone.clone())).collect(),
                    false => Vec::new(),
                },
            }
        };
        schedule::timers(plan).map(row).collect()
    }
}

fn table(rows: &[Row]) -> Result<(), crate::Error> {
    if rows.is_empty() {
        note("no time triggers");
    }
    let lines = rows.iter().flat_map(|row| {
        let off = (!row.active).then(|| "off".to_owned());
        let shown = |next: &Zoned| next.strftime("%Y-%m-%d %H:%M %Z").to_string();
        let next = row.next.iter().map(shown);
        next.chain(off).map(move |when| (when, row))
    });
    let lines: Vec<(String, &Row)> = lines.collect();
    let widest = lines.iter().map(|(when, _)| when.len()).max().unwrap_or(0);
    for (when, row) in lines {
        output::line(format_args!(
            "{when:widest$}  {} {}, {}: {}",
            row.program, row.name, row.function, row.trigger
        ))?;
    }
    Ok(())
}
