//! The program document: what a program file holds, beside the steps.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::field::{Block, Input, Literal, Shown, Time};
use crate::retry::{OnError, OnLost, Retry};
use crate::types::Type;
use crate::value::Value;

/// A Waystation program.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What callers send as `program_id`. Unique among the programs that are served together.
    #[schemars(range(min = 1, max = 9_223_372_036_854_775_807_u64))]
    pub id: u64,
    /// What people call the program.
    pub name: String,
    /// What the program is for.
    pub description: Option<String>,
    /// What becomes of a run when the server that is at it stops without ending it. By default a run that
    /// nobody waits for is gone on with, and one whose caller waits fails, since its caller is gone.
    pub on_node_loss: Option<OnNodeLoss>,
    /// How many runs of the program are at work at once; without it as many as the server has places for.
    pub concurrency: Option<Concurrency>,
    /// The functions by name. The first one is the main one.
    pub functions: IndexMap<String, Function>,
    /// Calls with what they must give; `waystation test` makes them.
    #[serde(default)]
    pub tests: Vec<Test>,
}

/// What becomes of a run when the server that is at it stops without ending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnNodeLoss {
    /// It is gone on with: what its steps did is not done again, but for the step that was at work.
    Resume,
    /// It fails.
    Fail,
}

/// How many runs of a program are at work at once. Further ones are queued, and begin in their order.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// How many.
    #[schemars(range(min = 1, max = 10_000))]
    pub max: u32,
    /// What is told apart: runs for which this is the same share the places. Without it all runs of the program do. It is
    /// worked out from the variables that the run starts with.
    pub key: Option<Input<Value>>,
    /// How many runs may wait; further calls are refused. 1,000 by default.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub queue: Option<u32>,
}

/// A function: what starts it, what it takes and gives, and its steps.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// What the function is for.
    pub description: Option<String>,
    /// The variables a caller gives, each with its type, in order.
    #[serde(default)]
    pub inputs: IndexMap<String, Declared>,
    /// The values it returns, each with its type, in order.
    #[serde(default)]
    pub outputs: IndexMap<String, Type>,
    /// What starts it.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// What it does, from top to bottom.
    pub steps: Block,
}

/// A declared variable: its type, or its type and its value when none is given.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Declared {
    /// The type alone: a value must be given.
    Type(Type),
    /// The type and the value when none is given.
    Optional(Optional),
}

/// A type and a default.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Optional {
    /// The type.
    #[serde(rename = "type")]
    pub of: Type,
    /// The value when none is given.
    pub default: Literal,
}

/// What starts a function.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A call to `/api`.
    Webhook(Webhook),
    /// The time.
    Time(Timer),
}

/// The function is started at certain times.
///
/// Times of day are those of a time zone. One that comes twice, since the clocks are put back, counts the first time; one that
/// does not come, since they are put forward, counts at that moment. What goes by minutes and hours, and a cron whose hour is
/// `*`, goes by real time.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timer {
    /// How often.
    pub every: Option<Every>,
    /// In place of `every`: minute, hour, day of the month, month and day of the week, such as `0 5 * * mon`.
    pub cron: Option<String>,
    /// The time of day, such as `15:52` or `3:52pm`, for every day, week or month; midnight by default.
    pub at: Option<String>,
    /// The day: of the week (`monday`), or of the month (1 to 31, or `last day`). Months without that day are left out.
    pub on: Option<Literal>,
    /// The time zone, such as `Europe/Berlin`; `UTC` by default.
    pub zone: Option<String>,
    /// What becomes of times at which no server was there: `one` run for all of them (the default), `skip`, or `all`, a
    /// run for each of the last 100.
    pub missed: Option<Missed>,
    /// What happens when the run of the time before has not ended: `allow` another one beside it (the default), `skip`
    /// the time, or `queue`, have it wait.
    pub overlap: Option<Overlap>,
    /// Whether it is on.
    #[schemars(extend("default" = true))]
    pub active: Option<bool>,
}

/// How often a function is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// At every full minute.
    Minute,
    /// At every tenth minute.
    #[serde(rename = "ten minutes")]
    TenMinutes,
    /// At every full hour.
    Hour,
    /// Every day.
    Day,
    /// Once a week.
    Week,
    /// Once a month.
    Month,
}

impl Every {
    /// What it is called in programs.
    pub fn name(self) -> &'static str {
        match self {
            Every::Minute => "minute",
            Every::TenMinutes => "ten minutes",
            Every::Hour => "hour",
            Every::Day => "day",
            Every::Week => "week",
            Every::Month => "month",
        }
    }
}

/// What becomes of times at which no server was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// There is one run for all of them.
    #[default]
    One,
    /// Nothing.
    Skip,
    /// There is a run for each.
    All,
}

/// What happens when the run of the time before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// There is another one beside it.
    #[default]
    Allow,
    /// The time is left out.
    Skip,
    /// The next run begins when it has ended.
    Queue,
}

/// A call to `/api` starts the function.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// Whether it is on.
    #[schemars(extend("default" = true))]
    pub active: Option<bool>,
    /// The variables a caller may send, in this order, each with its default, or with `type` and
    /// `default`.
    pub outputs: IndexMap<String, Literal>,
}

/// A call and what it must give. A part that is left out is not compared.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What the test shows.
    pub name: Option<String>,
    /// The function that is called; the one `/api` would choose, or the main one, by default.
    pub function: Option<String>,
    /// The values sent, in order.
    #[serde(default)]
    pub variables: Option<Literal>,
    /// The `Result` that must come back: a list of `[name, value]`.
    pub result: Option<Literal>,
    /// The lines that must be in the log, all of them in order.
    pub log: Option<Literal>,
    /// The sentence with which the call must fail.
    pub error: Option<String>,
}

/// The settings that every step has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Common {
    /// A name for other tools to find the step by; unique in the program.
    pub id: Option<String>,
    /// What people call the step.
    pub name: Option<String>,
    /// Skips the step and everything in it.
    pub disabled: bool,
    /// Variables the step made that go into the `Result`.
    pub show: Shown,
    /// The longest the step may take; then it fails. Each try has this time.
    pub timeout: Option<Time>,
    /// Tries a step that does something outside of the run again when it fails: how often, or a record.
    pub retry: Option<Retry>,
    /// Never does the step twice in a run: it is noted before it begins, and when a server stops while it is at
    /// work, so that nobody knows whether it was done, it fails. For steps that do something outside of the run.
    pub once: bool,
    /// What becomes of a step that does something outside of the run when the server stops while the step is at
    /// work and the run is gone on with; `retry` by default, `fail` with `once`.
    pub on_lost: Option<OnLost>,
    /// What happens when the step fails: `fail` (the run fails, the default), `continue` (the run goes on), or
    /// `{into: Variable}` (the run goes on and the variable holds the failure).
    #[schemars(extend("default" = "fail"))]
    pub on_error: Option<OnError>,
}
