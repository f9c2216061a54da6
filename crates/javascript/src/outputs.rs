//! Values on their way out of a script.

use rquickjs::{Atom, Coerced, Error, Filter, Function, Object, Type, Value};

use crate::inputs::MAX_WHOLE;
use crate::limits::{Limit, Limits};
use crate::peek::{Made, Own, Peek, length};

/// The deepest that lists and records may nest in an output, as in all values of programs.
const MAX_DEPTH: usize = 128;

/// The longest that a path in an error may be, in bytes.
const MAX_PATH: usize = 200;

/// Why the outputs cannot be kept.
pub(crate) enum Refused {
    /// In words.
    Because(String),
    /// In words too, and the limit that was passed.
    Limit(String, Limit),
    /// The engine failed, for which there is no cause but a want of memory.
    Memory,
}

impl From<Error> for Refused {
    fn from(_: Error) -> Refused {
        Refused::Memory
    }
}

type Result<T> = std::result::Result<T, Refused>;

/// Reads what a script left as `outputs`, and gives it as JSON.
pub(crate) fn read<'js>(peek: Peek<'js>, limits: &Limits, outputs: Value<'js>) -> Result<Vec<u8>> {
    let mut reader = Reader {
        peek,
        limits,
        json: Vec::new(),
        path: Vec::new(),
        above: vec![outputs.clone()],
        parts: 0,
    };
    let record = match outputs.as_object() {
        Some(record) if !record.is_proxy() && reader.peek.made(record)? == Made::Plain => record,
        _ => {
            let what = reader.described(&outputs);
            return Err(Refused::Because(format!(
                "`outputs` must stay an object, and is {what}"
            )));
        }
    };
    reader.members(record)?;
    Ok(reader.json)
}

/// A step from a value to one in it.
enum Part {
    Name(String),
    Place(usize),
}

struct Reader<'a, 'js> {
    peek: Peek<'js>,
    limits: &'a Limits,
    json: Vec<u8>,
    path: Vec<Part>,
    /// The values that the one being read is in.
    above: Vec<Value<'js>>,
    /// How many parts were read.
    parts: u64,
}

