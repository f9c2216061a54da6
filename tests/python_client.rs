//! The Python client of 2019, as it was published: every release of it, with nothing changed but the
//! address.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::process::Command;

use support::{KEY, TestCommand, TestServer};

const PROGRAM: &str = r#"
id: 1234
name: Client
functions:
  Main:
    triggers:
      - webhook:
          outputs: {First: one, Second: two, Third: three}
    steps:
      - set: {First: "{{ First }}", Second: "{{ Second }}", Third: "{{ Third }}"}
        show: [First, Second, Third]
"#;

const SEVERAL: &str = r#"
id: 1235
name: Several
functions:
  Main:
    triggers: [webhook]
    steps:
      - python: raise Exception("no luck")
  My Function:
    triggers: [webhook: {outputs: {Name: Ada}}]
    steps:
      - set: {Name: "{{ Name }}"}
        show: [Name]
"#;

/// Calls what it reads, and writes status and text of every answer.
const DRIVER: &str = r#"
import json, sys
from wayscript import WayScript
from wayscript.exceptions import InvalidApiKeyException

address, key = sys.argv[1:]
client = WayScript(key)
client._api_url = address
wrong = WayScript("a" * 43)
wrong._api_url = address
answers = []
for call in json.load(sys.stdin):
    response = (wrong if call.pop("wrong", False) else client).run_program(**call)
    answers.append([response.status_code, response.text, "waystation-run" in response.headers])
for bad in ["", None, "a" * 42]:
    try:
        WayScript(bad)
    except InvalidApiKeyException as error:
        answers.append([0, str(error), False])
json.dump(answers, sys.stdout)
"#;

fn python(args: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(args);
    command
}

/// Puts a release of the client into a folder.
fn install(version: &str, folder: &Path) {
    let target = folder.to_str().unwrap();
    let package = format!("wayscript=={version}");
    let mut wanted = vec![package.as_str()];
    let has = |module: &str| {
        let found = python(&["-c", &format!("import {module}")]).output();
        found.is_ok_and(|found| found.status.success())
    };
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        target,
    ];
    // What the client needs is taken from the system where it is there.
    if !has("requests") {
        wanted.extend([
            "requests",
            "urllib3",
            "idna",
            "certifi",
            "charset-normalizer",
        ]);
    }
    let ran = python(&[&pip, &wanted[..]].concat()).output();
    let ran = ran.unwrap_or_else(|error| {
        panic!("this test needs `python3` with `pip` on the path, to install {package}: {error}")
    });
    assert!(
        ran.status.success(),
        "this test needs {package}, which `python3 -m pip` could not install; it needs `pip` and a package index \
         that it can reach, or a copy of one:\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn every_release_is_answered_as_it_was_in_2019() {
    let command = TestCommand::new(&[("client.yaml", PROGRAM), ("several.yaml", SEVERAL)]);
    let server = TestServer::start(&command, &[]);
    let address = format!("http://{}/api", server.address);
    std::thread::scope(|scope| {
        for version in ["0.0.1", "0.0.2", "0.0.3"] {
            let (address, folder) = (&address, command.folder.path().join(version));
            scope.spawn(move || {
                install(version, &folder);
                answered(version, &folder, address);
            });
        }
    });
}

/// Calls the server through the client in a folder.
fn answered(version: &str, folder: &Path, address: &str) {
    let result = |values: &str| format!(r#"{{"Success":"Program finished.","Result":{values}}}"#);
    let started = r#"{"Success":"Program started."}"#.to_owned();
    let error = |sentence: &str| format!(r#"{{"Error":"{sentence}"}}"#);
    let several = "Several functions of this program have an active webhook trigger: `Main` and `My Function`. \
                   Name one with the parameter `function`.";
    let mut calls = vec![
        (
            r#"{"program_id":1234}"#,
            200,
            result(r#"[["First","one"],["Second","two"],["Third","three"]]"#),
        ),
        (
            r#"{"program_id":1234,"variables":["one,","two&","three?"]}"#,
            200,
            result(r#"[["First","one,"],["Second","two&"],["Third","three?"]]"#),
        ),
        (
            r#"{"program_id":1234,"variables":["a b+c%","Zoë 😀\n"]}"#,
            200,
            result(r#"[["First","a b+c%"],["Second","Zoë 😀\n"],["Third","three"]]"#),
        ),
        (
            r#"{"program_id":"1234","variables":"plain"}"#,
            200,
            result(r#"[["First","plain"],["Second","two"],["Third","three"]]"#),
        ),
        (
            r#"{"program_id":1234,"variables":[],"run_async":false}"#,
            200,
            result(r#"[["First","one"],["Second","two"],["Third","three"]]"#),
        ),
        (
            r#"{"program_id":1234,"run_async":true}"#,
            200,
            started.clone(),
        ),
        (r#"{"program_id":1235}"#, 400, error(several)),
        (
            r#"{"program_id":1234,"wrong":true}"#,
            401,
            error("Invalid API key."),
        ),
        (
            r#"{"program_id":1,"run_async":true}"#,
            404,
            error("Program 1 does not exist or you have no access to it."),
        ),
    ];
    if version != "0.0.1" {
        calls.extend([
            (
                r#"{"program_id":1235,"function":"My Function","variables":["x"]}"#,
                200,
                result(r#"[["Name","x"]]"#),
            ),
            (
                r#"{"program_id":1235,"function":"My Function","run_async":true}"#,
                200,
                started,
            ),
            (
                r#"{"program_id":1235,"function":"Main"}"#,
                500,
                error("Main, step 1 (python): Exception: no luck (line 1 of the code)"),
            ),
            (
                r#"{"program_id":1234,"function":"","variables":["x"]}"#,
                200,
                result(r#"[["First","x"],["Second","two"],["Third","three"]]"#),
            ),
        ]);
    }
    let told = drive(
        folder,
        address,
        &calls.iter().map(|call| call.0).collect::<Vec<_>>(),
    );
    let mut wanted: Vec<(u16, String, bool)> = calls
        .into_iter()
        .map(|(_, status, text)| (status, text, matches!(status, 200 | 500)))
        .collect();
    let invalid = "The API Key provided is not valid.".to_owned();
    wanted.extend(std::iter::repeat_n((0, invalid, false), 3));
    assert_eq!(told, wanted, "{version}");
}

fn drive(folder: &Path, address: &str, calls: &[&str]) -> Vec<(u16, String, bool)> {
    let input = folder.join("calls.json");
    std::fs::write(&input, format!("[{}]", calls.join(","))).unwrap();
    let ran = python(&["-c", DRIVER, address, KEY])
        .env("PYTHONPATH", folder)
        .env("no_proxy", "127.0.0.1")
        .stdin(std::fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    serde_json::from_slice(&ran.stdout).unwrap()
}
