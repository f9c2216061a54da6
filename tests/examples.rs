//! `examples`: every program is good, says what it is for, and passes its own tests.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::Path;

use engine::plan::Plan;
use engine::problem::Source;
use steps::KINDS;
use support::TestCommand;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

#[test]
fn no_example_has_a_problem_and_no_two_have_one_id() {
    let ran = TestCommand::new(&[]).run(&["check", FOLDER]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
}

#[test]
fn every_example_passes_its_tests() {
    let ran = TestCommand::new(&[]).run(&["test", FOLDER]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn every_example_says_what_it_is_for_and_is_tested() {
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        let plan = plan(&path);
        assert!(plan.description.is_some(), "{}", path.display());
        assert!(!plan.tests.is_empty(), "{}", path.display());
    }
}

fn plan(path: &Path) -> Plan {
    let source = Source {
        name: path.display().to_string().into(),
        text: std::fs::read_to_string(path).unwrap().into(),
    };
    Plan::check(&source, &KINDS).unwrap_or_else(|_| panic!("{}", path.display()))
}
