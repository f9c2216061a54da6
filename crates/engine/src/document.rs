//! A program's text as a tree of YAML nodes, each with its place.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::problem::{Place, Problem};
use crate::value::{Record, Value};

/// The longest program text, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// The deepest nesting of lists and mappings in a program's text.
pub const MAX_DEPTH: usize = 64;
/// The most nodes of a program's text, those that aliases repeat counted each time.
pub const MAX_NODES: usize = 100_000;

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
            Content::Record(_) => "a record",
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
            Content::Nothing => Value::Nothing,
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
    let mut reader = Reader {
        text,
        offsets: offsets(text),
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    let node = match reader.stream() {
        Ok(node) => node,
        Err(problem) => {
            reader.problems.push(problem);
            None
        }
    };
    (node, reader.problems)
}

/// The byte at which each character starts; empty where characters and bytes are the same.
fn offsets(text: &str) -> Vec<usize> {
    if text.is_ascii() {
        Vec::new()
    } else {
        text.char_indices().map(|(at, _)| at).collect()
    }
}

struct Reader<'t> {
    text: &'t str,
    offsets: Vec<usize>,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    fn stream(&mut self) -> Result<Option<Node>, Problem> {
        let mut node = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(node),
                (Event::DocumentStart(_), span) if node.is_some() => {
                    let message = "a file holds one program, and here a second document begins";
                    return Err(
                        Problem::new(self.place(span), message).help("give it a file of its own")
                    );
                }
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
                (event, span) => node = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let place = Place {
                    start: at,
                    end: at + 1,
                };
                Err(Problem::new(
                    place,
                    format!("this is not YAML: {}", error.info()),
                ))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Problem> {
        self.count(1, span)?;
        if depth > MAX_DEPTH {
            let message = format!("the text is nested more than {MAX_DEPTH} deep");
            return Err(Problem::new(self.place(span), message));
        }
        let before = self.nodes - 1;
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.repeated(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.untagged(tag.is_some(), span);
                (self.scalar(&text, style, span), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.untagged(tag.is_some(), span);
                (self.list(span, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.untagged(tag.is_some(), span);
                (self.record(span, depth)?, anchor)
            }
            _ => (
                Node {
                    place: self.place(span),
                    content: Content::Nothing,
                },
                0,
            ),
        };
        if anchor > 0 {
            self.anchors
                .insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("the program has more than {MAX_NODES} values");
            return Err(Problem::new(self.place(span), message)
                .help("aliases count each time they are used"));
        }
        Ok(())
    }

    fn repeated(&mut self, anchor: usize, span: Span) -> Result<Node, Problem> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            let message = "an alias cannot stand inside what it repeats";
            return Err(Problem::new(self.place(span), message));
        };
        self.count(size, span)?;
        Ok(Node {
            place: self.place(span),
            ..node
        })
    }

    fn untagged(&mut self, tagged: bool, span: Span) {
        if tagged {
            let problem = Problem::new(self.place(span), "tags such as `!name` are not understood")
                .help("take the tag away; quotes make a text of anything");
            self.problems.push(problem);
        }
    }

    fn list(&mut self, span: Span, depth: usize) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => break,
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
        Ok(Node {
            place: self.place(span),
            content: Content::List(items),
        })
    }

    fn record(&mut self, span: Span, depth: usize) -> Result<Node, Problem> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<Arc<str>, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let name = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Some(key) = self.key(name) else { continue };
            if seen.insert(key.text.clone(), members.len()).is_some() {
                let message = format!("`{}` is given twice", key.text);
                self.problems
                    .push(Problem::new(key.place, message).help("take one of them away"));
                continue;
            }
            members.push((key, value));
        }
        let place = members
            .first()
            .map_or(self.place(span), |(key, _)| key.place);
        Ok(Node {
            place,
            content: Content::Record(members),
        })
    }

    fn key(&mut self, name: Node) -> Option<Key> {
        let text = match &name.content {
            Content::Text(text) => text.clone(),
            Content::List(_) | Content::Record(_) => {
                self.problems.push(self.braces(name.place));
                return None;
            }
            _ => self.text[name.place.start..name.place.end].into(),
        };
        Some(Key {
            place: name.place,
            text,
        })
    }

    /// The problem with a mapping or list that stands where a name should: nearly always a template
    /// without quotes.
    fn braces(&self, place: Place) -> Problem {
        let line = self.text[..place.start].rfind('\n').map_or(0, |at| at + 1);
        let braces = self.text[line..place.end].rfind("{{").map(|at| at + line);
        match braces {
            Some(start) => {
                let end = self.text[start..]
                    .find("}}")
                    .map_or(place.end, |at| start + at + 2);
                let template = &self.text[start..end.max(start)];
                Problem::new(
                    Place { start, end },
                    "YAML reads a template without quotes as a mapping",
                )
                .help(format!("put it in quotes: \"{template}\""))
            }
            None => Problem::new(place, "a name must be a text"),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Node {
        let place = self.place(span);
        let content = match style {
            ScalarStyle::Plain => plain(text).unwrap_or_else(|message| {
                self.problems.push(Problem::new(place, message));
                Content::Nothing
            }),
            _ => Content::Text(text.into()),
        };
        Node { place, content }
    }

    fn byte(&self, character: usize) -> usize {
        match self.offsets.is_empty() {
            true => character.min(self.text.len()),
            false => self
                .offsets
                .get(character)
                .copied()
                .unwrap_or(self.text.len()),
        }
    }

    fn place(&self, span: Span) -> Place {
        Place {
            start: self.byte(span.start.index()),
            end: self.byte(span.end.index()),
        }
    }
}

/// What a plain scalar means in YAML 1.2's core schema (YAML 1.2.2, section 10.3.2).
fn plain(text: &str) -> Result<Content, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Content::Nothing),
        "true" | "True" | "TRUE" => return Ok(Content::Boolean(true)),
        "false" | "False" | "FALSE" => return Ok(Content::Boolean(false)),
        ".nan" | ".NaN" | ".NAN" => return Err(no_number(text)),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Err(no_number(text));
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(Content::Text(text.into()));
    }
    whole(text, digits)
        .or_else(|| float(text))
        .unwrap_or_else(|| Ok(Content::Text(text.into())))
}

fn no_number(text: &str) -> String {
    format!("`{text}` is not a number that a program can hold")
}

fn whole(text: &str, digits: &str) -> Option<Result<Content, String>> {
    let read = |digits: &str, radix| {
        let number = i128::from_str_radix(digits, radix);
        Some(
            number
                .map(Content::Integer)
                .map_err(|_| format!("`{text}` is too large a number")),
        )
    };
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) if all(hex, 16) => read(hex, 16),
        (_, Some(octal)) if all(octal, 8) => read(octal, 8),
        _ if all(digits, 10) => read(text, 10),
        _ => None,
    }
}

fn float(text: &str) -> Option<Result<Content, String>> {
    let number = text.parse::<f64>().ok()?;
    Some(match number.is_finite() {
        true => Ok(Content::Float(number)),
        false => Err(format!("`{text}` is too large a number")),
    })
}
