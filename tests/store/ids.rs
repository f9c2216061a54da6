//! What runs are called, and the numbers that they are found by.

use std::collections::HashSet;

use waystation::store::sqlite::{Options, Sqlite};
use waystation::store::{RunId, State, Store};

use crate::{end, made, run, version};

/// How far ahead of the clock ids may be here, in milliseconds.
const AHEAD: i64 = 60_000;

#[test]
fn ids_that_a_server_makes_have_different_numbers() {
    let make = || -> Vec<i64> { (0..100_000).map(|_| RunId::new().number()).collect() };
    let threads = [(); 4].map(|()| std::thread::spawn(make));
    let numbers = threads.map(|thread| thread.join().unwrap());
    assert!(numbers.iter().all(|of| of.is_sorted() && of[0] > 0));
    let numbers = numbers.concat();
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
}

#[test]
fn ids_say_when_they_were_made_and_grow() {
    let before = waystation::now() / 1_000;
    let ids: Vec<RunId> = (0..10_000).map(|_| RunId::new()).collect();
    assert!(ids.is_sorted());
    for id in [ids[0], ids[9_999]] {
        let id: uuid::Uuid = id.to_string().parse().unwrap();
        assert_eq!(
            (id.get_version_num(), id.get_variant()),
            (7, uuid::Variant::RFC4122)
        );
        let (seconds, rest) = id.get_timestamp().unwrap().to_unix();
        let at = seconds as i64 * 1_000 + i64::from(rest / 1_000_000);
        assert!((before..=waystation::now() / 1_000 + AHEAD + 1).contains(&at));
    }
}

#[test]
fn numbers_follow_from_ids() {
    let number = |id: &str| id.parse::<RunId>().unwrap().number();
    let ids = [
        "01a22b79-02a6-7083-bec9-cc2a6cddd5e3",
        "01a22b79-02a6-7083-bec9-cc2b15001658",
        "01a22b79-02a7-7000-8000-000000000000",
        // A time that no number has.
        "ffffffff-ffff-7000-8000-000000000000",
    ];
    let [first, second, later, never] = ids.map(number);
    assert_eq!(first, 0x01a2_2b79_02a6 << 21 | 0x09_cc2a);
    assert_eq!((second, later), (first + 1, 0x01a2_2b79_02a7 << 21));
    assert_eq!(never, i64::MAX >> 21 << 21);
}

/// As when a server is started after its clock was set back.
#[tokio::test]
async fn ids_are_greater_than_those_in_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    let version = store.accept(version(1, "a")).await.unwrap();
    let mut run = run(1, version, Some(20));
    let time = waystation::now() / 1_000 + AHEAD;
    let ahead = format!("{time:012x}70008000000000000000").parse().unwrap();
    run.id = ahead;
    store
        .record(run, made(""), end(State::Succeeded))
        .await
        .unwrap();
    assert!(RunId::new() < ahead);
    store.close().await.unwrap();
    Sqlite::open(&path, Options::default()).unwrap();
    assert!(RunId::new() > ahead);
}
