//! What tests drive the product with: the application without a socket, the real binary, the real server.

#![allow(dead_code, reason = "every test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

pub mod any;
pub mod outside;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use clap::Parser;
use http_body_util::BodyExt;
use tempfile::TempDir;
use tower::ServiceExt;
use waystation::app::App;
use waystation::code::Codes;
use waystation::config::Config;
use waystation::keys::Keys;
use waystation::packages::{Packages, Tools};
use waystation::programs::OWNER;
use waystation::store::Store;
use waystation::store::sqlite::Sqlite;
use waystation::{http, worker};

/// The key that every test server takes.
pub const KEY: &str = "a23456789-b23456789-c23456789-d23456789-e23";

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    config: Config,
}

/// The settings that hold where a test says nothing else; `flags` as on the command line.
pub fn config(flags: &[&str]) -> Config {
    Defaults::parse_from(["test"].iter().chain(flags)).config
}

/// Looks again and again until there is something.
pub async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), found).await;
    found.expect("it never came")
}

/// The application, with programs served and a record in memory, called without a socket.
pub struct TestApp {
    pub app: Arc<App>,
    router: Router,
    _folder: TempDir,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl TestApp {
    /// Serves programs: file names with their texts.
    pub async fn new(programs: &[(&str, &str)]) -> TestApp {
        TestApp::with(programs, &[]).await
    }

    /// Serves programs under settings given as flags.
    pub async fn with(programs: &[(&str, &str)], flags: &[&str]) -> TestApp {
        TestApp::on(Arc::new(Sqlite::memory().unwrap()), programs, flags).await
    }

    /// Serves programs with a record that is kept in `store`.
    pub async fn on(store: Arc<dyn Store>, programs: &[(&str, &str)], flags: &[&str]) -> TestApp {
        let folder = folder(programs);
        let mut app = App::new(config(flags), store.clone(), Keys::forgotten().unwrap());
        let mut codes = Codes::new(&app.config, app.egress.clone());
        codes.launcher = env!("CARGO_BIN_EXE_waystation").into();
        app.codes = Arc::new(codes);
        app.packages = Packages::new(
            Tools::of(&app.config, app.codes.clone()),
            app.config.data.join("packages"),
            Box::new(|_| {}),
        );
        app.keys.set(KEY, OWNER, &*store).await.unwrap();
        let report = app.programs.load(folder.path(), &*store).await.unwrap();
        assert!(report.refused.is_empty(), "{}", report.refused.join("\n"));
        let app = Arc::new(app);
        worker::recover(&app).await.unwrap();
        tokio::spawn(worker::work(app.clone()));
        TestApp {
            router: http::routes(app.clone()),
            app,
            _folder: folder,
        }
    }

    /// Sends a request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Sends a request without a body.
    pub async fn request(&self, method: &str, target: &str) -> Answer {
        self.send(
            Request::builder()
                .method(method)
                .uri(target)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    /// Calls `/api` by POST with the good key and these further parameters, as they stand in a query.
    pub async fn api(&self, parameters: &str) -> Answer {
        self.request("POST", &format!("/api?api_key={KEY}&{parameters}"))
            .await
    }
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    /// Checks status and body, byte for byte.
    #[track_caller]
    pub fn is(&self, status: u16, body: &str) -> &Answer {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (status, body));
        self
    }
}

/// A new folder with files in it.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

/// Writes a file, making the folders above it.
pub fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The real binary in a folder of its own.
pub struct TestCommand {
    pub folder: TempDir,
    /// Where the binary is.
    pub program: PathBuf,
    /// The user whom it runs as, and the group, where that is another one.
    pub user: Option<u32>,
    /// What else is in its environment.
    pub environment: Vec<(String, String)>,
}

/// What came of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl TestCommand {
    /// A folder with files in it.
    pub fn new(files: &[(&str, &str)]) -> TestCommand {
        TestCommand {
            folder: folder(files),
            program: env!("CARGO_BIN_EXE_waystation").into(),
            user: None,
            environment: Vec::new(),
        }
    }

    /// The binary with arguments, about to run in the folder, its environment clean but for the path.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null());
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC")
            .envs(self.environment.iter().cloned());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Ran {
    /// Checks everything, byte for byte.
    #[track_caller]
    pub fn is(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!(
            (self.code, self.stdout.as_str(), self.stderr.as_str()),
            (code, stdout, stderr)
        );
    }
}

/// The real server, on a free port of loopback.
pub struct TestServer {
    pub child: Child,
    pub address: String,
    /// What it wrote to standard output before it served.
    pub greeting: String,
    pub log: PathBuf,
}

impl TestServer {
    /// Serves the folder `programs` of a command's folder, with its data beside it.
    pub fn start(command: &TestCommand, flags: &[&str]) -> TestServer {
        TestServer::started(command, flags)
            .unwrap_or_else(|log| panic!("no server: {}", std::fs::read_to_string(&log).unwrap()))
    }

    /// The same, where it may end before it serves; then its log is given.
    pub fn started(command: &TestCommand, flags: &[&str]) -> Result<TestServer, PathBuf> {
        let log = command.folder.path().join("server.log");
        let args = [
            &["serve", ".", "--listen", "127.0.0.1:0", "--data", "data"],
            flags,
        ]
        .concat();
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = command
            .command(&args)
            .env("WAYSTATION_API_KEY", KEY)
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        // The greeting ends with an empty line, after one that follows the address and one after the programs.
        while out.read_line(&mut greeting).unwrap() > 0
            && !(greeting.ends_with("\n\n") && greeting.matches("\n\n").count() > 1)
        {}
        let address = greeting
            .lines()
            .next()
            .and_then(|line| line.split("http://").nth(1));
        let Some(address) = address.map(str::to_owned) else {
            let _ = child.wait();
            return Err(log);
        };
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Ok(TestServer {
            child,
            address,
            greeting,
            log,
        })
    }

    /// A new connection, on which nothing is waited for longer than a test may take.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        let long = Some(Duration::from_secs(60));
        stream.set_read_timeout(long).unwrap();
        stream.set_write_timeout(long).unwrap();
        stream
    }

    /// Sends bytes on a new connection, and gives all that comes back until the server closes it.
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // A server that has closed already does not take the rest.
        let _ = stream.write_all(bytes.as_ref());
        rest(&mut stream)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// What the server wrote about itself so far.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes on a connection until it is closed.
pub fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => {
            panic!("{error} after {}", String::from_utf8_lossy(&bytes))
        }
        _ => String::from_utf8(bytes).unwrap(),
    }
}
