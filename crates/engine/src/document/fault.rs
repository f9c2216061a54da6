//! What the YAML parser's complaints mean to somebody who writes a program.

use super::MAX_DEPTH;
use crate::problem::{Place, Problem};

/// The problem with a template without quotes.
pub(super) const TEMPLATE: &str = "YAML reads a template without quotes as a mapping";

pub(super) fn too_deep(place: Place) -> Problem {
    let message = format!("the text is nested more than {MAX_DEPTH} deep");
    Problem::new(place, message)
}

/// The problem with a template without quotes that starts at a byte. Where the `line` goes on after
/// it, all of that should stand in quotes.
pub(super) fn template(text: &str, start: usize, line: bool) -> Problem {
    let rest = text[start..].lines().next().unwrap_or_default();
    let length = rest.find("}}").map_or(rest.len(), |at| {
        at + 2 + rest[at + 2..].len() - rest[at + 2..].trim_start_matches('}').len()
    });
    let opened = rest.len() - rest.trim_start_matches('{').len();
    let template = &rest[..length];
    let closed = template.len() - template.trim_end_matches('}').len();
    let template = &template[..template.len() - closed.saturating_sub(opened)];
    let begins = text[..start].trim_end_matches(' ').ends_with([':', '-']);
    let whole = match line && begins && !in_flow(text, start) {
        true => rest.trim_end(),
        false => template,
    };
    let place = Place {
        start,
        end: start + template.len().max(1),
    };
    Problem::new(place, TEMPLATE).help(format!("put it in quotes: {}", quoted(whole)))
}

/// Whether a bracket is open before a byte on its line.
fn in_flow(text: &str, at: usize) -> bool {
    let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..at];
    line.matches(['{', '[']).count() > line.matches(['}', ']']).count()
}

/// A text as YAML reads it back.
fn quoted(text: &str) -> String {
    match (text.contains(['"', '\\']), text.contains('\'')) {
        (false, _) => format!("\"{text}\""),
        (true, false) => format!("'{text}'"),
        (true, true) => format!("'{}'", text.replace('\'', "''")),
    }
}

/// The problem that a complaint of the parser at a byte stands for. `open` are the lists and mappings
/// that have begun and not ended.
pub(super) fn problem(text: &str, at: usize, complaint: &str, open: &[Place]) -> Problem {
    let flow = open
        .iter()
        .find(|place| text[place.start..].starts_with(['[', '{']));
    if let Some(braces) = flow.filter(|place| text[place.start..].starts_with("{{")) {
        return template(text, braces.start, true);
    }
    if complaint.contains("recursion limit") {
        return too_deep(word(text, at));
    }
    tab(text, at, complaint)
        .or_else(|| quote(text, at, complaint))
        .or_else(|| bracket(text, at, complaint, open))
        .or_else(|| scalar(text, at, complaint))
        .or_else(|| order(text, at, complaint))
        .unwrap_or_else(|| Problem::new(word(text, at), format!("this is not YAML: {complaint}")))
}

/// The word at a byte, or the character where there is none.
fn word(text: &str, at: usize) -> Place {
    let rest = &text[at..];
    let length = rest
        .find(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '[' | ']' | '{' | '}'))
        .unwrap_or(rest.len());
    Place {
        start: at,
        end: at + length.max(rest.chars().next().map_or(0, char::len_utf8)),
    }
}

fn tab(text: &str, at: usize, complaint: &str) -> Option<Problem> {
    if !complaint.contains("tab") {
        return None;
    }
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let found = text[line..]
        .match_indices('\t')
        .map(|(found, _)| found + line);
    let indents = |found: &usize| {
        let line = text[..*found].rfind('\n').map_or(0, |end| end + 1);
        text[line..*found].trim().is_empty()
    };
    let found = found
        .take(1_000)
        .find(indents)
        .or_else(|| text[line..].find('\t').map(|found| found + line))?;
    let place = Place {
        start: found,
        end: found + 1,
    };
    Some(Problem::new(place, "a tab cannot indent a line").help("indent with blanks"))
}

fn quote(text: &str, at: usize, complaint: &str) -> Option<Problem> {
    let one = |start: usize| Place {
        start,
        end: start + 1,
    };
    let mark = text[at..]
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''));
    if complaint.contains("trailing content") {
        let (mark, help) = match text[..at].trim_end().chars().next_back() {
            Some('\'') => (
                '\'',
                "inside single quotes an apostrophe is written twice: `''`",
            ),
            _ => ('"', "inside double quotes a quote is written `\\\"`"),
        };
        let message = format!("the text ends at its closing `{mark}`, and here more follows");
        return Some(Problem::new(word(text, at), message).help(help));
    }
    if complaint.contains("escape") || complaint.contains("hexadecimal") {
        let escape = bad_escape(text, at)?;
        let written = &text[escape.start..escape.end];
        let message = format!(
            "`{}` means nothing in double quotes",
            crate::read::cut(written)
        );
        let help = "write a backslash twice, or put the text in single quotes";
        return Some(Problem::new(escape, message).help(help));
    }
    let unclosed = complaint.contains("end of stream")
        || complaint.contains("indentation in quoted")
        || complaint.contains("document indicator");
    mark.filter(|_| unclosed).map(|mark| {
        Problem::new(one(at), "this quote is never closed").help(format!(
            "end the text with `{mark}`; a text of several lines is easier to write after `|`"
        ))
    })
}

