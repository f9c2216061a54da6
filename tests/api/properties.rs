//! What holds for any value and any query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::ECHO;
use super::support::{KEY, TestApp};

/// What `encodeURIComponent` of JavaScript leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

fn app(runtime: &Runtime) -> TestApp {
    runtime.block_on(TestApp::new(&[("echo.yaml", ECHO)]))
}

/// Any text, the awkward ones often.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r"[ +%&=?#;,{}\\x00-\\x1f\n\r\t'\x22a-f0-9]{0,20}",
        vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().collect()),
    ]
}

#[test]
fn values_reach_the_program_unchanged() {
    let runtime = Runtime::new().unwrap();
    let app = app(&runtime);
    let values = vec((text(), 0..3_u8), 0..=3);
    let checked = runner(300).run(&values, |values| {
        let mut query = "program_id=1".to_owned();
        for (value, style) in &values {
            let sent = match style {
                0 => utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
                1 => utf8_percent_encode(value, COMPONENT).to_string(),
                _ => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            };
            query += &format!("&variables={sent}");
        }
        let answer = runtime.block_on(app.api(&query));
        let defaults = ["one", "two", "three"];
        let values: Vec<&str> = (0..3)
            .map(|at| values.get(at).map_or(defaults[at], |(value, _)| value))
            .collect();
        let shown: Vec<_> = ["First", "Second", "Third"]
            .into_iter()
            .zip(values)
            .collect();
        answer.finished(&serde_json::to_string(&shown).unwrap());
        Ok(())
    });
    checked.unwrap();
}

/// A query of anything, with much that is nearly right in it.
fn query() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        r"[!-~]{0,12}",
        r"(%[0-9a-fA-F]{0,2}){1,6}",
        any::<String>(),
        Just("program_id=1".to_owned()),
        Just(format!("api_key={KEY}")),
        Just("variables=".to_owned()),
        Just("run_async=".to_owned()),
        Just("function=".to_owned()),
        Just("function=Main".to_owned()),
        Just("&".to_owned()),
        Just("=".to_owned()),
        Just("%".to_owned()),
        Just("+".to_owned()),
    ];
    vec((piece, prop_oneof![Just("&"), Just("")]), 0..8)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, end)| piece + end).collect())
}

#[test]
fn no_query_is_the_servers_fault() {
    let runtime = Runtime::new().unwrap();
    let app = app(&runtime);
    let checked = runner(600).run(&(query(), any::<bool>()), |(query, keyed)| {
        let key = if keyed {
            format!("api_key={KEY}&program_id=1&")
        } else {
            String::new()
        };
        let target = format!("/api?{key}{query}");
        // hyper refuses the rest.
        let Ok(uri) = target.parse::<axum::http::Uri>() else {
            return Ok(());
        };
        let answer = runtime.block_on(app.request("POST", &uri.to_string()));
        answer.headed();
        prop_assert!(
            matches!(answer.status.as_u16(), 200 | 400 | 401 | 404),
            "{answer:?}"
        );
        prop_assert!(
            !answer.body.contains(KEY) || target.matches(KEY).count() > 1,
            "{answer:?}"
        );
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let sentence = body["Error"].as_str();
        prop_assert_eq!(answer.status == 200, sentence.is_none());
        prop_assert!(
            sentence.is_none_or(|sentence| sentence.ends_with('.')),
            "{:?}",
            sentence
        );
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn no_body_is_the_servers_fault() {
    let runtime = Runtime::new().unwrap();
    let app = app(&runtime);
    let kinds = prop_oneof![
        Just("application/json"),
        Just("application/x-www-form-urlencoded"),
        Just("text/plain"),
    ];
    let member = (
        "program_id|variables|run_async|function|other",
        any::<Option<i64>>(),
        text(),
    );
    let json = vec(member, 0..4).prop_map(|members| {
        let members = members.into_iter().map(|(name, number, text)| {
            let text = serde_json::Value::from(text);
            let value =
                number.map_or_else(|| text.clone(), |number| serde_json::json!([number, text]));
            format!("{}:{value}", serde_json::Value::from(name))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes()
    });
    let bodies = prop_oneof![
        json,
        vec(any::<u8>(), 0..60),
        query().prop_map(String::into_bytes)
    ];
    let checked = runner(300).run(&(kinds, bodies), |(kind, body)| {
        let request = axum::http::Request::post(format!("/api?api_key={KEY}&program_id=1"))
            .header("content-type", kind)
            .body(body.into());
        let answer = runtime.block_on(app.send(request.unwrap()));
        answer.headed();
        prop_assert!(
            matches!(answer.status.as_u16(), 200 | 400 | 401 | 404),
            "{answer:?}"
        );
        Ok(())
    });
    checked.unwrap();
}
