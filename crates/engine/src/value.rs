//! What a variable can hold.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::date::Date;

/// The deepest nesting of lists and records a value may have.
pub const MAX_DEPTH: u32 = 128;

/// The largest value, in bytes: what its texts hold plus a few bytes for every item.
pub const MAX_SIZE: usize = 16 << 20;

/// What an item costs beside its text, in bytes, when a value's size is reckoned.
pub(crate) const ITEM: usize = 16;

/// What a variable holds. Cloning never copies a text, list or record.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// The absence of a value: `null` in YAML and JSON, `none` in expressions.
    #[default]
    Nothing,
    /// True or false.
    Boolean(bool),
    /// A whole number, kept exact.
    Integer(i128),
    /// A number with a fraction. Never infinite, never not-a-number.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// A day, or a moment in time.
    Date(Arc<Date>),
    /// Values in order.
    List(Arc<List>),
    /// Values by name, in the order they were added.
    Record(Arc<Record>),
}

/// The items of a list, with its size and depth always known.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    items: Vec<Value>,
    size: usize,
    depth: u32,
}

/// The members of a record, with its size and depth always known.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    members: IndexMap<Arc<str>, Value>,
    size: usize,
    depth: u32,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    /// A list.
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Arc::new(items.into()))
    }

    /// A number, or nothing where `number` is infinite or not a number.
    pub fn float(number: f64) -> Option<Value> {
        number.is_finite().then_some(Value::Float(number))
    }

    /// Reads JSON text.
    ///
    /// # Errors
    /// What is wrong with the text, and where, in words: no JSON, deeper than [`MAX_DEPTH`], or
    /// a number that cannot be kept exactly (whole numbers beyond 127 bits, infinite ones).
    pub fn from_json(text: &str) -> Result<Value, String> {
        crate::json::read(text)
    }

    /// The value as compact JSON. Dates become ISO 8601 text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the value is, for messages: `a text`, `a list`.
    pub fn described(&self) -> &'static str {
        match self {
            Value::Nothing => "nothing",
            Value::Boolean(_) => "a boolean",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Record(_) => "a record",
        }
    }

    /// Its size in bytes as the limits count it; see [`MAX_SIZE`].
    pub fn size(&self) -> usize {
        match self {
            Value::Text(text) => ITEM + text.len(),
            Value::List(list) => list.size,
            Value::Record(record) => record.size,
            _ => ITEM,
        }
    }

    /// How deep lists and records nest in it: 0 for a plain value.
    pub fn depth(&self) -> u32 {
        match self {
            Value::List(list) => list.depth,
            Value::Record(record) => record.depth,
            _ => 0,
        }
    }

    /// Whether it counts as set: nothing and empty texts, lists and records do not.
    pub fn has_value(&self) -> bool {
        match self {
            Value::Nothing => false,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Record(record) => !record.is_empty(),
            _ => true,
        }
    }

    /// Whether a condition that gives this value holds.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Boolean(truth) => *truth,
            Value::Integer(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            other => other.has_value(),
        }
    }

    /// Whether two values are the same: numbers by amount, everything else by kind and content.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Integer(a), Value::Float(b)) | (Value::Float(b), Value::Integer(a)) => {
                *a as f64 == *b
            }
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b))
            }
            (Value::Record(a), Value::Record(b)) => {
                a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| v.same(w)))
            }
            (a, b) => a == b,
        }
    }

    /// A number that is one for all values that are [the same](Value::same).
    pub(crate) fn likeness(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Value::Integer(number) => likeness_of(*number as f64, &mut hasher),
            Value::Float(number) => likeness_of(*number, &mut hasher),
            Value::Nothing => 0.hash(&mut hasher),
            Value::Boolean(truth) => truth.hash(&mut hasher),
            Value::Text(text) => text.hash(&mut hasher),
            Value::Date(date) => date.moment().timestamp().hash(&mut hasher),
            Value::List(list) => list
                .iter()
                .for_each(|item| item.likeness().hash(&mut hasher)),
            Value::Record(record) => {
                let all = record.iter().fold(0u64, |all, (name, value)| {
                    let mut hasher = DefaultHasher::new();
                    (name, value.likeness()).hash(&mut hasher);
                    all.wrapping_add(hasher.finish())
                });
                all.hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Checks it against [`MAX_DEPTH`] and [`MAX_SIZE`].
    ///
    /// # Errors
    /// Which limit it passes, in words.
    pub fn within_limits(&self) -> Result<(), String> {
        check_size(self.size())?;
        if self.depth() > MAX_DEPTH {
            return Err(format!("the value is nested more than {MAX_DEPTH} deep"));
        }
        Ok(())
    }
}

/// A value as a key: two are equal when the values are [the same](Value::same).
#[derive(Debug)]
pub struct Same<'v>(pub &'v Value);

