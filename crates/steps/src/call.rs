//! `call`: runs another function of the program.

use engine::context::Cx;
use engine::field::{Arguments, FunctionName, Kept, Output, Results};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// Run another function of the program and go on when it has ended.
///
/// The function sees its inputs and the variables it makes itself, nothing of the caller's. Nothing
/// comes back but the outputs that are kept here. A function may call itself, to a depth of 64.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The function's name.
    function: FunctionName,
    /// The function's inputs, each with its value.
    #[serde(default)]
    inputs: Arguments,
    /// What to keep of the function's outputs: a record *output: variable*, or a list of outputs
    /// kept under their own names.
    outputs: Option<Outputs>,
}

/// The outputs to keep.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Outputs {
    /// Under their own names.
    Kept(Kept),
    /// Under names given here.
    Renamed(Results),
}

impl Step for Call {
    const NAME: &'static str = "call";
    const MAIN: &'static str = "function";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Keep an output under another name",
            given: "",
            step: "call: Double\ninputs: {Number: 2}\noutputs: {Doubled: Result}",
            gives: Gives::Variables("Result: 4"),
        },
        Example {
            about: "Keep an output under its own name",
            given: "Number: 5",
            step: "call: Double\ninputs: {Number: '{{ Number }}'}\noutputs: [Doubled]",
            gives: Gives::Variables("Doubled: 10"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let inputs = self
            .inputs
            .0
            .iter()
            .map(|(name, value)| Ok((name.clone(), cx.get(value)?)));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let returned = cx.call(&self.function.0, inputs).await?;
        let value = |name: &str| returned.iter().find(|(known, _)| &**known == name);
        let pairs: Vec<(&str, &Output)> = match &self.outputs {
            None => Vec::new(),
            Some(Outputs::Kept(kept)) => kept.0.iter().map(|o| (&**o.name(), o)).collect(),
            Some(Outputs::Renamed(results)) => results.0.iter().map(|(n, o)| (&**n, o)).collect(),
        };
        for (name, output) in pairs {
            if let Some((_, value)) = value(name) {
                cx.set(output, value.clone())?;
            }
        }
        Ok(Flow::Next)
    }
}
