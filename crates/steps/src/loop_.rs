//! `loop`: runs steps once for every item of a list.

use std::sync::Arc;

use engine::context::Cx;
use engine::field::{Body, Input, Lists, Output};
use engine::kind::{Example, Gives, Group, Step};
use engine::run::{Failure, Flow};
use engine::value::List;
use schemars::JsonSchema;
use serde::Deserialize;

/// Run steps once for every item of a list.
///
/// The list is a variable's name, an expression or a literal list. Several lists are walked
/// together when they are given as a record, *item variable: list*; they must be of one length.
/// The lists are read once, before the first pass.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loop {
    /// The list, or several with their item variables.
    over: Over,
    /// The variable that holds the item of the pass; `<list> Item` by default, or `Item` where the
    /// list is no variable.
    #[serde(rename = "as")]
    #[schemars(extend("x-default" = "Item"))]
    item: Option<Output>,
    /// The variable that holds the position of the item, counted from 0.
    index: Option<Output>,
    /// The position to start at; 0 by default.
    start: Option<Input<i64>>,
    /// The most passes to make; as many as there are items by default.
    max: Option<Input<i64>>,
    /// The steps to run in each pass.
    steps: Body,
}

/// What a loop goes through.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Over {
    /// One list.
    One(Input<Arc<List>>),
    /// Several, walked together.
    Several(Lists),
}

impl Step for Loop {
    const NAME: &'static str = "loop";
    const MAIN: &'static str = "over";
    const GROUP: Group = Group::Logic;
    const EXAMPLES: &'static [Example] = &[
        Example {
            about: "Go through a shopping list",
            given: "Grocery List: [apples, bananas]",
            step: "loop: Grocery List\nsteps:\n  - print: Buy {{ Grocery_List_Item }}",
            gives: Gives::Log(&["Buy apples", "Buy bananas"]),
        },
        Example {
            about: "Name the item and count the passes",
            given: "",
            step: "loop: [a, b]\nas: Letter\nindex: Place\nsteps:\n  - print: '{{ Place }} {{ Letter }}'",
            gives: Gives::Log(&["0 a", "1 b"]),
        },
        Example {
            about: "Walk several lists together",
            given: "",
            step: "loop: {Name: [Ann, Bob], Age: [31, 42]}\nsteps:\n  - print: '{{ Name }} is {{ Age }}'",
            gives: Gives::Log(&["Ann is 31", "Bob is 42"]),
        },
        Example {
            about: "Start later and stop earlier",
            given: "",
            step: "loop: range(100)\nas: N\nstart: 10\nmax: 2\nsteps:\n  - print: '{{ N }}'",
            gives: Gives::Log(&["10", "11"]),
        },
    ];

    async fn run(&self, cx: &mut Cx<'_>) -> Result<Flow, Failure> {
        let lists = self.lists(cx)?;
        let length = one_length(&lists)?;
        let start = position(cx.get_opt(&self.start)?.unwrap_or(0), "start")?;
        let max = cx
            .get_opt(&self.max)?
            .map(|max| position(max, "max"))
            .transpose()?;
        let end = max.map_or(length, |max| length.min(start.saturating_add(max)));
        for at in start..end {
            cx.pass()?;
            for (item, list) in &lists {
                cx.set(item, list[at].clone())?;
            }
            if let Some(index) = &self.index {
                cx.set(index, at)?;
            }
            match cx.run(&self.steps.0).await? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }
}

impl Loop {
    fn lists(&self, cx: &Cx<'_>) -> Result<Vec<(Output, Arc<List>)>, Failure> {
        match &self.over {
            Over::One(list) => {
                let item = self.item.clone().unwrap_or_else(|| Output::named("Item"));
                Ok(vec![(item, cx.get(list)?)])
            }
            Over::Several(lists) => lists
                .0
                .iter()
                .map(|(item, list)| Ok((item.clone(), cx.get(list)?)))
                .collect(),
        }
    }
}

fn one_length(lists: &[(Output, Arc<List>)]) -> Result<usize, Failure> {
    let length = lists.first().map_or(0, |(_, list)| list.len());
    match lists.iter().find(|(_, list)| list.len() != length) {
        None => Ok(length),
        Some((item, list)) => Err(Failure::new(format!(
            "lists that are walked together must have one length: `{}` has {length}, `{}` has {}",
            lists[0].0.name(),
            item.name(),
            list.len()
        ))),
    }
}

pub(crate) fn position(number: i64, setting: &str) -> Result<usize, Failure> {
    usize::try_from(number)
        .map_err(|_| Failure::new(format!("`{setting}` must be 0 or greater, and is {number}")))
}
