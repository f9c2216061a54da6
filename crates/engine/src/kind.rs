//! What a kind of step is.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::context::Cx;
use crate::run::{Failure, Flow};

/// A kind of step. The type is its settings; the doc comments are its documentation.
///
/// The type is a struct, or an enum with one variant for every `action`, told apart by a tag.
pub trait Step: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What programs call it.
    const NAME: &'static str;
    /// The field written as the value of that name; empty where there is none.
    const MAIN: &'static str;
    /// Where the reference lists it.
    const GROUP: Group;
    /// Shown in the reference, and run as tests.
    const EXAMPLES: &'static [Example];
    /// What it does to the order in which steps run.
    const CONTROL: Control = Control::Next;
    /// Whether it does something outside of the run, so that it can be tried again, or must not be.
    const EFFECT: bool = false;

    /// Does the work. A setting is read through `cx`, a result is set through `cx`.
    fn run(&self, cx: &mut Cx<'_>) -> impl Future<Output = Result<Flow, Failure>> + Send;
}

/// Where the reference lists a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Variables, branches, loops, functions.
    Logic,
    /// Work on values.
    Values,
    /// Code in other languages.
    Code,
}

/// What a kind does to the order in which steps run, as far as checking needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Goes on to the next step.
    Next,
    /// Leaves the innermost loop or its pass.
    Leaves,
    /// Ends the function.
    Returns,
}

/// An example of a step.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// What it shows.
    pub about: &'static str,
    /// The variables there are before it, as YAML; empty where none are needed.
    pub given: &'static str,
    /// The step, as YAML, without the dash.
    pub step: &'static str,
    /// What comes of it.
    pub gives: Gives,
}

/// What comes of an example.
#[derive(Clone, Copy, Debug)]
pub enum Gives {
    /// Variables, as YAML.
    Variables(&'static str),
    /// Lines in the log.
    Log(&'static [&'static str]),
    /// A failure.
    Failure(&'static str),
    /// The step is checked and not run.
    Checked,
}

/// A step ready to run, whatever its kind.
pub trait AnyStep: Send + Sync {
    /// Does the work.
    fn run<'a>(
        &'a self,
        cx: &'a mut Cx<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<Flow, Failure>> + Send + 'a>>;
}

impl<S: Step> AnyStep for S {
    fn run<'a>(
        &'a self,
        cx: &'a mut Cx<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<Flow, Failure>> + Send + 'a>> {
        Box::pin(Step::run(self, cx))
    }
}

/// A kind of step as data: what the list of kinds holds.
pub struct Kind {
    /// What programs call it.
    pub name: &'static str,
    /// The field that stands under its name.
    pub main: &'static str,
    /// Where the reference lists it.
    pub group: Group,
    /// Its examples.
    pub examples: &'static [Example],
    /// What it does to the order of steps.
    pub control: Control,
    /// Whether it does something outside of the run.
    pub effect: bool,
    schema: OnceLock<Json>,
    make_schema: fn() -> Json,
    parse: fn(Json) -> Result<Box<dyn AnyStep>, String>,
}

impl Kind {
    /// The kind `S`.
    pub const fn of<S: Step>() -> Kind {
        Kind {
            name: S::NAME,
            main: S::MAIN,
            group: S::GROUP,
            examples: S::EXAMPLES,
            control: S::CONTROL,
            effect: S::EFFECT,
            schema: OnceLock::new(),
            make_schema: schema_of::<S>,
            parse: |settings| match serde_json::from_value::<S>(settings) {
                Ok(step) => Ok(Box::new(step)),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// The schema of its settings. Beside JSON Schema's words it has those of [`crate::field`].
    pub fn schema(&self) -> &Json {
        self.schema.get_or_init(self.make_schema)
    }

    /// Makes a step of settings that were [read](crate::read).
    pub(crate) fn parse(&self, settings: Json) -> Result<Box<dyn AnyStep>, String> {
        (self.parse)(settings)
    }
}

/// The schema of a type, everything written out in place.
pub fn schema_of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
