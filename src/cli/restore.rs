//! `waystation restore`: a data folder of a backup.

use std::path::PathBuf;

use clap::Args;
use engine::field::shown_size;
use serde_json::json;

use super::data::own;
use super::output;
use super::{Data, Done, WELL, backup};
use crate::Error;
use crate::keys::Files;
use crate::store::RECORD;

/// Make a data folder of what `waystation backup` copied
///
/// The data folder must not have a record or keys yet. Runs that had not ended when the copy was made are gone on with by the
/// server that is started with it.
#[derive(Args)]
pub struct Restore {
    /// The folder that `waystation backup` made
    folder: PathBuf,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: Data,
}

impl Restore {
    pub(super) fn run(self) -> Done {
        let (from, to) = (&self.folder, &self.data.data);
        if !from.join(RECORD).exists() {
            let message = format!("there is no backup in {}", from.display());
            return Err(Error::new(message));
        }
        let _lock = own(to)?;
        if to.join(RECORD).exists() || Files::of(to).key_path().exists() {
            let message =
                "has a record or keys already; restore into another folder, or move them away";
            return Err(Error::new(format!("{} {message}", to.display())));
        }
        let bytes = backup::copy(from, to)?;
        output::line(match self.json {
            true => json!({ "folder": to, "bytes": bytes }).to_string(),
            false => format!("{}: {}", to.display(), shown_size(bytes)),
        })?;
        Ok(WELL)
    }
}
