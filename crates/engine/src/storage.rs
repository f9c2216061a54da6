//! What the runs of a program keep for those that come after them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::run::{Failure, Reason};
use crate::value::Value;

/// The most characters of a key.
pub const MAX_KEY: usize = 256;
/// The most bytes of a value as JSON.
pub const MAX_VALUE: usize = 1 << 20;
/// The most values that one run keeps.
pub const MAX_KEPT: usize = 1_000;

/// Where a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// Among those of the `storage` steps.
    Storage,
    /// Among those that `changed` steps compare with.
    Changed,
}

impl Shelf {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Shelf::Storage => "storage",
            Shelf::Changed => "changed",
        }
    }
}

/// What a run knows of the values, so that each is asked for once.
#[derive(Default)]
pub(crate) struct Storage {
    values: HashMap<(Shelf, Arc<str>), Known>,
    /// How many of them this run has set.
    set: usize,
}

/// A value: as the runs before left it, and as this run has set it. A value that is not there is nothing.
#[derive(Default)]
struct Known {
    left: Option<Option<Value>>,
    set: Option<Option<Value>>,
}

impl Storage {
    /// How the runs before left a value, if that has been asked for.
    pub fn left(&self, shelf: Shelf, key: &Arc<str>) -> Option<Option<Value>> {
        self.values.get(&(shelf, key.clone()))?.left.clone()
    }

    /// Notes how the runs before left a value.
    pub fn found(&mut self, shelf: Shelf, key: Arc<str>, value: Option<Value>) {
        self.values.entry((shelf, key)).or_default().left = Some(value);
    }

    /// What this run has set a value to, if it has.
    pub fn set_to(&self, shelf: Shelf, key: &Arc<str>) -> Option<Option<Value>> {
        self.values.get(&(shelf, key.clone()))?.set.clone()
    }

    /// Sets a value.
    ///
    /// # Errors
    /// A limit that it passes.
    pub fn set(
        &mut self,
        shelf: Shelf,
        key: Arc<str>,
        value: Option<Value>,
    ) -> Result<(), Failure> {
        let limit = |message: String| Err(Failure::new(message).because(Reason::Limit));
        let size = value.as_ref().map_or(0, |value| value.to_json().len());
        if size > MAX_VALUE {
            let most = MAX_VALUE >> 20;
            return limit(format!(
                "`{key}` is {size} bytes as JSON, and a value that is kept has {most} MiB at most"
            ));
        }
        let known = self.values.entry((shelf, key)).or_default();
        self.set += usize::from(known.set.replace(value).is_none());
        if self.set > MAX_KEPT {
            return limit(format!("a run keeps {MAX_KEPT} values at most"));
        }
        Ok(())
    }
}

/// Says what is wrong with a key, if anything is.
pub(crate) fn check_key(key: &str) -> Result<(), Failure> {
    match key.chars().count() {
        0 => Err(Failure::new("the name of a value that is kept is empty")),
        length if length > MAX_KEY => {
            let message = format!(
                "the name of a value that is kept has {length} characters, and {MAX_KEY} are the most"
            );
            Err(Failure::new(message).because(Reason::Limit))
        }
        _ => Ok(()),
    }
}
