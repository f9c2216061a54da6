//! `return`: ends the function.

use engine::context::Cx;
use engine::field::Returned;
use engine::kind::{Control, Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// End the function, from inside branches and loops too, and give its outputs.
///
/// Every output that the function declares gets a value, of its declared type. Where none are
/// declared, write the bare word. In the function that a call started, what is returned goes into
/// the `Result`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// The function's outputs, each with its value.
    #[serde(default)]
    outputs: Returned,
}

impl Step for Return {
    const NAME: &'static str = "return";
    const MAIN: &'static str = "outputs";
    const GROUP: Group = Group::Logic;
    const CONTROL: Control = Control::Returns;
    const EXAMPLES: &'static [Example] = &[Example {
        about: "End early",
        given: "",
        step: "return",
        gives: Gives::Log(&[]),
    }];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let values = self
            .outputs
            .0
            .iter()
            .map(|(name, value)| Ok((name.clone(), cx.get(value)?)));
        Ok(Flow::Return(values.collect::<Result<_, Failure>>()?))
    }
}
