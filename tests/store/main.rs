//! What every store promises, once for the record in memory and once for the one on disk.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod batches;
mod history;
mod ids;
mod releases;

use std::sync::Arc;

use waystation::store::sqlite::{Options, Sqlite};
use waystation::store::{
    Answers, Cancel, Clock, End, Error, Filter, Hold, KEY_KEPT, Key, Leave, Made, NewRun,
    NewVersion, Node, NodeId, RunId, State, Status, StepRecord, Store, Swept, VersionId,
};

use history::many_runs_of_a_program_are_listed_in_pages;

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
    a_run_that_is_put_aside_is_taken_when_it_is_due
    only_who_holds_a_run_changes_it
    a_run_that_is_held_is_begun_once
    a_journal_is_read_in_order_and_a_begun_record_is_made_whole
    a_call_of_a_name_has_one_run
    a_run_is_cancelled_in_every_state
    what_servers_that_are_gone_left_is_gone_on_with_or_ended
    a_run_that_servers_die_of_is_ended_unless_it_comes_further
    the_oldest_queued_run_is_taken_first
    a_run_that_began_and_ended_is_recorded_at_once
    a_log_is_read_in_pages_and_ends_with_the_run
    runs_are_listed_newest_first_and_filtered
    many_runs_of_a_program_are_listed_in_pages
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
        function: "Main".into(),
        trigger: "webhook".into(),
        inputs: r#"{"A":1}"#.to_owned(),
        seed: 7,
        resumes: true,
        key: None,
        limit: None,
        callback: None,
        trace: None,
        account_runs: None,
        created_at: 10,
        started_at,
    }
}

fn end(state: State) -> End {
    End {
        state,
        reason: (state != State::Succeeded).then(|| "error".to_owned()),
        answer: "[]".to_owned(),
        isolation: None,
        steps: None,
        stored: Vec::new(),
        ended_at: 30,
    }
}

/// Lines of a log.
fn made(log: &str) -> Arc<Made> {
    Arc::new(Made {
        log: log.to_owned(),
        log_lines: log.lines().count() as u32,
        ..Made::default()
    })
}

/// A server that is there.
async fn entered(store: &dyn Store) -> NodeId {
    let id = NodeId::new();
    let node = Node {
        id,
        version: "1".to_owned(),
        started_at: 1,
    };
    store.enter(node).await.unwrap();
    id
}

/// How a server holds a run that it began.
fn first(run: RunId, node: NodeId) -> Hold {
    Hold {
        run,
        node,
        fence: 1,
    }
}

/// Ends a run that is held.
async fn finish(store: &dyn Store, hold: Hold, state: State) -> Result<(), Error> {
    let how = Leave::Ended(end(state));
    store.leave(hold, made(""), how).await
}

/// A clock that says so.
fn at(time: i64) -> Clock {
    Box::new(move || time)
}

/// Takes the one run that is due.
async fn taken(store: &dyn Store, node: NodeId, now: i64) -> Hold {
    let claims = store.claim(node, 10, at(now)).await.unwrap();
    assert_eq!(claims.runs.len(), 1, "{claims:?}");
    claims.runs[0].hold
}

