//! The variables of a function as checking sees them: which are made where, and which are used.

use std::collections::HashSet;
use std::ops::Range;
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
    skipped: HashSet<Arc<str>>,
    used: Vec<Used>,
    opened: Option<Spot>,
    loops: Vec<usize>,
    count: usize,
    number: usize,
}

struct Made {
    text: Arc<str>,
    /// Where it is made first.
    place: Place,
    /// When.
    first: Spot,
    /// The loops it is made in.
    loops: HashSet<usize>,
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
            Some(made) => made.loops.extend(spot.loops),
            None => {
                let made = Made {
                    text: name.text.clone(),
                    place,
                    loops: spot.loops.iter().copied().collect(),
                    first: spot,
                };
                self.made.insert(name.key.clone(), made);
            }
        }
        None
    }

    /// A variable would be made by a step that is skipped.
    pub fn skipped(&mut self, name: Name) {
        self.skipped.insert(name.key);
    }

    /// Whether a variable is made anywhere.
    pub fn makes(&self, key: &str) -> bool {
        self.made.contains_key(key)
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

    /// The uses of variables that cannot have been made before. `line` tells the line of a byte,
    /// `elsewhere` a function that makes a variable.
    pub fn problems<'s>(
        &'s self,
        line: &'s dyn Fn(usize) -> usize,
        elsewhere: &'s dyn Fn(&str) -> Option<Arc<str>>,
    ) -> impl Iterator<Item = Problem> + 's {
        let unmade = |used: &&Used| !self.reached(used);
        self.used
            .iter()
            .filter(unmade)
            .map(move |used| self.unmade(used, line, elsewhere))
    }

    fn reached(&self, used: &Used) -> bool {
        let opened = self.opened.as_ref();
        let in_loop = |made: &Made| used.spot.loops.iter().any(|of| made.loops.contains(of));
        let made = |made: &Made| made.first.count < used.spot.count || in_loop(made);
        opened.is_some_and(|opened| opened.reaches(&used.spot))
            || self.made.get(&used.key).is_some_and(made)
    }

    fn unmade(
        &self,
        used: &Used,
        line: &dyn Fn(usize) -> usize,
        elsewhere: &dyn Fn(&str) -> Option<Arc<str>>,
    ) -> Problem {
        let key = cut(&used.key);
        if let Some(made) = self.made.get(&used.key) {
            let message = format!("the variable `{key}` is used before it is made");
            let (at, made) = (line(used.place.start), line(made.place.start));
            return Problem::new(used.place, message).help(match at == made {
                true => "give it a value in a step before this one".to_owned(),
                false => format!("it is made on line {made}"),
            });
        }
        let problem = Problem::new(used.place, format!("there is no variable `{key}`"));
        if self.skipped.contains(&used.key) {
            return problem.help("the step that makes it is disabled");
        }
        let near = nearest(&used.key, self.made.keys().map(|key| &**key));
        if let Some(near) = near {
            return problem.help(format!("did you mean `{near}`?"));
        }
        match elsewhere(&used.key) {
            Some(function) => problem.help(format!(
                "`{}` makes one, and a function sees only its own; hand it over as an input",
                cut(&function)
            )),
            None => problem.help("a step before this one must make it"),
        }
    }
}

/// The variables that code makes by `outputs["name"] = …` or `outputs.name = …`, as ranges of the code, and
/// whether that is all it can make. Of a shell script it is known only whether it makes any.
pub(crate) fn outputs_in(code: &str) -> (Vec<Range<usize>>, bool) {
    const SHELL: [&str; 4] = [">&3", "/dev/fd/3", "$OUTPUTS", "${OUTPUTS}"];
    let (mut names, mut all) = (Vec::new(), !SHELL.iter().any(|way| code.contains(way)));
    for (at, _) in code.match_indices("outputs") {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if code[..at].ends_with(word) || code[at + 7..].starts_with(word) {
            continue;
        }
        match subscript(&code[at + 7..]).or_else(|| member(&code[at + 7..])) {
            Some(name) => names.push(at + 7 + name.start..at + 7 + name.end),
            None => all = false,
        }
    }
    (names, all)
}

/// The name after a dot with which code goes on, where something is assigned to it, as a range of it.
fn member(code: &str) -> Option<Range<usize>> {
    let name = code.strip_prefix('.')?;
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let end = name.find(|c| !word(c))?;
    let assigned = name[end..].trim_start().strip_prefix('=')?;
    (end > 0 && !assigned.starts_with(['=', '>'])).then_some(1..1 + end)
}

/// The plain text between brackets with which code goes on, as a range of it.
fn subscript(code: &str) -> Option<Range<usize>> {
    let inside = code.trim_start().strip_prefix('[')?.trim_start();
    let quote = inside.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let start = code.len() - inside.len() + 1;
    let (name, rest) = inside[1..].split_once(quote)?;
    let plain = !name.contains(['\\', '\n']) && rest.trim_start().starts_with(']');
    plain.then_some(start..start + name.len())
}
