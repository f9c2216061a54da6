//! What the server answers, as an OpenAPI document (version 3.1): generated from the operations that are routed and the types that
//! they answer with.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use super::v1::Problem;

/// Something that a server does when it is asked: one method of one address.
#[derive(Clone)]
pub struct Operation {
    /// The method, in lower case.
    pub method: &'static str,
    /// The address, with names of its variable parts in braces.
    pub path: &'static str,
    /// What clients may call it.
    pub id: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What it takes beside the variable parts of its address.
    pub takes: Vec<Takes>,
    /// The body that it takes, if it takes one: its types, and what it is.
    pub body: Option<(&'static [&'static str], Shape)>,
    /// Whether it wants an API key.
    pub keyed: bool,
    /// What it answers where all is well.
    pub gives: Vec<Gives>,
    /// The statuses of its other answers.
    pub refuses: &'static [u16],
}

/// A schema, made with the others.
pub type Shape = fn(&mut SchemaGenerator) -> Json;

/// A parameter.
#[derive(Clone)]
pub struct Takes {
    /// Its name.
    pub name: &'static str,
    /// Where it stands: `query` or `header`.
    pub place: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What it may be.
    pub schema: Json,
    /// Whether it must be there.
    pub required: bool,
}

/// An answer where all is well.
#[derive(Clone)]
pub struct Gives {
    /// Its status.
    pub status: u16,
    /// What it says.
    pub about: &'static str,
    /// Its bodies: the type of each, and what it is.
    pub bodies: Vec<(&'static str, Shape)>,
}

/// The schema of a type.
pub fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Json {
    schemas.subschema_for::<T>().to_value()
}

/// Any text.
pub fn text(_: &mut SchemaGenerator) -> Json {
    json!({ "type": "string" })
}

/// The document about some operations, each with what its errors look like: a type of body and its schema.
pub fn document<'a>(
    title: &str,
    operations: impl Iterator<Item = (&'a Operation, (&'static str, Shape))>,
) -> Json {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for (operation, error) in operations {
        let described = described(operation, error, &mut schemas);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

/// What is answered without a body, before it is looked at the address: the request cannot be read.
const BARE: [(u16, &str); 2] = [
    (414, "The address is longer than 65,534 bytes."),
    (431, "The headers are too many or too large."),
];

fn described(
    operation: &Operation,
    (kind, error): (&'static str, Shape),
    schemas: &mut SchemaGenerator,
) -> Json {
    let mut answers = Map::new();
    for Gives {
        status,
        about,
        bodies,
    } in &operation.gives
    {
        let mut content = Map::new();
        for (kind, shape) in bodies {
            content.insert((*kind).to_owned(), json!({ "schema": shape(schemas) }));
        }
        let mut answer = json!({ "description": about });
        if !content.is_empty() {
            answer["content"] = content.into();
        }
        answers.insert(status.to_string(), answer);
    }
    let keyed: &[u16] = if operation.keyed { &[401] } else { &[] };
    let refuses: BTreeSet<u16> = operation.refuses.iter().chain(keyed).copied().collect();
    for status in refuses {
        let reason = StatusCode::from_u16(status).ok();
        let reason = reason.and_then(|status| status.canonical_reason());
        let answer = json!({
            "description": reason.unwrap_or_default(),
            "content": { kind: { "schema": error(schemas) } },
        });
        answers.insert(status.to_string(), answer);
    }
    for (status, about) in BARE {
        answers.insert(status.to_string(), json!({ "description": about }));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": answers,
    });
    if let Some((kinds, shape)) = operation.body {
        let mut content = Map::new();
        for kind in kinds {
            content.insert((*kind).to_owned(), json!({ "schema": shape(schemas) }));
        }
        described["requestBody"] = json!({ "required": false, "content": content });
    }
    if operation.keyed {
        described["security"] = json!([{ "bearer": [] }]);
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Json> {
    let parts = operation.path.split('/');
    let parts = parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Json> = parts
        .map(|name| {
            let schema = match name {
                "step" => json!({ "type": "integer", "minimum": 1 }),
                "program" => json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX }),
                _ => json!({ "type": "string", "format": "uuid" }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    all.extend(operation.takes.iter().map(|takes| {
        json!({
            "name": takes.name,
            "in": takes.place,
            "description": takes.about,
            "required": takes.required,
            "schema": takes.schema,
        })
    }));
    all
}

/// What errors of `/v1` look like.
pub const PROBLEM: (&str, Shape) = ("application/problem+json", of::<Problem>);
