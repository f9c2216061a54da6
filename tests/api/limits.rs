//! Too many calls, a full queue, a server that stops, a full disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use waystation::store::sqlite::{Options, Sqlite};
use waystation::store::{RECORD, State, Store};

use super::support::{KEY, TestApp, TestCommand, TestServer, until};
use super::{ECHO, ENDLESS, NO_END};

const SHOWN: &str = r#"[["First","one"],["Second","two"],["Third","three"]]"#;
const PROGRAMS: [(&str, &str); 2] = [("echo.yaml", ECHO), ("endless.yaml", ENDLESS)];

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_in_line_and_one_too_many_is_sent_away() {
    let flags = [&NO_END[..], &["--max-running", "1", "--max-waiting", "1"]].concat();
    let app = TestApp::with(&PROGRAMS, &flags).await;
    let (endless, waiting, ()) = tokio::join!(
        app.api("program_id=2"),
        async {
            app.at_work(1).await;
            app.api("program_id=1").await
        },
        async {
            app.at_work(1).await;
            let look = async || (app.app.waiting.load(Ordering::Relaxed) == 1).then_some(());
            until(look).await;
            for _ in 0..3 {
                let answer = app.api("program_id=1").await;
                answer.refused(429, "Too many calls are waiting. Try again in 1 second.");
                assert_eq!(answer.header("retry-after"), "1");
            }
            app.cancel();
        }
    );
    assert_eq!(endless.status, 500);
    waiting.finished(SHOWN);
    assert_eq!(app.runs().await.len(), 2);
}

