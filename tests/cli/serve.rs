//! `serve` and `key`: starting, the key, and stopping.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::outside::Outside;
use crate::support::{KEY, TestCommand, TestServer};

/// The longest that anything which must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer: the status, the run it belongs to, the body.
#[derive(Debug, PartialEq)]
pub struct Called {
    pub status: u16,
    pub run: String,
    pub body: String,
}

/// Calls `/api` with the good key; nothing if there is no server.
pub fn call(address: &str, parameters: &str) -> Option<Called> {
    call_with(address, KEY, parameters, "")
}

/// Calls `/api` with a key and a form as the body.
pub fn call_with(address: &str, key: &str, parameters: &str, body: &str) -> Option<Called> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "POST /api?{parameters} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let run = head
        .lines()
        .find_map(|line| line.strip_prefix("waystation-run: "));
    Some(Called {
        status: head.split(' ').nth(1)?.parse().ok()?,
        run: run.unwrap_or_default().to_owned(),
        body: body.to_owned(),
    })
}

/// Tries until there is something.
pub fn until<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::yield_now();
    }
}

/// A program whose run writes `first`, stays at work until it is let go, and writes `second`.
pub struct Held(Outside);

impl Held {
    pub const TEXT: &str = "id: 5
name: Held
functions:
  Main:
    triggers:
      - webhook: {outputs: {Url: ''}}
    steps:
      - python: |
          import urllib.request
          print('first')
          urllib.request.urlopen(inputs['Url'])
          print('second')
          outputs['Done'] = True
        show: [Done]
";

    pub fn new() -> Held {
        Held(Outside::new())
    }

    /// A server whose code may ask whether it is let go.
    pub fn serve(&self, command: &TestCommand, flags: &[&str]) -> TestServer {
        let allow = ["--egress-allow", &self.0.address()];
        TestServer::start(command, &[&allow, flags].concat())
    }

    pub fn address(&self) -> String {
        self.0.address()
    }

    pub fn parameters(&self) -> String {
        format!("program_id=5&variables={}", self.0.url())
    }

    /// Waits until the run is at work, and lets it go on.
    pub fn let_go(&self) {
        self.0.called().answer();
    }
}

const DONE: &str = r#"{"Success":"Program finished.","Result":[["Done",true]]}"#;

fn serve(command: &TestCommand, listen: &str) -> Command {
    command.command(&["serve", ".", "--listen", listen, "--data", "data"])
}

