//! Reads settings that are evaluated: literals, templates and expressions.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use super::written::Written;
use super::{MAX_EXPRESSIONS, Reader, Role};
use crate::document::{Content, Key, Node};
use crate::expr::{Expr, Flaw};
use crate::field::duration;
use crate::language::RESERVED;
use crate::problem::{Problem, nearest};
use crate::template::{Part, Piece, Template, parts};
use crate::value::Value;
use crate::variables::Name;

impl<'n> Reader<'n> {
    pub(super) fn input(&mut self, schema: &Json, node: &'n Node, label: &str) -> Json {
        let wanted = schema["x-type"].as_str().unwrap_or("any value");
        let template = match &node.content {
            Content::Text(text) if schema["x-text"] == false && !text.contains("{{") => {
                self.expression(text, node)
            }
            Content::Text(text) if !matches!(wanted, "any value" | "text") => {
                match self.visible.get(text) {
                    Some(key) => {
                        let name = Name {
                            text: text.clone(),
                            key: key.clone(),
                        };
                        let written = self.written(node, text);
                        Template::Expr(self.used(Expr::variable(&name), &written, 0))
                    }
                    None => self.template(node),
                }
            }
            _ => self.template(node),
        };
        let template = match template {
            Template::Literal(Value::Nothing) if wanted == "text" => Template::Literal("".into()),
            template => template,
        };
        if let Template::Literal(value) = &template
            && !literal_fits(wanted, value)
        {
            let article = if wanted.starts_with("any") { "" } else { "a " };
            let wanted = format!("{article}{wanted}");
            match braced(node).filter(|_| schema["x-type"] == "text") {
                Some(help) => self.wrong_but(node, label, &wanted, &help),
                None => self.wrong(node, label, &wanted),
            }
        }
        self.inputs.push((template, type_name(wanted)));
        (self.inputs.len() - 1).into()
    }

    /// Reads a bare expression, or the exact name of a visible variable.
    fn expression(&mut self, text: &Arc<str>, node: &Node) -> Template {
        let trimmed = text.trim();
        let written = self.written(node, text);
        if let Some(key) = self.visible.get(trimmed) {
            let name = Name {
                text: trimmed.into(),
                key: key.clone(),
            };
            let start = text.len() - text.trim_start().len();
            return Template::Expr(self.used(Expr::variable(&name), &written, start));
        }
        if !self.room_for(&written) {
            return Template::Text(Vec::new());
        }
        match Expr::compile(text) {
            Ok(expr) => return Template::Expr(self.used(expr, &written, 0)),
            Err(_) if self.is_name(trimmed) => {
                self.mark(Role::Use, Name::new(trimmed).key, node.place);
            }
            Err(flaws) => {
                let flaws = self.advised(flaws, text);
                self.flawed(flaws, &written, 0);
            }
        }
        Template::Text(Vec::new())
    }

