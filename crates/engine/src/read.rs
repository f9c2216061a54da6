//! Reads a node of a program by the schema of what it should be: everything that is wrong with it is
//! found in one pass, and what is right comes out as JSON that the settings' type deserialises.
//!
//! Settings that are evaluated, steps inside and literals are kept aside and stand in the JSON as
//! numbers; see [`crate::field`].

mod evaluated;
mod packages;
mod written;

pub(crate) use written::Written;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::document::{Content, Key, Node};
use crate::field::{duration, size};
use crate::problem::{MAX_PROBLEMS, Place, Problem, Source, nearest};
use crate::template::Template;
use crate::value::Value;

/// The most expressions a program may have.
pub const MAX_EXPRESSIONS: usize = 20_000;

/// What a name in a program is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A variable that is read; the name is its expression name.
    Use,
    /// A variable that is made.
    Make,
    /// A variable to be shown in the result.
    Show,
    /// A function that is called.
    Function,
    /// An input of the function that is called.
    Argument,
    /// An output of the function that is called.
    Result,
    /// An output of the function that returns.
    Return,
    /// Code, which may make variables.
    Code,
}

/// A name met while reading.
#[derive(Clone, Debug)]
pub struct Mark {
    /// What it is there for.
    pub role: Role,
    /// The name.
    pub name: Arc<str>,
    /// Where it stands.
    pub place: Place,
    /// What is given under that name: the number of the setting, and where it stands.
    pub given: Option<(usize, Place)>,
}

/// Steps met while reading, to be planned next.
pub struct Nested<'n> {
    /// The number they have in the plan.
    pub at: usize,
    /// The steps.
    pub node: &'n Node,
    /// Whether they may run many times.
    pub repeats: bool,
}

/// What reading a program gathers.
pub struct Reader<'n> {
    /// The program's text.
    pub source: &'n Source,
    /// Everything wrong so far.
    pub problems: Vec<Problem>,
    /// The settings that are evaluated, by number.
    pub inputs: Vec<(Template, &'static str)>,
    /// The literals, by number.
    pub literals: Vec<Value>,
    /// How many expressions there are.
    pub expressions: usize,
    /// How many blocks of steps there are.
    pub blocks: usize,
    /// Names met since the last step was finished.
    pub marks: Vec<Mark>,
    /// Blocks met since the last step was finished.
    pub nested: Vec<Nested<'n>>,
    /// The packages that the step being read names.
    pub packages: Vec<String>,
    /// The variables visible to the step being read: expression name by exact name.
    pub visible: HashMap<Arc<str>, Arc<str>>,
}

impl<'n> Reader<'n> {
    /// A reader of `source` that has read nothing.
    pub fn new(source: &'n Source) -> Reader<'n> {
        Reader {
            source,
            problems: Vec::new(),
            inputs: Vec::new(),
            literals: Vec::new(),
            expressions: 0,
            blocks: 0,
            marks: Vec::new(),
            nested: Vec::new(),
            packages: Vec::new(),
            visible: HashMap::new(),
        }
    }

    /// Notes a problem.
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Notes a problem, with `help` unless it has some already.
    pub fn problem_or(&mut self, problem: Problem, help: impl FnOnce() -> String) {
        self.problem(match problem.help {
            None => problem.help(help()),
            Some(_) => problem,
        });
    }

    /// Reads what stands at `label` by its schema.
    pub fn read(&mut self, schema: &Json, node: &'n Node, label: &str) -> Json {
        if matches!(node.content, Content::Broken) {
            return Json::Null;
        }
        if let Some(alternatives) = schema.get("anyOf").and_then(Json::as_array) {
            return match self.alternative(alternatives, node) {
                Some(schema) => self.read(schema, node, label),
                None => Json::Null,
            };
        }
        if let Some(field) = schema["x-field"].as_str() {
            return self.field(field, schema, node, label);
        }
        if let Some(role) = schema["x-pairs"].as_str() {
            return self.pairs(role, schema, node, label);
        }
        if let Some(variants) = schema.get("oneOf").and_then(Json::as_array) {
            return self.variant(variants, node, label);
        }
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
            return self.word(&words, node, label);
        }
        match schema_type(schema) {
            "object" if schema.get("properties").is_some() => self.object(schema, node, label),
            "object" => self.map(&schema["additionalProperties"], node, label),
            "array" => self.array(&schema["items"], node, label),
            kind => self.plain(kind, schema, node, label),
        }
    }

