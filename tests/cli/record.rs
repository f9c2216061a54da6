//! `runs` and `logs`.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::{Value as Json, json};

use crate::serve::{Called, Held, call};
use crate::support::{TestCommand, TestServer};

const PROGRAM: &str = "id: 3
name: Half
functions:
  Main:
    triggers:
      - webhook: {outputs: {Number: 1}}
    steps:
      - print: halving {{ Number }}
      - set: {Half: '{{ 1 / Number }}'}
        show: [Half]
";

/// A record with a run that succeeded and then one that failed.
fn two_runs() -> (TestCommand, TestServer, Called, Called) {
    let command = TestCommand::new(&[("half.yaml", PROGRAM)]);
    let server = TestServer::start(&command, &[]);
    let good = call(&server.address, "program_id=3&variables=2").unwrap();
    let bad = call(&server.address, "program_id=3&variables=0").unwrap();
    assert_eq!((good.status, bad.status), (200, 500));
    (command, server, good, bad)
}

/// A text with its times and durations written as `…`.
fn timeless(text: &str) -> String {
    let hidden = |word: &str| {
        let clock = word.len() > 7 && word.chars().all(|c| c.is_ascii_digit() || ":-".contains(c));
        (clock, matches!(word, "µs" | "ms" | "s"))
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<&str> = Vec::new();
        for word in line.split_whitespace() {
            match hidden(word) {
                (true, _) => words.push("…"),
                (_, true) => {
                    words.pop();
                    words.push("…");
                }
                _ => words.push(word),
            }
        }
        lines.push(words.join(" "));
    }
    lines.join("\n")
}

#[test]
fn without_a_record_there_is_nothing_to_show() {
    let command = TestCommand::new(&[]);
    let text = "error: there is no record in waystation-data; `waystation serve` makes one\n";
    command.run(&["runs"]).is(3, "", text);
    command.run(&["logs"]).is(3, "", text);
    let server = TestServer::start(&command, &[]);
    command
        .run(&["runs", "--data", "data"])
        .is(0, "", "no runs\n");
    command
        .run(&["logs", "--data", "data"])
        .is(3, "", "error: no runs\n");
    command
        .run(&["runs", "--json", "--data", "data"])
        .is(0, "[]\n", "");
    drop(server);
}

