//! `variables`: bound by position, never changed on the way.

use axum::body::Body;
use axum::http::Request;

use super::support::{KEY, TestApp};
use super::{ECHO, encoded};

/// What [`ECHO`] answers when it is called with these.
fn shown(values: [&str; 3]) -> String {
    let pairs: Vec<_> = ["First", "Second", "Third"]
        .into_iter()
        .zip(values)
        .collect();
    serde_json::to_string(&pairs).unwrap()
}

#[tokio::test]
async fn as_many_as_are_declared_or_fewer() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for (sent, values) in [
        ("", ["one", "two", "three"]),
        ("&variables=a", ["a", "two", "three"]),
        ("&variables=a&variables=b", ["a", "b", "three"]),
        ("&variables=a&variables=b&variables=c", ["a", "b", "c"]),
        ("&variables=", ["", "two", "three"]),
        ("&variables", ["", "two", "three"]),
        ("&variables=&variables=b", ["", "b", "three"]),
        ("&variables=&variables=&variables=", ["", "", ""]),
        (
            "&variables=a&function=Main&variables=a",
            ["a", "a", "three"],
        ),
        ("&%76ariables=a", ["a", "two", "three"]),
    ] {
        app.api(&format!("program_id=1{sent}"))
            .await
            .finished(&shown(values));
    }
}

#[tokio::test]
async fn more_than_are_declared_run_nothing() {
    let one = "id: 2\nname: One\nfunctions:\n  Main:\n    triggers: [webhook: {outputs: {A: ''}}]\n    steps: [print: x]\n";
    let none =
        "id: 3\nname: None\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps: [print: x]\n";
    let programs = [("echo.yaml", ECHO), ("one.yaml", one), ("none.yaml", none)];
    let app = TestApp::new(&programs).await;
    for (id, takes, given) in [
        (1, "3 values", 4),
        (1, "3 values", 1000),
        (2, "1 value", 2),
        (3, "0 values", 1),
    ] {
        let sent = "&variables=x".repeat(given);
        let were = if given == 1 {
            "1 was"
        } else {
            &format!("{given} were")
        };
        let sentence =
            format!("The function `Main` takes {takes} in `variables`, and {were} sent.");
        app.api(&format!("program_id={id}{sent}"))
            .await
            .refused(400, &sentence);
    }
    let many = "&variables=x".repeat(1001);
    app.api(&format!("program_id=1{many}"))
        .await
        .refused(400, "A call takes at most 1000 `variables`.");
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn they_stay_as_they_were_sent() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for value in [
        "a,b",
        "a&b",
        "a?b",
        "a%b",
        "a+b",
        "a=b",
        "a#b",
        "a;b",
        "one,",
        "two&",
        "three?",
        " leading and trailing ",
        "line\nline\r\nline",
        "\ttab",
        "\0",
        "\u{7f}",
        "\u{85}\u{2028}",
        "Zoë",
        "日本語",
        "😀👩‍👩‍👧",
        "e\u{301}",
        "\u{202e}rtl",
        "\u{feff}bom",
        "\u{fffd}",
        "\u{10ffff}",
        "12",
        "-3.5",
        "1e3",
        "true",
        "null",
        "2020-01-15",
        "[1]",
        "{\"a\":1}",
        "=1+1",
        "${x}",
        "{{ First }}",
        "{% for x in y %}",
        "$(id)",
        "`id`",
        "%(x)s",
        "%s%n",
        "\\u0000",
        "'--",
        "\"",
        "\\",
        "</script>",
        "First",
        "%25",
        "%2525",
        "%zz",
    ] {
        let answer = app
            .api(&format!("program_id=1&variables={}", encoded(value)))
            .await;
        answer.finished(&shown([value, "two", "three"]));
        let plus = encoded(value).replace("%20", "+");
        let answer = app.api(&format!("program_id=1&variables={plus}")).await;
        answer.finished(&shown([value, "two", "three"]));
    }
}

#[tokio::test]
async fn what_old_clients_sent_raw_is_kept() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for (sent, value) in [
        ("%zz", "%zz"),
        ("%", "%"),
        ("%4", "%4"),
        ("100%", "100%"),
        ("%%41", "%A"),
        ("%u00e9", "%u00e9"),
        ("it's", "it's"),
        ("a?b", "a?b"),
        ("a=b==", "a=b=="),
        ("a/b:c@d", "a/b:c@d"),
        ("Zoë", "Zoë"),
        ("a+b%2Bc%20d", "a b+c d"),
    ] {
        app.api(&format!("program_id=1&variables={sent}"))
            .await
            .finished(&shown([value, "two", "three"]));
    }
}

#[tokio::test]
async fn what_is_no_utf_8_is_refused() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for sent in [
        "%ff%fe",
        "a%ff",
        "%c3",
        "%c3%28",
        "%ed%a0%80",
        "%f4%90%80%80",
        "%c0%80",
    ] {
        app.api(&format!("program_id=1&variables=a&variables={sent}"))
            .await
            .refused(400, "The parameter `variables` is not valid UTF-8.");
    }
    app.api("program_id=1&function=%ff")
        .await
        .refused(400, "The parameter `function` is not valid UTF-8.");
    assert!(app.runs().await.is_empty());
}

