//! `break`: leaves a loop.

use engine::context::Cx;
use engine::kind::{Control, Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// Leave the innermost loop and go on after it. Written as the bare word.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Break {}

impl Step for Break {
    const NAME: &'static str = "break";
    const MAIN: &'static str = "";
    const GROUP: Group = Group::Logic;
    const CONTROL: Control = Control::Leaves;
    const EXAMPLES: &'static [Example] = &[Example {
        about: "Stop at the first blank",
        given: "",
        step: "loop: [a, '', b]\nsteps:\n  - if: Item is empty\n    then: [break]\n  - print: '{{ Item }}'",
        gives: Gives::Log(&["a"]),
    }];

    async fn run(&self, _: &mut Cx<'_>) -> Result<Flow, Failure> {
        Ok(Flow::Break)
    }
}
