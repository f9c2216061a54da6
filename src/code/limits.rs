//! How much code may use, and what is said when it uses more.

use std::time::Duration;

use engine::field::shown_size;
use engine::host::Asked;
use engine::run::{Failure, Reason};
use sandbox::launch::FILES;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Size};

/// What the code of a step may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time on the processors, of all of its processes together.
    pub cpu: Duration,
    /// Memory, of all of its processes together, in bytes.
    pub memory: u64,
    /// Processes and threads at once.
    pub processes: u64,
    /// What its files come to, in bytes; there may be [`FILES`] of them.
    pub disk: u64,
    /// What it writes to its standard output and standard error, in bytes.
    pub output: u64,
    /// What its outputs come to as JSON, in bytes.
    pub result: u64,
    most: Most,
}

/// The operator's ceilings, for the sentences that name them.
#[derive(Clone, Debug)]
struct Most {
    cpu: Duration,
    memory: u64,
    processes: u64,
    disk: u64,
    output: u64,
    result: u64,
}

/// Limits as a process is told them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Bytes of memory of one process.
    pub memory: u64,
    /// Seconds on the processors of one process.
    pub cpu: u64,
    /// Processes of the user.
    pub processes: u64,
    /// Bytes of one file.
    pub disk: u64,
    /// Bytes of outputs.
    pub result: u64,
}

/// How many processes of a user there may be besides those of one run: other runs of the account share the
/// user, and each run's own are counted from outside.
const OTHERS: u64 = 256;

impl Limits {
    /// What a step may use: what it asks for, or else the defaults.
    ///
    /// # Errors
    /// That it asks for more than this server gives.
    pub fn of(asked: &Asked<'_>, config: &Config) -> Result<Limits, Failure> {
        let most = Most::of(config);
        let bytes = Size::bytes;
        Ok(Limits {
            cpu: given("cpu", asked.cpu, config.code_cpu, most.cpu, |time| {
                format!("{time:?}")
            })?,
            memory: given(
                "memory",
                asked.memory,
                bytes(config.code_memory),
                most.memory,
                shown_size,
            )?,
            processes: given(
                "processes",
                asked.processes,
                config.code_processes,
                most.processes,
                |count| count.to_string(),
            )?,
            disk: given(
                "disk",
                asked.disk,
                bytes(config.code_disk),
                most.disk,
                shown_size,
            )?,
            output: given(
                "output",
                asked.output,
                bytes(config.code_output),
                most.output,
                shown_size,
            )?,
            result: given(
                "result",
                asked.result,
                bytes(config.code_result),
                most.result,
                shown_size,
            )?,
            most,
        })
    }

    /// The limits as the process of the code is told them.
    pub fn told(&self) -> Told {
        Told {
            memory: self.memory,
            cpu: self.cpu.as_secs_f64().ceil() as u64,
            processes: self.processes.saturating_add(OTHERS),
            disk: self.disk,
            result: self.result,
        }
    }

    /// The failure of meeting the limit of this name.
    pub fn met(&self, name: &str) -> Failure {
        let Most {
            cpu,
            memory,
            processes,
            disk,
            output,
            result,
        } = &self.most;
        let (what, figure, most) = match name {
            "cpu" => (
                "time on the processors",
                format!("{:?}", self.cpu),
                format!("{cpu:?}"),
            ),
            "memory" => ("memory", shown_size(self.memory), shown_size(*memory)),
            "processes" => (
                "processes",
                self.processes.to_string(),
                processes.to_string(),
            ),
            "disk" => (
                "disk",
                format!("{} or {FILES} files", shown_size(self.disk)),
                shown_size(*disk),
            ),
            "output" => ("output", shown_size(self.output), shown_size(*output)),
            _ => ("outputs", shown_size(self.result), shown_size(*result)),
        };
        let name = if what == "outputs" { "result" } else { name };
        let message = format!(
            "the code used more {what} than its limit of {figure}; the step's `limits` can set `{name}` up to {most}, \
             the server's `max-code-{name}`"
        );
        Failure::new(message).because(Reason::Limit)
    }
}

impl Most {
    fn of(config: &Config) -> Most {
        Most {
            cpu: config.max_code_cpu.max(config.code_cpu),
            memory: config
                .max_code_memory
                .bytes()
                .max(config.code_memory.bytes()),
            processes: config.max_code_processes.max(config.code_processes),
            disk: config.max_code_disk.bytes().max(config.code_disk.bytes()),
            output: config
                .max_code_output
                .bytes()
                .max(config.code_output.bytes()),
            result: config
                .max_code_result
                .bytes()
                .max(config.code_result.bytes()),
        }
    }
}

fn given<T: PartialOrd + Copy>(
    name: &str,
    asked: Option<T>,
    default: T,
    most: T,
    shown: impl Fn(T) -> String,
) -> Result<T, Failure> {
    match asked {
        Some(asked) if asked > most => Err(Failure::new(format!(
            "the step's `limits` set `{name}` to {}, and this server gives {} at most: its setting is `max-code-{name}`",
            shown(asked),
            shown(most)
        ))
        .because(Reason::Limit)),
        Some(asked) => Ok(asked),
        None => Ok(default),
    }
}
