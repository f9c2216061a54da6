//! Checks a program and plans it: the names in it are matched with each other here, and everything
//! that is wrong is found in one pass.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value as Json};

use crate::document::{self, Content, Key, Node};
use crate::field::Block;
use crate::kind::{Control, Kind, schema_of};
use crate::plan::{Function, Parameter, Plan, Planned, Test, Webhook};
use crate::problem::{MAX_PROBLEMS, MAX_SHOWN, Place, Problem, Source, nearest};
use crate::program::{self, Common, Declared, Document, Trigger};
use crate::read::{Mark, Nested, Reader, Role, Written, cut, listed, lower, one_of};
use crate::scope::Scope;
use crate::template::Template;
use crate::types::Type;
use crate::value::Value;
use crate::variables::Name;

/// The most steps a program may have.
pub const MAX_STEPS: usize = 5_000;

static DOCUMENT: LazyLock<Json> = LazyLock::new(schema_of::<Document>);
static COMMON: LazyLock<Json> = LazyLock::new(schema_of::<Common>);

/// Plans a program; see [`Plan::check`].
pub(crate) fn plan(source: &Source, kinds: &'static [Kind]) -> Result<Plan, Vec<Problem>> {
    let (node, problems) = document::read(&source.text);
    let node = match node {
        Some(node) if matches!(node.content, Content::Record(_) | Content::Broken) => node,
        node => return Err(ordered(no_program(node, problems))),
    };
    let mut checker = Checker {
        reader: Reader::new(source),
        lines: lines(&source.text),
        kinds,
        functions: IndexMap::new(),
        scopes: Vec::new(),
        blocks: Vec::new(),
        shows: Vec::new(),
        ids: HashMap::new(),
        steps: 0,
    };
    checker.reader.problems = problems;
    let planned = checker.document(&node);
    match planned {
        Some(plan) if checker.reader.problems.is_empty() => Ok(plan),
        _ => Err(ordered(checker.reader.problems)),
    }
}

/// The problems of a text that is no mapping.
fn no_program(node: Option<Node>, mut problems: Vec<Problem>) -> Vec<Problem> {
    let (place, message) = match node {
        None if !problems.is_empty() => return problems,
        None => (Place::default(), "the file is empty".to_owned()),
        Some(node) if matches!(node.content, Content::Nothing) => {
            (Place::default(), "the file is empty".to_owned())
        }
        Some(node) => {
            let message = format!("a program is a record, and this is {}", node.described());
            (node.head(), message)
        }
    };
    problems
        .push(Problem::new(place, message).help("a program has `id:`, `name:` and `functions:`"));
    problems
}

/// Problems in the order of their places, each once, no more than anybody reads.
fn ordered(mut problems: Vec<Problem>) -> Vec<Problem> {
    let full = problems.len() >= MAX_PROBLEMS;
    problems.sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
    problems.dedup();
    if let Some(next) = problems.get(MAX_SHOWN) {
        let (place, more) = (next.place, problems.len() - MAX_SHOWN);
        let at_least = if full { "at least " } else { "" };
        problems.truncate(MAX_SHOWN);
        problems.push(Problem::new(
            place,
            format!("here follow {at_least}{more} more problems"),
        ));
    }
    problems
}

/// Where the lines of a text begin.
fn lines(text: &str) -> Vec<usize> {
    let ends = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

struct Checker<'n> {
    reader: Reader<'n>,
    lines: Vec<usize>,
    kinds: &'static [Kind],
    functions: IndexMap<Arc<str>, Function>,
    scopes: Vec<Scope>,
    blocks: Vec<Vec<Planned>>,
    shows: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, Place>,
    steps: usize,
}

/// The kind of a step, the value under its name, and its other settings.
type Parts<'n> = (&'static Kind, Option<&'n Node>, &'n [(Key, Node)]);

/// What the steps of a function are checked against.
struct Inside {
    function: usize,
    scope: Scope,
    returns: bool,
    loops: usize,
}

