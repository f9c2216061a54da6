//! What is counted of the server, as Prometheus reads it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use axum::body::Body;
use axum::http::Request;
use support::{Answer, KEY, TestApp};

const PROGRAM: &str = r"id: 7
name: Seven
functions:
  Main:
    triggers: [webhook: {outputs: {Fail: false}}]
    steps:
      - assert: not Fail
";

async fn get(app: &TestApp, path: &str) -> Answer {
    let request = Request::get(path).header("authorization", format!("Bearer {KEY}"));
    app.send(request.body(Body::empty()).unwrap()).await
}

/// The metrics, without the values of those that differ from run to run.
async fn metrics(app: &TestApp) -> Vec<String> {
    let answer = get(app, "/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), kind);
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    answer.body.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn requests_and_runs_are_counted() {
    let app = TestApp::new(&[("seven.yaml", PROGRAM)]).await;
    for values in ["", "&variables=false", "&variables=true"] {
        app.api(&format!("program_id=7{values}")).await;
    }
    get(&app, "/v1/runs/01900000-0000-7000-8000-000000000000").await;
    get(&app, "/v1/runs/x/steps/1").await;
    get(&app, "/nowhere/secret").await;
    let lines = metrics(&app).await;
    let requests = "http_server_request_duration_seconds_count";
    let expected = [
        r#"waystation_runs_ended_total{program="7",state="succeeded",reason=""} 2"#,
        r#"waystation_runs_ended_total{program="7",state="failed",reason="error"} 1"#,
        "waystation_run_duration_seconds_count 3",
        "waystation_run_delay_seconds_count 3",
        "waystation_runs_running 0",
        "waystation_runs_queued 0",
        "waystation_calls_waiting 0",
        &format!(
            r#"{requests}{{http_request_method="POST",http_route="/api",http_response_status_code="200"}} 2"#
        ),
        &format!(
            r#"{requests}{{http_request_method="POST",http_route="/api",http_response_status_code="500"}} 1"#
        ),
        &format!(
            r#"{requests}{{http_request_method="GET",http_route="/v1/runs/{{run}}",http_response_status_code="404"}} 1"#
        ),
        &format!(
            r#"{requests}{{http_request_method="GET",http_route="/v1/runs/{{run}}/steps/{{step}}",http_response_status_code="404"}} 1"#
        ),
        &format!(
            r#"{requests}{{http_request_method="GET",http_route="",http_response_status_code="404"}} 1"#
        ),
        "# TYPE process_cpu_seconds counter",
        "# UNIT process_resident_memory_bytes bytes",
    ];
    for line in expected {
        assert!(
            lines.iter().any(|found| found == line),
            "{line}\n{lines:#?}"
        );
    }
    let of = |name: &str| {
        let value = lines.iter().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().parse::<f64>().unwrap()
    };
    assert!(of("process_resident_memory_bytes") > 1e6);
    assert!(of("process_cpu_seconds_total") >= 0.0);
    assert!(of("process_open_fds") >= 3.0);
    // In 2020 and later, and not in the future.
    let started = of("process_start_time_seconds");
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs_f64();
    assert!(started > 1.577e9 && started <= now + 1.0, "{started} {now}");
}

#[tokio::test]
async fn only_who_has_the_key_sees_them() {
    let app = TestApp::new(&[]).await;
    let answer = app.request("GET", "/metrics").await;
    assert_eq!(answer.status, 401);
}
