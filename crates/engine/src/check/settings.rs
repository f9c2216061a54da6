//! Settings of a step: its kind's, and those that every step has.

use serde_json::{Map, Value as Json};

use super::{COMMON, Checker, OF_EFFECTS};
use crate::document::{Key, Node};
use crate::kind::Kind;
use crate::problem::Problem;
use crate::read::{cut, listed, lower};

impl<'n> Checker<'n> {
    /// Reads a step's settings: its kind's, and those that every step has.
    pub(super) fn settings(
        &mut self,
        kind: &'static Kind,
        node: &'n Node,
        main: Option<&'n Node>,
        rest: &'n [(Key, Node)],
    ) -> Option<(Map<String, Json>, Map<String, Json>)> {
        let schema = self.variant(kind, node, rest)?;
        let properties = schema["properties"].as_object();
        let own = |name: &str| properties.and_then(|map| map.get(name));
        let (mut settings, mut common) = (Map::new(), Map::new());
        match (main, own(kind.main)) {
            (Some(main), Some(schema)) => {
                settings.insert(kind.main.into(), self.reader.read(schema, main, kind.name));
            }
            (Some(main), None) => {
                let message = format!("`{}` takes no value", kind.name);
                self.reader
                    .problem(Problem::new(main.place, message).help("write the bare word"));
            }
            (None, _) => {}
        }
        for (key, value) in rest {
            let known = own(&key.text).filter(|_| &*key.text != kind.main);
            let name = match known.or_else(|| COMMON["properties"].get(&*key.text)) {
                Some(_) => &*key.text,
                // What is misspelt is read as what was meant, so that it is the only problem.
                None => match self.unknown(kind, key, properties) {
                    Some(near) if node.member(near).is_none() => near,
                    _ => continue,
                },
            };
            if let Some(schema) = own(name) {
                settings.insert(name.into(), self.reader.read(schema, value, name));
            } else {
                let schema = &COMMON["properties"][name];
                common.insert(name.into(), self.reader.read(schema, value, name));
            }
        }
        self.beneath(kind, main, properties, &mut settings);
        if let Some(main) = main {
            self.reader.named(properties, main, &mut settings);
            self.reader.changed(kind, main, properties, &settings);
        }
        if main.is_none() && required(schema, kind.main) {
            let about = own(kind.main)
                .and_then(|schema| schema["description"].as_str())
                .unwrap_or("");
            let about = about.lines().next().unwrap_or("").trim_end_matches('.');
            let message = format!("`{}` has no value", kind.name);
            let help = format!("write after the colon: {}", lower(about));
            self.reader
                .problem(Problem::new(node.head(), message).help(help));
            settings.insert(kind.main.into(), Json::Null);
        }
        self.reader
            .lacking(schema, &settings, node.head(), kind.name);
        Some((settings, common))
    }

    /// Notes settings that stand under a step's kind instead of beside it.
    fn beneath(
        &mut self,
        kind: &Kind,
        main: Option<&'n Node>,
        properties: Option<&'static Map<String, Json>>,
        settings: &mut Map<String, Json>,
    ) {
        let blocks = properties
            .into_iter()
            .flatten()
            .filter(|(name, schema)| schema["x-field"] == "block" && !settings.contains_key(*name));
        let found: Vec<_> = blocks
            .filter_map(|(name, schema)| Some((main?.member(name)?, schema)))
            .collect();
        for ((key, value), schema) in found {
            let message = format!("`{}` stands under `{}`", key.text, kind.name);
            let help = format!(
                "it belongs beside it: indent it like `{}`, and write after `{}:` only its value",
                kind.name, kind.name
            );
            // What is read of its value by mistake is no further problem.
            self.reader
                .problems
                .retain(|problem| main.is_none_or(|main| problem.place != main.place));
            self.reader
                .problem(Problem::new(key.place, message).help(help));
            settings.insert(
                key.text.to_string(),
                self.reader.read(schema, value, &key.text),
            );
        }
    }

    /// The schema of a kind's settings; where the kind has actions, that of the action chosen.
    pub(super) fn variant(
        &mut self,
        kind: &'static Kind,
        node: &Node,
        rest: &'n [(Key, Node)],
    ) -> Option<&'static Json> {
        let schema = kind.schema();
        let Some(variants) = schema.get("oneOf").and_then(Json::as_array) else {
            return Some(schema);
        };
        let tag = |variant: &'static Json| {
            let properties = variant["properties"].as_object()?;
            properties
                .iter()
                .find_map(|(name, p)| Some((name.as_str(), p["const"].as_str()?)))
        };
        let tags: Vec<(&str, &str)> = variants.iter().filter_map(tag).collect();
        let name = tags.first()?.0;
        let words: Vec<&str> = tags.iter().map(|(_, word)| *word).collect();
        let Some((_, chosen)) = rest.iter().find(|(key, _)| &*key.text == name) else {
            let message = format!("`{}` lacks `{name}`", kind.name);
            let problem = Problem::new(node.head(), message);
            self.reader
                .problem(problem.help(format!("it is one of {}", listed(&words))));
            return None;
        };
        let word = chosen.value().to_string();
        match tags.iter().position(|(_, known)| *known == word) {
            Some(at) => variants.get(at),
            None => {
                let message = format!("`{}` has no {name} `{}`", kind.name, cut(&word));
                let problem = Problem::new(chosen.place, message);
                let problem = problem.did_you_mean(&word, words.iter().copied());
                let all = format!("it is one of {}", listed(&words));
                let helped = problem.help.is_some();
                self.reader
                    .problem(if helped { problem } else { problem.help(all) });
                None
            }
        }
    }

    /// Notes a setting that a step does not have, and gives the one that was meant, if one is near.
    pub(super) fn unknown(
        &mut self,
        kind: &Kind,
        key: &Key,
        properties: Option<&'static Map<String, Json>>,
    ) -> Option<&'static str> {
        if self.kinds.iter().any(|other| other.name == &*key.text) {
            let message = format!(
                "a step has one kind, and this `{}` is also a `{}`",
                kind.name, key.text
            );
            let problem = Problem::new(key.place, message);
            self.reader
                .problem(problem.help("begin a new step with a dash of its own"));
            return None;
        }
        let names = |map: Option<&'static Map<String, Json>>| {
            map.into_iter()
                .flat_map(|map| map.keys().map(String::as_str))
        };
        let own = names(properties).filter(|name| *name != kind.main);
        let common = names(COMMON["properties"].as_object());
        let common = common.filter(|name| kind.effect || !OF_EFFECTS.contains(name));
        let all = own.chain(common);
        self.reader.unknown(key, kind.name, all)
    }
}

fn required(schema: &Json, name: &str) -> bool {
    schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|required| required == name)
}