impl<'n> Checker<'n> {
    fn document(&mut self, node: &'n Node) -> Option<Plan> {
        let read = self.reader.read(&DOCUMENT, node, "program");
        let nested: HashMap<usize, Nested<'n>> = self
            .reader
            .nested
            .drain(..)
            .map(|nested| (nested.at, nested))
            .collect();
        self.blocks.resize_with(self.reader.blocks, Vec::new);
        let named = meant(node, "name");
        if let Some((name, (_, at))) = read["name"].as_str().zip(named) {
            self.name("program", name, at.place);
        }
        let functions = read["functions"].as_object()?;
        let nodes: &[(Key, Node)] = match meant(node, "functions").map(|(_, of)| &of.content) {
            Some(Content::Record(nodes)) => nodes,
            _ => &[],
        };
        if functions.is_empty() {
            let place = meant(node, "functions").map_or(node.head(), |(key, _)| key.place);
            let problem = Problem::new(place, "the program has no function")
                .help("give it one: `functions: {Main: {steps: []}}`");
            self.reader.problem(problem);
        }
        for ((name, function), (key, node)) in functions.iter().zip(nodes) {
            self.declare(name, function, key, node);
        }
        for (at, (key, node)) in nodes.iter().enumerate() {
            let Some(function) = self.functions.get_index(at).map(|(_, function)| function) else {
                continue;
            };
            if let Some(steps) = nested.get(&function.steps.at) {
                self.function(at, steps, key, node);
            }
        }
        self.unmade();
        self.tests(node);
        if !self.reader.problems.is_empty() {
            return None;
        }
        self.finish(read)
    }

    /// Notes the variables that are used and cannot have been made.
    fn unmade(&mut self) {
        for scope in &self.scopes {
            let line = |at: usize| self.lines.partition_point(|start| *start <= at);
            let elsewhere = |key: &str| {
                let made = self.scopes.iter().position(|scope| scope.makes(key))?;
                self.functions.get_index(made).map(|(name, _)| name.clone())
            };
            let room = MAX_PROBLEMS.saturating_sub(self.reader.problems.len());
            let problems = scope.problems(&line, &elsewhere).take(room);
            self.reader.problems.extend(problems);
        }
    }

    /// Checks that tests call functions that the program has.
    fn tests(&mut self, node: &Node) {
        let Some((_, tests)) = node.member("tests") else {
            return;
        };
        let Content::List(tests) = &tests.content else {
            return;
        };
        for (_, called) in tests.iter().filter_map(|test| test.member("function")) {
            if let Some(name) = called.as_text()
                && !self.functions.contains_key(name)
            {
                self.no_function(name, called.place);
            }
        }
    }

    fn no_function(&mut self, name: &str, place: Place) {
        let message = format!("there is no function `{}`", cut(name));
        let known: Vec<&str> = self.functions.keys().map(|name| &**name).collect();
        let problem = Problem::new(place, message).did_you_mean(name, known.iter().copied());
        self.reader
            .problem_or(problem, || format!("the program has {}", listed(&known)));
    }

    fn finish(&mut self, read: Json) -> Option<Plan> {
        let document: Document = serde_json::from_value(read).ok()?;
        let tests = document
            .tests
            .into_iter()
            .map(|test| self.test(test))
            .collect();
        Some(Plan {
            id: document.id,
            name: document.name.into(),
            description: document.description,
            functions: std::mem::take(&mut self.functions),
            tests,
            source: self.reader.source.clone(),
            inputs: std::mem::take(&mut self.reader.inputs),
            blocks: std::mem::take(&mut self.blocks),
            shows: std::mem::take(&mut self.shows),
        })
    }

    fn test(&self, test: program::Test) -> Test {
        let literal = |at: crate::field::Literal| self.reader.literals[at.at].clone();
        let list = |value: Value| match value {
            Value::List(list) => list.to_vec(),
            other => vec![other],
        };
        Test {
            name: test.name,
            function: test.function,
            variables: test
                .variables
                .map(|at| list(literal(at)))
                .unwrap_or_default(),
            result: test.result.map(literal),
            log: test
                .log
                .map(|at| list(literal(at)).iter().map(Value::to_string).collect()),
            error: test.error,
        }
    }

    /// Notes a function with what it takes and gives, before any steps are looked at.
    fn declare(&mut self, name: &str, read: &Json, key: &Key, node: &'n Node) {
        self.name("function", name, key.place);
        let typed = |of: &Json| serde_json::from_value::<Type>(of.clone()).unwrap_or_default();
        let mut outputs = Vec::new();
        for (name, of) in read["outputs"].as_object().into_iter().flatten() {
            outputs.push(Parameter {
                name: Name::new(&**name),
                of: typed(of),
                default: None,
            });
        }
        for (key, _) in members(meant(node, "outputs")) {
            self.name("variable", &key.text, key.place);
        }
        let nodes = members(meant(node, "inputs"));
        let inputs = read["inputs"].as_object().into_iter().flatten();
        let inputs = inputs
            .zip(nodes)
            .map(|((name, declared), (_, node))| self.input(name, declared, node))
            .collect();
        let webhook = self.webhook(&read["triggers"], node);
        let steps = Block {
            at: read["steps"].as_u64().map_or(usize::MAX, |at| at as usize),
        };
        let function = Function {
            name: name.into(),
            inputs,
            outputs,
            webhook,
            steps,
        };
        self.functions.insert(name.into(), function);
    }

