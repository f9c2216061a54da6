//! Every example of every kind, run.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod support;

use engine::kind::{Example, Gives, Group, Kind};
use engine::run::{Failure, Values};
use engine::value::Value;
use engine::variables::expression_name;
use steps::KINDS;
use support::Still;

#[test]
fn every_example_gives_what_it_says() {
    for kind in KINDS.iter().filter(|kind| kind.group != Group::Code) {
        for example in kind.examples {
            let host = Still::default();
            if let Some(result) = ran(kind, example, &host) {
                compared(kind, example, &host, result);
            }
        }
    }
}

#[test]
fn every_action_has_an_example() {
    for kind in &KINDS {
        let variants = kind.schema()["oneOf"].as_array();
        for action in variants.into_iter().flatten().filter_map(|variant| {
            let action = variant["properties"]["action"]["const"].as_str()?;
            Some(format!("action: {action}"))
        }) {
            let shown = |example: &Example| example.step.lines().any(|line| line == action);
            assert!(kind.examples.iter().any(shown), "{}: {action}", kind.name);
        }
    }
}

fn ran(kind: &Kind, example: &Example, host: &Still) -> Option<Result<Values, Failure>> {
    let text = program(example);
    let plan =
        support::plan(&text).unwrap_or_else(|problems| panic!("{}\n{text}\n{problems}", kind.name));
    match example.gives {
        Gives::Checked => None,
        _ => Some(support::run(&plan, host, Vec::new())),
    }
}

fn compared(kind: &Kind, example: &Example, host: &Still, result: Result<Values, Failure>) {
    let name = format!("`{}`: {}", kind.name, example.about);
    match (example.gives, result) {
        (Gives::Failure(message), Err(failure)) => {
            assert!(failure.message.contains(message), "{name}: {failure}");
        }
        (Gives::Variables(wanted), Ok(values)) => {
            let json = |value: &Value| value.to_json();
            let values: Vec<_> = values
                .iter()
                .map(|(n, v)| (n.to_string(), json(v)))
                .collect();
            let wanted: Vec<_> = record(wanted)
                .iter()
                .map(|(n, v)| (n.clone(), json(v)))
                .collect();
            assert_eq!(values, wanted, "{name}");
        }
        (Gives::Log(lines), Ok(_)) => assert_eq!(*host.log.lock().unwrap(), lines, "{name}"),
        (gives, result) => panic!("{name}: {gives:?} is not what came of it: {result:?}"),
    }
}

fn program(example: &Example) -> String {
    let mut text = "id: 1\nname: Example\nfunctions:\n  Main:\n    steps:\n".to_owned();
    if !example.given.is_empty() {
        text += &format!("      - set:\n{}", indented(example.given, 10));
    }
    text += &format!("      - {}", indented(example.step, 8).trim_start());
    if let Gives::Variables(wanted) = example.gives {
        text += &shown(&record(wanted));
    }
    text + "  Double:\n    inputs: {Number: number}\n    outputs: {Doubled: number}\n    steps:\n      - return: {Doubled: '{{ Number * 2 }}'}\n"
}

/// A step that sets every variable to itself and shows it.
fn shown(variables: &[(String, Value)]) -> String {
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    let line = |name: &&str| format!("          {name}: '{{{{ {} }}}}'\n", expression_name(name));
    let lines: String = names.iter().map(line).collect();
    format!(
        "      - set:\n{lines}        show: [{}]\n",
        names.join(", ")
    )
}

fn indented(text: &str, by: usize) -> String {
    let line = |line| format!("{}{line}\n", " ".repeat(by));
    text.lines().map(line).collect()
}

fn record(yaml: &str) -> Vec<(String, Value)> {
    let (node, problems) = engine::document::read(yaml);
    assert!(problems.is_empty(), "{yaml}");
    let Some(Value::Record(record)) = node.map(|node| node.value()) else {
        panic!("{yaml}")
    };
    let member = |(name, value): (&std::sync::Arc<str>, &Value)| (name.to_string(), value.clone());
    record.iter().map(member).collect()
}
