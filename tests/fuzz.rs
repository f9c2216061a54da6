//! Whatever the text, a check ends soon, with problems that stand in it, and takes little memory.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use engine::plan::Plan;
use engine::problem::Source;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use steps::KINDS;

/// How many texts each property is tried with.
const CASES: u32 = 800;

/// Checks a text, and that every problem stands in it and can be drawn. Gives the problems.
fn checked(text: &str) -> usize {
    let source = Source {
        name: "fuzz.yaml".into(),
        text: text.into(),
    };
    let problems = match Plan::check(&source, &KINDS) {
        Ok(_) => return 0,
        Err(problems) => problems,
    };
    assert!(!problems.is_empty());
    for problem in &problems {
        let place = problem.place;
        assert!(
            place.start <= place.end && place.end <= text.len() + 1,
            "{problem:?}"
        );
        let drawn = problem.drawn(&source).to_string();
        assert!(
            drawn.contains(&problem.message) && drawn.contains('^'),
            "{drawn}"
        );
        assert!(drawn.len() < 4_000, "{drawn}");
        let json = serde_json::to_string(&problem.shown(&source)).unwrap();
        assert!(json.len() < 10_000, "{json}");
    }
    problems.len()
}

/// Programs to change: all of the specification and of the examples.
static PROGRAMS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join("tests/programs"), root.join("examples")];
    let mut programs = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                programs.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    programs.sort();
    programs
});

/// A change of a text; positions are parts of its length.
#[derive(Clone, Debug)]
enum Change {
    Insert(Index, String),
    Delete(Index, usize),
    Swap(Index, Index, usize),
    Repeat(Index, usize, usize),
    Replace(Index, char),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<Index>;
    let change = prop_oneof![
        (at(), soup()).prop_map(|(at, text)| Change::Insert(at, text)),
        (at(), 1..30usize).prop_map(|(at, length)| Change::Delete(at, length)),
        (at(), at(), 1..20usize).prop_map(|(a, b, length)| Change::Swap(a, b, length)),
        (at(), 1..60usize, 1..5usize)
            .prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (at(), any::<char>()).prop_map(|(at, c)| Change::Replace(at, c)),
    ];
    vec(change, 1..6)
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for change in changes {
        let size = chars.len();
        let at = |at: &Index| at.index(size + 1);
        match change {
            Change::Insert(index, text) => {
                let at = at(index);
                chars.splice(at..at, text.chars());
            }
            Change::Delete(index, length) => {
                let at = at(index);
                chars.drain(at..(at + length).min(size));
            }
            Change::Swap(a, b, length) => {
                let (a, b) = (at(a), at(b));
                for step in 0..*length {
                    if a.max(b) + step < size {
                        chars.swap(a + step, b + step);
                    }
                }
            }
            Change::Repeat(index, length, times) => {
                let at = at(index);
                let part = chars[at..(at + length).min(size)].repeat(*times);
                chars.splice(at..at, part);
            }
            Change::Replace(index, c) if size > 0 => {
                let at = index.index(size);
                chars[at] = *c;
            }
            Change::Replace(..) => {}
        }
    }
    chars.into_iter().collect()
}

