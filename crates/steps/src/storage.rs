//! `storage`: keeps values from one run of a program to the next.

use std::sync::Arc;

use engine::context::Cx;
use engine::field::{Input, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::storage::Shelf;
use engine::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

/// Keep values from one run of the program to the next.
///
/// Every program has its own values, each under a name of at most 256 characters. A value is kept as JSON, so a date
/// becomes a text; it may have 1 MiB. A program has at most 10,000 values of 64 MiB together, and a run writes at most
/// 1,000.
///
/// A run finds what it has written itself, and other runs find it when this one has succeeded: all that a run has written
/// is kept in one step with its outcome, and nothing of it where it fails or is cancelled. A name that was read once gives
/// the same to the end of the run. Where two runs at once write one name, the one that ends last has it. With
/// `concurrency: {max: 1}` in the program its runs take turns, so that each can count on from the one before.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Storage {
    /// Read a value.
    Read(Read),
    /// Keep a value under the name, in place of one that is there.
    Write(Write),
    /// Forget the value. Where there is none, nothing happens.
    Delete(Delete),
}

/// A value to be read.
#[derive(Deserialize, JsonSchema)]
pub struct Read {
    /// The name of the value.
    name: Input<Arc<str>>,
    /// What there is where nothing is kept; nothing by default.
    default: Option<Input<Value>>,
    /// The variable for the value.
    into: Output,
}

/// A value to be kept.
#[derive(Deserialize, JsonSchema)]
pub struct Write {
    /// The name of the value.
    name: Input<Arc<str>>,
    /// The value.
    value: Input<Value>,
}

/// A value to be forgotten.
#[derive(Deserialize, JsonSchema)]
pub struct Delete {
    /// The name of the value.
    name: Input<Arc<str>>,
}

impl Step for Storage {
    const NAME: &'static str = "storage";
    const MAIN: &'static str = "name";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Read what the runs before have kept, or begin with 0",
            given: "",
            step: "storage: Visits\naction: read\ndefault: 0\ninto: Visits",
            gives: Gives::Variables("Visits: 0"),
        },
        Example {
            about: "Keep a value for the runs to come",
            given: "Visits: 4",
            step: "storage: Visits\naction: write\nvalue: '{{ Visits + 1 }}'",
            gives: Gives::Log(&[]),
        },
        Example {
            about: "A value for every customer",
            given: "Customer: Ann",
            step: "storage: 'seen {{ Customer }}'\naction: write\nvalue: true",
            gives: Gives::Log(&[]),
        },
        Example {
            about: "Forget a value",
            given: "",
            step: "storage: Visits\naction: delete",
            gives: Gives::Log(&[]),
        },
        Example {
            about: "A value has a name",
            given: "Customer: ''",
            step: "storage: '{{ Customer }}'\naction: delete",
            gives: Gives::Failure("the name of a value that is kept is empty"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        match self {
            Storage::Read(read) => {
                let name = cx.get(&read.name)?;
                let value = match cx.stored(Shelf::Storage, &name).await? {
                    Some(value) => value,
                    None => cx.get_opt(&read.default)?.unwrap_or_default(),
                };
                cx.set(&read.into, value)?;
            }
            Storage::Write(write) => {
                let value = cx.get(&write.value)?;
                cx.store(Shelf::Storage, cx.get(&write.name)?, Some(value))?;
            }
            Storage::Delete(delete) => cx.store(Shelf::Storage, cx.get(&delete.name)?, None)?,
        }
        Ok(Flow::Next)
    }
}
