//! Tells systemd how the server stands, where it was started by a unit that wants to know (`sd_notify(3)`).

use std::sync::Arc;

use sd_notify::NotifyState;

use crate::app::App;

/// Says that calls are taken.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that the server stops.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("systemd cannot be told how the server stands: {error}");
    }
}

/// Says that the server is there, twice in the time that the unit's `WatchdogSec` gives, as long as the record can be read.
pub(super) async fn watched(app: Arc<App>) {
    let Some(time) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        match app.store.queued().await {
            Ok(_) => tell(&[NotifyState::Watchdog]),
            Err(error) => tracing::error!("the record cannot be read: {error}"),
        }
        tokio::time::sleep(time / 2).await;
    }
}
