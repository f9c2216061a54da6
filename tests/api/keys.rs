//! The key: where it may stand, and what none is.

use axum::body::Body;
use axum::http::{Request, request};

use super::ECHO;
use super::support::{KEY, TestApp};

const SHOWN: &str = r#"[["First","one"],["Second","two"],["Third","three"]]"#;

/// A key of the right form that nobody has.
const UNKNOWN: &str = "b23456789-b23456789-c23456789-d23456789-e23";

fn post(target: &str) -> request::Builder {
    Request::post(target)
}

#[tokio::test]
async fn it_may_stand_in_the_query_a_header_or_a_body() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let form = "application/x-www-form-urlencoded";
    let requests = [
        post(&format!("/api?api_key={KEY}&program_id=1")).body(Body::empty()),
        post(&format!("/api?program_id=1&api_key={KEY}")).body(Body::empty()),
        post(&format!("/api?program_id=1&%61pi_%6bey={KEY}")).body(Body::empty()),
        post("/api?program_id=1")
            .header("authorization", format!("Bearer {KEY}"))
            .body(Body::empty()),
        post("/api?program_id=1")
            .header("authorization", format!("bearer {KEY}"))
            .body(Body::empty()),
        post("/api?program_id=1")
            .header("x-api-key", KEY)
            .body(Body::empty()),
        post("/api?program_id=1")
            .header("content-type", form)
            .body(format!("api_key={KEY}").into()),
        post("/api")
            .header("content-type", form)
            .body(format!("api_key={KEY}&program_id=1").into()),
        post("/api")
            .header("content-type", "application/json; charset=utf-8")
            .body(format!(r#"{{"api_key":"{KEY}","program_id":1}}"#).into()),
        // A proxy's own password beside it is not ours to judge.
        post(&format!("/api?api_key={KEY}&program_id=1"))
            .header("authorization", "Basic Zm9vOmJhcg==")
            .body(Body::empty()),
    ];
    for request in requests {
        app.send(request.unwrap()).await.finished(SHOWN);
    }
}

#[tokio::test]
async fn the_same_key_may_come_again() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let twice = format!("/api?api_key={KEY}&program_id=1&api_key={KEY}");
    app.request("POST", &twice).await.finished(SHOWN);
    let everywhere = post(&twice)
        .header("authorization", format!("Bearer {KEY}"))
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(format!(r#"{{"api_key":"{KEY}"}}"#).into())
        .unwrap();
    app.send(everywhere).await.finished(SHOWN);
}

#[tokio::test]
async fn what_is_no_key_of_ours_is_told_in_28_bytes() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let short = &KEY[..42];
    let queries = [
        "program_id=1".to_owned(),
        "program_id=1&api_key".to_owned(),
        "program_id=1&api_key=".to_owned(),
        format!("program_id=1&api_key={UNKNOWN}"),
        format!("program_id=1&api_key={short}"),
        format!("program_id=1&api_key={KEY}3"),
        format!("program_id=1&api_key={short}%2B"),
        format!("program_id=1&api_key={short}+"),
        format!("program_id=1&api_key={short}%2F"),
        format!("program_id=1&api_key={short}/"),
        format!("program_id=1&api_key={short}="),
        format!("program_id=1&api_key={short}."),
        format!("program_id=1&api_key={short}%00"),
        format!("program_id=1&api_key={KEY}%00"),
        format!("program_id=1&api_key=%D0%B0{}", &KEY[1..]),
        format!("program_id=1&api_key=%D0%B0{}", &KEY[2..]),
        format!("program_id=1&api_key=%20{KEY}"),
        format!("program_id=1&api_key=+{KEY}"),
        format!("program_id=1&api_key={KEY}%20"),
        format!("program_id=1&api_key={KEY}%0a"),
        format!("program_id=1&api_key=%ff{}", &KEY[1..]),
        format!("program_id=1&api_key={}", KEY.to_uppercase()),
        format!("program_id=1&api_key='{KEY}'"),
        format!("program_id=1&API_KEY={KEY}"),
        format!("program_id=1&api_key[]={KEY}"),
        "program_id=1&api_key='%20OR%20'1'='1".to_owned(),
        "program_id=1&api_key=*".to_owned(),
        "program_id=1&api_key=%25".to_owned(),
        "program_id=1&api_key=%7B%22$ne%22:null%7D".to_owned(),
        "program_id=1&api_key=true".to_owned(),
        format!("program_id=1&api_key={KEY}&api_key={UNKNOWN}"),
        format!("program_id=1&api_key={UNKNOWN}&api_key={KEY}"),
        format!("program_id=1&api_key={KEY}&api_key="),
        format!("program_id=1&api_key={KEY}&api_key=%ff"),
    ];
    for query in queries {
        let answer = app.request("POST", &format!("/api?{query}")).await;
        let answer = answer.refused(401, "Invalid API key.");
        assert_eq!(answer.body.len(), 28, "{query}");
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn a_bad_key_beside_a_good_one_is_refused_wherever_it_stands() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let good = format!("/api?api_key={KEY}&program_id=1");
    let bearer = |key: &str| format!("Bearer {key}");
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    let requests = [
        post(&good)
            .header("authorization", bearer(UNKNOWN))
            .body(Body::empty()),
        post(&good)
            .header("authorization", bearer(&KEY[..42]))
            .body(Body::empty()),
        post(&good)
            .header("authorization", bearer(KEY))
            .header("authorization", bearer(UNKNOWN))
            .body(Body::empty()),
        post(&good).header("x-api-key", UNKNOWN).body(Body::empty()),
        post(&good).header("x-api-key", "").body(Body::empty()),
        post(&good)
            .header("x-api-key", &b"\xff"[..])
            .body(Body::empty()),
        post(&good)
            .header("content-type", form)
            .body(format!("api_key={UNKNOWN}").into()),
        post(&good)
            .header("content-type", form)
            .body("api_key=%ff".into()),
        post(&good)
            .header("content-type", json)
            .body(format!(r#"{{"api_key":"{UNKNOWN}"}}"#).into()),
        post(&good)
            .header("content-type", json)
            .body(r#"{"api_key":true}"#.into()),
        post("/api?program_id=1")
            .header("content-type", json)
            .body(format!(r#"{{"api_key":"{UNKNOWN}","api_key":"{KEY}"}}"#).into()),
    ];
    for request in requests {
        app.send(request.unwrap())
            .await
            .refused(401, "Invalid API key.");
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn it_is_looked_for_nowhere_else() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let multipart = format!(
        "--x\r\nContent-Disposition: form-data; name=\"api_key\"\r\n\r\n{KEY}\r\n--x--\r\n"
    );
    let requests = [
        post("/api?program_id=1")
            .header("cookie", format!("api_key={KEY}"))
            .body(Body::empty()),
        post("/api?program_id=1")
            .header("authorization", KEY)
            .body(Body::empty()),
        post("/api?program_id=1")
            .header("authorization", format!("Basic {KEY}"))
            .body(Body::empty()),
        post("/api?program_id=1")
            .header("content-type", "multipart/form-data; boundary=x")
            .body(multipart.into()),
        post("/api?program_id=1").body(format!("api_key={KEY}").into()),
        post("/api?program_id=1")
            .header("content-type", "text/plain")
            .body(format!("api_key={KEY}").into()),
    ];
    for request in requests {
        app.send(request.unwrap())
            .await
            .refused(401, "Invalid API key.");
    }
}

#[tokio::test]
async fn nobody_without_one_learns_what_else_is_wrong() {
    let app = TestApp::new(&[("echo.yaml", ECHO)]).await;
    let broken = post("/api?program_id=x")
        .header("content-type", "application/json")
        .body("{".into())
        .unwrap();
    app.send(broken).await.refused(401, "Invalid API key.");
}
