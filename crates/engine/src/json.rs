//! JSON text read into values, exactly or not at all.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use jiter::{JsonError, JsonValue};

use crate::run::Values;
use crate::value::{Record, Value};

/// Reads JSON text; see [`Value::from_json`].
pub(crate) fn read(text: &str) -> Result<Value, String> {
    let json = JsonValue::parse(text.as_bytes(), false).map_err(|error| described(&error, text))?;
    let value = value(json)?;
    value.within_limits()?;
    Ok(value)
}

/// Reads JSON text that must be an object, each member of which is a value of its own: the limits hold
/// for the members, not for the whole. Of a name that an object has twice it would be chance which one is kept,
/// so none may.
///
/// # Errors
/// As [`Value::from_json`], naming the member that passes a limit; and a name that is there twice.
pub fn record(text: &str) -> Result<Record, String> {
    let json = JsonValue::parse(text.as_bytes(), false).map_err(|error| described(&error, text))?;
    if let Some(name) = twice(&json) {
        return Err(format!("the name `{name}` is there twice"));
    }
    let Value::Record(record) = value(json)? else {
        return Err("it is no JSON object".to_owned());
    };
    for (name, member) in record.iter() {
        member
            .within_limits()
            .map_err(|why| format!("`{name}`: {why}"))?;
    }
    Ok(Arc::unwrap_or_clone(record))
}

/// Reads JSON text that must be a list of names with their values, as [`Values`] are written.
///
/// # Errors
/// As [`Value::from_json`].
pub fn pairs(text: &str) -> Result<Values, String> {
    let json = JsonValue::parse(text.as_bytes(), false).map_err(|error| described(&error, text))?;
    let Value::List(pairs) = value(json)? else {
        return Err("it is no JSON list".to_owned());
    };
    let pair = |pair: &Value| match pair {
        Value::List(pair) => match &pair[..] {
            [Value::Text(name), value] => Ok((name.clone(), value.clone())),
            _ => Err("it is no list of names and values".to_owned()),
        },
        _ => Err("it is no list of names and values".to_owned()),
    };
    pairs.iter().map(pair).collect()
}

/// Reads JSON text that must be an object, and gives its members as they are written: a name that is
/// written twice comes twice.
///
/// # Errors
/// As [`Value::from_json`]. Other JSON than an object is no error; it gives nothing.
pub fn members(text: &str) -> Result<Option<Values>, String> {
    let json = JsonValue::parse(text.as_bytes(), false).map_err(|error| described(&error, text))?;
    let JsonValue::Object(members) = json else {
        return Ok(None);
    };
    let read = |(name, member): &(Cow<'_, str>, JsonValue<'_>)| {
        let member = value(member.clone())?;
        member.within_limits()?;
        Ok((name.as_ref().into(), member))
    };
    members.iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// A name that an object in here has twice.
fn twice<'j>(json: &'j JsonValue<'_>) -> Option<&'j str> {
    match json {
        JsonValue::Array(items) => items.iter().find_map(twice),
        JsonValue::Object(members) => {
            let mut names = HashSet::with_capacity(members.len());
            let mut names = members
                .iter()
                .map(|(name, _)| &**name)
                .filter(|name| !names.insert(*name));
            names
                .next()
                .or_else(|| members.iter().find_map(|(_, member)| twice(member)))
        }
        _ => None,
    }
}

fn described(error: &JsonError, text: &str) -> String {
    let position = error.get_position(text.as_bytes());
    format!(
        "{} at line {} column {}",
        error.error_type, position.line, position.column
    )
}

// The parser itself stops at 200 levels, so the recursion here is bounded.
fn value(json: JsonValue<'_>) -> Result<Value, String> {
    Ok(match json {
        JsonValue::Null => Value::Nothing,
        JsonValue::Bool(truth) => Value::Boolean(truth),
        JsonValue::Int(number) => Value::Integer(number.into()),
        JsonValue::BigInt(number) => Value::Integer(
            i128::try_from(number)
                .map_err(|_| "a whole number is too large to be kept exactly".to_owned())?,
        ),
        JsonValue::Float(number) => {
            Value::float(number).ok_or("a number is too large to be kept")?
        }
        JsonValue::Str(text) => Value::text(&*text),
        JsonValue::Array(items) => {
            Value::list(items.iter().cloned().map(value).collect::<Result<_, _>>()?)
        }
        JsonValue::Object(members) => members
            .iter()
            .map(|(name, member)| Ok((name.as_ref().into(), value(member.clone())?)))
            .collect::<Result<Record, String>>()?
            .into(),
    })
}
