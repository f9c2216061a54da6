//! Values as texts for people: one line, close to what Node prints, without running code of the script.

use rquickjs::function::This;
use rquickjs::{Array, Atom, Coerced, Filter, Function, Object, Type, Value};

use crate::limits::Limits;
use crate::peek::{Made, Own, Peek, length};

/// How deep values are shown.
const MAX_DEPTH: usize = 8;

/// How many items and members of one value are shown.
const MAX_PARTS: usize = 100;

/// Shows values side by side, texts as they are.
pub(crate) fn line<'js>(
    peek: &Peek<'js>,
    limits: Option<&Limits>,
    values: &[Value<'js>],
) -> String {
    let mut show = Show::new(peek, limits);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            show.text.push(' ');
        }
        match peek.text(value) {
            Some(text) => show.text.push_str(&text),
            None => show.value(value),
        }
    }
    show.text
}

/// Shows one value as it stands in others: texts in quotes.
pub(crate) fn value<'js>(peek: &Peek<'js>, limits: Option<&Limits>, value: &Value<'js>) -> String {
    let mut show = Show::new(peek, limits);
    show.value(value);
    show.text
}

struct Show<'a, 'js> {
    peek: &'a Peek<'js>,
    limits: Option<&'a Limits>,
    text: String,
    /// The values that the one being shown is in.
    above: Vec<Value<'js>>,
}

