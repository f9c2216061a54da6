//! A plan: a checked program, ready to run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::check;
use crate::field::Block;
use crate::kind::{AnyStep, Kind};
use crate::problem::{Problem, Source, nearest};
use crate::program::{Common, Concurrency, Missed, OnNodeLoss, Overlap};
use crate::read::listed;
use crate::retry::OnLost;
use crate::schedule::Schedule;
use crate::template::Template;
use crate::types::Type;
use crate::value::{Record, Value};
use crate::variables::{Name, Variables};

/// A checked program, ready to run.
pub struct Plan {
    /// What callers send as `program_id`.
    pub id: u64,
    /// What people call the program.
    pub name: Arc<str>,
    /// What the program is for.
    pub description: Option<String>,
    /// What becomes of a run when the server that is at it stops without ending it, if the program says so.
    pub on_node_loss: Option<OnNodeLoss>,
    /// How many of its runs are at work at once, if it says so.
    pub concurrency: Option<Concurrency>,
    /// The functions in the order they are written; the first is the main one.
    pub functions: IndexMap<Arc<str>, Function>,
    /// The calls that test it.
    pub tests: Vec<Test>,
    /// The sets of packages that its steps name, each set once; see [`crate::host::Code::packages`].
    pub packages: Vec<Vec<String>>,
    /// Its text.
    pub source: Source,
    pub(crate) inputs: Vec<(Template, &'static str)>,
    pub(crate) blocks: Vec<Vec<Planned>>,
    pub(crate) shows: Vec<Arc<str>>,
}

/// A function of a plan.
pub struct Function {
    /// Its name.
    pub name: Arc<str>,
    /// What a caller gives.
    pub inputs: Vec<Parameter>,
    /// What it returns.
    pub outputs: Vec<Parameter>,
    /// Its webhook, if it has one.
    pub webhook: Option<Webhook>,
    /// When it is started by the time.
    pub timers: Vec<Timer>,
    pub(crate) steps: Block,
}

/// A declared variable.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub of: Type,
    /// Its value when none is given.
    pub default: Option<Value>,
}

/// A webhook trigger.
pub struct Webhook {
    /// Whether it is on.
    pub active: bool,
    /// The variables a caller may send, in order.
    pub outputs: Vec<Parameter>,
}

/// A time trigger.
#[derive(Clone, Debug)]
pub struct Timer {
    /// When it is due.
    pub schedule: Schedule,
    /// Whether it is on.
    pub active: bool,
    /// What becomes of times at which no server was there.
    pub missed: Missed,
    /// What happens when the run of the time before has not ended.
    pub overlap: Overlap,
}

/// A step of a plan.
pub struct Planned {
    /// Its number in the function: `2`, or `2.1` for the first step inside the second.
    pub number: Arc<str>,
    /// Its kind.
    pub kind: &'static Kind,
    /// The line it starts on, from 1.
    pub line: usize,
    /// The column it starts at, from 1.
    pub column: usize,
    /// The line of the file on which the first line of its code stands, if it has code.
    pub code_line: Option<usize>,
    /// The settings every step has.
    pub common: Common,
    pub(crate) timeout: Option<Duration>,
    pub(crate) shows: Vec<(usize, Arc<str>)>,
    pub(crate) step: Box<dyn AnyStep>,
}

/// A call that tests a program, and what it must give.
pub struct Test {
    /// What it shows.
    pub name: Option<String>,
    /// Which function is called.
    pub function: Option<String>,
    /// The values sent.
    pub variables: Vec<Value>,
    /// The `Result` that must come back.
    pub result: Option<Value>,
    /// The lines that must be in the log.
    pub log: Option<Vec<String>>,
    /// The sentence with which it must fail.
    pub error: Option<String>,
}

/// Which function to start, and with what.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The function's name; without it the program's triggers decide.
    pub function: Option<String>,
    /// The values sent, in order.
    pub values: Vec<Value>,
    /// The values sent by name, in place of those in order.
    pub named: Option<Arc<Record>>,
    /// Whether the call comes by `/api`, which reaches only functions with an active webhook.
    pub by_webhook: bool,
}

/// How many runs that have something in common are at work at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What they have in common, as JSON; empty where it is the program alone.
    pub key: String,
    /// How many are at work at once.
    pub max: u32,
    /// How many may wait.
    pub queue: u32,
}

/// A function about to run, with the variables it starts with.
pub struct Entry<'p> {
    /// The function.
    pub function: &'p Function,
    /// What it starts with, in declared order.
    pub variables: Vec<(Name, Value)>,
}

