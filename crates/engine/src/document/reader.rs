//! Makes nodes of what the YAML parser finds.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::{Content, Key, MAX_DEPTH, MAX_NODES, MAX_REPEATED, Node, fault, scalar};
use crate::problem::{MAX_PROBLEMS, Place, Problem};

/// Reads a text that is not too long.
pub(super) fn read(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut reader = Reader {
        text,
        offsets: offsets(text),
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        open: Vec::new(),
        at: 0,
        nodes: 0,
        repeated: 0,
        problems: Vec::new(),
    };
    match reader.stream() {
        Ok(node) => (node, reader.problems),
        Err(problem) => (None, reader.ended(problem)),
    }
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
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Anchored>,
    /// The lists and mappings that have begun and not ended.
    open: Vec<Place>,
    /// How far the text has been read.
    at: usize,
    nodes: usize,
    repeated: usize,
    problems: Vec<Problem>,
}

/// A node that aliases can repeat, with how many nodes and bytes of text it comes to.
#[derive(Clone)]
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
}

impl<'t> Reader<'t> {
    fn stream(&mut self) -> Result<Option<Node>, Problem> {
        let mut node = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(node),
                (Event::DocumentStart(_), span) if node.is_some() => {
                    let message = "a file holds one program, and here a second document begins";
                    let problem = Problem::new(self.place(span), message);
                    return Err(problem.help("give it a file of its own"));
                }
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
                (event, span) => node = Some(self.node(event, span)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.at = self.byte(span.end.index());
                Ok((event, span))
            }
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                Err(fault::problem(self.text, at, error.info(), &self.open))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// All problems, when one of them ended the reading. A template without quotes makes no YAML of
    /// what follows it on its line; that is no problem of its own.
    fn ended(mut self, problem: Problem) -> Vec<Problem> {
        let template = self
            .problems
            .iter_mut()
            .rfind(|known| known.message == fault::TEMPLATE);
        if let Some(known) = template {
            let between = self.text.get(known.place.start..problem.place.start);
            if between.is_none_or(|between| !between.contains('\n')) {
                *known = fault::template(self.text, known.place.start, true);
                return self.problems;
            }
        }
        self.problems.push(problem);
        self.problems
    }

    fn noted(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Problem> {
        self.count(1, span)?;
        if self.open.len() > MAX_DEPTH {
            return Err(fault::too_deep(self.place(span)));
        }
        let before = (self.nodes - 1, self.repeated);
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.repeat(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.untagged(tag.is_some(), span);
                (self.scalar(&text, style, span), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.untagged(tag.is_some(), span);
                self.open.push(self.place(span));
                (self.list(span)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.untagged(tag.is_some(), span);
                self.open.push(self.place(span));
                (self.record(span)?, anchor)
            }
            _ => (nothing(self.place(span)), 0),
        };
        if anchor > 0 {
            let bytes = self.at.saturating_sub(node.place.start);
            let anchored = Anchored {
                node: node.clone(),
                nodes: self.nodes - before.0,
                bytes: bytes + self.repeated - before.1,
            };
            self.anchors.insert(anchor, anchored);
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

    fn repeat(&mut self, anchor: usize, span: Span) -> Result<Node, Problem> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            let message = "an alias cannot stand inside what it repeats";
            return Err(Problem::new(self.place(span), message));
        };
        self.repeated += anchored.bytes;
        let (node, nodes) = (anchored.node.clone(), anchored.nodes);
        if self.repeated > MAX_REPEATED {
            let limit = MAX_REPEATED >> 10;
            let message = format!("the aliases repeat more than {limit} KiB of text");
            return Err(Problem::new(self.place(span), message));
        }
        self.count(nodes, span)?;
        Ok(node)
    }

    fn untagged(&mut self, tagged: bool, span: Span) {
        if !tagged {
            return;
        }
        let mut place = self.place(span);
        let written = &self.text[place.start..];
        let tag = written
            .split([' ', '\t', '\r', '\n', ',', '[', ']', '{', '}'])
            .next()
            .unwrap_or_default();
        let message = match tag.starts_with('!') {
            true => {
                place.end = place.start + tag.len();
                format!("the tag `{}` is not understood", crate::read::cut(tag))
            }
            false => "tags such as `!name` are not understood".to_owned(),
        };
        self.noted(
            Problem::new(place, message).help("take the tag away; quotes make a text of anything"),
        );
    }

    fn list(&mut self, span: Span) -> Result<Node, Problem> {
        let mut items = Vec::new();
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, end) => break end,
                (event, span) => items.push(self.node(event, span)?),
            }
        };
        self.open.pop();
        Ok(Node {
            place: self.whole(span, end),
            content: Content::List(items),
        })
    }

