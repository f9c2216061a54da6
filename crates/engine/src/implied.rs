//! The variables that a step makes or changes because of what its main setting is.

use serde_json::{Map, Value as Json};

use crate::document::{Content, Node};
use crate::kind::Kind;
use crate::problem::Problem;
use crate::read::{Mark, Reader, Role};

impl<'n> Reader<'n> {
    /// Names the variables that a step makes without being told how: after the variable that is its
    /// main setting, with the schema's `x-default` behind it.
    pub(crate) fn named(
        &mut self,
        properties: Option<&Map<String, Json>>,
        main: &'n Node,
        settings: &mut Map<String, Json>,
    ) {
        if matches!(main.content, Content::Record(_)) {
            return;
        }
        let text = main.as_text().map_or("", |text| text.trim());
        let exact = self.visible.get_key_value(text);
        let variable = exact
            .or_else(|| self.visible.iter().find(|(_, key)| &***key == text))
            .map(|(name, _)| name.clone());
        for (setting, schema) in properties.into_iter().flatten() {
            let Some(word) = schema["x-default"].as_str() else {
                continue;
            };
            if settings.contains_key(setting) {
                continue;
            }
            let name = match &variable {
                Some(variable) => format!("{variable} {word}"),
                None => word.to_owned(),
            };
            settings.insert(setting.clone(), name.as_str().into());
            self.marks.push(Mark {
                role: Role::Make,
                name: name.into(),
                place: main.place,
                given: None,
            });
        }
    }

    /// Notes the variable that a step changes: the one that its main setting is, where the schema has
    /// `x-changes` and the setting named there is not given.
    pub(crate) fn changed(
        &mut self,
        kind: &Kind,
        main: &'n Node,
        properties: Option<&Map<String, Json>>,
        settings: &Map<String, Json>,
    ) {
        let schema = properties.and_then(|map| map.get(kind.main));
        let Some(into) = schema.and_then(|schema| schema["x-changes"].as_str()) else {
            return;
        };
        let at = settings.get(kind.main).and_then(Json::as_u64);
        let Some((template, _)) = at.and_then(|at| self.inputs.get(at as usize)) else {
            return;
        };
        if settings.contains_key(into) {
            return;
        }
        let Some(key) = template.as_variable() else {
            return self.unchangeable(kind, main, into);
        };
        let known = self.visible.iter().find(|(_, known)| *known == key);
        self.marks.extend(known.map(|(name, _)| Mark {
            role: Role::Make,
            name: name.clone(),
            place: main.place,
            given: None,
        }));
    }

    fn unchangeable(&mut self, kind: &Kind, main: &Node, into: &str) {
        let text = main.as_text().map_or("", |text| text.trim());
        let help = match self.visible.get(text) {
            Some(key) => format!("write the variable as `\"{{{{ {key} }}}}\"`"),
            None => format!("name a variable for the changed value with `{into}`"),
        };
        let message = format!("this `{}` changes a variable, and here is none", kind.name);
        self.problem(Problem::new(main.place, message).help(help));
    }
}