/// Why a call starts nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// No function has that name; which ones can be run.
    NoFunction(String, Vec<String>),
    /// The function has no active webhook.
    NotActive(String),
    /// No function has an active webhook.
    NoWebhook,
    /// Several functions have one, and none is named.
    Several(Vec<String>),
    /// More values than the trigger takes: the function, how many it takes, how many came.
    TooMany(String, usize, usize),
    /// A value for a variable that the trigger does not take: the function, the variable, those it takes.
    NoVariable(String, String, Vec<String>),
    /// The key of the program's `concurrency` cannot be worked out: why.
    NoKey(String),
    /// A value that does not fit its variable: the variable, its type, the value.
    Unfit(String, Type, String),
}

impl Plan {
    /// Checks a program's text.
    ///
    /// # Errors
    /// Every problem found, in the order of their places.
    pub fn check(source: &Source, kinds: &'static [Kind]) -> Result<Plan, Vec<Problem>> {
        check::plan(source, kinds)
    }

    /// Whether any step is of the kind of this name.
    pub fn uses(&self, kind: &str) -> bool {
        let mut steps = self.blocks.iter().flatten();
        steps.any(|step| step.kind.name == kind)
    }

    /// The steps of a block.
    pub(crate) fn block(&self, block: Block) -> &[Planned] {
        &self.blocks[block.at]
    }

    /// The functions a caller of `/api` can run, in program order.
    pub fn active(&self) -> impl Iterator<Item = &Function> {
        self.functions
            .values()
            .filter(|f| f.webhook.as_ref().is_some_and(|hook| hook.active))
    }

    /// The function a call starts, with the variables it starts with.
    ///
    /// # Errors
    /// Why the call starts nothing.
    pub fn entry(&self, call: &Call) -> Result<Entry<'_>, Refusal> {
        let function = self.function(call)?;
        let mut variables: Vec<(Name, Value)> = Vec::new();
        if function.webhook.is_some() {
            variables.extend(function.inputs.iter().map(|p| (p.name.clone(), p.blank())));
        }
        let declared = function.declared();
        if call.values.len() > declared.len() {
            let (takes, given) = (declared.len(), call.values.len());
            return Err(Refusal::TooMany(function.name.to_string(), takes, given));
        }
        if let Some(named) = &call.named {
            known(function, named, declared)?;
        }
        for (at, parameter) in declared.iter().enumerate() {
            let named = call.named.as_ref();
            let named = named.and_then(|named| named.get(&parameter.name.text));
            let value = match named.or_else(|| call.values.get(at)) {
                Some(value) => parameter.read(value)?,
                None => parameter.blank(),
            };
            variables.push((parameter.name.clone(), value));
        }
        Ok(Entry {
            function,
            variables,
        })
    }

    /// What limits a run that starts with these variables, if anything does.
    ///
    /// # Errors
    /// That the key cannot be worked out.
    pub fn limit(&self, variables: &[(Name, Value)]) -> Result<Option<Limit>, Refusal> {
        let Some(concurrency) = &self.concurrency else {
            return Ok(None);
        };
        let key = match &concurrency.key {
            None => String::new(),
            Some(key) => self.key(key.at, variables)?,
        };
        Ok(Some(Limit {
            key,
            max: concurrency.max,
            queue: concurrency.queue.unwrap_or(1_000),
        }))
    }

    fn key(&self, at: usize, variables: &[(Name, Value)]) -> Result<String, Refusal> {
        let mut all = Variables::default();
        let (template, _) = &self.inputs[at];
        let set = variables
            .iter()
            .try_for_each(|(name, value)| all.set(name, value.clone()));
        let key = set.and_then(|()| template.evaluate(&Arc::new(all)));
        key.map(|key| key.to_json()).map_err(Refusal::NoKey)
    }

    fn function(&self, call: &Call) -> Result<&Function, Refusal> {
        let Some(name) = &call.function else {
            return self.chosen(call);
        };
        match self.functions.get(name.as_str()) {
            None => {
                let runnable: Vec<String> = match call.by_webhook {
                    true => self.active().map(|f| f.name.to_string()).collect(),
                    false => self.functions.keys().map(|name| name.to_string()).collect(),
                };
                Err(Refusal::NoFunction(name.clone(), runnable))
            }
            Some(function)
                if call.by_webhook && !self.active().any(|f| f.name == function.name) =>
            {
                Err(Refusal::NotActive(name.clone()))
            }
            Some(function) => Ok(function),
        }
    }

    fn chosen(&self, call: &Call) -> Result<&Function, Refusal> {
        let active: Vec<&Function> = self.active().collect();
        match (&active[..], call.by_webhook) {
            ([only], _) => Ok(only),
            ([], true) => Err(Refusal::NoWebhook),
            (several, true) => Err(Refusal::Several(
                several.iter().map(|f| f.name.to_string()).collect(),
            )),
            (_, false) => Ok(&self.functions[0]),
        }
    }
}

