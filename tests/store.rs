//! What every store promises, once for the record in memory and once for the one on disk.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;

use waystation::store::sqlite::{Options, Sqlite};
use waystation::store::{End, Error, Filter, NewRun, NewVersion, RunId, State, Store, VersionId};

macro_rules! conformance {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Sqlite::memory().unwrap()).await;
            })*
        }
        mod disk {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let store = super::Sqlite::open(&folder.path().join("r.db"), super::Options::default()).unwrap();
                super::$name(&store).await;
                super::Store::check(&store).await.unwrap();
            })*
        }
    };
}

conformance! {
    the_same_text_is_the_same_version
    a_run_is_queued_then_running_then_ended_once
    the_oldest_queued_run_is_taken_first
    a_run_that_began_and_ended_is_recorded_at_once
    a_log_is_read_in_pages_and_ends_with_the_run
    what_was_running_is_interrupted_and_what_was_queued_is_not
    runs_are_listed_newest_first_and_filtered
    an_account_has_one_key
    nothing_is_written_after_the_end
}

fn version(program: i64, text: &str) -> NewVersion {
    NewVersion {
        account: 1,
        program,
        name: format!("Program {program}"),
        text: text.to_owned(),
        accepted_at: 5,
    }
}

fn run(program: i64, version: VersionId, started_at: Option<i64>) -> NewRun {
    NewRun {
        id: RunId::new(),
        account: 1,
        program,
        version,
        function: "Main".to_owned(),
        trigger: "webhook".to_owned(),
        inputs: r#"{"A":1}"#.to_owned(),
        created_at: 10,
        started_at,
    }
}

fn end(state: State, log: &str) -> End {
    End {
        state,
        reason: (state != State::Succeeded).then(|| "error".to_owned()),
        answer: "[]".to_owned(),
        log: log.to_owned(),
        log_lines: log.lines().count() as u32,
        isolation: None,
        ended_at: 30,
    }
}

async fn the_same_text_is_the_same_version(store: &dyn Store) {
    let first = store.accept(version(1, "a")).await.unwrap();
    let second = store.accept(version(1, "b")).await.unwrap();
    let other = store.accept(version(2, "a")).await.unwrap();
    assert_eq!(store.accept(version(1, "a")).await.unwrap(), first);
    assert!(first != second && first != other);
    let number = async |id| store.version(id).await.unwrap().unwrap().number;
    assert_eq!(
        (
            number(first).await,
            number(second).await,
            number(other).await
        ),
        (1, 2, 1)
    );
    assert_eq!(store.version(VersionId(99)).await.unwrap(), None);
}

async fn a_run_is_queued_then_running_then_ended_once(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let run = run(1, version, None);
    let id = run.id;
    store.begin(run.clone()).await.unwrap();
    let state = async || store.run(id).await.unwrap().unwrap().summary.state;
    assert_eq!(
        (state().await, store.queued().await.unwrap()),
        (State::Queued, 1)
    );
    assert!(matches!(
        store.finish(id, end(State::Succeeded, "")).await,
        Err(Error::Conflict(_))
    ));
    assert!(store.begin(run).await.is_err());
    let claimed = store.claim(10, 20).await.unwrap();
    assert_eq!(
        (claimed.len(), claimed[0].id, claimed[0].inputs.as_str()),
        (1, id, r#"{"A":1}"#)
    );
    assert_eq!(
        (state().await, store.queued().await.unwrap()),
        (State::Running, 0)
    );
    assert_eq!(store.claim(10, 20).await.unwrap(), []);
    store.finish(id, end(State::Failed, "")).await.unwrap();
    assert!(matches!(
        store.finish(id, end(State::Succeeded, "")).await,
        Err(Error::Conflict(_))
    ));
    let run = store.run(id).await.unwrap().unwrap();
    assert_eq!(
        (
            run.summary.state,
            run.summary.started_at,
            run.summary.ended_at
        ),
        (State::Failed, Some(20), Some(30))
    );
    assert_eq!(
        (run.summary.reason.as_deref(), run.answer.as_deref()),
        (Some("error"), Some("[]"))
    );
}

async fn the_oldest_queued_run_is_taken_first(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let run = run(1, version, None);
        ids.push(run.id);
        store.begin(run).await.unwrap();
    }
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.extend(
            store
                .claim(2, 20)
                .await
                .unwrap()
                .iter()
                .map(|claimed| claimed.id),
        );
    }
    taken[..2].sort();
    taken[2..4].sort();
    assert_eq!(taken, ids);
}

