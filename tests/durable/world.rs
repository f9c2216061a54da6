//! A server that is killed and started again, and what its runs do outside of it.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::runtime::Runtime;
use waystation::store::sqlite::Sqlite;
use waystation::store::{Detail, Filter, RECORD, RunId, State, Store};

use crate::support::outside::{Called, Outside};
use crate::support::{KEY, TestCommand, TestServer, rest, write};

/// The longest that anything which must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of programs, the server that serves it, and what runs call outside.
pub struct World {
    pub command: TestCommand,
    pub outside: Outside,
    server: Option<TestServer>,
    flags: Vec<String>,
    runtime: Runtime,
}

impl World {
    /// Serves a program with the id 1, in which `{call}` stands for JavaScript that calls outside.
    pub fn new(program: &str) -> World {
        World::with(program, &[])
    }

    /// The same, with flags for the server.
    pub fn with(program: &str, flags: &[&str]) -> World {
        let (command, outside) = (TestCommand::new(&[]), Outside::new());
        let call = format!("await fetch('{}/' + ", outside.url());
        let text = program.replace("{call}", &call);
        write(command.folder.path(), "one.yaml", &text);
        let allow = outside.address();
        let mut flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        flags.extend(["--egress-allow".to_owned(), allow]);
        let mut world = World {
            command,
            outside,
            server: None,
            flags,
            runtime: Runtime::new().unwrap(),
        };
        world.start();
        world
    }

    /// Starts the server.
    pub fn start(&mut self) {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.server = Some(TestServer::start(&self.command, &flags));
    }

    /// Starts the server with a fault in it.
    pub fn start_with(&mut self, fault: &str) {
        let fault = ("WAYSTATION_FAULT".to_owned(), fault.to_owned());
        self.command.environment.push(fault);
        self.start();
        self.command.environment.clear();
    }

    /// Starts the server, which dies of a fault, and waits until it has.
    pub fn start_to_die(&mut self, fault: &str) {
        let fault = ("WAYSTATION_FAULT".to_owned(), fault.to_owned());
        self.command.environment.push(fault);
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        if let Ok(mut server) = TestServer::started(&self.command, &flags) {
            server.child.wait().unwrap();
        }
        self.command.environment.clear();
    }

    pub fn server(&self) -> &TestServer {
        self.server.as_ref().unwrap()
    }

    /// Kills the server at once.
    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.signal(Signal::KILL);
        server.child.wait().unwrap();
    }

    /// Waits until the server has died of the fault in it.
    pub fn died(&mut self) {
        let mut server = self.server.take().unwrap();
        server.child.wait().unwrap();
    }

    /// Kills the server and starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// Stops the server as a system does, and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.tell_to_stop();
        self.stopped()
    }

    /// Tells the server to stop, and waits until it lets nobody in any more.
    pub fn tell_to_stop(&self) {
        let server = self.server();
        server.signal(Signal::TERM);
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&server.address).is_ok() {
            assert!(Instant::now() < end, "{}", server.logged());
            std::thread::yield_now();
        }
    }

    /// Waits until the server has stopped, and gives its exit code.
    pub fn stopped(&mut self) -> Option<i32> {
        let mut server = self.server.take().unwrap();
        server.child.wait().unwrap().code()
    }

    /// Starts a run that nobody waits for.
    pub fn begin(&self) -> RunId {
        self.of(&self.call("program_id=1&run_async=true"))
    }

    /// Starts a run of `/v1` that nobody waits for, and gives the whole answer.
    pub fn begin_with(&self, body: &str) -> String {
        let request = "POST /v1/programs/1/runs";
        self.send_with(request, "Prefer: respond-async\r\n", body)
    }

    /// The run that an answer belongs to.
    pub fn of(&self, answer: &str) -> RunId {
        let run = answer
            .lines()
            .find_map(|line| line.strip_prefix("waystation-run: "));
        run.unwrap_or_else(|| panic!("no run: {answer}"))
            .parse()
            .unwrap()
    }

    /// Calls `/api` and gives the whole answer.
    pub fn call(&self, parameters: &str) -> String {
        self.send(&format!("POST /api?{parameters}"), "")
    }

    /// Posts JSON to a path, and gives the whole answer.
    pub fn post(&self, path: &str, body: &str) -> String {
        self.send(&format!("POST {path}"), body)
    }

    /// Gets what is at a path.
    pub fn get(&self, path: &str) -> String {
        let answer = self.send(&format!("GET {path}"), "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        body.to_owned()
    }

    fn send(&self, request: &str, body: &str) -> String {
        self.send_with(request, "", body)
    }

    fn send_with(&self, request: &str, headers: &str, body: &str) -> String {
        let mut stream = self.server().connect();
        let request = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nConnection: close\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        rest(&mut stream)
    }

    /// The next call outside, which must be to this path. It is not answered as long as it is kept.
    #[must_use]
    pub fn called(&self, path: &str) -> Called {
        let called = self.outside.called();
        assert_eq!(called.path, path);
        called
    }

    /// Answers the next call outside, which must be to this path.
    pub fn answer(&self, path: &str) {
        self.called(path).answer();
    }

    pub fn database(&self) -> PathBuf {
        self.command.folder.path().join("data").join(RECORD)
    }

    pub fn store(&self) -> Sqlite {
        Sqlite::read_only(&self.database()).unwrap()
    }

    /// The one run that there is.
    pub fn first(&self) -> RunId {
        let all = Filter {
            limit: 2,
            ..Filter::default()
        };
        let runs = self.runtime.block_on(self.store().runs(all)).unwrap();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].id
    }

    /// Everything about a run.
    pub fn run(&self, id: RunId) -> Detail {
        self.run_in(&self.store(), id)
    }

    /// Everything about a run, from a record that is open already.
    pub fn run_in(&self, store: &Sqlite, id: RunId) -> Detail {
        self.runtime.block_on(store.run(id)).unwrap().unwrap()
    }

    /// Waits until a run is in a state.
    pub fn until(&self, id: RunId, state: State) -> Detail {
        let end = Instant::now() + PATIENCE;
        loop {
            let run = self.run(id);
            if run.summary.state == state {
                return run;
            }
            let over = run.summary.ended_at.is_some() || Instant::now() > end;
            assert!(!over, "not {state:?}: {run:?}\n{}", self.server().logged());
            std::thread::yield_now();
        }
    }

    /// Waits until a run has ended as failed, and gives the reason and the message.
    pub fn failure(&self, id: RunId) -> (String, String) {
        let run = self.until(id, State::Failed);
        let answer: serde_json::Value = serde_json::from_str(&run.answer.unwrap()).unwrap();
        let message = answer["message"].as_str().unwrap().to_owned();
        (run.summary.reason.unwrap(), message)
    }

    /// The lines of a run's log.
    pub fn log(&self, id: RunId) -> Vec<String> {
        let page = self.runtime.block_on(self.store().log(id, 0)).unwrap();
        let text = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["text"].as_str().unwrap().to_owned()
        };
        page.text.lines().map(text).collect()
    }

    /// The steps in the journal of a run, with how far each came.
    pub fn journal(&self, id: RunId) -> Vec<String> {
        let records = self.runtime.block_on(self.store().journal(id, 0)).unwrap();
        records
            .iter()
            .map(|record| format!("{} {} {}", record.step, record.kind, record.status.name()))
            .collect()
    }
}
