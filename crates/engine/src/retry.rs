//! Trying a step again, and what becomes of one that fails or is lost.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::field::{Output, Time};
use crate::run::Reason;

/// The most further tries a step can have.
pub const MAX_TRIES: u32 = 1_000;

/// Tries again: how often, or how often and when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Retry {
    /// How often.
    Times(#[schemars(range(min = 1, max = 1_000))] u32),
    /// How often and when.
    Tries(Tries),
}

/// How often a step is tried again, and when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tries {
    /// How many further tries there are at most.
    #[schemars(range(min = 1, max = 1_000))]
    pub max: u32,
    /// The pause before the first of them; 1 second by default.
    pub backoff: Option<Time>,
    /// By how much each pause is longer than the one before; 2 by default.
    #[schemars(range(min = 1, max = 10))]
    pub factor: Option<u32>,
    /// The longest pause; 1 minute by default.
    pub max_backoff: Option<Time>,
    /// Whether a pause has a random length up to what it would be, so that runs that failed together do
    /// not try again together; `true` by default.
    #[schemars(extend("default" = true))]
    pub jitter: Option<bool>,
    /// The failures after which it is tried again; `error` and `timeout` by default.
    pub on: Option<Vec<On>>,
    /// No try begins later than this after the first began.
    pub budget: Option<Time>,
}

/// A sort of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The step could not do its work.
    Error,
    /// It took longer than its `timeout`.
    Timeout,
    /// It passed a limit.
    Limit,
}

/// What becomes of a step that a server was at when it stopped, when the run is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// It is done again.
    Retry,
    /// It fails: whether it was done is not known.
    Fail,
    /// It is left as it is, without a result, and the run goes on.
    Skip,
}

/// What happens when a step fails.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OnError {
    /// The run fails, or goes on.
    Then(Then),
    /// The run goes on and keeps the failure.
    Keep(Keep),
}

/// What happens to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The run fails as well.
    Fail,
    /// The run goes on with the next step.
    Continue,
}

/// Keeps a failure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The variable that holds the failure, a record with `message`, `reason`, `function`, `step` and
    /// `kind`; nothing where the step did not fail.
    pub into: Output,
}

impl Retry {
    /// The pause before the next try, when `tries` have failed, the last for this reason, and the first of
    /// them began `since` ago; nothing where there is to be none.
    pub fn pause(
        &self,
        tries: u32,
        reason: Reason,
        since: Duration,
        random: impl FnOnce() -> u64,
    ) -> Option<Duration> {
        let default;
        let given = match self {
            Retry::Tries(given) => given,
            Retry::Times(max) => {
                default = Tries {
                    max: *max,
                    backoff: None,
                    factor: None,
                    max_backoff: None,
                    jitter: None,
                    on: None,
                    budget: None,
                };
                &default
            }
        };
        if tries > given.max || !given.covers(reason) {
            return None;
        }
        let pause = given.longest(tries);
        let pause = match given.jitter {
            Some(false) => pause,
            _ => pause.mul_f64(random() as f64 / u64::MAX as f64),
        };
        let within = |budget: &Time| since.saturating_add(pause) <= budget.0;
        given.budget.as_ref().is_none_or(within).then_some(pause)
    }

    /// How many further tries there are at most.
    pub fn max(&self) -> u32 {
        match self {
            Retry::Times(max) => *max,
            Retry::Tries(given) => given.max,
        }
    }
}

impl Tries {
    fn covers(&self, reason: Reason) -> bool {
        let on = match reason {
            Reason::Error => On::Error,
            Reason::Timeout => On::Timeout,
            Reason::Limit => On::Limit,
            _ => return false,
        };
        let given = self.on.as_deref();
        given.unwrap_or(&[On::Error, On::Timeout]).contains(&on)
    }

    /// The pause after so many tries, without chance.
    fn longest(&self, tries: u32) -> Duration {
        let time = |given: &Option<Time>, default| {
            given.map_or(Duration::from_secs(default), |time| time.0)
        };
        let factor = self.factor.unwrap_or(2).saturating_pow(tries - 1);
        let pause = time(&self.backoff, 1).saturating_mul(factor);
        pause.min(time(&self.max_backoff, 60))
    }
}

impl Default for OnError {
    fn default() -> OnError {
        OnError::Then(Then::Fail)
    }
}
