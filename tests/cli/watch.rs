//! A served folder is watched.

use std::time::{Duration, Instant};

use crate::serve::{call, until};
use crate::support::{TestCommand, TestServer, write};

fn program(id: u32, word: &str) -> String {
    format!(
        "id: {id}\nname: Says {word}\nfunctions:\n  Main:\n    triggers: [webhook]\n    steps:\n      - set: {{Word: {word}}}\n        show: [Word]\n"
    )
}

struct Watched {
    command: TestCommand,
    server: TestServer,
}

impl Watched {
    fn new(files: &[(&str, &str)]) -> Watched {
        Watched::with(files, &[])
    }

    fn with(files: &[(&str, &str)], flags: &[&str]) -> Watched {
        let command = TestCommand::new(files);
        let server = TestServer::start(&command, flags);
        Watched { command, server }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.command.folder.path(), name, text);
    }

    fn remove(&self, name: &str) {
        let path = self.command.folder.path().join(name);
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }

    /// What program 1 says now, or the status of the answer.
    fn says(&self, id: u32) -> String {
        let called = call(&self.server.address, &format!("program_id={id}")).unwrap();
        match called.body.split('"').nth(9) {
            Some(word) if called.status == 200 => word.to_owned(),
            _ => called.status.to_string(),
        }
    }

    fn until_it_says(&self, id: u32, word: &str) {
        until(word, || (self.says(id) == word).then_some(()));
    }

    fn until_it_logs(&self, text: &str) {
        until(text, || self.server.logged().contains(text).then_some(()));
    }
}

#[test]
fn a_good_edit_is_live_and_a_bad_one_leaves_the_old_version() {
    let watched = Watched::new(&[("a.yaml", &program(1, "one"))]);
    assert_eq!(watched.says(1), "one");
    watched.write("a.yaml", &program(1, "two"));
    watched.until_it_says(1, "two");
    watched.until_it_logs("serving 1 Says two (a.yaml)");

    watched.write("a.yaml", &program(1, "three").replace("set:", "sett:"));
    watched.until_it_logs(
        "a.yaml:7:9: `sett` is not a kind of step
  |
7 |       - sett: {Word: three}
  |         ^^^^
  = did you mean `set`?\n",
    );
    assert_eq!(watched.says(1), "two");

    watched.write("a.yaml", &program(1, "three"));
    watched.until_it_says(1, "three");
    watched.write("a.yaml", &program(1, "two"));
    watched.until_it_says(1, "two");
}

#[test]
fn files_come_and_go() {
    let watched = Watched::new(&[("a.yaml", &program(1, "one"))]);
    watched.write("b.yaml", &program(2, "new"));
    watched.until_it_says(2, "new");
    watched.remove("a.yaml");
    watched.until_it_says(1, "404");
    watched.until_it_logs("no longer serving 1: its file is gone");
    assert_eq!(watched.says(2), "new");
}

#[test]
fn a_file_keeps_its_program_under_a_new_name() {
    let watched = Watched::new(&[("a.yaml", &program(1, "one"))]);
    let folder = watched.command.folder.path();
    std::fs::rename(folder.join("a.yaml"), folder.join("b.yaml")).unwrap();
    until("the new name is known", || {
        assert_eq!(watched.says(1), "one");
        watched.server.logged().contains("(b.yaml)").then_some(())
    });
}

#[test]
fn a_new_folder_is_noticed_and_so_is_one_that_was_made_again() {
    let watched = Watched::new(&[]);
    watched.write("deep/er/a.yaml", &program(1, "one"));
    watched.until_it_says(1, "one");
    watched.write("deep/er/a.yaml", &program(1, "two"));
    watched.until_it_says(1, "two");
    // In one go, so that the folder is there again before it is looked at.
    watched.remove("deep");
    watched.write("deep/er/a.yaml", &program(1, "three"));
    watched.until_it_says(1, "three");
    watched.write("deep/er/a.yaml", &program(1, "four"));
    watched.until_it_says(1, "four");
}

#[test]
fn a_file_that_waits_for_an_id_is_served_when_the_id_is_free() {
    let watched = Watched::new(&[("a.yaml", &program(1, "one"))]);
    watched.write("b.yaml", &program(1, "other"));
    watched.until_it_logs("b.yaml:1:1: the id 1 is that of `a.yaml` already");
    assert_eq!(watched.says(1), "one");
    watched.remove("a.yaml");
    watched.until_it_says(1, "other");
    watched.write("c.yaml", &program(1, "third"));
    watched.until_it_logs("c.yaml:1:1: the id 1 is that of `b.yaml` already");
    watched.write("b.yaml", &program(2, "moved"));
    watched.until_it_says(1, "third");
    assert_eq!(watched.says(2), "moved");
}

/// The log stands in the folder here, as with `2> server.log`, and every line of it is a change there.
#[test]
fn a_log_in_the_folder_does_not_feed_itself() {
    let watched = Watched::with(&[], &["--log", "trace"]);
    watched.write("a.yaml", &program(1, "one"));
    watched.until_it_says(1, "one");
    // Where every line written is a change that is written of, the log never comes to rest.
    let end = Instant::now() + Duration::from_secs(20);
    let mut size = 0;
    while watched.server.logged().len() != size {
        assert!(Instant::now() < end, "the log still grows: {size} bytes");
        size = watched.server.logged().len();
        std::thread::park_timeout(Duration::from_millis(500));
    }
}