    fn input(&mut self, name: &str, declared: &Json, node: &Node) -> Parameter {
        let (of, default) = match serde_json::from_value::<Declared>(declared.clone()) {
            Ok(Declared::Optional(optional)) => {
                let default = self.reader.literals.get(optional.default.at).cloned();
                let place = node
                    .member("default")
                    .map_or(node.place, |(_, of)| of.place);
                let default = default.map(|default| self.default(optional.of, default, place));
                (optional.of, default)
            }
            Ok(Declared::Type(of)) => (of, None),
            Err(_) => (Type::Any, None),
        };
        let name = Name::new(name);
        Parameter { name, of, default }
    }

    /// A default as one of its type.
    fn default(&mut self, of: Type, default: Value, place: Place) -> Value {
        if default == of.blank() {
            return default;
        }
        of.check(default.clone()).unwrap_or_else(|| {
            self.unfit("the default", of, &default, place);
            default
        })
    }

    /// Notes a literal that is not of a declared type.
    fn unfit(&mut self, what: &str, of: Type, value: &Value, place: Place) {
        let message = format!(
            "{what} is {}, and this is {}",
            of.described(),
            value.described()
        );
        let problem = Problem::new(place, message);
        let text = match value {
            Value::Text(text) => text,
            _ => return self.reader.problem(problem),
        };
        self.reader.problem(match of {
            Type::Date => problem.help("write 2020-01-15 or 2020-01-15T10:00:00Z"),
            Type::Boolean => problem.help("write `true` or `false`, without quotes"),
            of if of.read(value.clone()).is_some() && !text.trim().is_empty() => {
                problem.help("write it without quotes")
            }
            _ => problem,
        });
    }

    fn webhook(&mut self, read: &Json, node: &'n Node) -> Option<Webhook> {
        let triggers = read.as_array().into_iter().flatten();
        let nodes: &[Node] = match meant(node, "triggers").map(|(_, of)| &of.content) {
            Some(Content::List(nodes)) => nodes,
            _ => &[],
        };
        let mut webhooks = triggers.zip(nodes).filter(|(read, _)| !read.is_null());
        let (read, node) = webhooks.next()?;
        if let Some((_, second)) = webhooks.next() {
            let problem = Problem::new(second.head(), "a function has at most one webhook")
                .help("give the second one to a function of its own");
            self.reader.problem(problem);
        }
        let Trigger::Webhook(webhook) = serde_json::from_value(read.clone()).ok()?;
        let nodes = node.member("webhook");
        let nodes = members(nodes.and_then(|(_, webhook)| meant(webhook, "outputs")));
        let mut outputs = Vec::new();
        for ((name, literal), (_, node)) in webhook.outputs.iter().zip(nodes) {
            let value = self.reader.literals[literal.at].clone();
            let (of, default) = match self.declared(node, &value) {
                Some((of, default)) => (of, self.default(of, default, last(node).place)),
                None => (Type::of(&value), value),
            };
            outputs.push(Parameter {
                name: Name::new(&**name),
                of,
                default: Some(default),
            });
        }
        Some(Webhook {
            active: webhook.active.unwrap_or(true),
            outputs,
        })
    }

    /// A declared variable of a webhook written as `{type, default}`.
    fn declared(&mut self, node: &Node, value: &Value) -> Option<(Type, Value)> {
        let Value::Record(record) = value else {
            return None;
        };
        let known = |key: &Arc<str>| matches!(&**key, "type" | "default");
        let (_, of) = node.member("type").filter(|_| record.keys().all(known))?;
        let word = of.value().to_string();
        let Ok(typed) = serde_json::from_value::<Type>(word.as_str().into()) else {
            let message = format!("there is no type `{}`", cut(&word));
            let names: Vec<&str> = Type::ALL.iter().map(|of| of.name()).collect();
            let problem = Problem::new(of.place, message);
            let problem = problem.did_you_mean(&word, names.iter().copied());
            self.reader
                .problem_or(problem, || format!("it is {}", one_of(&names)));
            return None;
        };
        let default = record.get("default").cloned();
        Some((typed, default.unwrap_or_else(|| typed.blank())))
    }

    /// Checks a name that the program gives to something.
    fn name(&mut self, what: &str, name: &str, place: Place) {
        let wrong = match name {
            "" => {
                let message = format!("the name of a {what} is empty");
                return self.reader.problem(Problem::new(place, message));
            }
            name if name.contains("{{") => "holds a template, and names are written out",
            name if name.trim() != name => "begins or ends with a blank",
            name if name.chars().any(char::is_control) => "has a control character in it",
            name if name.chars().count() > 200 => "is longer than 200 characters",
            _ => return,
        };
        self.reader.problem(Problem::new(
            place,
            format!("the {what}'s name `{}` {wrong}", cut(name)),
        ));
    }

