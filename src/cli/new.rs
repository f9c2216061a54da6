//! `waystation new`: a program file to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;

use super::output::{self, note};
use super::{Done, WELL};
use crate::{Error, programs};

/// Make a program file with the next free id
#[derive(Args)]
pub struct New {
    /// What the program is called; the file is named after it
    name: String,
    /// The folder to make it in
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

impl New {
    pub(super) fn run(self) -> Done {
        let name = self.name.trim();
        let stem = stem(name)?;
        let path = self.dir.join(format!("{stem}.yaml"));
        let shown = path
            .strip_prefix("./")
            .unwrap_or(&path)
            .display()
            .to_string();
        let failed = |error: std::io::Error| Error::new(format!("{shown}: {error}"));
        let files = programs::folders(&self.dir)
            .and_then(|folders| programs::files(&folders))
            .map_err(|error| Error::new(format!("{}: {error}", self.dir.display())))?;
        let id = files.iter().filter_map(id).max();
        let text = text(id.unwrap_or(0).saturating_add(1), name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => Error::new(format!("{shown} is there already")),
                _ => failed(error),
            })?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        output::line(&shown)?;
        note(format_args!("try it: waystation run {shown} Ann"));
        Ok(WELL)
    }
}

/// The name of a program's file: its letters and digits, and dashes for what is between them.
fn stem(name: &str) -> Result<String, Error> {
    if name.chars().any(char::is_control) {
        return Err(Error::new("a program's name is one line of text"));
    }
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let stem = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    match stem.is_empty() {
        true => Err(Error::new("a program's name needs a letter or a digit")),
        false => Ok(stem),
    }
}

/// The id in a program file, be the rest of it good or not.
fn id(path: &PathBuf) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with("id:"))?;
    line["id:".len()..].split('#').next()?.trim().parse().ok()
}

fn text(id: u64, name: &str) -> String {
    let name = serde_json::to_string(name).unwrap_or_default();
    format!(
        "id: {id}
name: {name}
functions:
  Main:
    triggers:
      - webhook:
          outputs:
            Name: World
    steps:
      - set:
          Greeting: Hello, {{{{ Name }}}}!
        show: [Greeting]
      - print: \"{{{{ Greeting }}}}\"

tests:
  - variables: [Ann]
    result: [[Greeting, \"Hello, Ann!\"]]
    log: [\"Hello, Ann!\"]
"
    )
}
