//! Settings of `serve`: in a file, in the environment, as flags.

use crate::serve::call_with;
use crate::support::{KEY, TestCommand, TestServer, write};

fn with_file(text: &str) -> TestCommand {
    TestCommand::new(&[("s.toml", text)])
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let command = with_file(text);
    let stderr = format!("error: {message}\n");
    command
        .run(&["serve", ".", "--config", "s.toml"])
        .is(2, "", &stderr);
    assert!(!command.folder.path().join("waystation-data").exists());
}

#[test]
fn an_unknown_setting_is_refused_with_advice() {
    refused(
        "max_runing = 3",
        "s.toml: there is no setting `max_runing`; did you mean `max-running`?",
    );
    refused("colour = 3", "s.toml: there is no setting `colour`");
    // No settings, though the command line has something of this name.
    refused("config = 'a'", "s.toml: there is no setting `config`");
    refused("dir = 'a'", "s.toml: there is no setting `dir`");
}

#[test]
fn a_bad_value_is_told_with_its_file() {
    let time = "write a length of time, such as `30s`, `5m` or `1h`";
    refused("wait = 'soon'", &format!("s.toml: `wait`: {time}"));
    refused("[wait]\na = 1", &format!("s.toml: `wait`: {time}"));
    refused(
        "max-calls = 100",
        "s.toml: `max-calls`: 100 is not in 1..=64",
    );
    refused(
        "max_running = -1",
        "s.toml: `max_running`: invalid digit found in string",
    );
    refused(
        "egress_allow = '10.0.0.5, 10.0.0.5/8'",
        "s.toml: `egress_allow`: `10.0.0.5/8` is no address, range or name, with a port or without, such as \
         `10.0.0.5:5432`, `10.0.0.0/8`, `[fd00::5]:443` or `db.internal`",
    );
    refused("log = 'loud'", "s.toml: `log`: it cannot be `loud`");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let command = with_file("wait = ");
    let text = "error: s.toml: TOML parse error at line 1, column 8
  |
1 | wait = 
  |        ^
string values must be quoted, expected literal string\n\n";
    command
        .run(&["serve", ".", "--config", "s.toml"])
        .is(2, "", text);
    let text = "error: none.toml: No such file or directory (os error 2)\n";
    command
        .run(&["serve", ".", "--config", "none.toml"])
        .is(2, "", text);
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let command = with_file("max-body = 10 # bytes\nmax_running = 2");
    let status = |flags: &[&str]| {
        let server = TestServer::start(&command, &[&["--config", "s.toml"], flags].concat());
        call_with(&server.address, KEY, "", "program_id=1")
            .unwrap()
            .status
    };
    assert_eq!(status(&[]), 413);
    assert_eq!(status(&["--max-body", "1KB"]), 404);

    let output = command
        .command(&["serve", ".", "--config", "s.toml"])
        .env("WAYSTATION_MAX_BODY", "much")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let text = "error: invalid value 'much' for '--max-body <SIZE>': ";
    assert!(stderr.starts_with(text), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_key_that_is_none_is_refused() {
    let command = TestCommand::new(&[]);
    let run = |name: &str, value: &str| {
        let output = command
            .command(&["serve", ".", "--listen", "127.0.0.1:0"])
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        String::from_utf8(output.stderr).unwrap()
    };
    let text = "error: an API key has 43 characters of A-Z a-z 0-9 - _\n";
    assert_eq!(run("WAYSTATION_API_KEY", "short"), text);
    write(command.folder.path(), "key", "short\n");
    assert_eq!(run("WAYSTATION_API_KEY_FILE", "key"), text);
    let text = "error: none: No such file or directory (os error 2)\n";
    assert_eq!(run("WAYSTATION_API_KEY_FILE", "none"), text);
}
