//! `waystation completions`: for shells.

use clap::Args;
use clap_complete::Shell;

use super::{Done, WELL, output};

/// Write a completion script for a shell
///
/// For bash: `waystation completions bash > /etc/bash_completion.d/waystation`.
#[derive(Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "waystation", &mut script);
        output::text(String::from_utf8_lossy(&script))?;
        Ok(WELL)
    }
}
