//! `sleep`: waits.

use std::time::Duration;

use engine::context::Cx;
use engine::field::Input;
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use schemars::JsonSchema;
use serde::Deserialize;

/// Wait before going on.
///
/// The length of time is a number of seconds, or a number with `ms`, `s`, `m`, `h` or `d` or the word
/// for it, such as `2 hours`. It must be more than nothing. A run that waits takes no place among those at
/// work, the time does not count as time that it takes, and it can be stopped. In a run that nobody waits for,
/// the moment at which it goes on is kept when the server is stopped and started again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// How long to wait, such as `1.5` or `2 hours`.
    time: Input<Duration>,
}

impl Step for Sleep {
    const NAME: &'static str = "sleep";
    const MAIN: &'static str = "time";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Wait for a moment",
            given: "",
            step: "sleep: 5ms",
            gives: Gives::Log(&[]),
        },
        Example {
            about: "A time that is calculated, in seconds",
            given: "Tries: 2",
            step: "sleep: \"{{ Tries * 0.001 }}\"",
            gives: Gives::Log(&[]),
        },
        Example {
            about: "A time in words",
            given: "",
            step: "sleep: 2 hours",
            gives: Gives::Checked,
        },
        Example {
            about: "Nothing is no time to wait",
            given: "Wait: 0",
            step: "sleep: Wait",
            gives: Gives::Failure("the time to wait must be more than nothing"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let time = cx.get(&self.time)?;
        if time.is_zero() {
            return Err(Failure::new("the time to wait must be more than nothing"));
        }
        cx.sleep(time).await?;
        Ok(Flow::Next)
    }
}
