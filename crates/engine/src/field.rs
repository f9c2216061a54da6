//! What a setting of a step can be. A field's type says how it is written, checked, documented and
//! drawn; the schema carries it as `x-field`.
//!
//! In a prepared step a field holds a number: the place in the [plan](crate::plan::Plan) where the
//! compiled setting or the steps inside stand.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::date::Date;
use crate::types::number;
use crate::value::{List, Record, Value};
use crate::variables::Name;

/// A setting that is evaluated when the step runs: a literal, a template or an expression.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Input<T> {
    pub(crate) at: usize,
    #[serde(skip)]
    of: PhantomData<fn() -> T>,
}

/// What an [`Input`] can give.
pub trait FromValue: Sized {
    /// What it is called in messages, schemas and documentation.
    const TYPE: &'static str;

    /// Whether a text without braces is text; otherwise it is a variable's name or an expression.
    const TEXT: bool = false;

    /// Reads the value, or gives nothing where it does not fit.
    fn from_value(value: Value) -> Option<Self>;
}

impl<T: FromValue> JsonSchema for Input<T> {
    fn schema_name() -> Cow<'static, str> {
        T::TYPE.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-field": "input", "x-type": T::TYPE, "x-text": T::TEXT })
    }
}

impl FromValue for Value {
    const TYPE: &'static str = "any value";
    const TEXT: bool = true;

    fn from_value(value: Value) -> Option<Value> {
        Some(value)
    }
}

impl FromValue for Arc<str> {
    const TYPE: &'static str = "text";
    const TEXT: bool = true;

    fn from_value(value: Value) -> Option<Arc<str>> {
        Some(match value {
            Value::Text(text) => text,
            other => other.to_string().into(),
        })
    }
}

impl FromValue for bool {
    const TYPE: &'static str = "condition";

    fn from_value(value: Value) -> Option<bool> {
        Some(value.is_true())
    }
}

impl FromValue for Arc<List> {
    const TYPE: &'static str = "list";

    fn from_value(value: Value) -> Option<Arc<List>> {
        match value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }
}

impl FromValue for Arc<Record> {
    const TYPE: &'static str = "record";

    fn from_value(value: Value) -> Option<Arc<Record>> {
        match value {
            Value::Record(record) => Some(record),
            _ => None,
        }
    }
}

impl FromValue for i64 {
    const TYPE: &'static str = "whole number";

    fn from_value(value: Value) -> Option<i64> {
        match value {
            Value::Integer(whole) => whole.try_into().ok(),
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => Some(float as i64),
            Value::Text(text) => i64::from_value(number(text.trim())?),
            _ => None,
        }
    }
}

/// A number as a step receives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whole.
    Integer(i128),
    /// With a fraction.
    Float(f64),
}

impl Number {
    /// The nearest floating-point number.
    pub fn float(self) -> f64 {
        match self {
            Number::Integer(whole) => whole as f64,
            Number::Float(float) => float,
        }
    }
}

/// A number that is infinite or no number becomes nothing.
impl From<Number> for Value {
    fn from(number: Number) -> Value {
        match number {
            Number::Integer(whole) => Value::Integer(whole),
            Number::Float(float) => Value::float(float).unwrap_or_default(),
        }
    }
}

impl FromValue for Number {
    const TYPE: &'static str = "number";

    fn from_value(value: Value) -> Option<Number> {
        match value {
            Value::Integer(whole) => Some(Number::Integer(whole)),
            Value::Float(float) => Some(Number::Float(float)),
            Value::Text(text) => Number::from_value(number(text.trim())?),
            _ => None,
        }
    }
}

impl FromValue for Date {
    const TYPE: &'static str = "date";
    const TEXT: bool = true;

    fn from_value(value: Value) -> Option<Date> {
        match value {
            Value::Date(date) => Some((*date).clone()),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl FromValue for Duration {
    const TYPE: &'static str = "duration";
    const TEXT: bool = true;

    fn from_value(value: Value) -> Option<Duration> {
        match value {
            Value::Text(text) => duration(text.trim()),
            other => Duration::try_from_secs_f64(Number::from_value(other)?.float()).ok(),
        }
    }
}

/// Reads a length of time: seconds (`90`, `1.5`), or a number with `ms`, `s`, `m`, `h` or `d` or the
/// word for it (`2 hours`).
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text
        .trim_end_matches(|c: char| c.is_ascii_alphabetic())
        .len();
    let seconds = match text[digits..].to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "" | "s" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        _ => return None,
    };
    let amount = Number::from_value(number(text[..digits].trim())?)?;
    Duration::try_from_secs_f64(amount.float() * seconds).ok()
}

/// A variable that a step makes.
#[derive(Clone, Debug)]
pub struct Output(pub(crate) Name);

impl Output {
    /// The variable `name`, where a program does not name it.
    pub fn named(name: &str) -> Output {
        Output(Name::new(name))
    }

