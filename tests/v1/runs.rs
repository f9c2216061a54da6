//! Runs are looked at, and run again.

use crate::{app, begin, get, json, post, problem, until};

#[tokio::test]
async fn a_run_is_shown_whole() {
    let app = app().await;
    let body = r#"{"variables": ["Ann"]}"#;
    let answer = post(&app, "/v1/programs/1/runs", body).await;
    let id = answer.header("waystation-run").to_owned();
    let run = json(&get(&app, &format!("/v1/runs/{id}")).await);
    assert_eq!(run["id"], *id);
    assert_eq!(run["program"]["id"], 1);
    assert_eq!(run["program"]["name"], "Greet");
    assert_eq!((&run["version"], &run["log_lines"]), (&1.into(), &1.into()));
    assert_eq!(run["state"], "succeeded");
    assert_eq!(run["trigger"], "api");
    assert_eq!(run["variables"].to_string(), r#"{"Name":"Ann","Times":1}"#);
    assert_eq!(
        run["result"].to_string(),
        r#"{"Greeting":"Hello, Ann","Twice":2}"#
    );
    let time = |name: &str| {
        run[name]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert!(time("created_at") <= time("started_at") && time("started_at") <= time("ended_at"));
    assert!(run["ms"].as_f64().unwrap() >= 0.0);
    for other in ["x", "01a2135a-ad90-7134-bce0-ad9c7fb8b899"] {
        problem(
            &get(&app, &format!("/v1/runs/{other}")).await,
            404,
            "not_found",
        );
    }
}

#[tokio::test]
async fn runs_are_listed_in_pages_and_filtered() {
    let app = app().await;
    let mut ids = Vec::new();
    for program in [1, 2, 1, 1, 2] {
        let answer = post(&app, &format!("/v1/programs/{program}/runs"), "").await;
        ids.insert(0, answer.header("waystation-run").to_owned());
    }
    let listed = async |query: &str| {
        let page = json(&get(&app, &format!("/v1/runs?{query}")).await);
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
        let items: Vec<String> = items
            .iter()
            .map(|run| run["id"].as_str().unwrap().to_owned())
            .collect();
        (items, page["next"].clone())
    };
    let (all, next) = listed("").await;
    assert_eq!((&all, next.is_null()), (&ids, true));
    let (first, next) = listed("limit=2").await;
    assert_eq!(first, ids[..2]);
    let (second, next) = listed(&format!("limit=2&cursor={}", next.as_str().unwrap())).await;
    assert_eq!(second, ids[2..4]);
    let (last, next) = listed(&format!("limit=2&cursor={}", next.as_str().unwrap())).await;
    assert_eq!((last.as_slice(), next.is_null()), (&ids[4..], true));
    let failed = vec![ids[0].clone(), ids[3].clone()];
    for query in ["program=2", "state=failed", "reason=error"] {
        assert_eq!(listed(query).await.0, failed, "{query}");
    }
    assert_eq!(
        listed("function=Main&trigger=api&from=2020-01-01T00:00:00Z")
            .await
            .0,
        ids
    );
    for query in [
        "to=2020-01-01T00:00:00Z",
        "function=Plain",
        "state=waiting",
        "trigger=webhook",
    ] {
        assert_eq!(listed(query).await.0, Vec::<String>::new(), "{query}");
    }
    for (query, detail) in [
        ("state=done", "`state` cannot be `done`."),
        ("limit=0", "`limit` cannot be `0`."),
        ("limit=201", "`limit` cannot be `201`."),
        ("from=yesterday", "`from` cannot be `yesterday`."),
        ("cursor=x", "`cursor` cannot be `x`."),
        (
            "page=2",
            "There is no parameter `page`; there are `program`, `state`, `function`, `trigger`, `reason`, `from`, `to`, \
             `cursor` and `limit`.",
        ),
    ] {
        let answer = get(&app, &format!("/v1/runs?{query}")).await;
        assert_eq!(problem(&answer, 400, "bad_request")["detail"], detail);
    }
}

#[tokio::test]
async fn a_run_is_run_again_with_what_it_was_given() {
    let app = app().await;
    let body = r#"{"variables": {"Name": "Bob", "Times": 3}}"#;
    let first = post(&app, "/v1/programs/1/runs", body).await;
    let id = first.header("waystation-run");
    let again = post(&app, &format!("/v1/runs/{id}/rerun"), "").await;
    assert_ne!(again.header("waystation-run"), id);
    assert_eq!(json(&again)["result"], json(&first)["result"]);
    let long = begin(&app, 3).await;
    until(&app, &long, "waiting").await;
}
