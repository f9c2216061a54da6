//! Checks a program and plans it: the names in it are matched with each other here, and everything
//! that is wrong is found in one pass.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use crate::document::{self, Content, Key, Node};
use crate::field::Block;
use crate::kind::{Control, Kind, schema_of};
use crate::plan::{Function, Parameter, Plan, Planned, Test, Webhook};
use crate::problem::{Place, Problem, Source};
use crate::program::{self, Common, Declared, Document, Trigger};
use crate::read::{Mark, Nested, Reader, Role, cut, listed};
use crate::scope::Scope;
use crate::types::Type;
use crate::value::Value;
use crate::variables::Name;

/// The most steps a program may have.
pub const MAX_STEPS: usize = 5_000;

static DOCUMENT: LazyLock<Json> = LazyLock::new(schema_of::<Document>);
static COMMON: LazyLock<Json> = LazyLock::new(schema_of::<Common>);

/// Plans a program; see [`Plan::check`].
pub(crate) fn plan(source: &Source, kinds: &'static [Kind]) -> Result<Plan, Vec<Problem>> {
    let (node, mut problems) = document::read(&source.text);
    let Some(node) = node else {
        if problems.is_empty() {
            problems.push(
                Problem::new(Place::default(), "the file is empty")
                    .help("a program has `id`, `name` and `functions`"),
            );
        }
        return Err(problems);
    };
    let mut checker = Checker {
        reader: Reader::new(source),
        kinds,
        functions: IndexMap::new(),
        blocks: Vec::new(),
        shows: Vec::new(),
        ids: HashMap::new(),
        steps: 0,
    };
    checker.reader.problems = problems;
    let planned = checker.document(&node);
    let mut problems = checker.reader.problems;
    match planned {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => {
            problems.sort_by_key(|problem| problem.place.start);
            problems.dedup();
            Err(problems)
        }
    }
}

struct Checker<'n> {
    reader: Reader<'n>,
    kinds: &'static [Kind],
    functions: IndexMap<Arc<str>, Function>,
    blocks: Vec<Vec<Planned>>,
    shows: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, ()>,
    steps: usize,
}

