//! The variables of a function as checking sees them: which are made where, and which are used.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::language::RESERVED;
use crate::problem::{Place, Problem, nearest};
use crate::read::cut;
use crate::variables::Name;

/// The variables of a function.
#[derive(Default)]
pub(crate) struct Scope {
    made: IndexMap<Arc<str>, Made>,
    used: Vec<Used>,
    opened: Option<Spot>,
    loops: Vec<usize>,
    count: usize,
    number: usize,
}

struct Made {
    text: Arc<str>,
    spots: Vec<Spot>,
}

struct Used {
    key: Arc<str>,
    place: Place,
    spot: Spot,
}

/// A moment in the order of a program: a count, and the loops it stands in.
#[derive(Clone)]
struct Spot {
    count: usize,
    loops: Vec<usize>,
}

impl Spot {
    /// Whether what happens here may have happened before `other`: earlier in the text, or later in a
    /// loop that both stand in.
    fn reaches(&self, other: &Spot) -> bool {
        self.count < other.count || self.loops.iter().any(|inside| other.loops.contains(inside))
    }
}

impl Scope {
    fn spot(&mut self) -> Spot {
        self.count += 1;
        Spot {
            count: self.count,
            loops: self.loops.clone(),
        }
    }

    /// A loop's steps begin.
    pub fn enter(&mut self) {
        self.count += 1;
        self.loops.push(self.count);
    }

    /// A loop's steps end.
    pub fn leave(&mut self) {
        self.loops.pop();
    }

    /// Steps inside a step begin: their numbers start anew.
    pub fn begin(&mut self) -> usize {
        std::mem::take(&mut self.number)
    }

    /// Steps inside a step end.
    pub fn end(&mut self, number: usize) {
        self.number = number;
    }

    /// The number of the next step: consecutive within the step `above`, over all its blocks.
    pub fn number(&mut self, above: &str) -> String {
        self.number += 1;
        match above {
            "" => self.number.to_string(),
            above => format!("{above}.{}", self.number),
        }
    }

    /// A variable is made. Gives a problem if its name cannot stand beside the others.
    pub fn made(&mut self, name: &Name, place: Place) -> Option<Problem> {
        let spot = self.spot();
        if RESERVED.contains(&&*name.key) {
            let message = format!(
                "`{}` is a word of expressions, so no variable can have this name",
                name.text
            );
            return Some(Problem::new(place, message).help("choose another name"));
        }
        match self.made.get_mut(&name.key) {
            Some(made) if made.text != name.text => {
                let message = format!(
                    "the variables `{}` and `{}` are both `{}` in expressions",
                    made.text,
                    cut(&name.text),
                    name.key
                );
                return Some(Problem::new(place, message).help("give one of them another name"));
            }
            Some(made) => made.spots.push(spot),
            None => {
                let made = Made {
                    text: name.text.clone(),
                    spots: vec![spot],
                };
                self.made.insert(name.key.clone(), made);
            }
        }
        None
    }

    /// A variable is read.
    pub fn used(&mut self, key: Arc<str>, place: Place) {
        let spot = self.spot();
        self.used.push(Used { key, place, spot });
    }

    /// A step may make variables that cannot be known.
    pub fn opened(&mut self) {
        let spot = self.spot();
        self.opened.get_or_insert(spot);
    }

    /// The uses of variables that cannot have been made before.
    pub fn problems(&self) -> Vec<Problem> {
        self.used
            .iter()
            .filter_map(|used| self.unmade(used))
            .collect()
    }

    fn unmade(&self, used: &Used) -> Option<Problem> {
        if self
            .opened
            .as_ref()
            .is_some_and(|opened| opened.reaches(&used.spot))
        {
            return None;
        }
        let made = self.made.get(&used.key);
        if made.is_some_and(|made| made.spots.iter().any(|spot| spot.reaches(&used.spot))) {
            return None;
        }
        let problem = Problem::new(
            used.place,
            format!("there is no variable `{}`", cut(&used.key)),
        );
        if made.is_some() {
            return Some(problem.help("it is made only by a later step"));
        }
        let near = nearest(&used.key, self.made.keys().map(|key| &**key));
        Some(match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => match &self.made.keys().map(|key| &**key).collect::<Vec<_>>()[..] {
                [] => problem.help("no variable has been made before this step"),
                _ => problem.help("a step before this one must make it"),
            },
        })
    }
}

/// The variables that code makes by `outputs["name"] = …`, and whether that is all it can make.
pub(crate) fn outputs_in(code: &str) -> (Vec<&str>, bool) {
    let (mut names, mut all) = (Vec::new(), true);
    for (at, _) in code.match_indices("outputs") {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if code[..at].ends_with(word) || code[at + 7..].starts_with(word) {
            continue;
        }
        let rest = code[at + 7..].trim_start();
        let name = rest
            .strip_prefix('[')
            .map(str::trim_start)
            .and_then(|rest| {
                let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
                let (name, rest) = rest[1..].split_once(quote)?;
                let plain = !name.contains(['\\', '\n']) && rest.trim_start().starts_with(']');
                plain.then_some(name)
            });
        match name {
            Some(name) if !names.contains(&name) => names.push(name),
            Some(_) => {}
            None => all = false,
        }
    }
    (names, all)
}
