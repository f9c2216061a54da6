//! The guide shows what happens: its pages are followed, and must come out as they are.
//!
//! A page is followed from top to bottom, in a folder of its own that has the `examples` in it:
//!
//! * A `yaml` block that begins with `id:` is a program without problems.
//! * A `yaml file=NAME` block is written to the file NAME.
//! * In a `console` block every line `$ command` is given to the shell, and the lines below it are all that
//!   a terminal shows then. `…` stands for any text in a line; a command that ends with `\` goes on in the
//!   next line; `cd` holds for the rest of the page.
//! * `$ waystation serve` stays in the background. The lines below it are the first that it writes. A
//!   `console` block without a command holds those that it writes next; `^C` there is the key that stops it.
//!   Pages call its address `127.0.0.1:8080`; what it really listens on is a free port.
//!
//! `UPDATE=1 cargo test --test guide` writes what commands show into the pages.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use engine::{plan::Plan, problem::Source};
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where the server listens, as the pages say.
const ADDRESS: &str = "127.0.0.1:8080";
/// How long the server may be silent where a page shows that it writes something.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

#[test]
fn the_pages_show_what_happens() {
    let curl = Command::new("curl").arg("--version").output();
    assert!(
        curl.is_ok(),
        "the guide calls the server with `curl`: install it"
    );
    let mut wrong = String::new();
    for path in pages() {
        let text = std::fs::read_to_string(&path).unwrap();
        let came = Page::new().follow(&text);
        if came == text {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, came).unwrap();
            continue;
        }
        let same = text
            .lines()
            .zip(came.lines())
            .take_while(|(a, b)| a == b)
            .count();
        let rest = |text: &str| {
            text.lines()
                .skip(same)
                .take(15)
                .collect::<Vec<_>>()
                .join("\n")
        };
        wrong += &format!(
            "{}:{} shows:\n{}\n\n",
            path.display(),
            same + 1,
            rest(&text)
        );
        wrong += &format!("and this came:\n{}\n\n", rest(&came));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let guide = std::fs::read_dir(root.join("docs/guide")).unwrap();
    let mut pages: Vec<_> = guide.map(|entry| entry.unwrap().path()).collect();
    pages.extend(Some(root.join("README.md")).filter(|readme| readme.exists()));
    pages.sort();
    pages
}

struct Page {
    folder: TempDir,
    working: PathBuf,
    server: Option<Server>,
}

struct Server {
    child: Child,
    lines: Receiver<String>,
    address: String,
}

impl Page {
    fn new() -> Page {
        let folder = TempDir::new().unwrap();
        let (examples, working) = (Path::new(ROOT).join("examples"), folder.path().to_owned());
        std::os::unix::fs::symlink(examples, working.join("examples")).unwrap();
        // On a terminal curl shows the answer alone.
        std::fs::write(working.join(".curlrc"), "silent\nshow-error\n").unwrap();
        Page {
            folder,
            working,
            server: None,
        }
    }

    /// Does what a page says, and gives the page as it comes out.
    fn follow(mut self, page: &str) -> String {
        let (mut came, mut lines) = (String::new(), page.lines());
        while let Some(line) = lines.next() {
            came += &format!("{line}\n");
            let Some(kind) = line.strip_prefix("```") else {
                continue;
            };
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let text: String = block.iter().map(|line| format!("{line}\n")).collect();
            came += &match (kind, kind.strip_prefix("yaml file=")) {
                ("console", _) => commands(&block)
                    .iter()
                    .map(|(command, shown)| self.run(command, shown))
                    .collect(),
                (_, Some(name)) => std::fs::write(self.working.join(name), &text)
                    .map(|()| text)
                    .unwrap(),
                ("yaml", _) if text.starts_with("id:") => text.clone() + &problems(&text),
                _ => text,
            };
            came += "```\n";
        }
        came
    }

    /// Runs a command, and gives what then stands in the page: as the page has it, where that fits.
    fn run(&mut self, command: &str, shown: &[&str]) -> String {
        let mut text = String::new();
        if !command.is_empty() {
            text = format!("$ {command}\n");
        }
        for (at, line) in self.came(command, shown).iter().enumerate() {
            let fitting = |wanted: &&&str| fits(wanted, line);
            let kept = shown
                .get(at)
                .filter(fitting)
                .or_else(|| shown.iter().find(fitting));
            text += &format!("{}\n", kept.unwrap_or(&&**line));
        }
        text
    }

    /// The lines that a command writes; without one, those that the server goes on to write.
    fn came(&mut self, command: &str, shown: &[&str]) -> Vec<String> {
        if let Some(folder) = command.strip_prefix("cd ") {
            self.working.push(folder);
            return Vec::new();
        }
        if command.starts_with("waystation serve") && self.server.is_none() {
            self.server = Some(Server::start(self.shell(&format!("exec {command}"))));
        } else if !command.is_empty() {
            let address = self
                .server
                .as_ref()
                .map_or(ADDRESS, |server| &server.address);
            let output = self
                .shell(&command.replace(ADDRESS, address))
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout)
                .unwrap()
                .replace(address, ADDRESS);
            return text.lines().map(str::to_owned).collect();
        }
        let server = self.server.as_mut().expect("a server writes here");
        let came = shown.iter().map(|line| server.next(line)).collect();
        if shown.contains(&"^C") {
            self.server = None;
        }
        came
    }

    /// A shell in the folder of the page, its standard error where its standard output goes.
    fn shell(&self, command: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_waystation"))
            .parent()
            .unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec 2>&1\n{command}"));
        shell
            .current_dir(&self.working)
            .stdin(Stdio::null())
            .env_clear();
        shell
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("TZ", "UTC");
        shell.env("WAYSTATION_LISTEN", "127.0.0.1:0");
        shell
    }
}

impl Server {
    fn start(mut shell: Command) -> Server {
        let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        Server {
            child,
            lines,
            address: ADDRESS.to_owned(),
        }
    }

    /// The next line that it writes, or the key that is pressed.
    fn next(&mut self, shown: &str) -> String {
        if shown == "^C" {
            let pid = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            return shown.to_owned();
        }
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| "(the server writes nothing)".to_owned());
        if let Some((_, address)) = line.split_once(" at http://") {
            self.address = address.to_owned();
        }
        line.replace(&self.address, ADDRESS)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    let plan = Plan::check(&source, &steps::KINDS);
    plan.err().map_or_else(String::new, |problems| {
        waystation::programs::drawn(&problems, &source)
    })
}

/// Whether a line is as a page shows it, where `…` stands for any text.
fn fits(wanted: &str, line: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('…') else {
        return wanted == line;
    };
    let Some(tail) = line.strip_prefix(start) else {
        return false;
    };
    tail.char_indices()
        .map(|(at, _)| at)
        .chain([tail.len()])
        .any(|at| fits(rest, &tail[at..]))
}
