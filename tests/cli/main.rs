//! The real binary: what every command writes, byte for byte, and its exit code.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod backup;
mod programs;
mod record;
mod schedules;
mod serve;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod watch;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use support::TestCommand;

const COMMANDS: &str = "\
Commands:
  serve        Serve the programs of a folder
  run          Run a program here and now
  check        Show everything that is wrong with programs
  test         Run the tests of programs
  new          Make a program file with the next free id
  steps        Show the kinds of step, or everything about one
  runs         Show what has run, the newest first
  logs         Show the log of a run
  schedules    Show when the time triggers of programs are due next
  backup       Copy the record and the keys to a new folder, while the server runs
  restore      Make a data folder of what `waystation backup` copied
  key          Show the API key, or make a new one
  doctor       Show what this machine offers, above all how far code is kept apart
  completions  Write a completion script for a shell
  help         Print this message or the help of the given subcommand(s)
";

const CODES: &str = "\
Exit codes: 0 all is well; 1 a program has problems, a run or a test failed; 2 the command was not
understood; 3 the command could not do its work.
";

#[test]
fn without_a_command_the_commands_are_shown() {
    let text = format!(
        "Runs stored programs when somebody calls them\n\nUsage: waystation <COMMAND>\n\n{COMMANDS}
Options:
  -h, --help     Print help (see more with '--help')
  -V, --version  Print version\n\n{CODES}"
    );
    TestCommand::new(&[]).run(&[]).is(2, "", &text);
}

#[test]
fn help_says_what_the_product_is() {
    let text = format!(
        "Runs stored programs when somebody calls them

A program is a YAML file: functions made of steps. `waystation serve` runs the programs of a folder
when `POST /api` asks for it, and keeps a record of every run.

Usage: waystation <COMMAND>\n\n{COMMANDS}
Options:
  -h, --help
          Print help (see a summary with '-h')

  -V, --version
          Print version\n\n{CODES}"
    );
    TestCommand::new(&[]).run(&["--help"]).is(0, &text, "");
}

#[test]
fn an_unknown_command_is_not_understood() {
    let text = "error: unrecognized subcommand 'chek'

  tip: a similar subcommand exists: 'check'

Usage: waystation <COMMAND>

For more information, try '--help'.\n";
    TestCommand::new(&[]).run(&["chek"]).is(2, "", text);
}

#[test]
fn the_version_is_that_of_the_package() {
    let text = concat!("waystation ", env!("CARGO_PKG_VERSION"), "\n");
    TestCommand::new(&[]).run(&["--version"]).is(0, text, "");
}

#[test]
fn completions_are_written_for_each_shell() {
    for (shell, mark) in [
        ("bash", "complete -F _waystation"),
        ("zsh", "#compdef waystation"),
        ("fish", "complete -c waystation"),
    ] {
        let ran = TestCommand::new(&[]).run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}");
        assert!(ran.stdout.contains(mark), "{shell}");
        assert!(ran.stdout.contains("run-time"), "{shell}");
    }
    let ran = TestCommand::new(&[]).run(&["completions", "basic"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
}

/// As in `waystation steps --schema | head -1`.
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    for args in [&["completions", "fish"][..], &["steps", "--schema"]] {
        let command = TestCommand::new(&[]);
        let mut child = command
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let command = TestCommand::new(&[]);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command.command(&["steps"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let text = "error: standard output: No space left on device (os error 28)\n";
    assert_eq!((output.status.code(), stderr.as_str()), (Some(3), text));
}

/// The tests run without a terminal; these would colour their words on one.
#[test]
fn nothing_is_coloured_where_there_is_no_terminal() {
    let command = TestCommand::new(&[]);
    for args in [&["--help"][..], &["chek"], &["runs", "--state", "x"]] {
        let ran = command.run(args);
        assert!(!(ran.stdout + &ran.stderr).contains('\u{1b}'), "{args:?}");
    }
}
