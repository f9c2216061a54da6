//! How long a caller wants to wait: the header `Prefer` (RFC 7240).

use std::time::Duration;

use axum::http::HeaderMap;

/// What a caller prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    /// Nothing.
    Nothing,
    /// Not to wait.
    Async,
    /// To wait at most so long.
    Wait(Duration),
}

impl Prefer {
    /// Reads the header. What is not known, or makes no sense, is passed over, as the RFC wants.
    pub fn of(headers: &HeaderMap) -> Prefer {
        let values = headers.get_all("prefer").iter();
        let words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|word| word.split(';').next().unwrap_or_default().trim());
        let mut prefer = Prefer::Nothing;
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => return Prefer::Async,
                "wait" => {
                    if let Ok(seconds) = value.trim().trim_matches('"').parse::<u32>() {
                        prefer = Prefer::Wait(Duration::from_secs(seconds.into()));
                    }
                }
                _ => {}
            }
        }
        prefer
    }

    /// How long to wait, where no caller waits longer than `most`; nothing where it is not to be waited.
    pub fn limit(self, most: Duration) -> Option<Duration> {
        match self {
            Prefer::Nothing => Some(most),
            Prefer::Async | Prefer::Wait(Duration::ZERO) => None,
            Prefer::Wait(time) => Some(time.min(most)),
        }
    }

    /// What `Preference-Applied` says, if there is a preference.
    pub fn applied(self, most: Duration) -> Option<String> {
        match self {
            Prefer::Nothing => None,
            Prefer::Async => Some("respond-async".to_owned()),
            Prefer::Wait(time) => Some(format!("wait={}", time.min(most).as_secs())),
        }
    }
}