#[tokio::test]
async fn looking_for_runs_takes_no_place_from_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    let flags = ["--max-running", "1", "--max-waiting", "0"];
    let app = TestApp::on(Arc::new(store), &PROGRAMS, &flags).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    app.app.wake.notify_one();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let (answer, ()) = tokio::join!(app.api("program_id=1"), async {
        other.execute_batch("ROLLBACK").unwrap();
    });
    answer.finished(SHOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_in_line_longer_than_a_caller_waits() {
    let flags = [&NO_END[..], &["--max-running", "1", "--wait", "50ms"]].concat();
    let app = TestApp::with(&PROGRAMS, &flags).await;
    app.api("program_id=2").await.run();
    let answer = app.api("program_id=1").await;
    answer.refused(429, "Too many calls are waiting. Try again in 1 second.");
    assert_eq!(answer.header("retry-after"), "1");
    app.cancel();
    app.api("program_id=1").await.finished(SHOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_only_so_many_calls_and_runs() {
    let flags = [
        &NO_END[..],
        &["--account-calls", "1", "--account-runs", "2"],
    ]
    .concat();
    let app = TestApp::with(&PROGRAMS, &flags).await;
    let (endless, ()) = tokio::join!(app.api("program_id=2"), async {
        app.at_work(1).await;
        let answer = app.api("program_id=1").await;
        let sentence = "Too many calls of this account are waiting. Try again in 1 second.";
        answer.refused(429, sentence);
        assert_eq!(answer.header("retry-after"), "1");
        // Nobody waits for these.
        for _ in 0..2 {
            app.api("program_id=2&run_async=True").await.run();
        }
        app.at_work(3).await;
        let answer = app.api("program_id=2&run_async=True").await;
        let sentence = "Too many runs of this account are unfinished. Try again in 5 seconds.";
        answer.refused(429, sentence);
        assert_eq!(answer.header("retry-after"), "5");
        app.cancel();
    });
    assert_eq!(endless.status, 500);
    app.at_work(0).await;
    app.api("program_id=1").await.finished(SHOWN);
    app.api("program_id=1&run_async=True").await.run();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_no_more() {
    let flags = [&NO_END[..], &["--max-running", "1", "--max-queued", "2"]].concat();
    let app = TestApp::with(&PROGRAMS, &flags).await;
    let (_, queued) = tokio::join!(app.api("program_id=2"), async {
        app.at_work(1).await;
        let mut queued = Vec::new();
        for _ in 0..2 {
            queued.push(app.api("program_id=1&run_async=True").await.started());
        }
        let answer = app.api("program_id=1&run_async=True").await;
        answer.refused(503, "Too many runs are queued. Try again in 5 seconds.");
        assert_eq!(answer.header("retry-after"), "5");
        app.cancel();
        queued
    });
    for run in queued {
        assert_eq!(app.ended(run).await.summary.state, State::Succeeded);
    }
    let again = app.api("program_id=1&run_async=True").await;
    app.ended(again.started()).await;
}

#[tokio::test]
async fn a_server_that_stops_begins_nothing() {
    let app = TestApp::new(&PROGRAMS).await;
    app.app.draining.store(true, Ordering::Relaxed);
    for query in ["program_id=1", "program_id=1&run_async=True"] {
        let answer = app.api(query).await;
        answer.refused(503, "The server is stopping. Try again in 5 seconds.");
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert!(app.runs().await.is_empty());
}

#[tokio::test]
async fn a_run_that_cannot_be_recorded_is_not_told_as_if_it_were() {
    let app = TestApp::new(&PROGRAMS).await;
    app.app.store.close().await.unwrap();
    app.api("program_id=1").await.failed(
        503,
        "The run could not be recorded, so its outcome is not known. The server's log says why.",
    );
    let answer = app.api("program_id=1&run_async=True").await;
    answer.refused(
        503,
        "The run could not be recorded, so it was not started. The server's log says why.",
    );
}

/// One call of a real server: the status, the run, the body.
fn call(server: &TestServer, parameters: &str) -> (u16, String, String) {
    let answer = server.raw(format!(
        "POST /api?api_key={KEY}&program_id=1{parameters} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let run = head
        .lines()
        .find_map(|line| line.strip_prefix("waystation-run: "));
    let status = head[9..12].parse().unwrap();
    (status, run.unwrap_or_default().to_owned(), body.to_owned())
}

const FULL: &str = r#"{"Error":"There is no room left to record the run, so its outcome is not kept. Free some room and try again."}"#;

#[test]
fn a_full_disk_loses_nothing_that_was_answered() {
    let command = TestCommand::new(&[("echo.yaml", ECHO)]);
    let server = TestServer::start(&command, &["--max-data", "600KB"]);
    let large = format!("&variables={}", "x".repeat(3_000));
    let queued = format!("{large}&run_async=True");
    let until_full = |parameters: &str| {
        let mut answers = vec![call(&server, parameters)];
        while answers.last().is_some_and(|answer| answer.0 == 200) {
            answers.push(call(&server, parameters));
        }
        answers
    };
    // Several at once, so that calls share a transaction that has no room.
    let waited = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| until_full(&large))).collect();
        let answers = callers.into_iter().map(|caller| caller.join().unwrap());
        answers.collect::<Vec<_>>().concat()
    });
    let accepted = until_full(&queued);
    // Killed, not stopped: what was answered is on the disk already.
    drop(server);
    let path = command.folder.path().join("data").join(RECORD);
    let store = Sqlite::open(&path, Options::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(store.check()).unwrap();
    let state = |run: &str| {
        let kept = runtime.block_on(store.run(run.parse().unwrap()));
        kept.unwrap().map(|kept| kept.summary.state)
    };
    let (full, kept): (Vec<_>, Vec<_>) = waited.into_iter().partition(|answer| answer.0 != 200);
    assert!(kept.len() > 10, "{}", kept.len());
    assert_eq!(full.len(), 4);
    for (_, run, body) in kept {
        assert_eq!(state(&run), Some(State::Succeeded), "{body}");
    }
    // There is room for few of them or none, since a queued run takes less.
    let (refused, accepted) = accepted.split_last().unwrap();
    for (_, run, body) in accepted {
        assert!(state(run).is_some(), "{body}");
    }
    for (status, run, body) in full {
        assert_eq!((status, body.as_str(), state(&run)), (507, FULL, None));
    }
    let not_started = FULL.replace("its outcome is not kept", "it was not started");
    assert_eq!(*refused, (507, String::new(), not_started));
}
