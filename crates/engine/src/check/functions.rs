//! Functions: what they take and give, what starts them.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Checker, Inside, meant, members};
use crate::document::{Content, Key, Node};
use crate::field::Block;
use crate::plan::{Function, Parameter, Timer, Webhook};
use crate::problem::{Place, Problem};
use crate::program::{self, Declared, Trigger};
use crate::read::{Nested, cut, listed, one_of};
use crate::scope::Scope;
use crate::types::Type;
use crate::value::Value;
use crate::variables::Name;

impl<'n> Checker<'n> {
    /// Notes a function with what it takes and gives, before any steps are looked at.
    pub(super) fn declare(&mut self, name: &str, read: &Json, key: &Key, node: &'n Node) {
        self.name("function", name, key.place);
        let typed = |of: &Json| serde_json::from_value::<Type>(of.clone()).unwrap_or_default();
        let mut outputs = Vec::new();
        for (name, of) in read["outputs"].as_object().into_iter().flatten() {
            outputs.push(Parameter {
                name: Name::new(&**name),
                of: typed(of),
                default: None,
            });
        }
        for (key, _) in members(meant(node, "outputs")) {
            self.name("variable", &key.text, key.place);
        }
        let nodes = members(meant(node, "inputs"));
        let inputs = read["inputs"].as_object().into_iter().flatten();
        let inputs = inputs
            .zip(nodes)
            .map(|((name, declared), (_, node))| self.input(name, declared, node))
            .collect();
        let (webhook, timers) = self.triggers(&read["triggers"], node);
        let steps = Block {
            at: read["steps"].as_u64().map_or(usize::MAX, |at| at as usize),
        };
        let function = Function {
            name: name.into(),
            inputs,
            outputs,
            webhook,
            timers,
            steps,
        };
        self.functions.insert(name.into(), function);
    }

    fn input(&mut self, name: &str, declared: &Json, node: &Node) -> Parameter {
        let (of, default) = match serde_json::from_value::<Declared>(declared.clone()) {
            Ok(Declared::Optional(optional)) => {
                let default = self.reader.literals.get(optional.default.at).cloned();
                let place = node
                    .member("default")
                    .map_or(node.place, |(_, of)| of.place);
                let default = default.map(|default| self.default(optional.of, default, place));
                (optional.of, default)
            }
            Ok(Declared::Type(of)) => (of, None),
            Err(_) => (Type::Any, None),
        };
        let name = Name::new(name);
        Parameter { name, of, default }
    }

    /// A default as one of its type.
    fn default(&mut self, of: Type, default: Value, place: Place) -> Value {
        if default == of.blank() {
            return default;
        }
        of.check(default.clone()).unwrap_or_else(|| {
            self.unfit("the default", of, &default, place);
            default
        })
    }

    /// Notes a literal that is not of a declared type.
    pub(super) fn unfit(&mut self, what: &str, of: Type, value: &Value, place: Place) {
        let message = format!(
            "{what} is {}, and this is {}",
            of.described(),
            value.described()
        );
        let problem = Problem::new(place, message);
        let text = match value {
            Value::Text(text) => text,
            _ => return self.reader.problem(problem),
        };
        self.reader.problem(match of {
            Type::Date => problem.help("write 2020-01-15 or 2020-01-15T10:00:00Z"),
            Type::Boolean => problem.help("write `true` or `false`, without quotes"),
            of if of.read(value.clone()).is_some() && !text.trim().is_empty() => {
                problem.help("write it without quotes")
            }
            _ => problem,
        });
    }

    /// What starts a function: at most one webhook, and times.
    fn triggers(&mut self, read: &Json, node: &'n Node) -> (Option<Webhook>, Vec<Timer>) {
        let triggers = read.as_array().into_iter().flatten();
        let nodes: &[Node] = match meant(node, "triggers").map(|(_, of)| &of.content) {
            Some(Content::List(nodes)) => nodes,
            _ => &[],
        };
        let (mut webhook, mut timers, mut webhooks) = (None, Vec::new(), 0);
        for (read, node) in triggers.zip(nodes).filter(|(read, _)| !read.is_null()) {
            match serde_json::from_value(read.clone()) {
                Ok(Trigger::Webhook(found)) => {
                    webhooks += 1;
                    if webhooks == 1 {
                        webhook = Some(self.webhook(found, node));
                    }
                    if webhooks == 2 {
                        let problem =
                            Problem::new(node.head(), "a function has at most one webhook")
                                .help("give the second one to a function of its own");
                        self.reader.problem(problem);
                    }
                }
                Ok(Trigger::Time(timer)) => timers.extend(self.timer(timer, node)),
                Err(_) => {}
            }
        }
        (webhook, timers)
    }