impl PartialEq for Same<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(other.0)
    }
}

impl Eq for Same<'_> {}

impl Hash for Same<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.likeness().hash(state);
    }
}

/// Checks the size that a value is going to have, before it is built, against [`MAX_SIZE`].
///
/// # Errors
/// That it passes the limit, in words.
pub fn check_size(size: usize) -> Result<(), String> {
    if size > MAX_SIZE {
        let mib = MAX_SIZE >> 20;
        return Err(format!(
            "the value is larger than {mib} MiB, the most one value may be"
        ));
    }
    Ok(())
}

fn likeness_of(number: f64, hasher: &mut impl Hasher) {
    // Zero is the same as minus zero.
    (number + 0.0).to_bits().hash(hasher);
}

impl List {
    /// Its size in bytes as the limits count it; see [`MAX_SIZE`].
    pub fn size(&self) -> usize {
        self.size
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: Value) {
        self.size += item.size();
        self.depth = self.depth.max(item.depth() + 1);
        self.items.push(item);
    }

    /// Changes the items freely.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        let answer = change(&mut self.items);
        *self = std::mem::take(&mut self.items).into();
        answer
    }
}

impl std::ops::Deref for List {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.items
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> List {
        let size = items.iter().map(Value::size).sum::<usize>() + ITEM;
        let depth = items.iter().map(Value::depth).max().unwrap_or(0) + 1;
        List { items, size, depth }
    }
}

impl std::ops::Deref for Record {
    type Target = IndexMap<Arc<str>, Value>;
    fn deref(&self) -> &Self::Target {
        &self.members
    }
}

impl FromIterator<(Arc<str>, Value)> for Record {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(members: I) -> Record {
        let members: IndexMap<_, _> = members.into_iter().collect();
        let size = members
            .iter()
            .map(|(k, v)| k.len() + v.size())
            .sum::<usize>()
            + ITEM;
        let depth = members.values().map(Value::depth).max().unwrap_or(0) + 1;
        Record {
            members,
            size,
            depth,
        }
    }
}

impl From<Record> for Value {
    fn from(record: Record) -> Value {
        Value::Record(Arc::new(record))
    }
}

impl From<Arc<List>> for Value {
    fn from(list: Arc<List>) -> Value {
        Value::List(list)
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Value {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Boolean(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::text(text)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Value {
        Value::Integer(count as i128)
    }
}

impl From<Date> for Value {
    fn from(date: Date) -> Value {
        Value::Date(Arc::new(date))
    }
}

/// The value inside text: a text as it is, a date in ISO 8601, everything else as JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Date(date) => date.fmt(f),
            Value::Integer(number) => number.fmt(f),
            other => f.write_str(&other.to_json()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nothing => serializer.serialize_unit(),
            Value::Boolean(truth) => serializer.serialize_bool(*truth),
            Value::Integer(number) => match i64::try_from(*number) {
                Ok(small) => serializer.serialize_i64(small),
                Err(_) => serializer.serialize_i128(*number),
            },
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Date(date) => serializer.collect_str(date),
            Value::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for item in list.iter() {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Value::Record(record) => record.serialize(serializer),
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(&**name, value)?;
        }
        map.end()
    }
}
