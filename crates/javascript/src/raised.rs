//! What went wrong in a script, read and told without running any more of it.

use rquickjs::{Object, Value};
use serde::Serialize;

use crate::limits::{Limit, Limits};
use crate::peek::{Own, Peek};
use crate::show;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 4096;

/// The longest traceback, in bytes.
const MAX_TRACEBACK: usize = 32_768;

/// The longest line of code that a traceback shows, in bytes.
const MAX_SOURCE: usize = 200;

/// How many causes of an error a traceback tells.
const MAX_CAUSES: usize = 4;

/// What the engine, and what leads to it, say where there is no memory.
const STARVED: [&str; 2] = [
    "InternalError: out of memory",
    "InternalError: QuickJS library created a unknown error",
];

/// What begins the names of the scripts that are ours.
pub(crate) const OURS: &str = "waystation:";

/// A failure as it is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Raised {
    pub message: String,
    /// The line of the program's file.
    pub line: Option<usize>,
    pub traceback: Option<String>,
    /// The limit that was passed.
    pub limit: Option<Limit>,
}

impl Raised {
    pub fn new(message: impl Into<String>) -> Raised {
        Raised {
            message: message.into(),
            line: None,
            traceback: None,
            limit: None,
        }
    }

    /// That a limit was passed.
    pub fn limit(limits: &Limits, limit: Limit) -> Raised {
        Raised {
            limit: Some(limit),
            ..Raised::new(limits.sentence(limit))
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The code of a run, and where in its file it stands.
pub(crate) struct Source<'a> {
    pub code: &'a str,
    pub file: &'a str,
    pub line: usize,
}

impl Source<'_> {
    /// Tells what a script threw.
    pub fn raised<'js>(&self, peek: &Peek<'js>, limits: &Limits, thrown: &Value<'js>) -> Raised {
        let error = thrown
            .as_object()
            .filter(|object| !object.is_proxy() && is_error(peek, object));
        let Some(error) = error else {
            let message = format!("the code threw {}", show::value(peek, Some(limits), thrown));
            return Raised::new(cut(message, MAX_MESSAGE));
        };
        let mut message = headline(peek, error);
        if message == "SyntaxError: redeclaration of 'outputs'"
            || message == "SyntaxError: redeclaration of 'inputs'"
        {
            message.push_str(
                ": it is there from the beginning, so choose another name or assign to it",
            );
        }
        if thrown.is_error() && STARVED.contains(&&*message) {
            return Raised::limit(limits, Limit::Memory);
        }
        let mut frames = frames(peek, error);
        // A variable that stands already is told at the beginning of the file, where no code is.
        frames.retain(|frame| !frame.ends_with(&format!(" {}:1:1", self.file)) || self.line == 1);
        let place = frames.iter().find_map(|frame| self.place(frame));
        let mut raised = Raised::new(cut(message.clone(), MAX_MESSAGE));
        let mut traceback = String::new();
        if let Some((line, column)) = place {
            raised.line = Some(line);
            raised
                .message
                .push_str(&format!(" (line {} of the code)", line - self.line + 1));
            traceback = self.excerpt(line, column).unwrap_or_default();
        }
        traceback.push_str(&told(&message, &frames));
        traceback.push_str(&causes(peek, error));
        raised.traceback = Some(cut(traceback, MAX_TRACEBACK));
        raised
    }

    /// That the code cannot even be given to the engine, which takes no NUL.
    pub fn nul(&self) -> Option<Raised> {
        let line = self
            .code
            .split('\0')
            .next()
            .filter(|before| before.len() < self.code.len())?
            .matches('\n')
            .count();
        Some(Raised {
            line: Some(self.line + line),
            ..Raised::new(format!(
                "SyntaxError: there is a NUL character in the code (line {} of the code)",
                line + 1
            ))
        })
    }

