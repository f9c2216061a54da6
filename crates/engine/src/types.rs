//! The types a program declares at its edges, and what fits them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::date::Date;
use crate::value::{Record, Value};

/// A declared type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Text.
    Text,
    /// A number, whole or not.
    Number,
    /// True or false.
    Boolean,
    /// A day or a moment.
    Date,
    /// Values in order.
    List,
    /// Values by name.
    Record,
    /// Whatever comes.
    #[default]
    Any,
}

impl Type {
    /// All of them.
    pub const ALL: [Type; 7] = [
        Type::Text,
        Type::Number,
        Type::Boolean,
        Type::Date,
        Type::List,
        Type::Record,
        Type::Any,
    ];

    /// Its name in a program.
    pub fn name(self) -> &'static str {
        match self {
            Type::Text => "text",
            Type::Number => "number",
            Type::Boolean => "boolean",
            Type::Date => "date",
            Type::List => "list",
            Type::Record => "record",
            Type::Any => "any",
        }
    }

    /// What a value of it is, for messages: `a text`.
    pub fn described(self) -> &'static str {
        match self {
            Type::Text => "a text",
            Type::Number => "a number",
            Type::Boolean => "a boolean",
            Type::Date => "a date",
            Type::List => "a list",
            Type::Record => "a record",
            Type::Any => "any value",
        }
    }

    /// The value a declared variable has when nobody gives one.
    pub fn blank(self) -> Value {
        match self {
            Type::Text => Value::text(""),
            Type::Number => Value::Integer(0),
            Type::Boolean => Value::Boolean(false),
            Type::List => Value::list(Vec::new()),
            Type::Record => Record::from_iter([]).into(),
            Type::Date | Type::Any => Value::Nothing,
        }
    }

    /// The type of a value that stands in a program as a default.
    pub fn of(value: &Value) -> Type {
        match value {
            Value::Nothing => Type::Any,
            Value::Boolean(_) => Type::Boolean,
            Value::Integer(_) | Value::Float(_) => Type::Number,
            Value::Text(_) => Type::Text,
            Value::Date(_) => Type::Date,
            Value::List(_) => Type::List,
            Value::Record(_) => Type::Record,
        }
    }

    /// The value as one of this type, or nothing if it is none: what a program hands over must
    /// have the type already, only a date may still be text.
    pub fn check(self, value: Value) -> Option<Value> {
        match (self, &value) {
            (Type::Any, _) => Some(value),
            (Type::Date, Value::Text(text)) => text.parse::<Date>().ok().map(Value::from),
            (wanted, _) => (Type::of(&value) == wanted).then_some(value),
        }
    }

    /// The value as one of this type, read from what a caller sent: a text is understood as a
    /// number, boolean (`true`, `yes`, `on`, `1` and their opposites), date, or JSON.
    pub fn read(self, value: Value) -> Option<Value> {
        let Value::Text(text) = &value else {
            return self.check(value);
        };
        let text = text.trim();
        match self {
            Type::Text | Type::Any => Some(value),
            Type::Number => number(text),
            Type::Boolean => truth(text).map(Value::Boolean),
            Type::Date => self.check(value),
            Type::List | Type::Record => self.check(Value::from_json(text).ok()?),
        }
    }
}

/// Reads a number as people write it: `12`, `-3.5`, `1e3`.
pub fn number(text: &str) -> Option<Value> {
    if text.contains(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')) {
        return None;
    }
    if let Ok(whole) = text.parse::<i128>() {
        return Some(Value::Integer(whole));
    }
    text.parse::<f64>().ok().and_then(Value::float)
}

/// Reads a boolean in the spellings callers use, in any case.
pub fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}
