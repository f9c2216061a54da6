//! `list`: works with lists.

mod change;

use std::collections::HashSet;
use std::sync::Arc;

use engine::context::Cx;
use engine::field::{Input, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::value::{self, Same, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::bounds;
use change::{Added, Cut, Extended, Inserted, Removed};

/// Work with a list: measure it, search it, take a part of it, change it.
///
/// Positions count from 0, negative ones from the end: -1 is the last item. Values are the same when
/// they have the same kind and content; `1` and `1.0` are the same.
///
/// `append`, `extend`, `insert`, `remove_at` and `remove` change the variable that the list is. With
/// `into` they leave it alone and give that variable the changed list.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum List {
    /// Count the items.
    Length(Whole),
    /// Find a value: its first position, or nothing where the list does not have it.
    IndexOf(Sought),
    /// Find a value: a list of all its positions.
    AllIndicesOf(Sought),
    /// Count how often a value occurs.
    Count(Sought),
    /// Get the item at a position. A position that is not in the list fails the step.
    Get(At),
    /// Take a part of the list: the items from `start` up to, but not including, `end`.
    Slice(Part),
    /// Compare two lists: the items of the first that the second has too, each once, in the order
    /// of the first.
    Common(Compared),
    /// Add one value at the end. A list is added as one item.
    Append(Added),
    /// Add every item of another list at the end.
    Extend(Extended),
    /// Put a value in at a position; the items from there on move up.
    Insert(Inserted),
    /// Remove the item at a position. A position that is not in the list fails the step.
    RemoveAt(Cut),
    /// Remove the first item that is the same as a value. A value that is not there fails the step.
    Remove(Removed),
}

/// A list to be measured.
#[derive(Deserialize, JsonSchema)]
pub struct Whole {
    /// The list.
    list: Input<Arc<value::List>>,
    /// The variable for the answer.
    into: Output,
}

/// A value to be found in a list.
#[derive(Deserialize, JsonSchema)]
pub struct Sought {
    /// The list.
    list: Input<Arc<value::List>>,
    /// The value to look for.
    value: Input<Value>,
    /// The variable for the answer.
    into: Output,
}

/// An item to be got.
#[derive(Deserialize, JsonSchema)]
pub struct At {
    /// The list.
    list: Input<Arc<value::List>>,
    /// The position of the item.
    index: Input<i64>,
    /// The variable for the item.
    into: Output,
}

/// A part to be taken.
#[derive(Deserialize, JsonSchema)]
pub struct Part {
    /// The list.
    list: Input<Arc<value::List>>,
    /// The position of the first item to take; the beginning by default.
    start: Option<Input<i64>>,
    /// The position before which to stop; the end of the list by default. A position beyond the list
    /// stands for its end.
    end: Option<Input<i64>>,
    /// The variable for the new list.
    into: Output,
}

/// Lists to be compared.
#[derive(Deserialize, JsonSchema)]
pub struct Compared {
    /// The first list.
    list: Input<Arc<value::List>>,
    /// The second list.
    other: Input<Arc<value::List>>,
    /// The variable for the new list.
    into: Output,
}

impl Step for List {
    const NAME: &'static str = "list";
    const MAIN: &'static str = "list";
    const GROUP: Group = Group::Values;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Count the items",
            given: "",
            step: "list: [A, B, C]\naction: length\ninto: Length",
            gives: Gives::Variables("Length: 3"),
        },
        Example {
            about: "Find the first position of a value",
            given: "Letters: [A, B, A]",
            step: "list: Letters\naction: index_of\nvalue: A\ninto: Place",
            gives: Gives::Variables("Place: 0"),
        },
        Example {
            about: "A value that is not there has no position",
            given: "Letters: [A, B, A]",
            step: "list: Letters\naction: index_of\nvalue: Z\ninto: Place",
            gives: Gives::Variables("Place: null"),
        },
        Example {
            about: "Find all positions of a value",
            given: "Letters: [A, B, A]",
            step: "list: Letters\naction: all_indices_of\nvalue: A\ninto: Places",
            gives: Gives::Variables("Places: [0, 2]"),
        },
        Example {
            about: "Count how often a value occurs",
            given: "Letters: [A, B, A]",
            step: "list: Letters\naction: count\nvalue: A\ninto: Count",
            gives: Gives::Variables("Count: 2"),
        },
        Example {
            about: "Get the item at a position",
            given: "Letters: [A, B]",
            step: "list: Letters\naction: get\nindex: 1\ninto: Letter",
            gives: Gives::Variables("Letter: B"),
        },
        Example {
            about: "Get the last item",
            given: "Letters: [A, B]",
            step: "list: Letters\naction: get\nindex: -1\ninto: Letter",
            gives: Gives::Variables("Letter: B"),
        },
        Example {
            about: "A position that is not there",
            given: "Letters: [A, B]",
            step: "list: Letters\naction: get\nindex: 2\ninto: Letter",
            gives: Gives::Failure(
                "`index` must be a position in the list, and is 2 where there are 2 items",
            ),
        },
        Example {
            about: "Take the middle",
            given: "Letters: [A, B, C, D, E]",
            step: "list: Letters\naction: slice\nstart: 1\nend: 4\ninto: Middle",
            gives: Gives::Variables("Middle: [B, C, D]"),
        },
        Example {
            about: "Take the last two items",
            given: "Letters: [A, B, C, D, E]",
            step: "list: Letters\naction: slice\nstart: -2\ninto: Rest",
            gives: Gives::Variables("Rest: [D, E]"),
        },
        Example {
            about: "What two lists have in common",
            given: "",
            step: "list: [A, B, C]\naction: common\nother: [B, C, D]\ninto: Both",
            gives: Gives::Variables("Both: [B, C]"),
        },
        Example {
            about: "Add a value to the list itself",
            given: "Grocery List: [apples, bananas]",
            step: "list: Grocery List\naction: append\nvalue: bread",
            gives: Gives::Variables("Grocery List: [apples, bananas, bread]"),
        },
        Example {
            about: "A list is added as one item, here into a new list",
            given: "First: [A]\nSecond: [B, C]",
            step: "list: First\naction: append\nvalue: '{{ Second }}'\ninto: Both",
            gives: Gives::Variables("First: [A]\nBoth: [A, [B, C]]"),
        },
        Example {
            about: "Add every item of another list",
            given: "First: [A]\nSecond: [B, C]",
            step: "list: First\naction: extend\nvalues: Second",
            gives: Gives::Variables("First: [A, B, C]"),
        },
        Example {
            about: "Put a value in",
            given: "Letters: [A, C]",
            step: "list: Letters\naction: insert\nvalue: B\nindex: 1",
            gives: Gives::Variables("Letters: [A, B, C]"),
        },
        Example {
            about: "Remove the first item and keep it",
            given: "Queue: [Ann, Bob]",
            step: "list: Queue\naction: remove_at\nindex: 0\nremoved: Next",
            gives: Gives::Variables("Queue: [Bob]\nNext: Ann"),
        },
        Example {
            about: "Remove a value where it occurs first",
            given: "Letters: [A, B, A]",
            step: "list: Letters\naction: remove\nvalue: A",
            gives: Gives::Variables("Letters: [B, A]"),
        },
        Example {
            about: "A value that is not there cannot be removed",
            given: "Letters: [A, B]",
            step: "list: Letters\naction: remove\nvalue: Z",
            gives: Gives::Failure("the list has no item `Z`"),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        match self {
            List::Length(step) => {
                let length = cx.get(&step.list)?.len();
                cx.set(&step.into, length)?;
            }
            List::IndexOf(step) => step.run(cx, |places| {
                places.next().map_or(Value::Nothing, Value::from)
            })?,
            List::AllIndicesOf(step) => {
                step.run(cx, |places| Value::list(places.map(Value::from).collect()))?
            }
            List::Count(step) => step.run(cx, |places| places.count().into())?,
            List::Get(step) => step.run(cx)?,
            List::Slice(step) => step.run(cx)?,
            List::Common(step) => step.run(cx)?,
            List::Append(step) => step.run(cx)?,
            List::Extend(step) => step.run(cx)?,
            List::Insert(step) => step.run(cx)?,
            List::RemoveAt(step) => step.run(cx)?,
            List::Remove(step) => step.run(cx)?,
        }
        Ok(Flow::Next)
    }
}

