//! Work that is written together.

use std::sync::mpsc;

use waystation::store::sqlite::{Options, Sqlite};
use waystation::store::{
    End, Error, Fire, Fired, Leave, MAX_STORED, NewSchedule, Overlap, State, Store, Stored,
    VersionId,
};

use crate::{end, entered, first, made, run, state, version};

#[tokio::test]
async fn work_that_fails_halfway_leaves_nothing_of_itself_and_all_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("r.db"), Options::default()).unwrap();
    let version = store.accept(version(1, "a")).await.unwrap();
    let node = entered(&store).await;
    let timer = NewSchedule {
        account: 1,
        program: 1,
        function: "Main".to_owned(),
        timer: "Daily".to_owned(),
        next_at: 100,
    };
    let schedule = store.schedule(vec![timer]).await.unwrap()[0];
    let fire = |version| Fire {
        schedule,
        next_at: 200,
        overlap: Overlap::Allow,
        runs: vec![(100, run(1, version, None))],
    };
    let [one, two] = [10, 11].map(|started| run(1, version, Some(started)));
    let ids = [one.id, two.id];

    // While the writing thread is kept, what is to be written gathers.
    let (begun, has_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let clock = move || {
        begun.send(()).unwrap();
        may_go.recv().unwrap()
    };
    let kept = store.claim(node, 1, Box::new(clock));
    has_begun.recv().unwrap();
    let commits = store.commits();
    let before = store.begin(one, Some(node));
    // That it is due later is written before it turns out that there is no such version.
    let refused = store.fire(fire(VersionId(999)));
    let after = store.begin(two, Some(node));
    // What is done up to what fails is done once more; what comes after it is done in the next transaction.
    for _ in 0..2 {
        go.send(0).unwrap();
    }
    let (kept, before, refused, after) = tokio::join!(kept, before, refused, after);

    assert_eq!(kept.unwrap().runs, []);
    assert_eq!(store.commits() - commits, 2);
    assert_eq!((before, after), (Ok(()), Ok(())));
    let message = "FOREIGN KEY constraint failed".to_owned();
    assert_eq!(refused, Err(Error::Failed(message)));
    for id in ids {
        assert_eq!(state(&store, id).await, State::Running);
    }
    assert_eq!(store.fire(fire(version)).await, Ok(Fired::Runs(1)));
}

#[tokio::test]
async fn a_run_that_cannot_keep_what_it_stored_can_end_otherwise() {
    let store = Sqlite::memory().unwrap();
    let version = store.accept(version(1, "a")).await.unwrap();
    let node = entered(&store).await;
    let run = run(1, version, Some(10));
    let hold = first(run.id, node);
    store.begin(run, Some(node)).await.unwrap();
    let stored = |number: i64| Stored {
        shelf: "storage",
        key: number.to_string(),
        value: Some("1".to_owned()),
    };
    // The answer is large enough to be kept apart, which is done first.
    let overfull = Leave::Ended(End {
        answer: format!("[{}]", " ".repeat(300_000)),
        stored: (0..=MAX_STORED).map(stored).collect(),
        ..end(State::Succeeded)
    });
    let left = store.leave(hold, made(""), overfull).await;
    assert_eq!(left, Err(Error::Overfull));
    let large = format!("[1{}]", " ".repeat(300_000));
    let ends = Leave::Ended(End {
        answer: large.clone(),
        ..end(State::Succeeded)
    });
    store.leave(hold, made(""), ends).await.unwrap();
    let found = store.run(hold.run).await.unwrap().unwrap();
    assert_eq!(found.answer, Some(large));
}