    fn function(&mut self, at: usize, steps: &Nested<'n>, key: &Key, node: &'n Node) {
        let mut inside = Inside {
            function: at,
            scope: Scope::default(),
            returns: false,
            loops: 0,
        };
        self.reader.visible.clear();
        let triggers = meant(node, "triggers").map(|(_, of)| &of.content);
        let webhooks = match triggers {
            Some(Content::List(nodes)) => nodes.iter().find_map(|node| node.member("webhook")),
            _ => None,
        };
        let sent = members(webhooks.and_then(|(_, webhook)| meant(webhook, "outputs")));
        let given = members(meant(node, "inputs"));
        for (key, _) in given.iter().chain(sent) {
            self.made(&mut inside, Name::new(key.text.clone()), key.place);
        }
        self.block(&mut inside, steps, "");
        let function = &self.functions[at];
        if !function.outputs.is_empty() && !inside.returns {
            let names: Vec<&str> = function.outputs.iter().map(|o| &*o.name.text).collect();
            let message = format!(
                "the function `{}` declares outputs and never returns them",
                function.name
            );
            let problem = Problem::new(key.place, message)
                .help(format!("end it with `return`, giving {}", listed(&names)));
            self.reader.problem(problem);
        }
        self.scopes.push(inside.scope);
    }

    fn block(&mut self, inside: &mut Inside, nested: &Nested<'n>, above: &str) {
        let Content::List(nodes) = &nested.node.content else {
            return;
        };
        if nested.repeats {
            inside.loops += 1;
            inside.scope.enter();
        }
        for node in nodes {
            let number = inside.scope.number(above);
            self.steps += 1;
            if self.steps == MAX_STEPS + 1 {
                let message = format!("the program has more than {MAX_STEPS} steps");
                self.reader.problem(Problem::new(node.head(), message));
            }
            if self.steps > MAX_STEPS {
                break;
            }
            if let Some(planned) = self.step(inside, node, &number) {
                self.blocks[nested.at].push(planned);
            }
        }
        if nested.repeats {
            inside.loops -= 1;
            inside.scope.leave();
        }
    }

    fn step(&mut self, inside: &mut Inside, node: &'n Node, number: &str) -> Option<Planned> {
        let (kind, main, rest) = self.kind(node)?;
        let before = self.reader.problems.len();
        let (settings, common) = self.settings(kind, node, main, rest)?;
        let marks = std::mem::take(&mut self.reader.marks);
        let nested = std::mem::take(&mut self.reader.nested);
        self.blocks.resize_with(self.reader.blocks, Vec::new);
        let common = serde_json::from_value::<Common>(Json::Object(common)).unwrap_or_default();
        self.identity(&common, node);
        let whole = self.reader.problems.len() == before;
        let shows = self.names(inside, &marks, common.disabled);
        self.order(inside, kind, node);
        if whole {
            self.returned(inside, kind, &marks, node);
        }
        let returns = inside.returns;
        inside.returns |= kind.control == Control::Returns;
        let numbers = inside.scope.begin();
        for nested in &nested {
            self.block(inside, nested, number);
        }
        inside.scope.end(numbers);
        if common.disabled {
            inside.returns = returns;
        }
        if self.reader.problems.len() > before {
            return None;
        }
        let step = match kind.parse(Json::Object(settings)) {
            Ok(step) => step,
            // What could not be read at all is a problem already.
            Err(_) if !self.reader.problems.is_empty() => return None,
            Err(message) => {
                self.reader.problem(Problem::new(node.head(), message));
                return None;
            }
        };
        let (line, column) = self.position(node.head().start);
        let code_line = marks
            .iter()
            .find(|mark| mark.role == Role::Code)
            .map(|mark| {
                let raw = &self.reader.source.text[mark.place.start..];
                let below = usize::from(raw.starts_with(['|', '>']));
                self.position(mark.place.start).0 + below
            });
        let timeout = common.timeout.map(|time| time.0);
        let number = number.into();
        Some(Planned {
            number,
            kind,
            line,
            column,
            code_line,
            common,
            timeout,
            shows,
            step,
        })
    }

