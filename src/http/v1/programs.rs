//! A program, as those see it who start it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use engine::plan::{Call, Function, Parameter};
use engine::types::Type;
use engine::value::Value;
use serde_json::{Map, Value as Json, json};

use super::operations::{callback, operations};
use super::{Account, Problem, json as answer};
use crate::app::App;
use crate::http::openapi::{self, PROBLEM};
use crate::programs::Served;

/// The OpenAPI document of a program: how each of its functions is started, and what it gives.
pub async fn openapi(
    State(app): State<Arc<App>>,
    account: Account,
    Path(program): Path<String>,
) -> Result<Response, Problem> {
    let served = super::runs::id(&program).and_then(|id| app.programs.get(id));
    let served = served.filter(|served| served.account == account.0);
    let served = served.ok_or_else(|| Problem::not_found("program"))?;
    Ok(answer(StatusCode::OK, &document(&served)))
}

fn document(served: &Served) -> Json {
    let plan = &served.plan;
    let operations = operations();
    let start = operations.iter().map(|(operation, _)| operation);
    let start = start.filter(|operation| operation.id == "startRun");
    let mut document = openapi::document(&plan.name, start.map(|start| (start, PROBLEM)));
    if let Some(description) = &plan.description {
        document["info"]["description"] = json!(description);
    }
    document["info"]["version"] = json!(served.version.0.to_string());
    let paths = document["paths"].as_object_mut();
    let Some(mut start) = paths.and_then(|paths| paths.shift_remove("/v1/programs/{program}/runs"))
    else {
        return document;
    };
    let parameters = start["post"]["parameters"].as_array_mut();
    parameters
        .into_iter()
        .for_each(|all| all.retain(|parameter| parameter["in"] != "path"));
    let unnamed = plan.entry(&Call::default()).ok();
    let unnamed = unnamed.map(|entry| entry.function.name.clone());
    let functions: Vec<Json> = plan
        .functions
        .values()
        .map(|function| body(function, unnamed.as_ref() == Some(&function.name)))
        .collect();
    start["post"]["requestBody"]["content"]["application/json"]["schema"] =
        json!({ "oneOf": functions });
    document["paths"][format!("/v1/programs/{}/runs", plan.id)] = start;
    document
}

/// What starts a function, which need not be named where it is the one that an unnamed call starts.
fn body(function: &Function, unnamed: bool) -> Json {
    let starts = function.declared();
    let named: Map<String, Json> = starts
        .iter()
        .map(|parameter| (parameter.name.text.to_string(), schema(parameter)))
        .collect();
    let gives: Vec<&str> = function
        .outputs
        .iter()
        .map(|parameter| &*parameter.name.text)
        .collect();
    let description = match gives.is_empty() {
        true => None,
        false => Some(format!("Returns {}.", gives.join(", "))),
    };
    let mut schema = json!({
        "title": function.name,
        "type": "object",
        "properties": {
            "function": { "const": function.name },
            "variables": {
                "type": ["object", "null"],
                "properties": named,
                "additionalProperties": false,
            },
            "callback": callback(),
        },
        "additionalProperties": false,
    });
    match unnamed {
        true => schema["properties"]["function"] = json!({ "enum": [function.name, null] }),
        false => schema["required"] = json!(["function"]),
    }
    if let Some(description) = description {
        schema["description"] = description.into();
    }
    schema
}

fn schema(parameter: &Parameter) -> Json {
    let mut schema = match parameter.of {
        Type::Text => json!({ "type": "string" }),
        Type::Number => json!({ "type": "number" }),
        Type::Boolean => json!({ "type": "boolean" }),
        Type::Date => {
            json!({ "type": "string", "description": "A day or a moment, as ISO 8601 has them." })
        }
        Type::List => json!({ "type": "array" }),
        Type::Record => json!({ "type": "object" }),
        Type::Any => json!({}),
    };
    let default = parameter.default.as_ref();
    if let Some(default) = default.filter(|default| !matches!(default, Value::Nothing)) {
        schema["default"] = serde_json::to_value(default).unwrap_or_default();
    }
    schema
}
