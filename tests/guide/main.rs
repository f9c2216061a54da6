//! The guide shows what happens: its pages are followed, and must come out as they are.
//!
//! A page is followed from top to bottom, in a folder of its own that has the `examples` in it:
//!
//! * A `yaml` block that begins with `id:` is a program without problems.
//! * A block of any kind with `file=NAME` behind it, such as `yaml file=a.yaml`, is written to that file.
//! * In a `console` block every line `$ command` is given to the shell, and the lines below it are all that
//!   a terminal shows then. `…` stands for any text in a line; a command that ends with `\` goes on in the
//!   next line; `cd` holds for the rest of the page.
//! * `$ waystation serve`, with variables before it or not, stays in the background. The lines below it are the first that it writes. A
//!   `console` block without a command holds those that it writes next; `^C` there is the key that stops it.
//!   Pages call its address `127.0.0.1:8080`; what it really listens on is a free port.
//!
//! `UPDATE=1 cargo test --test guide` writes what commands show into the pages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod terminal;

use std::path::{Path, PathBuf};

use engine::{plan::Plan, problem::Source};
use steps::KINDS;
use terminal::Terminal;

#[test]
fn the_pages_show_what_happens() {
    terminal::needs_curl();
    let mut wrong = String::new();
    for path in pages() {
        let text = std::fs::read_to_string(&path).unwrap();
        let came = follow(&text);
        if came == text {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, came).unwrap();
            continue;
        }
        let pairs = text.lines().zip(came.lines());
        let same = pairs.take_while(|(a, b)| a == b).count();
        let rest = |text: &str| -> String {
            let lines = text.lines().skip(same).take(15);
            lines.map(|line| format!("  {line}\n")).collect()
        };
        let (shows, came) = (rest(&text), rest(&came));
        let (path, line) = (path.display(), same + 1);
        wrong += &format!("{path}:{line} shows\n{shows}and this came\n{came}\n");
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_dir(root.join("docs/guide")).unwrap();
    let mut pages: Vec<_> = guide.map(|entry| entry.unwrap().path()).collect();
    pages.extend(Some(root.join("README.md")).filter(|readme| readme.exists()));
    pages.sort();
    pages
}

/// Does what a page says, and gives the page as it comes out.
fn follow(page: &str) -> String {
    let mut terminal = Terminal::new();
    let (mut came, mut lines) = (String::new(), page.lines());
    while let Some(line) = lines.next() {
        came += &format!("{line}\n");
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let text: String = block.iter().map(|line| format!("{line}\n")).collect();
        came += &match kind.split_once(" file=") {
            None if kind == "console" => console(&mut terminal, &block),
            None if kind == "yaml" && text.starts_with("id:") => text.clone() + &problems(&text),
            None => text,
            Some((_, name)) => {
                terminal.write(name, &text);
                text
            }
        };
        came += "```\n";
    }
    came
}

/// Runs the commands of a block, and gives the block as it comes out: in its own words where they fit.
fn console(terminal: &mut Terminal, block: &[&str]) -> String {
    let mut text = String::new();
    for (command, shown) in commands(block) {
        if !command.is_empty() {
            text += &format!("$ {command}\n");
        }
        for (at, line) in terminal.run(&command, &shown).iter().enumerate() {
            let mut places = shown.get(at).into_iter().chain(&shown);
            let kept = places.find(|wanted| fits(wanted, line));
            text += &format!("{}\n", kept.unwrap_or(&line.as_str()));
        }
    }
    text
}

/// The commands of a block, each with the lines below it.
fn commands<'b>(block: &[&'b str]) -> Vec<(String, Vec<&'b str>)> {
    let mut commands: Vec<(String, Vec<&str>)> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, None) => commands.push((String::new(), vec![line])),
            (None, Some((command, shown))) if shown.is_empty() && command.ends_with('\\') => {
                *command += &format!("\n{line}");
            }
            (None, Some((_, shown))) => shown.push(line),
        }
    }
    commands
}

/// What is wrong with a program, drawn.
fn problems(text: &str) -> String {
    let source = Source {
        name: "program".into(),
        text: text.into(),
    };
    match Plan::check(&source, &KINDS) {
        Ok(_) => String::new(),
        Err(problems) => waystation::programs::drawn(&problems, &source),
    }
}

/// Whether a line is as a page shows it, where `…` stands for any text.
fn fits(wanted: &str, line: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('…') else {
        return wanted == line;
    };
    let Some(tail) = line.strip_prefix(start) else {
        return false;
    };
    let places = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
    places.into_iter().any(|at| fits(rest, &tail[at..]))
}