/// Starts a server without a key, and gives the first lines that it writes, as many as are asked for.
fn started(command: &TestCommand, lines: usize) -> (Stopped, String) {
    let mut child = serve(command, "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let text: Vec<String> = out.lines().take(lines).map(Result::unwrap).collect();
    (Stopped(child), text.join("\n"))
}

/// A process that is stopped in the end.
struct Stopped(std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_first_start_shows_the_key_and_a_call() {
    let command = TestCommand::new(&[("held.yaml", Held::TEXT)]);
    let none = "error: there is no API key in data/keys/api-key; `waystation serve` makes one\n";
    command.run(&["key", "--data", "data"]).is(3, "", none);

    let (server, text) = started(&command, 9);
    let key = command.run(&["key", "--data", "data"]);
    assert_eq!((key.code, key.stderr.as_str()), (0, ""));
    let key = key.stdout.trim_end();
    let address = text.lines().next().unwrap().rsplit('/').next().unwrap();
    let folder = command.folder.path().canonicalize().unwrap();
    let path = folder.join("data/keys/api-key").display().to_string();
    let wanted = format!(
        "Waystation {} at http://{address}

  5  Held (held.yaml)

API key: {key}
It is kept in {path}; `waystation key` shows it.

Try it:
  curl -X POST -H \"Authorization: Bearer $(cat '{path}')\" 'http://{address}/api?program_id=5'",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(text, wanted);
    drop(server);

    let (_server, text) = started(&command, 6);
    assert!(!text.contains(key), "{text}");
}

#[test]
fn a_folder_without_programs_is_served_too() {
    let (_server, text) = started(&TestCommand::new(&[]), 3);
    let advice = "\n\nThere is no program in . yet; `waystation new NAME` makes one.";
    assert!(text.ends_with(advice), "{text}");
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one_at_once() {
    let command = TestCommand::new(&[("held.yaml", Held::TEXT)]);
    let server = TestServer::start(&command, &[]);
    let text =
        "error: every caller with the old key will be refused; add `--yes` if that is meant\n";
    command
        .run(&["key", "reset", "--data", "data"])
        .is(3, "", text);
    let ran = command.run(&["key", "reset", "--yes", "--data", "data"]);
    let text = "the old key no longer works; a running server knows the new one at once\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (0, text));
    let key = ran.stdout.trim_end();
    let status = |key: &str| Some(call_with(&server.address, key, "program_id=6", "")?.status);
    until("the new key is known", || {
        (status(key) == Some(404)).then_some(())
    });
    assert_eq!(status(KEY), Some(401));
}

#[test]
fn the_first_key_replaces_none() {
    let command = TestCommand::new(&[]);
    let ran = command.run(&["key", "reset", "--data", "data"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout.len(), 44);
    command
        .run(&["key", "--data", "data"])
        .is(0, &ran.stdout, "");
}

#[test]
fn a_port_in_use_is_an_error_and_costs_no_key() {
    let command = TestCommand::new(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = serve(&command, &address).output().unwrap();
    let text = format!("error: cannot listen on {address}: Address already in use (os error 98)\n");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
    // The key is shown once, so a start that fails must not make it.
    assert_eq!(command.run(&["key", "--data", "data"]).code, 3);
}

#[test]
fn a_data_folder_has_one_server() {
    let command = TestCommand::new(&[]);
    let _server = TestServer::start(&command, &[]);
    let output = serve(&command, "127.0.0.1:0").output().unwrap();
    let text = "error: data is in use by another `waystation serve`\n";
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
}

#[test]
fn a_folder_of_programs_that_is_not_there_leaves_nothing_behind() {
    let command = TestCommand::new(&[("file.yaml", Held::TEXT)]);
    command.run(&["serve", "none"]).is(
        3,
        "",
        "error: none: No such file or directory (os error 2)\n",
    );
    command.run(&["serve", "file.yaml"]).is(
        3,
        "",
        "error: file.yaml: Not a directory (os error 20)\n",
    );
    assert!(!command.folder.path().join("waystation-data").exists());
}

#[test]
fn a_server_told_to_stop_ends_what_it_began() {
    let command = TestCommand::new(&[("held.yaml", Held::TEXT)]);
    let held = Held::new();
    let mut server = held.serve(&command, &["--max-running", "1"]);
    let (address, parameters) = (server.address.clone(), held.parameters());
    let at_work = std::thread::spawn(move || call(&address, &parameters));
    until("the run is at work", || {
        let runs = command.run(&["runs", "--state", "running", "--data", "data"]);
        (!runs.stdout.is_empty()).then_some(())
    });
    let queued = format!("{}&run_async=true", held.parameters());
    let queued = call(&server.address, &queued).unwrap();
    assert_eq!(queued.body, r#"{"Success":"Program started."}"#);

    server.signal(Signal::TERM);
    until("no more calls are taken", || {
        match call(&server.address, "program_id=6") {
            None => Some(()),
            Some(called) => (called.status == 503).then_some(()),
        }
    });
    held.let_go();
    let answer = at_work.join().unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, DONE));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));

    // What was accepted and had not begun is run by the next server.
    let still = command.run(&["runs", "--state", "queued", "--data", "data"]);
    assert!(still.stdout.starts_with(&queued.run), "{still:?}");
    let _server = held.serve(&command, &[]);
    held.let_go();
    until("the queued run has ended", || {
        let runs = command.run(&["runs", "--state", "succeeded", "--data", "data"]);
        runs.stdout.contains(&queued.run).then_some(())
    });
}

#[test]
fn a_second_signal_stops_at_once() {
    let command = TestCommand::new(&[("held.yaml", Held::TEXT)]);
    let held = Held::new();
    let mut server = held.serve(&command, &[]);
    let (address, parameters) = (server.address.clone(), held.parameters());
    let at_work = std::thread::spawn(move || call(&address, &parameters));
    until("the run is at work", || {
        let runs = command.run(&["runs", "--state", "running", "--data", "data"]);
        (!runs.stdout.is_empty()).then_some(())
    });
    server.signal(Signal::TERM);
    until("it stops", || {
        server.logged().contains("stopping").then_some(())
    });
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().unwrap().code(), Some(130));
    assert_eq!(at_work.join().unwrap(), None);

    let again = TestServer::start(&command, &[]);
    assert!(
        again
            .logged()
            .contains("of the runs at work when the server last stopped, 0 can go on and 1 ended")
    );
    let runs = command.run(&["runs", "--state", "failed", "--data", "data"]);
    assert_eq!(runs.stdout.lines().count(), 1);
}
