//! The actions that make longer texts of texts, or several of one.

use std::fmt::Write;
use std::sync::Arc;

use engine::context::Cx;
use engine::field::{Input, Output};
use engine::run::Failure;
use engine::value::{List, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{filled, joined};
use crate::bounds;

/// A text to be cut.
#[derive(Deserialize, JsonSchema)]
pub struct Split {
    /// The text.
    text: Input<Arc<str>>,
    /// What stands between the parts. By default blanks and ends of lines do, any number of them; then
    /// no part is empty.
    separator: Option<Input<Arc<str>>>,
    /// The variable for the list.
    into: Output,
}

impl Split {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let text = cx.get(&self.text)?;
        let parts = match cx.get_opt(&self.separator)? {
            None => listed(&text, || text.split_whitespace())?,
            Some(separator) => {
                let separator = filled(&separator, "separator")?;
                listed(&text, || text.split(separator))?
            }
        };
        cx.set(&self.into, parts)
    }
}

/// Items to be made one text.
#[derive(Deserialize, JsonSchema)]
pub struct Joined {
    /// The list. Items that are no texts are written as inside a text.
    #[serde(rename = "text")]
    items: Input<Arc<List>>,
    /// What to put between the items; nothing by default.
    separator: Option<Input<Arc<str>>>,
    /// The variable for the text.
    into: Output,
}

impl Joined {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let items = cx.get(&self.items)?;
        let separator = cx.get_opt(&self.separator)?.unwrap_or_default();
        let mut text = String::new();
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                text.push_str(&separator);
            }
            let _ = write!(text, "{item}");
            bounds::size(text.len())?;
        }
        cx.set(&self.into, text)
    }
}

/// A text to be added.
#[derive(Deserialize, JsonSchema)]
pub struct Added {
    /// The text; a variable, such as `"{{ Greeting }}"`, unless `into` is given.
    #[schemars(extend("x-changes" = "into"))]
    text: Input<Arc<str>>,
    /// The text to put behind it.
    value: Input<Arc<str>>,
    /// The variable for the longer text.
    into: Option<Output>,
}

impl Added {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let value = cx.get(&self.value)?;
        cx.change(&self.text, &self.into, |text| {
            *text = joined(text, &value)?;
            Ok(())
        })
    }
}

/// Something to be replaced.
#[derive(Deserialize, JsonSchema)]
pub struct Replaced {
    /// The text.
    text: Input<Arc<str>>,
    /// What to look for; it must not be empty.
    find: Input<Arc<str>>,
    /// What to put in its place; an empty text removes it.
    replacement: Input<Arc<str>>,
    /// The variable for the new text.
    into: Output,
}

impl Replaced {
    pub(super) fn run(&self, cx: &mut Cx<'_>) -> Result<(), Failure> {
        let (text, find) = (cx.get(&self.text)?, cx.get(&self.find)?);
        let replacement = cx.get(&self.replacement)?;
        let count = text.matches(filled(&find, "find")?).count();
        bounds::size(text.len() - count * find.len() + count.saturating_mul(replacement.len()))?;
        cx.set(&self.into, text.replace(&*find, &replacement))
    }
}

/// A list of the parts of a text, counted before it is made.
fn listed<'t, I: Iterator<Item = &'t str>>(
    text: &str,
    parts: impl Fn() -> I,
) -> Result<Value, Failure> {
    let each = Value::Nothing.size();
    bounds::size(text.len() + parts().count() * each)?;
    Ok(Value::list(parts().map(Value::from).collect()))
}
