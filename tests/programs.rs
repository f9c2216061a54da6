//! The language, told by programs: those of `tests/programs` pass their own tests, and those of
//! `tests/programs/wrong` have exactly the problems that stand beside them.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use engine::plan::Plan;
use engine::problem::Source;
use steps::KINDS;

/// What writes the texts beside the wrong programs anew.
const REFRESH: &str = "UPDATE=1 cargo test --test programs wrong";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

/// The folders of good programs, one for each topic.
fn topics() -> Vec<String> {
    let mut topics: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "wrong")
        .collect();
    topics.sort();
    topics
}

/// Runs the real binary in `tests/programs` or a folder in it.
fn waystation(within: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waystation"));
    command
        .args(args)
        .current_dir(folder().join(within))
        .env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TZ", "UTC").stdin(Stdio::null());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn yaml_files(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_program_passes_its_tests() {
    let mut args = vec!["test".to_owned(), "--json".to_owned()];
    args.extend(topics());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = waystation("", &args);
    let tested: Vec<serde_json::Value> = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&ran.stderr)));
    let mut failed = Vec::new();
    for test in &tested {
        let wrong: Vec<&str> = test["wrong"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        if !wrong.is_empty() {
            let (program, name) = (&test["program"], &test["test"]);
            failed.push(format!("{program}: {name}\n{}", wrong.join("\n")));
        }
    }
    let (count, all) = (failed.len(), tested.len());
    assert!(
        failed.is_empty(),
        "{count} of {all} tests failed\n{}",
        failed.join("\n")
    );
    assert!(ran.status.success());
    for topic in topics() {
        for file in yaml_files(&folder().join(&topic)) {
            let program = format!("{topic}/{file}");
            let has = tested.iter().any(|test| test["program"] == *program);
            assert!(has, "{program} has no tests");
        }
    }
}

/// No two programs have one id, so that they can be served together.
#[test]
fn the_programs_are_checked_together() {
    let mut args = vec!["check".to_owned()];
    args.extend(topics());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = waystation("", &args);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
}

#[test]
fn every_wrong_program_has_the_problems_beside_it() {
    let wrong = folder().join("wrong");
    let update = std::env::var_os("UPDATE").is_some();
    let mut differ = Vec::new();
    for file in yaml_files(&wrong) {
        let ran = waystation("wrong", &["check", &file]);
        let came = text(&ran.stderr);
        let beside = wrong.join(&file).with_extension("txt");
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        if ran.status.code() != Some(1) {
            differ.push(format!("{file}: ended with {}\n{came}", ran.status));
        } else if came != expected && update {
            std::fs::write(&beside, came).unwrap();
        } else if came != expected {
            differ.push(format!("{file}\n--- expected\n{expected}--- came\n{came}"));
        }
    }
    assert!(
        differ.is_empty(),
        "{}\n{} programs differ; if all is as it should be, run: {REFRESH}",
        differ.join("\n"),
        differ.len()
    );
}

/// The limits that a program cannot meet in a test of its own, since tests run with the defaults.
#[test]
fn a_run_takes_so_many_steps_and_so_much_time() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("limits.yaml");
    let text = "id: 1\nname: Limits\nfunctions:\n  Main:\n    steps:\n      - while: true\n        steps:\n          - print\n          - if: true\n            then: [print]\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    for (flag, limit, sentence) in [
        (
            "--max-steps",
            "9",
            "Main, step 1.2.1 (print): the run took more than 9 steps",
        ),
        (
            "--max-steps",
            "10",
            "Main, step 1.1 (print): the run took more than 10 steps",
        ),
        (
            "--max-passes",
            "3",
            "Main, step 1 (while): the loops of this run made more than 3 passes",
        ),
        ("--run-time", "50ms", "the run took longer than 50ms"),
    ] {
        let ran = waystation("", &["run", "--json", flag, limit, file]);
        let answer: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        let error = answer["Error"].as_str().unwrap();
        assert!(error.ends_with(sentence), "{error}");
        assert_eq!(ran.status.code(), Some(1));
    }
}

#[test]
fn colours_are_all_that_a_terminal_is_shown_more() {
    let text = "id: 1\nname: X\nfunctions: {Main: {steps: [prnt: hi]}}\n";
    let source = Source {
        name: "x.yaml".into(),
        text: text.into(),
    };
    let problems = Plan::check(&source, &KINDS).err().unwrap();
    let coloured = format!("{:#}", problems[0].drawn(&source));
    assert!(coloured.contains("\x1b[1;31m^^^^\x1b[0m"), "{coloured:?}");
    let plain = anstream::adapter::strip_str(&coloured).to_string();
    assert_eq!(plain, problems[0].drawn(&source).to_string());
}
