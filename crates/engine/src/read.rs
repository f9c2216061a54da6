//! Reads a node of a program by the schema of what it should be: everything that is wrong with it is
//! found in one pass, and what is right comes out as JSON that the settings' type deserialises.
//!
//! Settings that are evaluated, steps inside and literals are kept aside and stand in the JSON as
//! numbers; see [`crate::field`].

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::document::{Content, Key, Node};
use crate::expr::{Expr, Flaw};
use crate::field::duration;
use crate::problem::{Place, Problem, Source};
use crate::template::{Part, Piece, Template, parts};
use crate::value::Value;
use crate::variables::Name;

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
    /// How many blocks of steps there are.
    pub blocks: usize,
    /// Names met since the last step was finished.
    pub marks: Vec<Mark>,
    /// Blocks met since the last step was finished.
    pub nested: Vec<Nested<'n>>,
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
            blocks: 0,
            marks: Vec::new(),
            nested: Vec::new(),
            visible: HashMap::new(),
        }
    }

    /// Notes a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reads what stands at `label` by its schema.
    pub fn read(&mut self, schema: &Json, node: &'n Node, label: &str) -> Json {
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
            "output" => self.name(Role::Make, node, label),
            "function" => self.name(Role::Function, node, label),
            "code" => self.name(Role::Code, node, label),
            "block" => self.block(schema["x-repeats"].as_bool().unwrap_or(false), node, label),
            "literal" => {
                self.literals.push(node.value());
                (self.literals.len() - 1).into()
            }
            "time" => self.time(node, label),
            "kept" => self.names(&[Role::Result, Role::Make], node, label),
            _ => self.names(&[Role::Show], node, label),
        }
    }

    fn block(&mut self, repeats: bool, node: &'n Node, label: &str) -> Json {
        if !matches!(node.content, Content::List(_)) {
            self.wrong(node, label, "a list of steps");
        }
        let at = self.blocks;
        self.blocks += 1;
        self.nested.push(Nested { at, node, repeats });
        at.into()
    }

    fn name(&mut self, role: Role, node: &'n Node, label: &str) -> Json {
        let Content::Text(text) = &node.content else {
            let wanted = if role == Role::Code { "code" } else { "a name" };
            self.wrong(node, label, wanted);
            return Json::Null;
        };
        self.marks.push(Mark {
            role,
            name: text.clone(),
            place: node.place,
        });
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
        let mut read = |name| {
            roles
                .iter()
                .map(|role| self.name(*role, name, label))
                .next_back()
        };
        names.into_iter().filter_map(&mut read).collect()
    }

    fn time(&mut self, node: &Node, label: &str) -> Json {
        let text = match &node.content {
            Content::Text(_) | Content::Integer(_) | Content::Float(_) => node.value().to_string(),
            _ => String::new(),
        };
        if duration(&text).is_none() {
            self.wrong(
                node,
                label,
                "a length of time, such as `30s` or `5 minutes`",
            );
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
            let value = self.read(&schema["additionalProperties"], value, &key.text);
            self.marks.push(Mark {
                role,
                name: key.text.clone(),
                place: key.place,
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
                let least = schema["minimum"].as_u64().unwrap_or(0);
                let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
                match u64::try_from(*number) {
                    Ok(number) if (least..=most).contains(&number) => return number.into(),
                    Ok(number) if number > most => {
                        self.wrong(node, label, &format!("a whole number up to {most}"));
                    }
                    _ => self.wrong(node, label, "a whole number, 1 or greater"),
                }
                Json::Null
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
        let message = format!("`{label}` takes {wanted}, and this is {}", node.described());
        self.problem(Problem::new(node.place, message));
    }

    fn word(&mut self, words: &[&str], node: &Node, label: &str) -> Json {
        let text = node.value().to_string();
        if words.contains(&&*text) {
            return text.into();
        }
        let message = format!("`{label}` cannot be `{}`", cut(&text));
        let problem = Problem::new(node.place, message).did_you_mean(&text, words.iter().copied());
        let all = format!("it is one of {}", listed(words));
        self.problem(if problem.help.is_some() {
            problem
        } else {
            problem.help(all)
        });
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
                self.wrong(node, label, &format!("one of {}", listed(&names)));
                return Json::Null;
            }
        };
        let Some(variant) = variants.iter().find(|v| only_member(v) == Some(&name)) else {
            let problem = Problem::new(place, format!("`{}` is not known here", cut(&name)))
                .help(format!("it is one of {}", listed(&names)));
            self.problem(problem);
            return Json::Null;
        };
        let read = match value.filter(|value| !matches!(value.content, Content::Nothing)) {
            Some(value) => self.read(&variant["properties"][&*name], value, &name),
            None => Json::Object(Map::new()),
        };
        Json::Object(Map::from_iter([(name.to_string(), read)]))
    }

    fn object(&mut self, schema: &Json, node: &'n Node, label: &str) -> Json {
        let Content::Record(members) = &node.content else {
            self.wrong(node, label, "a record");
            return Json::Null;
        };
        let properties = schema["properties"].as_object();
        let known = || {
            properties
                .into_iter()
                .flat_map(|map| map.keys().map(String::as_str))
        };
        let mut read = Map::new();
        for (key, value) in members {
            match properties.and_then(|map| map.get(&*key.text)) {
                Some(schema) => {
                    read.insert(key.text.to_string(), self.read(schema, value, &key.text));
                }
                None => self.unknown(key, label, known()),
            }
        }
        self.lacking(schema, &read, node.place, label);
        Json::Object(read)
    }

    /// Notes a setting that is not known.
    pub fn unknown<'a>(&mut self, key: &Key, label: &str, known: impl Iterator<Item = &'a str>) {
        let message = format!("`{label}` has no setting `{}`", cut(&key.text));
        let known: Vec<&str> = known.collect();
        let problem = Problem::new(key.place, message).did_you_mean(&key.text, known.clone());
        let all = match known.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", listed(&known)),
        };
        self.problem(if problem.help.is_some() {
            problem
        } else {
            problem.help(all)
        });
    }

    /// Notes the settings that must be given and are not.
    pub fn lacking(&mut self, schema: &Json, given: &Map<String, Json>, at: Place, label: &str) {
        let required = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        for name in required.filter(|name| !given.contains_key(*name)) {
            let problem = Problem::new(at, format!("`{label}` lacks `{name}`"));
            let about = schema["properties"][name]["description"].as_str();
            let first = about.and_then(|text| text.lines().next());
            self.problem(match first {
                Some(line) => problem.help(format!("`{name}`: {}", line.trim_end_matches('.'))),
                None => problem,
            });
        }
    }

    fn input(&mut self, schema: &Json, node: &'n Node, label: &str) -> Json {
        let wanted = schema["x-type"].as_str().unwrap_or("any value");
        let template = match &node.content {
            Content::Text(text) if schema["x-text"] == false && !text.contains("{{") => {
                self.expression(text, node)
            }
            Content::Text(text) if !matches!(wanted, "any value" | "text") => {
                match self.visible.get(text) {
                    Some(key) => {
                        let name = Name {
                            text: text.clone(),
                            key: key.clone(),
                        };
                        Template::Expr(self.used(Expr::variable(&name), node, 0))
                    }
                    None => self.template(node),
                }
            }
            _ => self.template(node),
        };
        let template = match template {
            Template::Literal(Value::Nothing) if wanted == "text" => Template::Literal("".into()),
            template => template,
        };
        if let Template::Literal(value) = &template
            && !literal_fits(wanted, value)
        {
            let article = if wanted.starts_with("any") { "" } else { "a " };
            self.wrong(node, label, &format!("{article}{wanted}"));
        }
        self.inputs.push((template, type_name(wanted)));
        (self.inputs.len() - 1).into()
    }

    /// Reads a bare expression, or the exact name of a visible variable.
    fn expression(&mut self, text: &Arc<str>, node: &Node) -> Template {
        let trimmed = text.trim();
        if let Some(key) = self.visible.get(trimmed) {
            let name = Name {
                text: trimmed.into(),
                key: key.clone(),
            };
            return Template::Expr(self.used(Expr::variable(&name), node, 0));
        }
        match Expr::compile(text) {
            Ok(expr) => Template::Expr(self.used(expr, node, 0)),
            Err(_) if is_name(trimmed) => {
                let key = Name::new(trimmed).key;
                self.marks.push(Mark {
                    role: Role::Use,
                    name: key,
                    place: node.place,
                });
                Template::Text(Vec::new())
            }
            Err(flaws) => {
                self.flawed(flaws, node, text, 0);
                Template::Text(Vec::new())
            }
        }
    }

    /// Reads a literal with templates in it.
    fn template(&mut self, node: &'n Node) -> Template {
        match &node.content {
            Content::Text(text) if text.contains("{{") => self.text(text, node),
            Content::List(items) => {
                let items: Vec<Template> = items.iter().map(|item| self.template(item)).collect();
                match items
                    .iter()
                    .all(|item| matches!(item, Template::Literal(_)))
                {
                    true => Template::Literal(node.value()),
                    false => Template::List(items),
                }
            }
            Content::Record(members) => {
                let read = |(key, node): &'n (Key, Node)| (key.text.clone(), self.template(node));
                let members: Vec<_> = members.iter().map(read).collect();
                match members
                    .iter()
                    .all(|(_, member)| matches!(member, Template::Literal(_)))
                {
                    true => Template::Literal(node.value()),
                    false => Template::Record(members),
                }
            }
            _ => Template::Literal(node.value()),
        }
    }

    fn text(&mut self, text: &Arc<str>, node: &Node) -> Template {
        let parts = match parts(text) {
            Ok(parts) => parts,
            Err(flaw) => {
                self.flawed(vec![flaw], node, text, 0);
                return Template::Text(Vec::new());
            }
        };
        if let [Part::Expr(source, range)] = &parts[..] {
            let expr = self.compiled(source, range, node, text);
            return expr.map_or(Template::Text(Vec::new()), Template::Expr);
        }
        let mut pieces = Vec::new();
        for part in parts {
            match part {
                Part::Text(part) => pieces.push(Piece::Text(part.into())),
                Part::Expr(source, range) => {
                    pieces.extend(self.compiled(source, &range, node, text).map(Piece::Expr));
                }
            }
        }
        Template::Text(pieces)
    }

    fn compiled(&mut self, code: &str, at: &Range<usize>, node: &Node, text: &str) -> Option<Expr> {
        if code.trim().is_empty() {
            let range = at.start - 2..at.end + 2;
            let message = "this template is empty".to_owned();
            let help =
                Some("write an expression between the braces, such as a variable".to_owned());
            self.flawed(
                vec![Flaw {
                    range,
                    message,
                    help,
                }],
                node,
                text,
                0,
            );
            return None;
        }
        match Expr::compile(code) {
            Ok(expr) => Some(self.used(expr, node, at.start)),
            Err(mut flaws) => {
                if let Some(key) = self.visible.get(code.trim()) {
                    let help =
                        format!("in an expression blanks are written as underscores: `{key}`");
                    flaws
                        .iter_mut()
                        .for_each(|flaw| flaw.help = Some(help.clone()));
                }
                self.flawed(flaws, node, text, at.start);
                None
            }
        }
    }

    /// Notes what an expression uses; `offset` is where it starts in the node's text.
    fn used(&mut self, expr: Expr, node: &Node, offset: usize) -> Expr {
        for (name, range) in &expr.uses {
            let place = self.within(node, range.start + offset..range.end + offset);
            self.marks.push(Mark {
                role: Role::Use,
                name: name.clone(),
                place,
            });
        }
        expr
    }

    fn flawed(&mut self, flaws: Vec<Flaw>, node: &Node, text: &str, offset: usize) {
        for flaw in flaws {
            let end = (flaw.range.end + offset).min(text.len());
            let place = self.within(node, flaw.range.start + offset..end);
            self.problem(Problem {
                place,
                message: flaw.message,
                help: flaw.help,
            });
        }
    }

    /// The place of a part of a node's text. Escapes, folds and indentation make the text differ from
    /// what is written, so the part is looked for where it cannot simply be counted off.
    fn within(&self, node: &Node, range: Range<usize>) -> Place {
        let Content::Text(text) = &node.content else {
            return node.place;
        };
        let (start, end) = (node.place.start, node.place.end.min(self.source.text.len()));
        let raw = &self.source.text[start..end];
        let part = text.get(range.clone()).unwrap_or("");
        if part.is_empty() {
            return node.place;
        }
        if let Some(lead) = raw.find(&**text) {
            return Place {
                start: start + lead + range.start,
                end: start + lead + range.end,
            };
        }
        let earlier = text[..range.start].matches(part).count();
        match raw.match_indices(part).nth(earlier) {
            Some((at, _)) => Place {
                start: start + at,
                end: start + at + part.len(),
            },
            None => node.place,
        }
    }
}

