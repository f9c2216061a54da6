//! How much went to a host.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How much went to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The host and its port, `example.com:443`.
    pub host: String,
    /// Connections.
    pub connections: usize,
    /// Bytes that came from it, those of TLS and of heads included.
    pub down: u64,
    /// Bytes that went to it.
    pub up: u64,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = match self.connections {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        };
        let (down, up) = (grouped(self.down), grouped(self.up));
        write!(
            f,
            "{} ({connections}, {down} bytes down, {up} up)",
            self.host
        )
    }
}

/// A number with commas between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Counts what goes to a host.
#[derive(Default)]
pub(super) struct Counts {
    connections: AtomicUsize,
    down: AtomicU64,
    up: AtomicU64,
}

impl Counts {
    /// What was counted so far.
    pub fn of(&self, host: String) -> Reached {
        Reached {
            host,
            connections: self.connections.load(Ordering::Relaxed),
            down: self.down.load(Ordering::Relaxed),
            up: self.up.load(Ordering::Relaxed),
        }
    }

    /// Counts a connection, unless there were as many as there may be.
    pub fn connected(&self, most: usize) -> bool {
        let room = |count| (count < most).then_some(count + 1);
        let counted = self
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        counted.is_ok()
    }

    /// Counts bytes.
    pub fn moved(&self, down: u64, up: u64) {
        self.down.fetch_add(down, Ordering::Relaxed);
        self.up.fetch_add(up, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::grouped;

    proptest! {
        #[test]
        fn commas_stand_between_thousands(number in any::<u64>()) {
            let text = grouped(number);
            prop_assert_eq!(text.replace(',', "").parse(), Ok(number));
            let mut groups = text.split(',');
            let first = groups.next().unwrap().len();
            prop_assert!((1..=3).contains(&first) && groups.all(|group| group.len() == 3));
        }
    }
}