    /// Of several ways to write a setting, the one that this node is written in.
    fn alternative<'s>(&self, schemas: &'s [Json], node: &Node) -> Option<&'s Json> {
        fn shape(schema: &Json) -> &str {
            if schema.get("x-pairs").is_some() {
                "object"
            } else {
                schema_type(schema)
            }
        }
        let wanted = match &node.content {
            Content::Record(_) => "object",
            Content::List(_) => "array",
            Content::Nothing => "null",
            _ => "",
        };
        let exact = schemas.iter().find(|schema| shape(schema) == wanted);
        match (exact, wanted) {
            (Some(schema), "null") if schema_type(schema) == "null" => None,
            (Some(schema), _) => Some(schema),
            (None, _) => schemas
                .iter()
                .find(|schema| !matches!(shape(schema), "object" | "null")),
        }
    }

    fn field(&mut self, field: &str, schema: &Json, node: &'n Node, label: &str) -> Json {
        match field {
            "input" => self.input(schema, node, label),
            "output" => self.name(&[Role::Make], node, label),
            "function" => self.name(&[Role::Function], node, label),
            "code" => self.name(&[Role::Code], node, label),
            "block" => self.block(schema["x-repeats"].as_bool().unwrap_or(false), node, label),
            "literal" => {
                self.literals.push(node.value());
                (self.literals.len() - 1).into()
            }
            "time" => self.time(node, label),
            "size" => self.size(node, label),
            "packages" => self.packages(node, label),
            "kept" => self.names(&[Role::Result, Role::Make], node, label),
            _ => self.names(&[Role::Show], node, label),
        }
    }

    fn block(&mut self, repeats: bool, node: &'n Node, label: &str) -> Json {
        if !matches!(node.content, Content::List(_)) {
            let help = match &node.content {
                Content::Record(members) => match members.first() {
                    Some((key, _)) if key.text.starts_with('-') => "write a blank after the dash",
                    _ => "begin each step with a dash: `- `",
                },
                Content::Nothing => "for no steps at all write `[]`",
                _ => "",
            };
            self.wrong_but(node, label, "a list of steps", help);
        }
        let at = self.blocks;
        self.blocks += 1;
        self.nested.push(Nested { at, node, repeats });
        at.into()
    }

    fn name(&mut self, roles: &[Role], node: &'n Node, label: &str) -> Json {
        let Content::Text(text) = &node.content else {
            let code = roles.contains(&Role::Code);
            self.wrong(node, label, if code { "code" } else { "a name" });
            return Json::Null;
        };
        for role in roles {
            self.mark(*role, text.clone(), node.place);
        }
        (&**text).into()
    }

    fn names(&mut self, roles: &[Role], node: &'n Node, label: &str) -> Json {
        let names = match &node.content {
            Content::List(items) => items.iter().collect(),
            Content::Text(_) => vec![node],
            _ => {
                self.wrong(node, label, "a list of names");
                return Json::Null;
            }
        };
        let read = |name| self.name(roles, name, label);
        names.into_iter().map(read).collect()
    }

    /// Notes a name.
    fn mark(&mut self, role: Role, name: Arc<str>, place: Place) {
        self.marks.push(Mark {
            role,
            name,
            place,
            given: None,
        });
    }

    fn size(&mut self, node: &Node, label: &str) -> Json {
        let text = amount(node);
        if size(&text).is_none_or(|bytes| bytes == 0) {
            let wanted = "a number of bytes, such as `512MB` or `2GB`";
            self.wrong(node, label, wanted);
        }
        text.into()
    }

    fn time(&mut self, node: &Node, label: &str) -> Json {
        let text = amount(node);
        if duration(&text).is_none_or(|time| time.is_zero()) {
            let wanted = "a length of time, such as `30s` or `5 minutes`";
            self.wrong(node, label, wanted);
        }
        text.into()
    }

    fn pairs(&mut self, role: &str, schema: &Json, node: &'n Node, label: &str) -> Json {
        let Content::Record(members) = &node.content else {
            self.wrong(node, label, "a record");
            return Json::Null;
        };
        let role = match role {
            "argument" => Role::Argument,
            "result" => Role::Result,
            "returned" => Role::Return,
            _ => Role::Make,
        };
        let mut pairs = Vec::new();
        for (key, value) in members {
            let place = value.place;
            let value = self.read(&schema["additionalProperties"], value, &key.text);
            self.marks.push(Mark {
                role,
                name: key.text.clone(),
                place: key.place,
                given: value.as_u64().map(|at| (at as usize, place)),
            });
            pairs.push(Json::Array(vec![(&*key.text).into(), value]));
        }
        Json::Array(pairs)
    }

    fn map(&mut self, schema: &Json, node: &'n Node, label: &str) -> Json {
        let Content::Record(members) = &node.content else {
            self.wrong(node, label, "a record");
            return Json::Null;
        };
        let read = |(key, value): &'n (Key, Node)| {
            (key.text.to_string(), self.read(schema, value, &key.text))
        };
        Json::Object(members.iter().map(read).collect())
    }

    fn array(&mut self, items: &Json, node: &'n Node, label: &str) -> Json {
        let Content::List(nodes) = &node.content else {
            self.wrong(node, label, "a list");
            return Json::Null;
        };
        nodes
            .iter()
            .map(|node| self.read(items, node, label))
            .collect()
    }

    fn plain(&mut self, kind: &str, schema: &Json, node: &Node, label: &str) -> Json {
        match (kind, &node.content) {
            ("boolean", Content::Boolean(truth)) => (*truth).into(),
            ("integer", Content::Integer(number)) => {
                let bound = |name: &str, other| schema[name].as_u64().unwrap_or(other);
                let (min, max) = (bound("minimum", 0), bound("maximum", u64::MAX));
                match u64::try_from(*number) {
                    Ok(number) if (min..=max).contains(&number) => number.into(),
                    _ => {
                        let wanted = match *number < i128::from(min) {
                            true => format!("a whole number of {min} or more"),
                            false => format!("a whole number of {max} or less"),
                        };
                        self.wrong(node, label, &wanted);
                        Json::Null
                    }
                }
            }
            ("string", Content::Text(text)) => (&**text).into(),
            ("string", Content::Integer(_) | Content::Float(_)) => node.value().to_string().into(),
            _ => {
                let wanted = match kind {
                    "boolean" => "`true` or `false`",
                    "integer" => "a whole number",
                    _ => "a text",
                };
                self.wrong(node, label, wanted);
                Json::Null
            }
        }
    }

    fn wrong(&mut self, node: &Node, label: &str, wanted: &str) {
        let help = match &node.content {
            Content::Text(text) => unquoted(wanted, text),
            _ => None,
        };
        self.wrong_but(node, label, wanted, help.unwrap_or_default());
    }

    fn wrong_but(&mut self, node: &Node, label: &str, wanted: &str, help: &str) {
        if matches!(node.content, Content::Broken) {
            return;
        }
        let what = match &node.content {
            Content::Integer(number) => format!("`{number}`"),
            Content::Float(number) => format!("`{number}`"),
            _ => node.described().to_owned(),
        };
        let message = format!("{} takes {wanted}, and this is {what}", called(label));
        let problem = Problem::new(node.place, message);
        self.problem(match help {
            "" => problem,
            help => problem.help(help),
        });
    }

    fn word(&mut self, words: &[&str], node: &Node, label: &str) -> Json {
        let Content::Text(text) = &node.content else {
            self.wrong(node, label, &one_of(words));
            return Json::Null;
        };
        if words.contains(&&**text) {
            return (&**text).into();
        }
        let message = format!("{} cannot be `{}`", called(label), cut(text));
        let problem = Problem::new(node.place, message).did_you_mean(text, words.iter().copied());
        self.problem_or(problem, || format!("it is {}", one_of(words)));
        Json::Null
    }

    /// Reads a choice: a word, a record with one member named after the choice, or a record whose
    /// member with a fixed value says which it is.
    fn variant(&mut self, variants: &[Json], node: &'n Node, label: &str) -> Json {
        if variants
            .iter()
            .all(|variant| variant.get("const").is_some())
        {
            let words: Vec<&str> = variants
                .iter()
                .filter_map(|v| v["const"].as_str())
                .collect();
            return self.word(&words, node, label);
        }
        let names: Vec<&str> = variants.iter().filter_map(only_member).collect();
        let (name, place, value) = match &node.content {
            Content::Text(text) => (text.clone(), node.place, None),
            Content::Record(members) if members.len() == 1 => (
                members[0].0.text.clone(),
                members[0].0.place,
                Some(&members[0].1),
            ),
            _ => {
                self.wrong(node, label, &one_of(&names));
                return Json::Null;
            }
        };
        let Some(variant) = variants.iter().find(|v| only_member(v) == Some(&name)) else {
            let message = format!("{} has no `{}`", called(label), cut(&name));
            let problem = Problem::new(place, message).did_you_mean(&name, names.iter().copied());
            self.problem_or(problem, || format!("it can be {}", one_of(&names)));
            return Json::Null;
        };
        let read = match value.filter(|value| !matches!(value.content, Content::Nothing)) {
            Some(value) => self.read(&variant["properties"][&*name], value, &name),
            None => Json::Object(Map::new()),
        };
        Json::Object(Map::from_iter([(name.to_string(), read)]))
    }

    fn object(&mut self, schema: &Json, node: &'n Node, label: &str) -> Json {
        let members = match &node.content {
            Content::Record(members) => &members[..],
            Content::Nothing if schema["required"].is_array() => &[],
            _ => {
                self.wrong(node, label, "a record");
                return Json::Null;
            }
        };
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let mut read = Map::new();
        for (key, value) in members {
            let name = match properties.contains_key(&*key.text) {
                true => Some(&*key.text),
                false => self.unknown(key, label, properties.keys().map(String::as_str)),
            };
            // What is misspelt is read as what was meant, so that it is the only problem.
            let meant = name.filter(|name| **name == *key.text || node.member(name).is_none());
            if let Some((name, schema)) = meant.and_then(|name| properties.get_key_value(name)) {
                read.insert(name.clone(), self.read(schema, value, name));
            }
        }
        self.lacking(schema, &read, node.head(), label);
        Json::Object(read)
    }

    /// Notes a setting that is not known, and gives the one that was meant, if one is near.
    pub fn unknown<'a>(
        &mut self,
        key: &Key,
        label: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Option<&'a str> {
        let message = format!("{} has no setting `{}`", called(label), cut(&key.text));
        let known: Vec<&str> = known.collect();
        let near = nearest(&key.text, known.iter().copied());
        let help = match (near, &known[..]) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "it has none".to_owned(),
            (None, known) => format!("it has {}", listed(known)),
        };
        self.problem(Problem::new(key.place, message).help(help));
        near
    }

    /// Notes the settings that must be given and are not.
    pub fn lacking(&mut self, schema: &Json, given: &Map<String, Json>, at: Place, label: &str) {
        let required = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        for name in required.filter(|name| !given.contains_key(*name)) {
            let problem = Problem::new(at, format!("{} lacks `{name}`", called(label)));
            let about = schema["properties"][name]["description"].as_str();
            let first = about.and_then(|text| text.split(['.', '\n']).next());
            self.problem(match first {
                Some(line) => problem.help(format!("`{name}`: {}", lower(line))),
                None => problem,
            });
        }
    }
}

