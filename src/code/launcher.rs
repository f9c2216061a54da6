//! The server's end of a launcher: starts processes behind its walls and hears of their end.

use std::collections::HashMap;
use std::fs::Permissions;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};
use sandbox::isolation::Isolation;
use sandbox::message::{Launch, News, Order, Work};
use sandbox::wire;
use tempfile::TempDir;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// The argument that makes the binary a launcher.
pub const ARGUMENT: &str = "step-launch";

/// How long a launcher may take to build its walls and to import the modules that are asked for.
const START: Duration = Duration::from_secs(30);

/// A launcher. Dropping it and all of its processes ends it.
pub struct Launcher {
    orders: UnboundedSender<(Order, Vec<OwnedFd>)>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last: u64,
    /// The processes that are about to start, and those that have; `None` when the launcher is gone.
    waiting: Option<HashMap<u64, Waiting>>,
}

struct Waiting {
    started: Option<oneshot::Sender<Result<(OwnedFd, PathBuf), String>>>,
    ended: Option<oneshot::Sender<i32>>,
    resized: Option<oneshot::Sender<Result<(), String>>>,
}

/// A process behind the walls. Dropping it ends it, with all that it started, and deletes its files.
pub struct Process {
    id: u64,
    launcher: Arc<Launcher>,
    /// Means the process for good.
    pub descriptor: OwnedFd,
    /// What it is told on and answers on.
    pub channel: UnixStream,
    /// Its standard output and its standard error.
    pub output: (pipe::Receiver, pipe::Receiver),
    /// What else it writes.
    pub extra: Option<pipe::Receiver>,
    /// The folder that it works in, as it sees it.
    pub folder: PathBuf,
    /// Its status, when it has ended.
    pub ended: oneshot::Receiver<i32>,
}

/// What a new launcher says of itself.
pub struct Ready {
    /// The launcher.
    pub launcher: Arc<Launcher>,
    /// The socket in it at which programs look for the proxy.
    pub proxy: Option<TcpListener>,
    /// The modules that could not be imported beforehand, and why.
    pub unready: Vec<String>,
}

impl Launcher {
    /// Starts a launcher, which is this program, and waits until its walls stand. Where its processes need a
    /// folder for theirs, it is made here.
    ///
    /// # Errors
    /// In words, why they do not.
    pub async fn start(program: &Path, mut launch: Launch) -> Result<Ready, String> {
        let words = |error: io::Error| format!("a launcher cannot be started: {error}");
        let folder =
            folder(&launch).map_err(|error| format!("there is no folder for it: {error}"))?;
        launch.folder = folder.as_ref().map(|folder| folder.path().to_owned());
        let (ours, theirs) = wire::pair().map_err(words)?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(|error| words(error.into()))?;
        let mut command = Command::new(program);
        command
            .arg(ARGUMENT)
            .env_clear()
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(words)?;
        drop(command);
        let socket = UnixStream::from_std(ours.into()).map_err(words)?;
        wire::send(&socket, &launch, &[]).map_err(words)?;
        let first = tokio::time::timeout(START, receive(&socket));
        let late = || format!("a launcher was not ready after {START:?}");
        match first.await.map_err(|_| late())?.map_err(words)? {
            Some((News::Ready { unready }, fds)) => Ok(Ready {
                launcher: Arc::new(Launcher::attended(socket, child, folder)),
                proxy: fds.into_iter().next().map(TcpListener::from),
                unready,
            }),
            Some((News::Refused { why }, _)) => Err(why),
            _ => Err("a launcher ended before it was ready".to_owned()),
        }
    }

    fn attended(socket: UnixStream, child: Child, folder: Option<TempDir>) -> Launcher {
        let (orders, ordered) = unbounded_channel();
        let state = Arc::new(Mutex::new(State {
            last: 0,
            waiting: Some(HashMap::new()),
        }));
        let attended = attend(socket, child, ordered, state.clone());
        tokio::spawn(async {
            attended.await;
            // What the launcher left of it.
            drop(folder);
        });
        Launcher { orders, state }
    }

    /// Whether it is still there.
    pub fn is_alive(&self) -> bool {
        lock(&self.state).waiting.is_some()
    }

    /// Starts a process, with a further pipe from it if `extra`.
    ///
    /// # Errors
    /// In words, why it cannot be started.
    pub async fn process(self: &Arc<Launcher>, work: Work, extra: bool) -> Result<Process, String> {
        let words = |error: io::Error| format!("a process cannot be started: {error}");
        let (channel, theirs) = std::os::unix::net::UnixStream::pair().map_err(words)?;
        channel.set_nonblocking(true).map_err(words)?;
        let mut fds: Vec<OwnedFd> = vec![theirs.into()];
        let read = |fds: &mut Vec<OwnedFd>| -> io::Result<pipe::Receiver> {
            let (reader, writer) = io::pipe()?;
            fds.push(writer.into());
            rustix::io::ioctl_fionbio(&reader, true)?;
            pipe::Receiver::from_owned_fd(reader.into())
        };
        let (out, error) = (
            read(&mut fds).map_err(words)?,
            read(&mut fds).map_err(words)?,
        );
        let extra = match extra {
            true => Some(read(&mut fds).map_err(words)?),
            false => None,
        };
        let (started, has_started) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let id = self.expect(Waiting {
            started: Some(started),
            ended: Some(ended),
            resized: None,
        })?;
        // Whatever becomes of this future, the process is ended.
        let ending = Ending(id, self);
        let _ = self.orders.send((Order::Start { id, work }, fds));
        let lost = |_| "the launcher has ended".to_owned();
        let (descriptor, folder) = has_started.await.map_err(lost)??;
        std::mem::forget(ending);
        Ok(Process {
            id,
            launcher: self.clone(),
            descriptor,
            channel: UnixStream::from_std(channel).map_err(words)?,
            output: (out, error),
            extra,
            folder,
            ended: has_ended,
        })
    }

