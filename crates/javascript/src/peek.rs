//! Looks at values without running code of the script: no getter, no proxy, no changed global takes part.

use rquickjs::atom::PredefinedAtom;
use rquickjs::function::This;
use rquickjs::{Ctx, FromJs, Function, IntoJs, Object, Result, Value};

/// How many prototypes of an object are looked at.
const MAX_CHAIN: usize = 64;

/// What an object has of its own under a name.
pub(crate) enum Own<'js> {
    Nothing,
    Value(Value<'js>),
    /// A getter or a setter or both.
    Accessor {
        get: bool,
        set: bool,
    },
}

/// What values are read with: functions and prototypes kept from before the script.
pub(crate) struct Peek<'js> {
    table: Object<'js>,
    descriptor: Function<'js>,
    /// Whether the script gave all objects a `value`.
    all_have_value: bool,
}

/// What the prototype of an object says that it is.
#[derive(PartialEq)]
pub(crate) enum Made {
    /// A record: an ordinary object, or one without a prototype.
    Plain,
    List,
    Date,
    /// An instance of something else.
    Other,
}

impl<'js> Peek<'js> {
    pub fn new(table: Object<'js>) -> Result<Peek<'js>> {
        let descriptor = table.get("descriptor")?;
        let all_have_value = table.get::<_, Object>("object")?.contains_key("value")?;
        Ok(Peek {
            table,
            descriptor,
            all_have_value,
        })
    }

    pub fn ctx(&self) -> &Ctx<'js> {
        self.table.ctx()
    }

    /// A kept value.
    pub fn kept<T: FromJs<'js>>(&self, name: &str) -> Result<T> {
        self.table.get(name)
    }

    /// Calls a kept method on `this`. What a method throws that does not fit `this` is gone with the error.
    pub fn call<T: FromJs<'js>>(&self, name: &str, this: &Value<'js>) -> Option<T> {
        let function: Function = self.kept(name).ok()?;
        let result = function.call((This(this.clone()),));
        if result.is_err() {
            self.ctx().catch();
        }
        result.ok()
    }

    /// What `object`, which must be no proxy, has under a name or at a place.
    pub fn own(&self, object: &Object<'js>, key: impl IntoJs<'js>) -> Result<Own<'js>> {
        let found: Value = self.descriptor.call((object.clone(), key))?;
        let Some(found) = found.into_object() else {
            return Ok(Own::Nothing);
        };
        if self.all_have_value {
            found.set_prototype(None)?;
        }
        if found.contains_key(PredefinedAtom::Value)? {
            return Ok(Own::Value(found.get(PredefinedAtom::Value)?));
        }
        found.set_prototype(None)?;
        let has = |name| Result::Ok(!found.get::<_, Value>(name)?.is_undefined());
        Ok(Own::Accessor {
            get: has("get")?,
            set: has("set")?,
        })
    }

    /// What a list, which must be no proxy, has at a place.
    pub fn item(&self, list: &Object<'js>, index: usize) -> Result<Own<'js>> {
        match i32::try_from(index) {
            Ok(index) => self.own(list, index),
            Err(_) => self.own(list, index as f64),
        }
    }

    /// The value that `object` or one of its prototypes has under a name, unless it is behind a getter or
    /// a proxy.
    pub fn inherited(&self, object: &Object<'js>, name: &str) -> Option<Value<'js>> {
        let mut next = Some(object.clone());
        for _ in 0..MAX_CHAIN {
            let object = next.filter(|object| !object.is_proxy())?;
            match self.own(&object, name).ok()? {
                Own::Value(value) => return Some(value),
                Own::Accessor { .. } => return None,
                Own::Nothing => next = object.get_prototype(),
            }
        }
        None
    }

    /// The names of the classes that `object` is of, its own first.
    pub fn classes(&self, object: &Object<'js>) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = Some(object.clone());
        while let Some(object) = next.filter(|object| names.len() < MAX_CHAIN && !object.is_proxy())
        {
            let class = match self.own(&object, "constructor") {
                Ok(Own::Value(class)) => class.into_object().and_then(|class| self.name(&class)),
                _ => None,
            };
            names.extend(class);
            next = object.get_prototype();
        }
        names
    }

    /// The name of a function or class, if it is a text with something in it.
    pub fn name(&self, function: &Object<'js>) -> Option<String> {
        if function.is_proxy() {
            return None;
        }
        match self.own(function, "name") {
            Ok(Own::Value(name)) => self.text(&name).filter(|name| !name.is_empty()),
            _ => None,
        }
    }

    /// A text; half surrogate pairs in it become U+FFFD. Nothing where it is no text, or is too large.
    pub fn text(&self, value: &Value<'js>) -> Option<String> {
        let text = value.as_string()?;
        if let Ok(text) = text.to_string() {
            return Some(text);
        }
        let whole: Value = self.call("wellFormed", value)?;
        whole.as_string()?.to_string().ok()
    }

    /// What an object is by its prototype, and an array also by itself. It must be no proxy.
    pub fn made(&self, object: &Object<'js>) -> Result<Made> {
        let Some(prototype) = object.get_prototype() else {
            return Ok(if object.is_array() {
                Made::Other
            } else {
                Made::Plain
            });
        };
        let is = |name| Result::Ok(self.kept::<Object>(name)? == prototype);
        Ok(match object.is_array() {
            true if is("array")? => Made::List,
            false if is("object")? => Made::Plain,
            false if is("date")? => Made::Date,
            _ => Made::Other,
        })
    }
}

/// How long an array is. The engine's own answer stops at 2^31.
pub(crate) fn length(list: &Object<'_>) -> Result<usize> {
    let length: f64 = list.get(PredefinedAtom::Length)?;
    Ok(length as usize)
}
