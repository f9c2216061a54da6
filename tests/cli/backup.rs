//! `backup` of a server that is at work, and `restore`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use waystation::store::RECORD;

use crate::serve::call;
use crate::support::{KEY, TestCommand, TestServer};

const PROGRAM: &str = r#"id: 1
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

/// The runs in the record of a data folder.
fn runs(command: &TestCommand, data: &str) -> Vec<Value> {
    let ran = command.run(&["runs", "--json", "--limit", "10000", "--data", data]);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_backup_of_a_server_at_work_is_whole() {
    let command = TestCommand::new(&[("echo.yaml", PROGRAM)]);
    let server = TestServer::start(&command, &[]);
    let echo = |text: &str| {
        let parameters = format!("program_id=1&function=Main&variables={text}");
        let called = call(&server.address, &parameters).unwrap();
        assert_eq!(called.status, 200, "{}", called.body);
        called.run
    };
    let waiting = call(&server.address, "program_id=1&function=Wait&run_async=true");
    let mut before = vec![waiting.unwrap().run];
    before.extend((0..20).map(|_| echo("before")));
    let done = AtomicBool::new(false);
    let backup = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    echo("meanwhile");
                }
            });
        }
        let backup = command.run(&["backup", "copy", "--data", "data"]);
        done.store(true, Ordering::Relaxed);
        backup
    });
    assert_eq!((backup.code, &*backup.stderr), (0, ""));
    assert!(backup.stdout.starts_with("copy: "), "{}", backup.stdout);
    drop(server);
    let copy = command.folder.path().join("copy");
    assert_eq!(mode(&copy), 0o700);
    assert_eq!(mode(&copy.join(RECORD)), 0o600);
    assert_eq!(mode(&copy.join("keys/api-key")), 0o600);

    let restored = command.run(&["restore", "copy", "--data", "again", "--json"]);
    assert_eq!((restored.code, &*restored.stderr), (0, ""));
    let told: Value = serde_json::from_str(&restored.stdout).unwrap();
    assert_eq!(told["folder"], "again");
    let record = command.folder.path().join("again").join(RECORD);
    assert_eq!(told["bytes"], record.metadata().unwrap().len());
    let kept = runs(&command, "again");
    let ids: Vec<_> = kept.iter().map(|run| run["id"].as_str().unwrap()).collect();
    for run in &before {
        assert!(ids.contains(&&**run), "{run} is not in the copy");
    }
    assert_eq!(kept.last().unwrap()["function"], "Wait");
    assert!(
        kept[..kept.len() - 1]
            .iter()
            .all(|run| run["state"] == "succeeded")
    );
    let keys = command.run(&["key", "--data", "again"]);
    keys.is(0, &format!("{KEY}\n"), "");
    // The server that is started with it goes on where the other one was.
    let folder = command.folder.path();
    std::fs::rename(folder.join("data"), folder.join("old")).unwrap();
    std::fs::rename(folder.join("again"), folder.join("data")).unwrap();
    let server = TestServer::start(&command, &[]);
    let called = call(
        &server.address,
        "program_id=1&function=Main&variables=after",
    );
    assert_eq!(called.unwrap().status, 200);
    let states = runs(&command, "data");
    let oldest = states.last().unwrap();
    let unfinished = ["queued", "running", "waiting"];
    assert!(
        unfinished.iter().any(|state| oldest["state"] == *state),
        "{oldest}"
    );
}

#[test]
fn what_cannot_be_copied_is_told_and_leaves_nothing() {
    let command = TestCommand::new(&[("echo.yaml", PROGRAM)]);
    let none = "error: there is no record in data to copy\n";
    command
        .run(&["backup", "copy", "--data", "data"])
        .is(3, "", none);
    let server = TestServer::start(&command, &[]);
    let folder = command.folder.path();
    std::fs::create_dir(folder.join("full")).unwrap();
    std::fs::write(folder.join("full/a"), "").unwrap();
    let full = "error: full is not empty; a backup makes a new folder\n";
    command
        .run(&["backup", "full", "--data", "data"])
        .is(3, "", full);
    let none = "error: there is no backup in full\n";
    command
        .run(&["restore", "full", "--data", "new"])
        .is(3, "", none);

    std::fs::create_dir(folder.join("empty")).unwrap();
    let backup = command.run(&["backup", "empty", "--data", "data"]);
    assert_eq!((backup.code, &*backup.stderr), (0, ""));
    let used = "error: data is in use by another `waystation serve`\n";
    command
        .run(&["restore", "empty", "--data", "data"])
        .is(3, "", used);
    drop(server);
    let there = "error: data has a record or keys already; restore into another folder, or move them away\n";
    command
        .run(&["restore", "empty", "--data", "data"])
        .is(3, "", there);

    let record = folder.join("empty").join(RECORD);
    let whole = std::fs::read(&record).unwrap();
    for (bytes, why) in [
        (&b""[..], "the database failed: it is no record of Waystation"),
        (b"no database at all, but a text of some length, which is long enough to have a page's head, or nearly so, or so",
         "the database failed: file is not a database"),
        (&whole[..whole.len() / 2], "the database failed: database disk image is malformed"),
    ] {
        std::fs::write(&record, bytes).unwrap();
        let ran = command.run(&["restore", "empty", "--data", "new"]);
        ran.is(3, "", &format!("error: empty: {why}\n"));
        assert!(!folder.join("new").join(RECORD).exists());
    }
    let newer = rusqlite::Connection::open(folder.join("newer.db")).unwrap();
    newer.execute_batch("PRAGMA user_version = 999").unwrap();
    drop(newer);
    std::fs::rename(folder.join("newer.db"), &record).unwrap();
    let ran = command.run(&["restore", "empty", "--data", "new"]);
    let known = "error: empty: the database is of a newer release of Waystation (its format is 999, this release knows 14)\n";
    ran.is(3, "", known);
    let left = std::fs::read_dir(folder).unwrap();
    let left = left.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(
        left.into_iter()
            .all(|name| !name.starts_with(".waystation-backup"))
    );
    std::fs::write(&record, whole).unwrap();
    assert_eq!(command.run(&["restore", "empty", "--data", "new"]).code, 0);
}
