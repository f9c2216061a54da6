//! Runs a plan.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::context::{Cx, Limits};
use crate::host::Host;
use crate::plan::{Entry, Function, Plan, Planned};
use crate::value::{Record, Value};
use crate::watch::Watch;

/// Values by name, in order.
pub type Values = Vec<(Arc<str>, Value)>;

/// What a step tells the runner.
#[derive(Debug)]
pub enum Flow {
    /// Go on.
    Next,
    /// Leave the innermost loop.
    Break,
    /// Go on with the next pass of the innermost loop.
    Continue,
    /// End the function with these values.
    Return(Values),
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// It came to its end: what its steps showed and what its function returned.
    Succeeded(Values),
    /// A step failed.
    Failed(Failure),
    /// It was told to stop.
    Cancelled(Failure),
}

/// A step that failed: what happened, why, and where.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// Why, as a word.
    pub reason: Reason,
    /// Which step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Box<At>>,
    /// For code, the traceback as its language prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// For code, the line of the file on which it failed.
    #[serde(skip)]
    pub line: Option<usize>,
}

/// Why a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The step could not do its work.
    Error,
    /// It took too long.
    Timeout,
    /// It passed a limit.
    Limit,
    /// It was told to stop.
    Cancelled,
    /// The server that was at it stopped, and it is not to be gone on with.
    NodeLost,
    /// It was gone on with again and again, and each time its server died without having come any further.
    Poison,
    /// A server stopped while the step was at work, and it must not be done twice.
    OutcomeUnknown,
    /// What is recorded of the run is not what it does when it is gone through again.
    Nondeterministic,
}

impl Reason {
    /// Whether no step can make good for it.
    pub fn ends_the_run(self) -> bool {
        matches!(
            self,
            Reason::Cancelled | Reason::NodeLost | Reason::Poison | Reason::Nondeterministic
        )
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Error => "error",
            Reason::Timeout => "timeout",
            Reason::Limit => "limit",
            Reason::Cancelled => "cancelled",
            Reason::NodeLost => "node_lost",
            Reason::Poison => "poison",
            Reason::OutcomeUnknown => "outcome_unknown",
            Reason::Nondeterministic => "nondeterministic",
        }
    }
}

/// A step in a program.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct At {
    /// Its function.
    pub function: Arc<str>,
    /// Its number in the function.
    pub step: Arc<str>,
    /// Its kind.
    pub kind: Cow<'static, str>,
    /// The line of the file; of the code, where the failure is in code.
    pub line: usize,
    /// The column; 1 in code.
    pub column: usize,
}

impl Failure {
    /// A failure to do the work.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            reason: Reason::Error,
            at: None,
            traceback: None,
            line: None,
        }
    }

    /// The same for another reason.
    pub fn because(mut self, reason: Reason) -> Failure {
        self.reason = reason;
        self
    }

    /// The same in a step, unless a step inside it failed already.
    pub(crate) fn at(mut self, function: &Function, step: &Planned) -> Failure {
        self.at.get_or_insert_with(|| {
            Box::new(At {
                function: function.name.clone(),
                step: step.number.clone(),
                kind: Cow::Borrowed(step.kind.name),
                line: self.line.unwrap_or(step.line),
                column: self.line.map_or(step.column, |_| 1),
            })
        });
        self
    }
}

impl Failure {
    /// The failure as a value that a program can look at.
    pub(crate) fn into_value(self) -> Value {
        let at = self.at.as_deref();
        let text = |text: &str| Value::text(text);
        let members = [
            ("message", text(&self.message)),
            ("reason", text(self.reason.name())),
            (
                "function",
                at.map_or(Value::Nothing, |at| text(&at.function)),
            ),
            ("step", at.map_or(Value::Nothing, |at| text(&at.step))),
            ("kind", at.map_or(Value::Nothing, |at| text(&at.kind))),
        ];
        let members = members.map(|(name, value)| (Arc::from(name), value));
        members.into_iter().collect::<Record>().into()
    }
}

/// The sentence `/api` answers with.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(
                f,
                "{}, step {} ({}): {}",
                at.function, at.step, at.kind, self.message
            ),
            None => {
                let mut rest = self.message.chars();
                let first = rest.next().into_iter().flat_map(char::to_uppercase);
                write!(f, "{}{}.", first.collect::<String>(), rest.as_str())
            }
        }
    }
}

/// Runs a function of a plan to its end.
pub async fn run(plan: &Plan, entry: Entry<'_>, host: &dyn Host, limits: Limits) -> Outcome {
    watched(plan, entry, host, limits, None).await
}

/// Runs a function of a plan to its end, while somebody sees its steps.
pub async fn watched(
    plan: &Plan,
    entry: Entry<'_>,
    host: &dyn Host,
    limits: Limits,
    watch: Option<&dyn Watch>,
) -> Outcome {
    let mut cx = Cx::new(plan, entry.function, host, limits, watch);
    let ended = cx.function(entry.function, entry.variables).await;
    host.took(cx.steps());
    match ended {
        Ok(returned) => Outcome::Succeeded(cx.result(returned)),
        Err(failure) if failure.reason == Reason::Cancelled => Outcome::Cancelled(failure),
        Err(failure) => Outcome::Failed(failure),
    }
}
