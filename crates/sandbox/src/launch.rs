//! The launcher: builds walls, starts processes inside, and cleans up after them.
//!
//! It has one thread and waits for three things: orders, words of the Python that stands ready, and the end of
//! processes. When the server's end of the socket is closed it ends, and everything inside with it.

mod calls;
mod child;
mod ending;
mod files;
mod folder;
mod jail;
mod processes;
mod removal;
mod system;

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde::{Deserialize, Serialize};

use self::calls::{Calls, Filters, Sockets};
use self::child::Walls;
use self::ending::Ended;
use self::files::Rules;
use self::folder::Folder;
use self::system::Forked;
use crate::isolation::{Isolation, Network};
use crate::message::{Launch, News, Order, Python, Work};
use crate::wire;

pub use self::folder::FILES;
pub use self::jail::PROXY_PORT;

/// How soon it is tried again to end what is left of processes, or to delete it.
const AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

const PARENT: &str = include_str!("launch/parent.py");

/// Work that the binary itself has.
pub struct Worker {
    /// What orders call it.
    pub name: &'static str,
    /// Whether it is an engine, which needs no files and no network.
    pub engine: bool,
    /// Does it. What needs nothing of a run can be done before the process goes behind the walls.
    pub run: fn(Entrance<'_>),
}

/// The way behind the walls.
pub struct Entrance<'w>(Box<dyn FnOnce() -> (OwnedFd, Option<OwnedFd>) + 'w>);

impl Entrance<'_> {
    /// Goes behind the walls, for good. Gives the channel, and the further descriptor that came along, if one
    /// did; standard output and standard error are in their places.
    pub fn enter(self) -> (OwnedFd, Option<OwnedFd>) {
        (self.0)()
    }
}

/// Is a launcher: standard input is the socket to the server. Comes back when the server is gone.
pub fn run(workers: &[Worker]) -> ExitCode {
    match Launcher::start(workers) {
        Ok(mut launcher) => {
            let served = launcher.serve();
            launcher.leave();
            served.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        Err(_) => ExitCode::FAILURE,
    }
}

struct Launcher<'w> {
    workers: &'w [Worker],
    server: OwnedFd,
    launch: Launch,
    folders: PathBuf,
    rules: Rules,
    code: Filters,
    covered: Vec<PathBuf>,
    parent: Option<Parent>,
    processes: HashMap<u64, Process>,
    ending: Vec<Ended>,
}

/// The Python that stands ready.
struct Parent {
    pid: Pid,
    socket: OwnedFd,
    /// Those whose start it was asked for: their folders, and whether they are still wanted.
    asked: HashMap<u64, (Folder, bool)>,
}

/// A process that was started.
struct Process {
    pid: Pid,
    descriptor: OwnedFd,
    folder: Option<Folder>,
    /// Whether it is the launcher's own child, and not that of the Python.
    own: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Running,
    Ended,
    /// To be cleaned up as soon as it has ended.
    Ending,
}

/// What is said to the Python that stands ready.
#[derive(Serialize)]
struct Setup<'a> {
    driver: &'a str,
    site: Option<&'a Path>,
    modules: &'a [String],
    jailed: bool,
    covered: &'a [PathBuf],
    filters: Vec<String>,
}

#[derive(Serialize)]
struct Fork<'a> {
    id: u64,
    folder: &'a Path,
    inside: PathBuf,
    temporary: PathBuf,
}

/// What it says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Ready { ready: Vec<String> },
    Started { started: u64, pid: i32 },
    Ended { ended: i32, status: i32 },
}

