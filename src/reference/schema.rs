//! The JSON Schema of program files, for editors.

use engine::kind::{Kind, schema_of};
use engine::program::{Common, Document};
use serde_json::{Map, Value as Json, json};
use steps::KINDS;

/// The JSON Schema (draft 2020-12) of a program file.
pub fn schema() -> String {
    let mut document = written(&schema_of::<Document>());
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    document["title"] = "Waystation program".into();
    let kinds: Vec<Json> = KINDS.iter().map(kind).collect();
    document["$defs"] = json!({
        "steps": { "type": "array", "items": { "$ref": "#/$defs/step" } },
        "step": { "anyOf": kinds },
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// The schema of a step of a kind.
pub(super) fn kind(kind: &Kind) -> Json {
    let schema = kind.schema();
    let mut ways: Vec<Json> = match schema["oneOf"].as_array() {
        Some(variants) => variants.iter().map(|variant| step(kind, variant)).collect(),
        None => vec![step(kind, schema)],
    };
    let bare =
        schema["required"].as_array().is_none_or(Vec::is_empty) && schema.get("oneOf").is_none();
    if bare {
        ways.push(json!({ "const": kind.name }));
    }
    match ways.len() {
        1 => ways.remove(0),
        _ => json!({ "anyOf": ways }),
    }
}

/// The main setting stands under the kind's name, the others and those of every step beside it.
fn step(kind: &Kind, settings: &Json) -> Json {
    let mut properties = Map::new();
    let empty = Map::new();
    let own = settings["properties"].as_object().unwrap_or(&empty);
    let mut main = own
        .get(kind.main)
        .map_or(json!({ "type": "null" }), written);
    main["description"] = settings["description"]
        .as_str()
        .or(kind.schema()["description"].as_str())
        .into();
    properties.insert(kind.name.to_owned(), main);
    let others = own.iter().filter(|(name, _)| *name != kind.main);
    properties.extend(others.map(|(name, setting)| (name.clone(), written(setting))));
    let common = schema_of::<Common>();
    for (name, setting) in common["properties"].as_object().into_iter().flatten() {
        properties
            .entry(name.clone())
            .or_insert_with(|| written(setting));
    }
    let mut required = vec![json!(kind.name)];
    let needed = settings["required"].as_array().into_iter().flatten();
    required.extend(needed.filter(|name| *name != kind.main).cloned());
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A schema of ours as plain JSON Schema.
fn written(schema: &Json) -> Json {
    let mut plain = if let Some(field) = schema["x-field"].as_str() {
        of_field(field, schema["x-type"].as_str().unwrap_or_default())
    } else if schema.get("x-pairs").is_some() {
        json!({ "type": "object", "additionalProperties": written(&schema["additionalProperties"]) })
    } else {
        return nested(schema);
    };
    if let Some(about) = schema.get("description") {
        plain["description"] = about.clone();
    }
    plain
}

fn of_field(field: &str, of: &str) -> Json {
    match (field, of) {
        ("input", "list") => json!({ "type": ["array", "string"] }),
        ("input", "record") => json!({ "type": ["object", "string"] }),
        ("input", "number" | "whole number" | "date" | "duration") | ("time", _) => {
            json!({ "type": ["number", "string"] })
        }
        ("input", "condition") => json!({ "type": ["boolean", "number", "string"] }),
        ("input", "text") => json!({ "type": ["string", "number", "boolean", "null"] }),
        ("block", _) => json!({ "$ref": "#/$defs/steps" }),
        ("kept" | "shown" | "packages", _) => {
            json!({ "type": ["array", "string"], "items": { "type": "string" } })
        }
        ("output" | "code" | "function", _) => json!({ "type": "string" }),
        _ => json!({}),
    }
}

/// The word that a choice may be written as: the name of its one member, where that needs no settings.
fn bare(variant: &Json) -> Option<Json> {
    let members = variant["properties"].as_object()?;
    let (name, settings) = members.iter().next().filter(|_| members.len() == 1)?;
    let needs = settings["required"]
        .as_array()
        .is_some_and(|all| !all.is_empty());
    (settings["type"] == "object" && !needs).then(|| json!({ "const": name }))
}

/// Schemas inside a schema, each as plain JSON Schema.
fn nested(schema: &Json) -> Json {
    match schema {
        Json::Object(members) => {
            let plain = members.iter().filter(|(name, _)| !name.starts_with("x-"));
            let plain = plain.map(|(name, member)| {
                (
                    name.clone(),
                    if name == "default" {
                        member.clone()
                    } else {
                        written(member)
                    },
                )
            });
            let mut plain: Map<String, Json> = plain.collect();
            // A text may be written as a number in YAML.
            if plain.get("type").is_some_and(|of| of == "string") {
                plain.insert("type".to_owned(), json!(["string", "number"]));
            }
            if let Some(Json::Array(variants)) = plain.get_mut("oneOf") {
                let words: Vec<Json> = variants.iter().filter_map(bare).collect();
                variants.extend(words);
            }
            Json::Object(plain)
        }
        Json::Array(items) => items.iter().map(written).collect(),
        other => other.clone(),
    }
}