    /// Line and column of a frame that is in the code.
    fn place(&self, frame: &str) -> Option<(usize, usize)> {
        let place = frame.strip_suffix(')').unwrap_or(frame);
        let (place, column) = place.rsplit_once(':')?;
        let (file, line) = place.rsplit_once(':')?;
        let is_ours = file.strip_suffix(self.file)?.ends_with(['(', ' ']);
        let line = line
            .parse()
            .ok()
            .filter(|line| is_ours && *line >= self.line)?;
        Some((line, column.parse().ok()?))
    }

    /// The line with a mark below the column.
    fn excerpt(&self, line: usize, column: usize) -> Option<String> {
        let text = self
            .code
            .split('\n')
            .nth(line - self.line)
            .filter(|text| text.len() <= MAX_SOURCE)?;
        let before = text.chars().take(column.saturating_sub(1));
        // A tab is as wide as the one above it.
        let before: String = before
            .map(|letter| if letter == '\t' { '\t' } else { ' ' })
            .collect();
        Some(format!("{}:{line}\n{text}\n{before}^\n\n", self.file))
    }
}

/// An error with its frames, as it is logged.
pub(crate) fn error_text<'js>(peek: &Peek<'js>, error: &Object<'js>) -> String {
    told(&headline(peek, error), &frames(peek, error))
}

fn told(message: &str, frames: &[String]) -> String {
    let mut text = message.to_owned();
    for frame in frames {
        text.push('\n');
        text.push_str(frame);
    }
    text
}

fn causes<'js>(peek: &Peek<'js>, error: &Object<'js>) -> String {
    let mut text = String::new();
    let mut next = error.clone();
    for _ in 0..MAX_CAUSES {
        let Ok(Own::Value(cause)) = peek.own(&next, "cause") else {
            break;
        };
        let Some(cause) = cause.into_object().filter(|cause| cause.is_error()) else {
            break;
        };
        text.push_str(&format!("\ncaused by {}", error_text(peek, &cause)));
        next = cause;
    }
    text
}

/// Whether an object is an error, or one of those that `atob` throws.
fn is_error<'js>(peek: &Peek<'js>, object: &Object<'js>) -> bool {
    object.is_error() || peek.call::<String>("domName", object.as_value()).is_some()
}

/// The name and the message of an error.
fn headline<'js>(peek: &Peek<'js>, error: &Object<'js>) -> String {
    let text = |name| {
        peek.inherited(error, name)
            .and_then(|text| peek.text(&text))
    };
    let dom = |name| peek.call::<String>(name, error.as_value());
    let name = dom("domName")
        .or_else(|| text("name"))
        .filter(|name| !name.is_empty());
    let message = dom("domMessage")
        .or_else(|| text("message"))
        .filter(|message| !message.is_empty());
    let name = name.unwrap_or_else(|| "Error".to_owned());
    match message {
        Some(message) => format!("{name}: {message}"),
        None => name,
    }
}

/// The calls that led to an error, the last one first, without those of ours.
fn frames<'js>(peek: &Peek<'js>, error: &Object<'js>) -> Vec<String> {
    let own = match peek.own(error, "stack") {
        Ok(Own::Value(stack)) => peek.text(&stack),
        _ => None,
    };
    let stack = own
        .or_else(|| peek.call("stack", error.as_value()))
        .unwrap_or_default();
    let classes = peek.classes(error);
    let mut frames: Vec<String> = Vec::new();
    for frame in stack.lines() {
        let ours = format!("({OURS}");
        if frame.contains(&ours) {
            // What ours called of the engine is no business of the script's either.
            while frames
                .last()
                .is_some_and(|frame| frame.ends_with(" (native)"))
            {
                frames.pop();
            }
            continue;
        }
        let called = frame
            .trim_start()
            .strip_prefix("at ")
            .and_then(|at| at.split(" (").next());
        // A class that extends an error begins with its own making.
        if frames.is_empty()
            && called.is_some_and(|called| classes.iter().any(|class| class == called))
        {
            continue;
        }
        frames.push(match frame.strip_prefix("    at <eval> (") {
            Some(place) => format!("    at {}", place.strip_suffix(')').unwrap_or(place)),
            None => frame.to_owned(),
        });
    }
    frames
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}
