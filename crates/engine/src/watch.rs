//! Sees the steps of a run as they begin and end.

use crate::path::Path;
use crate::plan::Planned;
use crate::run::Failure;
use crate::value::Record;
use crate::variables::Variables;

/// Sees the steps of a run as they begin and end.
pub trait Watch: Send + Sync {
    /// A step is about to begin.
    ///
    /// # Errors
    /// Why the run is to end there.
    fn begins(&self, stage: &Stage<'_>) -> Result<(), Failure>;

    /// A step has ended: all of those inside it have, too.
    fn ends(&self, stage: &Stage<'_>, result: Result<(), &Failure>);
}

/// A step of a run, and what there is at the moment.
pub struct Stage<'a> {
    /// The how-manieth step of the run it is, from 1; each try of a step is one of its own.
    pub number: u64,
    /// Its function.
    pub function: &'a str,
    /// The step of the plan.
    pub step: &'a Planned,
    pub(crate) path: &'a Path<'a>,
    pub(crate) variables: &'a Variables,
}

impl Stage<'_> {
    /// The key of the step: where it stands in the run, through passes and calls.
    pub fn key(&self) -> String {
        self.path.key(&self.step.number)
    }

    /// All variables of the function.
    pub fn variables(&self) -> Record {
        self.variables.to_record()
    }
}