    fn expect(&self, waiting: Waiting) -> Result<u64, String> {
        let mut state = lock(&self.state);
        state.last += 1;
        let id = state.last;
        let all = state.waiting.as_mut().ok_or("the launcher has ended")?;
        all.insert(id, waiting);
        Ok(id)
    }

    fn order(&self, order: Order) {
        let _ = self.orders.send((order, Vec::new()));
    }
}

/// Ends a process that was asked for and that nobody waits for any more.
struct Ending<'a>(u64, &'a Launcher);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.1.order(Order::End { id: self.0 });
    }
}

impl Process {
    /// Whether it is still there to be used.
    pub fn is_alive(&mut self) -> bool {
        self.launcher.is_alive() && self.ended.try_recv().is_err()
    }

    /// Lets its files come to so many bytes, from when this is done.
    ///
    /// # Errors
    /// In words, why it cannot be.
    pub async fn disk(&self, bytes: u64) -> Result<(), String> {
        let id = self.id;
        let (resized, is_resized) = oneshot::channel();
        if let Some(all) = &mut lock(&self.launcher.state).waiting
            && let Some(waiting) = all.get_mut(&id)
        {
            waiting.resized = Some(resized);
        }
        self.launcher.order(Order::Disk { id, bytes });
        let lost = |_| "the launcher has ended".to_owned();
        is_resized.await.map_err(lost)?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.launcher.order(Order::End { id: self.id });
    }
}

/// Kills a process; what it started ends when its [`Process`] is dropped.
pub fn kill(descriptor: &OwnedFd) {
    let _ = pidfd_send_signal(descriptor, Signal::KILL);
}

/// Whether this process can look at a descriptor of its own.
pub fn looks_at(descriptor: &impl AsRawFd) -> bool {
    about(descriptor).is_some()
}

fn about(descriptor: &impl AsRawFd) -> Option<String> {
    let number = descriptor.as_raw_fd();
    std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()
}

/// The number of a process, as the server sees it.
pub fn pid(descriptor: &OwnedFd) -> Option<u32> {
    let text = about(descriptor)?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok()
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder for the folders of a launcher's processes, unless each has a file system of its own.
fn folder(launch: &Launch) -> io::Result<Option<TempDir>> {
    if launch.isolation == Isolation::Jail {
        return Ok(None);
    }
    let folder = tempfile::Builder::new().prefix("waystation-").tempdir()?;
    if launch.user.is_some() {
        // That user must come to what is its own in it.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
    }
    Ok(Some(folder))
}

/// Passes orders on and hears news until the launcher or everybody who could order anything is gone.
async fn attend(
    socket: UnixStream,
    mut child: Child,
    mut ordered: UnboundedReceiver<(Order, Vec<OwnedFd>)>,
    state: Arc<Mutex<State>>,
) {
    loop {
        tokio::select! {
            order = ordered.recv() => {
                let Some((order, fds)) = order else { break };
                if send(&socket, &order, &fds).await.is_err() {
                    break;
                }
            }
            news = receive(&socket) => match news {
                Ok(Some((news, fds))) => tell(&state, news, fds),
                _ => break,
            }
        }
    }
    lock(&state).waiting = None;
    drop(socket);
    let ended = tokio::time::timeout(Duration::from_secs(2), child.wait());
    if ended.await.is_err() {
        let _ = child.kill().await;
    }
}

async fn send(socket: &UnixStream, order: &Order, fds: &[OwnedFd]) -> io::Result<()> {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let send = || wire::send(socket, order, &fds);
    socket.async_io(Interest::WRITABLE, send).await
}

async fn receive(socket: &UnixStream) -> io::Result<Option<(News, Vec<OwnedFd>)>> {
    let receive = || wire::receive(socket);
    socket.async_io(Interest::READABLE, receive).await
}

/// Tells those who wait.
fn tell(state: &Mutex<State>, news: News, fds: Vec<OwnedFd>) {
    let mut state = lock(state);
    let Some(all) = &mut state.waiting else {
        return;
    };
    match news {
        News::Started { id, folder } => {
            let started = all.get_mut(&id).and_then(|waiting| waiting.started.take());
            if let Some((started, descriptor)) = started.zip(fds.into_iter().next()) {
                let _ = started.send(Ok((descriptor, folder)));
            }
        }
        News::Failed { id, why } => {
            if let Some(started) = all.remove(&id).and_then(|waiting| waiting.started) {
                let _ = started.send(Err(why));
            }
        }
        News::Resized { id, why } => {
            if let Some(resized) = all.get_mut(&id).and_then(|waiting| waiting.resized.take()) {
                let _ = resized.send(why.map_or(Ok(()), Err));
            }
        }
        News::Ended { id, status } => {
            if let Some(ended) = all.get_mut(&id).and_then(|waiting| waiting.ended.take()) {
                let _ = ended.send(status);
            }
        }
        News::Gone { id, why } => {
            all.remove(&id);
            if let Some(why) = why {
                tracing::warn!("what code left on the disk cannot be deleted: {why}");
            }
        }
        News::Ready { .. } | News::Refused { .. } => {}
    }
}
