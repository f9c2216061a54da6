//! `waystation runs`: the record of runs.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use engine::context::Limits;
use engine::value;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::output::{self, note};
use super::{Data, Done, WELL, record, runtime};
use crate::Error;
use crate::programs::Programs;
use crate::recorder::replay::{self, Moment, Progress, Record, Step, Steps};
use crate::store::{Detail, Filter, RunId, State, Summary};

/// Show what has run, the newest first
///
/// With the id of a run, everything about that one: what it was given, how it ended and where; with `--steps` or
/// `--at`, what it did.
#[derive(Args)]
pub struct Runs {
    /// A run's id
    run: Option<RunId>,
    /// Show the steps of the run, from one on
    #[arg(long, value_name = "FROM", num_args = 0..=1, require_equals = true, default_missing_value = "1", requires = "run")]
    steps: Option<u64>,
    /// Show all variables of the run before and after this step
    #[arg(long, value_name = "STEP", requires = "run", conflicts_with = "steps")]
    at: Option<u64>,
    /// Only runs of this program
    #[arg(long, value_name = "ID")]
    program: Option<i64>,
    /// Only runs in this state
    #[arg(long, value_parser = state())]
    state: Option<State>,
    /// Only runs older than this one
    #[arg(long, value_name = "RUN")]
    before: Option<RunId>,
    /// How many runs to show
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "COUNT")]
    limit: u32,
    /// Write JSON: a list of runs, or one run
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: Data,
}

fn state() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::name)).try_map(|name| name.parse())
}

impl Runs {
    pub(super) fn run(self) -> Done {
        let store = record(&self.data.data)?;
        let runtime = runtime()?;
        if let Some(id) = self.run {
            let run = runtime.block_on(store.run(id))?;
            let run = run.ok_or_else(|| Error::new(format!("there is no run {id}")))?;
            let record = Record {
                store: &*store,
                programs: &Programs::default(),
                limits: Limits::default(),
            };
            if let Some(from) = self.steps {
                let steps = runtime.block_on(replay::steps(&record, &run, from, STEPS))?;
                return listed(steps, self.json);
            }
            if let Some(number) = self.at {
                let moment = runtime.block_on(replay::moment(&record, &run, number))?;
                let none = || Error::new(format!("the run has not taken a step {number}"));
                return shown(moment.ok_or_else(none)?, self.json);
            }
            match self.json {
                true => output::line(detail_json(&run))?,
                false => output::text(detail(&run))?,
            }
            return Ok(WELL);
        }
        let filter = Filter {
            program: self.program,
            state: self.state,
            before: self.before,
            limit: self.limit,
            ..Filter::default()
        };
        let runs = runtime.block_on(store.runs(filter))?;
        match self.json {
            true => output::line(serde_json::to_string(&runs).unwrap_or_default())?,
            false => table(&runs)?,
        }
        Ok(WELL)
    }
}

/// The most steps that are shown at once.
const STEPS: usize = 10_000;

/// Shows steps of a run.
fn listed(steps: Steps, json: bool) -> Done {
    if json {
        output::line(serde_json::to_string(&steps.steps).unwrap_or_default())?;
    } else {
        let widest = |of: fn(&Step) -> usize| steps.steps.iter().map(of).max().unwrap_or(0);
        let function = widest(|step| step.function.chars().count());
        let key = widest(|step| step.key.len());
        for step in &steps.steps {
            output::line(format_args!(
                "{:>6}  {:function$}  {:key$}  {:12}  {}",
                step.number,
                step.function,
                step.key,
                step.kind,
                stood(step),
            ))?;
        }
    }
    if let Some(last) = steps.steps.last().filter(|_| steps.more) {
        let next = last.number + 1;
        note(format_args!("there are more: `--steps={next}`"));
    }
    Ok(WELL)
}

/// Shows a step of a run, with all variables before and after it.
fn shown(moment: Moment, json: bool) -> Done {
    if json {
        output::line(serde_json::to_string(&moment).unwrap_or_default())?;
        return Ok(WELL);
    }
    let step = &moment.step;
    output::line(format_args!(
        "{}, step {} ({}), line {}: {}",
        step.function,
        step.key,
        step.kind,
        step.line,
        stood(step),
    ))?;
    let variables = |name: &str, variables: &value::Record| {
        output::line(name)?;
        variables.iter().try_for_each(|(name, value)| {
            output::line(format_args!("  {name}: {}", value.to_json()))
        })
    };
    variables("before", &moment.before)?;
    if let Some(after) = &moment.after {
        variables("after", after)?;
    }
    Ok(WELL)
}

