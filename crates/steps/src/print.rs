//! `print`: writes to the log.

use std::sync::Arc;

use engine::context::Cx;
use engine::field::Input;
use engine::host::Stream;
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// Write a text to the log of the run.
///
/// Values inside the text are written as they are when they are text, dates in ISO 8601, and
/// everything else as JSON.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Print {
    /// What to write. An empty text writes an empty line.
    #[serde(default)]
    text: Option<Input<Arc<str>>>,
}

impl Step for Print {
    const NAME: &'static str = "print";
    const MAIN: &'static str = "text";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Print a variable inside a text",
            given: "Temperature: 82",
            step: "print: The temperature is {{ Temperature }} degrees.",
            gives: Gives::Log(&["The temperature is 82 degrees."]),
        },
        Example {
            about: "Lists and records are printed as JSON",
            given: "Fruit: [apples, bananas]",
            step: "print: '{{ Fruit }}'",
            gives: Gives::Log(&[r#"["apples","bananas"]"#]),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let text = cx.get_opt(&self.text)?;
        cx.log(Stream::Print, text.as_deref().unwrap_or_default());
        Ok(Flow::Next)
    }
}
