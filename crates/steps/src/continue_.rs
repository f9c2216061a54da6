//! `continue`: ends a pass of a loop.

use engine::context::Cx;
use engine::kind::{Control, Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// End this pass of the innermost loop and begin the next. Written as the bare word.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Continue {}

impl Step for Continue {
    const NAME: &'static str = "continue";
    const MAIN: &'static str = "";
    const GROUP: Group = Group::Logic;
    const CONTROL: Control = Control::Leaves;
    const EXAMPLES: &'static [Example] = &[Example {
        about: "Pass over blanks",
        given: "",
        step: "loop: [a, '', b]\nsteps:\n  - if: Item is empty\n    then: [continue]\n  - print: '{{ Item }}'",
        gives: Gives::Log(&["a", "b"]),
    }];

    async fn run(&self, _: &mut Cx<'_>) -> Result<Flow, Failure> {
        Ok(Flow::Continue)
    }
}
