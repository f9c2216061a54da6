//! The real server in one isolation, run by one user, and what is to be found out about it from outside.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sandbox::isolation::Isolation;
use tempfile::TempDir;
use waystation::store::sqlite::Sqlite;
use waystation::store::{RECORD, Store};

use crate::support::{KEY, TestCommand, TestServer};

/// An ordinary user, where this process is root and can become anybody.
const ORDINARY: u32 = 1000;

/// Whom the server runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    Ordinary,
}

/// A server in one isolation, run by one user.
pub struct World {
    pub command: TestCommand,
    pub server: TestServer,
}

/// What came of a call.
#[derive(Debug)]
pub struct Called {
    pub status: u16,
    pub body: String,
    pub run: String,
    pub took: Duration,
}

/// Does something in a world of one isolation and one user, where the machine has it.
macro_rules! in_every_world {
    ($does:expr) => {
        $crate::world::in_every_world! { $does,
            jail_of_root: Jail Root,
            jail_of_an_ordinary_user: Jail Ordinary,
            confined_by_root: Confined Root,
            confined_by_an_ordinary_user: Confined Ordinary,
            limited_by_root: Limited Root,
            limited_by_an_ordinary_user: Limited Ordinary,
        }
    };
    ($does:expr, $($name:ident: $isolation:ident $user:ident,)*) => {
        $(#[test]
        fn $name() {
            let isolation = sandbox::isolation::Isolation::$isolation;
            let user = $crate::world::User::$user;
            if $crate::world::is_offered(isolation, user) {
                $does((isolation, user));
            }
        })*
    };
}
pub(crate) use in_every_world;

/// Whether the machine offers an isolation to a user, by what it says itself and not by what the product finds.
pub fn is_offered(isolation: Isolation, user: User) -> bool {
    let root = rustix::process::geteuid().is_root();
    let lacks = match (user, isolation) {
        (User::Root, _) if !root => Some("this is not root"),
        (_, Isolation::Jail) if !has_namespaces(user) => Some("namespaces are refused here"),
        (_, Isolation::Confined) if !has_landlock(user) => Some("this kernel has no Landlock"),
        _ => None,
    };
    if let Some(why) = lacks {
        say(&format!("SKIPPED: `{isolation}` as {user:?}: {why}"));
    }
    lacks.is_none()
}

/// Says something even where the output of tests is kept back.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn has_namespaces(user: User) -> bool {
    let arguments = [
        "--user",
        "--map-root-user",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--mount-proc",
        "true",
    ];
    let output = command(Path::new("unshare"), user).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

fn has_landlock(user: User) -> bool {
    let version = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))";
    let output = command(python(user), user)
        .args(["-I", "-c", version])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.trim().parse::<i32>().unwrap() > 0
}

/// A program that a user is to run.
fn command(program: &Path, user: User) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).current_dir("/");
    if let Some(id) = user.id() {
        command.uid(id).gid(id);
    }
    command
}

impl User {
    /// The user to become, where that is another one.
    pub fn id(self) -> Option<u32> {
        let root = rustix::process::geteuid().is_root();
        (self == User::Ordinary && root).then_some(ORDINARY)
    }
}

/// A Python that a user can run, and so can the users that code runs as.
pub fn python(user: User) -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from);
        let folders = folders.into_iter().chain(std::env::split_paths(&path));
        let ask = "import sys; assert sys.version_info >= (3, 9); print(sys.executable)";
        let found = folders
            .map(|folder| folder.join("python3"))
            .find_map(|path| {
                let output = command(&path, user).args(["-I", "-c", ask]).output().ok()?;
                let text = String::from_utf8(output.stdout).ok()?;
                output.status.success().then(|| PathBuf::from(text.trim()))
            });
        let found = found.expect("a Python 3.9 or newer that every user can run");
        say(&format!("code runs in {}", found.display()));
        found
    })
}

impl World {
    /// Serves programs.
    pub fn new(
        (isolation, user): (Isolation, User),
        programs: &[(&str, &str)],
        flags: &[&str],
    ) -> World {
        World::with((isolation, user), programs, flags, Vec::new())
    }

    /// Serves programs, with more in the server's environment.
    pub fn with(
        (isolation, user): (Isolation, User),
        programs: &[(&str, &str)],
        flags: &[&str],
        mut environment: Vec<(String, String)>,
    ) -> World {
        let mut command = TestCommand::new(programs);
        let scratch = command.folder.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        environment.push(("TMPDIR".to_owned(), scratch.to_str().unwrap().to_owned()));
        command.environment = environment;
        command.user = user.id();
        open_to(command.folder.path(), user);
        command.program = reachable(&command, user);
        let isolation_flags = [
            "--sandbox",
            isolation.name(),
            "--sandbox-minimum",
            isolation.name(),
        ];
        let python = ["--python", python(user).to_str().unwrap()];
        // What comes later counts.
        let later = |name: &str| flags.contains(&name);
        let python = if later("--python") { &[][..] } else { &python };
        let flags = [&isolation_flags, python, flags].concat();
        let server = TestServer::start(&command, &flags);
        World { command, server }
    }