async fn state(store: &dyn Store, id: RunId) -> State {
    store.run(id).await.unwrap().unwrap().summary.state
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
    let node = entered(store).await;
    let run = run(1, version, None);
    let id = run.id;
    store.begin(run.clone(), None).await.unwrap();
    assert_eq!(
        (state(store, id).await, store.queued().await.unwrap()),
        (State::Queued, 1)
    );
    let hold = first(id, node);
    let early = finish(store, hold, State::Succeeded).await;
    assert_eq!(early, Err(Error::Lost));
    assert!(store.begin(run, None).await.is_err());
    let claims = store.claim(node, 10, at(20)).await.unwrap();
    assert_eq!(
        (claims.runs[0].hold, claims.runs[0].inputs.as_str()),
        (hold, r#"{"A":1}"#)
    );
    assert_eq!((claims.runs.len(), claims.next), (1, None));
    assert_eq!(
        (state(store, id).await, store.queued().await.unwrap()),
        (State::Running, 0)
    );
    assert_eq!(store.claim(node, 10, at(20)).await.unwrap().runs, []);
    finish(store, hold, State::Failed).await.unwrap();
    let again = finish(store, hold, State::Succeeded).await;
    assert_eq!(again, Err(Error::Lost));
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

async fn a_run_that_is_put_aside_is_taken_when_it_is_due(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let node = entered(store).await;
    let run = run(1, version, Some(20));
    let id = run.id;
    store.begin(run, Some(node)).await.unwrap();
    let aside = store.leave(first(id, node), made("one\n"), Leave::Until(100));
    aside.await.unwrap();
    assert_eq!(
        (state(store, id).await, store.queued().await.unwrap()),
        (State::Waiting, 0)
    );
    let early = store.claim(node, 10, at(99)).await.unwrap();
    assert_eq!((early.runs, early.next), (vec![], Some(100)));
    let claims = store.claim(node, 10, at(100)).await.unwrap();
    let claimed = &claims.runs[0];
    assert_eq!(
        (claimed.hold.fence, claimed.started_at, claimed.log_lines),
        (2, 20, 1)
    );
    let released = store.leave(claimed.hold, made("two\n"), Leave::Released);
    released.await.unwrap();
    assert_eq!(
        (state(store, id).await, store.queued().await.unwrap()),
        (State::Queued, 0)
    );
    let hold = taken(store, node, 100).await;
    assert_eq!(hold.fence, 3);
    finish(store, hold, State::Succeeded).await.unwrap();
    assert_eq!(store.log(id, 0).await.unwrap().text, "one\ntwo\n");
}

async fn only_who_holds_a_run_changes_it(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let (before, after) = (entered(store).await, entered(store).await);
    let run = run(1, version, Some(20));
    let id = run.id;
    store.begin(run, Some(before)).await.unwrap();
    let hold = first(id, before);
    let swept = store.sweep(after, 50, answers()).await.unwrap();
    assert_eq!(swept.again, 1);
    let now = taken(store, after, 50).await;
    assert!(now.fence > hold.fence);
    let other = Hold {
        node: before,
        ..now
    };
    for stale in [hold, other] {
        assert_eq!(store.append(stale, made("x\n")).await, Err(Error::Lost));
        let ways = [
            Leave::Until(1),
            Leave::Released,
            Leave::Ended(end(State::Failed)),
        ];
        for how in ways {
            let left = store.leave(stale, made(""), how).await;
            assert_eq!(left, Err(Error::Lost));
        }
    }
    assert_eq!(state(store, id).await, State::Running);
    store.append(now, made("y\n")).await.unwrap();
    finish(store, now, State::Succeeded).await.unwrap();
    assert_eq!(store.log(id, 0).await.unwrap().text, "y\n");
}

async fn a_run_that_is_held_is_begun_once(store: &dyn Store) {
    let version = store.accept(version(1, "held")).await.unwrap();
    let node = entered(store).await;
    let run = run(1, version, Some(3));
    for _ in 0..2 {
        store.begin(run.clone(), Some(node)).await.unwrap();
    }
    let other = NodeId::new();
    store.begin(run.clone(), Some(other)).await.unwrap_err();
    store.begin(run.clone(), None).await.unwrap_err();
    let hold = first(run.id, node);
    finish(store, hold, State::Succeeded).await.unwrap();
    store.begin(run, Some(node)).await.unwrap_err();
}

fn record(number: i64, status: Status, output: &str) -> StepRecord {
    StepRecord {
        number,
        step: format!("{number}"),
        kind: "python".to_owned(),
        status,
        input: Some([3; 32]),
        output: output.to_owned(),
        times: String::new(),
        clock: 5,
        began_at: 21,
        ended_at: (status != Status::Begun).then_some(22),
    }
}

/// Adds records to the journal of a run.
async fn records(store: &dyn Store, hold: Hold, records: Vec<StepRecord>) {
    let made = Made {
        records,
        ..Made::default()
    };
    store.append(hold, Arc::new(made)).await.unwrap();
}

async fn a_journal_is_read_in_order_and_a_begun_record_is_made_whole(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let node = entered(store).await;
    let run = run(1, version, Some(20));
    let id = run.id;
    store.begin(run, Some(node)).await.unwrap();
    let hold = first(id, node);
    let two = [
        record(1, Status::Done, "{}"),
        record(2, Status::Begun, "null"),
    ];
    records(store, hold, two.to_vec()).await;
    assert_eq!(store.journal(id, 0).await.unwrap(), two);
    records(store, hold, vec![record(2, Status::Failed, "1")]).await;
    // What has come to its end stays as it is.
    records(store, hold, vec![record(2, Status::Done, "2")]).await;
    let more = (3..=600).map(|number| record(number, Status::Done, "3"));
    records(store, hold, more.collect()).await;
    let mut found = Vec::new();
    loop {
        let after = found.last().map_or(0, |record: &StepRecord| record.number);
        let page = store.journal(id, after).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let numbers: Vec<i64> = found.iter().map(|record| record.number).collect();
    assert_eq!(numbers, (1..=600).collect::<Vec<_>>());
    assert_eq!(found[1], record(2, Status::Failed, "1"));
    finish(store, hold, State::Succeeded).await.unwrap();
    assert_eq!(store.journal(id, 599).await.unwrap().len(), 1);
}

async fn a_call_of_a_name_has_one_run(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let node = entered(store).await;
    let named = |text: &str, hash: u8, created_at: i64| NewRun {
        key: Some(Key {
            text: text.to_owned(),
            hash: [hash; 32],
        }),
        created_at,
        ..run(1, version, Some(created_at))
    };
    let one = named("one", 1, 10);
    let id = one.id;
    store.begin(one, Some(node)).await.unwrap();
    let taken = |same| Err(Error::Taken { run: id, same });
    for started in [Some(node), None] {
        let again = store.begin(named("one", 1, 11), started).await;
        assert_eq!(again, taken(true));
    }
    let other = store.begin(named("one", 2, 11), None).await;
    assert_eq!(other, taken(false));
    store.begin(named("two", 1, 11), Some(node)).await.unwrap();
    let elsewhere = NewRun {
        program: 2,
        ..named("one", 1, 11)
    };
    store.begin(elsewhere, Some(node)).await.unwrap();
    // It is kept for a while after the run has ended.
    finish(store, first(id, node), State::Succeeded)
        .await
        .unwrap();
    let late = store.begin(named("one", 1, 30 + KEY_KEPT - 1), None).await;
    assert_eq!(late, taken(true));
    let later = named("one", 2, 30 + KEY_KEPT);
    store.begin(later, None).await.unwrap();
}

async fn a_run_is_cancelled_in_every_state(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let node = entered(store).await;
    let cancel = async |id| store.cancel(id, 40, "{}".to_owned()).await.unwrap();
    assert_eq!(cancel(RunId::new()).await, Cancel::Unknown);
    let queued = run(1, version, None);
    let id = queued.id;
    store.begin(queued, None).await.unwrap();
    assert_eq!(cancel(id).await, Cancel::Ended { begun: false });
    assert_eq!(cancel(id).await, Cancel::Over(State::Cancelled));
    let run = run(1, version, Some(20));
    let id = run.id;
    store.begin(run, Some(node)).await.unwrap();
    assert_eq!(cancel(id).await, Cancel::Asked);
    // One that is to be cancelled is put aside for no time at all.
    let aside = store.leave(first(id, node), made(""), Leave::Until(1_000));
    aside.await.unwrap();
    let claims = store.claim(node, 10, at(40)).await.unwrap();
    assert!(claims.runs[0].cancelled);
    let aside = store.leave(claims.runs[0].hold, made(""), Leave::Released);
    aside.await.unwrap();
    assert_eq!(cancel(id).await, Cancel::Ended { begun: true });
    let run = store.run(id).await.unwrap().unwrap();
    assert_eq!(
        (run.summary.reason.as_deref(), run.summary.ended_at),
        (Some("cancelled"), Some(40))
    );
}

fn answers() -> Answers {
    let text = |text: &str| format!("{text:?}");
    Answers {
        cancelled: text("cancelled"),
        lost: text("lost"),
        poison: text("poison"),
    }
}

async fn what_servers_that_are_gone_left_is_gone_on_with_or_ended(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let gone = entered(store).await;
    let queued = run(1, version, None);
    let resumed = run(1, version, Some(20));
    let lost = NewRun {
        resumes: false,
        ..run(1, version, Some(20))
    };
    let cancelled = run(1, version, Some(20));
    let ids = [queued.id, resumed.id, lost.id, cancelled.id];
    store.begin(queued, None).await.unwrap();
    for run in [resumed, lost, cancelled] {
        store.begin(run, Some(gone)).await.unwrap();
    }
    let cancel = store.cancel(ids[3], 40, String::new()).await;
    assert_eq!(cancel, Ok(Cancel::Asked));
    let node = entered(store).await;
    let swept = store.sweep(node, 50, answers()).await.unwrap();
    let ended = vec![ids[2], ids[3]];
    assert_eq!(swept, Swept { again: 1, ended });
    let mut found = Vec::new();
    for id in ids {
        let run = store.run(id).await.unwrap().unwrap();
        found.push((run.summary.state, run.summary.reason, run.answer));
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        found,
        [
            (State::Queued, None, None),
            (State::Queued, None, None),
            (State::Failed, text("node_lost"), text("\"lost\"")),
            (State::Cancelled, text("cancelled"), text("\"cancelled\"")),
        ]
    );
    assert_eq!(store.queued().await.unwrap(), 1);
    let again = store.sweep(node, 50, answers()).await.unwrap();
    assert_eq!(again, Swept::default());
}

async fn a_run_that_servers_die_of_is_ended_unless_it_comes_further(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let run = run(1, version, None);
    let id = run.id;
    store.begin(run, None).await.unwrap();
    let mut now = 100;
    // Whether the run comes further before the server is gone, and how long the run waits then.
    let deaths = [
        (true, 0),
        (false, 10_000_000),
        (true, 0),
        (false, 10_000_000),
    ];
    for (number, (further, pause)) in (1..).zip(deaths) {
        let node = entered(store).await;
        let hold = taken(store, node, now).await;
        if further {
            records(store, hold, vec![record(number, Status::Done, "1")]).await;
        }
        let next = entered(store).await;
        let swept = store.sweep(next, now, answers()).await.unwrap();
        assert_eq!(swept.again, 1);
        if pause > 0 {
            let claims = store.claim(next, 10, at(now + pause - 1)).await.unwrap();
            assert_eq!((claims.runs, claims.next), (vec![], Some(now + pause)));
        }
        now += pause;
    }
    let node = entered(store).await;
    taken(store, node, now).await;
    let next = entered(store).await;
    let swept = store.sweep(next, now, answers()).await.unwrap();
    assert_eq!(swept.ended, [id]);
    let run = store.run(id).await.unwrap().unwrap();
    assert_eq!(run.summary.reason.as_deref(), Some("poison"));
}

async fn the_oldest_queued_run_is_taken_first(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let run = run(1, version, None);
        ids.push(run.id);
        store.begin(run, None).await.unwrap();
    }
    let node = entered(store).await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        let claims = store.claim(node, 2, at(20)).await.unwrap();
        taken.extend(claims.runs.iter().map(|claimed| claimed.hold.run));
    }
    assert_eq!(taken, ids);
}

#[tokio::test]
async fn the_clock_is_read_when_runs_can_be_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    let node = entered(&store).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (over, is_over) = std::sync::mpsc::channel();
    let clock = Box::new(move || is_over.try_recv().unwrap());
    let (claims, ()) = tokio::join!(store.claim(node, 1, clock), async {
        over.send(20).unwrap();
        other.execute_batch("ROLLBACK").unwrap();
    });
    assert_eq!(claims.unwrap().runs, []);
}

