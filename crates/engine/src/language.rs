//! The words of expressions: which functions, filters and tests there are, and what they do.
//!
//! The tables are the language: a word that is not in them is refused when a program is checked.

mod convert;
mod work;

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use crate::date::Date;
use crate::value::{ITEM, MAX_SIZE, Value};

pub(crate) use work::begin;

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
        "eq",
        "the same as another, for `selectattr` and its like; also `ne`, `gt`, `ge`, `lt` and `le`",
        (
            "[{'a':1},{'a':2}] | selectattr('a','eq',2) | list",
            r#"[{"a":2}]"#,
        ),
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
        "ge",
        "greater than another, or the same",
        ("[1,2,3] | select('ge',2) | list", "[2,3]"),
    ),
    word(
        "gt",
        "greater than another",
        ("[1,2,3] | select('gt',2) | list", "[3]"),
    ),
    word(
        "in",
        "an item of a list, or a part of a text",
        ("1 is in [1,2]", "true"),
    ),
    word("integer", "a whole number", ("1 is integer", "true")),
    word(
        "le",
        "less than another, or the same",
        ("[1,2,3] | select('le',2) | list", "[1,2]"),
    ),
    word(
        "like",
        "the same text without regard to case and outer blanks; for others, the same",
        ("' Yes' is like 'yes'", "true"),
    ),
    word(
        "lt",
        "less than another",
        ("[1,2,3] | select('lt',2) | list", "[1]"),
    ),
    word("mapping", "a record", ("{} is mapping", "true")),
    word(
        "ne",
        "not the same as another",
        ("[1,2,3] | select('ne',2) | list", "[1,3]"),
    ),
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
    language.add_filter("join", join);
    language.add_filter("string", shown);
    // What these do is written into every expression; see `crate::expr::guard`.
    language.add_filter("measured", measured);
    language.add_filter("ordered", ordered);
    language.add_filter("shown", shown);
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

fn wrong(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

fn ours(value: minijinja::Value) -> Result<Value, Error> {
    Value::try_from(value).map_err(wrong)
}

/// The value itself, if all of it comes to no more than a value may.
fn measured(value: minijinja::Value) -> Result<minijinja::Value, Error> {
    convert::measured(&value).map_err(wrong)?;
    Ok(value)
}

/// The value itself, if it is less, greater or the same in relation to another.
fn ordered(value: minijinja::Value, other: minijinja::Value) -> Result<minijinja::Value, Error> {
    let kind = |value: &minijinja::Value| match value.kind() {
        ValueKind::Iterable => ValueKind::Seq,
        kind => kind,
    };
    let known = !matches!(
        kind(&value),
        ValueKind::None | ValueKind::Map | ValueKind::Undefined
    );
    if kind(&value) == kind(&other) && known {
        return Ok(value);
    }
    if value.is_undefined() || other.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let (left, right) = (ours(value)?, ours(other)?);
    Err(wrong(format!(
        "{} and {} have no order",
        left.described(),
        right.described()
    )))
}

/// The value as it stands inside text.
fn shown(value: minijinja::Value) -> Result<minijinja::Value, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    if value.as_str().is_some() {
        return Ok(value);
    }
    Ok(ours(value)?.to_string().into())
}

/// The items of a list, or the characters of a text, as one text.
fn join(items: minijinja::Value, between: Option<&str>) -> Result<String, Error> {
    let mut text = String::new();
    for (at, item) in items.try_iter()?.enumerate() {
        if at > 0 {
            text.push_str(between.unwrap_or_default());
        }
        match item.as_str() {
            Some(item) => text.push_str(item),
            None => {
                let _ = write!(text, "{}", ours(item)?);
            }
        }
        if text.len() > MAX_SIZE {
            return Err(wrong("the text grows larger than a value may be"));
        }
    }
    Ok(text)
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
    let (a, b) = (ours(a)?, ours(b)?);
    work::did((a.size() + b.size()) / ITEM).map_err(wrong)?;
    match (a, b) {
        (Value::List(a), Value::List(b)) => {
            let mut known: HashMap<u64, Vec<&Value>> = HashMap::new();
            for item in a.iter() {
                known.entry(item.likeness()).or_default().push(item);
            }
            let same = |item: &Value| {
                let alike = known.get(&item.likeness());
                alike.is_some_and(|alike| alike.iter().any(|other| other.same(item)))
            };
            Ok(b.iter().any(same))
        }
        (a, b) => Err(wrong(format!(
            "lists share items, and these are {} and {}",
            a.described(),
            b.described()
        ))),
    }
}