async fn a_run_that_began_and_ended_is_recorded_at_once(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let run = run(1, version, Some(20));
    let id = run.id;
    store
        .record(run, end(State::Succeeded, "{}\n{}\n"))
        .await
        .unwrap();
    let run = store.run(id).await.unwrap().unwrap();
    assert_eq!(
        (run.version, run.log_lines, run.summary.state),
        (1, 2, State::Succeeded)
    );
    assert_eq!(
        (run.inputs.as_str(), run.summary.name.as_str()),
        (r#"{"A":1}"#, "Program 1")
    );
    assert_eq!(store.run(RunId::new()).await.unwrap(), None);
}

async fn a_log_is_read_in_pages_and_ends_with_the_run(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let run = run(1, version, Some(20));
    let id = run.id;
    store.begin(run).await.unwrap();
    store
        .append_log(id, 0, "one\n".to_owned(), 1)
        .await
        .unwrap();
    let page = store.log(id, 0).await.unwrap();
    assert_eq!(
        (page.text.as_str(), page.next, page.ended),
        ("one\n", 1, false)
    );
    store
        .append_log(id, 1, "two\nthree\n".to_owned(), 2)
        .await
        .unwrap();
    store
        .finish(id, end(State::Succeeded, "four\n"))
        .await
        .unwrap();
    let page = store.log(id, page.next).await.unwrap();
    assert_eq!(
        (page.text.as_str(), page.ended),
        ("two\nthree\nfour\n", true)
    );
    assert_eq!(store.run(id).await.unwrap().unwrap().log_lines, 4);
    assert!(matches!(
        store.append_log(id, 2, String::new(), 0).await,
        Err(Error::Conflict(_))
    ));
    assert!(matches!(
        store.log(RunId::new(), 0).await,
        Err(Error::Conflict(_))
    ));
}

async fn what_was_running_is_interrupted_and_what_was_queued_is_not(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let (queued, running, ended) = (
        run(1, version, None),
        run(1, version, Some(20)),
        run(1, version, Some(20)),
    );
    let ids = [queued.id, running.id, ended.id];
    store.begin(queued).await.unwrap();
    store.begin(running).await.unwrap();
    store
        .record(ended, end(State::Succeeded, ""))
        .await
        .unwrap();
    assert_eq!(store.interrupt(40, "{}".to_owned()).await.unwrap(), 1);
    let mut states = Vec::new();
    for id in ids {
        let run = store.run(id).await.unwrap().unwrap();
        states.push((run.summary.state, run.summary.reason));
    }
    let interrupted = Some("interrupted".to_owned());
    assert_eq!(
        states,
        [
            (State::Queued, None),
            (State::Failed, interrupted),
            (State::Succeeded, None)
        ]
    );
    assert_eq!(store.queued().await.unwrap(), 1);
}

async fn runs_are_listed_newest_first_and_filtered(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let mut ids = Vec::new();
    for at in 0..6 {
        let run = run(1, version, Some(20));
        ids.push(run.id);
        let state = if at % 2 == 0 {
            State::Succeeded
        } else {
            State::Failed
        };
        store.record(run, end(state, "")).await.unwrap();
    }
    ids.reverse();
    let listed = async |filter| {
        let runs = store.runs(filter).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let all = Filter {
        limit: 100,
        ..Filter::default()
    };
    assert_eq!(listed(all.clone()).await, ids);
    assert_eq!(
        listed(Filter {
            limit: 2,
            ..all.clone()
        })
        .await,
        ids[..2]
    );
    assert_eq!(
        listed(Filter {
            before: Some(ids[3]),
            ..all.clone()
        })
        .await,
        ids[4..]
    );
    assert_eq!(
        listed(Filter {
            state: Some(State::Failed),
            ..all.clone()
        })
        .await,
        [ids[0], ids[2], ids[4]]
    );
    assert_eq!(
        listed(Filter {
            program: Some(2),
            ..all
        })
        .await,
        []
    );
}

async fn an_account_has_one_key(store: &dyn Store) {
    store.set_key(1, [1; 32]).await.unwrap();
    store.set_key(1, [2; 32]).await.unwrap();
    assert_eq!(store.keys().await.unwrap(), [([2; 32], 1)]);
}

async fn nothing_is_written_after_the_end(store: &dyn Store) {
    store.close().await.unwrap();
    assert_eq!(store.accept(version(1, "a")).await, Err(Error::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_come_together_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&folder.path().join("r.db"), Options::default()).unwrap());
    let version = store.accept(version(1, "a")).await.unwrap();
    let before = store.commits();
    let writes: Vec<_> = (0..400)
        .map(|_| {
            let (store, run) = (store.clone(), run(1, version, Some(20)));
            tokio::spawn(async move { store.record(run, end(State::Succeeded, "")).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let commits = store.commits() - before;
    assert!(commits < 200, "{commits} commits for 400 runs");
    assert_eq!(
        store
            .runs(Filter {
                limit: 1_000,
                ..Filter::default()
            })
            .await
            .unwrap()
            .len(),
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_says_so_to_all_and_keeps_what_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_bytes: Some(200_000),
    };
    let store = Arc::new(Sqlite::open(&folder.path().join("r.db"), options).unwrap());
    let version = store.accept(version(1, "a")).await.unwrap();
    let mut kept = Vec::new();
    let mut refused = 0;
    while refused < 20 {
        let writes: Vec<_> = (0..20)
            .map(|_| {
                let (store, run) = (store.clone(), run(1, version, Some(20)));
                let id = run.id;
                let log = "x".repeat(1_000);
                tokio::spawn(
                    async move { (id, store.record(run, end(State::Succeeded, &log)).await) },
                )
            })
            .collect();
        for write in writes {
            match write.await.unwrap() {
                (id, Ok(())) => kept.push(id),
                (_, Err(error)) => {
                    assert_eq!(error, Error::Full);
                    refused += 1;
                }
            }
        }
    }
    store.check().await.unwrap();
    assert!(!kept.is_empty());
    for id in kept {
        assert!(store.run(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    store.close().await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = Sqlite::open(&path, Options::default())
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        refused,
        "the database is of a newer release of Waystation (its format is 99, this release knows 2)"
    );
    assert!(Sqlite::read_only(&path).is_err());
}

#[tokio::test]
async fn a_record_opened_for_reading_sees_what_another_writes_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let writer = Sqlite::open(&path, Options::default()).unwrap();
    let version = writer.accept(version(1, "a")).await.unwrap();
    let reader = Sqlite::read_only(&path).unwrap();
    let run = run(1, version, Some(20));
    let id = run.id;
    writer.record(run, end(State::Succeeded, "")).await.unwrap();
    assert!(reader.run(id).await.unwrap().is_some());
    assert_eq!(reader.set_key(1, [1; 32]).await, Err(Error::Closed));
}
