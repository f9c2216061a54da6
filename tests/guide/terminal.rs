//! A terminal in a folder of its own, and a server beside it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Where the server listens, as the pages say.
const ADDRESS: &str = "127.0.0.1:8080";
/// How long the server may be silent where a page shows that it writes something.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fails unless there is the program that the pages call the server with.
pub fn needs_curl() {
    let curl = Command::new("curl").arg("--version").output();
    assert!(
        curl.is_ok(),
        "the guide calls the server with `curl`: install it"
    );
}

/// Whether a command, with variables before it or not, starts the server.
fn is_server(command: &str) -> bool {
    let mut words = command.split(' ').skip_while(|word| word.contains('='));
    words.next() == Some("waystation") && words.next() == Some("serve")
}

pub struct Terminal {
    folder: TempDir,
    working: PathBuf,
    server: Option<Server>,
    /// Where the server really listens.
    address: String,
}

struct Server {
    child: Child,
    lines: Receiver<String>,
}

impl Terminal {
    pub fn new() -> Terminal {
        let folder = TempDir::new().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        std::os::unix::fs::symlink(examples, folder.path().join("examples")).unwrap();
        // On a terminal curl shows the answer alone.
        std::fs::write(folder.path().join(".curlrc"), "silent\nshow-error\n").unwrap();
        Terminal {
            working: folder.path().to_owned(),
            folder,
            server: None,
            address: ADDRESS.to_owned(),
        }
    }

    /// Writes a file in the folder where commands run, in one go: the server may be watching.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.working.join(".new");
        std::fs::write(&new, text.replace(ADDRESS, &self.address)).unwrap();
        std::fs::rename(new, self.working.join(name)).unwrap();
    }

    /// The lines that a command writes. Of the server, which is also meant where there is no command,
    /// only as many as are shown: it goes on.
    pub fn run(&mut self, command: &str, shown: &[&str]) -> Vec<String> {
        if let Some(folder) = command.strip_prefix("cd ") {
            self.working.push(folder);
            return Vec::new();
        }
        if is_server(command) && self.server.is_none() {
            self.server = Some(Server::start(self.shell(&format!("exec env {command}"))));
        } else if !command.is_empty() {
            let command = command.replace(ADDRESS, &self.address);
            let output = self.shell(&command).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let text = text.replace(&self.address, ADDRESS);
            return text.lines().map(str::to_owned).collect();
        }
        let came = shown.iter().map(|line| self.server(line)).collect();
        if shown.contains(&"^C")
            && let Some(mut server) = self.server.take()
        {
            server.child.wait().unwrap();
        }
        came
    }

    /// The next line that the server writes, or the key that is pressed.
    fn server(&mut self, shown: &str) -> String {
        let Some(server) = &self.server else {
            return "(there is no server)".to_owned();
        };
        if shown == "^C" {
            kill_process(Pid::from_child(&server.child), Signal::INT).unwrap();
            return shown.to_owned();
        }
        let Ok(line) = server.lines.recv_timeout(PATIENCE) else {
            return "(the server writes nothing)".to_owned();
        };
        if let Some((_, address)) = line.split_once(" at http://") {
            self.address = address.to_owned();
        }
        line.replace(&self.address, ADDRESS)
    }

    /// A shell whose standard error goes where its standard output goes.
    fn shell(&self, command: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_waystation"));
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", binary.parent().unwrap().display());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec 2>&1\n{command}"));
        shell.current_dir(&self.working).stdin(Stdio::null());
        shell.env_clear().env("PATH", path).env("TZ", "UTC");
        shell.env("HOME", self.folder.path());
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
            let mut lines = out.lines().map_while(Result::ok);
            lines.try_for_each(|line| send.send(line))
        });
        Server { child, lines }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
