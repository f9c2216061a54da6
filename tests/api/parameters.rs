//! `program_id`, `run_async` and the form in which parameters come.

use axum::body::Body;
use axum::http::Request;

use super::support::{Answer, KEY, TestApp};
use super::{ECHO, encoded};

const SHOWN: &str = r#"[["First","one"],["Second","two"],["Third","three"]]"#;
const WHOLE: &str = "The parameter `program_id` must be a whole number, 1 or greater.";

async fn with_body(app: &TestApp, query: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(format!("/api?api_key={KEY}&{query}"))
        .header("content-type", kind)
        .body(body.into());
    app.send(request.unwrap()).await
}

#[tokio::test]
async fn a_program_id_is_a_whole_number() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for query in ["program_id=1", "program_id=0001", "program_id=%31"] {
        app.api(query).await.finished(SHOWN);
    }
    let bad = [
        "",
        "abc",
        "1.5",
        "1.0",
        "1e3",
        "0x10",
        "-1",
        "0",
        "+1",
        "%2B1",
        "%D9%A1%D9%A2",
        "1+2",
        "%201",
        "1%20",
        "1%0a",
        "1%00",
        "NaN",
        "null",
        "true",
        "1,2",
        "%ff",
        "%F0%9F%98%80",
        "9223372036854775808",
        "18446744073709551617",
        "1234567890123456789012345678901234567890",
    ];
    for id in bad {
        app.api(&format!("program_id={id}"))
            .await
            .refused(400, WHOLE);
    }
    for query in ["", "program_id", "Program_id=1", "program_id[]=1", "id=1"] {
        app.api(query).await.refused(400, WHOLE);
    }
}

#[tokio::test]
async fn a_program_that_is_not_there() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for id in [1234_u64, 9_223_372_036_854_775_807] {
        let sentence = format!("Program {id} does not exist or you have no access to it.");
        app.api(&format!("program_id={id}"))
            .await
            .refused(404, &sentence);
    }
}

#[tokio::test]
async fn what_should_come_once_and_comes_twice_is_named() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for (query, name) in [
        ("program_id=1&program_id=2", "program_id"),
        ("program_id=1&program_id=1", "program_id"),
        ("program_id=1&program_%69d=1", "program_id"),
        ("program_id=1&function=Main&function=Other", "function"),
        ("program_id=1&function=Main&function=", "function"),
        ("program_id=1&run_async=True&run_async=False", "run_async"),
        ("program_id=1&run_async&run_async", "run_async"),
    ] {
        let sentence = format!("The parameter `{name}` was given more than once.");
        app.api(query).await.refused(400, &sentence);
    }
    let form = "application/x-www-form-urlencoded";
    with_body(&app, "program_id=1", form, "program_id=1")
        .await
        .refused(400, "The parameter `program_id` was given more than once.");
    with_body(
        &app,
        "program_id=1&run_async=0",
        "application/json",
        r#"{"run_async":false}"#,
    )
    .await
    .refused(400, "The parameter `run_async` was given more than once.");
    for (body, name) in [
        (r#"{"program_id":1,"program_id":2}"#, "program_id"),
        (
            r#"{"program_id":1,"function":"A","functio\u006e":"B"}"#,
            "function",
        ),
    ] {
        let sentence = format!("The parameter `{name}` was given more than once.");
        with_body(&app, "", "application/json", body)
            .await
            .refused(400, &sentence);
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn run_async_is_a_boolean_in_any_spelling() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for text in [
        "True", "true", "TRUE", "1", "yes", "Yes", "on", "ON", "%74rue",
    ] {
        let answer = app.api(&format!("program_id=1&run_async={text}")).await;
        app.ended(answer.started()).await;
    }
    for text in ["False", "false", "FALSE", "0", "no", "No", "off", "OFF", ""] {
        let answer = app.api(&format!("program_id=1&run_async={text}")).await;
        answer.finished(SHOWN);
    }
    app.api("program_id=1&run_async").await.finished(SHOWN);
}

#[tokio::test]
async fn any_other_run_async_is_quoted() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let long = "x".repeat(200);
    let cut = format!("{}…", "x".repeat(80));
    for (sent, quoted) in [
        ("2", "2"),
        ("-1", "-1"),
        ("y", "y"),
        ("t", "t"),
        ("none", "none"),
        ("null", "null"),
        ("+", " "),
        ("True+", "True "),
        ("tru%65%0a", r"true\u{a}"),
        ("%22%5c", r#""\"#),
        ("%00%1b", r"\u{0}\u{1b}"),
        ("%D1%8F", "я"),
        (&long, &cut),
    ] {
        let sentence = format!("The parameter `run_async` must be true or false, not `{quoted}`.");
        app.api(&format!("program_id=1&run_async={sent}"))
            .await
            .refused(400, &sentence);
    }
    app.api("program_id=1&run_async=%ff")
        .await
        .refused(400, "The parameter `run_async` is not valid UTF-8.");
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn what_is_not_known_is_passed_over() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for rest in [
        "?",
        "&",
        "&&&",
        "&=x",
        "&=",
        "&other=1&other=2",
        "&Variables=a",
        "&variables[]=a",
        "&variables[0]=a",
        "&utm_source=mail&fbclid=1",
        "&%ff=1",
        "&unknown=%ff",
        "&__proto__=1",
        "&function",
        "&function=",
    ] {
        let query = match rest {
            "?" => format!("/api?api_key={KEY}&program_id=1&x=?"),
            rest => format!("/api?&&api_key={KEY}&program_id=1{rest}"),
        };
        app.request("POST", &query).await.finished(SHOWN);
    }
}

#[tokio::test]
async fn get_and_post_are_the_same() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let target = format!("/api?api_key={KEY}&program_id=1&variables=a");
    let shown = r#"[["First","a"],["Second","two"],["Third","three"]]"#;
    app.request("GET", &target).await.finished(shown);
    app.request("POST", &target).await.finished(shown);
    let wrong = format!("/api?api_key={KEY}&program_id=x");
    app.request("GET", &wrong).await.refused(400, WHOLE);
}

