//! `check`, `test`, `run`, `new` and `steps`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value as Json, json};

use crate::support::outside::Outside;
use crate::support::{TestCommand, write};

const GOOD: &str = "id: 1
name: Good
functions:
  Main:
    triggers:
      - webhook:
          outputs: {Name: World, Count: 2}
    steps:
      - set: {Greeting: 'Hello, {{ Name }}!', Twice: '{{ Count * 2 }}'}
        show: [Greeting, Twice]
      - print: '{{ Greeting }}'
  Other:
    inputs: {Number: number}
    steps:
      - print: '{{ Number }}'
tests:
  - name: the default
    result: [[Greeting, 'Hello, World!'], [Twice, 4]]
    log: ['Hello, World!']
  - variables: [Ann, '5']
    result: [[Greeting, 'Hello, Ann!'], [Twice, 10]]
";

const BAD: &str = "id: 1
name: Bad
functions:
  Main:
    steps:
      - prnt: hi
      - print: '{{ Nme }}'
";

const BAD_DRAWN: &str = "bad.yaml:6:9: `prnt` is not a kind of step
  |
6 |       - prnt: hi
  |         ^^^^
  = did you mean `print`?

bad.yaml:7:20: there is no variable `Nme`
  |
7 |       - print: '{{ Nme }}'
  |                    ^^^
  = a step before this one must make it
";

const MISSING: &str = "error: none.yaml: No such file or directory (os error 2)\n";

#[test]
fn check_finds_no_problem_in_a_good_program() {
    let command = TestCommand::new(&[("good.yaml", GOOD)]);
    let text = "1 program checked, no problems\n";
    command.run(&["check", "good.yaml"]).is(0, "", text);
    command.run(&["check"]).is(0, "", text);
    command
        .run(&["check", "--json", "good.yaml"])
        .is(0, "[]\n", "");
}

#[test]
fn check_draws_every_problem() {
    let command = TestCommand::new(&[("bad.yaml", BAD)]);
    let text = format!("{BAD_DRAWN}\n1 program checked, 2 problems\n");
    command.run(&["check", "bad.yaml"]).is(1, "", &text);
}

