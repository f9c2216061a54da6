//! `docs/reference` is what the code says.

use std::path::Path;

use waystation::reference;

#[test]
fn the_committed_pages_are_those_that_the_code_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for (name, text) in reference::pages() {
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
