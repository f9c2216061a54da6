//! The host's side: what the probe is to fail at, and whether it did.

mod listen;
mod setuid;

use std::fs::{self, File, Permissions};
use std::io::{self, Error};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::io::FdFlags;
use rustix::rand::GetRandomFlags;
use tempfile::TempDir;

use super::processes::stat_field;
use super::table::Proof;
use super::{ATTEMPTS, Attempt, Bait, Finding};
use listen::Listeners;

/// The variable of the stand-in that holds the secret.
const VARIABLE: &str = "WAYSTATION_PROBE_SECRET";
/// Where the probe tries to plant files.
const PLANTED_IN: [&str; 5] = ["/", "/usr", "/etc", "/tmp", "/dev/shm"];

/// What the host sets up beside a sandbox: files, services on the loopback address and on sockets, and a process that
/// stands in for the server. Whatever it made is gone when it is dropped.
///
/// Nothing but isolation protects it: its files and sockets are open to every user of the machine.
pub struct Stage {
    bait: Bait,
    victim: StandIn,
    listeners: Listeners,
    _leaked: [File; 2],
    _folder: TempDir,
}

impl Stage {
    /// Sets the stage for a sandbox whose code runs as this process's user.
    ///
    /// While it stands, processes that are started inherit descriptors of a file and of a folder of the stage.
    ///
    /// # Errors
    /// Whatever keeps a file, a socket or the stand-in from being made; the stand-in is a `cat` that waits.
    pub fn set() -> io::Result<Stage> {
        Stage::set_as(None)
    }

    /// Sets the stage for a sandbox whose code runs as another user: the stand-in for the server is the same user's,
    /// and so are the files, so that being another user is not what stops an attempt. Needs root.
    ///
    /// # Errors
    /// As [`Stage::set`].
    pub fn set_for(user: u32, group: u32) -> io::Result<Stage> {
        Stage::set_as(Some((user, group)))
    }

    fn set_as(owner: Option<(u32, u32)>) -> io::Result<Stage> {
        let token = token()?;
        let secret = format!("secret-{token}");
        let folder = tempfile::Builder::new()
            .prefix("waystation-probe-")
            .tempdir()?;
        let files = Files::make(folder.path(), &secret, owner)?;
        let leaked = [leak(&files.secret)?, leak(folder.path())?];
        let victim = StandIn::start(&secret, owner)?;
        let process = Whereabouts::of(victim.id())?;
        let abstract_socket = format!("waystation-probe-{token}");
        let listeners = Listeners::open(&secret, files.socket.clone(), abstract_socket.clone())?;
        let bait = Bait {
            secret,
            secret_file: files.secret,
            foreign_folder: files.foreign,
            writable_outside: files.open,
            planted: format!(".waystation-probe-{token}"),
            server: victim.id(),
            server_started: process.started,
            server_secret_env: VARIABLE.to_owned(),
            secret_address: process.secret,
            tcp: listeners.tcp(),
            udp: listeners.udp(),
            socket_file: files.socket,
            abstract_socket,
            leaked_fd: leaked[0].as_raw_fd(),
            leaked_folder: leaked[1].as_raw_fd(),
            setuid_program: files.setuid,
        };
        Ok(Stage {
            bait,
            victim,
            listeners,
            _leaked: leaked,
            _folder: folder,
        })
    }

    /// What the probe gets to know.
    pub fn bait(&self) -> Bait {
        self.bait.clone()
    }

    /// A variable and its value, to be put into the environment of what starts the sandbox: a server has secrets there
    /// that its programs must not find.
    pub fn environment(&self) -> (&str, &str) {
        (VARIABLE, &self.bait.secret)
    }

    /// Whether the stand-in for the server is alive and not stopped.
    pub fn victim_is_well(&self) -> bool {
        let line = fs::read(format!("/proc/{}/stat", self.victim.id())).unwrap_or_default();
        matches!(stat_field(&line, 3), Some("R" | "S" | "D"))
    }