#[test]
fn runs_are_listed_newest_first() {
    let (command, _server, good, bad) = two_runs();
    let runs = |flags: &[&str]| {
        let ran = command.run(&[&["runs", "--data", "data"], flags].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{flags:?}");
        timeless(&ran.stdout)
    };
    let good = format!("{} … … succeeded … 3 Half, Main", good.run);
    let bad = format!("{} … … failed … 3 Half, Main", bad.run);
    assert_eq!(runs(&[]), format!("{bad}\n{good}"));
    assert_eq!(runs(&["--limit", "1"]), bad);
    assert_eq!(runs(&["--state", "succeeded"]), good);
    assert_eq!(runs(&["--before", bad.split(' ').next().unwrap()]), good);
    assert_eq!(runs(&["--program", "3"]), format!("{bad}\n{good}"));
    command
        .run(&["runs", "--data", "data", "--program", "4"])
        .is(0, "", "no runs\n");
    let text = "error: invalid value 'done' for '--state <STATE>'
  [possible values: queued, running, waiting, succeeded, failed, cancelled]

For more information, try '--help'.\n";
    command.run(&["runs", "--state", "done"]).is(2, "", text);
}

/// The columns stand below each other whatever the state.
#[test]
fn the_list_of_runs_is_a_table() {
    let (command, _server, _, _) = two_runs();
    let ran = command.run(&["runs", "--data", "data"]);
    let column: Vec<Option<usize>> = ran.stdout.lines().map(|line| line.find("3 Half")).collect();
    // A micro sign takes two bytes.
    let wide: Vec<usize> = ran
        .stdout
        .lines()
        .map(|line| line.matches('µ').count())
        .collect();
    assert_eq!(
        column[0].unwrap() - wide[0],
        column[1].unwrap() - wide[1],
        "{}",
        ran.stdout
    );
}

#[test]
fn a_run_is_shown_with_everything_about_it() {
    let (command, _server, good, bad) = two_runs();
    let run = |id: &str| {
        let ran = command.run(&["runs", id, "--data", "data"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        timeless(&ran.stdout)
    };
    let wanted = format!(
        "run {}
program 3 Half, version 1
function Main
trigger webhook
state succeeded
called … …
began … …
ended … …
steps 2
log 1 line
inputs {{\"Number\":2}}
result [[\"Half\",0.5]]",
        good.run
    );
    assert_eq!(run(&good.run), wanted);
    let failure = r#"{"message":"`1 / Number`: 1 / 0 cannot be calculated","reason":"error","at":{"function":"Main","step":"2","kind":"set","line":9,"column":9}}"#;
    let shown = run(&bad.run);
    assert!(shown.ends_with(&format!("\nfailure {failure}")), "{shown}");

    let ran = command.run(&["runs", &bad.run, "--json", "--data", "data"]);
    let shown: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(shown["state"], "failed");
    assert_eq!(shown["inputs"], json!({ "Number": 0 }));
    assert_eq!(shown["answer"]["at"]["line"], 9);
    let ran = command.run(&["runs", "--json", "--data", "data"]);
    let shown: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(shown[1]["id"], good.run);

    let none = "01900000-0000-7000-8000-000000000000";
    let text = format!("error: there is no run {none}\n");
    command
        .run(&["runs", none, "--data", "data"])
        .is(3, "", &text);
    command
        .run(&["logs", none, "--data", "data"])
        .is(3, "", &text);
    let text = "error: invalid value 'x' for '[RUN]': `x` is not the id of a run\n\nFor more information, try '--help'.\n";
    command.run(&["runs", "x"]).is(2, "", text);
}

#[test]
fn the_steps_of_a_run_are_shown_and_its_variables_at_one() {
    let (command, _server, good, bad) = two_runs();
    let run = |arguments: &[&str]| {
        let ran = command.run(&[&["runs", "--data", "data"], arguments].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        ran.stdout
    };
    let steps = "     1  Main  1  print         done\n     2  Main  2  set           done\n";
    assert_eq!(run(&[&good.run, "--steps"]), steps);
    let failed =
        "     2  Main  2  set           failed: `1 / Number`: 1 / 0 cannot be calculated\n";
    assert_eq!(run(&[&bad.run, "--steps=2"]), failed);
    let at =
        "Main, step 2 (set), line 9: done\nbefore\n  Number: 2\nafter\n  Number: 2\n  Half: 0.5\n";
    assert_eq!(run(&[&good.run, "--at", "2"]), at);
    let shown: Json = serde_json::from_str(&run(&[&good.run, "--at", "2", "--json"])).unwrap();
    assert_eq!(shown["after"], json!({ "Number": 2, "Half": 0.5 }));
    let shown: Json = serde_json::from_str(&run(&[&good.run, "--steps", "--json"])).unwrap();
    assert_eq!(shown[1]["kind"], "set");
    command
        .run(&["runs", &good.run, "--at", "3", "--data", "data"])
        .is(3, "", "error: the run has not taken a step 3\n");
}

#[test]
fn logs_shows_what_a_run_wrote_and_how_it_ended() {
    let (command, _server, good, bad) = two_runs();
    let ran = command.run(&["logs", "--data", "data"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "halving 0\n"));
    assert_eq!(
        timeless(&ran.stderr),
        format!("run {} failed after …", bad.run)
    );
    let ran = command.run(&["logs", &good.run, "--data", "data"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "halving 2\n"));
    assert_eq!(
        timeless(&ran.stderr),
        format!("run {} succeeded after …", good.run)
    );
    let ran = command.run(&["logs", &good.run, "--json", "--data", "data"]);
    let line: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(line["text"], "halving 2");
    assert_eq!(
        (&line["step"], &line["stream"]),
        (&json!("1"), &json!("print"))
    );
}

#[test]
fn logs_follows_a_run_at_work() {
    let command = TestCommand::new(&[("held.yaml", Held::TEXT)]);
    let held = Held::new();
    let server = held.serve(&command, &[]);
    let parameters = format!("{}&run_async=true", held.parameters());
    let run = call(&server.address, &parameters).unwrap().run;
    let mut child = command
        .command(&["logs", "-f", "--data", "data"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    out.read_line(&mut text).unwrap();
    assert_eq!(text, "first\n");
    held.let_go();
    out.read_to_string(&mut text).unwrap();
    let reached = format!("note: reached {} (1 connection, ", held.address());
    let rest = text.strip_prefix("first\nsecond\n").unwrap();
    assert!(
        rest.starts_with(&reached) && rest.lines().count() == 1,
        "{text}"
    );
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(timeless(&stderr), format!("run {run} succeeded after …"));
}
