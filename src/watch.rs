//! Keeps an eye on folders: the programs' and the keys'.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::Error;

/// How long after a change a folder must have been quiet before it is read: editors write a file in
/// several goes.
const QUIET: Duration = Duration::from_millis(50);
/// The longest that changes are gathered while the folder does not become quiet.
const PATIENCE: Duration = Duration::from_millis(400);

/// Tells of changes in folders, for as long as it is kept.
pub struct Watched {
    changed: Arc<Notify>,
    watching: Mutex<(RecommendedWatcher, BTreeSet<PathBuf>)>,
}

impl Watched {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system cannot watch.
    pub fn new() -> Result<Watched, Error> {
        let changed = Arc::new(Notify::new());
        let tell = changed.clone();
        let seen = move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| matters(&event)) {
                tell.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(seen);
        let watcher =
            watcher.map_err(|error| Error::new(format!("folders cannot be watched: {error}")))?;
        Ok(Watched {
            changed,
            watching: Mutex::new((watcher, BTreeSet::new())),
        })
    }

    /// Watches the files in these folders, and no others from now on, and says whether there are some among
    /// them that were not watched before. What is in a folder inside one of them is not watched, unless
    /// that one is named too.
    ///
    /// # Errors
    /// When one of them cannot be watched.
    pub fn follow(&self, folders: impl IntoIterator<Item = PathBuf>) -> Result<bool, Error> {
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        let (watcher, known) = &mut *watching;
        let folders: BTreeSet<PathBuf> = folders.into_iter().collect();
        for gone in known.difference(&folders) {
            // The system has forgotten a folder that was deleted by itself.
            let _ = watcher.unwatch(gone);
        }
        // A folder may have been deleted and made again, so those that are known are watched anew.
        for folder in &folders {
            watch(watcher, folder)?;
        }
        let more = !folders.is_subset(known);
        *known = folders;
        Ok(more)
    }

    /// Waits for a change, and until the changes that come with it are made.
    pub async fn changed(&self) {
        self.changed.notified().await;
        let settled = async {
            while tokio::time::timeout(QUIET, self.changed.notified())
                .await
                .is_ok()
            {}
        };
        let _ = tokio::time::timeout(PATIENCE, settled).await;
    }
}

/// Whether an event may be a change of what a folder is watched for: something comes, goes or is renamed, or a
/// file is written that may hold a program or a key. A log that grows beside the programs is none.
fn matters(event: &notify::Event) -> bool {
    let written = |path: &PathBuf| {
        let end = path.extension();
        end.is_none_or(|end| end == "yaml" || end == "yml")
    };
    match event.kind {
        // Reading the files is an event too, and no change.
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Name(_)) => true,
        EventKind::Modify(_) => event.paths.iter().any(written),
        _ => true,
    }
}

fn watch(watcher: &mut RecommendedWatcher, folder: &Path) -> Result<(), Error> {
    watcher
        .watch(folder, RecursiveMode::NonRecursive)
        .map_err(|error| Error::new(format!("{} cannot be watched: {error}", folder.display())))
}
