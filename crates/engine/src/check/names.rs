//! Names in a step: variables that it reads, makes and shows, functions that it calls.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexSet;

use super::{Checker, Inside};
use crate::document::Node;
use crate::kind::{Control, Kind};
use crate::plan::Parameter;
use crate::problem::{Place, Problem, nearest};
use crate::read::{Mark, Role, Written, cut, listed};
use crate::template::Template;
use crate::types::Type;
use crate::value::Value;
use crate::variables::Name;

impl<'n> Checker<'n> {
    /// Matches the names of a step with the variables and functions there are, and gives the
    /// variables it shows.
    pub(super) fn names(
        &mut self,
        inside: &mut Inside,
        marks: &[Mark],
        off: bool,
    ) -> Vec<(usize, Arc<str>)> {
        let mut made: IndexSet<Arc<str>> = IndexSet::new();
        let mut open = false;
        for mark in marks {
            match mark.role {
                Role::Use => inside.scope.used(mark.name.clone(), mark.place),
                Role::Make => {
                    made.insert(mark.name.clone());
                    self.made_if(inside, &mark.name, mark.place, !off);
                }
                Role::Code => open = self.code(inside, mark, &mut made, off),
                _ => {}
            }
        }
        self.called(marks);
        let mut shows = Vec::new();
        for mark in marks.iter().filter(|mark| mark.role == Role::Show) {
            if !open && !made.contains(&mark.name) {
                self.not_shown(mark, &made);
            }
            let name = Name::new(mark.name.clone());
            if open {
                self.made_if(inside, &name.text, mark.place, !off);
            }
            shows.push((self.shows.len(), name.key));
            self.shows.push(name.text);
        }
        shows
    }

    /// Notes the variables that code makes, and says whether it may make others.
    fn code(
        &mut self,
        inside: &mut Inside,
        mark: &Mark,
        made: &mut IndexSet<Arc<str>>,
        off: bool,
    ) -> bool {
        let (names, all) = crate::scope::outputs_in(&mark.name);
        let written = Written::new(&self.reader.source.text, mark.place, &mark.name);
        for range in names {
            let name = &mark.name[range.clone()];
            if made.insert(name.into()) {
                self.made_if(inside, &name.into(), written.place(range), !off);
            }
        }
        if !all && !off {
            inside.scope.opened();
        }
        !all
    }

    fn not_shown(&mut self, mark: &Mark, made: &IndexSet<Arc<str>>) {
        let name = cut(&mark.name);
        let message = format!("`{name}` is not made by this step, so it cannot show it");
        let made = || made.iter().map(|name| &**name);
        let problem = Problem::new(mark.place, message).did_you_mean(&mark.name, made());
        self.reader
            .problem_or(problem, || match &made().collect::<Vec<_>>()[..] {
                [] => "the step makes no variables; show it where it is made".to_owned(),
                made => format!("the step makes {}", listed(made)),
            });
    }

    /// Notes a variable that a step makes, or would make if it were not disabled.
    fn made_if(&mut self, inside: &mut Inside, name: &Arc<str>, place: Place, on: bool) {
        match on {
            true => self.made(inside, Name::new(name.clone()), place),
            false => inside.scope.skipped(Name::new(name.clone())),
        }
    }

    pub(super) fn made(&mut self, inside: &mut Inside, name: Name, place: Place) {
        self.name("variable", &name.text, place);
        if let Some(problem) = inside.scope.made(&name, place) {
            self.reader.problem(problem);
        }
        self.reader.visible.insert(name.text, name.key);
    }

    /// Checks a call of a function of this program: its inputs and outputs.
    fn called(&mut self, marks: &[Mark]) {
        let Some(call) = marks.iter().find(|mark| mark.role == Role::Function) else {
            return;
        };
        let Some(callee) = self.functions.get(&call.name) else {
            self.no_function(&call.name, call.place);
            return;
        };
        let (inputs, outputs) = (callee.inputs.clone(), callee.outputs.clone());
        let name = callee.name.clone();
        let missing = self.matched(&name, marks, Role::Argument, &inputs);
        for at in missing {
            let input = &inputs[at];
            if input.default.is_some() {
                continue;
            }
            let message = format!(
                "the function `{name}` needs its input `{}`",
                input.name.text
            );
            let help = format!("give it: `inputs: {{{}: …}}`", input.name.text);
            self.reader
                .problem(Problem::new(call.place, message).help(help));
        }
        self.matched(&name, marks, Role::Result, &outputs);
    }

