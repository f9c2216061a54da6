//! Runs code of other languages, each run in a process of its own.
//!
//! Processes stand ready behind walls, one use each: a run takes one, sends it the code and the inputs, and has
//! its answer. What it costs to start a process and to clean up after it lies before and after a run.

mod disk;
mod exchange;
mod install;
mod isolation;
mod javascript;
mod launcher;
mod limits;
mod network;
mod pool;
mod pools;
mod python;
mod shell;
mod usage;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use engine::field::shown_size;
use engine::host::{Boxed, Code, Language, Logger, Stream};
use engine::json;
use engine::run::{Failure, Reason};
use engine::value::Record;
use rustix::process::{DumpableBehavior, Signal};
use sandbox::isolation::{Isolation, Network};
use sandbox::launch::Worker;
use tokio::net::UnixStream;
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use self::exchange::{Frame, Output};
pub use self::isolation::Offer;
use self::launcher::{Process, kill};
use self::limits::Limits;
use self::network::Leave;
use self::pools::{Key, Pools};
use crate::config::Config;
use crate::egress::fetch::Client;
use crate::egress::{Egress, Scope};
use crate::packages::Environment;

pub use self::launcher::ARGUMENT as LAUNCH;

/// How long the end of a process is waited for that has closed its channel.
const LINGER: Duration = Duration::from_millis(500);

/// How many fetches a run may make, and how many of them are at work at once.
const FETCHES: usize = 50;
const AT_WORK: usize = 8;

/// Is a launcher; see [`sandbox::launch`].
pub fn launch() -> ExitCode {
    sandbox::launch::run(&[
        Worker {
            name: isolation::PROBE,
            engine: false,
            run: isolation::attack,
        },
        Worker {
            name: install::INSTALL,
            engine: false,
            run: install::work,
        },
        Worker {
            name: javascript::JAVASCRIPT,
            engine: true,
            run: javascript::work,
        },
        Worker {
            name: shell::SHELL,
            engine: false,
            run: shell::work,
        },
    ])
}

/// Keeps other processes of this user from reading the memory and the environment of this one: where code is
/// hardly kept apart, it is such a process.
pub fn conceal() {
    let set = |behavior| rustix::process::set_dumpable_behavior(behavior);
    let concealed = set(DumpableBehavior::NotDumpable);
    // On old kernels such a process cannot look at itself either, and could not find out what code uses.
    let looked = std::fs::File::open("/dev/null").map(|file| launcher::looks_at(&file));
    if concealed.is_ok() && !looked.unwrap_or(false) {
        let _ = set(DumpableBehavior::Dumpable);
    }
}

/// What runs code.
pub struct Codes {
    /// The program that is a launcher when it is started with [`LAUNCH`]: this one, but in tests.
    pub launcher: PathBuf,
    config: Config,
    python: python::Python,
    pools: Pools,
    offer: OnceCell<Offer>,
    proxy: network::Network,
}

/// What there is to know about running code on a machine.
pub struct Report {
    /// How far it can be kept apart.
    pub offer: Offer,
    /// Why it is refused, if it is.
    pub refusal: Option<String>,
    /// The version and the path of the Python, or why there is none.
    pub python: Result<String, String>,
}

impl Codes {
    /// What runs code by these settings, and lets it reach the network through `egress`.
    pub fn new(config: &Config, egress: Arc<Egress>) -> Codes {
        Codes {
            // By this path it is found even when the file has been replaced.
            launcher: PathBuf::from("/proc/self/exe"),
            config: config.clone(),
            python: python::Python::new(config.python.clone()),
            pools: Pools::default(),
            offer: OnceCell::new(),
            proxy: network::Network::new(egress),
        }
    }

    /// The Python interpreter.
    ///
    /// # Errors
    /// In words, why it cannot be used.
    pub async fn python(&self) -> Result<&Path, String> {
        Ok(&self.python.interpreter().await?.path)
    }

