//! What a step may touch.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::date::Date;
use crate::field::{Block, FromValue, Input, Output};
use crate::host::{Asked, Code, Effect, Host, Language, Logger, Pause, Stream, Wanted};
use crate::path::Path;
use crate::plan::{Function, Plan, Planned};
use crate::retry::{Keep, OnError, OnLost, Retry, Then};
use crate::run::{Failure, Flow, Reason, Values};
use crate::storage::{self, Shelf, Storage};
use crate::value::{Record, Value};
use crate::variables::{Name, Variables};
use crate::watch::{Stage, Watch};

/// How much a run may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// How many steps it may run, those in loops counted each time.
    pub steps: u64,
    /// How many passes all its loops may make.
    pub passes: u64,
    /// How deep functions may call each other.
    pub calls: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(3600),
            steps: 10_000_000,
            passes: 1_000_000,
            calls: 64,
        }
    }
}

/// How many steps may stand inside each other at a moment of a run, over all calls.
const MAX_NESTING: u32 = 1_000;

/// After how many steps a run lets others have the thread.
const TURN: u64 = 512;

/// A run as its steps see it.
pub struct Cx<'r> {
    plan: &'r Plan,
    host: &'r dyn Host,
    limits: Limits,
    function: &'r Function,
    step: Option<&'r Planned>,
    variables: Arc<Variables>,
    path: Path<'r>,
    deadline: Deadline,
    steps: u64,
    passes: u64,
    calls: u32,
    nesting: u32,
    shown: Vec<Option<(u64, Value)>>,
    storage: Storage,
    watch: Option<&'r dyn Watch>,
}

/// When the run must have come to an end, and when the step, if it has a `timeout`: times since the run began.
#[derive(Clone, Copy)]
struct Deadline {
    run: Duration,
    /// With the `timeout`.
    step: Option<(Duration, Duration)>,
}

impl Deadline {
    fn first(&self) -> Duration {
        self.step.map_or(self.run, |(step, _)| step.min(self.run))
    }
}

impl<'r> Cx<'r> {
    pub(crate) fn new(
        plan: &'r Plan,
        function: &'r Function,
        host: &'r dyn Host,
        limits: Limits,
        watch: Option<&'r dyn Watch>,
    ) -> Cx<'r> {
        Cx {
            plan,
            host,
            limits,
            function,
            step: None,
            variables: Arc::default(),
            path: Path::default(),
            deadline: Deadline {
                run: limits.time,
                step: None,
            },
            steps: 0,
            passes: 0,
            calls: 0,
            nesting: 0,
            shown: vec![None; plan.shows.len()],
            storage: Storage::default(),
            watch,
        }
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// A failure that names what has no value or does not fit.
    pub fn get<T: FromValue>(&self, input: &Input<T>) -> Result<T, Failure> {
        let (template, wanted) = &self.plan.inputs[input.at];
        let value = template.evaluate(&self.variables).map_err(Failure::new)?;
        let described = value.described();
        T::from_value(value)
            .ok_or_else(|| Failure::new(format!("a {wanted} is needed, and this is {described}")))
    }

    /// The value of a setting that may be left out.
    ///
    /// # Errors
    /// As [`Cx::get`].
    pub fn get_opt<T: FromValue>(&self, input: &Option<Input<T>>) -> Result<Option<T>, Failure> {
        input.as_ref().map(|input| self.get(input)).transpose()
    }

    /// The variable that a setting names, if it is nothing but a variable.
    pub fn variable<T>(&self, input: &Input<T>) -> Option<Output> {
        let key = self.plan.inputs[input.at].0.as_variable()?;
        let text = self.variables.name(key)?;
        Some(Output(Name {
            text,
            key: key.clone(),
        }))
    }

    /// Gives a variable a value.
    ///
    /// # Errors
    /// A failure when that passes a limit.
    pub fn set(&mut self, output: &Output, value: impl Into<Value>) -> Result<(), Failure> {
        self.set_named(&output.0, value.into())
    }

    fn set_named(&mut self, name: &Name, value: Value) -> Result<(), Failure> {
        Arc::make_mut(&mut self.variables)
            .set(name, value)
            .map_err(|why| Failure::new(format!("`{}`: {why}", name.text)).because(Reason::Limit))
    }

