//! `if`: runs steps when a condition holds.

use engine::context::Cx;
use engine::field::{Block, Input};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// Run some steps when a condition holds, and others when it does not.
///
/// A condition is an expression: `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `and`, `or`, `not`, and
/// tests such as `is filled`, `is like`, `is containing`, `is before`. A variable alone holds when
/// it is not nothing, empty, zero or false. Texts are compared exactly; `is like` compares without
/// regard to case and outer blanks, as WayScript did.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct If {
    /// What must hold, such as `age >= 18`.
    condition: Input<bool>,
    /// The steps to run when it holds.
    then: Block,
    /// Further conditions, tried in turn when it does not; the first that holds is taken.
    #[serde(default)]
    else_if: Vec<ElseIf>,
    /// The steps to run when no condition holds.
    #[serde(default, rename = "else")]
    otherwise: Option<Block>,
}

/// A further condition and its steps.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ElseIf {
    /// What must hold.
    #[serde(rename = "if")]
    condition: Input<bool>,
    /// The steps to run when it holds.
    then: Block,
}

impl Step for If {
    const NAME: &'static str = "if";
    const MAIN: &'static str = "condition";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Advice for the weather",
            given: "Temperature: 70",
            step: "if: Temperature >= 65 and Temperature <= 90\nthen:\n  - print: It's a nice day!\nelse:\n  - print: It's too cold!",
            gives: Gives::Log(&["It's a nice day!"]),
        },
        Example {
            about: "The first condition that holds is taken",
            given: "Grade: 71",
            step: "if: Grade >= 90\nthen: [print: A]\nelse_if:\n  - if: Grade >= 70\n    then: [print: B]\n  - if: Grade >= 50\n    then: [print: C]\nelse: [print: F]",
            gives: Gives::Log(&["B"]),
        },
        Example {
            about: "The same as, without regard to case",
            given: "Answer: ' YES'",
            step: "if: Answer is like 'yes'\nthen: [print: Go]",
            gives: Gives::Log(&["Go"]),
        },
        Example {
            about: "A list that holds an item",
            given: "Fruit: [apples, bananas]",
            step: "if: Fruit is containing 'apples'\nthen: [print: There are apples]",
            gives: Gives::Log(&["There are apples"]),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        if cx.get(&self.condition)? {
            return cx.run(&self.then).await;
        }
        for branch in &self.else_if {
            if cx.get(&branch.condition)? {
                return cx.run(&branch.then).await;
            }
        }
        match &self.otherwise {
            Some(block) => cx.run(block).await,
            None => Ok(Flow::Next),
        }
    }
}
