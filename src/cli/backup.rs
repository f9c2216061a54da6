//! `waystation backup`: a copy of a data folder, of a running server too.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use engine::field::shown_size;
use serde_json::json;

use super::output;
use super::{Data, Done, WELL};
use crate::Error;
use crate::keys::Files;
use crate::store::RECORD;
use crate::store::sqlite::Sqlite;

/// Copy the record and the keys to a new folder, while the server runs
///
/// The copy is the record as it is at one moment; it is examined before the folder is there under its name. `waystation restore`
/// makes a data folder of it.
#[derive(Args)]
pub struct Backup {
    /// The folder to make
    folder: PathBuf,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: Data,
}

impl Backup {
    pub(super) fn run(self) -> Done {
        let (from, to) = (&self.data.data, &self.folder);
        if !from.join(RECORD).exists() {
            let message = format!("there is no record in {} to copy", from.display());
            return Err(Error::new(message));
        }
        if fs::read_dir(to).is_ok_and(|mut files| files.next().is_some()) {
            let message = format!("{} is not empty; a backup makes a new folder", to.display());
            return Err(Error::new(message));
        }
        let failed = |error: std::io::Error| Error::new(format!("{}: {error}", to.display()));
        let parent = match to.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        // What is not whole is not there under the name, and does not stay.
        let new = tempfile::Builder::new()
            .prefix(".waystation-backup-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(failed)?;
        let bytes = copy(from, new.path())?;
        fs::rename(new.path(), to).map_err(failed)?;
        let _ = new.keep();
        synced(parent)?;
        output::line(match self.json {
            true => json!({ "folder": to, "bytes": bytes }).to_string(),
            false => format!("{}: {}", to.display(), shown_size(bytes)),
        })?;
        Ok(WELL)
    }
}

/// Copies a record with its keys into a folder that has none; gives the bytes of the record. All of it is on the disk then, the
/// record last.
pub(super) fn copy(from: &Path, to: &Path) -> Result<u64, Error> {
    let failed = |error: std::io::Error| Error::new(format!("{}: {error}", to.display()));
    let (theirs, ours) = (Files::of(from), Files::of(to));
    let new = to.join(format!("{RECORD}.new"));
    let of = |error: crate::store::Error| Error::new(format!("{}: {error}", from.display()));
    // Of a copy that was broken off.
    let _ = fs::remove_file(&new);
    let copied = Sqlite::copy(&from.join(RECORD), &new).map_err(of);
    if copied.is_err() {
        let _ = fs::remove_file(&new);
    }
    copied?;
    if theirs.folder().exists() {
        ours.prepare()?;
        ours.copy(&theirs)?;
        synced(ours.folder())?;
    }
    fs::rename(&new, to.join(RECORD)).map_err(failed)?;
    synced(to)?;
    Ok(to.join(RECORD).metadata().map_err(failed)?.len())
}

/// Has the names in a folder on the disk.
fn synced(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::new(format!("{}: {error}", folder.display())))
}
