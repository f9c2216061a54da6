//! Something wrong with a program: what, where, and what to do about it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A range of bytes in a program's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A program's text and the name it is known by, usually its file.
#[derive(Clone, Debug)]
pub struct Source {
    /// What problems call it, such as `shopping.yaml`.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

/// Something wrong with a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do, where there is something to say.
    pub help: Option<String>,
}

/// A problem as JSON shows it.
#[derive(Serialize)]
pub struct Shown<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
    help: Option<&'a str>,
    source: &'a str,
}

impl Problem {
    /// A problem without advice.
    pub fn new(place: Place, message: impl Into<String>) -> Problem {
        Problem {
            place,
            message: message.into(),
            help: None,
        }
    }

    /// The same with advice.
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// The same, advising the nearest of `known` if one is near enough to `word`.
    pub fn did_you_mean<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Problem {
        match nearest(word, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// The problem with everything a reader outside the program needs.
    pub fn shown<'a>(&'a self, source: &'a Source) -> Shown<'a> {
        let (line, column) = source.position(self.place.start);
        Shown {
            file: &source.name,
            line,
            column,
            message: &self.message,
            help: self.help.as_deref(),
            source: source.line(line),
        }
    }

    /// The problem drawn for a terminal: place, message, the line with a caret, the advice.
    pub fn drawn<'a>(&'a self, source: &'a Source) -> impl fmt::Display + 'a {
        Drawn {
            problem: self,
            source,
        }
    }
}

/// The one of `known` that `word` most likely stands for, if any is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = 1 + word.chars().count() / 4;
    let folded = word.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&folded, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

impl Source {
    /// The line and column of a byte, both from 1; columns count characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..self.floor(byte)];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[start..].chars().count() + 1,
        )
    }

    /// A line by its number, from 1, without its end.
    pub fn line(&self, number: usize) -> &str {
        self.text.lines().nth(number - 1).unwrap_or("")
    }

    fn floor(&self, byte: usize) -> usize {
        let mut at = byte.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

struct Drawn<'a> {
    problem: &'a Problem,
    source: &'a Source,
}

/// The widest line drawn whole, in characters; a longer one is shown around the place.
const WIDTH: usize = 120;

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.problem.place.start);
        writeln!(
            f,
            "{}:{line}:{column}: {}",
            self.source.name, self.problem.message
        )?;
        let gutter = line.to_string().len();
        let skipped = if column > WIDTH - 20 { column - 20 } else { 0 };
        let shown: String = self
            .source
            .line(line)
            .chars()
            .skip(skipped)
            .take(WIDTH)
            .collect();
        let shown = shown.replace(|c: char| c.is_control(), " ");
        let marked = self.source.text[self.source.floor(self.problem.place.start)..]
            .lines()
            .next()
            .unwrap_or("")
            .chars()
            .count();
        let length = self
            .problem
            .place
            .end
            .saturating_sub(self.problem.place.start);
        let carets = "^".repeat(
            length
                .min(marked)
                .clamp(1, WIDTH - (column - 1 - skipped).min(WIDTH - 1)),
        );
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line} | {shown}")?;
        writeln!(
            f,
            "{:gutter$} | {:indent$}{carets}",
            "",
            "",
            indent = column - 1 - skipped
        )?;
        if let Some(help) = &self.problem.help {
            writeln!(f, "{:gutter$} = {help}", "")?;
        }
        Ok(())
    }
}
