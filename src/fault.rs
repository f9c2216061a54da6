//! Places at which a test has the server die, stand still or fail: `WAYSTATION_FAULT=PLACE=WHAT@TIME`, where WHAT is `kill`,
//! `pause` or `error`, has it happen the TIMEth time that the server comes there. A release has no such places.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// The places, for tests to go through.
pub const PLACES: [&str; 18] = [
    "accept.before_commit",
    "accept.after_commit",
    "claim.after_commit",
    "step.before_intent",
    "step.after_intent",
    "step.after_effect",
    "step.after_record",
    "park.before_commit",
    "park.after_commit",
    "finish.before_commit",
    "finish.after_commit",
    "schedule.mid",
    "sweep.mid",
    "drain.mid",
    "cancel.race",
    "batch.split",
    "commit.before",
    "commit.after",
];

/// How long a pause is.
const PAUSE: Duration = Duration::from_secs(5);

/// What happens where.
struct Armed {
    place: String,
    what: What,
    left: AtomicU32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Kill,
    Pause,
    Error,
}

static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
    let text = std::env::var("WAYSTATION_FAULT").ok()?;
    let (place, rest) = text.split_once('=')?;
    let (what, time) = rest.split_once('@').unwrap_or((rest, "1"));
    let what = match what {
        "kill" => What::Kill,
        "pause" => What::Pause,
        "error" => What::Error,
        _ => return None,
    };
    Some(Armed {
        place: place.to_owned(),
        what,
        left: AtomicU32::new(time.parse().ok()?),
    })
});

/// Comes to a place.
pub fn at(place: &'static str) {
    let _ = fails(place);
}

/// Comes to a place, and says whether what is done there is to fail.
pub fn fails(place: &'static str) -> bool {
    if !cfg!(debug_assertions) {
        return false;
    }
    debug_assert!(PLACES.contains(&place));
    let Some(armed) = ARMED.as_ref().filter(|armed| armed.place == place) else {
        return false;
    };
    // Only the one that takes the last of the times away.
    let left = armed
        .left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
    if left != Ok(1) {
        return false;
    }
    match armed.what {
        What::Kill => {
            let _ = kill_process(getpid(), Signal::KILL);
        }
        What::Pause => std::thread::sleep(PAUSE),
        What::Error => {}
    }
    armed.what == What::Error
}