/// Makes sure that a function takes every variable that is named.
fn known(function: &Function, named: &Record, declared: &[Parameter]) -> Result<(), Refusal> {
    let names = || declared.iter().map(|parameter| &*parameter.name.text);
    let Some((other, _)) = named
        .iter()
        .find(|(name, _)| !names().any(|known| *known == ***name))
    else {
        return Ok(());
    };
    let takes = names().map(str::to_owned).collect();
    let function = function.name.to_string();
    Err(Refusal::NoVariable(function, other.to_string(), takes))
}

impl Planned {
    /// What becomes of its effect where it is not known whether it was done.
    pub(crate) fn on_lost(&self) -> OnLost {
        let default = match self.common.once {
            true => OnLost::Fail,
            false => OnLost::Retry,
        };
        self.common.on_lost.unwrap_or(default)
    }
}

impl Function {
    /// The variables it starts with where nobody sends any, in declared order.
    pub fn starts_with(&self) -> Vec<(Name, Value)> {
        let sent = self.webhook.iter().flat_map(|hook| &hook.outputs);
        let all = self.inputs.iter().chain(sent);
        all.map(|parameter| (parameter.name.clone(), parameter.blank()))
            .collect()
    }

    /// The variables that a caller may send, in order.
    pub fn declared(&self) -> &[Parameter] {
        match &self.webhook {
            Some(webhook) => &webhook.outputs,
            None => &self.inputs,
        }
    }

    /// A value that a run of this function started with, as it was before it was written as JSON, where
    /// dates are text.
    pub fn restored(&self, name: &Name, value: Value) -> Value {
        let outputs = self.webhook.iter().flat_map(|hook| &hook.outputs);
        let mut declared = outputs.chain(&self.inputs);
        match declared.find(|parameter| parameter.name == *name) {
            Some(parameter) => parameter.typed(value),
            None => value,
        }
    }
}

impl Parameter {
    /// Its value when none is given.
    fn blank(&self) -> Value {
        match &self.default {
            Some(default) => self.typed(default.clone()),
            None => self.of.blank(),
        }
    }

    /// A value that fits its type, with that type: a date may still be text.
    fn typed(&self, value: Value) -> Value {
        self.of.check(value.clone()).unwrap_or(value)
    }

    fn read(&self, value: &Value) -> Result<Value, Refusal> {
        self.of.read(value.clone()).ok_or_else(|| {
            let sent = match value {
                Value::Text(text) => text.to_string(),
                other => other.to_json(),
            };
            Refusal::Unfit(self.name.text.to_string(), self.of, sent)
        })
    }
}

/// The sentence `/api` answers with.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = crate::read::cut;
        match self {
            Refusal::NoFunction(name, runnable) => {
                write!(f, "There is no function `{}`.", cut(name))?;
                if let Some(near) = nearest(name, runnable.iter().map(String::as_str)) {
                    write!(f, " Did you mean `{near}`?")?;
                }
                match &runnable[..] {
                    [] => f.write_str(" The program has no function that can be run."),
                    names => write!(f, " The functions that can be run: {}.", listed(names)),
                }
            }
            Refusal::NotActive(name) => write!(
                f,
                "The function `{}` has no active webhook trigger. Give it `triggers: [webhook]`, without `active: false`.",
                cut(name)
            ),
            Refusal::NoWebhook => f.write_str(
                "No function of this program has an active webhook trigger. Give one `triggers: [webhook]`, without `active: false`.",
            ),
            Refusal::Several(names) => write!(
                f,
                "Several functions of this program have an active webhook trigger: {}. Name one with the parameter `function`.",
                listed(names)
            ),
            Refusal::TooMany(name, takes, given) => {
                let values = if *takes == 1 { "value" } else { "values" };
                let were = if *given == 1 { "was" } else { "were" };
                write!(f, "The function `{}` takes {takes} {values} in `variables`, and {given} {were} sent.", cut(name))
            }
            Refusal::NoVariable(function, name, takes) => {
                write!(f, "The function `{}` takes no variable `{}`.", cut(function), cut(name))?;
                if let Some(near) = nearest(name, takes.iter().map(String::as_str)) {
                    write!(f, " Did you mean `{near}`?")?;
                }
                match &takes[..] {
                    [] => f.write_str(" It takes none."),
                    names => write!(f, " It takes {}.", listed(names)),
                }
            }
            Refusal::NoKey(why) => write!(f, "The `key` of the program's `concurrency` cannot be worked out: {why}."),
            Refusal::Unfit(name, of, value) => {
                write!(f, "The variable `{}` takes a {}, and `{}` is none.", cut(name), of.name(), cut(value))
            }
        }
    }
}
