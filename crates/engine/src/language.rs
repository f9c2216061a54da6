//! The words of expressions: which functions, filters and tests there are, and what they do.
//!
//! The tables are the language: a word that is not in them is refused when a program is checked.

use std::sync::{Arc, LazyLock};

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use crate::date::Date;
use crate::value::{List, MAX_DEPTH, Record, Value};

/// How much work one evaluation may do, in the library's units: about one for each operation and each
/// item that a filter touches.
const FUEL: u64 = 1_000_000;

/// A word of the language, with its line of documentation.
pub struct Word {
    /// What expressions call it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// An expression that uses it, and what that gives, as JSON.
    pub example: (&'static str, &'static str),
}

const fn word(
    name: &'static str,
    about: &'static str,
    example: (&'static str, &'static str),
) -> Word {
    Word {
        name,
        about,
        example,
    }
}

/// The functions.
pub const FUNCTIONS: &[Word] = &[
    word(
        "range",
        "whole numbers up to, but not including, the last",
        ("range(2, 5)", "[2,3,4]"),
    ),
    word(
        "dict",
        "a record of the named arguments",
        ("dict(a=1)", r#"{"a":1}"#),
    ),
];

/// The filters: `value | filter`.
pub const FILTERS: &[Word] = &[
    word("abs", "a number without its sign", ("-2 | abs", "2")),
    word(
        "batch",
        "a list cut into lists of a length",
        ("[1,2,3] | batch(2)", "[[1,2],[3]]"),
    ),
    word(
        "bool",
        "whether a value counts as true",
        ("[] | bool", "false"),
    ),
    word(
        "capitalize",
        "a text with its first letter large, the rest small",
        ("'heLLo' | capitalize", r#""Hello""#),
    ),
    word(
        "default",
        "another value where there is none",
        ("none | default('x', true)", r#""x""#),
    ),
    word(
        "dictsort",
        "a record as a list of pairs, sorted by name",
        ("{'b':1,'a':2} | dictsort", r#"[["a",2],["b",1]]"#),
    ),
    word("first", "the first item", ("[1,2] | first", "1")),
    word(
        "float",
        "a number with a fraction, read from text if need be",
        ("'1.5' | float", "1.5"),
    ),
    word(
        "folded",
        "a text without outer blanks and in small letters, for comparing without regard to case; of a list, every item",
        ("' Ab ' | folded", r#""ab""#),
    ),
    word(
        "groupby",
        "records grouped by one of their members",
        ("[{'a':1},{'a':1}] | groupby('a') | length", "1"),
    ),
    word(
        "indent",
        "a text with its lines moved right",
        ("'a' | indent(2, true)", r#""  a""#),
    ),
    word(
        "int",
        "a whole number, read from text if need be",
        ("'42' | int", "42"),
    ),
    word(
        "items",
        "a record as a list of pairs",
        ("{'a':1} | items", r#"[["a",1]]"#),
    ),
    word(
        "join",
        "the items as one text, with something between them",
        ("['a','b'] | join('-')", r#""a-b""#),
    ),
    word("last", "the last item", ("[1,2] | last", "2")),
    word(
        "length",
        "how many characters, items or members",
        ("'abc' | length", "3"),
    ),
    word(
        "lines",
        "a text as a list of its lines",
        ("'a\\nb' | lines", r#"["a","b"]"#),
    ),
    word(
        "list",
        "a list of what can be gone through",
        ("'ab' | list", r#"["a","b"]"#),
    ),
    word("lower", "small letters", ("'AB' | lower", r#""ab""#)),
    word(
        "map",
        "every item through a filter, or one member of every item",
        ("[{'a':1}] | map(attribute='a') | list", "[1]"),
    ),
    word("max", "the largest item", ("[1,3,2] | max", "3")),
    word("min", "the smallest item", ("[3,1,2] | min", "1")),
    word(
        "reject",
        "the items for which a test does not hold",
        ("[1,2] | reject('odd') | list", "[2]"),
    ),
    word(
        "rejectattr",
        "the records for whose member a test does not hold",
        (
            "[{'a':1},{'a':2}] | rejectattr('a','odd') | list",
            r#"[{"a":2}]"#,
        ),
    ),
    word(
        "replace",
        "a text with every occurrence replaced",
        ("'aba' | replace('a','c')", r#""cbc""#),
    ),
    word(
        "reverse",
        "the other way round",
        ("[1,2] | reverse", "[2,1]"),
    ),
    word(
        "round",
        "a number rounded to some places",
        ("2.345 | round(1)", "2.3"),
    ),
    word(
        "select",
        "the items for which a test holds",
        ("[1,2] | select('odd') | list", "[1]"),
    ),
    word(
        "selectattr",
        "the records for whose member a test holds",
        (
            "[{'a':1},{'a':2}] | selectattr('a','odd') | list",
            r#"[{"a":1}]"#,
        ),
    ),
    word(
        "slice",
        "a list cut into a number of lists",
        ("[1,2,3] | slice(2)", "[[1,2],[3]]"),
    ),
    word("sort", "the items in order", ("[2,1] | sort", "[1,2]")),
    word(
        "split",
        "a text cut at every occurrence",
        ("'a-b' | split('-') | list", r#"["a","b"]"#),
    ),
    word("string", "the value as text", ("12 | string", r#""12""#)),
    word("sum", "the items added up", ("[1,2] | sum", "3")),
    word(
        "title",
        "every word with a large first letter",
        ("'a bc' | title", r#""A Bc""#),
    ),
    word(
        "tojson",
        "the value as JSON text",
        ("[1] | tojson", r#""[1]""#),
    ),
    word(
        "trim",
        "a text without outer blanks",
        ("' a ' | trim", r#""a""#),
    ),
    word("unique", "every item once", ("[1,1,2] | unique", "[1,2]")),
    word("upper", "large letters", ("'ab' | upper", r#""AB""#)),
    word(
        "urlencode",
        "a text as it stands in a URL",
        ("'a b' | urlencode", r#""a%20b""#),
    ),
    word(
        "zip",
        "lists walked together, item with item",
        ("[1,2] | zip([3,4]) | list", "[[1,3],[2,4]]"),
    ),
];

/// The tests: `value is test`.
pub const TESTS: &[Word] = &[
    word(
        "after",
        "a date later than another",
        ("'2020-01-02' is after '2020-01-01'", "true"),
    ),
    word(
        "before",
        "a date earlier than another",
        ("'2020-01-01' is before '2020-01-02'", "true"),
    ),
    word("boolean", "true or false", ("true is boolean", "true")),
    word(
        "containing",
        "a text that holds another, a list that holds an item",
        ("['a','b'] is containing 'a'", "true"),
    ),
    word(
        "defined",
        "a member that is there",
        ("{'a':1}.b is defined", "false"),
    ),
    word(
        "divisibleby",
        "a whole number that another divides",
        ("6 is divisibleby 3", "true"),
    ),
    word(
        "empty",
        "nothing, or a text, list or record with nothing in it",
        ("'' is empty", "true"),
    ),
    word(
        "endingwith",
        "a text that ends with another",
        ("'abc' is endingwith 'c'", "true"),
    ),
    word("even", "an even number", ("2 is even", "true")),
    word(
        "filled",
        "the opposite of `empty`",
        ("[0] is filled", "true"),
    ),
    word(
        "float",
        "a number with a fraction",
        ("1.0 is float", "true"),
    ),
    word(
        "in",
        "an item of a list, or a part of a text",
        ("1 is in [1,2]", "true"),
    ),
    word("integer", "a whole number", ("1 is integer", "true")),
    word(
        "like",
        "the same text without regard to case and outer blanks; for others, the same",
        ("' Yes' is like 'yes'", "true"),
    ),
    word("mapping", "a record", ("{} is mapping", "true")),
    word("none", "nothing", ("none is none", "true")),
    word("number", "a number", ("1 is number", "true")),
    word("odd", "an odd number", ("3 is odd", "true")),
    word("sequence", "a list", ("[] is sequence", "true")),
    word(
        "sharing",
        "a list that has an item in common with another",
        ("[1,2] is sharing [2,3]", "true"),
    ),
    word(
        "startingwith",
        "a text that begins with another",
        ("'abc' is startingwith 'a'", "true"),
    ),
    word("string", "a text", ("'a' is string", "true")),
    word(
        "undefined",
        "a member that is not there",
        ("{}.a is undefined", "true"),
    ),
];

/// Words that no variable can be called in an expression.
pub const RESERVED: &[&str] = &[
    "and", "else", "false", "False", "if", "in", "is", "none", "None", "not", "or", "true", "True",
];

/// The language itself, with every word of the tables.
pub(crate) static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    language.set_undefined_behavior(UndefinedBehavior::Strict);
    language.set_fuel(Some(FUEL));
    language.set_debug(false);
    language.add_filter("folded", folded);
    language.add_test("after", |a: minijinja::Value, b: minijinja::Value| {
        compared(a, b, |a, b| a > b)
    });
    language.add_test("before", |a: minijinja::Value, b: minijinja::Value| {
        compared(a, b, |a, b| a < b)
    });
    language.add_test("containing", containing);
    language.add_test("empty", |value: minijinja::Value| {
        filled(value).map(|filled| !filled)
    });
    language.add_test("filled", filled);
    language.add_test("like", |a: minijinja::Value, b: minijinja::Value| {
        Ok::<_, Error>(ours(folded(a)?)?.same(&ours(folded(b)?)?))
    });
    language.add_test("sharing", sharing);
    language
});

fn ours(value: minijinja::Value) -> Result<Value, Error> {
    Value::try_from(value).map_err(|why| Error::new(ErrorKind::InvalidOperation, why))
}

fn folded(value: minijinja::Value) -> Result<minijinja::Value, Error> {
    fn fold(value: &Value) -> Value {
        match value {
            Value::Text(text) => Value::text(text.trim().to_lowercase()),
            Value::List(list) => Value::list(list.iter().map(fold).collect()),
            other => other.clone(),
        }
    }
    Ok((&fold(&ours(value)?)).into())
}

fn filled(value: minijinja::Value) -> Result<bool, Error> {
    Ok(!value.is_undefined() && ours(value)?.has_value())
}

fn compared(
    a: minijinja::Value,
    b: minijinja::Value,
    holds: fn(&Date, &Date) -> bool,
) -> Result<bool, Error> {
    let date = |value: minijinja::Value| match ours(value)? {
        Value::Date(date) => Ok((*date).clone()),
        Value::Text(text) => text
            .parse::<Date>()
            .map_err(|why| Error::new(ErrorKind::InvalidOperation, why)),
        other => {
            let why = format!("dates are compared, and this is {}", other.described());
            Err(Error::new(ErrorKind::InvalidOperation, why))
        }
    };
    Ok(holds(&date(a)?, &date(b)?))
}

fn containing(whole: minijinja::Value, part: minijinja::Value) -> Result<bool, Error> {
    let part = ours(part)?;
    match ours(whole)? {
        Value::Text(text) => Ok(text.contains(&part.to_string())),
        Value::List(list) => Ok(list.iter().any(|item| item.same(&part))),
        Value::Record(record) => {
            Ok(matches!(&part, Value::Text(name) if record.contains_key(name)))
        }
        other => {
            let why = format!("{} holds nothing", other.described());
            Err(Error::new(ErrorKind::InvalidOperation, why))
        }
    }
}

fn sharing(a: minijinja::Value, b: minijinja::Value) -> Result<bool, Error> {
    match (ours(a)?, ours(b)?) {
        (Value::List(a), Value::List(b)) => Ok(a.iter().any(|x| b.iter().any(|y| x.same(y)))),
        (a, b) => {
            let why = format!(
                "lists share items, and these are {} and {}",
                a.described(),
                b.described()
            );
            Err(Error::new(ErrorKind::InvalidOperation, why))
        }
    }
}

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
        let value = converted(&value, 0)?;
        value.within_limits()?;
        Ok(value)
    }
}

fn converted(value: &minijinja::Value, depth: u32) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("the value is nested more than {MAX_DEPTH} deep"));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Value::Nothing),
        ValueKind::Bool => Ok(Value::Boolean(value.is_true())),
        ValueKind::Number => number(value),
        ValueKind::String => Ok(value.to_str().map_or(Value::Nothing, Value::Text)),
        _ => container(value, depth),
    }
}

fn number(value: &minijinja::Value) -> Result<Value, String> {
    if value.is_integer() {
        return i128::try_from(value.clone())
            .map(Value::Integer)
            .map_err(|_| "the number is too large to be kept exactly".to_owned());
    }
    let number = f64::try_from(value.clone()).map_err(|error| error.to_string())?;
    Value::float(number).ok_or_else(|| "the result is no number".to_owned())
}

fn container(value: &minijinja::Value, depth: u32) -> Result<Value, String> {
    if let Some(list) = value.downcast_object::<List>() {
        return Ok(Value::List(list));
    }
    if let Some(record) = value.downcast_object::<Record>() {
        return Ok(Value::Record(record));
    }
    if let Some(date) = value.downcast_object::<Date>() {
        return Ok(Value::Date(date));
    }
    let wrong = || format!("{} is no value a variable can hold", value.kind());
    match value.kind() {
        ValueKind::Map => value
            .try_iter()
            .map_err(|_| wrong())?
            .map(|key| {
                let member = value.get_item(&key).map_err(|error| error.to_string())?;
                Ok((key.to_string().into(), converted(&member, depth + 1)?))
            })
            .collect::<Result<Record, String>>()
            .map(Value::from),
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()
            .map_err(|_| wrong())?
            .map(|item| converted(&item, depth + 1))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::list),
        _ => Err(wrong()),
    }
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
