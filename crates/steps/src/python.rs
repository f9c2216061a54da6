//! `python`: runs Python code.

use engine::context::Cx;
use engine::field::{Code, Packages};
use engine::host::{Language, Network};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::code::Limits;

/// Run Python code.
///
/// The code runs in a process of its own, in the Python that is installed on the server. It finds the
/// variables in `inputs`, a dictionary by name, and makes variables by putting values into `outputs`.
/// What it prints goes to the log. An exception fails the step, and the failure names the line of the
/// program's file.
///
/// | a variable holds | Python sees | and gives it back as |
/// |---|---|---|
/// | text | `str` | text |
/// | a whole number | `int` | a number, exact up to 127 bits |
/// | a number with a fraction | `float` | a number |
/// | true or false | `bool` | a boolean |
/// | nothing | `None` | nothing |
/// | a list | `list` | a list, also of a `tuple` |
/// | a record | `dict` | a record; its keys must be texts |
/// | a date | `str`, ISO 8601 | a text |
///
/// Numbers and truth values of numpy are given back as those that they stand for. Anything else in `outputs`, such as a
/// `set`, a `datetime`, bytes or not-a-number, fails the step, and the failure says where in the output it stands and
/// what can be written in its place.
///
/// The code runs apart from the machine: it has a working folder that is empty and is deleted afterwards, which is also
/// its `HOME`, a folder for what is temporary, and no other files. Its environment has `PATH`, `LANG`, `HOME`, `TMPDIR`,
/// the variables that lead programs to the proxy, and those that keep libraries to one thread.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Python {
    /// The code.
    code: Code,
    /// What of the network the code can reach.
    network: Option<Network>,
    /// How much the code may use.
    #[serde(default)]
    limits: Limits,
    /// What the code imports from the package index (PyPI, unless the server's settings name another),
    /// each with the versions that will do: `nameparser==1.1.3`, `requests>=2,<3`, `"flask[async]"`. They
    /// and what they need are installed once, when the program is first served or run, and the versions
    /// found are kept in a file beside the program's, which ends in `.lock`; delete it to look for newer ones.
    /// Packages that have to be built are refused.
    #[serde(default)]
    packages: Packages,
}

impl Step for Python {
    const NAME: &'static str = "python";
    const MAIN: &'static str = "code";
    const GROUP: Group = Group::Code;
    const EFFECT: bool = true;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Take a name apart",
            given: "Name: Ada King",
            step: "python: |\n  first, last = inputs[\"Name\"].split()\n  outputs[\"First\"] = first\n  outputs[\"Last\"] = last",
            gives: Gives::Variables("First: Ada\nLast: King"),
        },
        Example {
            about: "What is printed goes to the log",
            given: "Numbers: [1, 2, 3]",
            step: "python: |\n  import statistics\n  print(\"mean:\", statistics.mean(inputs[\"Numbers\"]))",
            gives: Gives::Log(&["mean: 2"]),
        },
        Example {
            about: "Import packages",
            given: "Name: Dr. Ada King",
            step: "python: |\n  from nameparser import HumanName\n  outputs[\"Last\"] = HumanName(inputs[\"Name\"]).last\npackages: [nameparser==1.1.3]",
            gives: Gives::Checked,
        },
        Example {
            about: "An exception fails the step",
            given: "",
            step: "python: |\n  outputs[\"Age\"] = int(\"forty\")",
            gives: Gives::Failure("ValueError: invalid literal for int() with base 10: 'forty'"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let asked = self.limits.asked(self.network, &self.packages.0);
        cx.code(Language::Python, &self.code.0, asked).await?;
        Ok(Flow::Next)
    }
}
