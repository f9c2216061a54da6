//! Keeps the record as long and as large as the settings say.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::app::App;
use crate::store::{Keep, Pruned};
use crate::{Error, now};

/// How often it is looked whether there is more than is kept, and how soon again after there was: the record grows on meanwhile.
const LOOK: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(100);
/// How long it is left at that where the record cannot be written.
const PAUSE: Duration = Duration::from_secs(30);

/// Forgets runs as they become too old or too many, until the server stops.
pub async fn keep(app: Arc<App>) {
    if app.config.keep == Keep::default() {
        return;
    }
    while !app.draining.load(Ordering::Relaxed) {
        let pause = match prune(&app).await {
            Ok(pruned) => {
                let Pruned { runs, bytes } = pruned;
                match pruned == Pruned::default() {
                    true => LOOK,
                    false => {
                        tracing::debug!("{runs} runs were forgotten and {bytes} bytes given back");
                        AGAIN
                    }
                }
            }
            Err(error) => {
                tracing::error!("what is not kept any more cannot be forgotten: {error}");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.drains.notified() => {}
        }
    }
}

/// Forgets what is not to be kept any more, a little at a time, so that nobody waits long to write.
///
/// # Errors
/// When the store fails.
pub async fn prune(app: &App) -> Result<Pruned, Error> {
    let mut all = Pruned::default();
    while !app.draining.load(Ordering::Relaxed) {
        let pruned = app.store.prune(app.config.keep, now()).await?;
        if pruned == Pruned::default() {
            break;
        }
        all.runs += pruned.runs;
        all.bytes += pruned.bytes;
    }
    Ok(all)
}