impl Sought {
    /// Makes the answer of the positions at which the value stands.
    fn run(
        &self,
        cx: &mut Cx<'_>,
        answer: impl FnOnce(&mut dyn Iterator<Item = usize>) -> Value,
    ) -> Result<(), Failure> {
        let (list, value) = (cx.get(&self.list)?, cx.get(&self.value)?);
        let mut places = (0..list.len()).filter(|at| list[*at].same(&value));
        cx.set(&self.into, answer(&mut places))
    }
}

impl At {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let list = cx.get(&self.list)?;
        let at = bounds::place(cx.get(&self.index)?, list.len(), "index")?;
        cx.set(&self.into, list[at].clone())
    }
}

impl Part {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let list = cx.get(&self.list)?;
        let range = bounds::range(cx.get_opt(&self.start)?, cx.get_opt(&self.end)?, list.len());
        cx.set(&self.into, Value::list(list[range].to_vec()))
    }
}

impl Compared {
    fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let (list, other) = (cx.get(&self.list)?, cx.get(&self.other)?);
        let mut wanted: HashSet<Same<'_>> = other.iter().map(Same).collect();
        let common = list.iter().filter(|item| wanted.remove(&Same(item)));
        cx.set(&self.into, Value::list(common.cloned().collect()))
    }
}