/// How a step stands, and why it failed.
fn stood(step: &Step) -> String {
    use anstyle::AnsiColor::{Cyan, Green, Red};
    let (colour, state) = match step.state {
        Progress::Begun => (Cyan, "begun"),
        Progress::Done => (Green, "done"),
        Progress::Failed => (Red, "failed"),
    };
    let style = colour.on_default();
    let time = step.ended_at.zip(step.began_at);
    let time = time.map_or_else(String::new, |(end, begin)| {
        format!(" in {}", took(end - begin))
    });
    let why = step.failure.as_ref();
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("{style}{state}{style:#}{time}{why}")
}

/// How long the longest name of a state is.
const WIDEST: usize = 9;

fn table(runs: &[Summary]) -> Result<(), Error> {
    if runs.is_empty() {
        note("no runs");
    }
    for run in runs {
        output::line(format_args!(
            "{}  {}  {:indent$}{}  {:>8}  {} {}, {}",
            run.id,
            clock(run.created_at),
            "",
            coloured(run.state),
            run.ended_at
                .zip(run.started_at)
                .map_or_else(String::new, |(end, start)| took(end - start)),
            run.program,
            run.name,
            run.function,
            indent = WIDEST - run.state.name().len(),
        ))?;
    }
    Ok(())
}

fn detail(run: &Detail) -> String {
    let about = &run.summary;
    let mut rows = vec![
        ("run", about.id.to_string()),
        (
            "program",
            format!("{} {}, version {}", about.program, about.name, run.version),
        ),
        ("function", about.function.clone()),
        ("trigger", about.trigger.clone()),
        ("state", coloured(about.state)),
    ];
    rows.extend(about.reason.clone().map(|reason| ("reason", reason)));
    rows.push(("called", clock(about.created_at)));
    rows.extend(about.started_at.map(|at| ("began", clock(at))));
    rows.extend(about.ended_at.map(|at| ("ended", clock(at))));
    rows.extend(run.isolation.clone().map(|kept| ("isolation", kept)));
    rows.extend(run.steps.map(|steps| ("steps", steps.to_string())));
    rows.push(("log", super::counted(run.log_lines as usize, "line")));
    rows.push(("inputs", run.inputs.clone()));
    rows.extend(run.answer.clone().map(|answer| match about.state {
        State::Succeeded => ("result", answer),
        _ => ("failure", answer),
    }));
    rows.iter()
        .map(|(name, value)| format!("{name:>9}  {value}\n"))
        .collect()
}

fn detail_json(run: &Detail) -> String {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    let mut all = serde_json::to_value(&run.summary).unwrap_or_default();
    all["version"] = run.version.into();
    all["log_lines"] = run.log_lines.into();
    all["steps"] = run.steps.into();
    all["isolation"] = run.isolation.clone().into();
    all["inputs"] = json(&run.inputs);
    all["answer"] = run.answer.as_deref().map(json).unwrap_or_default();
    all.to_string()
}

/// A state in its colour.
pub(super) fn coloured(state: State) -> String {
    use anstyle::AnsiColor::{Cyan, Green, Red, Yellow};
    let colour = match state {
        State::Queued | State::Waiting => Yellow,
        State::Running => Cyan,
        State::Succeeded => Green,
        State::Failed | State::Cancelled => Red,
    };
    let style = colour.on_default();
    format!("{style}{}{style:#}", state.name())
}

/// A moment as people read it, in the time zone of the machine.
pub(super) fn clock(at: i64) -> String {
    let moment = Timestamp::from_microsecond(at)
        .unwrap_or(Timestamp::MIN)
        .to_zoned(TimeZone::system());
    moment.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A length of time given in microseconds.
pub(super) fn took(microseconds: i64) -> String {
    match microseconds {
        ..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{:.1} ms", microseconds as f64 / 1e3),
        _ => format!("{:.1} s", microseconds as f64 / 1e6),
    }
}