/// Pieces of which programs are made, in no order.
fn soup() -> impl Strategy<Value = String> {
    let word = select(
        &[
            "id",
            "name",
            "functions",
            "Main",
            "steps",
            "triggers",
            "webhook",
            "inputs",
            "outputs",
            "print",
            "set",
            "if",
            "then",
            "else",
            "else_if",
            "loop",
            "as",
            "index",
            "while",
            "max",
            "call",
            "return",
            "break",
            "python",
            "show",
            "disabled",
            "timeout",
            "tests",
            "type",
            "default",
            "text",
            "number",
            "true",
            "null",
            "1",
            "-5",
            "1e999",
            "0x",
            ".inf",
            "2020-01-15",
            "outputs[\"A\"]",
            "inputs['A']",
        ][..],
    );
    let mark = select(
        &[
            ": ", ":", "- ", "-", "\n", "\n  ", "\n      ", "\r\n", "\t", "{", "}", "[", "]", ", ",
            "{{ ", " }}", "{{", "}}", "\"", "'", "|\n", ">-\n", "&a ", "*a", "!t ", "# ", "? ",
            "%", "---\n", "...\n", "<<: ", " | ", " is ", " not ", " in ", " + ", "(", ")", "\\",
            "\\u12", "\u{feff}", "\u{85}", "\u{2028}", "\0", "é", "你", "😀", "\u{202e}",
        ][..],
    );
    vec(prop_oneof![word, mark], 1..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_checked(text in any::<String>()) {
        checked(&text);
    }

    #[test]
    fn any_bytes_are_checked(bytes in vec(any::<u8>(), 0..400)) {
        checked(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_programs_are_checked(text in soup(), deep in 0..4usize) {
        checked(&text);
        let head = "id: 1\nname: a\nfunctions:\n  Main:\n    steps:\n      - ";
        checked(&format!("{head}{text}"));
        checked(&format!("{head}print: \"{text}\""));
        checked(&format!("{head}if: {text}\n        then: []"));
        checked(&format!("{head}python: |\n          {text}"));
        checked(&format!("{head}set: {}{text}{}", "{a: [".repeat(deep), "]}".repeat(deep)));
    }

    #[test]
    fn changed_programs_are_checked(program in any::<Index>(), changes in changes()) {
        checked(&changed(program.get::<String>(&PROGRAMS), &changes));
    }
}

/// Every list of changes at one program, one after the other, so that it gets worse and worse.
#[test]
fn programs_that_decay_are_checked() {
    let mut runner = TestRunner::deterministic();
    let started = Instant::now();
    for program in PROGRAMS.iter() {
        let mut text = program.clone();
        for _ in 0..8 {
            let changes = changes().new_tree(&mut runner).unwrap().current();
            text = changed(&text, &changes);
            checked(&text);
        }
    }
    assert!(
        started.elapsed() < Duration::from_secs(120),
        "{:?}",
        started.elapsed()
    );
}

/// A program with one step.
fn with_step(step: &str) -> String {
    format!("id: 1\nname: a\nfunctions:\n  Main:\n    steps:\n      - {step}\n")
}

/// Texts that are large or deep in every way we know, with whether they are good programs.
fn extremes() -> Vec<(&'static str, String, bool)> {
    let mib = 1 << 20;
    let expr = |code: String| with_step(&format!("print: \"{{{{ {code} }}}}\""));
    let some =
        |count: usize, text: &dyn Fn(usize) -> String| -> String { (0..count).map(text).collect() };
    vec![
        (
            "brackets",
            with_step(&format!("set: {{A: {}", "[".repeat(100_000))),
            false,
        ),
        (
            "braces",
            with_step(&format!("set: {}", "{a: ".repeat(100_000))),
            false,
        ),
        (
            "closed brackets",
            with_step(&format!(
                "set: {{A: {}{}}}",
                "[".repeat(500_000),
                "]".repeat(500_000)
            )),
            false,
        ),
        (
            "dashes",
            format!("steps:\n  {}", "- ".repeat(500_000)),
            false,
        ),
        ("question marks", "? ".repeat(500_000), false),
        (
            "indentation",
            some(1_400, &|at| format!("{}a:\n", " ".repeat(at))),
            false,
        ),
        ("one long line", "a".repeat(mib), false),
        ("too long", "a".repeat(mib + 1), false),
        ("many lines", "\n".repeat(mib), false),
        ("many carriage returns", "\r".repeat(mib), false),
        ("many blanks", " ".repeat(mib), false),
        ("many tabs", "\t".repeat(mib), false),
        ("many colons", ": ".repeat(mib / 2), false),
        ("many quotes", "'".repeat(mib), false),
        ("many double quotes", "\"".repeat(mib), false),
        (
            "an open quote",
            format!("a: \"{}", "b\n ".repeat(mib / 4)),
            false,
        ),
        (
            "a folded text",
            format!("a: >\n{}", "  b\n".repeat(mib / 4)),
            false,
        ),
        ("many comments", "#\n".repeat(mib / 2), false),
        ("many documents", "---\n".repeat(mib / 4), false),
        (
            "many tags",
            with_step(&format!("set: {{A: [{}]}}", "!t 1,".repeat(90_000))),
            false,
        ),
        (
            "many anchors",
            with_step(&format!(
                "set: {{A: [{}]}}",
                some(90_000, &|at| format!("&{at} 1,"))
            )),
            true,
        ),
        ("many controls", "\u{1}".repeat(mib), false),
        ("many wide letters", "你".repeat(mib / 3), false),
        (
            "many keys",
            with_step(&format!(
                "set: {{{}}}",
                some(45_000, &|at| format!("a{at}: 1, "))
            )),
            true,
        ),
        (
            "one key many times",
            with_step(&format!("set: {{{}}}", "a: 1, ".repeat(49_000))),
            false,
        ),
        (
            "many missing blanks",
            with_step(&format!(
                "set: {{{}}}",
                some(49_000, &|at| format!("a{at}:1, "))
            )),
            false,
        ),
        (
            "many steps",
            some(1, &|_| with_step(&"print: a\n      - ".repeat(60_000))),
            false,
        ),
        (
            "many functions",
            format!(
                "id: 1\nname: a\nfunctions:\n{}",
                some(20_000, &|at| format!("  f{at}: {{steps: []}}\n"))
            ),
            true,
        ),
        (
            "many unknown kinds",
            with_step(&"prnt: a\n      - ".repeat(45_000)),
            false,
        ),
        (
            "many unknown variables",
            with_step(&format!(
                "set: {{{}}}",
                some(30_000, &|at| format!("a{at}: '{{{{ b{at} }}}}', "))
            )),
            false,
        ),
        (
            "many templates",
            with_step(&format!("print: '{}'", "{{ a }}".repeat(140_000))),
            false,
        ),
        (
            "templates as many as may be",
            with_step(&format!("print: \"\\t{}\"", "{{ 1 }}".repeat(20_000))),
            true,
        ),
        (
            "many escaped templates",
            with_step(&format!("print: \"\\t{}\"", "{{ 1 }}".repeat(140_000))),
            false,
        ),
        (
            "many open templates",
            with_step(&format!("print: '{}'", "{{ ".repeat(300_000))),
            false,
        ),
        (
            "many calls",
            with_step(&"call: Nobody\n      - ".repeat(4_900)),
            false,
        ),
        (
            "many inputs",
            format!(
                "id: 1\nname: a\nfunctions:\n  Main:\n    steps:\n      - call: Other\n        inputs: {{{}}}\n  Other:\n    inputs: {{{}}}\n    steps: []\n",
                some(15_000, &|at| format!("a{at}: 1, ")),
                some(15_000, &|at| format!("a{at}: any, ")),
            ),
            true,
        ),
        (
            "many names to show",
            with_step(&format!(
                "set: {{{}}}\n        show: [{}]",
                some(20_000, &|at| format!("a{at}: 1, ")),
                some(20_000, &|at| format!("a{at}, ")),
            )),
            true,
        ),
        (
            "many loops over a variable",
            with_step(&format!(
                "set: {{{}}}\n{}",
                some(20_000, &|at| format!("a{at}: [], ")),
                "      - loop: a7\n        steps: []\n".repeat(4_000),
            )),
            true,
        ),
        (
            "aliases of a long text",
            with_step(&format!(
                "set: {{A: &a '{}', B: [{}]}}",
                "{{ 1 }}".repeat(50_000),
                "*a, ".repeat(40_000),
            )),
            false,
        ),
        (
            "aliases of aliases",
            with_step(&format!(
                "set:\n          a0: &a0 [1]\n{}",
                some(40, &|at| format!(
                    "          a{}: &a{} [*a{at}, *a{at}]\n",
                    at + 1,
                    at + 1
                )),
            )),
            false,
        ),
        (
            "anchors in anchors",
            with_step(&format!(
                "set: {{A: {}{}{}}}",
                some(50, &|at| format!("&a{at} [")),
                "x, ".repeat(90_000),
                "]".repeat(50),
            )),
            true,
        ),
        (
            "code",
            with_step(&format!("python: '{}'", "outputs[\"a\"];".repeat(70_000))),
            true,
        ),
        (
            "code with many names",
            with_step(&format!(
                "python: '{}'",
                some(40_000, &|at| format!("outputs[\"a{at}\"];"))
            )),
            true,
        ),
        ("a sum", expr(format!("1{}", " + 1".repeat(200_000))), false),
        (
            "a sum as long as may be",
            expr(format!("1{}", "+1".repeat(990))),
            true,
        ),
        (
            "brackets in an expression",
            expr(format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000))),
            false,
        ),
        (
            "as many brackets as may be",
            expr(format!("{}1{}", "(".repeat(990), ")".repeat(990))),
            false,
        ),
        (
            "lists in an expression",
            expr(format!("{}1{}", "[".repeat(990), "]".repeat(990))),
            false,
        ),
        ("signs", expr(format!("{}1", "-".repeat(1_990))), true),
        ("negations", expr(format!("{}1", "not ".repeat(490))), true),
        ("members", expr(format!("[1]{}", "[0]".repeat(600))), true),
        ("filters", expr(format!("1{}", "|abs".repeat(490))), true),
        ("tests", expr(format!("1{}", " is odd".repeat(280))), true),
        (
            "branches",
            expr(format!("1{}", " if 1 else 1".repeat(160))),
            true,
        ),
        (
            "comparisons",
            expr(format!("1{}", " < 1".repeat(490))),
            true,
        ),
        (
            "conjunctions",
            expr(format!("1{}", " and 1".repeat(320))),
            true,
        ),
        ("texts joined", expr(format!("1{}", "~1".repeat(990))), true),
        ("powers", expr(format!("1{}", "**1".repeat(660))), true),
    ]
}

#[test]
fn extreme_texts_are_checked_soon() {
    let mut slow = Vec::new();
    for (name, text, good) in extremes() {
        let started = Instant::now();
        let problems = checked(&text);
        assert_eq!(problems == 0, good, "{name}: {problems} problems");
        if started.elapsed() > Duration::from_secs(10) {
            slow.push(format!("{name}: {:?}", started.elapsed()));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}

/// The real binary, with little memory, ends each with an answer.
#[test]
fn extreme_texts_take_little_memory() {
    let folder = tempfile::TempDir::new().unwrap();
    for (name, text, good) in extremes() {
        let path = folder.path().join("extreme.yaml");
        std::fs::write(&path, text).unwrap();
        let ran = Command::new("sh")
            .args(["-c", "ulimit -v 400000; exec \"$0\" check \"$1\""])
            .arg(env!("CARGO_BIN_EXE_waystation"))
            .arg(&path)
            .output()
            .unwrap();
        let code = if good { 0 } else { 1 };
        let said = String::from_utf8_lossy(&ran.stderr);
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(ran.status.code(), Some(code), "{name}: {last}");
    }
}