    fn record(&mut self, span: Span) -> Result<Node, Problem> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<Arc<str>, Place> = HashMap::new();
        let mut broken = false;
        let end = loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break span;
            }
            let name = self.node(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            let Some(key) = self.key(name, &value) else {
                broken = true;
                continue;
            };
            match seen.get(&key.text) {
                Some(first) => self.twice(&key, *first),
                None => {
                    seen.insert(key.text.clone(), key.place);
                    members.push((key, value));
                }
            }
        };
        self.open.pop();
        let place = match self.whole(span, end) {
            whole if whole.end - whole.start > 1 => whole,
            start => members.first().map_or(start, |(key, _)| key.place),
        };
        let content = match broken && members.is_empty() {
            true => Content::Broken,
            false => Content::Record(members),
        };
        Ok(Node { place, content })
    }

    fn twice(&mut self, key: &Key, first: Place) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let line = self.text[..first.start].matches('\n').count() + 1;
        let name = crate::read::cut(&key.text);
        let problem = Problem::new(key.place, format!("`{name}` is given twice"));
        self.noted(problem.help(format!(
            "it stands on line {line} already; take one of them away"
        )));
    }

    fn key(&mut self, name: Node, value: &Node) -> Option<Key> {
        let written = &self.text[name.place.start..name.place.end];
        let text = match &name.content {
            Content::Text(_) if written == "<<" => {
                let message = "merge keys such as `<<` are no part of YAML 1.2";
                let problem = Problem::new(name.place, message);
                self.noted(problem.help("write out what should stand here"));
                return None;
            }
            Content::Text(text) => {
                self.colon(&name, text, value);
                text.clone()
            }
            Content::Record(_) | Content::List(_) => {
                self.complex(name.place);
                return None;
            }
            Content::Broken => return None,
            _ => written.into(),
        };
        Some(Key {
            place: name.place,
            text,
        })
    }

    /// Notes `{a:1}`, which YAML reads as a name without a value.
    fn colon(&mut self, name: &Node, text: &str, value: &Node) {
        let written = &self.text[name.place.start..name.place.end];
        let given = &self.text[value.place.start..value.place.end];
        let absent =
            matches!(value.content, Content::Nothing) && !given.starts_with(['n', 'N', '~']);
        if let Some((before, after)) = text.split_once(':').filter(|_| absent && written == text) {
            let message = "a blank is missing after the colon".to_owned();
            let help = format!("write `{before}: {after}`");
            self.noted(Problem::new(name.place, message).help(help));
        }
    }

    /// Notes a mapping or list that stands where a name should: nearly always a template without
    /// quotes.
    fn complex(&mut self, place: Place) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let line = self.text[..place.start].rfind('\n').map_or(0, |at| at + 1);
        let braces = self.text[line..place.end].match_indices("{{");
        let before = |(at, _): &(usize, &str)| line + at <= place.start;
        self.noted(match braces.take_while(before).last() {
            Some((at, _)) => fault::template(self.text, line + at, false),
            None => Problem::new(place, "a name must be a text"),
        });
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Node {
        let place = self.place(span);
        let content = match style {
            ScalarStyle::Plain => scalar::plain(text).unwrap_or_else(|message| {
                self.noted(Problem::new(place, message));
                Content::Broken
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
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index());
        Place {
            start,
            end: end.max(start),
        }
    }

    /// The place of a list or mapping with its brackets; without brackets, of its first character.
    fn whole(&self, start: Span, end: Span) -> Place {
        let (start, end) = (self.place(start), self.place(end));
        match &self.text[end.start..end.end] {
            "]" | "}" => Place {
                start: start.start,
                end: end.end,
            },
            _ => Place {
                start: start.start,
                end: start.start,
            },
        }
    }
}

fn nothing(place: Place) -> Node {
    Node {
        place,
        content: Content::Nothing,
    }
}
