//! What the steps that run code have in common.

use engine::field::{Size, Time};
use engine::host::{Asked, Network};
use schemars::JsonSchema;
use serde::Deserialize;

/// How much code may use, where the server's defaults do not fit. The server has a ceiling for each.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Time on the processors, of all of its processes together, such as `2m`.
    cpu: Option<Time>,
    /// Memory, of all of its processes together, such as `1GB`.
    memory: Option<Size>,
    /// Processes and threads at once.
    processes: Option<u32>,
    /// What its files come to, such as `1GB`.
    disk: Option<Size>,
    /// What it writes to its standard output and standard error.
    output: Option<Size>,
    /// What its outputs come to as JSON.
    result: Option<Size>,
}

impl Limits {
    /// What a step with these limits asks for, and that its code reaches so much of the network and imports
    /// these packages.
    pub fn asked<'a>(&self, network: Option<Network>, packages: &'a [String]) -> Asked<'a> {
        let bytes = |size: &Option<Size>| size.map(|size| size.0);
        Asked {
            cpu: self.cpu.map(|time| time.0),
            memory: bytes(&self.memory),
            processes: self.processes.map(u64::from),
            disk: bytes(&self.disk),
            output: bytes(&self.output),
            result: bytes(&self.result),
            network,
            packages,
        }
    }
}
