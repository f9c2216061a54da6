//! `waystation completions`: for shells.

use clap::Args;
use clap_complete::Shell;

use super::{Done, WELL};

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
        clap_complete::generate(
            self.shell,
            &mut super::command(),
            "waystation",
            &mut std::io::stdout(),
        );
        Ok(WELL)
    }
}
