//! Something wrong with a program: what, where, and what to do about it.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The most problems that are looked for in a program.
pub const MAX_PROBLEMS: usize = 300;
/// The most problems of a program that are shown.
pub const MAX_SHOWN: usize = 100;

/// The byte order mark that some editors write at the start of a file.
const MARK: char = '\u{feff}';

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
            source: start_of(source.line(line)),
        }
    }

    /// The problem drawn for a terminal: place, message, the line with a caret, the advice. Written with
    /// `{:#}` it is in colour (ANSI escapes).
    pub fn drawn<'a>(&'a self, source: &'a Source) -> impl fmt::Display + 'a {
        Drawn {
            problem: self,
            source,
        }
    }
}

/// The longest word, in bytes, for which another is proposed, and the most words that are compared
/// with it: comparing takes the product of the lengths.
const MAX_COMPARED: (usize, usize) = (64, 1_000);

/// The longest part of a line that JSON shows, in bytes.
const MAX_LINE: usize = 1_000;

/// A line, cut where it is very long.
fn start_of(line: &str) -> &str {
    &line[..line.floor_char_boundary(MAX_LINE)]
}

/// The one of `known` that `word` most likely stands for, if any is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_COMPARED.0 {
        return None;
    }
    let length = word.chars().count();
    let allowed = (1 + length / 4).min(length.saturating_sub(1));
    let folded = word.to_lowercase();
    known
        .into_iter()
        .take(MAX_COMPARED.1)
        .filter(|name| name.len() <= 2 * MAX_COMPARED.0)
        .filter(|name| name.chars().count().abs_diff(length) <= allowed)
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
        (before.matches('\n').count() + 1, self.column(start, byte))
    }

    /// The column of a byte in the line that begins at another; a byte order mark is in none.
    pub(crate) fn column(&self, line: usize, byte: usize) -> usize {
        let before = &self.text[line..self.floor(byte).max(line)];
        before.strip_prefix(MARK).unwrap_or(before).chars().count() + 1
    }

    /// A line by its number, from 1, without its end.
    pub fn line(&self, number: usize) -> &str {
        let line = self.text.lines().nth(number - 1).unwrap_or("");
        line.strip_prefix(MARK).unwrap_or(line)
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

/// Whether a character would change how others are drawn.
fn unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | MARK)
}

/// The widest line drawn whole, in characters; a longer one is shown around the place.
const WIDTH: usize = 120;

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.problem.place.start);
        let [bold, red, blue, plain] = match f.alternate() {
            true => ["\x1b[1m", "\x1b[1;31m", "\x1b[1;34m", "\x1b[0m"],
            false => [""; 4],
        };
        let name = &self.source.name;
        let message = &self.problem.message;
        writeln!(f, "{name}:{line}:{column}: {bold}{message}{plain}")?;
        let gutter = line.to_string().len();
        let skipped = if column > WIDTH - 20 { column - 20 } else { 0 };
        let shown: String = self
            .source
            .line(line)
            .chars()
            .skip(skipped)
            .take(WIDTH)
            .collect();
        let shown = shown.replace(unseen, " ");
        let marked = self.source.text[self.source.floor(self.problem.place.start)..]
            .lines()
            .next()
            .unwrap_or("");
        let length = self
            .problem
            .place
            .end
            .saturating_sub(self.problem.place.start);
        let marked = marked
            .char_indices()
            .take_while(|(at, _)| *at < length)
            .count();
        let room = WIDTH.saturating_sub(column - 1 - skipped).max(1);
        let carets = "^".repeat(marked.clamp(1, room));
        writeln!(f, "{blue}{:gutter$} |{plain}", "")?;
        writeln!(f, "{blue}{line} |{plain} {shown}")?;
        let indent = column - 1 - skipped;
        writeln!(
            f,
            "{blue}{:gutter$} |{plain} {:indent$}{red}{carets}{plain}",
            "", ""
        )?;
        if let Some(help) = &self.problem.help {
            writeln!(f, "{blue}{:gutter$} ={plain} {help}", "")?;
        }
        Ok(())
    }
}
