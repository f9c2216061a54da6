//! Pages of what has run.

use waystation::store::{Filter, Keep, RunId, State, Store};

use crate::{end, entered, made, run, version};

pub async fn many_runs_of_a_program_are_listed_in_pages(store: &dyn Store) {
    let accepted = async |program| store.accept(version(program, "a")).await.unwrap();
    let versions = [accepted(1).await, accepted(2).await];
    let mut ids = [const { Vec::new() }; 2];
    let record = async |ids: &mut [Vec<RunId>; 2], count: usize| {
        for number in 0..count {
            let which = usize::from(number % 3 == 0);
            let run = run(which as i64 + 1, versions[which], Some(20));
            ids[which].insert(0, run.id);
            let state = [State::Succeeded, State::Failed][number % 2];
            store.record(run, made(""), end(state)).await.unwrap();
        }
    };
    let listed = async |program| {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let filter = Filter {
                program: Some(program),
                before,
                limit: 20,
                ..Filter::default()
            };
            let page = store.runs(filter).await.unwrap();
            before = page.last().map(|run| run.id);
            found.extend(page.iter().map(|run| run.id));
            if page.len() < 20 {
                return found;
            }
        }
    };
    let check = async |ids: &[Vec<RunId>; 2]| {
        assert_eq!(listed(1).await, ids[0]);
        assert_eq!(listed(2).await, ids[1]);
    };
    // It is recorded when those after it are, and may be listed, already.
    let late = run(1, versions[0], Some(20));
    ids[0].insert(0, late.id);
    record(&mut ids, 300).await;
    store
        .record(late, made(""), end(State::Succeeded))
        .await
        .unwrap();
    let waits = run(1, versions[0], Some(20));
    let id = waits.id;
    let node = entered(store).await;
    store.begin(waits, Some(node)).await.unwrap();
    ids[0].insert(0, id);
    record(&mut ids, 400).await;
    check(&ids).await;
    // All but one, which has not ended, are forgotten.
    let keep = Keep {
        time: Some(1),
        ..Keep::default()
    };
    while store.prune(keep, 1_000).await.unwrap().runs > 0 {}
    let mut ids = [vec![id], Vec::new()];
    check(&ids).await;
    record(&mut ids, 300).await;
    check(&ids).await;
}
