//! Settings that may hold `{{ expression }}`: literals, templates, and lists and records of them.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use crate::expr::{Expr, Flaw};
use crate::value::{Record, Value};
use crate::variables::Variables;

/// A setting, ready to be evaluated.
#[derive(Debug)]
pub enum Template {
    /// Always the same.
    Literal(Value),
    /// One expression and nothing else, which keeps its type.
    Expr(Expr),
    /// Text with expressions in it.
    Text(Vec<Piece>),
    /// A list of settings.
    List(Vec<Template>),
    /// A record of settings.
    Record(Vec<(Arc<str>, Template)>),
}

/// A part of a text with expressions in it.
#[derive(Debug)]
pub enum Piece {
    /// As it stands.
    Text(Arc<str>),
    /// What an expression gives, as text.
    Expr(Expr),
}

impl Template {
    /// The variable's expression name, if the setting is nothing but a variable.
    pub fn as_variable(&self) -> Option<&Arc<str>> {
        match self {
            Template::Expr(expr) => expr.as_variable(),
            _ => None,
        }
    }

    /// Its value with these variables.
    ///
    /// # Errors
    /// In words, as [`Expr::evaluate`].
    pub fn evaluate(&self, variables: &Arc<Variables>) -> Result<Value, String> {
        Ok(match self {
            Template::Literal(value) => value.clone(),
            Template::Expr(expr) => expr.evaluate(variables)?,
            Template::Text(pieces) => Value::text(joined(pieces, variables)?),
            Template::List(items) => Value::list(
                items
                    .iter()
                    .map(|item| item.evaluate(variables))
                    .collect::<Result<_, _>>()?,
            ),
            Template::Record(members) => members
                .iter()
                .map(|(name, member)| Ok((name.clone(), member.evaluate(variables)?)))
                .collect::<Result<Record, String>>()?
                .into(),
        })
    }
}

fn joined(pieces: &[Piece], variables: &Arc<Variables>) -> Result<String, String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Expr(expr) => {
                let _ = write!(text, "{}", expr.evaluate(variables)?);
            }
        }
        if text.len() > crate::value::MAX_SIZE {
            return Err("the text grows larger than a value may be".to_owned());
        }
    }
    Ok(text)
}

/// A part of a text as written: outside of braces, or inside.
#[derive(Debug, PartialEq)]
pub enum Part<'t> {
    /// Outside.
    Text(&'t str),
    /// Inside, with the range of bytes between the braces.
    Expr(&'t str, Range<usize>),
}

/// Cuts a text at its `{{ … }}`.
///
/// # Errors
/// Braces that are opened and not closed.
pub fn parts(text: &str) -> Result<Vec<Part<'_>>, Flaw> {
    let mut parts = Vec::new();
    let mut rest = 0;
    while let Some(open) = text[rest..].find("{{").map(|at| at + rest) {
        if open > rest {
            parts.push(Part::Text(&text[rest..open]));
        }
        let close = closing(text, open + 2).map_err(|quote| unclosed(text, open, quote))?;
        parts.push(Part::Expr(&text[open + 2..close], open + 2..close));
        rest = close + 2;
    }
    if rest < text.len() || parts.is_empty() {
        parts.push(Part::Text(&text[rest..]));
    }
    Ok(parts)
}

/// What is wrong where a template at `open` has no end, or a text in it at `quote`.
fn unclosed(text: &str, open: usize, quote: Option<usize>) -> Flaw {
    // A quote that is never closed hides the braces only if there are some.
    let quote = quote.filter(|quote| text[*quote..].contains("}}"));
    let (range, what, help) = match quote {
        Some(quote) => (
            quote..quote + 1,
            "this quote",
            "end the text with the same quote".to_owned(),
        ),
        None => (
            open..open + 2,
            "this template",
            "end it with `}}`; for two braces as text write `{{ '{{' }}`".to_owned(),
        ),
    };
    Flaw {
        range,
        message: format!("{what} is never closed"),
        help: Some(help),
        syntax: false,
    }
}

/// Where the `}}` stands that closes an expression: not the one in a text, nor of a record. Without
/// one, where the text begins that is not closed either.
fn closing(text: &str, from: usize) -> Result<usize, Option<usize>> {
    let bytes = text.as_bytes();
    let (mut quote, mut open, mut at) = (None, 0, from);
    while at < bytes.len() {
        match (bytes[at], quote) {
            (b'\\', Some(_)) => at += 1,
            (c, Some((q, _))) if c == q => quote = None,
            (_, Some(_)) => {}
            (c @ (b'"' | b'\''), None) => quote = Some((c, at)),
            (b'{', None) => open += 1,
            (b'}', None) if open > 0 => open -= 1,
            (b'}', None) if bytes.get(at + 1) == Some(&b'}') => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    Err(quote.map(|(_, at)| at))
}