impl<'js> Reader<'_, 'js> {
    fn value(&mut self, value: &Value<'js>) -> Result<()> {
        if value.is_proxy() {
            return self.refuse("a proxy");
        }
        match value.type_of() {
            Type::Null => self.write(b"null"),
            Type::Bool if value.as_bool() == Some(true) => self.write(b"true"),
            Type::Bool => self.write(b"false"),
            Type::Int | Type::Float => self.number(value.as_number().unwrap_or(f64::NAN)),
            Type::BigInt => self.big(value),
            Type::String => self.text(value),
            Type::Array | Type::Object => self.nested(value),
            _ => {
                let what = self.described(value);
                self.refuse(what)
            }
        }
    }

    fn number(&mut self, number: f64) -> Result<()> {
        if !number.is_finite() {
            return self.refuse(match number {
                _ if number.is_nan() => "NaN",
                _ if number > 0.0 => "Infinity",
                _ => "-Infinity",
            });
        }
        if number.fract() == 0.0 && number.abs() <= MAX_WHOLE as f64 {
            return self.write((number as i64).to_string().as_bytes());
        }
        self.json(&number)
    }

    fn big(&mut self, value: &Value<'js>) -> Result<()> {
        // Asked first: the digits of a great number take time.
        if !self
            .peek
            .kept::<Function>("fits")?
            .call::<_, bool>((value.clone(),))?
        {
            return self.refuse("a whole number of more than 127 bits");
        }
        let digits: Coerced<String> = value.get()?;
        self.write(digits.0.as_bytes())
    }

    fn text(&mut self, value: &Value<'js>) -> Result<()> {
        let text = value.as_string().map(|text| text.to_string());
        match text {
            Some(Ok(text)) if self.json.len() + text.len() > self.limits.result => self.large(),
            Some(Ok(text)) => self.json(&text),
            Some(Err(Error::Utf8(_))) => self.refuse("a text with half of a surrogate pair in it"),
            _ => Err(Refused::Memory),
        }
    }

    fn nested(&mut self, value: &Value<'js>) -> Result<()> {
        let Some(object) = value.as_object() else {
            return self.refuse("an object");
        };
        let made = self.peek.made(object)?;
        if matches!(made, Made::Plain | Made::List) {
            self.enter(value)?;
        }
        match made {
            Made::List => self.items(object)?,
            Made::Plain => self.members(object)?,
            Made::Date => return self.date(value),
            Made::Other => {
                let what = self.described(value);
                return self.refuse(what);
            }
        }
        self.above.pop();
        Ok(())
    }

    /// Goes into a list or a record.
    fn enter(&mut self, value: &Value<'js>) -> Result<()> {
        if self.above.contains(value) {
            return self.refuse("a value that holds itself");
        }
        // The outputs themselves are a record around their values.
        if self.above.len() > MAX_DEPTH {
            return self.refuse(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.above.push(value.clone());
        Ok(())
    }

    /// Goes on to a part of the value.
    fn go(&mut self, part: Part) -> Result<()> {
        self.path.push(part);
        self.parts += 1;
        // Looking at the clock costs as much as reading a part.
        let passed = if self.parts.is_multiple_of(256) {
            self.limits.passed()
        } else {
            None
        };
        passed.map_or(Ok(()), |limit| {
            Err(Refused::Limit(self.limits.sentence(limit), limit))
        })
    }

    fn items(&mut self, list: &Object<'js>) -> Result<()> {
        self.write(b"[")?;
        for index in 0..length(list)? {
            if index > 0 {
                self.write(b",")?;
            }
            self.go(Part::Place(index))?;
            match self.peek.item(list, index)? {
                Own::Value(item) => self.value(&item)?,
                Own::Accessor { .. } => self.refuse("a getter, and none is called")?,
                Own::Nothing => self.refuse("a hole in a list")?,
            }
            self.path.pop();
        }
        self.write(b"]")
    }

    fn members(&mut self, record: &Object<'js>) -> Result<()> {
        let mut separator: &[u8] = b"";
        self.write(b"{")?;
        for key in record.own_keys::<Atom>(Filter::default()) {
            let key = key?.to_value()?;
            let name = self.name(&key)?;
            self.go(Part::Name(name.clone()))?;
            match self.peek.own(record, key)? {
                Own::Value(member) if member.is_undefined() => {}
                Own::Value(member) => {
                    self.write(separator)?;
                    self.json(&name)?;
                    self.write(b":")?;
                    self.value(&member)?;
                    separator = b",";
                }
                Own::Accessor { .. } => self.refuse("a getter, and none is called")?,
                Own::Nothing => {}
            }
            self.path.pop();
        }
        self.write(b"}")
    }

    /// The name of a member, which must be one that can be kept.
    fn name(&mut self, key: &Value<'js>) -> Result<String> {
        let name = key.as_string().map(|name| name.to_string());
        match name {
            Some(Ok(name)) if name.is_empty() && self.path.is_empty() => {
                Err(Refused::Because("an output's name is empty".to_owned()))
            }
            Some(Ok(name)) => Ok(name),
            Some(Err(Error::Utf8(_))) => {
                let name = self.peek.text(key).unwrap_or_default();
                self.path.push(Part::Name(name));
                self.refuse("named with half of a surrogate pair")?;
                Ok(String::new())
            }
            _ => Err(Refused::Memory),
        }
    }

    fn date(&mut self, value: &Value<'js>) -> Result<()> {
        match self.peek.call::<f64>("time", value) {
            Some(time) if time.is_finite() => match self.peek.call::<String>("iso", value) {
                Some(text) => self.json(&text),
                None => Err(Refused::Memory),
            },
            Some(_) => self.refuse("an invalid date"),
            None => self.refuse("an object with the prototype of `Date`"),
        }
    }

    fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<()> {
        // Numbers and texts can always be written.
        let _ = serde_json::to_writer(&mut self.json, value);
        self.write(b"")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.json.extend_from_slice(bytes);
        match self.json.len() > self.limits.result {
            true => self.large(),
            false => Ok(()),
        }
    }

    fn large(&self) -> Result<()> {
        let limit = Limit::Result;
        let sentence = self.limits.sentence(limit);
        Err(Refused::Limit(
            format!("the output `{}` cannot be kept: {sentence}", self.place()),
            limit,
        ))
    }

    fn refuse(&self, what: impl AsRef<str>) -> Result<()> {
        let (place, what) = (self.place(), what.as_ref());
        Err(Refused::Because(format!(
            "the output `{place}` cannot be kept: it is {what}"
        )))
    }

    /// Where the value is that is being read, as a script would write it after `outputs.`.
    fn place(&self) -> String {
        let mut place = String::new();
        for (index, part) in self.path.iter().enumerate() {
            match part {
                Part::Name(name) if index == 0 => place.push_str(name),
                Part::Name(name) if is_identifier(name) => place.extend([".", name]),
                Part::Name(name) => {
                    place.push_str(&format!("[{}]", serde_json::Value::from(&**name)))
                }
                Part::Place(index) => place.push_str(&format!("[{index}]")),
            }
        }
        if place.len() > MAX_PATH {
            place.truncate(place.floor_char_boundary(MAX_PATH));
            place.push('…');
        }
        place
    }

    /// What a value is that is not kept.
    fn described(&self, value: &Value<'js>) -> String {
        if value.is_proxy() {
            return "a proxy".to_owned();
        }
        let plain = match value.type_of() {
            Type::Undefined => "undefined",
            Type::Null => "null",
            Type::Bool => "a boolean",
            Type::Int | Type::Float => "a number",
            Type::BigInt => "a whole number",
            Type::String => "a text",
            Type::Symbol => "a symbol",
            Type::Function | Type::Constructor => "a function",
            Type::Promise => "a promise; `await` gives what it stands for",
            _ => "an object without a name for what it is",
        };
        let object = value
            .as_object()
            .filter(|object| !object.is_function() && !object.is_promise());
        let class = object.and_then(|object| self.peek.classes(object).into_iter().next());
        let Some(class) = class else {
            return plain.to_owned();
        };
        let article = if class.starts_with(['A', 'E', 'I', 'O']) {
            "an"
        } else {
            "a"
        };
        format!("{article} `{class}`")
    }
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    let begins = |letter: char| letter.is_alphabetic() || letter == '_' || letter == '$';
    letters.next().is_some_and(begins)
        && letters.all(|letter| begins(letter) || letter.is_numeric())
}