/// A number with its unit, as written.
fn amount(node: &Node) -> String {
    match &node.content {
        Content::Text(_) | Content::Integer(_) | Content::Float(_) => node.value().to_string(),
        _ => String::new(),
    }
}

/// What to do where a text stands in place of something that would be it without quotes, or as a list.
fn unquoted(wanted: &str, text: &str) -> Option<&'static str> {
    let plain = match wanted {
        _ if wanted.contains("number") => crate::types::number(text).is_some(),
        "`true` or `false`" => {
            return Some("write `true` or `false`, without quotes");
        }
        _ => false,
    };
    plain.then_some("write it without quotes")
}

/// What has settings, in messages.
fn called(label: &str) -> String {
    match label {
        "program" => "the program".to_owned(),
        label => format!("`{}`", cut(label)),
    }
}

/// A choice, in messages.
pub fn one_of(names: &[&str]) -> String {
    match names {
        [name] => format!("`{name}`"),
        names => format!("one of {}", listed(names)),
    }
}

/// A sentence's beginning inside another.
pub fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

/// The type of a schema, the one beside `null` where it may be that too.
fn schema_type(schema: &Json) -> &str {
    match &schema["type"] {
        Json::String(name) => name,
        Json::Array(names) => names
            .iter()
            .filter_map(Json::as_str)
            .find(|name| *name != "null")
            .unwrap_or(""),
        _ => "",
    }
}

fn only_member(variant: &Json) -> Option<&str> {
    variant["properties"]
        .as_object()?
        .keys()
        .next()
        .map(String::as_str)
}

/// Names in a row: `a`, `b` and `c`.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A user's text in a message: at most 80 characters, control characters made visible.
pub fn cut(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == 80 {
            shown.push('…');
            break;
        }
        match c.is_control() {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}
