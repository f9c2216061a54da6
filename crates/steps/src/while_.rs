//! `while`: runs steps as long as a condition holds.

use engine::context::Cx;
use engine::field::{Body, Input};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::loop_::position;

/// Run steps again and again as long as a condition holds. It is tested before each pass.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct While {
    /// What must hold for another pass.
    condition: Input<bool>,
    /// The most passes to make; then the loop ends as if the condition no longer held.
    max: Option<Input<i64>>,
    /// The steps to run in each pass.
    steps: Body,
}

impl Step for While {
    const NAME: &'static str = "while";
    const MAIN: &'static str = "condition";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Double a number until it passes a hundred",
            given: "Number: 30",
            step: "while: Number <= 100\nsteps:\n  - set: {Number: '{{ Number * 2 }}'}",
            gives: Gives::Variables("Number: 120"),
        },
        Example {
            about: "At most three passes",
            given: "Count: 0",
            step: "while: true\nmax: 3\nsteps:\n  - set: {Count: '{{ Count + 1 }}'}",
            gives: Gives::Variables("Count: 3"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let max = cx.get_opt(&self.max)?;
        let max = max.map_or(Ok(usize::MAX), |max| position(max, "max"))?;
        let mut passes = 0;
        while passes < max && cx.get(&self.condition)? {
            passes += 1;
            cx.pass()?;
            match cx.run(&self.steps.0).await? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }
}
