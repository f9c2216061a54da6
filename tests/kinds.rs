//! Every kind of step: what holds for all of them, and their examples, run.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::HashSet;

use engine::kind::{Example, Gives, Kind};
use engine::plan::Plan;
use engine::problem::Source;
use engine::value::Value;
use steps::KINDS;
use support::TestApp;

#[test]
fn names_are_words_and_no_two_are_the_same() {
    let mut seen = HashSet::new();
    for kind in &KINDS {
        assert!(
            kind.name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '_'),
            "{}",
            kind.name
        );
        assert!(seen.insert(kind.name), "{}", kind.name);
    }
}

#[test]
fn the_list_stands_in_groups() {
    let mut groups: Vec<_> = KINDS.iter().map(|kind| kind.group).collect();
    groups.dedup();
    let all: HashSet<String> = groups.iter().map(|group| format!("{group:?}")).collect();
    assert_eq!(all.len(), groups.len());
}

#[test]
fn every_kind_and_setting_is_documented() {
    for kind in &KINDS {
        documented(kind.name, kind.schema());
    }
}

fn documented(at: &str, schema: &serde_json::Value) {
    let about = schema["description"].as_str().unwrap_or_default();
    assert!(
        about.trim_end().ends_with(['.', '|']),
        "{at} is not documented, or not in sentences: {about:?}"
    );
    for (name, setting) in schema["properties"].as_object().into_iter().flatten() {
        if setting.get("const").is_none() {
            documented(&format!("{at}.{name}"), setting);
        }
    }
    for variant in schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|variant| variant.get("const").is_none())
    {
        documented(at, variant);
    }
}

#[test]
fn every_kind_has_an_example_and_every_action_one_of_its_own() {
    for kind in &KINDS {
        assert!(!kind.examples.is_empty(), "{}", kind.name);
        for variant in kind.schema()["oneOf"].as_array().into_iter().flatten() {
            let settings = variant["properties"].as_object().unwrap();
            let tag = settings.iter().find_map(|(name, setting)| {
                Some(format!("{name}: {}", setting["const"].as_str()?))
            });
            let tag = tag.unwrap();
            let shown = kind
                .examples
                .iter()
                .any(|example| example.step.lines().any(|line| line == tag));
            assert!(shown, "`{}` has no example with a line `{tag}`", kind.name);
        }
    }
}

#[test]
fn settings_that_every_step_has_are_no_kinds_own() {
    let common = engine::kind::schema_of::<engine::program::Common>();
    let common: Vec<&String> = common["properties"].as_object().unwrap().keys().collect();
    for kind in &KINDS {
        for setting in kind.schema()["properties"]
            .as_object()
            .into_iter()
            .flatten()
        {
            assert!(!common.contains(&setting.0), "{}.{}", kind.name, setting.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_gives_what_it_says() {
    for kind in &KINDS {
        for example in kind.examples {
            ran(kind, example).await;
        }
    }
}

/// Runs an example: the given variables are set before it, and shown after it are those it must give.
async fn ran(kind: &Kind, example: &Example) {
    let name = format!("`{}`: {}", kind.name, example.about);
    let wanted = match example.gives {
        Gives::Variables(variables) => record(variables),
        _ => Vec::new(),
    };
    let text = program(example, &wanted);
    let source = Source {
        name: "example.yaml".into(),
        text: text.as_str().into(),
    };
    if let Err(problems) = Plan::check(&source, &KINDS) {
        let drawn: Vec<String> = problems
            .iter()
            .map(|problem| problem.drawn(&source).to_string())
            .collect();
        panic!("{name}\n{text}\n{}", drawn.join("\n"));
    }
    if matches!(example.gives, Gives::Checked) {
        return;
    }
    let app = TestApp::new(&[("example.yaml", &text)]).await;
    let answer = app.api("program_id=1&function=Main").await;
    let run = answer.header("waystation-run").parse().unwrap();
    let log = app.app.store.log(run, 0).await.unwrap().text;
    let log: Vec<String> = log
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["text"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    match example.gives {
        Gives::Variables(_) => {
            let result: Vec<Value> = wanted
                .into_iter()
                .map(|(name, value)| Value::list(vec![name.into(), value]))
                .collect();
            let result = Value::list(result).to_json();
            answer.is(
                200,
                &format!(r#"{{"Success":"Program finished.","Result":{result}}}"#),
            );
        }
        Gives::Log(lines) => assert_eq!(log, lines, "{name}: {}", answer.body),
        Gives::Failure(message) => {
            assert_eq!(answer.status, 500, "{name}: {}", answer.body);
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let sentence = body["Error"].as_str().unwrap();
            assert!(sentence.contains(message), "{name}: {sentence}");
        }
        Gives::Checked => {}
    }
}

fn program(example: &Example, wanted: &[(String, Value)]) -> String {
    let mut text =
        "id: 1\nname: Example\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n"
            .to_owned();
    if !example.given.is_empty() {
        text += &format!("      - set:\n{}", indented(example.given, 10));
    }
    let step = indented(example.step, 8);
    text += &format!("      - {}", step.trim_start());
    // What is checked is shown by a step that sets every variable to itself.
    if !wanted.is_empty() {
        text += "      - set:\n";
        for (name, _) in wanted {
            let key = engine::variables::expression_name(name);
            text += &format!("          {name}: \"{{{{ {key} }}}}\"\n");
        }
        let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        text += &format!("        show: [{}]\n", names.join(", "));
    }
    text += "  Double:\n    inputs: {Number: number}\n    outputs: {Doubled: number}\n    steps:\n      - return: {Doubled: '{{ Number * 2 }}'}\n";
    text
}

fn indented(text: &str, by: usize) -> String {
    text.lines()
        .map(|line| format!("{}{line}\n", " ".repeat(by)))
        .collect()
}

fn record(yaml: &str) -> Vec<(String, Value)> {
    let (node, problems) = engine::document::read(yaml);
    assert!(problems.is_empty(), "{yaml}");
    let Value::Record(record) = node.unwrap().value() else {
        panic!("{yaml}")
    };
    record
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect()
}