    /// Runs code of an account, which can import the packages of an environment, and gives its outputs.
    ///
    /// Dropping the future ends the process and all that it started.
    ///
    /// # Errors
    /// The failure of the code: an exception, an output that cannot be kept, a limit, the end of the process.
    pub async fn run(
        &self,
        account: i64,
        code: Code<'_>,
        environment: Option<Arc<Environment>>,
        (logger, begin): (Logger<'_>, Begin<'_>),
    ) -> Result<Record, Failure> {
        let limits = Limits::of(&code.asked, &self.config)?;
        let network = self.network(&code)?;
        let isolation = self.allowed().await.map_err(Failure::new)?;
        let open = isolation < Isolation::Confined && code.language != Language::JavaScript;
        if open && network == Network::None {
            return Err(Failure::new(format!(
                "code that is kept apart as `{isolation}` cannot be kept from the network, and this step is to have \
                 none: give it `network: proxy` where the setting `code-network` allows that"
            )));
        }
        let key = Key::new(account, network, code.language, environment);
        let mut taken = self.taken(&key, code.language).await?;
        let leave = match code.language {
            // Its engine has no sockets; the server fetches for it.
            Language::JavaScript => None,
            _ => self.leave(network).await?,
        };
        let time = code.timeout.unwrap_or(self.config.code_time);
        let environment = leave.as_ref().map(Leave::environment).unwrap_or_default();
        let process = &mut taken.process;
        if limits.disk != self.config.code_disk.bytes() {
            process.disk(limits.disk).await.map_err(Failure::new)?;
        }
        let done = match code.language {
            Language::Shell => {
                let (request, notes) = shell::request(&code, &limits, &environment)?;
                for note in notes {
                    logger.log(Stream::Note, &note);
                }
                scripted(process, &request, &limits, logger).await
            }
            Language::JavaScript => {
                let fetch = network != Network::None;
                let request = javascript::request(&code, &limits, time, fetch);
                let client = self.proxy.client().clone();
                let way = fetch.then_some(Way { client, begin });
                answered(process, &request, &limits, (logger, way)).await
            }
            Language::Python => {
                let request = python::request(&code, &limits, &environment);
                answered(process, &request, &limits, (logger, None)).await
            }
        };
        if let Some(leave) = leave {
            leave.note(&logger);
        }
        done
    }

    /// What the machine offers, found out when it is first asked for.
    ///
    /// # Errors
    /// In words, why it cannot be found out.
    pub async fn offer(&self) -> Result<&Offer, String> {
        let find = || async { Ok(Offer::find(&self.launcher, self.config.sandbox).await) };
        self.offer.get_or_try_init(find).await
    }

    /// What there is to know about running code here.
    ///
    /// # Errors
    /// In words, why it cannot be found out.
    pub async fn report(&self) -> Result<Report, String> {
        let offer = self.offer().await?.clone();
        let python = self.python.interpreter().await;
        let python = python.map(|found| {
            let (major, minor, patch) = found.version;
            format!("{major}.{minor}.{patch}, {}", found.path.display())
        });
        Ok(Report {
            refusal: offer.refusal(self.config.sandbox_minimum),
            offer,
            python,
        })
    }

    /// How far code is kept apart, once any has run.
    pub fn isolation(&self) -> Option<Isolation> {
        self.offer.get().map(|offer| offer.isolation)
    }

    /// What of the network the code can reach.
    fn network(&self, code: &Code<'_>) -> Result<Network, Failure> {
        let most = self.config.code_network;
        let asked = code.asked.network.map_or(most, |asked| match asked {
            engine::host::Network::None => Network::None,
            engine::host::Network::Proxy => Network::Proxy,
            engine::host::Network::Host => Network::Host,
        });
        match asked > most {
            true => Err(Failure::new(format!(
                "the step's `network` is `{asked}`, and this server gives code `{most}` at most: its setting is `code-network`"
            ))),
            false => Ok(asked),
        }
    }

    /// Leave for a run to use the proxy, where that is its way to the network.
    async fn leave(&self, network: Network) -> Result<Option<Leave>, Failure> {
        if network != Network::Proxy {
            return Ok(None);
        }
        let inside = self.isolation() == Some(Isolation::Jail);
        let leave = self.proxy.leave(inside, Scope::Public).await;
        leave.map(Some).map_err(Failure::new)
    }