    fn webhook(&mut self, webhook: program::Webhook, node: &'n Node) -> Webhook {
        let nodes = node.member("webhook");
        let nodes = members(nodes.and_then(|(_, webhook)| meant(webhook, "outputs")));
        let mut outputs = Vec::new();
        for ((name, literal), (_, node)) in webhook.outputs.iter().zip(nodes) {
            let value = self.reader.literals[literal.at].clone();
            let (of, default) = match self.declared(node, &value) {
                Some((of, default)) => (of, self.default(of, default, last(node).place)),
                None => (Type::of(&value), value),
            };
            outputs.push(Parameter {
                name: Name::new(&**name),
                of,
                default: Some(default),
            });
        }
        Webhook {
            active: webhook.active.unwrap_or(true),
            outputs,
        }
    }

    /// A declared variable of a webhook written as `{type, default}`.
    fn declared(&mut self, node: &Node, value: &Value) -> Option<(Type, Value)> {
        let Value::Record(record) = value else {
            return None;
        };
        let known = |key: &Arc<str>| matches!(&**key, "type" | "default");
        let (_, of) = node.member("type").filter(|_| record.keys().all(known))?;
        let word = of.value().to_string();
        let Ok(typed) = serde_json::from_value::<Type>(word.as_str().into()) else {
            let message = format!("there is no type `{}`", cut(&word));
            let names: Vec<&str> = Type::ALL.iter().map(|of| of.name()).collect();
            let problem = Problem::new(of.place, message);
            let problem = problem.did_you_mean(&word, names.iter().copied());
            self.reader
                .problem_or(problem, || format!("it is {}", one_of(&names)));
            return None;
        };
        let default = record.get("default").cloned();
        Some((typed, default.unwrap_or_else(|| typed.blank())))
    }

    /// Checks a name that the program gives to something.
    pub(super) fn name(&mut self, what: &str, name: &str, place: Place) {
        let wrong = match name {
            "" => {
                let message = format!("the name of a {what} is empty");
                return self.reader.problem(Problem::new(place, message));
            }
            name if name.contains("{{") => "holds a template, and names are written out",
            name if name.trim() != name => "begins or ends with a blank",
            name if name.chars().any(char::is_control) => "has a control character in it",
            name if name.chars().count() > 200 => "is longer than 200 characters",
            _ => return,
        };
        self.reader.problem(Problem::new(
            place,
            format!("the {what}'s name `{}` {wrong}", cut(name)),
        ));
    }

    pub(super) fn function(&mut self, at: usize, steps: &Nested<'n>, key: &Key, node: &'n Node) {
        let mut inside = Inside {
            function: at,
            scope: Scope::default(),
            returns: false,
            loops: 0,
        };
        self.reader.visible.clear();
        let triggers = meant(node, "triggers").map(|(_, of)| &of.content);
        let webhooks = match triggers {
            Some(Content::List(nodes)) => nodes.iter().find_map(|node| node.member("webhook")),
            _ => None,
        };
        let sent = members(webhooks.and_then(|(_, webhook)| meant(webhook, "outputs")));
        let given = members(meant(node, "inputs"));
        for (key, _) in given.iter().chain(sent) {
            self.made(&mut inside, Name::new(key.text.clone()), key.place);
        }
        self.block(&mut inside, steps, "");
        let function = &self.functions[at];
        if !function.outputs.is_empty() && !inside.returns {
            let names: Vec<&str> = function.outputs.iter().map(|o| &*o.name.text).collect();
            let message = format!(
                "the function `{}` declares outputs and never returns them",
                function.name
            );
            let problem = Problem::new(key.place, message)
                .help(format!("end it with `return`, giving {}", listed(&names)));
            self.reader.problem(problem);
        }
        self.scopes.push(inside.scope);
    }
}

/// The value of a default that is written with its type, or the default itself.
fn last(node: &Node) -> &Node {
    node.member("default").map_or(node, |(_, node)| node)
}
