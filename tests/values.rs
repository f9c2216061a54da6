//! Values of every kind pass unchanged through all that a program can send them through.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use engine::value::Value;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use support::TestApp;
use support::any::values;

/// How many values each property is tried with.
const CASES: u32 = 1_500;

/// JSON text with every character escaped, those beyond 16 bits as two surrogates.
fn escaped(value: &Value) -> String {
    let quoted = |text: &str| {
        let escaped: String = text
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        format!("\"{escaped}\"")
    };
    match value {
        Value::Text(text) => quoted(text),
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(escaped).collect();
            format!("[ {} ]", items.join(" ,\n"))
        }
        Value::Record(record) => {
            let members: Vec<String> = record
                .iter()
                .map(|(name, value)| format!("{} : {}", quoted(name), escaped(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_json(),
    }
}

/// The value as YAML in flow style.
fn yaml(value: &Value) -> String {
    let quoted = |text: &str| {
        let escaped: String = text
            .chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | ' ' | '{' | '}' => c.to_string(),
                c => format!("\\U{:08X}", u32::from(c)),
            })
            .collect();
        format!("\"{escaped}\"")
    };
    match value {
        Value::Text(text) => quoted(text),
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(yaml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Record(record) => {
            let members: Vec<String> = record
                .iter()
                .map(|(name, value)| format!("? {}\n : {}", quoted(name), yaml(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_json(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_pass_through_json(value in values()) {
        let json = value.to_json();
        let read = Value::from_json(&json).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(read.to_json(), json.clone());
        let read = Value::from_json(&escaped(&value)).unwrap();
        prop_assert_eq!(read.to_json(), json);
    }

    #[test]
    fn values_that_are_the_same_are_the_same_both_ways(a in values(), b in values()) {
        prop_assert!(a.same(&a));
        prop_assert_eq!(a.same(&b), b.same(&a));
    }
}

/// Many values of every kind.
fn sample(count: usize) -> Vec<Value> {
    let mut runner = TestRunner::deterministic();
    let strategy = values();
    let one = |_| strategy.new_tree(&mut runner).unwrap().current();
    // What is written as a template would be one.
    (0..count)
        .map(one)
        .filter(|value| !value.to_json().contains("{{"))
        .collect()
}

/// The program's text, variables, calls, Python and the answer of `/api` change no value.
#[tokio::test(flavor = "multi_thread")]
async fn values_pass_through_a_run() {
    for batch in sample(2_000).chunks(250) {
        let written = yaml(&Value::list(batch.to_vec()));
        let written = written.replace('\n', "\n              ");
        let text = format!(
            r#"id: 1
name: Values
functions:
  Main:
    triggers: [webhook]
    steps:
      - set:
          Written: {written}
        show: Written
      - set: {{Copied: "{{{{ Written }}}}", Inside: {{a: ["{{{{ Written }}}}"]}}}}
        show: Copied
      - set: {{Taken: "{{{{ Inside.a[0] }}}}", Built: "{{{{ [Written][0] }}}}", Listed: "{{{{ Written | list }}}}"}}
        show: [Taken, Built, Listed]
      - call: Echo
        inputs: {{It: "{{{{ Written }}}}"}}
        outputs: {{It: Called}}
        show: Called
      - python: outputs["Coded"] = inputs["Called"]
        show: Coded
      - set: {{Walked: []}}
      - loop: Coded
        as: One
        index: At
        steps:
          - if: One != Written[At]
            then:
              - print: "{{{{ One }}}} is not {{{{ Written[At] }}}}"
  Echo:
    inputs: {{It: any}}
    outputs: {{It: any}}
    steps:
      - return: {{It: "{{{{ It }}}}"}}
"#
        );
        let app = TestApp::new(&[("values.yaml", &text)]).await;
        let answer = app.api("program_id=1").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = Value::from_json(&answer.body).unwrap();
        let Value::Record(answer) = answer else {
            panic!("{answer}")
        };
        let Some(Value::List(result)) = answer.get("Result") else {
            panic!("{answer:?}")
        };
        let names = [
            "Written", "Copied", "Taken", "Built", "Listed", "Called", "Coded",
        ];
        for (name, pair) in names.iter().zip(result.iter()) {
            let Value::List(pair) = pair else {
                panic!("{pair}")
            };
            assert_eq!(pair[0], Value::from(*name));
            let Value::List(came) = &pair[1] else {
                panic!("{}", pair[1])
            };
            for (sent, came) in batch.iter().zip(came.iter()) {
                assert_eq!(sent.to_json(), came.to_json(), "{name}");
            }
            assert_eq!(came.len(), batch.len(), "{name}");
        }
        assert_eq!(result.len(), names.len());
    }
}