    /// How far code is kept apart, where that is far enough.
    async fn allowed(&self) -> Result<Isolation, String> {
        let offer = self.offer().await?;
        match offer.refusal(self.config.sandbox_minimum) {
            Some(refusal) => Err(refusal),
            None => Ok(offer.isolation),
        }
    }

    /// The port of the proxy on the machine itself, where code has no network of its own.
    async fn port(&self, isolation: Isolation, network: Network) -> Result<Option<u16>, String> {
        match (isolation, network) {
            (Isolation::Jail, _) | (_, Network::None | Network::Host) => Ok(None),
            (_, Network::Proxy) => Ok(Some(self.proxy.outside().await?.port())),
        }
    }
}

/// Sends a process the code, and has its answer; what it writes goes to the log.
async fn answered(
    process: &mut Process,
    request: &[u8],
    limits: &Limits,
    (logger, way): (Logger<'_>, Option<Way<'_>>),
) -> Result<Record, Failure> {
    let channel = &mut process.channel;
    let conversation = async {
        match conversed(channel, request, limits.result as usize, way).await? {
            Frame::Nothing => Err(ending(&mut process.ended, limits).await),
            Frame::TooLong => Err(limits.met("result")),
            frame => Ok(frame),
        }
    };
    let output = Output::new(&process.output, limits.output as usize, logger);
    let of = (&process.descriptor, &*process.folder);
    let (frame, _) = attended(of, output, limits, conversation).await?;
    match frame {
        Frame::Outputs(text) => outputs(&text),
        Frame::Raised(raised) => {
            let failure = match &*raised.limit.unwrap_or_default() {
                "" => Failure::new(raised.message),
                "time" => Failure::new(raised.message).because(Reason::Timeout),
                limit => limits.met(limit),
            };
            Err(Failure {
                line: raised.line,
                traceback: raised.traceback,
                ..failure
            })
        }
        _ => Err(Failure::new(
            "the process of the code does not answer as agreed",
        )),
    }
}

/// The way to the network of an engine that has no sockets.
struct Way<'a> {
    client: Arc<Client>,
    /// Has the run in the record before anything is reached.
    begin: Begin<'a>,
}

/// Has a run in the record, if it is not there yet, and gives the headers that carry its trace on.
pub type Begin<'a> =
    &'a (dyn Fn() -> Boxed<'a, Result<Vec<(String, String)>, Failure>> + Send + Sync);

/// Sends a process the code, fetches what it asks for, and gives its answer.
async fn conversed(
    channel: &mut UnixStream,
    request: &[u8],
    most: usize,
    way: Option<Way<'_>>,
) -> Result<Frame, Failure> {
    let (mut reader, mut writer) = channel.split();
    let (tell, mut told) = mpsc::channel::<Vec<u8>>(1);
    let at_work = Arc::new(Semaphore::new(AT_WORK));
    let mut asked_for = 0;
    // A process that ends early is told by the answer that never comes.
    let _ = exchange::send(&mut writer, request).await;
    let mut fetching = JoinSet::new();
    let hear = async {
        loop {
            match (exchange::receive(&mut reader, most).await, &way) {
                (Frame::Fetch(asked), Some(way)) if fetching.len() < FETCHES => {
                    asked_for += asked.len();
                    if asked_for > exchange::MAX_FETCH {
                        return Err(Failure::new(
                            "what the code sends with `fetch` comes to more than 16 MB, the most in one run",
                        ));
                    }
                    let headers = (way.begin)().await?;
                    let (client, tell) = (way.client.clone(), tell.clone());
                    let at_work = at_work.clone();
                    fetching.spawn(async move {
                        let _turn = at_work.acquire().await;
                        if let Some(fetched) = javascript::fetched(&client, &asked, headers).await {
                            let _ = tell.send(fetched).await;
                        }
                    });
                }
                (frame, _) => return Ok(frame),
            }
        }
    };
    let say = async {
        while let Some(text) = told.recv().await {
            let _ = exchange::send(&mut writer, &text).await;
        }
    };
    tokio::select! {
        frame = hear => frame,
        () = say => Ok(Frame::Nothing),
    }
}

