//! `waystation key`: shows the API key, or makes a new one.

use std::io::{BufRead, IsTerminal, Write};

use clap::{Args, Subcommand};

use super::output::{self, note};
use super::{Data, Done, WELL, failed};
use crate::Error;
use crate::keys::{self, Files, Keys};
use crate::programs::OWNER;

/// Show the API key, or make a new one
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Key {
    #[command(flatten)]
    data: Data,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Show the secret that callbacks are signed with, as Standard Webhooks writes it
    Callbacks {
        #[command(flatten)]
        data: Data,
    },
    /// Make a new key; the old one stops working at once, and nothing brings it back
    Reset {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        data: Data,
    },
}

impl Key {
    pub(super) fn run(self) -> Done {
        match self.action {
            Some(Action::Reset { yes, data }) => reset(&Files::of(&data.data), yes),
            Some(Action::Callbacks { data }) => {
                let files = Files::of(&data.data);
                known(&files)?;
                output::line(Keys::open(&files)?.callback_secret(OWNER))?;
                Ok(WELL)
            }
            None => show(&Files::of(&self.data.data)),
        }
    }
}

fn show(files: &Files) -> Done {
    output::line(known(files)?)?;
    Ok(WELL)
}

/// The key that there is.
fn known(files: &Files) -> Result<String, Error> {
    files.key()?.ok_or_else(|| {
        let path = files.key_path().display();
        Error::new(format!(
            "there is no API key in {path}; `waystation serve` makes one"
        ))
    })
}

fn reset(files: &Files, yes: bool) -> Done {
    let had_one = files.key_path().exists();
    if had_one && !yes && !confirmed()? {
        note("the key stays as it is");
        return Ok(failed());
    }
    let key = keys::made()?;
    files.set_key(&key)?;
    output::line(key)?;
    if had_one {
        note("the old key no longer works; a running server knows the new one at once");
    }
    Ok(WELL)
}

fn confirmed() -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(
            "every caller with the old key will be refused; add `--yes` if that is meant",
        ));
    }
    let question =
        "Every caller with the old key will be refused from now on. Make a new key? [y/N] ";
    let _ = std::io::stderr().write_all(question.as_bytes());
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::new(error.to_string()))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
