//! `javascript`: runs JavaScript code.

use engine::context::Cx;
use engine::field::Code;
use engine::host::{Language, Network};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::code::Limits;

/// Run JavaScript code.
///
/// The code runs in an engine of its own (QuickJS, ES2023) that has no files and starts no processes. It finds the
/// variables in `inputs`, an object, and makes variables by putting values into `outputs`. `await` may stand
/// anywhere in it. What it writes with `console` goes to the log. An exception fails the step, and so does a promise
/// that is rejected and not caught; the failure names the line of the program's file.
///
/// | a variable holds | JavaScript sees | and gives it back as |
/// |---|---|---|
/// | text | `string` | text |
/// | a whole number to 2^53 | `number` | a number |
/// | a larger whole number | `bigint` | a number |
/// | a number with a fraction | `number` | a number |
/// | true or false | `boolean` | a boolean |
/// | nothing | `null` | nothing |
/// | a list | an array | a list |
/// | a record | an object | a record |
/// | a date | `string`, ISO 8601 | a text, also of a `Date` |
///
/// Anything else in `outputs`, such as a function, a `Map` or not-a-number, fails the step and the failure names the
/// output; what is `undefined` makes no variable. Besides the language there are `console`, `setTimeout` and
/// `setInterval`, `sleep(milliseconds)`, `fetch`, `URL`, `URLSearchParams`, `TextEncoder`, `TextDecoder`, `btoa`, `atob`,
/// `structuredClone` and `crypto.randomUUID` and `crypto.getRandomValues`. There are no modules to import.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JavaScript {
    /// The code.
    code: Code,
    /// What of the network the code can reach with `fetch`.
    network: Option<Network>,
    /// How much the code may use.
    #[serde(default)]
    limits: Limits,
}

impl Step for JavaScript {
    const NAME: &'static str = "javascript";
    const MAIN: &'static str = "code";
    const GROUP: Group = Group::Code;
    const EFFECT: bool = true;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Take a name apart",
            given: "Name: Ada King",
            step: "javascript: |\n  const [first, last] = inputs.Name.split(\" \");\n  outputs.First = first;\n  outputs.Last = last;",
            gives: Gives::Variables("First: Ada\nLast: King"),
        },
        Example {
            about: "Names with blanks, and what is written to the log",
            given: "Numbers: [1, 2, 3]",
            step: "javascript: |\n  outputs[\"In All\"] = inputs.Numbers.reduce((a, b) => a + b, 0);\n  console.log(\"sum:\", outputs[\"In All\"]);",
            gives: Gives::Log(&["sum: 6"]),
        },
        Example {
            about: "An exception fails the step",
            given: "",
            step: "javascript: |\n  outputs.Age = JSON.parse(\"forty\");",
            gives: Gives::Failure("SyntaxError: unexpected token: 'forty' (line 1 of the code)"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let asked = self.limits.asked(self.network, &[]);
        cx.code(Language::JavaScript, &self.code.0, asked).await?;
        Ok(Flow::Next)
    }
}
