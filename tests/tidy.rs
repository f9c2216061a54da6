//! Habits of the sources that the compiler does not hold.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};

/// The most lines a hand-written source may have.
const LONGEST: usize = 800;

/// What the sources of a folder may not name, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "crates/engine/src",
        &[
            "std::fs",
            "std::net",
            "std::process",
            "SystemTime",
            "Instant::now",
            "tokio",
            "rusqlite",
        ],
        "the engine does no input or output and has no clock",
    ),
    (
        "crates/steps/src",
        &[
            "std::fs",
            "std::net",
            "std::process",
            "SystemTime",
            "Instant::now",
            "tokio",
            "waystation::",
        ],
        "a step reaches the world through its context",
    ),
    (
        "src/store",
        &[
            "crate::runs",
            "crate::http",
            "crate::cli",
            "crate::worker",
            "crate::app",
            "engine::",
        ],
        "the store knows nothing of what uses it",
    ),
    (
        "src/http",
        &["crate::cli", "crate::worker", "rusqlite"],
        "routes start runs through the one door",
    ),
    (
        "src/runs.rs",
        &["crate::cli", "crate::http", "crate::worker", "rusqlite"],
        "the one door knows nobody who comes through it",
    ),
    (
        "src/worker.rs",
        &["crate::cli", "crate::http", "rusqlite"],
        "the worker comes through the one door",
    ),
    ("src/cli", &["rusqlite"], "only the store speaks SQL"),
];

fn sources(under: &Path, found: &mut Vec<PathBuf>) {
    if under.is_file() {
        return found.push(under.to_owned());
    }
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir()
            || path
                .extension()
                .is_some_and(|end| end == "rs" || end == "py")
        {
            sources(&path, found);
        }
    }
}

fn all(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(under),
        &mut found,
    );
    assert!(!found.is_empty(), "{under} is empty");
    found
}

#[test]
fn imports_go_one_way() {
    for (folder, words, why) in FORBIDDEN {
        for path in all(folder) {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for (number, line) in code.enumerate() {
                let word = words.iter().find(|word| line.contains(**word));
                assert!(
                    word.is_none(),
                    "{} names {word:?} around line {}: {why}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn no_source_is_too_long() {
    let mut sizes: Vec<(usize, PathBuf)> = ["src", "crates", "tests", "benches"]
        .into_iter()
        .flat_map(all)
        .map(|path| {
            (
                std::fs::read_to_string(&path).unwrap().lines().count(),
                path,
            )
        })
        .collect();
    sizes.sort();
    sizes.reverse();
    for (lines, path) in &sizes[..10] {
        println!("{lines:>5} {}", path.display());
    }
    assert!(
        sizes[0].0 <= LONGEST,
        "{} has {} lines, more than {LONGEST}",
        sizes[0].1.display(),
        sizes[0].0
    );
}
