//! What may stand in a list of packages.

use engine::plan::Plan;
use engine::problem::Source;
use engine::requirement::{Requirement, is_version, normalised};
use proptest::prelude::*;
use steps::KINDS;

fn written(text: &str) -> String {
    Requirement::read(text).unwrap().to_string()
}

#[test]
fn what_is_taken_is_normalised() {
    for (text, normal) in [
        ("nameparser", "nameparser"),
        ("nameparser==1.1.3", "nameparser==1.1.3"),
        (" Name.Parser ~= 1.1 ", "name-parser~=1.1"),
        ("a_-.b", "a-b"),
        (
            "flask [Async, dotenv] >= 3, <4",
            "flask[async,dotenv]<4,>=3",
        ),
        ("flask[b,a,B]", "flask[a,b]"),
        ("x==1.*,!=1.2.*", "x!=1.2.*,==1.*"),
        ("x>=1,>=1", "x>=1"),
        (
            "x==2!1.0rc1.post2.dev3+cpu.1",
            "x==2!1.0rc1.post2.dev3+cpu.1",
        ),
        ("3to2", "3to2"),
    ] {
        assert_eq!(written(text), normal, "{text}");
    }
}

#[test]
fn versions_are_those_of_pep_440() {
    for version in [
        "1",
        "1.0",
        "0!1",
        "1.0a1",
        "1.0.alpha-2",
        "1.0-beta",
        "1.0c3",
        "1.0rc1",
        "1.0pre2",
        "1.0.post1",
        "1.0-1",
        "1.0rev",
        "1.0.dev0",
        "1.0a1.post2.dev3",
        "1.0+ubuntu.1",
        "2013b",
    ] {
        assert!(is_version(version), "{version}");
    }
    for version in [
        "",
        ".",
        "1.",
        ".1",
        "1..0",
        "one",
        "1!",
        "!1",
        "1.0+",
        "1.0+a..b",
        "1.0x",
        "1.0.dev1.post1",
        "1 0",
        "1.0*",
        "1.0 --pre",
        "1.0\n2.0",
        "-1",
        "1;x",
        "1@x",
    ] {
        assert!(!is_version(version), "{version:?}");
    }
}

#[test]
fn only_so_many_packages_are_taken() {
    let program = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("p{at}")).collect();
        let list = names.join(", ");
        let text = format!(
            "id: 1\nname: P\nfunctions:\n  Main:\n    steps:\n      - python: pass\n        packages: [{list}]\n"
        );
        Source {
            name: "p.yaml".into(),
            text: text.into(),
        }
    };
    let plan = Plan::check(&program(100), &KINDS).unwrap_or_else(|_| panic!("refused"));
    assert_eq!(plan.packages[0].len(), 100);
    let problems = Plan::check(&program(101), &KINDS).err().unwrap();
    let message = "`packages` takes at most 100 packages, and these are 101";
    assert_eq!(
        problems
            .iter()
            .map(|problem| &problem.message)
            .collect::<Vec<_>>(),
        [message]
    );
}

#[test]
fn a_plan_has_every_set_once_and_none_of_disabled_steps() {
    let text = "id: 1\nname: P\nfunctions:\n  Main:\n    steps:
      - python: pass
        packages: [b, A]
      - python: pass
        packages: [a, B]
      - python: pass
        packages: c==1
      - python: pass
        packages: [d]
        disabled: true
      - python: pass
        packages: []
";
    let source = Source {
        name: "p.yaml".into(),
        text: text.into(),
    };
    let plan = Plan::check(&source, &KINDS).unwrap_or_else(|_| panic!("refused"));
    assert_eq!(plan.packages, [vec!["a", "b"], vec!["c==1"]]);
}

proptest! {
    #[test]
    fn whatever_is_taken_is_a_package_and_normal(text in "\\PC{0,40}|[-a-zA-Z0-9._\\[\\],<>=~!* @:/;]{0,30}") {
        if let Ok(read) = Requirement::read(&text) {
            let normal = read.to_string();
            prop_assert_eq!(Requirement::read(&normal), Ok(read));
            prop_assert!(normal.starts_with(|c: char| c.is_ascii_alphanumeric()), "{}", normal);
            let plain = normal.chars().all(|c| c.is_ascii_graphic() && !"@;:/\\#\"'`$&|(){}".contains(c));
            prop_assert!(plain, "{}", normal);
        }
    }

    #[test]
    fn every_package_is_taken(
        name in "[a-zA-Z0-9]([a-zA-Z0-9._-]{0,10}[a-zA-Z0-9])?",
        extras in prop::collection::vec("[a-z0-9]{1,5}", 0..3),
        versions in prop::collection::vec(("==|~=|!=|<=|>=|<|>", "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}((a|b|rc)[0-9])?(\\.post[0-9])?(\\.dev[0-9])?"), 0..4),
    ) {
        let file = [".zip", ".whl", ".gz"].iter().any(|end| name.ends_with(end));
        prop_assume!(!file);
        let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        let versions: Vec<String> = versions.into_iter().map(|(sign, version)| format!("{sign} {version}")).collect();
        let text = format!("{name} {extras} {}", versions.join(" , "));
        let read = Requirement::read(&text);
        prop_assert_eq!(read.map(|read| read.name().to_owned()), Ok(normalised(&name)));
    }
}
