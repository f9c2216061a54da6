//! Steps: their kinds, their order, their numbers.

use serde_json::Value as Json;

use super::{Checker, Inside, MAX_STEPS, OF_EFFECTS, Parts};
use crate::document::{Content, Node};
use crate::kind::{Control, Kind};
use crate::plan::Planned;
use crate::problem::Problem;
use crate::program::Common;
use crate::read::{Nested, Role, cut, listed};
use crate::retry::OnLost;

impl<'n> Checker<'n> {
    pub(super) fn block(&mut self, inside: &mut Inside, nested: &Nested<'n>, above: &str) {
        let Content::List(nodes) = &nested.node.content else {
            return;
        };
        if nested.repeats {
            inside.loops += 1;
            inside.scope.enter();
        }
        for node in nodes {
            let number = inside.scope.number(above);
            self.steps += 1;
            if self.steps == MAX_STEPS + 1 {
                let message = format!("the program has more than {MAX_STEPS} steps");
                self.reader.problem(Problem::new(node.head(), message));
            }
            if self.steps > MAX_STEPS {
                break;
            }
            if let Some(planned) = self.step(inside, node, &number) {
                self.blocks[nested.at].push(planned);
            }
        }
        if nested.repeats {
            inside.loops -= 1;
            inside.scope.leave();
        }
    }

    fn step(&mut self, inside: &mut Inside, node: &'n Node, number: &str) -> Option<Planned> {
        let (kind, main, rest) = self.kind(node)?;
        let before = self.reader.problems.len();
        let (settings, common) = self.settings(kind, node, main, rest)?;
        let marks = std::mem::take(&mut self.reader.marks);
        let nested = std::mem::take(&mut self.reader.nested);
        let packages = std::mem::take(&mut self.reader.packages);
        self.blocks.resize_with(self.reader.blocks, Vec::new);
        let common = serde_json::from_value::<Common>(Json::Object(common)).unwrap_or_default();
        self.identity(&common, node);
        if !common.disabled && !packages.is_empty() {
            self.packages.insert(packages);
        }
        let whole = self.reader.problems.len() == before;
        let shows = self.names(inside, &marks, common.disabled);
        self.order(inside, kind, node);
        self.effects(kind, &common, node);
        if whole {
            self.returned(inside, kind, &marks, node);
        }
        let returns = inside.returns;
        inside.returns |= kind.control == Control::Returns;
        let numbers = inside.scope.begin();
        for nested in &nested {
            self.block(inside, nested, number);
        }
        inside.scope.end(numbers);
        if common.disabled {
            inside.returns = returns;
        }
        if self.reader.problems.len() > before {
            return None;
        }
        let step = match kind.parse(Json::Object(settings)) {
            Ok(step) => step,
            // What could not be read at all is a problem already.
            Err(_) if !self.reader.problems.is_empty() => return None,
            Err(message) => {
                self.reader.problem(Problem::new(node.head(), message));
                return None;
            }
        };
        let (line, column) = self.position(node.head().start);
        let code_line = marks
            .iter()
            .find(|mark| mark.role == Role::Code)
            .map(|mark| {
                let raw = &self.reader.source.text[mark.place.start..];
                let below = usize::from(raw.starts_with(['|', '>']));
                self.position(mark.place.start).0 + below
            });
        let timeout = common.timeout.map(|time| time.0);
        let number = number.into();
        Some(Planned {
            number,
            kind,
            line,
            column,
            code_line,
            common,
            timeout,
            shows,
            step,
        })
    }