async fn a_run_that_began_and_ended_is_recorded_at_once(store: &dyn Store) {
    let version = store.accept(version(1, "a")).await.unwrap();
    let run = run(1, version, Some(20));
    let id = run.id;
    store
        .record(run, made("{}\n{}\n"), end(State::Succeeded))
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
    let node = entered(store).await;
    let run = run(1, version, Some(20));
    let id = run.id;
    store.begin(run, Some(node)).await.unwrap();
    let hold = first(id, node);
    store.append(hold, made("one\n")).await.unwrap();
    let page = store.log(id, 0).await.unwrap();
    assert_eq!(
        (page.text.as_str(), page.next, page.ended),
        ("one\n", 1, false)
    );
    store.append(hold, made("two\nthree\n")).await.unwrap();
    assert_eq!(store.run(id).await.unwrap().unwrap().log_lines, 3);
    let ended = Leave::Ended(end(State::Succeeded));
    store.leave(hold, made("four\n"), ended).await.unwrap();
    let page = store.log(id, page.next).await.unwrap();
    assert_eq!(
        (page.text.as_str(), page.ended),
        ("two\nthree\nfour\n", true)
    );
    assert_eq!(store.run(id).await.unwrap().unwrap().log_lines, 4);
    assert_eq!(store.append(hold, made("five\n")).await, Err(Error::Lost));
    assert!(matches!(
        store.log(RunId::new(), 0).await,
        Err(Error::Conflict(_))
    ));
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
        store.record(run, made(""), end(state)).await.unwrap();
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
            tokio::spawn(async move { store.record(run, made(""), end(State::Succeeded)).await })
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
        max_bytes: Some(400_000),
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
                tokio::spawn(async move {
                    (
                        id,
                        store.record(run, made(&log), end(State::Succeeded)).await,
                    )
                })
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
async fn a_record_opened_for_reading_sees_what_another_writes_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.db");
    let writer = Sqlite::open(&path, Options::default()).unwrap();
    let version = writer.accept(version(1, "a")).await.unwrap();
    let reader = Sqlite::read_only(&path).unwrap();
    let run = run(1, version, Some(20));
    let id = run.id;
    writer
        .record(run, made(""), end(State::Succeeded))
        .await
        .unwrap();
    assert!(reader.run(id).await.unwrap().is_some());
    assert_eq!(reader.set_key(1, [1; 32]).await, Err(Error::Closed));
}