    /// Takes a variable's value out, to change it without a copy and set it again.
    pub fn take(&mut self, output: &Output) -> Option<Value> {
        Arc::make_mut(&mut self.variables).take(&output.0.key)
    }

    /// Changes the variable that a setting is, or, where `into` names one, gives that variable the
    /// changed value. Other settings are to be read before. The schema of the setting says
    /// `x-changes`, with the name of the setting that holds `into`.
    ///
    /// # Errors
    /// The failure of the change, which then must have changed nothing; as [`Cx::get`]; a limit.
    pub fn change<T: FromValue + Into<Value>, A>(
        &mut self,
        input: &Input<T>,
        into: &Option<Output>,
        change: impl FnOnce(&mut T) -> Result<A, Failure>,
    ) -> Result<A, Failure> {
        let variable = into.clone().or_else(|| self.variable(input));
        let variable = variable.ok_or_else(|| Failure::new("there is no variable to change"))?;
        let mut value = self.get(input)?;
        if into.is_none() {
            self.take(&variable);
        }
        let result = change(&mut value);
        if result.is_ok() || into.is_none() {
            self.set(&variable, value)?;
        }
        result
    }

    /// All variables as a record.
    pub fn variables(&self) -> Record {
        self.variables.to_record()
    }

    /// Makes a variable of a name that is known only now, as code does.
    ///
    /// # Errors
    /// A failure when the name is another variable's in expressions, or on a limit.
    pub fn make(&mut self, name: &str, value: Value) -> Result<(), Failure> {
        let name = Name::new(name);
        if let Some(other) = self
            .variables
            .name(&name.key)
            .filter(|other| *other != name.text)
        {
            let message = format!(
                "the variables `{other}` and `{}` are both `{}` in expressions",
                name.text, name.key
            );
            return Err(Failure::new(message));
        }
        self.set_named(&name, value)
    }

    /// Writes to the log: a line for every line of the text.
    pub fn log(&self, stream: Stream, text: &str) {
        self.logger().log(stream, text);
    }