    /// Which attempts really came through: one finding for each of [`ATTEMPTS`], in their order.
    ///
    /// Where the host can see for itself it is not the probe's word that counts, and what the probe does not speak of
    /// came through.
    pub fn verdicts(mut self, findings: Vec<Finding>) -> Vec<Finding> {
        let heard = self.listeners.end();
        let judge = |attempt: &Attempt| {
            let told = findings
                .iter()
                .find(|finding| finding.attempt == attempt.words);
            let Some(told) = told else {
                return untold(attempt);
            };
            let seen = match attempt.proof {
                Proof::Told => told.came_through,
                // A service that could not be asked may have heard it.
                Proof::Heard => heard
                    .as_ref()
                    .map_or(true, |heard| heard.has(attempt.words)),
                Proof::Planted(folder) => Path::new(folder).join(&self.bait.planted).exists(),
            };
            corrected(told, seen)
        };
        ATTEMPTS.iter().map(judge).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for folder in PLANTED_IN {
            let _ = fs::remove_file(Path::new(folder).join(&self.bait.planted));
        }
    }
}

/// What the probe said, as the host saw it.
fn corrected(told: &Finding, seen: bool) -> Finding {
    let detail = match (told.came_through, seen) {
        (true, false) => "nothing reached the host".to_owned(),
        (false, true) => format!("it reached the host, and then: {}", told.detail),
        _ => told.detail.clone(),
    };
    Finding {
        attempt: told.attempt.clone(),
        came_through: seen,
        detail,
    }
}

fn untold(attempt: &Attempt) -> Finding {
    let attempt = attempt.words.to_owned();
    Finding {
        attempt,
        came_through: true,
        detail: "not tried".to_owned(),
    }
}

/// 16 bytes that nobody can guess, in hexadecimal digits.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Opens a file or folder in such a way that children inherit it.
fn leak(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    rustix::io::fcntl_setfd(&file, FdFlags::empty())?;
    Ok(file)
}

/// The paths in the stage's folder.
struct Files {
    secret: PathBuf,
    foreign: PathBuf,
    open: PathBuf,
    socket: PathBuf,
    setuid: Option<PathBuf>,
}

impl Files {
    fn make(folder: &Path, secret: &str, owner: Option<(u32, u32)>) -> io::Result<Files> {
        let paths = ["secret", "run", "open", "socket", "setuid"].map(|name| folder.join(name));
        let [secret_file, foreign, open, socket, setuid] = paths;
        let result = foreign.join("result");
        for folder in [&foreign, &open] {
            fs::create_dir(folder)?;
        }
        for file in [&secret_file, &result] {
            fs::write(file, secret)?;
        }
        for (path, mode) in [
            (folder, 0o755),
            (&secret_file, 0o644),
            (&foreign, 0o777),
            (&result, 0o644),
            (&open, 0o777),
        ] {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        if let Some((user, group)) = owner {
            for path in [&secret_file, &foreign, &result, &open] {
                chown(path, Some(user), Some(group))?;
            }
        }
        let setuid = setuid::make(setuid)?;
        Ok(Files {
            secret: secret_file,
            foreign,
            open,
            socket,
            setuid,
        })
    }
}

/// A process that waits for its input to end, with the secret as the only variable of its environment.
struct StandIn(Child);

impl StandIn {
    fn start(secret: &str, owner: Option<(u32, u32)>) -> io::Result<StandIn> {
        let mut command = Command::new("cat");
        command.env_clear().env(VARIABLE, secret);
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = owner {
            command.uid(user).gid(group);
        }
        let named = |error: Error| {
            let what = "`cat`, which is to stand in for the server, cannot be started";
            Error::new(error.kind(), format!("{what}: {error}"))
        };
        command.spawn().map(StandIn).map_err(named)
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the kernel says of the stand-in.
struct Whereabouts {
    started: u64,
    secret: u64,
}

impl Whereabouts {
    fn of(process: u32) -> io::Result<Whereabouts> {
        let path = format!("/proc/{process}/stat");
        let line = fs::read(&path)?;
        let number = |field| stat_field(&line, field).and_then(|field| field.parse::<u64>().ok());
        let unreadable = || Error::other(format!("`{path}` does not say when the process started"));
        let started = number(22).ok_or_else(unreadable)?;
        // Zero, or no longer there, for who may not know.
        let environment = number(50).filter(|address| *address != 0);
        let secret = environment.map_or(0, |address| address + VARIABLE.len() as u64 + 1);
        Ok(Whereabouts { started, secret })
    }
}