    /// Matches the names of one role with what is declared: notes those that are not declared, and
    /// literals of another type. Gives which of the declared are missing, but for those that another
    /// name most likely stands for.
    fn matched(
        &mut self,
        function: &str,
        marks: &[Mark],
        role: Role,
        declared: &[Parameter],
    ) -> Vec<usize> {
        let (what, none) = match role {
            Role::Argument => ("input", "has no input"),
            Role::Return => ("output", "declares no output"),
            _ => ("output", "has no output"),
        };
        let known: HashMap<&str, usize> = declared
            .iter()
            .enumerate()
            .map(|(at, declared)| (&*declared.name.text, at))
            .collect();
        let names = || declared.iter().map(|declared| &*declared.name.text);
        let given = || marks.iter().filter(|mark| mark.role == role);
        let mut met: HashSet<usize> = given()
            .filter_map(|mark| known.get(&*mark.name).copied())
            .collect();
        for mark in given() {
            if let Some(at) = known.get(&*mark.name) {
                self.literal(what, mark, &declared[*at]);
                continue;
            }
            let near = nearest(&mark.name, names());
            if let Some(at) = near.and_then(|near| known.get(near)) {
                met.insert(*at);
            }
            let message = format!("the function `{function}` {none} `{}`", cut(&mark.name));
            let help = match (near, role) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, Role::Return) => {
                    format!("declare it: `outputs: {{{}: any}}`", cut(&mark.name))
                }
                (None, _) if declared.is_empty() => format!("it has no {what}s"),
                (None, _) => format!("it has {}", listed(&names().collect::<Vec<_>>())),
            };
            self.reader
                .problem(Problem::new(mark.place, message).help(help));
        }
        (0..declared.len()).filter(|at| !met.contains(at)).collect()
    }

    /// Checks what is given for something declared, as far as it is known before it is evaluated.
    fn literal(&mut self, what: &str, mark: &Mark, declared: &Parameter) {
        let Some((at, place)) = mark.given else {
            return;
        };
        let value = match self.reader.inputs.get(at) {
            Some((Template::Literal(value), _)) => value.clone(),
            Some((Template::Text(pieces), _)) if !pieces.is_empty() => Value::text("…"),
            Some((Template::List(_), _)) => Type::List.blank(),
            Some((Template::Record(_), _)) => Type::Record.blank(),
            _ => return,
        };
        let mixed = matches!(self.reader.inputs[at].0, Template::Text(_));
        let may_fit = mixed && declared.of == Type::Date;
        if !may_fit && declared.of.check(value.clone()).is_none() {
            let what = format!("the {what} `{}`", declared.name.text);
            self.unfit(&what, declared.of, &value, place);
        }
    }

    /// Checks a return against the outputs that its function declares.
    pub(super) fn returned(&mut self, inside: &Inside, kind: &Kind, marks: &[Mark], node: &Node) {
        if kind.control != Control::Returns {
            return;
        }
        let function = &self.functions[inside.function];
        let (name, outputs) = (function.name.clone(), function.outputs.clone());
        let missing = self.matched(&name, marks, Role::Return, &outputs);
        let missing: Vec<&str> = missing.iter().map(|at| &*outputs[*at].name.text).collect();
        if missing.is_empty() {
            return;
        }
        let given = marks.iter().any(|mark| mark.role == Role::Return);
        let message = match given {
            true => format!("this `return` leaves out {}", listed(&missing)),
            false => "this `return` gives no values".to_owned(),
        };
        let help = match given {
            true => "a return gives every output".to_owned(),
            false => format!("give {}", listed(&missing)),
        };
        self.reader
            .problem(Problem::new(node.head(), message).help(help));
    }
}
