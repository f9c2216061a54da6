//! `waystation doctor`: what the machine offers.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::output;
use super::{Done, WELL, runtime};
use crate::Error;
use crate::code::Codes;
use crate::config::Config;
use crate::egress::Egress;

/// Show what this machine offers, above all how far code is kept apart
///
/// Every isolation is tested by trying to break out of it. The exit code is 1 where code steps would be refused.
#[derive(Args)]
pub struct Doctor {
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// Whether a flag concerns this command, and not only a server.
pub(super) fn concerns(flag: &str) -> bool {
    ["json", "sandbox", "sandbox_minimum", "python"].contains(&flag)
}

impl Doctor {
    pub(super) fn run(self) -> Done {
        let egress = Arc::new(Egress::new(Default::default()));
        let codes = Codes::new(&self.config, egress);
        let report = runtime()?.block_on(codes.report()).map_err(Error::new)?;
        if self.json {
            let not: Vec<_> = report
                .offer
                .reasons
                .iter()
                .map(|(isolation, why)| json!({ "isolation": isolation.name(), "reason": why }))
                .collect();
            output::line(json!({
                "isolation": report.offer.isolation.name(),
                "self_tests": report.offer.stopped,
                "not_offered": not,
                "refused": report.refusal,
                "python": report.python.as_ref().ok(),
            }))?;
        } else {
            output::line(report.offer.told())?;
            for (isolation, why) in &report.offer.reasons {
                output::line(format_args!("{isolation}: not offered: {why}"))?;
            }
            output::line(match &report.python {
                Ok(python) => format!("python: {python}"),
                Err(why) => format!("python: {why}"),
            })?;
            if let Some(refusal) = &report.refusal {
                output::line(format_args!("Code steps are refused: {refusal}."))?;
            }
        }
        Ok(match report.refusal {
            Some(_) => ExitCode::from(1),
            None => WELL,
        })
    }
}