#[tokio::test]
async fn the_spellings_of_the_clients_of_2019() {
    let program = ECHO.replace("Main:", "My Function:");
    let app = TestApp::new(&[("echo.yaml", &program)]).await;
    let shown = r#"[["First","Foo"],["Second","Bar"],["Third","three"]]"#;
    for query in [
        // The page's own.
        "api_key=K&program_id=1&variables=Foo&variables=Bar&function=My%20Function&run_async=False",
        "&api_key=K&program_id=1&variables=Foo&variables=Bar&function=My+Function",
        // Python 0.0.2.
        "api_key=K&program_id=1&run_async=False&variables=Foo&variables=Bar&function=My+Function",
        // JavaScript 0.0.8.
        "api_key=K&program_id=1&variables=Foo&variables=Bar&function=My%20Function",
    ] {
        let target = format!("/api?{}", query.replace("=K", &format!("={KEY}")));
        let request = Request::post(&target).header("x-wayscript-api", "python");
        app.send(request.body(Body::empty()).unwrap())
            .await
            .finished(shown);
        let request = Request::post(&target)
            .header("x-wayscript-api", "javascript")
            .header("content-type", "application/json")
            .header("content-length", "0");
        app.send(request.body(Body::empty()).unwrap())
            .await
            .finished(shown);
    }
    // JavaScript up to 0.0.5 joined them, and got what it sent.
    let joined = format!("program_id=1&variables={}", "one%2Ctwo%26,three%3F");
    app.api(&joined)
        .await
        .finished(r#"[["First","one,two&,three?"],["Second","two"],["Third","three"]]"#);
}

#[tokio::test]
async fn a_form_or_json_body_holds_parameters_too() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    let shown = r#"[["First","a b"],["Second",""],["Third","c"]]"#;
    for (query, kind, body) in [
        (
            "",
            form,
            "program_id=1&variables=a+b&variables=&variables=c",
        ),
        (
            "program_id=1",
            form,
            "variables=a%20b&variables=&variables=c",
        ),
        // The query's values come before the body's.
        ("program_id=1&variables=a+b", form, "variables=&variables=c"),
        (
            "",
            "Application/X-WWW-Form-URLencoded; charset=UTF-8",
            "program_id=1&variables=a+b&variables=&variables=c",
        ),
        ("", json, r#"{"program_id":1,"variables":["a b","","c"]}"#),
        (
            "",
            json,
            r#"{"program_id":"1","function":"Main","run_async":false,"variables":["a b","","c"]}"#,
        ),
        (
            "variables=a+b",
            json,
            r#"{"program_id":1,"function":null,"run_async":null,"other":{"x":[1]},"variables":["","c"]}"#,
        ),
    ] {
        with_body(&app, query, kind, body).await.finished(shown);
    }
    let one = with_body(&app, "program_id=1", json, r#"{"variables":"x"}"#).await;
    one.finished(r#"[["First","x"],["Second","two"],["Third","three"]]"#);
    let twice = r#"{"variables":["x"],"variables":["y","z"]}"#;
    let answer = with_body(&app, "program_id=1", json, twice).await;
    answer.finished(r#"[["First","x"],["Second","y"],["Third","z"]]"#);
    for none in [r#"{"variables":[]}"#, r#"{"variables":null}"#, "{}"] {
        let answer = with_body(&app, "program_id=1", json, none).await;
        answer.finished(SHOWN);
    }
    let started = with_body(&app, "", json, r#"{"program_id":1,"run_async":true}"#).await;
    app.ended(started.started()).await;
}

#[tokio::test]
async fn a_body_of_another_type_is_passed_over() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let garbage = vec![0xff_u8; 64 << 10];
    for kind in [
        "text/plain",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "",
    ] {
        with_body(&app, "program_id=1", kind, garbage.clone())
            .await
            .finished(SHOWN);
    }
    for kind in ["application/json", "application/x-www-form-urlencoded"] {
        with_body(&app, "program_id=1", kind, "")
            .await
            .finished(SHOWN);
    }
    let request = Request::post(format!("/api?api_key={KEY}&program_id=1"))
        .body(garbage.into())
        .unwrap();
    app.send(request).await.finished(SHOWN);
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_refused() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    let object = "The body must be a JSON object with the parameters in it.";
    let utf8 = "The body is not valid UTF-8.";
    for (kind, body, sentence) in [
        (json, &b"[]"[..], object),
        (json, b"\"program_id=1\"", object),
        (json, b"null", object),
        (json, b"{\"a\":\"\xff\"}", utf8),
        (form, b"variables=\xff", utf8),
        (
            json,
            b"{\"variables\":[\"a\"",
            "The body is not JSON: EOF while parsing a list at line 1 column 17.",
        ),
        (
            json,
            b"api_key=1",
            "The body is not JSON: expected value at line 1 column 1.",
        ),
    ] {
        with_body(&app, "program_id=1", kind, body)
            .await
            .refused(400, sentence);
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn a_body_larger_than_the_setting_is_refused() {
    let app = TestApp::with(&[("echo.yaml", ECHO)], &["--max-body", "100B"]).await;
    with_body(&app, "program_id=1", "text/plain", "x".repeat(100))
        .await
        .finished(SHOWN);
    with_body(&app, "program_id=1", "text/plain", "x".repeat(101))
        .await
        .refused(413, "The request body is larger than 100 bytes.");
}

#[tokio::test]
async fn names_in_sentences_are_cut_and_made_visible() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let name = format!("\u{1b}[31m\n{}", "я".repeat(150));
    let answer = app
        .api(&format!("program_id=1&function={}", encoded(name)))
        .await;
    let shown = format!(r"\u{{1b}}[31m\u{{a}}{}…", "я".repeat(74));
    let sentence =
        format!("There is no function `{shown}`. The functions that can be run: `Main`.");
    answer.refused(404, &sentence);
    let long = "x".repeat(201);
    app.api(&format!("program_id=1&function={long}"))
        .await
        .refused(
            400,
            "The parameter `function` is longer than 200 characters.",
        );
}
