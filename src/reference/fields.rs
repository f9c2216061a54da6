//! Settings in words.

use std::fmt::Write;

use serde_json::Value as Json;

/// The doc comment of a type or setting.
pub(super) fn about(schema: &Json) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// Its first sentence, as the first paragraph, on one line.
pub(super) fn summary(schema: &Json) -> String {
    let first = about(schema).split("\n\n").next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The actions of a kind that has them: the setting that tells them apart, then each with its word.
pub(super) fn variants(schema: &Json) -> Option<(&str, Vec<(&str, &Json)>)> {
    let mut tag = "";
    let mut found = Vec::new();
    for variant in schema["oneOf"].as_array()? {
        let (name, word) = variant["properties"]
            .as_object()?
            .iter()
            .find_map(|(name, setting)| Some((name, setting["const"].as_str()?)))?;
        tag = name;
        found.push((word, variant));
    }
    Some((tag, found))
}

/// A line for every setting, the main one first; the one that tells actions apart is left out.
pub(super) fn list(schema: &Json, main: &str) -> String {
    let Some(settings) = schema["properties"].as_object() else {
        return String::new();
    };
    let mut names: Vec<&String> = settings
        .keys()
        .filter(|name| settings[*name].get("const").is_none())
        .collect();
    names.sort_by_key(|name| *name != main);
    let mut text = String::new();
    for name in names {
        let setting = &settings[name];
        let required = schema["required"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == name));
        let need = if required { "" } else { ", optional" };
        let about = about(setting)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let _ = writeln!(text, "* `{name}` ({}{need}): {about}", takes(setting));
    }
    text
}

/// What a setting takes, in words.
fn takes(setting: &Json) -> String {
    if let Some(ways) = setting["anyOf"].as_array() {
        let ways: Vec<String> = ways
            .iter()
            .map(takes)
            .filter(|way| !way.is_empty())
            .collect();
        return ways.join(" or ");
    }
    if let Some(field) = setting["x-field"].as_str() {
        return match field {
            "input" => setting["x-type"].as_str().unwrap_or_default(),
            "output" => "variable name",
            "block" => "steps",
            "function" => "function name",
            "kept" | "shown" => "list of names",
            "packages" => "list of packages",
            "time" => "length of time",
            "literal" => "any value",
            other => other,
        }
        .to_owned();
    }
    if setting.get("x-pairs").is_some() {
        return format!("record of {}s", takes(&setting["additionalProperties"]));
    }
    if let Some(words) = setting["enum"].as_array().or(setting["oneOf"].as_array()) {
        let word = |word: &Json| {
            word.as_str()
                .or(word["const"].as_str())
                .map(|word| format!("`{word}`"))
        };
        return words.iter().filter_map(word).collect::<Vec<_>>().join(", ");
    }
    plain(setting)
}

fn plain(setting: &Json) -> String {
    let kind = match &setting["type"] {
        Json::Array(kinds) => kinds
            .iter()
            .filter_map(Json::as_str)
            .find(|kind| *kind != "null"),
        kind => kind.as_str(),
    };
    match kind {
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("number") => "number".to_owned(),
        Some("string") => "text".to_owned(),
        Some("array") => {
            let members = setting["items"]["properties"].as_object();
            let names = members.map(|members| {
                members
                    .keys()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
            });
            names.map_or_else(
                || "list".to_owned(),
                |names| format!("list of records with {}", names.join(" and ")),
            )
        }
        Some("object") => "record".to_owned(),
        _ => String::new(),
    }
}