    /// The line and column of a byte, as [`Source::position`] gives them.
    fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= byte);
        (line, self.reader.source.column(self.lines[line - 1], byte))
    }

    /// The kind of a step, the value under its name, and its other settings.
    fn kind(&mut self, node: &'n Node) -> Option<Parts<'n>> {
        let kinds = self.kinds;
        let find = |name: &str| kinds.iter().find(|kind| kind.name == name);
        let (name, place, main, rest) = match &node.content {
            Content::Text(word) => (word, node.place, None, &[][..]),
            Content::Record(members) if !members.is_empty() => {
                let (key, value) = &members[0];
                (&key.text, key.place, Some(value), &members[1..])
            }
            Content::Broken => return None,
            _ => {
                let message = format!(
                    "a step is a record that begins with its kind, and this is {}",
                    node.described()
                );
                self.reader
                    .problem(Problem::new(node.head(), message).help("such as `print: Hello`"));
                return None;
            }
        };
        if let Some(kind) = find(name) {
            let main = main.filter(|main| !matches!(main.content, Content::Nothing));
            return Some((kind, main, rest));
        }
        let later = rest.iter().find(|(key, _)| find(&key.text).is_some());
        let problem = match later {
            Some((key, _)) => {
                let message = format!(
                    "a step begins with its kind, and this one with `{}`",
                    cut(name)
                );
                Problem::new(place, message).help(format!("write `{}` first", key.text))
            }
            None => Problem::new(place, format!("`{}` is not a kind of step", cut(name)))
                .did_you_mean(name, kinds.iter().map(|kind| kind.name)),
        };
        let colon = name
            .split_once(':')
            .filter(|(kind, _)| find(kind).is_some());
        let has = |kind: &&Kind| kind.schema()["properties"].get(&**name).is_some();
        let owners: Vec<&str> = kinds.iter().filter(has).map(|kind| kind.name).collect();
        self.reader
            .problem_or(problem, || match (colon, &owners[..]) {
                (Some((kind, value)), _) => {
                    format!("write a blank after the colon: `{kind}: {value}`")
                }
                (None, []) => "`waystation steps` lists the kinds".to_owned(),
                (None, owners) => {
                    format!("it is a setting of {}, in the same step", listed(owners))
                }
            });
        None
    }

    /// Reads a step's settings: its kind's, and those that every step has.
    fn settings(
        &mut self,
        kind: &'static Kind,
        node: &'n Node,
        main: Option<&'n Node>,
        rest: &'n [(Key, Node)],
    ) -> Option<(Map<String, Json>, Map<String, Json>)> {
        let schema = self.variant(kind, node, rest)?;
        let properties = schema["properties"].as_object();
        let own = |name: &str| properties.and_then(|map| map.get(name));
        let (mut settings, mut common) = (Map::new(), Map::new());
        match (main, own(kind.main)) {
            (Some(main), Some(schema)) => {
                settings.insert(kind.main.into(), self.reader.read(schema, main, kind.name));
            }
            (Some(main), None) => {
                let message = format!("`{}` takes no value", kind.name);
                self.reader
                    .problem(Problem::new(main.place, message).help("write the bare word"));
            }
            (None, _) => {}
        }
        for (key, value) in rest {
            let known = own(&key.text).filter(|_| &*key.text != kind.main);
            let name = match known.or_else(|| COMMON["properties"].get(&*key.text)) {
                Some(_) => &*key.text,
                // What is misspelt is read as what was meant, so that it is the only problem.
                None => match self.unknown(kind, key, properties) {
                    Some(near) if node.member(near).is_none() => near,
                    _ => continue,
                },
            };
            if let Some(schema) = own(name) {
                settings.insert(name.into(), self.reader.read(schema, value, name));
            } else {
                let schema = &COMMON["properties"][name];
                common.insert(name.into(), self.reader.read(schema, value, name));
            }
        }
        self.beneath(kind, main, properties, &mut settings);
        self.defaults(properties, main, &mut settings);
        if main.is_none() && required(schema, kind.main) {
            let about = own(kind.main)
                .and_then(|schema| schema["description"].as_str())
                .unwrap_or("");
            let about = about.lines().next().unwrap_or("").trim_end_matches('.');
            let message = format!("`{}` has no value", kind.name);
            let help = format!("write after the colon: {}", lower(about));
            self.reader
                .problem(Problem::new(node.head(), message).help(help));
            settings.insert(kind.main.into(), Json::Null);
        }
        self.reader
            .lacking(schema, &settings, node.head(), kind.name);
        Some((settings, common))
    }

    /// Notes settings that stand under a step's kind instead of beside it.
    fn beneath(
        &mut self,
        kind: &Kind,
        main: Option<&'n Node>,
        properties: Option<&'static Map<String, Json>>,
        settings: &mut Map<String, Json>,
    ) {
        let blocks = properties
            .into_iter()
            .flatten()
            .filter(|(name, schema)| schema["x-field"] == "block" && !settings.contains_key(*name));
        let found: Vec<_> = blocks
            .filter_map(|(name, schema)| Some((main?.member(name)?, schema)))
            .collect();
        for ((key, value), schema) in found {
            let message = format!("`{}` stands under `{}`", key.text, kind.name);
            let help = format!(
                "it belongs beside it: indent it like `{}`, and write after `{}:` only its value",
                kind.name, kind.name
            );
            // What is read of its value by mistake is no further problem.
            self.reader
                .problems
                .retain(|problem| main.is_none_or(|main| problem.place != main.place));
            self.reader
                .problem(Problem::new(key.place, message).help(help));
            settings.insert(
                key.text.to_string(),
                self.reader.read(schema, value, &key.text),
            );
        }
    }

    /// Names the variables that a step makes without being told how: after the variable that is its
    /// main setting, with the schema's `x-default` behind it.
    fn defaults(
        &mut self,
        properties: Option<&'static Map<String, Json>>,
        main: Option<&Node>,
        settings: &mut Map<String, Json>,
    ) {
        let Some(main) = main.filter(|main| !matches!(main.content, Content::Record(_))) else {
            return;
        };
        let variable = || {
            main.as_text().map(|text| text.trim()).and_then(|text| {
                let visible = &self.reader.visible;
                let exact = visible.get_key_value(text).map(|(name, _)| name);
                exact.or_else(|| {
                    let mut others = visible.iter();
                    others
                        .find(|(_, key)| &***key == text)
                        .map(|(name, _)| name)
                })
            })
        };
        for (setting, schema) in properties.into_iter().flatten() {
            let Some(word) = schema["x-default"].as_str() else {
                continue;
            };
            if settings.contains_key(setting) {
                continue;
            }
            let name = variable().map_or(word.to_owned(), |variable| format!("{variable} {word}"));
            settings.insert(setting.clone(), name.as_str().into());
            let mark = Mark {
                role: Role::Make,
                name: name.into(),
                place: main.place,
                given: None,
            };
            self.reader.marks.push(mark);
        }
    }

    /// The schema of a kind's settings; where the kind has actions, that of the action chosen.
    fn variant(
        &mut self,
        kind: &'static Kind,
        node: &Node,
        rest: &'n [(Key, Node)],
    ) -> Option<&'static Json> {
        let schema = kind.schema();
        let Some(variants) = schema.get("oneOf").and_then(Json::as_array) else {
            return Some(schema);
        };
        let tag = |variant: &'static Json| {
            let properties = variant["properties"].as_object()?;
            properties
                .iter()
                .find_map(|(name, p)| Some((name.as_str(), p["const"].as_str()?)))
        };
        let tags: Vec<(&str, &str)> = variants.iter().filter_map(tag).collect();
        let name = tags.first()?.0;
        let words: Vec<&str> = tags.iter().map(|(_, word)| *word).collect();
        let Some((_, chosen)) = rest.iter().find(|(key, _)| &*key.text == name) else {
            let message = format!("`{}` lacks `{name}`", kind.name);
            let problem = Problem::new(node.head(), message);
            self.reader
                .problem(problem.help(format!("it is one of {}", listed(&words))));
            return None;
        };
        let word = chosen.value().to_string();
        match tags.iter().position(|(_, known)| *known == word) {
            Some(at) => variants.get(at),
            None => {
                let message = format!("`{}` has no {name} `{}`", kind.name, cut(&word));
                let problem = Problem::new(chosen.place, message);
                let problem = problem.did_you_mean(&word, words.iter().copied());
                let all = format!("it is one of {}", listed(&words));
                let helped = problem.help.is_some();
                self.reader
                    .problem(if helped { problem } else { problem.help(all) });
                None
            }
        }
    }

    /// Notes a setting that a step does not have, and gives the one that was meant, if one is near.
    fn unknown(
        &mut self,
        kind: &Kind,
        key: &Key,
        properties: Option<&'static Map<String, Json>>,
    ) -> Option<&'static str> {
        if self.kinds.iter().any(|other| other.name == &*key.text) {
            let message = format!(
                "a step has one kind, and this `{}` is also a `{}`",
                kind.name, key.text
            );
            let problem = Problem::new(key.place, message);
            self.reader
                .problem(problem.help("begin a new step with a dash of its own"));
            return None;
        }
        let names = |map: Option<&'static Map<String, Json>>| {
            map.into_iter()
                .flat_map(|map| map.keys().map(String::as_str))
        };
        let own = names(properties).filter(|name| *name != kind.main);
        let all = own.chain(names(COMMON["properties"].as_object()));
        self.reader.unknown(key, kind.name, all)
    }

    fn identity(&mut self, common: &Common, node: &Node) {
        let Some(id) = &common.id else { return };
        let place = node.member("id").map_or(node.head(), |(_, id)| id.place);
        match self.ids.get(id.as_str()) {
            None => {
                self.ids.insert(id.as_str().into(), place);
            }
            Some(first) => {
                let line = self.position(first.start).0;
                let message = format!("two steps have the id `{}`", cut(id));
                let help = format!("the other one stands on line {line}; give each its own");
                self.reader.problem(Problem::new(place, message).help(help));
            }
        }
    }

    /// Matches the names of a step with the variables and functions there are, and gives the
    /// variables it shows.
    fn names(&mut self, inside: &mut Inside, marks: &[Mark], off: bool) -> Vec<(usize, Arc<str>)> {
        let mut made: IndexSet<Arc<str>> = IndexSet::new();
        let mut open = false;
        for mark in marks {
            match mark.role {
                Role::Use => inside.scope.used(mark.name.clone(), mark.place),
                Role::Make => {
                    made.insert(mark.name.clone());
                    self.made_if(inside, &mark.name, mark.place, !off);
                }
                Role::Code => open = self.code(inside, mark, &mut made, off),
                _ => {}
            }
        }
        self.called(marks);
        let mut shows = Vec::new();
        for mark in marks.iter().filter(|mark| mark.role == Role::Show) {
            if !open && !made.contains(&mark.name) {
                self.not_shown(mark, &made);
            }
            let name = Name::new(mark.name.clone());
            if open {
                self.made_if(inside, &name.text, mark.place, !off);
            }
            shows.push((self.shows.len(), name.key));
            self.shows.push(name.text);
        }
        shows
    }

    /// Notes the variables that code makes, and says whether it may make others.
    fn code(
        &mut self,
        inside: &mut Inside,
        mark: &Mark,
        made: &mut IndexSet<Arc<str>>,
        off: bool,
    ) -> bool {
        let (names, all) = crate::scope::outputs_in(&mark.name);
        let written = Written::new(&self.reader.source.text, mark.place, &mark.name);
        for range in names {
            let name = &mark.name[range.clone()];
            if made.insert(name.into()) {
                self.made_if(inside, &name.into(), written.place(range), !off);
            }
        }
        if !all && !off {
            inside.scope.opened();
        }
        !all
    }

    fn not_shown(&mut self, mark: &Mark, made: &IndexSet<Arc<str>>) {
        let name = cut(&mark.name);
        let message = format!("`{name}` is not made by this step, so it cannot show it");
        let made = || made.iter().map(|name| &**name);
        let problem = Problem::new(mark.place, message).did_you_mean(&mark.name, made());
        self.reader
            .problem_or(problem, || match &made().collect::<Vec<_>>()[..] {
                [] => "the step makes no variables; show it where it is made".to_owned(),
                made => format!("the step makes {}", listed(made)),
            });
    }

    /// Notes a variable that a step makes, or would make if it were not disabled.
    fn made_if(&mut self, inside: &mut Inside, name: &Arc<str>, place: Place, on: bool) {
        match on {
            true => self.made(inside, Name::new(name.clone()), place),
            false => inside.scope.skipped(Name::new(name.clone())),
        }
    }

    fn made(&mut self, inside: &mut Inside, name: Name, place: Place) {
        self.name("variable", &name.text, place);
        if let Some(problem) = inside.scope.made(&name, place) {
            self.reader.problem(problem);
        }
        self.reader.visible.insert(name.text, name.key);
    }

    /// Checks a call of a function of this program: its inputs and outputs.
    fn called(&mut self, marks: &[Mark]) {
        let Some(call) = marks.iter().find(|mark| mark.role == Role::Function) else {
            return;
        };
        let Some(callee) = self.functions.get(&call.name) else {
            self.no_function(&call.name, call.place);
            return;
        };
        let (inputs, outputs) = (callee.inputs.clone(), callee.outputs.clone());
        let name = callee.name.clone();
        let missing = self.matched(&name, marks, Role::Argument, &inputs);
        for at in missing {
            let input = &inputs[at];
            if input.default.is_some() {
                continue;
            }
            let message = format!(
                "the function `{name}` needs its input `{}`",
                input.name.text
            );
            let help = format!("give it: `inputs: {{{}: …}}`", input.name.text);
            self.reader
                .problem(Problem::new(call.place, message).help(help));
        }
        self.matched(&name, marks, Role::Result, &outputs);
    }

    /// Matches the names of one role with what is declared: notes those that are not declared, and
    /// literals of another type. Gives which of the declared are missing, but for those that another
    /// name most likely stands for.
    fn matched(
        &mut self,
        function: &str,
        marks: &[Mark],
        role: Role,
        declared: &[Parameter],
    ) -> Vec<usize> {
        let (what, none) = match role {
            Role::Argument => ("input", "has no input"),
            Role::Return => ("output", "declares no output"),
            _ => ("output", "has no output"),
        };
        let known: HashMap<&str, usize> = declared
            .iter()
            .enumerate()
            .map(|(at, declared)| (&*declared.name.text, at))
            .collect();
        let names = || declared.iter().map(|declared| &*declared.name.text);
        let given = || marks.iter().filter(|mark| mark.role == role);
        let mut met: HashSet<usize> = given()
            .filter_map(|mark| known.get(&*mark.name).copied())
            .collect();
        for mark in given() {
            if let Some(at) = known.get(&*mark.name) {
                self.literal(what, mark, &declared[*at]);
                continue;
            }
            let near = nearest(&mark.name, names());
            if let Some(at) = near.and_then(|near| known.get(near)) {
                met.insert(*at);
            }
            let message = format!("the function `{function}` {none} `{}`", cut(&mark.name));
            let help = match (near, role) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, Role::Return) => {
                    format!("declare it: `outputs: {{{}: any}}`", cut(&mark.name))
                }
                (None, _) if declared.is_empty() => format!("it has no {what}s"),
                (None, _) => format!("it has {}", listed(&names().collect::<Vec<_>>())),
            };
            self.reader
                .problem(Problem::new(mark.place, message).help(help));
        }
        (0..declared.len()).filter(|at| !met.contains(at)).collect()
    }

    /// Checks what is given for something declared, as far as it is known before it is evaluated.
    fn literal(&mut self, what: &str, mark: &Mark, declared: &Parameter) {
        let Some((at, place)) = mark.given else {
            return;
        };
        let value = match self.reader.inputs.get(at) {
            Some((Template::Literal(value), _)) => value.clone(),
            Some((Template::Text(pieces), _)) if !pieces.is_empty() => Value::text("…"),
            Some((Template::List(_), _)) => Type::List.blank(),
            Some((Template::Record(_), _)) => Type::Record.blank(),
            _ => return,
        };
        let mixed = matches!(self.reader.inputs[at].0, Template::Text(_));
        let may_fit = mixed && declared.of == Type::Date;
        if !may_fit && declared.of.check(value.clone()).is_none() {
            let what = format!("the {what} `{}`", declared.name.text);
            self.unfit(&what, declared.of, &value, place);
        }
    }

    /// Checks a return against the outputs that its function declares.
    fn returned(&mut self, inside: &Inside, kind: &Kind, marks: &[Mark], node: &Node) {
        if kind.control != Control::Returns {
            return;
        }
        let function = &self.functions[inside.function];
        let (name, outputs) = (function.name.clone(), function.outputs.clone());
        let missing = self.matched(&name, marks, Role::Return, &outputs);
        let missing: Vec<&str> = missing.iter().map(|at| &*outputs[*at].name.text).collect();
        if missing.is_empty() {
            return;
        }
        let given = marks.iter().any(|mark| mark.role == Role::Return);
        let message = match given {
            true => format!("this `return` leaves out {}", listed(&missing)),
            false => "this `return` gives no values".to_owned(),
        };
        let help = match given {
            true => "a return gives every output".to_owned(),
            false => format!("give {}", listed(&missing)),
        };
        self.reader
            .problem(Problem::new(node.head(), message).help(help));
    }

    /// Checks that a step may stand where it does.
    fn order(&mut self, inside: &Inside, kind: &Kind, node: &Node) {
        if kind.control == Control::Leaves && inside.loops == 0 {
            let message = format!("`{}` stands outside of a loop", kind.name);
            let problem = Problem::new(node.head(), message);
            self.reader
                .problem(problem.help("it can stand in the steps of a `loop` or a `while`"));
        }
    }
}

/// The member of that name, or the one that is most likely misspelt for it.
fn meant<'n>(node: &'n Node, name: &str) -> Option<&'n (Key, Node)> {
    let misspelt = |node: &'n Node| match &node.content {
        Content::Record(members) => members
            .iter()
            .find(|(key, _)| nearest(&key.text, [name]).is_some()),
        _ => None,
    };
    node.member(name).or_else(|| misspelt(node))
}

fn members(node: Option<&(Key, Node)>) -> &[(Key, Node)] {
    match node.map(|(_, node)| &node.content) {
        Some(Content::Record(members)) => members,
        _ => &[],
    }
}

/// The value of a default that is written with its type, or the default itself.
fn last(node: &Node) -> &Node {
    node.member("default").map_or(node, |(_, node)| node)
}

fn required(schema: &Json, name: &str) -> bool {
    schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|required| required == name)
}
