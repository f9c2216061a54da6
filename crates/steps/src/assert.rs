//! `assert`: makes sure that a condition holds.

use std::sync::Arc;

use engine::context::Cx;
use engine::field::Input;
use engine::host::Stream;
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// Make sure that a condition holds; otherwise the step fails, and the run with it.
///
/// The condition is an expression, as in `if`. With `halt: false` a condition that does not hold is
/// noted in the log and the run goes on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assert {
    /// What must hold.
    condition: Input<bool>,
    /// What the failure or the log says when it does not hold; `the condition does not hold` by
    /// default.
    message: Option<Input<Arc<str>>>,
    /// Whether the run ends when it does not hold; `true` by default.
    #[serde(default = "yes")]
    halt: bool,
}

fn yes() -> bool {
    true
}

impl Step for Assert {
    const NAME: &'static str = "assert";
    const MAIN: &'static str = "condition";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "A condition that holds changes nothing",
            given: "Total: 12",
            step: "assert: Total > 0",
            gives: Gives::Log(&[]),
        },
        Example {
            about: "One that does not hold fails the run",
            given: "Answer: 'no'",
            step: "assert: Answer is like 'yes'",
            gives: Gives::Failure("the condition does not hold"),
        },
        Example {
            about: "Fail with words of your own",
            given: "Total: -3",
            step: "assert: Total > 0\nmessage: The total is {{ Total }}.",
            gives: Gives::Failure("The total is -3."),
        },
        Example {
            about: "Note it and go on",
            given: "Total: -3",
            step: "assert: Total > 0\nhalt: false\nmessage: Total is {{ Total }}",
            gives: Gives::Log(&["Total is -3"]),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        if cx.get(&self.condition)? {
            return Ok(Flow::Next);
        }
        let message = cx.get_opt(&self.message)?;
        let message = message.as_deref().unwrap_or("the condition does not hold");
        if self.halt {
            return Err(Failure::new(message));
        }
        cx.log(Stream::Note, message);
        Ok(Flow::Next)
    }
}