    /// What an effect can write to the log with while it works.
    pub fn logger(&self) -> Logger<'r> {
        Logger::new(self.host, self.at())
    }

    fn at(&self) -> (&'r str, &'r str) {
        (
            &self.function.name,
            self.step.map_or("", |step| &step.number),
        )
    }

    /// Runs code of another language with all variables as its inputs and `packages` to import from, and
    /// makes the variables that come out of it.
    ///
    /// # Errors
    /// The failure of the code, with the line it happened on; a limit; that time is over.
    pub async fn code(
        &mut self,
        language: Language,
        text: &str,
        asked: Asked<'_>,
    ) -> Result<(), Failure> {
        let code = Code {
            language,
            text,
            file: &self.plan.source.name,
            line: self.step.and_then(|step| step.code_line).unwrap_or(1),
            step: self.at(),
            timeout: self.step.and_then(|step| step.timeout),
            inputs: Arc::new(self.variables()),
            asked,
        };
        let host = self.host;
        let inputs = Value::Record(code.inputs.clone());
        let outputs = self.effect(inputs, async { host.code(code).await.map(Value::from) });
        let Value::Record(outputs) = outputs.await? else {
            return Ok(());
        };
        for (name, value) in outputs.iter() {
            self.make(name, value.clone())?;
        }
        Ok(())
    }

    /// Lets a length of time pass, which does not count as time that the run takes.
    ///
    /// # Errors
    /// That the step's time is over, or that the run is to stop.
    pub async fn sleep(&mut self, time: Duration) -> Result<(), Failure> {
        self.deadline.run = self.deadline.run.saturating_add(time);
        let pause = Pause {
            step: self.at(),
            key: self.key(),
            time,
            deadline: self.deadline.first(),
        };
        let slept = self.host.sleep(pause).await;
        slept.map_err(|failure| self.timed(failure))
    }

    /// A value as the runs of the program before left it.
    ///
    /// # Errors
    /// That there can be no such key, or that it cannot be read.
    pub async fn left(&mut self, shelf: Shelf, key: &Arc<str>) -> Result<Option<Value>, Failure> {
        storage::check_key(key)?;
        if let Some(known) = self.storage.left(shelf, key) {
            return Ok(known);
        }
        let wanted = Wanted {
            kind: self.step.map_or("", |step| step.kind.name),
            step: self.key(),
            shelf,
            key,
        };
        let left = self.host.left(wanted).await?;
        self.storage.found(shelf, key.clone(), left.clone());
        Ok(left)
    }

    /// A value as this run has set it, or else as those before left it.
    ///
    /// # Errors
    /// As [`Cx::left`].
    pub async fn stored(&mut self, shelf: Shelf, key: &Arc<str>) -> Result<Option<Value>, Failure> {
        match self.storage.set_to(shelf, key) {
            Some(set) => Ok(set),
            None => self.left(shelf, key).await,
        }
    }

    /// Sets a value that the runs after this one find, once it has succeeded. Nothing forgets it.
    ///
    /// # Errors
    /// That there can be no such key, or a limit.
    pub fn store(
        &mut self,
        shelf: Shelf,
        key: Arc<str>,
        value: Option<Value>,
    ) -> Result<(), Failure> {
        storage::check_key(&key)?;
        self.storage.set(shelf, key.clone(), value.clone())?;
        self.host.keep(shelf, &key, value.as_ref());
        Ok(())
    }

    /// The name of the function that the run is in.
    pub fn function_name(&self) -> &'r str {
        &self.function.name
    }

    /// The key of the step that the run is at.
    fn key(&self) -> String {
        self.path.key(self.step.map_or("", |step| &step.number))
    }

    /// The time now.
    pub fn now(&self) -> Date {
        self.host.now()
    }

    /// A random number, every one as likely as another.
    pub fn random(&self) -> u64 {
        self.host.random()
    }

    /// Does something outside of the run. This is the only door: the host decides whether the work is
    /// done now or was done before. `input` is what it depends on, beside the program; what it gives
    /// must be what JSON can hold.
    ///
    /// # Errors
    /// The work's own failure, or that time is over or the run is to stop.
    pub async fn effect<'a>(
        &'a self,
        input: Value,
        work: impl Future<Output = Result<Value, Failure>> + Send + 'a,
    ) -> Result<Value, Failure> {
        let effect = Effect {
            kind: self.step.map_or("", |step| step.kind.name),
            step: self.at(),
            key: self.key(),
            input,
            lost: self.step.map_or(OnLost::Retry, Planned::on_lost),
            deadline: self.deadline.first(),
        };
        let done = self.host.effect(effect, Box::pin(work)).await;
        done.map_err(|failure| self.timed(failure))
    }

    /// A failure that says nothing but that the time is over, in words.
    fn timed(&self, failure: Failure) -> Failure {
        match failure.reason == Reason::Timeout && failure.message.is_empty() {
            true => self.late(),
            false => failure,
        }
    }

    /// Begins a pass of a loop.
    ///
    /// # Errors
    /// A failure when the run may not go on.
    pub fn pass(&mut self) -> Result<(), Failure> {
        self.passes += 1;
        if self.passes > self.limits.passes {
            let message = format!(
                "the loops of this run made more than {} passes",
                self.limits.passes
            );
            return Err(Failure::new(message).because(Reason::Limit));
        }
        self.path.pass(self.nesting);
        self.may_go_on()
    }

    /// Runs the steps of a block in turn, until one says otherwise.
    ///
    /// # Errors
    /// The failure of a step.
    pub async fn run(&mut self, block: &Block) -> Result<Flow, Failure> {
        let (plan, steps) = (self.plan, self.steps);
        for step in plan.block(*block) {
            if step.common.disabled {
                continue;
            }
            match self.one(step).await? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        // A loop around nothing takes its turns as well.
        if self.steps == steps && self.passes.is_multiple_of(TURN) {
            turn().await;
        }
        Ok(Flow::Next)
    }

    async fn one(&mut self, step: &'r Planned) -> Result<Flow, Failure> {
        let function = self.function;
        let outer = self.step.replace(step);
        let result = match &step.common.retry {
            None => self.attempt(step).await,
            Some(retry) => Box::pin(self.tries(step, retry)).await,
        };
        self.step = outer;
        let result = result.map_err(|failure| failure.at(function, step));
        let flow = match &step.common.on_error {
            None => result?,
            Some(on_error) => self.forgiven(result, on_error)?,
        };
        for (slot, key) in &step.shows {
            if let Some(value) = self.variables.get(key) {
                self.shown[*slot] = Some((self.steps, value.clone()));
            }
        }
        Ok(flow)
    }

    /// Takes a step once.
    async fn attempt(&mut self, step: &'r Planned) -> Result<Flow, Failure> {
        let outer = self.deadline.step;
        if let Some(timeout) = step.timeout {
            let end = self.host.elapsed().saturating_add(timeout);
            if outer.is_none_or(|(outer, _)| end < outer) {
                self.deadline.step = Some((end, timeout));
            }
        }
        let result = match self.begin().await {
            Ok(()) => self.take_step(step).await,
            Err(failure) => Err(failure),
        };
        self.path.leave(self.nesting);
        self.nesting -= 1;
        self.deadline.step = outer;
        result
    }

    async fn take_step(&mut self, step: &'r Planned) -> Result<Flow, Failure> {
        let Some(watch) = self.watch else {
            return step.step.run(self).await;
        };
        let number = self.steps;
        watch.begins(&self.stage(number, step))?;
        let result = step.step.run(self).await;
        let ended = result.as_ref().map(|_| ());
        watch.ends(&self.stage(number, step), ended);
        result
    }

    fn stage<'s>(&'s self, number: u64, step: &'s Planned) -> Stage<'s> {
        Stage {
            number,
            function: &self.function.name,
            step,
            path: &self.path,
            variables: &self.variables,
        }
    }

    /// How many steps the run has taken.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes a step, and again as often as its `retry` says.
    async fn tries(&mut self, step: &'r Planned, retry: &Retry) -> Result<Flow, Failure> {
        let began = self.host.elapsed();
        let mut tries = 0;
        loop {
            let failure = match self.attempt(step).await {
                Ok(flow) => return Ok(flow),
                Err(failure) => failure,
            };
            tries += 1;
            let since = self.host.elapsed().saturating_sub(began);
            let host = self.host;
            let Some(pause) = retry.pause(tries, failure.reason, since, || host.random()) else {
                return Err(failure);
            };
            let (last, pause) = (retry.max() + 1, rounded(pause));
            let message = &failure.message;
            self.log(
                Stream::Note,
                &format!("try {tries} of {last} failed, the next is in {pause:?}: {message}"),
            );
            self.sleep(pause).await?;
        }
    }

    /// What comes of a step that has `on_error`.
    fn forgiven(
        &mut self,
        result: Result<Flow, Failure>,
        on_error: &OnError,
    ) -> Result<Flow, Failure> {
        let into = match on_error {
            OnError::Then(Then::Fail) => return result,
            OnError::Then(Then::Continue) => None,
            OnError::Keep(Keep { into }) => Some(into),
        };
        let (flow, kept) = match result {
            Ok(flow) => (flow, Value::Nothing),
            Err(failure) if failure.reason.ends_the_run() => return Err(failure),
            Err(failure) => {
                self.log(
                    Stream::Note,
                    &format!("the run goes on after a failure: {failure}"),
                );
                (Flow::Next, failure.into_value())
            }
        };
        if let Some(into) = into {
            self.set(into, kept)?;
        }
        Ok(flow)
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        self.nesting += 1;
        self.steps += 1;
        if self.nesting > MAX_NESTING {
            let message = format!("steps stand more than {MAX_NESTING} deep inside each other");
            return Err(Failure::new(message).because(Reason::Limit));
        }
        if self.steps > self.limits.steps {
            let message = format!("the run took more than {} steps", self.limits.steps);
            return Err(Failure::new(message).because(Reason::Limit));
        }
        if self.steps.is_multiple_of(TURN) {
            turn().await;
        }
        self.may_go_on()
    }

    fn may_go_on(&self) -> Result<(), Failure> {
        if self.host.cancelled() {
            return Err(Failure::new("the run was cancelled").because(Reason::Cancelled));
        }
        if self.host.elapsed() > self.deadline.first() {
            return Err(self.late());
        }
        Ok(())
    }

    fn late(&self) -> Failure {
        let message = match self.deadline.step {
            Some((end, timeout)) if end <= self.deadline.run => {
                format!("the step took longer than its `timeout` of {timeout:?}")
            }
            _ => format!("the run took longer than {:?}", self.limits.time),
        };
        Failure::new(message).because(Reason::Timeout)
    }

    /// Calls a function of the program and gives what it returns.
    ///
    /// # Errors
    /// The failure of one of its steps, an input that does not fit, calls too deep.
    pub async fn call(&mut self, name: &str, given: Values) -> Result<Values, Failure> {
        let plan = self.plan;
        let function = plan
            .functions
            .get(name)
            .ok_or_else(|| Failure::new(format!("there is no function `{name}`")))?;
        if self.calls >= self.limits.calls {
            let message = format!(
                "functions call each other more than {} deep",
                self.limits.calls
            );
            return Err(Failure::new(message).because(Reason::Limit));
        }
        let mut inputs = Vec::with_capacity(function.inputs.len());
        for input in &function.inputs {
            let given = given.iter().find(|(name, _)| *name == input.name.text);
            let value = given.map(|(_, value)| value.clone());
            let value = value
                .or_else(|| input.default.clone())
                .unwrap_or_else(|| input.of.blank());
            inputs.push((
                input.name.clone(),
                typed(&input.name.text, "input", input.of, value)?,
            ));
        }
        let outer = (
            std::mem::take(&mut self.variables),
            self.function,
            self.step,
        );
        self.calls += 1;
        self.path.call(outer.2.map_or("", |step| &step.number));
        let returned = self.function(function, inputs).await;
        self.path.back();
        self.calls -= 1;
        (self.variables, self.function, self.step) = outer;
        returned
    }

    /// Runs a function with the variables it starts with.
    pub(crate) async fn function(
        &mut self,
        function: &'r Function,
        variables: Vec<(Name, Value)>,
    ) -> Result<Values, Failure> {
        self.function = function;
        for (name, value) in variables {
            self.set_named(&name, value)?;
        }
        let values = match self.run(&function.steps).await? {
            Flow::Return(values) => values,
            _ if function.outputs.is_empty() => Values::new(),
            _ => {
                let message = format!(
                    "the function `{}` ended without `return`, and it declares outputs",
                    function.name
                );
                return Err(Failure::new(message));
            }
        };
        let declared = function.outputs.iter().filter_map(|output| {
            let (name, value) = values.iter().find(|(name, _)| *name == output.name.text)?;
            Some(typed(name, "output", output.of, value.clone()).map(|value| (name.clone(), value)))
        });
        declared.collect()
    }

    /// What the run answers: what its steps showed in program order, each name once, then what its
    /// function returned.
    pub(crate) fn result(&mut self, returned: Values) -> Values {
        let mut last: indexmap::IndexMap<Arc<str>, (u64, Value)> = indexmap::IndexMap::new();
        for (name, shown) in self.plan.shows.iter().zip(std::mem::take(&mut self.shown)) {
            let Some((step, value)) = shown else { continue };
            match last.get_mut(name) {
                Some(known) if known.0 > step => {}
                Some(known) => *known = (step, value),
                None => {
                    last.insert(name.clone(), (step, value));
                }
            }
        }
        let mut result: Values = last
            .into_iter()
            .map(|(name, (_, value))| (name, value))
            .collect();
        for (name, value) in returned {
            if !result.iter().any(|(shown, _)| *shown == name) {
                result.push((name, value));
            }
        }
        result
    }
}

fn typed(name: &str, what: &str, of: crate::types::Type, value: Value) -> Result<Value, Failure> {
    let described = value.described();
    of.check(value).ok_or_else(|| {
        Failure::new(format!(
            "the {what} `{name}` is a {}, and this is {described}",
            of.name()
        ))
    })
}

/// A pause in whole milliseconds, or in whole seconds where it is long.
fn rounded(pause: Duration) -> Duration {
    match pause.as_secs() {
        ..10 => Duration::from_millis(pause.as_millis() as u64),
        seconds => Duration::from_secs(seconds),
    }
}

/// Lets other runs have the thread.
async fn turn() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
