//! The cache: what is installed once is there, at once and without a network.

use std::path::Path;
use std::time::Instant;

use crate::index::{Index, Place, pip, tools};

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_installed_once_and_there_without_index_and_installer_afterwards() {
    for at in 0..tools("").len() {
        let mut index = Index::new();
        let (tool, tools) = tools(&index.url()).remove(at);
        let place = Place::new(tools);
        let environment = place.ready(&["good<2"]).await.unwrap();
        assert_eq!(environment.modules, ["good"], "{tool}");
        assert_eq!(
            place.told(),
            [
                "installing 1 package for names.yaml: good 1.0",
                "packages of names.yaml are ready (1 package(s), …)"
            ]
        );
        let lock = std::fs::read_to_string(place.lock()).unwrap();
        assert!(lock.contains("\n# wanted: good<2\n"), "{lock}");
        assert!(
            lock.contains("\ngood==1.0 \\\n    --hash=sha256:"),
            "{lock}"
        );
        index.stop();
        let mut nothing = pip("http://127.0.0.1:1/");
        nothing.uv = "/bin/false".into();
        let place = Place::again(nothing, place.folder);
        assert_eq!(place.ready(&["good<2"]).await.as_ref(), Ok(&environment));
        let began = Instant::now();
        assert_eq!(place.ready(&["good<2"]).await, Ok(environment));
        println!("found again in {:?}", began.elapsed());
        assert_eq!(place.told(), [] as [&str; 0]);
        assert_eq!(std::fs::read_to_string(place.lock()).unwrap(), lock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_want_the_same_wait_for_one_installation() {
    let index = Index::new();
    let place = Place::new(pip(&index.url()));
    let all = tokio::join!(
        place.ready(&["good"]),
        place.ready(&["good"]),
        place.ready(&["good"]),
        place.ready_for(&["good"], Path::new("/nowhere/other.yaml")),
    );
    assert_eq!(all.0, all.1);
    assert_eq!(all.1, all.2);
    assert_eq!(all.2, all.3);
    let installing = place
        .told()
        .iter()
        .filter(|line| line.starts_with("installing"))
        .count();
    assert_eq!(installing, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_want_the_same_wait_for_one_installation() {
    let index = Index::new();
    let place = Place::new(pip(&index.url()));
    let file = place.folder.path().join("names.yaml");
    let other = Place::new(pip(&index.url()));
    let both = waystation::packages::Packages::new(
        pip(&index.url()),
        place.cache(),
        Box::new(|line| panic!("{line}")),
    );
    let wanted = ["good".to_owned()];
    let program = waystation::packages::Program {
        name: "names.yaml",
        file: &file,
        sets: &[wanted.to_vec()],
    };
    let first = place.ready(&["good"]);
    let python = crate::index::python().await;
    let second = async {
        // The first has begun when the cache is there.
        begun(&place).await;
        both.ready(&python, &wanted, program).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first, second);
    assert_eq!(other.told(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_stops_waiting_does_not_break_it_off() {
    let index = Index::new();
    let place = Place::new(pip(&index.url()));
    let ready = place.ready(&["good"]);
    tokio::select! {
        _ = ready => {}
        () = begun(&place) => {}
    }
    place.ready(&["good"]).await.unwrap();
    let installing = place
        .told()
        .iter()
        .filter(|line| line.starts_with("installing"))
        .count();
    assert_eq!(installing, 1);
}

#[test]
fn what_was_broken_off_is_deleted_at_the_start_unless_it_is_at_work() {
    let place = Place::new(pip(""));
    let unfinished = place.cache().join("new-x/site");
    std::fs::create_dir_all(&unfinished).unwrap();
    let held = std::fs::File::create(place.cache().join("lock")).unwrap();
    held.lock().unwrap();
    let place = Place::again(pip(""), place.folder);
    assert!(unfinished.exists());
    drop(held);
    let place = Place::again(pip(""), place.folder);
    assert_eq!(place.cached(), ["lock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_cannot_be_read_is_made_again() {
    let index = Index::new();
    let place = Place::new(pip(&index.url()));
    let environment = place.ready(&["good"]).await.unwrap();
    let modules = environment.site.with_file_name("modules.json");
    std::fs::write(&modules, "[").unwrap();
    assert_eq!(place.ready(&["good"]).await, Ok(environment));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_that_cannot_be_written_is_kept_in_the_cache_which_is_said_once() {
    let mut index = Index::new();
    let place = Place::new(pip(&index.url()));
    let file = Path::new("/nowhere/names.yaml");
    let environment = place.ready_for(&["good"], file).await.unwrap();
    place.ready_for(&["good<2"], file).await.unwrap();
    let told = place.told();
    let start = "`/nowhere/names.lock` cannot be written (";
    let said: Vec<&String> = told.iter().filter(|line| line.starts_with(start)).collect();
    assert_eq!(said.len(), 1, "{told:?}");
    let locks = place.cache().join("locks");
    let inside = std::fs::read_dir(&locks)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(
        said[0].ends_with(&format!(
            "); its packages are pinned in `{}`",
            inside.display()
        )),
        "{}",
        said[0]
    );
    index.stop();
    let place = Place::again(pip(&index.url()), place.folder);
    let other = place.ready_for(&["good<2"], file).await.unwrap();
    assert_ne!(other, environment);
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_that_a_program_no_longer_names_go_from_its_lock_file() {
    let index = Index::new();
    let place = Place::new(pip(&index.url()));
    place.ready(&["good<2"]).await.unwrap();
    place.ready(&["good>=2"]).await.unwrap();
    let lock = std::fs::read_to_string(place.lock()).unwrap();
    assert!(
        !lock.contains("good<2") && lock.contains("# wanted: good>=2\n"),
        "{lock}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_lock_file_is_not_used() {
    let index = Index::new();
    let place = Place::new(pip(&index.url()));
    place.ready(&["good"]).await.unwrap();
    let lock = std::fs::read_to_string(place.lock()).unwrap();
    std::fs::write(place.lock(), lock.replace("good==2.0", "good>=2.0")).unwrap();
    let sentence = format!(
        "`{}` is not as it was written; delete it to have it written anew",
        place.lock().display()
    );
    assert_eq!(place.ready(&["good"]).await, Err(sentence));
}

/// Waits until the cache is there.
async fn begun(place: &Place) {
    let lock = place.cache().join("lock");
    crate::support::until(async || lock.exists().then_some(())).await;
}