    /// The line and column of a byte, as [`Source::position`] gives them.
    pub(super) fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= byte);
        (line, self.reader.source.column(self.lines[line - 1], byte))
    }

    /// The kind of a step, the value under its name, and its other settings.
    pub(super) fn kind(&mut self, node: &'n Node) -> Option<Parts<'n>> {
        let kinds = self.kinds;
        let find = |name: &str| kinds.iter().find(|kind| kind.name == name);
        let (name, place, main, rest) = match &node.content {
            Content::Text(word) => (word, node.place, None, &[][..]),
            Content::Record(members) if !members.is_empty() => {
                let (key, value) = &members[0];
                (&key.text, key.place, Some(value), &members[1..])
            }
            Content::Broken => return None,
            _ => {
                let message = format!(
                    "a step is a record that begins with its kind, and this is {}",
                    node.described()
                );
                self.reader
                    .problem(Problem::new(node.head(), message).help("such as `print: Hello`"));
                return None;
            }
        };
        if let Some(kind) = find(name) {
            let main = main.filter(|main| !matches!(main.content, Content::Nothing));
            return Some((kind, main, rest));
        }
        let later = rest.iter().find(|(key, _)| find(&key.text).is_some());
        let problem = match later {
            Some((key, _)) => {
                let message = format!(
                    "a step begins with its kind, and this one with `{}`",
                    cut(name)
                );
                Problem::new(place, message).help(format!("write `{}` first", key.text))
            }
            None => Problem::new(place, format!("`{}` is not a kind of step", cut(name)))
                .did_you_mean(name, kinds.iter().map(|kind| kind.name)),
        };
        let colon = name
            .split_once(':')
            .filter(|(kind, _)| find(kind).is_some());
        let has = |kind: &&Kind| kind.schema()["properties"].get(&**name).is_some();
        let owners: Vec<&str> = kinds.iter().filter(has).map(|kind| kind.name).collect();
        self.reader
            .problem_or(problem, || match (colon, &owners[..]) {
                (Some((kind, value)), _) => {
                    format!("write a blank after the colon: `{kind}: {value}`")
                }
                (None, []) => "`waystation steps` lists the kinds".to_owned(),
                (None, owners) => {
                    format!("it is a setting of {}, in the same step", listed(owners))
                }
            });
        None
    }

    fn identity(&mut self, common: &Common, node: &Node) {
        let Some(id) = &common.id else { return };
        let place = node.member("id").map_or(node.head(), |(_, id)| id.place);
        match self.ids.get(id.as_str()) {
            None => {
                self.ids.insert(id.as_str().into(), place);
            }
            Some(first) => {
                let line = self.position(first.start).0;
                let message = format!("two steps have the id `{}`", cut(id));
                let help = format!("the other one stands on line {line}; give each its own");
                self.reader.problem(Problem::new(place, message).help(help));
            }
        }
    }

    /// Checks that what only a step with an effect can have does not stand elsewhere.
    fn effects(&mut self, kind: &Kind, common: &Common, node: &Node) {
        let given = OF_EFFECTS.iter().filter(|name| node.member(name).is_some());
        for name in given.filter(|_| !kind.effect) {
            let place = node.member(name).map_or(node.head(), |(key, _)| key.place);
            let message = format!(
                "`{name}` is for steps that do something outside of the run, and `{}` does not",
                kind.name
            );
            let with = self
                .kinds
                .iter()
                .filter(|kind| kind.effect)
                .map(|kind| kind.name);
            let help = format!("{} can have it", listed(&with.collect::<Vec<_>>()));
            self.reader.problem(Problem::new(place, message).help(help));
        }
        let clash = match () {
            () if !common.once || !kind.effect => None,
            () if common.retry.is_some() => Some("retry"),
            () if common.on_lost == Some(OnLost::Retry) => Some("on_lost"),
            () => None,
        };
        if let Some(name) = clash {
            let place = node.member(name).map_or(node.head(), |(key, _)| key.place);
            let message =
                format!("a step with `once` is never done again, and this one has `{name}`");
            let help = format!("leave out `once` or `{name}`");
            self.reader.problem(Problem::new(place, message).help(help));
        }
    }

    /// Checks that a step may stand where it does.
    fn order(&mut self, inside: &Inside, kind: &Kind, node: &Node) {
        if kind.control == Control::Leaves && inside.loops == 0 {
            let message = format!("`{}` stands outside of a loop", kind.name);
            let problem = Problem::new(node.head(), message);
            self.reader
                .problem(problem.help("it can stand in the steps of a `loop` or a `while`"));
        }
    }
}
