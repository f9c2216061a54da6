//! What runs wrote.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::support::KEY;
use crate::{app, begin, get, json, post, problem, until};

#[tokio::test]
async fn a_log_comes_in_pages_and_as_text() {
    let app = app().await;
    let answer = post(&app, "/v1/programs/1/runs", "").await;
    let run = answer.header("waystation-run");
    let page = json(&get(&app, &format!("/v1/runs/{run}/log")).await);
    assert_eq!(page["next"], serde_json::Value::Null);
    let line = &page["lines"][0];
    assert_eq!(
        (
            &line["text"],
            &line["stream"],
            &line["step"],
            &line["function"]
        ),
        (
            &"Hello, World".into(),
            &"print".into(),
            &"1".into(),
            &"Main".into()
        )
    );
    let text = get(&app, &format!("/v1/runs/{run}/log.txt")).await;
    text.is(200, "Hello, World\n");
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    let answer = get(&app, &format!("/v1/runs/{run}/log?after=x")).await;
    problem(&answer, 400, "bad_request");
}

#[tokio::test]
async fn a_log_is_followed_to_its_end_and_from_where_one_left_off() {
    let app = app().await;
    let run = begin(&app, 3).await;
    until(&app, &run, "waiting").await;
    let request = |last: &str| {
        Request::get(format!("/v1/runs/{run}/log"))
            .header("authorization", format!("Bearer {KEY}"))
            .header("accept", "text/event-stream")
            .header("last-event-id", last)
            .body(Body::empty())
            .unwrap()
    };
    let router = waystation::http::routes(app.app.clone());
    let response = router.clone().oneshot(request("")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body();
    let mut next = async || {
        let frame = stream.frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    };
    let first = next().await.unwrap();
    assert!(
        first.starts_with("event: log\nretry: 2000\ndata: [{\"at\":"),
        "{first}"
    );
    assert!(
        first.contains(r#""text":"begins"}]"#) && first.ends_with("\nid: 1\n\n"),
        "{first}"
    );
    post(&app, &format!("/v1/runs/{run}/cancel"), "").await;
    let last = "event: end\ndata: {\"state\":\"cancelled\"}\n\n";
    assert_eq!(next().await.as_deref(), Some(last));
    assert_eq!(next().await, None);
    let response = router.oneshot(request("1")).await.unwrap();
    let all = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(all, last);
}
