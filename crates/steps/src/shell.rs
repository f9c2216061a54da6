//! `shell`: runs a shell script.

use engine::context::Cx;
use engine::field::Code;
use engine::host::{Language, Network};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::code::Limits;

/// Run a shell script.
///
/// The script runs in a process of its own, in the `sh` that is installed on the server, with `-eu`: a command
/// that fails ends it, and so does a variable that is not set. It finds the variables in its environment:
/// `First Name` is `$VAR_First_Name`, every character that is no letter A to Z and no digit becoming `_`. A value of
/// 32 KiB or more is given as a file, which `$VAR_First_Name_FILE` names.
///
/// It makes variables by writing to descriptor 3, or to the file `$OUTPUTS`: lines `name=value`, each a text;
/// for a value of several lines a line `name<<END`, the value, and a line `END`; or else JSON objects, which keep the
/// type of every value.
///
/// | a variable holds | the script sees | and gives it back as |
/// |---|---|---|
/// | text | the text | text; a NUL in it fails the step |
/// | a number | its digits, such as `12` and `0.5` | a text, in JSON the number |
/// | true or false | `true` or `false` | a text, in JSON the boolean |
/// | nothing | an empty text | an empty text; in JSON `${VAR_Name:-null}` is nothing again |
/// | a list or a record | JSON on one line | a text, in JSON the list or record |
/// | a date | ISO 8601 | a text |
///
/// What it writes to its standard output and standard error goes to the log. An exit status that is not 0 fails
/// the step, and the failure says what was last written to standard error. The working folder is an empty one
/// that is deleted afterwards.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// The script.
    code: Code,
    /// What of the network the script can reach.
    network: Option<Network>,
    /// How much the script may use.
    #[serde(default)]
    limits: Limits,
}

impl Step for Shell {
    const NAME: &'static str = "shell";
    const MAIN: &'static str = "code";
    const GROUP: Group = Group::Code;
    const EFFECT: bool = true;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Count the words of a text",
            given: "Text: to be or not to be",
            step: "shell: |\n  echo \"Words=$(echo \"$VAR_Text\" | wc -w)\" >&3",
            gives: Gives::Variables("Words: \"6\""),
        },
        Example {
            about: "Give a value of several lines, and numbers as JSON",
            given: "Numbers: [3, 1, 2]",
            step: "shell: |\n  printf '{\"Sorted\": [%s]}' \"$(echo \"$VAR_Numbers\" | tr -d '[] ' | tr , '\\n' | sort | paste -sd,)\" >> \"$OUTPUTS\"",
            gives: Gives::Variables("Sorted: [1, 2, 3]"),
        },
        Example {
            about: "A command that fails ends the script",
            given: "",
            step: "shell: |\n  echo before\n  ls nowhere\n  echo never",
            gives: Gives::Failure(
                "the script ended with exit status 2: ls: cannot access 'nowhere': No such file or directory",
            ),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let asked = self.limits.asked(self.network, &[]);
        cx.code(Language::Shell, &self.code.0, asked).await?;
        Ok(Flow::Next)
    }
}