/// A step as written: its kind, the value under the kind's name, and its other settings.
type Written<'n> = (&'static Kind, Option<&'n Node>, &'n [(Key, Node)]);

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
        let functions = read["functions"].as_object()?;
        if functions.is_empty() {
            let problem = Problem::new(node.place, "the program has no function")
                .help("give it one: `functions: {Main: {steps: []}}`");
            self.reader.problem(problem);
        }
        let nodes = member(node, "functions");
        for (name, function) in functions {
            let key = nodes.and_then(|nodes| key(nodes, name)).cloned();
            self.declare(
                name,
                function,
                key.as_ref(),
                nodes.and_then(|n| member(n, name)),
            );
        }
        for at in 0..self.functions.len() {
            let node = nodes.and_then(|nodes| member(nodes, &self.functions[at].name));
            if let Some((steps, node)) = nested.get(&self.functions[at].steps.at).zip(node) {
                self.function(at, steps, node);
            }
        }
        if !self.reader.problems.is_empty() {
            return None;
        }
        self.finish(read)
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
    fn declare(&mut self, name: &str, read: &Json, key: Option<&Key>, node: Option<&'n Node>) {
        let place = key.map_or(Place::default(), |key| key.place);
        self.name("function", name, place);
        let typed = |of: &Json| serde_json::from_value::<Type>(of.clone()).unwrap_or_default();
        let mut outputs = Vec::new();
        for (name, of) in read["outputs"].as_object().into_iter().flatten() {
            outputs.push(Parameter {
                name: Name::new(&**name),
                of: typed(of),
                default: None,
            });
        }
        let inputs = read["inputs"].as_object().into_iter().flatten();
        let inputs = inputs
            .map(|(name, declared)| self.input(name, declared))
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

    fn input(&self, name: &str, declared: &Json) -> Parameter {
        let name = Name::new(name);
        match serde_json::from_value::<Declared>(declared.clone()) {
            Ok(Declared::Optional(optional)) => {
                let default = self.reader.literals.get(optional.default.at).cloned();
                Parameter {
                    name,
                    of: optional.of,
                    default,
                }
            }
            Ok(Declared::Type(of)) => Parameter {
                name,
                of,
                default: None,
            },
            Err(_) => Parameter {
                name,
                of: Type::Any,
                default: None,
            },
        }
    }

    fn webhook(&mut self, read: &Json, node: Option<&'n Node>) -> Option<Webhook> {
        let triggers: Vec<&Json> = read.as_array().into_iter().flatten().collect();
        let places: Vec<Place> = match node.and_then(|node| member(node, "triggers")) {
            Some(Node {
                content: Content::List(items),
                ..
            }) => items.iter().map(|item| item.place).collect(),
            _ => Vec::new(),
        };
        if let Some(second) = places.get(1).filter(|_| triggers.len() > 1) {
            let problem = Problem::new(*second, "a function has at most one webhook")
                .help("give the second one to a function of its own");
            self.reader.problem(problem);
        }
        let Trigger::Webhook(webhook) =
            serde_json::from_value((*triggers.first()?).clone()).ok()?;
        let outputs = webhook.outputs.iter().map(|(name, literal)| {
            let value = self.reader.literals[literal.at].clone();
            let (of, default) = declared(&value).unwrap_or((Type::of(&value), value));
            Parameter {
                name: Name::new(&**name),
                of,
                default: Some(default),
            }
        });
        Some(Webhook {
            active: webhook.active.unwrap_or(true),
            outputs: outputs.collect(),
        })
    }

    /// Checks a name that the program gives to something.
    fn name(&mut self, what: &str, name: &str, place: Place) {
        let wrong = match name {
            "" => "is empty",
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

    fn function(&mut self, at: usize, steps: &Nested<'n>, node: &'n Node) {
        let mut inside = Inside {
            function: at,
            scope: Scope::default(),
            returns: false,
            loops: 0,
        };
        self.reader.visible.clear();
        let function = &self.functions[at];
        let webhook = function.webhook.iter().flat_map(|webhook| &webhook.outputs);
        let names: Vec<Name> = function
            .inputs
            .iter()
            .chain(webhook)
            .map(|p| p.name.clone())
            .collect();
        for name in names {
            let place = declared_at(node, &name.text).unwrap_or(node.place);
            self.made(&mut inside, name, place);
        }
        self.block(&mut inside, steps, "");
        let function = &self.functions[at];
        if !function.outputs.is_empty() && !inside.returns {
            let names: Vec<&str> = function.outputs.iter().map(|o| &*o.name.text).collect();
            let message = format!(
                "the function `{}` declares outputs and never returns them",
                function.name
            );
            let problem = Problem::new(steps.node.place, message)
                .help(format!("end it with `return`, giving {}", listed(&names)));
            self.reader.problem(problem);
        }
        self.reader.problems.extend(inside.scope.problems());
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
                self.reader.problem(Problem::new(node.place, message));
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
        let shows = self.names(inside, kind, &marks, common.disabled);
        self.order(inside, kind, node);
        let returns = inside.returns;
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
            Err(message) => {
                self.reader.problem(Problem::new(node.place, message));
                return None;
            }
        };
        let (line, column) = self.reader.source.position(node.place.start);
        let code_line = marks
            .iter()
            .find(|mark| mark.role == Role::Code)
            .map(|mark| {
                let raw = &self.reader.source.text[mark.place.start..];
                let below = usize::from(raw.starts_with(['|', '>']));
                self.reader.source.position(mark.place.start).0 + below
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

    /// The kind of a step, the value under its name, and its other settings.
    fn kind(&mut self, node: &'n Node) -> Option<Written<'n>> {
        let kinds = self.kinds;
        let find = |name: &str| kinds.iter().find(|kind| kind.name == name);
        let (name, place, main, rest) = match &node.content {
            Content::Text(word) => (word, node.place, None, &[][..]),
            Content::Record(members) if !members.is_empty() => {
                let (key, value) = &members[0];
                (&key.text, key.place, Some(value), &members[1..])
            }
            _ => {
                let message = format!(
                    "a step is a record that begins with its kind, and this is {}",
                    node.described()
                );
                self.reader
                    .problem(Problem::new(node.place, message).help("such as `print: Hello`"));
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
        self.reader.problem(match problem.help {
            None => problem.help("`waystation steps` lists the kinds"),
            Some(_) => problem,
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
            let name = &*key.text;
            if let Some(schema) = own(name).filter(|_| name != kind.main) {
                settings.insert(name.into(), self.reader.read(schema, value, name));
            } else if let Some(schema) = COMMON["properties"].get(name) {
                common.insert(name.into(), self.reader.read(schema, value, name));
            } else {
                self.unknown(kind, key, properties);
            }
        }
        if let Some(main) = main {
            self.reader.named(properties, main, &mut settings);
            self.reader.changed(kind, main, properties, &settings);
        }
        if main.is_none() && required(schema, kind.main) {
            let about = own(kind.main)
                .and_then(|schema| schema["description"].as_str())
                .unwrap_or("");
            let about = about.lines().next().unwrap_or("").trim_end_matches('.');
            let message = format!("`{}` has no value", kind.name);
            let help = format!("write after the colon: {}", lower(about));
            self.reader
                .problem(Problem::new(node.place, message).help(help));
            settings.insert(kind.main.into(), Json::Null);
        }
        self.reader
            .lacking(schema, &settings, node.place, kind.name);
        Some((settings, common))
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
            let problem = Problem::new(node.place, message);
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

    fn unknown(&mut self, kind: &Kind, key: &Key, properties: Option<&Map<String, Json>>) {
        if self.kinds.iter().any(|other| other.name == &*key.text) {
            let message = format!(
                "a step has one kind, and this `{}` is also a `{}`",
                kind.name, key.text
            );
            let problem = Problem::new(key.place, message);
            self.reader
                .problem(problem.help("begin a new step with a dash of its own"));
            return;
        }
        let own = properties
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str));
        let own = own.filter(|name| *name != kind.main);
        let common = COMMON["properties"].as_object();
        let common = common
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str));
        self.reader.unknown(key, kind.name, own.chain(common));
    }

    fn identity(&mut self, common: &Common, node: &Node) {
        if let Some(id) = &common.id
            && self.ids.insert(id.as_str().into(), ()).is_some()
        {
            let problem = Problem::new(node.place, format!("two steps have the id `{}`", cut(id)));
            self.reader.problem(problem.help("give each its own"));
        }
    }

    /// Matches the names of a step with the variables and functions there are, and gives the
    /// variables it shows.
    fn names(
        &mut self,
        inside: &mut Inside,
        kind: &Kind,
        marks: &[Mark],
        off: bool,
    ) -> Vec<(usize, Arc<str>)> {
        let mut made: Vec<Arc<str>> = Vec::new();
        let mut open = false;
        for mark in marks {
            match mark.role {
                Role::Use => inside.scope.used(mark.name.clone(), mark.place),
                Role::Make => {
                    made.push(mark.name.clone());
                    if !off {
                        self.made(inside, Name::new(mark.name.clone()), mark.place);
                    }
                }
                Role::Code => {
                    let (names, all) = crate::scope::outputs_in(&mark.name);
                    open = !all;
                    for name in names {
                        made.push(name.into());
                        self.made(inside, Name::new(name), mark.place);
                    }
                    if open {
                        inside.scope.opened();
                    }
                }
                _ => {}
            }
        }
        self.called(marks);
        self.returned(inside, kind, marks, off);
        let mut shows = Vec::new();
        for mark in marks.iter().filter(|mark| mark.role == Role::Show) {
            if !open && !made.contains(&mark.name) {
                let message = format!(
                    "`{}` is not made by this step, so it cannot show it",
                    cut(&mark.name)
                );
                let problem = Problem::new(mark.place, message)
                    .did_you_mean(&mark.name, made.iter().map(|name| &**name));
                self.reader.problem(problem);
            }
            let name = Name::new(mark.name.clone());
            if open {
                self.made(inside, name.clone(), mark.place);
            }
            shows.push((self.shows.len(), name.key));
            self.shows.push(name.text);
        }
        shows
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
            let problem = Problem::new(
                call.place,
                format!("there is no function `{}`", cut(&call.name)),
            )
            .did_you_mean(&call.name, self.functions.keys().map(|name| &**name));
            self.reader.problem(problem);
            return;
        };
        let named = |role: Role| marks.iter().filter(move |mark| mark.role == role);
        let mut problems = Vec::new();
        for (role, what, declared) in [
            (Role::Argument, "input", &callee.inputs),
            (Role::Result, "output", &callee.outputs),
        ] {
            let names = || declared.iter().map(|parameter| &*parameter.name.text);
            for mark in named(role).filter(|mark| !names().any(|name| name == &*mark.name)) {
                let message = format!(
                    "the function `{}` has no {what} `{}`",
                    callee.name,
                    cut(&mark.name)
                );
                let problem = Problem::new(mark.place, message).did_you_mean(&mark.name, names());
                let all = match declared.is_empty() {
                    true => format!("it has no {what}s"),
                    false => format!("it has {}", listed(&names().collect::<Vec<_>>())),
                };
                let helped = problem.help.is_some();
                problems.push(if helped { problem } else { problem.help(all) });
            }
        }
        for input in callee.inputs.iter().filter(|input| input.default.is_none()) {
            if !named(Role::Argument).any(|mark| mark.name == input.name.text) {
                let message = format!(
                    "the function `{}` needs its input `{}`",
                    callee.name, input.name.text
                );
                let help = format!("give it: `inputs: {{{}: …}}`", input.name.text);
                problems.push(Problem::new(call.place, message).help(help));
            }
        }
        self.reader.problems.extend(problems);
    }

    /// Checks a return against the outputs that its function declares.
    fn returned(&mut self, inside: &mut Inside, kind: &Kind, marks: &[Mark], off: bool) {
        if kind.control != Control::Returns {
            return;
        }
        inside.returns |= !off;
        let function = &self.functions[inside.function];
        let names = || function.outputs.iter().map(|output| &*output.name.text);
        let given: Vec<&Mark> = marks
            .iter()
            .filter(|mark| mark.role == Role::Return)
            .collect();
        let mut problems = Vec::new();
        for mark in given
            .iter()
            .filter(|mark| !names().any(|name| name == &*mark.name))
        {
            let message = format!(
                "the function `{}` declares no output `{}`",
                function.name,
                cut(&mark.name)
            );
            let problem = Problem::new(mark.place, message).did_you_mean(&mark.name, names());
            let help = format!("declare it: `outputs: {{{}: any}}`", cut(&mark.name));
            let helped = problem.help.is_some();
            problems.push(if helped { problem } else { problem.help(help) });
        }
        let missing: Vec<&str> = match given.is_empty() {
            true => Vec::new(),
            false => names()
                .filter(|name| !given.iter().any(|mark| &*mark.name == *name))
                .collect(),
        };
        if let (Some(first), false) = (given.first(), missing.is_empty()) {
            let message = format!("this `return` leaves out {}", listed(&missing));
            problems.push(Problem::new(first.place, message).help("a return gives every output"));
        }
        self.reader.problems.extend(problems);
    }

    /// Checks that a step may stand where it does.
    fn order(&mut self, inside: &Inside, kind: &Kind, node: &Node) {
        if kind.control == Control::Leaves && inside.loops == 0 {
            let message = format!("`{}` stands outside of a loop", kind.name);
            let problem = Problem::new(node.place, message);
            self.reader
                .problem(problem.help("it can stand in the steps of a `loop` or a `while`"));
        }
        let function = &self.functions[inside.function];
        if kind.control == Control::Returns
            && matches!(&node.content, Content::Text(_))
            && !function.outputs.is_empty()
        {
            let names: Vec<&str> = function.outputs.iter().map(|o| &*o.name.text).collect();
            let problem = Problem::new(node.place, "this `return` gives no values");
            self.reader
                .problem(problem.help(format!("give {}", listed(&names))));
        }
    }
}

/// A declared variable of a webhook written as `{type, default}`.
fn declared(value: &Value) -> Option<(Type, Value)> {
    let Value::Record(record) = value else {
        return None;
    };
    let known = record
        .keys()
        .all(|key| matches!(&**key, "type" | "default"));
    let of = record.get("type").filter(|_| known)?;
    let of = serde_json::from_value::<Type>(of.to_string().into()).ok()?;
    let default = record.get("default").cloned().unwrap_or_else(|| of.blank());
    Some((of, default))
}

/// Where a function declares a variable.
fn declared_at(function: &Node, name: &str) -> Option<Place> {
    let input = member(function, "inputs").and_then(|inputs| key(inputs, name));
    let sent = || {
        let Content::List(triggers) = &member(function, "triggers")?.content else {
            return None;
        };
        let outputs = triggers
            .iter()
            .filter_map(|t| member(member(t, "webhook")?, "outputs"));
        outputs.filter_map(|outputs| key(outputs, name)).next()
    };
    input.or_else(sent).map(|key| key.place)
}

fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.content {
        Content::Record(members) => members
            .iter()
            .find(|(key, _)| &*key.text == name)
            .map(|(_, value)| value),
        _ => None,
    }
}

fn key<'n>(node: &'n Node, name: &str) -> Option<&'n Key> {
    match &node.content {
        Content::Record(members) => members
            .iter()
            .find(|(key, _)| &*key.text == name)
            .map(|(key, _)| key),
        _ => None,
    }
}

fn required(schema: &Json, name: &str) -> bool {
    schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|required| required == name)
}

/// A sentence's beginning inside another.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}