/// Runs a script, and has what it wrote as its outputs.
async fn scripted(
    process: &mut Process,
    request: &[u8],
    limits: &Limits,
    logger: Logger<'_>,
) -> Result<Record, Failure> {
    let (channel, ended) = (&mut process.channel, &mut process.ended);
    let mut written = exchange::Written::new(process.extra.as_ref(), limits.result as usize);
    let work = async {
        let _ = exchange::send(channel, request).await;
        let status = written.until(ended).await;
        match status {
            Ok(Some(status)) if status & 0x7f == 0 => Ok(status >> 8),
            Ok(status) => Err(ended_by(status, limits)),
            Err(()) => Err(limits.met("result")),
        }
    };
    let output = Output::new(&process.output, limits.output as usize, logger)
        .without(shell::script_folder(&process.folder));
    match attended(
        (&process.descriptor, &*process.folder),
        output,
        limits,
        work,
    )
    .await?
    {
        (0, _) => shell::outputs(&written.bytes),
        (status, said) => Err(shell::failed(status, &said, limits)),
    }
}

/// Waits for the work of a process, while its output goes to the log and what it uses is watched. Gives the last
/// line of its standard error as well.
async fn attended<T>(
    (descriptor, folder): (&OwnedFd, &Path),
    mut output: Output<'_>,
    limits: &Limits,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<(T, String), Failure> {
    let done = {
        let mut work = std::pin::pin!(work);
        let mut watched = std::pin::pin!(usage::watch(descriptor, limits, folder));
        let mut writes = true;
        loop {
            tokio::select! {
                done = &mut work => break done,
                failure = &mut watched => break Err(failure),
                read = output.read(), if writes => match read {
                    Ok(()) => writes = false,
                    Err(()) => break Err(limits.met("output")),
                },
            }
        }
    };
    if done.is_err() {
        // Whatever it still wrote before belongs to the log.
        kill(descriptor);
    }
    let rest = output.rest();
    let said = output.finish();
    let done = done?;
    match rest {
        Ok(()) => Ok((done, said)),
        Err(()) => Err(limits.met("output")),
    }
}

fn outputs(text: &[u8]) -> Result<Record, Failure> {
    let text = std::str::from_utf8(text)
        .map_err(|_| Failure::new("an output cannot be kept: it is no UTF-8"))?;
    json::record(text).map_err(|why| Failure::new(format!("an output cannot be kept: {why}")))
}

/// How a process ended that gave no answer.
async fn ending(ended: &mut oneshot::Receiver<i32>, limits: &Limits) -> Failure {
    let status = tokio::time::timeout(LINGER, ended).await;
    ended_by(status.ok().and_then(Result::ok), limits)
}

/// The failure of a process with this status.
fn ended_by(status: Option<i32>, limits: &Limits) -> Failure {
    let Some(status) = status else {
        return Failure::new("the process of the code closed its channel to the server");
    };
    let signal = status & 0x7f;
    let is = |which: Signal| signal == which.as_raw();
    if signal == 0 {
        let code = status >> 8 & 0xff;
        return Failure::new(format!(
            "the process of the code ended by itself, with exit status {code}"
        ));
    }
    if is(Signal::XCPU) {
        return limits.met("cpu");
    }
    if is(Signal::XFSZ) {
        return limits.met("disk");
    }
    if is(Signal::SYS) {
        let message = "the process of the code was stopped by the sandbox: it made a system call that code may not make";
        return Failure::new(message);
    }
    if is(Signal::KILL) {
        let message =
            "the process of the code was killed, as happens when the machine is out of memory";
        return Failure::new(message).because(Reason::Limit);
    }
    let crashes = [
        (Signal::SEGV, "SIGSEGV"),
        (Signal::BUS, "SIGBUS"),
        (Signal::ABORT, "SIGABRT"),
    ];
    let message = match crashes.into_iter().find(|(which, _)| is(*which)) {
        Some((_, name)) => format!(
            "the process of the code crashed with {name}, as happens by a fault in a library or for want of memory: \
             its limit is {}",
            shown_size(limits.memory)
        ),
        None => format!("the process of the code was killed by signal {signal}"),
    };
    Failure::new(message)
}