    /// The variable's name as written.
    pub fn name(&self) -> &Arc<str> {
        &self.0.text
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Output, D::Error> {
        String::deserialize(deserializer).map(|name| Output(Name::new(name)))
    }
}

/// Steps inside a step.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct Block {
    pub(crate) at: usize,
}

/// Steps inside a step that may run many times.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct Body(pub Block);

/// Source code in another language. It may be understood by the plan in one way only: which
/// variables it makes.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Code(pub Arc<str>);

/// The Python packages that code imports, each [normalised](crate::requirement::Requirement), in order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Packages(pub Vec<String>);

/// The name of a function of the program.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct FunctionName(pub Arc<str>);

/// The values for the inputs of the function that the step calls.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Arguments(pub Vec<(Arc<str>, Input<Value>)>);

/// An output of the function that the step calls, and the variable that keeps it.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Results(pub Vec<(Arc<str>, Output)>);

/// Outputs of the function that the step calls, kept in variables of the same names.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Kept(pub Vec<Output>);

/// The values for the outputs of the function the step stands in.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Returned(pub Vec<(Arc<str>, Input<Value>)>);

/// Variables, each with the value it gets.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Assignments(pub Vec<(Output, Input<Value>)>);

/// Item variables, each with the list it goes through.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Lists(pub Vec<(Output, Input<Arc<List>>)>);

macro_rules! marked {
    ($($field:ty: $name:literal $schema:tt)*) => {$(
        impl JsonSchema for $field {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

marked! {
    Output: "variable name" { "x-field": "output" }
    Block: "steps" { "x-field": "block" }
    Body: "steps" { "x-field": "block", "x-repeats": true }
    Code: "code" { "x-field": "code" }
    Packages: "packages" { "x-field": "packages" }
    FunctionName: "function" { "x-field": "function" }
    Arguments: "inputs" { "x-pairs": "argument", "additionalProperties": { "x-field": "input", "x-type": "any value", "x-text": true } }
    Results: "outputs" { "x-pairs": "result", "additionalProperties": { "x-field": "output" } }
    Kept: "outputs" { "x-field": "kept", "type": "array" }
    Returned: "outputs" { "x-pairs": "returned", "additionalProperties": { "x-field": "input", "x-type": "any value", "x-text": true } }
    Assignments: "variables" { "x-pairs": "output", "additionalProperties": { "x-field": "input", "x-type": "any value", "x-text": true } }
    Lists: "lists" { "x-pairs": "output", "additionalProperties": { "x-field": "input", "x-type": "list", "x-text": false } }
    Literal: "value" { "x-field": "literal" }
    Shown: "variable names" { "x-field": "shown" }
}

/// A value that stands in the program and is never a template.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct Literal {
    pub(crate) at: usize,
}

/// Names of variables the step made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Shown(pub Vec<Arc<str>>);

/// A length of time that stands in the program: `90`, `30s`, `2 hours`.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration(&text)
            .map(Time)
            .ok_or_else(|| serde::de::Error::custom("no length of time"))
    }
}

/// Reads a number of bytes: `2MB`, `1.5 GB`, `4096`. The units are decimal.
pub fn size(text: &str) -> Option<u64> {
    let digits = text
        .trim_end_matches(|c: char| c.is_ascii_alphabetic())
        .len();
    let unit = match text[digits..].to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    let bytes = Number::from_value(number(text[..digits].trim())?)?.float() * unit;
    (bytes.fract() == 0.0 && (0.0..9e15).contains(&bytes)).then_some(bytes as u64)
}

/// A number of bytes as [`size`] reads it.
pub fn shown_size(bytes: u64) -> String {
    let units = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "KB"),
    ];
    match units
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(unit / 10))
    {
        Some((unit, name)) if bytes.is_multiple_of(*unit) => format!("{}{name}", bytes / unit),
        Some((unit, name)) => format!("{:.1}{name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// A number of bytes that stands in the program: `4096`, `512MB`, `1.5 GB`.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let text = String::deserialize(deserializer)?;
        size(&text)
            .map(Size)
            .ok_or_else(|| serde::de::Error::custom("no size"))
    }
}

marked! {
    Time: "duration" { "x-field": "time" }
    Size: "size" { "x-field": "size" }
}