    /// Calls a program, with the value of its variable.
    pub fn call(&self, program: usize, given: &str) -> Called {
        let began = Instant::now();
        let target = format!("/api?api_key={KEY}&program_id={program}");
        let body = serde_json::json!({ "variables": [given] }).to_string();
        let length = body.len();
        let answer = self.server.raw(format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{answer:?}"));
        let run = head
            .lines()
            .find_map(|line| line.strip_prefix("waystation-run: "));
        Called {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: body.to_owned(),
            run: run.unwrap_or_default().to_owned(),
            took: began.elapsed(),
        }
    }

    /// The log of a run that has ended: the stream and the text of every line.
    pub fn log(&self, run: &str) -> Vec<(String, String)> {
        let path = self.command.folder.path().join("data").join(RECORD);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = Sqlite::read_only(&path).unwrap();
        let page = runtime
            .block_on(store.log(run.parse().unwrap(), 0))
            .unwrap();
        assert!(page.ended, "the run goes on");
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("stream"), text("text"))
        };
        page.text.lines().map(line).collect()
    }

    /// Has a program run, and does not wait for it.
    pub fn begin(&self, program: usize) {
        let target = format!("/api?api_key={KEY}&program_id={program}&run_async=True");
        let answer = self.server.raw(format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// What the folders hold that launchers made for the folders of runs that are over.
    pub fn runs(&self) -> Vec<PathBuf> {
        let in_folder = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect()
        };
        let launchers = in_folder(&self.command.folder.path().join("scratch"));
        let of_probe = |folder: &&PathBuf| folder.to_string_lossy().contains("/waystation-probe-");
        let launchers = launchers.iter().filter(|folder| !of_probe(folder));
        let runs = launchers.flat_map(|folder| in_folder(folder));
        // Those that stand ready have written nothing. What goes while it is looked at has not gone yet.
        let used = runs.filter(|run| {
            let is_used = |place| fs::read_dir(place).map_or(true, |mut all| all.next().is_some());
            in_folder(run).iter().any(is_used)
        });
        used.collect()
    }

    /// What is left of runs that are over, with all that is in it, and what the server has to say.
    pub fn left(&self) -> String {
        let mut left = format!("{:#?}\n", self.runs());
        let mut folders = vec![self.command.folder.path().join("scratch")];
        while let Some(folder) = folders.pop() {
            match fs::read_dir(&folder) {
                Ok(entries) => {
                    for entry in entries.flatten() {
                        left.push_str(&format!("{:?} {:?}\n", entry.path(), entry.metadata()));
                        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                            folders.push(entry.path());
                        }
                    }
                }
                Err(error) => left.push_str(&format!("{folder:?}: {error}\n")),
            }
        }
        left + &self.server.logged()
    }

    /// Whether the server still answers as it did at first.
    pub fn is_well(&self) -> bool {
        self.server
            .raw("GET /api HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 401 ")
    }

    pub fn pid(&self) -> u32 {
        self.server.child.id()
    }
}

/// Makes a folder one that a user owns, and that the users of code can come through.
fn open_to(folder: &Path, user: User) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for path in entries.chain([folder.to_owned()]) {
        if let Some(id) = user.id() {
            chown(path, Some(id), Some(id)).unwrap();
        }
    }
}

/// The binary where a user can run it: a copy where it cannot run the one that was built.
fn reachable(built: &TestCommand, user: User) -> PathBuf {
    let output = command(&built.program, user).arg("--version").output();
    if output.is_ok_and(|output| output.status.success()) {
        return built.program.clone();
    }
    let copy = built.folder.path().join("waystation");
    fs::copy(&built.program, &copy).unwrap();
    copy
}

/// A Python that is installed in a folder of its own, together with a file: so code can read that. The folder is
/// in no place that runs have to themselves.
pub fn python_beside(file: &Path, name: &str, user: User) -> TempDir {
    let folder = TempDir::new_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let python = python(user);
    symlink(python, bin.join("python3")).unwrap();
    let home = python.parent().unwrap().display();
    fs::write(folder.path().join("pyvenv.cfg"), format!("home = {home}\n")).unwrap();
    fs::copy(file, folder.path().join(name)).unwrap();
    folder
}

/// A program of one step.
pub fn program(id: usize, kind: &str, code: &str, settings: &str) -> (String, String) {
    let indented: String = code
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect();
    let settings: String = settings
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    let text = format!(
        "id: {id}\nname: P{id}\nfunctions:\n  Main:\n    triggers: [webhook: {{outputs: {{Given: ''}}}}]\n    \
         steps:\n      - {kind}: |\n{indented}{settings}"
    );
    (format!("p{id}.yaml"), text)
}
