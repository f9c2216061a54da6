//! The seam between a run and the world: what a run may ask for, and in which words.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::date::Date;
use crate::retry::OnLost;
use crate::run::Failure;
use crate::storage::Shelf;
use crate::value::{Record, Value};

/// A future that does not say what it is.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a run may ask of the world.
pub trait Host: Send + Sync {
    /// Keeps a line of the log.
    fn log(&self, line: Line<'_>);

    /// Performs an effect, or gives what came of it when the run was gone through before.
    fn effect<'a>(
        &'a self,
        effect: Effect<'a>,
        work: Boxed<'a, Result<Value, Failure>>,
    ) -> Boxed<'a, Result<Value, Failure>>;

    /// Runs code of another language in a process of its own, and gives the outputs it made.
    fn code<'a>(&'a self, code: Code<'a>) -> Boxed<'a, Result<Record, Failure>>;

    /// Lets a length of time pass, or what is left of it when the run was gone through before.
    ///
    /// # Errors
    /// A failure for the reason `Timeout`, without a message, when the deadline comes before the time has passed;
    /// that the run is to stop.
    fn sleep<'a>(&'a self, pause: Pause<'a>) -> Boxed<'a, Result<(), Failure>>;

    /// A value as the runs of the program before left it; the same when the run is gone through again.
    fn left<'a>(&'a self, wanted: Wanted<'a>) -> Boxed<'a, Result<Option<Value>, Failure>>;

    /// Keeps a value for the runs of the program after this one, or nothing under its key any more, once this one has
    /// succeeded.
    fn keep(&self, shelf: Shelf, key: &str, value: Option<&Value>);

    /// The time now.
    fn now(&self) -> Date;

    /// How long the run has taken, without the time that it waited for a server to go on with it.
    fn elapsed(&self) -> Duration;

    /// A random number, every one as likely as another; the same whenever the run is gone through.
    fn random(&self) -> u64;

    /// Whether the run is to stop.
    fn cancelled(&self) -> bool;

    /// Learns how many steps the run has taken, now that it has ended; those in loops are counted each time.
    fn took(&self, steps: u64);
}

/// A line of a run's log.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The function and the number of the step that wrote it.
    pub step: (&'a str, &'a str),
    /// What wrote it.
    pub stream: Stream,
    /// The line, without its end.
    pub text: &'a str,
}

/// What wrote a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The program, by `print`.
    Print,
    /// Code, on its standard output.
    Out,
    /// Code, on its standard error.
    Error,
    /// Waystation.
    Note,
}

/// Something that a step does outside of its run.
#[derive(Clone, Debug)]
pub struct Effect<'a> {
    /// The kind of the step.
    pub kind: &'static str,
    /// The function and the number of the step.
    pub step: (&'a str, &'a str),
    /// The key of the step: where it stands in the run, through passes and calls.
    pub key: String,
    /// What the effect depends on, beside the program.
    pub input: Value,
    /// What becomes of it where it is not known whether it was done.
    pub lost: OnLost,
    /// The time since the run began at which the effect is to be over.
    pub deadline: Duration,
}

/// A length of time that a run lets pass.
#[derive(Clone, Debug)]
pub struct Pause<'a> {
    /// The function and the number of the step.
    pub step: (&'a str, &'a str),
    /// The key of the step; see [`Effect::key`].
    pub key: String,
    /// The length.
    pub time: Duration,
    /// The time since the run began at which it is to be over.
    pub deadline: Duration,
}

/// A value that runs before may have kept.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The kind of the step that asks.
    pub kind: &'static str,
    /// The key of the step; see [`Effect::key`].
    pub step: String,
    /// Where it is kept.
    pub shelf: Shelf,
    /// Its key.
    pub key: &'a str,
}

/// Code of another language, and what it starts with.
#[derive(Clone, Debug)]
pub struct Code<'a> {
    /// The language.
    pub language: Language,
    /// The code.
    pub text: &'a str,
    /// The name of the program's file, for tracebacks.
    pub file: &'a str,
    /// The line of the file on which the code begins.
    pub line: usize,
    /// The function and the number of the step.
    pub step: (&'a str, &'a str),
    /// The longest it may take, where the step says so.
    pub timeout: Option<Duration>,
    /// The variables it is given.
    pub inputs: Arc<Record>,
    /// What the step asks for.
    pub asked: Asked<'a>,
}

/// What a step asks for its code in place of what the server gives by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Time on the processors, of all of its processes together.
    pub cpu: Option<Duration>,
    /// Memory, of all of its processes together, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads at once.
    pub processes: Option<u64>,
    /// What its files come to, in bytes.
    pub disk: Option<u64>,
    /// What it writes to its standard output and standard error, in bytes.
    pub output: Option<u64>,
    /// What its outputs come to as JSON, in bytes.
    pub result: Option<u64>,
    /// What of the network it can reach.
    pub network: Option<Network>,
    /// The packages it imports, each [normalised](crate::requirement::Requirement), in order.
    pub packages: &'a [String],
}

/// What of the network code can reach; the more the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing.
    None,
    /// What the server's proxy lets it reach.
    Proxy,
    /// All that the machine can reach.
    Host,
}

/// A language that code is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Python, as CPython runs it.
    Python,
    /// JavaScript, as QuickJS runs it.
    JavaScript,
    /// The shell's, as the machine's `sh` runs it.
    Shell,
}

/// Writes to a run's log while an effect is at work.
#[derive(Clone, Copy)]
pub struct Logger<'r> {
    host: &'r dyn Host,
    step: (&'r str, &'r str),
}

impl<'r> Logger<'r> {
    /// What writes to the log of a host in the name of a step: its function and number.
    pub fn new(host: &'r dyn Host, step: (&'r str, &'r str)) -> Logger<'r> {
        Logger { host, step }
    }

    /// Writes a line for every line of the text.
    pub fn log(&self, stream: Stream, text: &str) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        for text in text.split('\n') {
            self.host.log(Line {
                step: self.step,
                stream,
                text,
            });
        }
    }
}