/// The first escape of the text in double quotes at a byte that YAML does not know.
fn bad_escape(text: &str, at: usize) -> Option<Place> {
    let mut rest = text[at..].char_indices().skip(1).peekable();
    while let Some((from, c)) = rest.next() {
        if c != '\\' {
            continue;
        }
        let (next, escape) = rest.next()?;
        let digits = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0' | 'a' | 'b' | 't' | '\t' | 'n' | 'v' | 'f' | 'r' | 'e' | ' ' | '"' | '/' | '\\'
            | 'N' | '_' | 'L' | 'P' | '\n' | '\r' => 0,
            _ => usize::MAX,
        };
        let hex = text[at + next + escape.len_utf8()..]
            .chars()
            .take(digits.min(8))
            .take_while(char::is_ascii_hexdigit)
            .count();
        if digits == usize::MAX || hex < digits {
            return Some(Place {
                start: at + from,
                end: at + next + escape.len_utf8(),
            });
        }
    }
    None
}

fn bracket(text: &str, at: usize, complaint: &str, open: &[Place]) -> Option<Problem> {
    let inner = open.last()?;
    let mark = text[inner.start..].chars().next()?;
    let close = match mark {
        '[' => ']',
        '{' => '}',
        _ => return None,
    };
    let rest = &text[inner.start..at.max(inner.start)];
    if !rest.contains('\n') && at < text.len() {
        let message = format!("a comma or `{close}` is missing before this");
        return complaint
            .contains("did not find expected ','")
            .then(|| Problem::new(word(text, at), message));
    }
    let place = Place {
        start: inner.start,
        end: inner.start + 1,
    };
    let message = format!("this `{mark}` is never closed");
    Some(Problem::new(place, message).help(format!("end it with `{close}`")))
}

fn scalar(text: &str, at: usize, complaint: &str) -> Option<Problem> {
    if complaint.starts_with("unexpected character") {
        let c = text[at..].chars().next()?;
        let line = text[at..].lines().next().unwrap_or_default().trim_end();
        let message = format!("a text without quotes cannot begin with `{c}`");
        let help = format!("put it in quotes: {}", quoted(line));
        return Some(Problem::new(word(text, at), message).help(help));
    }
    if complaint.contains("misplaced bracket") {
        let place = Place {
            start: at,
            end: at + 1,
        };
        return Some(Problem::new(place, "this bracket closes nothing"));
    }
    if complaint.contains("comment intercepting") {
        let message = "a comment begins here, in the middle of a text";
        let help = "put a text or name with a `#` after a blank in quotes";
        return Some(Problem::new(word(text, at), message).help(help));
    }
    if complaint.contains("simple key expect") {
        let line = text[..at].trim_end();
        let start = line.rfind('\n').map_or(0, |end| end + 1);
        let place = Place {
            start: line.len() - line[start..].trim_start().len(),
            end: line.len(),
        };
        let message = "a colon is missing after this name";
        let help = "a `#` after a blank begins a comment; put a name with one in quotes";
        return Some(Problem::new(place, message).help(help));
    }
    if complaint.contains("unknown anchor") {
        let place = Place {
            start: at,
            end: word(text, at).end,
        };
        let alias = &text[place.start..place.end];
        let name = alias.trim_start_matches('*');
        let message = format!("nothing above is marked `&{name}`");
        return Some(Problem::new(place, message).help("an alias repeats what stands before it"));
    }
    if complaint.contains("mapping values are not allowed") {
        let place = Place {
            start: at,
            end: at + 1,
        };
        let message = "this colon makes a mapping, and none can stand here";
        let help = "put a text with a colon in quotes, or set the indentation of the line right";
        return Some(Problem::new(place, message).help(help));
    }
    None
}

fn order(text: &str, at: usize, complaint: &str) -> Option<Problem> {
    if complaint.contains("expected '-' indicator") {
        let message = "a list goes on here, and this line does not begin with a dash";
        let help = "indent it like the lines it belongs with, or begin it with `- `";
        return Some(Problem::new(word(text, at), message).help(help));
    }
    if complaint.contains("did not find expected key") || complaint.contains("invalid indentation")
    {
        let message = "this line is not indented like the lines it belongs with";
        let help = "the names of one mapping begin in one column";
        return Some(Problem::new(word(text, at), message).help(help));
    }
    None
}
