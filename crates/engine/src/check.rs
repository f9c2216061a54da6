//! Checks a program and plans it: the names in it are matched with each other here, and everything
//! that is wrong is found in one pass.

mod functions;
mod names;
mod settings;
mod steps;
mod times;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::document::{self, Content, Key, Node};
use crate::kind::{Kind, schema_of};
use crate::plan::{Function, Plan, Planned, Test};
use crate::problem::{MAX_PROBLEMS, MAX_SHOWN, Place, Problem, Source, nearest};
use crate::program::{self, Common, Document};
use crate::read::{Nested, Reader, cut, listed};
use crate::scope::Scope;
use crate::value::Value;

/// The most steps a program may have.
pub const MAX_STEPS: usize = 5_000;

/// The settings of every step that are for steps with an effect only.
const OF_EFFECTS: [&str; 3] = ["retry", "once", "on_lost"];

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
        packages: BTreeSet::new(),
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
    packages: BTreeSet<Vec<String>>,
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
        // What is used there are variables that a run starts with, which its steps do not make.
        self.reader.marks.clear();
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
            on_node_loss: document.on_node_loss,
            concurrency: document.concurrency,
            functions: std::mem::take(&mut self.functions),
            tests,
            source: self.reader.source.clone(),
            inputs: std::mem::take(&mut self.reader.inputs),
            blocks: std::mem::take(&mut self.blocks),
            shows: std::mem::take(&mut self.shows),
            packages: std::mem::take(&mut self.packages).into_iter().collect(),
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
