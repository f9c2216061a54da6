//! Methods, browsers and other addresses.

use axum::body::Body;
use axum::http::Request;

use super::ECHO;
use super::support::{KEY, TestApp};

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_taken() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for method in [
        "PUT", "DELETE", "PATCH", "TRACE", "FOO", "get", "post", "QUERY",
    ] {
        for key in [KEY, "bad"] {
            let target = format!("/api?api_key={key}&program_id=1");
            let answer = app.request(method, &target).await;
            answer.refused(405, "This address takes GET and POST requests only.");
            assert_eq!(answer.header("allow"), "GET, POST, OPTIONS", "{method}");
        }
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn head_runs_nothing_and_gets_no_body() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let target = format!("/api?api_key={KEY}&program_id=1");
    let answer = app.request("HEAD", &target).await;
    answer.headed().is(405, "");
    assert_eq!(answer.header("allow"), "GET, POST, OPTIONS");
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn a_browser_may_call_from_anywhere() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for origin in ["null", "https://example.com", "file://"] {
        let preflight = Request::options("/api")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "content-type,x-wayscript-api",
            )
            .header("access-control-request-private-network", "true");
        let answer = app.send(preflight.body(Body::empty()).unwrap()).await;
        answer.is(204, "");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, POST, OPTIONS"),
            (
                "access-control-allow-headers",
                "authorization, content-type, x-api-key, x-wayscript-api, idempotency-key, prefer",
            ),
            ("access-control-max-age", "600"),
            ("access-control-allow-credentials", ""),
            ("access-control-allow-private-network", ""),
            ("content-type", ""),
            ("waystation-run", ""),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn a_preflight_of_the_whole_address_runs_nothing() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let target = format!("/api?api_key={KEY}&program_id=1");
    app.request("OPTIONS", &target).await.is(204, "");
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn errors_can_be_read_by_a_page_of_any_origin() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for origin in ["null", "https://example.com"] {
        let request = Request::post("/api?program_id=1").header("origin", origin);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        answer.refused(401, "Invalid API key.");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn there_is_nothing_at_other_addresses() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    for path in [
        "/",
        "/api/",
        "/API",
        "/api/1",
        "/api%2f",
        "//api",
        "/p/../api",
        "/%61pi",
    ] {
        let answer = app
            .request("POST", &format!("{path}?api_key={KEY}&program_id=1"))
            .await;
        answer.refused(404, "There is nothing at this address.");
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn an_upgrade_or_a_forwarded_address_changes_nothing() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let shown = r#"[["First","one"],["Second","two"],["Third","three"]]"#;
    let upgrade = Request::get(format!("/api?api_key={KEY}&program_id=1"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::empty());
    app.send(upgrade.unwrap()).await.finished(shown);
    let forwarded = Request::post("/api?program_id=1")
        .header("x-forwarded-for", "127.0.0.1")
        .body(Body::empty());
    app.send(forwarded.unwrap())
        .await
        .refused(401, "Invalid API key.");
}