    /// Whether a text that is no expression is a variable's name, rather than an expression gone wrong.
    fn is_name(&self, text: &str) -> bool {
        let name = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '\'');
        let mut words = text.split(' ');
        let known = || self.visible.keys().map(|name| &**name);
        !text.is_empty()
            && text.chars().all(name)
            && (!words.any(|word| RESERVED.contains(&word)) || nearest(text, known()).is_some())
    }

    /// The flaws of an expression, with the advice to write underscores where it has a variable's name
    /// with blanks in it.
    fn advised(&self, mut flaws: Vec<Flaw>, code: &str) -> Vec<Flaw> {
        let blanks = |(name, key): &(&Arc<str>, &Arc<str>)| name != key && code.contains(&***name);
        let syntax = flaws.iter().any(|flaw| flaw.syntax);
        let named = self.visible.iter().filter(|_| syntax).filter(blanks);
        if let Some((_, key)) = named.max_by_key(|(name, _)| (name.len(), *name)) {
            let help = format!("in an expression blanks are written as underscores: `{key}`");
            flaws
                .iter_mut()
                .for_each(|flaw| flaw.help = Some(help.clone()));
        }
        flaws
    }

    /// Reads a literal with templates in it.
    fn template(&mut self, node: &'n Node) -> Template {
        match &node.content {
            Content::Text(text) if text.contains("{{") => self.text(text, node),
            Content::List(items) => {
                let items: Vec<Template> = items.iter().map(|item| self.template(item)).collect();
                match items
                    .iter()
                    .all(|item| matches!(item, Template::Literal(_)))
                {
                    true => Template::Literal(node.value()),
                    false => Template::List(items),
                }
            }
            Content::Record(members) => {
                let read = |(key, node): &'n (Key, Node)| (key.text.clone(), self.template(node));
                let members: Vec<_> = members.iter().map(read).collect();
                match members
                    .iter()
                    .all(|(_, member)| matches!(member, Template::Literal(_)))
                {
                    true => Template::Literal(node.value()),
                    false => Template::Record(members),
                }
            }
            _ => Template::Literal(node.value()),
        }
    }

    fn text(&mut self, text: &Arc<str>, node: &Node) -> Template {
        let written = self.written(node, text);
        let parts = match parts(text) {
            Ok(parts) => parts,
            Err(flaw) => {
                self.flawed(vec![flaw], &written, 0);
                return Template::Text(Vec::new());
            }
        };
        if let [Part::Expr(source, range)] = &parts[..] {
            let expr = self.compiled(source, range, &written);
            return expr.map_or(Template::Text(Vec::new()), Template::Expr);
        }
        let mut pieces = Vec::new();
        for part in parts {
            match part {
                Part::Text(part) => pieces.push(Piece::Text(part.into())),
                Part::Expr(source, range) => {
                    pieces.extend(self.compiled(source, &range, &written).map(Piece::Expr));
                }
            }
        }
        Template::Text(pieces)
    }

    fn compiled(&mut self, code: &str, at: &Range<usize>, written: &Written<'_>) -> Option<Expr> {
        if code.trim().is_empty() {
            let help = "write an expression between the braces, such as a variable";
            let flaw = Flaw {
                range: at.start - 2..at.end + 2,
                message: "this template is empty".to_owned(),
                help: Some(help.to_owned()),
                syntax: false,
            };
            self.flawed(vec![flaw], written, 0);
            return None;
        }
        if !self.room_for(written) {
            return None;
        }
        match Expr::compile(code) {
            Ok(expr) => Some(self.used(expr, written, at.start)),
            Err(flaws) => {
                let flaws = self.advised(flaws, code);
                self.flawed(flaws, written, at.start);
                None
            }
        }
    }

    /// Whether the program may have one more expression.
    fn room_for(&mut self, written: &Written<'_>) -> bool {
        self.expressions += 1;
        if self.expressions == MAX_EXPRESSIONS + 1 {
            let message = format!("the program has more than {MAX_EXPRESSIONS} expressions");
            self.problem(Problem::new(written.place(0..0), message));
        }
        self.expressions <= MAX_EXPRESSIONS
    }

    /// Notes what an expression uses; `offset` is where it starts in the text.
    fn used(&mut self, expr: Expr, written: &Written<'_>, offset: usize) -> Expr {
        for (name, range) in &expr.uses {
            let place = written.place(range.start + offset..range.end + offset);
            self.mark(Role::Use, name.clone(), place);
        }
        expr
    }

    fn flawed(&mut self, flaws: Vec<Flaw>, written: &Written<'_>, offset: usize) {
        for flaw in flaws {
            self.problem(Problem {
                place: written.place(flaw.range.start + offset..flaw.range.end + offset),
                message: flaw.message,
                help: flaw.help,
            });
        }
    }

    fn written<'t>(&self, node: &Node, text: &'t str) -> Written<'t>
    where
        'n: 't,
    {
        Written::new(&self.source.text, node.place, text)
    }
}

/// What to do where `{Name}` stands in place of a text.
fn braced(node: &Node) -> Option<String> {
    let Content::Record(members) = &node.content else {
        return None;
    };
    match &members[..] {
        [(key, value)] if matches!(value.content, Content::Nothing) => {
            let key = Name::new(key.text.clone()).key;
            Some(format!(
                "the value of a variable is written \"{{{{ {key} }}}}\""
            ))
        }
        _ => None,
    }
}

/// Whether a literal may stand for what is wanted.
fn literal_fits(wanted: &str, value: &Value) -> bool {
    match (wanted, value) {
        ("list", Value::List(_)) | ("record", Value::Record(_)) => true,
        ("number" | "whole number", Value::Integer(_)) | ("number", Value::Float(_)) => true,
        ("whole number", Value::Float(number)) => number.fract() == 0.0,
        ("condition", Value::Boolean(_)) => true,
        ("condition", Value::Integer(_) | Value::Float(_)) => true,
        ("date", Value::Text(text)) => text.parse::<crate::date::Date>().is_ok(),
        ("duration", Value::Text(text)) => duration(text.trim()).is_some(),
        ("duration", Value::Integer(number)) => *number >= 0,
        ("duration", Value::Float(number)) => *number >= 0.0,
        ("text", Value::List(_) | Value::Record(_)) => false,
        ("any value" | "text", _) => true,
        _ => false,
    }
}

fn type_name(name: &str) -> &'static str {
    const NAMES: &[&str] = &[
        "any value",
        "text",
        "condition",
        "list",
        "record",
        "whole number",
        "number",
        "date",
        "duration",
    ];
    NAMES
        .iter()
        .find(|known| **known == name)
        .copied()
        .unwrap_or("any value")
}
