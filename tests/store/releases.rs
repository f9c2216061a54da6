//! Records of releases before this one and after it.

use std::path::Path;

use rusqlite::Connection;
use waystation::store::sqlite::{Options, Sqlite};
use waystation::store::{Filter, RunId, State, Store};

use crate::{answers, entered, state, taken};

/// A database as the release before the journal left it: one run that has ended, one at work, one queued.
const BEFORE_THE_JOURNAL: &str = "
    INSERT INTO versions VALUES (1, 1, 7, 1, 'Old', 'text', zeroblob(32), 5);
    INSERT INTO runs (id, account, program, version, function, trigger, inputs, created_at, state, started_at, ended_at, answer,
                      log_lines, log)
    VALUES (x'01900000000170008000000000000000', 1, 7, 1, 'Main', 'webhook', '{}', 10, 'succeeded', 11, 12, '[]', 2, 'b\n');
    INSERT INTO runs (id, account, program, version, function, trigger, inputs, created_at, state, started_at, log_lines)
    VALUES (x'01900000000270008000000000000000', 1, 7, 1, 'Main', 'webhook', '{}', 20, 'running', 21, 1);
    INSERT INTO runs (id, account, program, version, function, trigger, inputs, created_at, state)
    VALUES (x'01900000000370008000000000000000', 1, 7, 1, 'Main', 'webhook', '{}', 30, 'queued');
    INSERT INTO log_pieces VALUES (x'01900000000170008000000000000000', 0, 'a\n');
    INSERT INTO log_pieces VALUES (x'01900000000270008000000000000000', 0, 'c\n');
";

/// Opens a database as the release of a format left it, with these rows in it.
fn of_release(path: &Path, format: u32, rows: &str) -> Sqlite {
    let connection = Connection::open(path).unwrap();
    let folder = format!("{}/src/store/migrations", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let mut steps: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    steps.sort();
    for step in &steps[..format as usize] {
        let step = std::fs::read_to_string(step).unwrap();
        connection.execute_batch(&step).unwrap();
    }
    connection.execute_batch(rows).unwrap();
    connection
        .pragma_update(None, "user_version", format)
        .unwrap();
    drop(connection);
    Sqlite::open(path, Options::default()).unwrap()
}

#[tokio::test]
async fn what_an_older_release_recorded_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = of_release(&folder.path().join("r.db"), 2, BEFORE_THE_JOURNAL);
    store.check().await.unwrap();
    let id = |last: u32| -> RunId {
        let id = format!("01900000-{last:04}-7000-8000-000000000000");
        id.parse().unwrap()
    };
    assert_eq!(state(&store, id(1)).await, State::Succeeded);
    assert_eq!(store.log(id(1), 0).await.unwrap().text, "a\nb\n");
    assert_eq!(state(&store, id(2)).await, State::Running);
    let node = entered(&store).await;
    let swept = store.sweep(node, 40, answers()).await.unwrap();
    assert_eq!(swept.ended, [id(2)]);
    assert_eq!(store.log(id(2), 0).await.unwrap().text, "c\n");
    assert_eq!(taken(&store, node, 40).await.run, id(3));
}

#[tokio::test]
async fn the_runs_of_a_program_are_listed_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let runs = "
        INSERT INTO versions VALUES (1, 1, 7, 1, 'Old', 'text', zeroblob(32), 5);
        WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 600)
        INSERT INTO runs (id, account, program, version, function, trigger, inputs, seed, created_at, outcome, started_at,
                          ended_at, answer)
        SELECT unhex(printf('0190%08x70008000000000000000', n)), 1, 7 + n % 2, 1, 'Main', 'webhook', '{}', 0, n, 'succeeded',
               n, n, '[]'
          FROM counted;
    ";
    let store = of_release(&folder.path().join("r.db"), 12, runs);
    let filter = Filter {
        program: Some(8),
        limit: 1_000,
        ..Filter::default()
    };
    let listed = store.runs(filter).await.unwrap();
    let times: Vec<i64> = listed.iter().map(|run| run.created_at).collect();
    let odd: Vec<i64> = (0..300).map(|nth| 599 - 2 * nth).collect();
    assert_eq!(times, odd);
}

#[tokio::test]
async fn what_belongs_to_a_run_is_kept_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let rows = "
        INSERT INTO versions VALUES (1, 1, 7, 1, 'Old', 'text', zeroblob(32), 5);
        WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 3)
        INSERT INTO runs (number, id, account, program, version, function, trigger, inputs, seed, created_at)
        SELECT n, unhex(printf('0190%08x70008000000000000000', n)), 1, 7, 1, 'Main', 'webhook', n, 0, n FROM counted;
        INSERT INTO queue (run, state, due, fence, resumes) SELECT number, 'queued', number, 0, TRUE FROM runs;
        INSERT INTO journal (run, number, step, kind, status, output, times, clock, fence, began_at)
        SELECT number, 1, '1', 'python', 'done', number, '[]', 0, 0, 0 FROM runs;
        INSERT INTO log_pieces (run, number, lines) SELECT number, 0, number FROM runs;
        INSERT INTO idempotency (account, program, key, hash, run) SELECT 1, 7, number, zeroblob(32), number FROM runs;
        INSERT INTO schedules VALUES (1, 1, 7, 'Main', 'time', 9);
        INSERT INTO fires (schedule, due, run) SELECT 1, number, number FROM runs;
        INSERT INTO callbacks (run, url) SELECT number, number FROM runs;
        INSERT INTO large (run, part, bytes) SELECT number, 'inputs', CAST(number AS BLOB) FROM runs;
    ";
    let store = of_release(&path, 13, rows);
    store.check().await.unwrap();
    let record = Connection::open(&path).unwrap();
    let sql = "SELECT count(*) FROM runs
                 JOIN queue ON queue.run = runs.number AND queue.due = inputs
                 JOIN journal ON journal.run = runs.number AND journal.output = inputs
                 JOIN log_pieces ON log_pieces.run = runs.number AND lines = inputs
                 JOIN idempotency ON idempotency.run = runs.number AND key = inputs
                 JOIN fires ON fires.run = runs.number AND fires.due = inputs
                 JOIN callbacks ON callbacks.run = runs.number AND url = inputs
                 JOIN large ON large.run = runs.number AND CAST(bytes AS TEXT) = inputs";
    let kept: i64 = record.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 3);
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    store.close().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = Sqlite::open(&path, Options::default())
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        refused,
        "the database is of a newer release of Waystation (its format is 99, this release knows 14)"
    );
    assert!(Sqlite::read_only(&path).is_err());
}
