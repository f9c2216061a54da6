//! A server in which things go wrong, and what its callers see.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::runtime::Runtime;
use waystation::store::sqlite::Sqlite;
use waystation::store::{Filter, RECORD, State, Store, Summary};

use crate::support::{KEY, TestCommand, TestServer};

/// The longest that anything which must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// By how much something may take longer than it should on a busy machine.
const SLACK: Duration = Duration::from_secs(20);

/// Whether a caller waits for its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Waits,
    Leaves,
}

/// What a caller saw, and what the record says in the end.
#[derive(Debug)]
pub struct Seen {
    pub answer: String,
    pub after: String,
    pub record: String,
}

/// An answer, and how long it took.
pub struct Answer {
    pub text: String,
    pub took: Duration,
}

impl Answer {
    /// Status and body, with ids of runs left out.
    fn shown(&self) -> String {
        if self.text.is_empty() {
            return "the connection is closed".to_owned();
        }
        let (head, body) = self.text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        let run = head
            .lines()
            .find_map(|line| line.strip_prefix("waystation-run: "));
        let body = match run {
            Some(run) => body.replace(run, "…"),
            None => body.to_owned(),
        };
        // Markdown wants more of them around text that has some in it.
        match body.contains('`') {
            true => format!("{status} `` {body} ``"),
            false => format!("{status} `{body}`"),
        }
    }
}

/// How long something took, which was to take so long.
#[track_caller]
pub fn after(took: Duration, wanted: u64) -> String {
    let least = Duration::from_secs(wanted).saturating_sub(Duration::from_millis(100));
    assert!(
        took >= least && took < least + SLACK,
        "{took:?}, not {wanted} s"
    );
    match wanted {
        0 => "at once".to_owned(),
        seconds => format!("{seconds} s"),
    }
}

/// A server and its folder.
pub struct World {
    pub command: TestCommand,
    server: Option<TestServer>,
    flags: Vec<String>,
    runtime: Runtime,
    clock: Option<File>,
}

impl World {
    /// Serves a program with the id 1, with flags for the server.
    pub fn new(program: &str, flags: &[&str]) -> World {
        let command = TestCommand::new(&[("one.yaml", program)]);
        let mut world = World {
            command,
            server: None,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            runtime: Runtime::new().unwrap(),
            clock: None,
        };
        world.start();
        world
    }

    /// The same, with a time of day that can be changed.
    pub fn with_clock(program: &str, flags: &[&str]) -> World {
        let mut command = TestCommand::new(&[("one.yaml", program)]);
        let folder = command.folder.path();
        let (clock, library) = (folder.join("clock"), folder.join("clock.so"));
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&clock);
        let file = file.unwrap();
        file.write_all_at(&[0; 8], 0).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/clock.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .status();
        assert!(compiled.unwrap().success(), "the clock does not compile");
        command.environment = vec![
            ("LD_PRELOAD".to_owned(), library.display().to_string()),
            ("CLOCK".to_owned(), clock.display().to_string()),
        ];
        let mut world = World {
            command,
            server: None,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            runtime: Runtime::new().unwrap(),
            clock: Some(file),
        };
        world.start();
        world
    }

    pub fn start(&mut self) {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.server = Some(TestServer::start(&self.command, &flags));
    }

    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.signal(Signal::KILL);
        server.child.wait().unwrap();
    }

    /// Puts the time of day forward by so many seconds, or back.
    pub fn jump(&self, seconds: i64) {
        let clock = self.clock.as_ref().unwrap();
        clock.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    /// Sends a call, whose answer can be waited for.
    pub fn sent(&self, caller: Caller, rest: &str) -> Sent {
        let stream = self.server.as_ref().unwrap().connect();
        let wait = match caller {
            Caller::Waits => "false",
            Caller::Leaves => "true",
        };
        let request = format!(
            "POST /api?program_id=1&run_async={wait}{rest} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        (&stream).write_all(request.as_bytes()).unwrap();
        Sent {
            stream,
            at: Instant::now(),
        }
    }

    /// Calls, and gives the answer.
    pub fn called(&self, caller: Caller, rest: &str) -> Answer {
        self.sent(caller, rest).answer()
    }

    pub fn database(&self) -> PathBuf {
        self.command.folder.path().join("data").join(RECORD)
    }

    fn runs(&self) -> Vec<Summary> {
        let store = Sqlite::read_only(&self.database()).unwrap();
        let all = Filter {
            limit: 100,
            ..Filter::default()
        };
        self.runtime.block_on(store.runs(all)).unwrap()
    }

    /// Waits until the newest run is in one of these states.
    pub fn until(&self, states: &[State]) -> Summary {
        let end = Instant::now() + PATIENCE;
        loop {
            let newest = self.runs().into_iter().next();
            if let Some(newest) = newest
                && states.contains(&newest.state)
            {
                return newest;
            }
            assert!(Instant::now() < end, "not {states:?}: {:?}", self.runs());
            std::thread::yield_now();
        }
    }

    /// How the newest run ended.
    pub fn ended(&self) -> String {
        let run = self.until(&[State::Succeeded, State::Failed, State::Cancelled]);
        match run.reason {
            Some(reason) => format!("`{}`, `{reason}`", run.state.name()),
            None => format!("`{}`", run.state.name()),
        }
    }

    /// How many runs there are.
    pub fn count(&self) -> usize {
        self.runs().len()
    }

    /// What a caller saw whose answer was to come after so many seconds, and how the run ended.
    #[track_caller]
    pub fn seen(&self, answer: &Answer, wanted: u64) -> Seen {
        Seen {
            answer: answer.shown(),
            after: after(answer.took, wanted),
            record: self.ended(),
        }
    }
}

/// What a caller saw, and what the record says.
#[track_caller]
pub fn seen(answer: &Answer, wanted: u64, record: &str) -> Seen {
    Seen {
        answer: answer.shown(),
        after: after(answer.took, wanted),
        record: record.to_owned(),
    }
}

/// A call that was sent.
pub struct Sent {
    stream: TcpStream,
    at: Instant,
}

impl Sent {
    /// Its answer, empty where the connection was closed without one.
    pub fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        // A server that is killed resets it.
        let _ = self.stream.read_to_end(&mut bytes);
        Answer {
            text: String::from_utf8(bytes).unwrap(),
            took: self.at.elapsed(),
        }
    }

    /// Goes away without one.
    pub fn leave(self) {}
}