/// Whether a literal may stand for what is wanted.
fn literal_fits(wanted: &str, value: &Value) -> bool {
    match (wanted, value) {
        ("list", Value::List(_)) | ("record", Value::Record(_)) => true,
        ("number" | "whole number", Value::Integer(_)) | ("number", Value::Float(_)) => true,
        ("whole number", Value::Float(number)) => number.fract() == 0.0,
        ("condition", Value::Boolean(_)) => true,
        ("condition", Value::Integer(_) | Value::Float(_)) => true,
        ("date", Value::Text(text)) => text.parse::<crate::date::Date>().is_ok(),
        ("duration", Value::Text(text)) => duration(text.trim()).is_some(),
        ("duration", Value::Integer(number)) => *number >= 0,
        ("duration", Value::Float(number)) => *number >= 0.0,
        ("text", Value::List(_) | Value::Record(_)) => false,
        ("any value" | "text", _) => true,
        _ => false,
    }
}

fn type_name(name: &str) -> &'static str {
    const NAMES: &[&str] = &[
        "any value",
        "text",
        "condition",
        "list",
        "record",
        "whole number",
        "number",
        "date",
        "duration",
    ];
    NAMES
        .iter()
        .find(|known| **known == name)
        .copied()
        .unwrap_or("any value")
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

/// Whether a text could be a variable's name rather than an expression gone wrong.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '\''))
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