impl<'a, 'js> Show<'a, 'js> {
    fn new(peek: &'a Peek<'js>, limits: Option<&'a Limits>) -> Show<'a, 'js> {
        Show {
            peek,
            limits,
            text: String::new(),
            above: Vec::new(),
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Whether there is no sense in showing more: the run is over, or the log is full.
    fn is_full(&self) -> bool {
        self.limits
            .is_some_and(|limits| self.text.len() > limits.room() || limits.passed().is_some())
    }

    fn value(&mut self, value: &Value<'js>) {
        if value.is_proxy() {
            return self.push("[Proxy]");
        }
        match value.type_of() {
            Type::Null => self.push("null"),
            Type::Bool => self.push(&value.as_bool().unwrap_or_default().to_string()),
            Type::Int | Type::Float => self.number(value),
            Type::BigInt => self.big(value),
            Type::String => match self.peek.text(value) {
                Some(text) => self.push(&quoted(&text)),
                None => self.push("[a text that is too large]"),
            },
            Type::Symbol => {
                let text = self.peek.kept::<Function>("symbolText");
                let text = text.and_then(|text| text.call::<_, String>((value.clone(),)));
                self.push(&text.unwrap_or_else(|_| "Symbol()".to_owned()));
            }
            Type::Undefined | Type::Uninitialized => self.push("undefined"),
            _ => match value.as_object() {
                Some(object) => self.object(value, object),
                None => self.push("[an unknown value]"),
            },
        }
    }

    fn number(&mut self, value: &Value<'js>) {
        let number = value.as_number().unwrap_or(f64::NAN);
        let text = value
            .get::<Coerced<String>>()
            .map_or_else(|_| number.to_string(), |text| text.0);
        let sign = if number == 0.0 && number.is_sign_negative() {
            "-"
        } else {
            ""
        };
        self.push(sign);
        self.push(&text);
    }

    fn big(&mut self, value: &Value<'js>) {
        let fits = self
            .peek
            .kept::<Function>("fits")
            .and_then(|fits| fits.call((value.clone(),)));
        match fits.and_then(|fits: bool| {
            if fits {
                value.get::<Coerced<String>>().map(Some)
            } else {
                Ok(None)
            }
        }) {
            Ok(Some(digits)) => self.push(&format!("{}n", digits.0)),
            _ => self.push("[a whole number of more than 127 bits]"),
        }
    }

    fn object(&mut self, value: &Value<'js>, object: &Object<'js>) {
        if self.above.contains(value) {
            return self.push("[Circular]");
        }
        if let Some(short) = self.short(value, object) {
            return self.push(&short);
        }
        if self.above.len() >= MAX_DEPTH || self.is_full() {
            return self.push(if object.is_array() {
                "[Array]"
            } else {
                "[Object]"
            });
        }
        self.above.push(value.clone());
        if object.is_array() {
            self.list(object);
        } else if !self.collection(value) && !self.ours(value) {
            self.record(object);
        }
        self.above.pop();
    }

    /// What is shown in a word or two.
    fn short(&self, value: &Value<'js>, object: &Object<'js>) -> Option<String> {
        if value.is_function() {
            let name = self.peek.name(object);
            return Some(name.map_or("[Function (anonymous)]".to_owned(), |name| {
                format!("[Function: {name}]")
            }));
        }
        if value.is_error() {
            let text = crate::raised::error_text(self.peek, object);
            return Some(if self.above.is_empty() {
                text
            } else {
                format!("[{}]", text.lines().next()?)
            });
        }
        if let Some(promise) = value.as_promise() {
            return Some(format!(
                "Promise {{ <{}> }}",
                format!("{:?}", promise.state()).to_lowercase()
            ));
        }
        if self.peek.made(object).ok()? != Made::Other {
            let time: f64 = self.peek.call("time", value)?;
            let date = self.peek.call("iso", value).filter(|_| time.is_finite());
            return Some(date.unwrap_or_else(|| "Invalid Date".to_owned()));
        }
        let source: String = self.peek.call("pattern", value)?;
        let flags: String = self.peek.call("flags", value).unwrap_or_default();
        Some(format!("/{source}/{flags}"))
    }

    fn list(&mut self, object: &Object<'js>) {
        let length = length(object).unwrap_or_default();
        self.class(object, "Array");
        self.places(object, length);
    }

    /// The items of an array, of whatever kind.
    fn places(&mut self, object: &Object<'js>, length: usize) {
        if length == 0 {
            return self.push("[]");
        }
        self.push("[ ");
        for index in 0..length.min(MAX_PARTS) {
            if index > 0 {
                self.push(", ");
            }
            match self.peek.item(object, index) {
                Ok(own) => self.member(own),
                Err(_) => self.push("[unreadable]"),
            }
            if self.is_full() {
                return;
            }
        }
        if length > MAX_PARTS {
            self.push(&format!(", ... {} more", length - MAX_PARTS));
        }
        self.push(" ]");
    }

    fn record(&mut self, object: &Object<'js>) {
        self.class(object, "Object");
        let keys = object.own_keys::<Atom>(Filter::default());
        let mut shown = 0;
        for key in keys.filter_map(|key| key.and_then(|key| key.to_value()).ok()) {
            self.push(if shown == 0 { "{ " } else { ", " });
            if shown == MAX_PARTS {
                self.push("...");
                break;
            }
            shown += 1;
            let name = self.peek.text(&key).unwrap_or_default();
            self.push(&if is_plain(&name) { name } else { quoted(&name) });
            self.push(": ");
            match self.peek.own(object, key) {
                Ok(own) => self.member(own),
                Err(_) => self.push("[unreadable]"),
            }
            if self.is_full() {
                return;
            }
        }
        self.push(if shown == 0 { "{}" } else { " }" });
    }

    fn member(&mut self, own: Own<'js>) {
        match own {
            Own::Value(value) => self.value(&value),
            Own::Accessor {
                get: true,
                set: true,
            } => self.push("[Getter/Setter]"),
            Own::Accessor { get: true, .. } => self.push("[Getter]"),
            Own::Accessor { .. } => self.push("[Setter]"),
            Own::Nothing => self.push("<empty>"),
        }
    }

    /// Shows the class of an instance, unless it is the `usual` one.
    fn class(&mut self, object: &Object<'js>, usual: &str) {
        if let Some(class) = self
            .peek
            .classes(object)
            .first()
            .filter(|class| *class != usual)
        {
            self.push(&format!("{class} "));
        }
    }

    /// Shows a map, a set or a typed array, if it is one.
    fn collection(&mut self, value: &Value<'js>) -> bool {
        if let Some(size) = self.peek.call::<usize>("mapSize", value) {
            self.entries(value, &format!("Map({size})"), "mapEach");
        } else if let Some(size) = self.peek.call::<usize>("setSize", value) {
            self.entries(value, &format!("Set({size})"), "setEach");
        } else if let (Some(name), Some(length)) = (
            self.peek.call::<String>("typedName", value),
            self.peek.call::<usize>("typedLength", value),
        ) {
            self.push(&format!("{name}({length}) "));
            if let Some(object) = value.as_object() {
                self.places(object, length);
            }
        } else {
            return false;
        }
        true
    }

    /// Shows what a map or a set has.
    fn entries(&mut self, value: &Value<'js>, title: &str, each: &str) {
        let mut entries = Vec::new();
        if let Ok(list) = Array::new(value.ctx().clone()) {
            // A map's `forEach` gives value and key; a set's gives the value twice.
            let kept = list.clone();
            let add = move |value: Value<'js>, key: Value<'js>| {
                let next = kept.len();
                if next < 2 * MAX_PARTS {
                    kept.set(next, key)?;
                    kept.set(next + 1, value)?;
                }
                rquickjs::Result::Ok(())
            };
            let add = Function::new(value.ctx().clone(), add);
            let each = self.peek.kept::<Function>(each);
            if let (Ok(add), Ok(each)) = (add, each) {
                let _ = each.call::<_, Value>((This(value.clone()), add));
            }
            entries.extend((0..list.len()).filter_map(|index| list.get::<Value>(index).ok()));
        }
        self.push(title);
        self.push(if entries.is_empty() { " {}" } else { " { " });
        for (index, entry) in entries.chunks(2).enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.value(&entry[0]);
            if each == "mapEach" {
                self.push(" => ");
                self.value(&entry[1]);
            }
        }
        if !entries.is_empty() {
            self.push(" }");
        }
    }

    /// Shows an instance of one of our own classes, if it is one.
    fn ours(&mut self, value: &Value<'js>) -> bool {
        let Ok(shown) = self.peek.kept::<Vec<Function>>("shown") else {
            return false;
        };
        let found = shown
            .into_iter()
            .find_map(|shown| shown.call::<_, Option<Object>>((value.clone(),)).ok()?);
        let Some((parts, object)) = found.zip(value.as_object()) else {
            return false;
        };
        self.class(object, "Object");
        self.record(&parts);
        true
    }
}

/// A text in quotes, the first kind of which none is in it.
fn quoted(text: &str) -> String {
    let quote = ['\'', '"', '`']
        .into_iter()
        .find(|quote| !text.contains(*quote))
        .unwrap_or('\'');
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for letter in text.chars() {
        match letter {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            _ if letter == quote => quoted.extend(['\\', quote]),
            _ if letter.is_control() => quoted.push_str(&format!("\\x{:02X}", letter as u32)),
            _ => quoted.push(letter),
        }
    }
    quoted.push(quote);
    quoted
}

fn is_plain(name: &str) -> bool {
    let mut letters = name.chars();
    let begins = |letter: char| letter.is_alphabetic() || letter == '_' || letter == '$';
    letters.next().is_some_and(begins)
        && letters.all(|letter| begins(letter) || letter.is_ascii_digit())
}