impl<'w> Launcher<'w> {
    fn start(workers: &'w [Worker]) -> io::Result<Launcher<'w>> {
        // SAFETY: the server gave it to this process, and nothing else here uses standard input.
        let given = unsafe { system::descriptor(0) };
        let server = rustix::io::fcntl_dupfd_cloexec(&given, 3)?;
        drop(given);
        std::mem::forget(std::fs::File::open("/dev/null")?);
        let Some((launch, _)) = wire::receive::<Launch>(&server)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match Launcher::ready(workers, server.try_clone()?, launch) {
            Ok(launcher) => Ok(launcher),
            Err(why) => {
                let _ = wire::send(&server, &News::Refused { why }, &[]);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    /// Builds the walls, and starts the Python.
    fn ready(workers: &'w [Worker], server: OwnedFd, launch: Launch) -> Result<Self, String> {
        let words = |error: io::Error| error.to_string();
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        // Where the machine runs out of memory, code ends before the server does.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        if launch.isolation != Isolation::Jail && launch.user.is_none() && is_root() {
            return Err("code never runs as root, and no other user is named".to_owned());
        }
        let listener = match launch.isolation {
            Isolation::Jail => jail::enter(&launch)?,
            _ => outside().map_err(words)?,
        };
        let folders = match launch.isolation {
            Isolation::Jail => PathBuf::from(jail::RUNS),
            _ => launch.folder.clone().ok_or("no folder is named")?,
        };
        let port = match (launch.isolation, launch.network) {
            (Isolation::Jail, _) | (_, Network::Host) => None,
            (_, Network::Proxy) => Some(launch.proxy.unwrap_or(0)),
            (_, Network::None) => Some(0),
        };
        let mut launcher = Launcher {
            workers,
            server,
            rules: Rules::new(&launch.readable, port),
            code: Filters::new(Calls::Code, sockets(&launch)).map_err(words)?,
            covered: folder::covered(&launch),
            folders,
            launch,
            parent: None,
            processes: HashMap::new(),
            ending: Vec::new(),
        };
        let mut unready = Vec::new();
        if let Some(python) = launcher.launch.python.clone() {
            let (parent, not) = launcher.python(&python)?;
            launcher.parent = Some(parent);
            unready = not;
        }
        launcher.tell(&News::Ready { unready }, listener)?;
        Ok(launcher)
    }

    fn tell(&self, news: &News, listener: Option<TcpListener>) -> Result<(), String> {
        let fds: Vec<BorrowedFd<'_>> = listener.iter().map(AsFd::as_fd).collect();
        wire::send(&self.server, news, &fds).map_err(|error| error.to_string())
    }

    fn walls<'a>(&'a self, filters: &'a Filters) -> Walls<'a> {
        Walls {
            isolation: self.launch.isolation,
            user: self.launch.user,
            rules: &self.rules,
            writable: &self.launch.writable,
            covered: &self.covered,
            filters,
        }
    }

    /// Starts the Python that stands ready, and waits until it does.
    fn python(&self, python: &Python) -> Result<(Parent, Vec<String>), String> {
        let words = |error: io::Error| error.to_string();
        let filters = match self.launch.isolation {
            Isolation::Jail => Filters::of_parent(sockets(&self.launch)).map_err(words)?,
            _ => self.code.clone(),
        };
        let (ours, theirs) = wire::pair().map_err(words)?;
        let said = rustix::fs::memfd_create("python", rustix::fs::MemfdFlags::CLOEXEC);
        let said = said.map_err(|error| error.to_string())?;
        let pid = match system::fork(0).map_err(words)? {
            Forked::Parent(pid) => pid,
            Forked::Child => {
                let fds = standard(theirs, &said).unwrap_or_default();
                let walls = self.walls(&filters);
                if let Err(error) = child::stand_ready(&walls, &self.folders, fds) {
                    complain(&format!("it cannot be set apart: {error}"));
                }
                let error = exec(&python.path, &["-I", "-c", PARENT]);
                complain(&format!("`{}`: {error}", python.path.display()))
            }
        };
        drop(theirs);
        let setup = self.setup(python).map_err(words)?;
        wire::send(&ours, &setup, &[]).map_err(words)?;
        let Some(Word::Ready { ready }) = self.first_word(&ours) else {
            let _ = kill_process(pid, Signal::KILL);
            return Err(format!("Python does not start: {}", last_words(said)));
        };
        let parent = Parent {
            pid,
            socket: ours,
            asked: HashMap::new(),
        };
        Ok((parent, ready))
    }

    /// What the Python says first; nothing where it ends before, or the server does.
    fn first_word(&self, python: &OwnedFd) -> Option<Word> {
        let mut fds = [&self.server, python].map(|fd| PollFd::new(fd, PollFlags::IN));
        while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
        let said = !fds[1].revents().is_empty();
        let word = said.then(|| wire::receive(python).ok().flatten()).flatten();
        word.map(|(word, _)| word)
    }

    fn setup<'a>(&'a self, python: &'a Python) -> io::Result<Setup<'a>> {
        let filters = match self.launch.isolation {
            Isolation::Jail => Filters::of_child()?.bytes(),
            _ => Vec::new(),
        };
        let hex = |program: Vec<u8>| program.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Setup {
            driver: &python.driver,
            site: python.site.as_deref(),
            modules: &python.modules,
            jailed: self.launch.isolation == Isolation::Jail,
            covered: &self.covered,
            filters: filters.into_iter().map(hex).collect(),
        })
    }

    /// Does what it is told until nobody is there to tell.
    fn serve(&mut self) -> io::Result<()> {
        loop {
            let (from_server, from_parent, ended) = self.wait()?;
            for id in ended {
                self.ended(id)?;
            }
            self.tidy()?;
            if from_parent {
                self.listen()?;
            }
            if from_server {
                match wire::receive(&self.server)? {
                    Some((order, fds)) => self.obey(order, fds)?,
                    None => return Ok(()),
                }
            }
        }
    }

    /// Waits until something is to be done: an order, a word, the end of processes.
    fn wait(&self) -> io::Result<(bool, bool, Vec<u64>)> {
        let mut ids = Vec::new();
        let mut fds = vec![PollFd::new(&self.server, PollFlags::IN)];
        for (id, process) in &self.processes {
            let watched = match process.state {
                State::Running => process.own,
                State::Ended => false,
                State::Ending => true,
            };
            if watched {
                ids.push(*id);
                fds.push(PollFd::new(&process.descriptor, PollFlags::IN));
            }
        }
        if let Some(parent) = &self.parent {
            fds.push(PollFd::new(&parent.socket, PollFlags::IN));
        }
        let soon = (!self.ending.is_empty()).then_some(&AGAIN);
        match poll(&mut fds, soon) {
            Err(rustix::io::Errno::INTR) => return Ok((false, false, Vec::new())),
            other => other?,
        };
        let told: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let ended = ids.iter().zip(&told[1..]).filter(|(_, told)| **told);
        let ended = ended.map(|(id, _)| *id).collect();
        Ok((told[0], told.get(1 + ids.len()) == Some(&true), ended))
    }

    fn obey(&mut self, order: Order, fds: Vec<OwnedFd>) -> io::Result<()> {
        match order {
            Order::Start { id, work } => {
                let started = match work {
                    Work::Python => self.ask(id, fds),
                    Work::Worker(name) => self.begin(id, &name, fds),
                };
                started.or_else(|error| self.failed(id, &error))
            }
            Order::Disk { id, bytes } => {
                let process = self.processes.get(&id);
                let folder = process.and_then(|process| process.folder.as_ref());
                let resized = folder.map_or(Ok(()), |folder| folder.resize(bytes));
                let why = resized.err().map(|error| error.to_string());
                wire::send(&self.server, &News::Resized { id, why }, &[])
            }
            Order::End { id } => {
                self.end(id);
                self.tidy()
            }
        }
    }

    fn failed(&self, id: u64, error: &io::Error) -> io::Result<()> {
        let why = error.to_string();
        wire::send(&self.server, &News::Failed { id, why }, &[])
    }

    fn folder(&self, id: u64) -> io::Result<Folder> {
        let jailed = self.launch.isolation == Isolation::Jail;
        let bytes = jailed.then_some(self.launch.disk);
        let user = self.launch.user.filter(|_| !jailed);
        Folder::new(&self.folders, id, bytes, user)
    }

    /// Makes what a process writes to its own, so that it can open it by a name such as `/dev/stdout`.
    fn give(&self, fds: &[OwnedFd]) {
        let user = match self.launch.isolation {
            Isolation::Jail => Some(jail::USER),
            _ => self.launch.user,
        };
        for (fd, user) in fds.iter().skip(1).zip(std::iter::repeat(user)) {
            // Where it does not work, it is the server's own already.
            let _ = std::os::unix::fs::fchown(fd, user, user);
        }
    }

    /// Asks the Python for a child.
    fn ask(&mut self, id: u64, mut fds: Vec<OwnedFd>) -> io::Result<()> {
        self.give(&fds);
        let folder = self.folder(id)?;
        if self.launch.isolation >= Isolation::Confined {
            let writable = folder.writable();
            let writable: Vec<&Path> = writable.iter().map(|path| &**path).collect();
            fds.truncate(3);
            fds.push(self.rules.with(&writable)?);
        }
        let Some(parent) = &mut self.parent else {
            folder.delete()?;
            return Err(io::Error::other("there is no Python"));
        };
        let fork = Fork {
            id,
            folder: folder.path(),
            inside: folder.inside(),
            temporary: folder.temporary(),
        };
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        wire::send(&parent.socket, &fork, &fds)?;
        parent.asked.insert(id, (folder, true));
        Ok(())
    }

    /// Hears what the Python says. Its word is not taken for what it does not know better: which process is
    /// its child is looked up.
    fn listen(&mut self) -> io::Result<()> {
        let Some(parent) = &mut self.parent else {
            return Ok(());
        };
        match wire::receive::<Word>(&parent.socket) {
            Ok(Some((Word::Started { started: id, pid }, _))) => {
                let Some((folder, wanted)) = parent.asked.remove(&id) else {
                    return Ok(());
                };
                let parent = parent.pid.as_raw_nonzero().get();
                match child_of(parent, pid) {
                    Ok((pid, descriptor)) => {
                        let process = Process {
                            pid,
                            descriptor,
                            folder: Some(folder),
                            own: false,
                            state: State::Running,
                        };
                        self.started(id, process)?;
                        if !wanted {
                            self.end(id);
                        }
                        Ok(())
                    }
                    Err(error) => {
                        self.ending.push(Ended::new(id, Some(folder)));
                        self.failed(id, &error)
                    }
                }
            }
            Ok(Some((Word::Ended { ended, status }, _))) => {
                let found = self.processes.iter_mut().find(|(_, process)| {
                    !process.own && process.pid.as_raw_nonzero().get() == ended
                });
                let Some((id, process)) = found else {
                    return Ok(());
                };
                let id = *id;
                if process.state == State::Running {
                    process.state = State::Ended;
                }
                wire::send(&self.server, &News::Ended { id, status }, &[])
            }
            // Without it nothing more can be started; what runs, ends with it in the server's eyes.
            _ => Err(io::Error::other("the Python is gone")),
        }
    }

    /// Starts work that the binary itself has.
    fn begin(&mut self, id: u64, name: &str, fds: Vec<OwnedFd>) -> io::Result<()> {
        let worker = self.workers.iter().find(|worker| worker.name == name);
        let worker = worker.ok_or_else(|| io::Error::other(format!("there is no `{name}`")))?;
        let folder = match worker.engine {
            true => None,
            false => Some(self.folder(id)?),
        };
        self.give(&fds);
        let pid = match system::fork(0) {
            Ok(Forked::Parent(pid)) => pid,
            Ok(Forked::Child) => self.work(worker, folder.as_ref(), fds),
            Err(error) => {
                self.ending.push(Ended::new(id, folder));
                return Err(error);
            }
        };
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        let process = Process {
            pid,
            descriptor,
            folder,
            own: true,
            state: State::Running,
        };
        self.started(id, process)
    }

    /// What a child of the launcher does.
    fn work(&self, worker: &Worker, folder: Option<&Folder>, fds: Vec<OwnedFd>) -> ! {
        let calls = match worker.engine {
            true => Filters::new(Calls::Engine, Sockets::Pairs),
            false => Ok(self.code.clone()),
        };
        let further = fds.len() > 3;
        let enter = || {
            // What goes wrong on the way is said where the work would say it.
            if let Some(error) = fds.get(2) {
                let _ = rustix::stdio::dup2_stderr(error);
            }
            let entered = calls.and_then(|calls| self.walls(&calls).enter(folder, numbered(fds)?));
            if let Err(error) = entered {
                complain(&format!("the process cannot be set apart: {error}"));
            }
            // SAFETY: `enter` has put them there, and nothing else uses them.
            unsafe {
                let further = further.then(|| system::descriptor(4));
                (system::descriptor(3), further)
            }
        };
        (worker.run)(Entrance(Box::new(enter)));
        system::exit(0)
    }

    /// Has the server know of a process.
    fn started(&mut self, id: u64, process: Process) -> io::Result<()> {
        let inside = process.folder.as_ref().map(Folder::inside);
        let news = News::Started {
            id,
            folder: inside.unwrap_or_default(),
        };
        wire::send(&self.server, &news, &[process.descriptor.as_fd()])?;
        self.processes.insert(id, process);
        Ok(())
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What a launcher without a jail does to be able to clean up after its processes.
fn outside() -> io::Result<Option<TcpListener>> {
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(None)
}

/// Which sockets code may have.
fn sockets(launch: &Launch) -> Sockets {
    match (launch.isolation, launch.network) {
        (Isolation::Jail, _) | (_, Network::Host) => Sockets::Any,
        (_, Network::Proxy) => Sockets::Streams,
        (_, Network::None) => Sockets::Pairs,
    }
}

/// A process that says it is a child of `parent`, with a descriptor that means it for good.
fn child_of(parent: i32, pid: i32) -> io::Result<(Pid, OwnedFd)> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
    match processes::parent(pid.as_raw_nonzero().get()) == Some(parent) {
        true => Ok((pid, descriptor)),
        false => Err(io::Error::other("the process is not the Python's own")),
    }
}

/// The descriptors of a process by their numbers: nothing as its input, then its output, its error, its channel
/// and what else came along.
fn numbered(fds: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    let mut fds = fds.into_iter();
    let channel = fds.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut numbered = vec![std::fs::File::open("/dev/null")?.into()];
    numbered.extend(fds.by_ref().take(2));
    numbered.push(channel);
    numbered.extend(fds);
    Ok(numbered)
}

/// Descriptors 0 to 2 of the Python that stands ready.
fn standard(socket: OwnedFd, said: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    Ok(vec![socket, said.try_clone()?, said.try_clone()?])
}

/// The end of what a process said on its standard error.
fn last_words(said: OwnedFd) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::from(said);
    let mut text = Vec::new();
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let _ = file.seek(SeekFrom::Start(length.saturating_sub(2048)));
    let _ = file.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let last = text.trim().lines().last().unwrap_or("it said nothing");
    last.to_owned()
}

/// Says on standard error what went wrong, and ends.
fn complain(text: &str) -> ! {
    eprintln!("{text}");
    system::exit(125)
}

/// Becomes another program, with a clean environment. Comes back only with an error.
fn exec(program: &Path, arguments: &[&str]) -> io::Error {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(program);
    command.args(arguments).env_clear().envs(environment());
    command.exec()
}

/// The environment that code starts with.
pub fn environment() -> [(&'static str, &'static str); 4] {
    [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "C.UTF-8"),
        // Libraries that calculate on many threads start them when they are imported, and a fork has none.
        ("OPENBLAS_NUM_THREADS", "1"),
        ("OMP_NUM_THREADS", "1"),
    ]
}
