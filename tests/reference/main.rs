//! `docs/reference` is what the code says and does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod http;

use std::path::Path;

use waystation::reference;

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_pages_are_those_that_the_code_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let update = std::env::var_os("UPDATE").is_some();
    let mut pages = reference::pages();
    pages.push(("http.md".to_owned(), http::page().await));
    let mut stale = Vec::new();
    for (name, text) in pages {
        let path = folder.join(&name);
        if std::fs::read_to_string(&path).ok().as_ref() == Some(&text) {
            continue;
        }
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        stale.push(name);
    }
    assert!(
        update || stale.is_empty(),
        "{} no longer fit the code; run: {}",
        stale.join(", "),
        reference::REFRESH
    );
}
