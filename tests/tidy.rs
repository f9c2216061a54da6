//! The rules that no compiler holds: what may use what, how long a file may be, and which words stand
//! nowhere.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};

/// The application from top to bottom: a module may use those of its own layer and of the layers below.
const LAYERS: [&[&str]; 5] = [
    &["cli", "reference"],
    &["callbacks", "http", "retention", "schedule", "worker"],
    &["app", "code", "recorder", "runs"],
    &["keys", "programs", "watch"],
    &[
        "config", "egress", "fault", "metrics", "packages", "store", "traces",
    ],
];

/// What reaches the world, in words that stand in code: files, network, processes, time, threads, luck.
const WORLD: [&str; 11] = [
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "SystemTime",
    "Instant::now",
    "Zoned::now",
    "Timestamp::now",
    "getrandom",
    "tokio",
];

/// The longest that a source file may be, in lines.
const LONGEST: usize = 800;

#[test]
fn the_engine_and_the_steps_do_not_reach_the_world() {
    for path in sources(&["crates/engine/src", "crates/steps/src"]) {
        refuse(&path, &WORLD);
    }
}

#[test]
fn the_engine_knows_no_step_and_neither_knows_the_application() {
    for path in sources(&["crates/engine/src"]) {
        refuse(&path, &["steps::", "waystation::"]);
    }
    for path in sources(&["crates/steps/src"]) {
        refuse(&path, &["waystation::"]);
    }
    let ours = |path: &str| -> Vec<String> {
        let named = dependencies(path).into_iter().map(|(name, _)| name);
        named
            .filter(|name| matches!(&**name, "engine" | "steps" | "waystation"))
            .collect()
    };
    assert_eq!(ours("crates/engine/Cargo.toml"), [] as [&str; 0]);
    assert_eq!(ours("crates/steps/Cargo.toml"), ["engine"]);
}

#[test]
fn nothing_in_the_application_points_back() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut wrong = Vec::new();
    for path in sources(&["src"]) {
        let module = module(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        let above = layer(&module).unwrap_or_else(|| panic!("`{module}` has no layer"));
        for used in used(&code(&path)) {
            if layer(&used).is_some_and(|below| below < above) {
                wrong.push(format!("{} uses `{used}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sql_stands_in_the_store_alone_and_the_store_knows_no_values() {
    for path in sources(&["src"]) {
        if !path.starts_with("src/store/sqlite") && path != Path::new("src/store/sqlite.rs") {
            refuse(&path, &["rusqlite"]);
        }
        if module(&path) == "store" {
            refuse(&path, &["engine::"]);
        }
    }
}

#[test]
fn no_source_is_too_long() {
    let mut lengths: Vec<(usize, PathBuf)> = all()
        .into_iter()
        .map(|path| (text(&path).lines().count(), path))
        .collect();
    lengths.sort_by(|a, b| b.cmp(a));
    for (length, path) in &lengths[..10] {
        println!("{length:5} {}", path.display());
    }
    let (length, path) = &lengths[0];
    let path = path.display();
    assert!(
        *length <= LONGEST,
        "{path} has {length} lines; split it by what it is about"
    );
}

#[test]
fn nothing_is_left_to_do_and_no_file_is_a_drawer() {
    // Cut in two, so that they do not stand here.
    let words = [
        "to~do!",
        "unimple~mented!",
        "db~g!",
        "FIX~ME",
        "XX~X",
        "HA~CK",
    ];
    let words = words.map(|word| word.replace('~', ""));
    for path in all() {
        let text = text(&path);
        for word in &words {
            assert!(!text.contains(&**word), "{}: `{word}`", path.display());
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        for drawer in ["util", "helper", "manager", "common"] {
            assert!(!stem.contains(drawer), "{}", path.display());
        }
    }
}

#[test]
fn every_version_stands_in_the_workspace() {
    for path in [
        "Cargo.toml",
        "crates/engine/Cargo.toml",
        "crates/javascript/Cargo.toml",
        "crates/steps/Cargo.toml",
    ] {
        for (name, how) in dependencies(path) {
            let from_workspace = how.get("workspace") == Some(&toml::Value::Boolean(true));
            assert!(from_workspace, "{path}: `{name}.workspace = true`");
        }
    }
}

#[test]
fn every_method_of_a_seam_is_in_the_architecture() {
    let architecture = text(Path::new("ARCHITECTURE.md"));
    let seams = [
        ("pub trait Host", "crates/engine/src/host.rs"),
        ("pub trait Store", "src/store.rs"),
    ];
    for (seam, path) in seams {
        let code = code(Path::new(path));
        let body = code
            .split_once(seam)
            .unwrap()
            .1
            .split_once("\n}")
            .unwrap()
            .0;
        let methods = body.lines().filter_map(|line| line.strip_prefix("    fn "));
        for method in methods {
            let name = method.split(['(', '<']).next().unwrap();
            let row = format!("\n| `{name}` | ");
            assert!(architecture.contains(&row), "{seam}: `{name}` has no row");
        }
    }
}

/// Fails where one of some words stands in the code of a file.
fn refuse(path: &Path, words: &[&str]) {
    let code = code(path);
    for word in words {
        assert!(!code.contains(word), "{}: `{word}`", path.display());
    }
}

/// The module of the application that a file belongs to.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    first.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The names that follow `crate::` in code, those in braces too.
fn used(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for after in code.split("crate::").skip(1) {
        let list = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => after,
        };
        let each = match after.starts_with('{') {
            true => list.split(',').collect(),
            false => vec![list],
        };
        let name = |text: &str| {
            let word = text
                .trim()
                .split(|c: char| !c.is_alphanumeric() && c != '_');
            word.into_iter().next().unwrap_or_default().to_owned()
        };
        names.extend(each.into_iter().map(name));
    }
    names
}

/// The dependencies that a manifest names.
fn dependencies(path: &str) -> Vec<(String, toml::Table)> {
    let manifest: toml::Table = text(Path::new(path)).parse().unwrap();
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = sections
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table());
    let entry = |(name, how): (&String, &toml::Value)| {
        let how = how.as_table().cloned().unwrap_or_default();
        (name.clone(), how)
    };
    tables.flatten().map(entry).collect()
}

/// Every source that somebody wrote.
fn all() -> Vec<PathBuf> {
    sources(&["src", "crates", "tests", "benches"])
}

fn sources(folders: &[&str]) -> Vec<PathBuf> {
    let mut next: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    let mut found = Vec::new();
    while let Some(folder) = next.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let end = path.extension().and_then(|end| end.to_str());
            match entry.file_type().unwrap().is_dir() {
                true => next.push(path),
                false if matches!(end, Some("rs" | "py" | "sql" | "js" | "css" | "html")) => {
                    found.push(path);
                }
                false => {}
            }
        }
    }
    found
}

/// A file without its comments.
fn code(path: &Path) -> String {
    let text = text(path);
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