#[test]
fn check_gives_problems_as_json() {
    let command = TestCommand::new(&[("bad.yaml", BAD)]);
    let ran = command.run(&["check", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let problems = json!([
        {
            "file": "bad.yaml", "line": 6, "column": 9, "message": "`prnt` is not a kind of step",
            "help": "did you mean `print`?", "source": "      - prnt: hi"
        },
        {
            "file": "bad.yaml", "line": 7, "column": 20, "message": "there is no variable `Nme`",
            "help": "a step before this one must make it", "source": "      - print: '{{ Nme }}'"
        }
    ]);
    assert_eq!(serde_json::from_str::<Json>(&ran.stdout).unwrap(), problems);
}

#[test]
fn check_searches_folders_and_compares_ids() {
    let command = TestCommand::new(&[
        ("a.yaml", GOOD),
        ("deep/er/b.yml", GOOD),
        (".hidden/c.yaml", BAD),
        ("notes.txt", BAD),
        ("waystation-data/waystation.db", ""),
        ("waystation-data/d.yaml", BAD),
    ]);
    let text = "deep/er/b.yml:1:1: the id 1 is that of `a.yaml` already
  |
1 | id: 1
  | ^^
  = give this program another id

2 programs checked, 1 problem\n";
    command.run(&["check"]).is(1, "", text);
    TestCommand::new(&[])
        .run(&["check"])
        .is(0, "", "0 programs checked, no problems\n");
}

#[test]
fn an_id_is_a_number_that_callers_can_send() {
    let most = GOOD.replace("id: 1", "id: 9223372036854775807");
    let more = GOOD.replace("id: 1", "id: 9223372036854775808");
    let command = TestCommand::new(&[("most.yaml", &most), ("more.yaml", &more)]);
    assert_eq!(command.run(&["check", "most.yaml"]).code, 0);
    let text =
        "more.yaml:1:5: `id` takes a whole number of 9223372036854775807 or less, and this is `9223372036854775808`
  |
1 | id: 9223372036854775808
  |     ^^^^^^^^^^^^^^^^^^^

1 program checked, 1 problem\n";
    command.run(&["check", "more.yaml"]).is(1, "", text);
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let command = TestCommand::new(&[("good.yaml", GOOD)]);
    for args in [
        &["check", "none.yaml"],
        &["test", "none.yaml"],
        &["run", "none.yaml"],
    ] {
        command.run(args).is(3, "", MISSING);
    }
}

#[test]
fn test_says_which_tests_pass() {
    let command = TestCommand::new(&[("good.yaml", GOOD)]);
    let text = "ok      good.yaml: the default\nok      good.yaml: test 2\n";
    command.run(&["test"]).is(0, text, "2 tests, 0 failed\n");
    TestCommand::new(&[])
        .run(&["test"])
        .is(0, "", "0 tests, 0 failed\n");
}

#[test]
fn test_shows_what_came_in_place_of_what_was_expected() {
    let failing = GOOD
        .replace("Hello, Ann!", "Hi!")
        .replace("log: ['Hello, World!']", "log: [Hello, World]");
    let command = TestCommand::new(&[("bad.yaml", BAD), ("failing.yaml", &failing)]);
    let stdout = format!(
        "FAILED  bad.yaml: check\n{BAD_DRAWN}
FAILED  failing.yaml: the default
  log
    expected: Hello
              World
    came:     Hello, World!
FAILED  failing.yaml: test 2
  result
    expected: [[\"Greeting\",\"Hi!\"],[\"Twice\",10]]
    came:     [[\"Greeting\",\"Hello, Ann!\"],[\"Twice\",10]]
"
    );
    command.run(&["test"]).is(1, &stdout, "3 tests, 3 failed\n");
    let ran = command.run(&["test", "--json", "failing.yaml"]);
    let tested: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    assert_eq!(tested[0]["program"], "failing.yaml");
    assert_eq!(tested[0]["test"], "the default");
    assert!(tested[0]["wrong"][0].as_str().unwrap().contains("log"));
}

#[test]
fn run_writes_the_log_and_the_result() {
    let command = TestCommand::new(&[("good.yaml", GOOD)]);
    command.run(&["run", "good.yaml", "Bob"]).is(
        0,
        "Greeting: Hello, Bob!\nTwice: 4\n",
        "Hello, Bob!\n",
    );
    let json =
        r#"{"Success":"Program finished.","Result":[["Greeting","Hello, Bob!"],["Twice",-6]]}"#;
    command
        .run(&["run", "good.yaml", "--json", "Bob", "-3"])
        .is(0, &format!("{json}\n"), "Hello, Bob!\n");
    command
        .run(&["run", "good.yaml", "--function", "Other", "1.5"])
        .is(0, "", "1.5\n");
}

#[test]
fn run_says_why_a_call_starts_nothing() {
    let command = TestCommand::new(&[("good.yaml", GOOD)]);
    let refused = [
        (
            &["run", "good.yaml", "--function", "Othr"][..],
            "There is no function `Othr`. Did you mean `Other`? The functions that can be run: `Main` and `Other`.",
        ),
        (
            &["run", "good.yaml", "a", "1", "c"],
            "The function `Main` takes 2 values in `variables`, and 3 were sent.",
        ),
        (
            &["run", "good.yaml", "a", "two"],
            "The variable `Count` takes a number, and `two` is none.",
        ),
    ];
    for (args, sentence) in refused {
        let text = format!("error: {sentence}\n");
        command.run(args).is(1, "", &text);
        let answer = format!("{}\n", json!({ "Error": sentence }));
        command
            .run(&[args, &["--json"]].concat())
            .is(1, &answer, &text);
    }
}

#[test]
fn run_says_where_a_run_failed() {
    let program = "id: 1
name: Failing
functions:
  Main:
    steps:
      - print: before
      - loop: [1]
        steps:
          - python: |
              print('from code')
              import json
              json.loads('{')
  Values:
    steps:
      - set: {Half: '{{ 1 / 0 }}'}
";
    let command = TestCommand::new(&[("failing.yaml", program)]);
    let ran = command.run(&["run", "failing.yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(
        lines[..3],
        ["before", "from code", "Traceback (most recent call last):"]
    );
    assert_eq!(lines[3], "  File \"failing.yaml\", line 12, in <module>");
    assert_eq!(lines[4], "    json.loads('{')");
    let failure = "Main, step 2.1 (python): json.decoder.JSONDecodeError: Expecting property name enclosed in \
double quotes: line 1 column 2 (char 1) (line 3 of the code)";
    assert_eq!(
        lines.last().unwrap(),
        &format!("failing.yaml:12:1: {failure}")
    );
    let ran = command.run(&["run", "failing.yaml", "--json"]);
    assert_eq!(ran.stdout, format!("{}\n", json!({ "Error": failure })));

    let text = "failing.yaml:15:9: Values, step 1 (set): `1 / 0`: 1 / 0 cannot be calculated\n";
    command
        .run(&["run", "failing.yaml", "--function", "Values"])
        .is(1, "", text);
}

#[test]
fn run_shows_what_code_writes_as_it_writes_it() {
    let program = "id: 1
name: Slow
functions:
  Main:
    triggers: [webhook: {outputs: {Url: ''}}]
    steps:
      - python: |
          import sys, urllib.request
          print('one')
          print('two', file=sys.stderr)
          urllib.request.urlopen(inputs['Url'])
          print('three')
          raise ValueError('no')
";
    let command = TestCommand::new(&[("slow.yaml", program)]);
    let outside = Outside::new();
    let url = outside.url();
    let mut child = command
        .command(&[
            "run",
            "--egress-allow",
            &outside.address(),
            "slow.yaml",
            &url,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = || shown.next().map(Result::unwrap);
    let mut first = [next().unwrap(), next().unwrap()];
    first.sort();
    assert_eq!(first, ["one", "two"]);
    outside.called().answer();
    let rest: Vec<String> = std::iter::from_fn(next).collect();
    assert!(rest[1].starts_with(&format!("note: reached {} (", outside.address())));
    assert_eq!(
        [&rest[..1], &rest[2..]].concat(),
        [
            "three",
            "Traceback (most recent call last):",
            "  File \"slow.yaml\", line 13, in <module>",
            "    raise ValueError('no')",
            "ValueError: no",
            "slow.yaml:13:1: Main, step 1 (python): ValueError: no (line 6 of the code)",
        ]
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn run_shows_the_problems_of_a_program() {
    let command = TestCommand::new(&[("bad.yaml", BAD)]);
    command.run(&["run", "bad.yaml"]).is(1, "", BAD_DRAWN);
}

#[test]
fn run_keeps_to_the_limits_that_are_set() {
    let endless = "id: 1\nname: E\nfunctions:\n  Main:\n    steps:\n      - while: true\n        steps: [print]\n";
    let command = TestCommand::new(&[("endless.yaml", endless)]);
    let ran = command.run(&["run", "endless.yaml", "--max-passes", "3"]);
    let text = "\n\n\nendless.yaml:6:9: Main, step 1 (while): the loops of this run made more than 3 passes\n";
    ran.is(1, "", text);
}

#[test]
fn new_makes_a_program_with_the_next_free_id() {
    let command = TestCommand::new(&[("seven.yaml", "id: 7 # lucky\nnonsense: [")]);
    command.run(&["new", "My  Program"]).is(
        0,
        "my-program.yaml\n",
        "try it: waystation run my-program.yaml Ann\n",
    );
    let text = std::fs::read_to_string(command.folder.path().join("my-program.yaml")).unwrap();
    assert!(text.starts_with("id: 8\nname: \"My  Program\"\n"), "{text}");
    command.run(&["run", "my-program.yaml", "Ann"]).is(
        0,
        "Greeting: Hello, Ann!\n",
        "Hello, Ann!\n",
    );
    assert_eq!(command.run(&["test", "my-program.yaml"]).code, 0);
    command
        .run(&["new", "my program"])
        .is(3, "", "error: my-program.yaml is there already\n");
    let again = std::fs::read_to_string(command.folder.path().join("my-program.yaml")).unwrap();
    assert_eq!(again, text);
}

#[test]
fn new_makes_a_file_name_of_any_name() {
    let command = TestCommand::new(&[]);
    for (name, file) in [
        ("../up", "up.yaml"),
        (" Größe (cm)! ", "größe-cm.yaml"),
        ("a: [b] # \"c\" \\", "a-b-c.yaml"),
        ("2 x 2", "2-x-2.yaml"),
        ("Yes", "yes.yaml"),
    ] {
        let ran = command.run(&["new", name]);
        assert_eq!((ran.code, ran.stdout), (0, format!("{file}\n")), "{name}");
        assert!(command.folder.path().join(file).exists());
    }
    assert_eq!(command.run(&["check"]).code, 0);
    assert_eq!(command.run(&["test"]).code, 0);
    for name in ["", "  ", "!?"] {
        command.run(&["new", name]).is(
            3,
            "",
            "error: a program's name needs a letter or a digit\n",
        );
    }
    command
        .run(&["new", "a\nb"])
        .is(3, "", "error: a program's name is one line of text\n");
    command.run(&["new", "x", "--dir", "none"]).is(
        3,
        "",
        "error: none: No such file or directory (os error 2)\n",
    );
}

#[test]
fn steps_lists_the_kinds() {
    let ran = TestCommand::new(&[]).run(&["steps"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(
        ran.stdout
            .starts_with("Logic\n  set           Give variables values")
    );
    assert!(
        ran.stdout
            .ends_with("\n`waystation steps KIND` shows everything about one.\n")
    );
    let kinds: Json =
        serde_json::from_str(&TestCommand::new(&[]).run(&["steps", "--json"]).stdout).unwrap();
    assert!(
        kinds
            .as_array()
            .unwrap()
            .iter()
            .any(|kind| kind["name"] == "loop")
    );
}

#[test]
fn steps_shows_a_kind_as_the_reference_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/steps/loop.md");
    let page = std::fs::read_to_string(path).unwrap();
    TestCommand::new(&[])
        .run(&["steps", "loop"])
        .is(0, &page, "");
}

#[test]
fn steps_has_advice_on_a_kind_that_there_is_not() {
    let command = TestCommand::new(&[]);
    let text = "error: `lop` is not a kind of step; did you mean `loop`?\n";
    command.run(&["steps", "lop"]).is(3, "", text);
    let text = "error: `teleport` is not a kind of step; `waystation steps` lists the kinds\n";
    command.run(&["steps", "teleport"]).is(3, "", text);
}

/// The schema takes the examples and refuses what it should, in the eyes of another implementation:
/// Python's `jsonschema` where it is installed.
#[test]
fn the_schema_is_json_schema() {
    let command = TestCommand::new(&[]);
    let ran = command.run(&["steps", "--schema"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let schema: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["required"], json!(["id", "name", "functions"]));
    let steps = &schema["$defs"]["step"]["anyOf"];
    assert_eq!(steps.as_array().unwrap().len(), steps::KINDS.len());
    write(command.folder.path(), "schema.json", &ran.stdout);
    write(command.folder.path(), "validate.py", VALIDATE);
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (node, _) = engine::document::read(&text);
        let name = format!("{}.json", path.file_stem().unwrap().display());
        let value = node.unwrap().value().to_json();
        write(&command.folder.path().join("programs"), &name, &value);
    }
    validated(command.folder.path());
}

const VALIDATE: &str = r#"
import json, pathlib, sys
try:
    import jsonschema
except ImportError:
    sys.exit(0)
schema = json.load(open("schema.json"))
validator = jsonschema.Draft202012Validator
validator.check_schema(schema)
for path in sorted(pathlib.Path("programs").iterdir()):
    validator(schema).validate(json.loads(path.read_text()))
for bad in ["{}", '{"id": 0, "name": "A", "functions": {}}',
            '{"id": 1, "name": "A", "functions": {"Main": {"steps": [{"prnt": "x"}]}}}']:
    if validator(schema).is_valid(json.loads(bad)):
        sys.exit(f"accepted: {bad}")
"#;

fn validated(folder: &Path) {
    let output = std::process::Command::new("python3")
        .arg("validate.py")
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}
