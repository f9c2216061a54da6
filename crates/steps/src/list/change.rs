//! The actions that change a list.

use std::sync::Arc;

use engine::context::Cx;
use engine::field::{Input, Output};
use engine::run::{Failure, Reason};
use engine::value::{List, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::bounds;

/// A value to be added.
#[derive(Deserialize, JsonSchema)]
pub struct Added {
    /// The list; a variable, unless `into` is given.
    #[schemars(extend("x-changes" = "into"))]
    list: Input<Arc<List>>,
    /// The value to add.
    value: Input<Value>,
    /// The variable for the changed list.
    into: Option<Output>,
}

impl Added {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let value = cx.get(&self.value)?;
        cx.change(&self.list, &self.into, |list| {
            room(list, &value)?;
            Arc::make_mut(list).push(value);
            Ok(())
        })
    }
}

/// Values to be added.
#[derive(Deserialize, JsonSchema)]
pub struct Extended {
    /// The list; a variable, unless `into` is given.
    #[schemars(extend("x-changes" = "into"))]
    list: Input<Arc<List>>,
    /// The list whose items to add.
    values: Input<Arc<List>>,
    /// The variable for the changed list.
    into: Option<Output>,
}

impl Extended {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let values = cx.get(&self.values)?;
        cx.change(&self.list, &self.into, |list| {
            bounds::size(list.size() + values.size())?;
            let list = Arc::make_mut(list);
            values.iter().for_each(|value| list.push(value.clone()));
            Ok(())
        })
    }
}

/// A value to be put in.
#[derive(Deserialize, JsonSchema)]
pub struct Inserted {
    /// The list; a variable, unless `into` is given.
    #[schemars(extend("x-changes" = "into"))]
    list: Input<Arc<List>>,
    /// The position before which the value is put in: -1 is before the last item, and the length of
    /// the list is its end. A position beyond fails the step.
    index: Input<i64>,
    /// The value to put in.
    value: Input<Value>,
    /// The variable for the changed list.
    into: Option<Output>,
}

impl Inserted {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let (index, value) = (cx.get(&self.index)?, cx.get(&self.value)?);
        cx.change(&self.list, &self.into, |list| {
            let at = match index == list.len() as i64 {
                true => list.len(),
                false => bounds::place(index, list.len(), "index")?,
            };
            room(list, &value)?;
            Arc::make_mut(list).change(|items| items.insert(at, value));
            Ok(())
        })
    }
}

/// An item to be removed by its position.
#[derive(Deserialize, JsonSchema)]
pub struct Cut {
    /// The list; a variable, unless `into` is given.
    #[schemars(extend("x-changes" = "into"))]
    list: Input<Arc<List>>,
    /// The position of the item.
    index: Input<i64>,
    /// The variable for the item that was removed.
    removed: Option<Output>,
    /// The variable for the changed list.
    into: Option<Output>,
}

impl Cut {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let index = cx.get(&self.index)?;
        let item = cx.change(&self.list, &self.into, |list| {
            let at = bounds::place(index, list.len(), "index")?;
            Ok(Arc::make_mut(list).change(|items| items.remove(at)))
        })?;
        match &self.removed {
            Some(removed) => cx.set(removed, item),
            None => Ok(()),
        }
    }
}

/// An item to be removed by its value.
#[derive(Deserialize, JsonSchema)]
pub struct Removed {
    /// The list; a variable, unless `into` is given.
    #[schemars(extend("x-changes" = "into"))]
    list: Input<Arc<List>>,
    /// The value to remove.
    value: Input<Value>,
    /// The variable for the changed list.
    into: Option<Output>,
}

impl Removed {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let value = cx.get(&self.value)?;
        cx.change(&self.list, &self.into, |list| {
            let at = list.iter().position(|item| item.same(&value));
            let at = at.ok_or_else(|| {
                Failure::new(format!("the list has no item `{}`", bounds::shown(&value)))
            })?;
            Arc::make_mut(list).change(|items| items.remove(at));
            Ok(())
        })
    }
}

/// Refuses an item for which the list has no room, or which nests too deep in it.
fn room(list: &List, item: &Value) -> Result<(), Failure> {
    bounds::size(list.size() + item.size())?;
    Value::list(vec![item.clone()])
        .within_limits()
        .map_err(|why| Failure::new(why).because(Reason::Limit))
}
