//! The variables a function has at a moment of its run.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::Object;

use crate::value::{Record, Value};

/// The most that all variables of a run may hold together, in bytes.
pub const MAX_SIZE: usize = 64 << 20;

/// A variable's name, and how expressions write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The name as the program writes it.
    pub text: Arc<str>,
    /// The name inside expressions.
    pub key: Arc<str>,
}

impl Name {
    /// The name `text`.
    pub fn new(text: impl Into<Arc<str>>) -> Name {
        let text = text.into();
        let key = expression_name(&text);
        let key = if *key == *text {
            text.clone()
        } else {
            key.into()
        };
        Name { text, key }
    }
}

/// How expressions write the variable `name`: every character that is no letter, digit or underscore
/// becomes an underscore, and one is put before a leading digit.
pub fn expression_name(name: &str) -> String {
    let mut key: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if key.starts_with(|c: char| c.is_numeric()) {
        key.insert(0, '_');
    }
    key
}

/// Variables by expression name, in the order they were first made.
#[derive(Clone, Default)]
pub struct Variables {
    // Names are looked up many times in a step, and chosen by programs: hence a quick hash, seeded by each process.
    entries: IndexMap<Arc<str>, (Arc<str>, Value), foldhash::fast::RandomState>,
    size: usize,
}

impl Variables {
    /// Gives the variable a value, making it if need be.
    ///
    /// # Errors
    /// In words, when the value or all variables together would pass a limit.
    pub fn set(&mut self, name: &Name, value: Value) -> Result<(), String> {
        value.within_limits()?;
        let grown = self.size + value.size();
        if let Some((_, old)) = self.entries.get_mut(&*name.key) {
            self.size = grown - old.size();
            *old = value;
        } else {
            self.size = grown;
            self.entries
                .insert(name.key.clone(), (name.text.clone(), value));
        }
        if self.size > MAX_SIZE {
            return Err(format!(
                "the variables together hold more than {} MiB",
                MAX_SIZE >> 20
            ));
        }
        Ok(())
    }

    /// The value of a variable by its expression name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The name as written of a variable by its expression name.
    pub fn name(&self, key: &str) -> Option<Arc<str>> {
        self.entries.get(key).map(|(name, _)| name.clone())
    }

    /// Takes a variable's value out, leaving nothing in its place, so that it can be changed
    /// without a copy and set again.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        let (_, value) = self.entries.get_mut(key)?;
        let taken = std::mem::take(value);
        self.size = self.size - taken.size() + Value::Nothing.size();
        Some(taken)
    }

    /// All of them as a record.
    pub fn to_record(&self) -> Record {
        self.iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Every variable with its name as written, in the order they were first made.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.entries.values().map(|(name, value)| (name, value))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<minijinja::Value> {
        self.get(key).map(minijinja::Value::from)
    }
}
