//! Values as the expression library has them, and back.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};

use super::work;
use crate::date::Date;
use crate::value::{ITEM, List, MAX_DEPTH, MAX_SIZE, Record, Value};

impl From<&Value> for minijinja::Value {
    fn from(value: &Value) -> minijinja::Value {
        match value {
            Value::Nothing => ().into(),
            Value::Boolean(truth) => (*truth).into(),
            Value::Integer(number) => match i64::try_from(*number) {
                Ok(small) => small.into(),
                Err(_) => (*number).into(),
            },
            Value::Float(number) => (*number).into(),
            Value::Text(text) => text.clone().into(),
            Value::Date(date) => minijinja::Value::from_dyn_object(date.clone()),
            Value::List(list) => minijinja::Value::from_dyn_object(list.clone()),
            Value::Record(record) => minijinja::Value::from_dyn_object(record.clone()),
        }
    }
}

impl TryFrom<minijinja::Value> for Value {
    type Error = String;

    fn try_from(value: minijinja::Value) -> Result<Value, String> {
        Meter::default().value(&value, 0)
    }
}

/// Checks that all of a value comes to no more than a value may.
pub(super) fn measured(value: &minijinja::Value) -> Result<(), String> {
    Meter::default().walk(value, 0)
}

/// Goes through a value that may be larger than what it is made of.
#[derive(Default)]
struct Meter {
    size: usize,
}

impl Meter {
    /// Counts something of a size in bytes.
    fn add(&mut self, size: usize) -> Result<(), String> {
        self.size += size;
        work::did(1)?;
        if self.size > MAX_SIZE {
            let mib = MAX_SIZE >> 20;
            return Err(format!(
                "the value is larger than {mib} MiB, the most one value may be"
            ));
        }
        Ok(())
    }

    fn deeper(depth: u32) -> Result<u32, String> {
        match depth < MAX_DEPTH {
            true => Ok(depth + 1),
            false => Err(format!("the value is nested more than {MAX_DEPTH} deep")),
        }
    }

    fn walk(&mut self, value: &minijinja::Value, depth: u32) -> Result<(), String> {
        if let Some(own) = own(value) {
            return self.add(own.size());
        }
        self.add(ITEM + value.as_str().map_or(0, str::len))?;
        match value.kind() {
            ValueKind::Map => {
                let depth = Meter::deeper(depth)?;
                for key in value.try_iter().map_err(|error| error.to_string())? {
                    self.walk(&key, depth)?;
                    let member = value.get_item(&key).map_err(|error| error.to_string())?;
                    self.walk(&member, depth)?;
                }
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let depth = Meter::deeper(depth)?;
                for item in value.try_iter().map_err(|error| error.to_string())? {
                    self.walk(&item, depth)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, value: &minijinja::Value, depth: u32) -> Result<Value, String> {
        if let Some(own) = own(value) {
            self.add(own.size())?;
            return match depth + own.depth() > MAX_DEPTH {
                true => Meter::deeper(MAX_DEPTH).map(|_| own),
                false => Ok(own),
            };
        }
        self.add(ITEM + value.as_str().map_or(0, str::len))?;
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => Ok(Value::Nothing),
            ValueKind::Bool => Ok(Value::Boolean(value.is_true())),
            ValueKind::Number => number(value),
            ValueKind::String => Ok(value.to_str().map_or(Value::Nothing, Value::Text)),
            kind => self.container(value, kind, Meter::deeper(depth)?),
        }
    }

    fn container(
        &mut self,
        value: &minijinja::Value,
        kind: ValueKind,
        depth: u32,
    ) -> Result<Value, String> {
        let wrong = || format!("{kind} is no value a variable can hold");
        let mut items = match kind {
            ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => {
                value.try_iter().map_err(|_| wrong())?
            }
            _ => return Err(wrong()),
        };
        if kind != ValueKind::Map {
            let items = items.map(|item| self.value(&item, depth));
            return items.collect::<Result<Vec<_>, _>>().map(Value::list);
        }
        let record = items.by_ref().map(|key| {
            let member = value.get_item(&key).map_err(|error| error.to_string())?;
            let name = self.value(&key, depth)?.to_string();
            Ok((name.into(), self.value(&member, depth)?))
        });
        record.collect::<Result<Record, String>>().map(Value::from)
    }
}

/// A value that is ours already.
fn own(value: &minijinja::Value) -> Option<Value> {
    let list = value.downcast_object::<List>().map(Value::List);
    list.or_else(|| value.downcast_object::<Record>().map(Value::Record))
        .or_else(|| value.downcast_object::<Date>().map(Value::Date))
}

fn number(value: &minijinja::Value) -> Result<Value, String> {
    if value.is_integer() {
        return i128::try_from(value.clone())
            .map(Value::Integer)
            .map_err(|_| "the number is too large to be kept exactly".to_owned());
    }
    let number = f64::try_from(value.clone()).map_err(|error| error.to_string())?;
    Value::float(number).ok_or_else(|| {
        let what = match number.is_infinite() {
            true => "the number is too large to be kept",
            false => "the result is no number",
        };
        what.to_owned()
    })
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        self.get(key.as_usize()?).map(minijinja::Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.len())
    }
}

impl Object for Record {
    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        self.get(key.as_str()?).map(minijinja::Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.keys().map(|name| name.clone().into()).collect())
    }
}

impl Object for Date {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(
        self: &Arc<Self>,
        other: &minijinja::value::DynObject,
    ) -> Option<std::cmp::Ordering> {
        (**self).partial_cmp(other.downcast_ref::<Date>()?)
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
