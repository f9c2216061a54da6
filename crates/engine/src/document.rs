//! A program's text as a tree of YAML nodes, each with its place.

mod fault;
mod reader;
mod scalar;

use std::sync::Arc;

use crate::problem::{MAX_PROBLEMS, Place, Problem};
use crate::value::{Record, Value};

/// The longest program text, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// The deepest nesting of lists and mappings in a program's text.
pub const MAX_DEPTH: usize = 64;
/// The most nodes of a program's text, those that aliases repeat counted each time.
pub const MAX_NODES: usize = 100_000;
/// The most bytes of text that aliases may repeat.
pub const MAX_REPEATED: usize = 1 << 20;

/// A piece of a program's text.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Content {
    /// `null`, `~` or nothing at all.
    Nothing,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// Any other scalar.
    Text(Arc<str>),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order it is written; no key stands in it twice.
    Record(Vec<(Key, Node)>),
    /// What could not be understood; the problem is noted already.
    Broken,
}

/// The name of a member of a mapping.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it stands.
    pub place: Place,
    /// The name.
    pub text: Arc<str>,
}

impl Node {
    /// What the node is, for messages.
    pub fn described(&self) -> &'static str {
        match &self.content {
            Content::Nothing => "empty",
            Content::Boolean(_) => "a boolean",
            Content::Integer(_) | Content::Float(_) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Record(members) if members.is_empty() => "an empty record",
            Content::Record(_) => "a record",
            Content::Broken => "not to be understood",
        }
    }

    /// Where it begins: of a mapping, its first name.
    pub fn head(&self) -> Place {
        match &self.content {
            Content::Record(members) => members.first().map_or(self.place, |(key, _)| key.place),
            _ => self.place,
        }
    }

    /// The member of that name, if it is a mapping that has one.
    pub fn member(&self, name: &str) -> Option<&(Key, Node)> {
        match &self.content {
            Content::Record(members) => members.iter().find(|(key, _)| &*key.text == name),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&Arc<str>> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node as a value, with nothing in it understood as a template.
    pub fn value(&self) -> Value {
        match &self.content {
            Content::Nothing | Content::Broken => Value::Nothing,
            Content::Boolean(truth) => Value::Boolean(*truth),
            Content::Integer(number) => Value::Integer(*number),
            Content::Float(number) => Value::Float(*number),
            Content::Text(text) => Value::Text(text.clone()),
            Content::List(items) => Value::list(items.iter().map(Node::value).collect()),
            Content::Record(members) => {
                Record::from_iter(members.iter().map(|(k, v)| (k.text.clone(), v.value()))).into()
            }
        }
    }
}

/// Reads a program's text. What can be read is given together with the problems met; nothing is
/// given where the text is no YAML 1.2 at all or passes a limit.
pub fn read(text: &str) -> (Option<Node>, Vec<Problem>) {
    if text.len() > MAX_TEXT {
        let message = format!("the program is longer than {} KiB", MAX_TEXT >> 10);
        return (None, vec![Problem::new(Place::default(), message)]);
    }
    let controls: Vec<Problem> = controls(text).take(MAX_PROBLEMS).collect();
    if !controls.is_empty() {
        return (None, controls);
    }
    reader::read(text)
}

/// The problems with characters that cannot stand in YAML 1.2 (section 5.1).
fn controls(text: &str) -> impl Iterator<Item = Problem> {
    let wrong = |c: &(usize, char)| matches!(c.1, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    text.char_indices().filter(wrong).map(|(at, c)| {
        let code = u32::from(c);
        let place = Place {
            start: at,
            end: at + c.len_utf8(),
        };
        Problem::new(
            place,
            format!("the character U+{code:04X} cannot stand in a program"),
        )
        .help(format!(
            "in a text with double quotes write `\\u{code:04X}`"
        ))
    })
}
