//! What is kept of runs that have ended, and for how long.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::Path;
use std::sync::Arc;

use support::TestApp;
use waystation::retention;
use waystation::store::sqlite::{Options, Sqlite};
use waystation::store::{Filter, Keep, Pruned, RunId, State};

const DAY: i64 = 24 * 3600 * 1_000_000;

const ECHO: &str = r#"id: 1
name: Echo
functions:
  Main:
    triggers: [webhook: {outputs: {Text: ''}}]
    steps:
      - print: "{{ Text }}"
  Wait:
    triggers: [webhook]
    steps:
      - sleep: 30d
"#;

async fn served(path: &Path, keep: &str) -> TestApp {
    let store = Arc::new(Sqlite::open(path, Options::default()).unwrap());
    TestApp::on(store, &[("echo.yaml", ECHO)], &["--keep", keep]).await
}

/// Calls with a text, and gives the run.
async fn call(app: &TestApp, text: &str) -> RunId {
    let answer = app
        .api(&format!("program_id=1&function=Main&variables={text}"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.header("waystation-run").parse().unwrap()
}

async fn kept(app: &TestApp) -> Vec<RunId> {
    let all = Filter {
        limit: 10_000,
        ..Filter::default()
    };
    let runs = app.app.store.runs(all).await.unwrap();
    runs.into_iter().map(|run| run.id).collect()
}

/// Has the file have what the file beside it has.
fn written_out(path: &Path) -> u64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
    path.metadata().unwrap().len()
}

#[tokio::test]
async fn the_oldest_go_where_there_is_too_much_and_the_file_becomes_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let app = served(&path, "1MB").await;
    let waiting = app.api("program_id=1&function=Wait&run_async=true").await;
    let waiting: RunId = waiting.header("waystation-run").parse().unwrap();
    let mut called = Vec::new();
    for _ in 0..600 {
        called.push(call(&app, &"x".repeat(1_500)).await);
    }
    let before = written_out(&path);
    assert!(before > 2_000_000, "{before}");
    let first = app.app.store.prune(app.app.config.keep, 0).await.unwrap();
    assert!(first.bytes > 200_000, "{first:?}");
    let rest = retention::prune(&app.app).await.unwrap();
    let kept = kept(&app).await;
    let after = written_out(&path);
    assert!(after <= 1_000_000, "{after}");
    assert_eq!(first.bytes + rest.bytes, before - after);
    let gone = called.len() + 1 - kept.len();
    assert_eq!((first.runs + rest.runs) as usize, gone);
    // Those that are left are the newest, and the oldest of all, which has not ended.
    called.reverse();
    let mut expected = called[..kept.len() - 1].to_vec();
    expected.push(waiting);
    assert_eq!(kept, expected);
    assert!(kept.len() > 100, "{}", kept.len());
    app.app.store.check().await.unwrap();
    // Nothing is left to do.
    assert_eq!(retention::prune(&app.app).await.unwrap(), Pruned::default());
}

#[tokio::test]
async fn a_run_goes_when_it_has_been_kept_so_long_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let app = served(&folder.path().join("r.db"), "everything").await;
    let run = call(&app, "a").await;
    let ended = app
        .app
        .store
        .run(run)
        .await
        .unwrap()
        .unwrap()
        .summary
        .ended_at;
    let keep = Keep {
        bytes: None,
        time: Some(30 * DAY),
    };
    let at = |time| app.app.store.prune(keep, ended.unwrap() + time);
    assert_eq!(at(30 * DAY).await.unwrap(), Pruned::default());
    assert_eq!(kept(&app).await, [run]);
    assert_eq!(at(30 * DAY + 1).await.unwrap().runs, 1);
    assert_eq!(kept(&app).await, []);
    let log = app.app.store.log(run, 0).await.unwrap_err();
    assert_eq!(log.to_string(), format!("there is no run {run}"));
}

#[tokio::test]
async fn a_run_that_was_named_stays_as_long_as_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let app = served(&folder.path().join("r.db"), "everything").await;
    let request = axum::http::Request::builder()
        .method("POST")
        .uri(format!(
            "/api?api_key={}&program_id=1&function=Main&variables=a",
            support::KEY
        ))
        .header("idempotency-key", "first")
        .body(axum::body::Body::empty());
    let named = app.send(request.unwrap()).await;
    let named: RunId = named.header("waystation-run").parse().unwrap();
    let plain = call(&app, "b").await;
    let ended = app
        .app
        .store
        .run(plain)
        .await
        .unwrap()
        .unwrap()
        .summary
        .ended_at;
    let keep = Keep {
        bytes: None,
        time: Some(1),
    };
    let pruned = app
        .app
        .store
        .prune(keep, ended.unwrap() + DAY - 1_000_000)
        .await;
    assert_eq!(pruned.unwrap().runs, 1);
    assert_eq!(kept(&app).await, [named]);
    let pruned = app.app.store.prune(keep, ended.unwrap() + DAY + 1).await;
    assert_eq!(pruned.unwrap().runs, 1);
    assert_eq!(kept(&app).await, []);
}

#[tokio::test]
async fn everything_of_a_run_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let app = served(&path, "everything").await;
    let run = app.api("program_id=1&function=Wait&run_async=true").await;
    let run: RunId = run.header("waystation-run").parse().unwrap();
    support::until(async || {
        let found = app.app.store.run(run).await.unwrap().unwrap();
        (found.summary.state == State::Waiting).then_some(())
    })
    .await;
    let now = waystation::now();
    app.app
        .store
        .cancel(run, now, "{}".to_owned())
        .await
        .unwrap();
    let keep = Keep {
        bytes: None,
        time: Some(1),
    };
    assert_eq!(app.app.store.prune(keep, now + DAY).await.unwrap().runs, 1);
    let connection = rusqlite::Connection::open(&path).unwrap();
    for table in [
        "runs",
        "queue",
        "journal",
        "log_pieces",
        "idempotency",
        "fires",
    ] {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn what_is_kept_is_said_as_a_size_a_time_or_both() {
    let keep = |text: &str| support::config(&["--keep", text]).keep;
    let bytes = Some(10_000_000_000);
    let time = Some(30 * DAY);
    assert_eq!(support::config(&[]).keep, Keep { bytes, time });
    assert_eq!(keep("30d, 10GB"), Keep { bytes, time });
    assert_eq!(keep("10GB"), Keep { bytes, time: None });
    assert_eq!(keep("30d"), Keep { bytes: None, time });
    assert_eq!(keep("everything"), Keep::default());
    let command = support::TestCommand::new(&[]);
    for (text, why) in [
        (
            "30",
            "write a size, a time or both, such as `10GB,30d`, or `everything`",
        ),
        (
            "30d,1h",
            "write a size, a time or both, such as `10GB,30d`, or `everything`",
        ),
        ("10KB", "write a size of 1MB or more"),
    ] {
        let ran = command.run(&["serve", "--keep", text]);
        let expected = format!(
            "error: invalid value '{text}' for '--keep <SIZE,TIME>': {why}\n\nFor more information, try '--help'.\n"
        );
        ran.is(2, "", &expected);
    }
}
