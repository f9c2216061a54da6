//! `set`: gives variables values.

use engine::context::Cx;
use engine::field::Assignments;
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// Give variables values, making those that are not there yet.
///
/// A value is any YAML: a text, a number, `true`, a list, a record. A text may hold templates; a
/// text that is one template and nothing else keeps the type of what it gives. The variables get
/// their values from top to bottom, so one may use those above it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The variables, each with its value.
    variables: Assignments,
}

impl Step for Set {
    const NAME: &'static str = "set";
    const MAIN: &'static str = "variables";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Make variables",
            given: "",
            step: "set:\n  Location: Brooklyn, NY\n  Grocery List: [apples, bananas]",
            gives: Gives::Variables("Location: Brooklyn, NY\nGrocery List: [apples, bananas]"),
        },
        Example {
            about: "Change a variable by what it holds",
            given: "Foo: foo",
            step: "set: {Foo: '{{ Foo }}bar'}",
            gives: Gives::Variables("Foo: foobar"),
        },
        Example {
            about: "Calculate; one template alone keeps the number a number",
            given: "Count: 4",
            step: "set: {Count: '{{ Count + 1 }}', Half: '{{ Count / 2 }}'}",
            gives: Gives::Variables("Count: 5\nHalf: 2.5"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        for (variable, value) in &self.variables.0 {
            let value = cx.get(value)?;
            cx.set(variable, value)?;
        }
        Ok(Flow::Next)
    }
}
