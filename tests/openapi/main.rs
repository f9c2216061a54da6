//! The OpenAPI documents say what the server does: every operation is there, and a tool that makes requests of a document finds
//! no answer that is not in it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::Command;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use support::{KEY, TestApp, TestCommand, TestServer};

const PROGRAM: &str = r#"id: 1
name: Parcels
description: Weighs parcels.
functions:
  Weigh:
    triggers:
      - webhook:
          outputs: {Name: {type: text, default: x}, Count: {type: number, default: 2}, When: {type: date}}
    outputs: {Weight: number}
    steps:
      - print: "{{ Name }}"
      - return: {Weight: "{{ Count * 2 }}"}
  Later:
    inputs: {Parts: {type: list, default: []}, Rest: {type: any, default: 1}}
    steps: []
"#;

/// What the tool is told: a program and a run that are there. A document about all programs cannot say which functions one has and
/// what they take, nor whether a program is named in the address or in the body.
const SETTINGS: &str = r#"
[generation]
max-examples = 40
deterministic = true

[parameters]
program = 1
run = "RUN"
program_id = 1

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]

# Requests that are too large are told so before they are read.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "405", "409", "413", "414", "415", "422", "431"]

# It sends a list of one id as that id, and takes it for another type.
[[operations]]
include-name = "GET /v1/runs/{run}/steps/{step}"
checks.negative_data_rejection.enabled = false
"#;

/// The tool, and the release that is used.
const TOOL: &str = "schemathesis==4.32.5";

#[tokio::test]
async fn every_operation_is_there() {
    let app = TestApp::new(&[("parcels.yaml", PROGRAM)]).await;
    let document: Value =
        serde_json::from_str(&app.request("GET", "/openapi.json").await.body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let target = path.replace("{program}", "1").replace("{run}", "x");
        for (method, operation) in methods.as_object().unwrap() {
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(&target)
                .header("authorization", format!("Bearer {KEY}"))
                .body(Body::empty());
            let answer = app.send(request.unwrap()).await;
            let status = answer.status.as_u16().to_string();
            let described = &operation["responses"][&status];
            assert!(
                described.is_object(),
                "{method} {path} is answered {status}"
            );
            let nothing =
                answer.body.contains("no such address") || answer.body.contains("nothing at this");
            assert!(!nothing, "{method} {path}: {}", answer.body);
            count += 1;
        }
    }
    assert_eq!(count, 17);
}

#[tokio::test]
async fn a_program_says_how_its_functions_are_started() {
    let app = TestApp::new(&[("parcels.yaml", PROGRAM)]).await;
    let request = Request::builder()
        .uri("/v1/programs/1/openapi.json")
        .header("authorization", format!("Bearer {KEY}"))
        .body(Body::empty());
    let answer = app.send(request.unwrap()).await;
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document["info"]["title"], "Parcels");
    assert_eq!(document["info"]["description"], "Weighs parcels.");
    let body = &document["paths"]["/v1/programs/1/runs"]["post"]["requestBody"];
    let schema = &body["content"]["application/json"]["schema"]["oneOf"];
    let expected: Value = serde_json::from_str(
        r#"[{
            "title": "Weigh", "type": "object", "description": "Returns Weight.",
            "properties": {
                "function": {"enum": ["Weigh", null]},
                "variables": {
                    "type": ["object", "null"],
                    "properties": {
                        "Name": {"type": "string", "default": "x"},
                        "Count": {"type": "number", "default": 2},
                        "When": {"type": "string", "description": "A day or a moment, as ISO 8601 has them."}
                    },
                    "additionalProperties": false
                },
                "callback": CALLBACK
            },
            "additionalProperties": false
        }, {
            "title": "Later", "type": "object", "required": ["function"],
            "properties": {
                "function": {"const": "Later"},
                "variables": {
                    "type": ["object", "null"],
                    "properties": {"Parts": {"type": "array", "default": []}, "Rest": {"default": 1}},
                    "additionalProperties": false
                },
                "callback": CALLBACK
            },
            "additionalProperties": false
        }]"#
        .replace(
            "CALLBACK",
            r#"{
                "type": ["string", "null"], "pattern": "^https?://", "maxLength": 2048,
                "description": "A URL that is told how the run ended, as Standard Webhooks has it."
            }"#,
        )
        .as_str(),
    )
    .unwrap();
    assert_eq!(*schema, expected);
}

/// The folder that the tool is installed in, once.
fn tool() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(TOOL);
    let done = folder.join("installed");
    if done.exists() {
        return folder;
    }
    let installed = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
        ])
        .arg(&folder)
        .arg(TOOL)
        .status();
    assert!(installed.unwrap().success(), "{TOOL} cannot be installed");
    std::fs::write(done, "").unwrap();
    folder
}

#[test]
fn no_request_is_answered_otherwise_than_described() {
    let tool = tool();
    let command = TestCommand::new(&[("parcels.yaml", PROGRAM)]);
    let server = TestServer::start(&command, &[]);
    let started = format!(
        "POST /api?program_id=1&function=Weigh HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
    );
    let answer = server.raw(started);
    let run = answer
        .lines()
        .find_map(|line| line.strip_prefix("waystation-run: "));
    let settings = command.folder.path().join("schemathesis.toml");
    std::fs::write(settings, SETTINGS.replace("RUN", run.unwrap())).unwrap();
    for path in ["/openapi.json", "/v1/programs/1/openapi.json"] {
        let ran = Command::new("python3")
            .args(["-m", "schemathesis.cli"])
            .args(["run", "--header", &format!("Authorization: Bearer {KEY}")])
            .arg(format!("http://{}{path}", server.address))
            .current_dir(command.folder.path())
            .env("PYTHONPATH", &tool)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{path}:\n{said}{error}");
    }
}
