//! What a run finds of those before it, and keeps for those after it.

use std::collections::BTreeMap;

use engine::host::Wanted;
use engine::run::Failure;
use engine::storage::Shelf;
use engine::value::{Record, Value};

use super::journal::{self, Deed};
use super::{Recorder, hash};
use crate::now;
use crate::store::{Place, Status, Stored};

/// What a run keeps for those after it, once for every key.
#[derive(Default)]
pub(super) struct Kept(BTreeMap<(&'static str, String), Option<String>>);

impl Kept {
    pub fn set(&mut self, shelf: Shelf, key: &str, value: Option<&Value>) {
        let value = value.map(Value::to_json);
        self.0.insert((shelf.name(), key.to_owned()), value);
    }

    /// All of it, as the store takes it.
    pub fn take(&mut self) -> Vec<Stored> {
        let kept = std::mem::take(&mut self.0).into_iter();
        kept.map(|((shelf, key), value)| Stored { shelf, key, value })
            .collect()
    }
}

/// The member of a record in the journal that holds what was found.
const FOUND: &str = "value";

impl Recorder<'_> {
    /// A value as the runs before left it. That is recorded with whatever the run does next.
    pub(super) async fn left_before(&self, wanted: &Wanted<'_>) -> Result<Option<Value>, Failure> {
        let about = Value::list(vec![wanted.shelf.name().into(), wanted.key.into()]);
        let deed = Deed {
            step: &wanted.step,
            kind: wanted.kind,
            input: self.run.resumes.then(|| hash(&about)),
        };
        if let Some(record) = self.past(&deed).await?
            && record.status != Status::Begun
        {
            return journal::told(&record).map(found);
        }
        self.room()?;
        let record = self.progress().journal.begin(&deed, now(), String::new());
        let place = Place {
            account: self.run.program.account,
            program: self.run.program.plan.id as i64,
            shelf: wanted.shelf.name(),
            key: wanted.key.to_owned(),
        };
        let stored = self.app.store.stored(place).await;
        let stored = stored.map_err(|error| Failure::new(error.to_string()));
        let left = stored.and_then(|stored| {
            let value = stored.map(|stored| Value::from_json(&stored)).transpose();
            value.map_err(|error| Failure::new(format!("what is kept cannot be read: {error}")))
        });
        let left = left.map(|value| {
            let found = value.map(|value| (FOUND.into(), value));
            found.map_or(Value::Nothing, |found| {
                std::iter::once(found).collect::<Record>().into()
            })
        });
        self.note(record, &left);
        left.map(found)
    }
}

/// What a record says was found.
pub(super) fn found(told: Value) -> Option<Value> {
    match told {
        Value::Record(told) => told.get(FOUND).cloned(),
        _ => None,
    }
}