/// A program whose variables have types.
const TYPED: &str = r#"
id: 1
name: Typed
functions:
  Main:
    triggers:
      - webhook:
          outputs:
            Age: 42
            Rate: {type: number}
            Sure: true
            When: {type: date}
            Names: {type: list}
            Who: {type: record}
            What: {type: any}
            Text: {type: text, default: none}
    steps:
      - set: {All: "{{ [Age, Rate, Sure, When, Names, Who, What, Text] }}"}
        show: [All]
"#;

#[tokio::test]
async fn typed_ones_become_what_they_are() {
    let app = TestApp::new(&[("typed.yaml", TYPED)]).await;
    for (values, all) in [
        (&[][..], r#"[42,0,true,null,[],{},null,"none"]"#),
        (
            &[
                "7",
                "1.50",
                "off",
                "2020-01-15",
                "[1,\"x\"]",
                "{\"a\":{\"b\":2}}",
                "12",
                "12",
            ],
            r#"[7,1.5,false,"2020-01-15",[1,"x"],{"a":{"b":2}},"12","12"]"#,
        ),
        (
            &[
                "170141183460469231731687303715884105727",
                "-1e3",
                "YES",
                "2020-01-15T10:00:00+01:00",
            ],
            r#"[170141183460469231731687303715884105727,-1000.0,true,"2020-01-15T10:00:00+01:00",[],{},null,"none"]"#,
        ),
        (
            &[" 7 ", " 2 ", " no "],
            r#"[7,2,false,null,[],{},null,"none"]"#,
        ),
    ] {
        let sent: String = values
            .iter()
            .map(|value| format!("&variables={}", encoded(value)))
            .collect();
        app.api(&format!("program_id=1{sent}"))
            .await
            .finished(&format!(r#"[["All",{all}]]"#));
    }
}

#[tokio::test]
async fn typed_ones_that_do_not_fit_are_named() {
    let app = TestApp::new(&[("typed.yaml", TYPED)]).await;
    let long = "9x".repeat(60);
    let cut = format!("{}…", "9x".repeat(40));
    let good = ["1", "1", "1", "2020-01-01", "[]", "{}"];
    for (place, value, sentence) in [
        (
            0,
            "abc",
            "The variable `Age` takes a number, and `abc` is none.",
        ),
        (0, "", "The variable `Age` takes a number, and `` is none."),
        (
            0,
            "0x10",
            "The variable `Age` takes a number, and `0x10` is none.",
        ),
        (
            0,
            "NaN",
            "The variable `Age` takes a number, and `NaN` is none.",
        ),
        (
            0,
            "1e999",
            "The variable `Age` takes a number, and `1e999` is none.",
        ),
        (
            0,
            "١٢",
            "The variable `Age` takes a number, and `١٢` is none.",
        ),
        (
            0,
            "1\n2",
            r"The variable `Age` takes a number, and `1\u{a}2` is none.",
        ),
        (
            0,
            &long,
            &*format!("The variable `Age` takes a number, and `{cut}` is none."),
        ),
        (
            2,
            "maybe",
            "The variable `Sure` takes a boolean, and `maybe` is none.",
        ),
        (
            3,
            "15/01/2020",
            "The variable `When` takes a date, and `15/01/2020` is none.",
        ),
        (
            3,
            "2020-02-30",
            "The variable `When` takes a date, and `2020-02-30` is none.",
        ),
        (
            4,
            "a,b",
            "The variable `Names` takes a list, and `a,b` is none.",
        ),
        (
            4,
            "{}",
            "The variable `Names` takes a list, and `{}` is none.",
        ),
        (
            5,
            "[]",
            "The variable `Who` takes a record, and `[]` is none.",
        ),
    ] {
        let values = good[..place].iter().chain([&value]);
        let sent: String = values
            .map(|value| format!("&variables={}", encoded(value)))
            .collect();
        app.api(&format!("program_id=1{sent}"))
            .await
            .refused(400, sentence);
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn json_values_keep_their_types() {
    let app = TestApp::new(&[("typed.yaml", TYPED)]).await;
    let call = async |variables: &str| {
        let body = format!(r#"{{"program_id":1,"variables":{variables}}}"#);
        let request = Request::post(format!("/api?api_key={KEY}"))
            .header("content-type", "application/json")
            .body(Body::from(body));
        app.send(request.unwrap()).await
    };
    call(r#"[7,1.5,false,"2020-01-15",[[1]],{"a":null},{"b":[true]},"x"]"#)
        .await
        .finished(r#"[["All",[7,1.5,false,"2020-01-15",[[1]],{"a":null},{"b":[true]},"x"]]]"#);
    for (variables, sentence) in [
        (
            "[true]",
            "The variable `Age` takes a number, and `true` is none.",
        ),
        (
            "[null]",
            "The variable `Age` takes a number, and `null` is none.",
        ),
        (
            "[1,1,true,null,[],{},1]",
            "The variable `When` takes a date, and `null` is none.",
        ),
        (
            "[1,1,true,\"2020-01-01\",[],{},1,2]",
            "The variable `Text` takes a text, and `2` is none.",
        ),
    ] {
        call(variables).await.refused(400, sentence);
    }
}
