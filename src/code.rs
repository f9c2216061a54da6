//! Runs code of other languages, each run in a process of its own.
//!
//! Processes stand ready behind walls, one use each: a run takes one, sends it the code and the inputs, and has
//! its answer. What it costs to start a process and to clean up after it lies before and after a run.

mod exchange;
mod isolation;
mod launcher;
mod limits;
mod pool;
mod python;
mod usage;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::host::{Code, Language, Logger};
use engine::json;
use engine::run::{Failure, Reason};
use engine::value::Record;
use sandbox::isolation::{Isolation, Network};
use sandbox::launch::Worker;
use sandbox::message::{Launch, Work};
use tokio::sync::{OnceCell, oneshot};

use self::exchange::{Frame, Output};
pub use self::isolation::Offer;
use self::launcher::{Launcher, kill};
use self::limits::Limits;
use self::pool::{Pool, Taken};
use crate::config::Config;
use crate::packages::Environment;

pub use self::launcher::ARGUMENT as LAUNCH;

/// How long the end of a process is waited for that has closed its channel.
const LINGER: Duration = Duration::from_millis(500);

/// Is a launcher; see [`sandbox::launch`].
pub fn launch() -> ExitCode {
    sandbox::launch::run(&[Worker {
        name: isolation::PROBE,
        engine: false,
        run: isolation::attack,
    }])
}

/// What runs code.
pub struct Codes {
    config: Config,
    python: python::Python,
    pools: Mutex<HashMap<Key, Arc<OnceCell<Arc<Pool>>>>>,
    folder: OnceCell<tempfile::TempDir>,
    offer: OnceCell<Offer>,
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

/// Whose processes stand ready together, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    account: i64,
    network: Network,
    /// For Python, the environment of the packages.
    python: Option<Option<Arc<Environment>>>,
}

impl Codes {
    /// What runs code by these settings.
    pub fn new(config: &Config) -> Codes {
        Codes {
            config: config.clone(),
            python: python::Python::new(config.python.clone()),
            pools: Mutex::default(),
            folder: OnceCell::new(),
            offer: OnceCell::new(),
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
        logger: Logger<'_>,
    ) -> Result<Record, Failure> {
        let limits = Limits::of(&code.asked, &self.config)?;
        let network = self.network(&code)?;
        let key = Key {
            account,
            network,
            python: (code.language == Language::Python).then_some(environment),
        };
        let mut taken = self.taken(&key, Work::Python, false).await?;
        if limits.disk != self.config.code_disk.bytes() {
            taken.process.disk(limits.disk);
        }
        let request = python::request(&code, &limits);
        answered(&mut taken, &request, &limits, logger).await
    }

    /// What the machine offers, found out when it is first asked for.
    ///
    /// # Errors
    /// In words, why it cannot be found out.
    pub async fn offer(&self) -> Result<&Offer, String> {
        let find = || async { Ok(Offer::find(self.config.sandbox, self.folder().await?).await) };
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

    async fn taken(&self, key: &Key, work: Work, extra: bool) -> Result<Taken, Failure> {
        let failed = |why: String| Failure::new(format!("the code cannot be run: {why}"));
        let pool = self.pool(key).await.map_err(failed)?;
        pool.take(work, extra).await.map_err(failed)
    }

    async fn pool(&self, key: &Key) -> Result<Arc<Pool>, String> {
        let cell = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.retain(|_, cell| cell.get().is_none_or(|pool| pool.is_alive()));
            pools.entry(key.clone()).or_default().clone()
        };
        cell.get_or_try_init(|| self.start(key)).await.cloned()
    }

    async fn start(&self, key: &Key) -> Result<Arc<Pool>, String> {
        let offer = self.offer().await?;
        if let Some(refusal) = offer.refusal(self.config.sandbox_minimum) {
            return Err(refusal);
        }
        let isolation = offer.isolation;
        let python = match &key.python {
            Some(environment) => Some(self.python.ready(environment.as_deref()).await?),
            None => None,
        };
        let mut readable = self.python.readable().await?;
        readable.extend(python.iter().filter_map(|python| python.site.clone()));
        let launch = Launch {
            isolation,
            network: key.network,
            user: isolation::user(0),
            folder: self.folder().await?,
            proxy: None,
            readable,
            disk: self.config.code_disk.bytes(),
            python,
        };
        let ready = Launcher::start(&launch).await?;
        Ok(Arc::new(Pool::new(ready.launcher, None)))
    }

    /// The folder that the folders of processes are in where they have no file system of their own.
    async fn folder(&self) -> Result<PathBuf, String> {
        let made = self.folder.get_or_try_init(|| async {
            let mut folder = tempfile::Builder::new();
            folder.prefix("waystation-").tempdir()
        });
        let made = made
            .await
            .map_err(|error| format!("there is no folder for it: {error}"))?;
        Ok(made.path().to_owned())
    }
}

/// Sends a process the code, and has its answer; what it writes goes to the log.
async fn answered(
    taken: &mut Taken,
    request: &[u8],
    limits: &Limits,
    logger: Logger<'_>,
) -> Result<Record, Failure> {
    let process = &mut taken.process;
    let channel = &mut process.channel;
    let mut output = Output::new(&process.output, limits.output as usize, logger);
    let frame = {
        let conversation = async {
            // A process that ends early is told by the answer that never comes.
            let _ = exchange::send(channel, request).await;
            exchange::receive(channel).await
        };
        let mut conversation = std::pin::pin!(conversation);
        let mut watched = std::pin::pin!(usage::watch(&process.descriptor, limits, None));
        let mut writes = true;
        loop {
            tokio::select! {
                frame = &mut conversation => break Ok(frame),
                failure = &mut watched => break Err(failure),
                read = output.read(), if writes => match read {
                    Ok(()) => writes = false,
                    Err(failure) => break Err(failure),
                },
            }
        }
    };
    let result = match frame {
        Ok(Frame::Nothing) => Err(ending(&mut process.ended, limits).await),
        Ok(frame) => Ok(frame),
        Err(failure) => {
            kill(&process.descriptor);
            Err(failure)
        }
    };
    let rest = output.rest();
    output.finish();
    let frame = result?;
    rest?;
    match frame {
        Frame::Outputs(text) => outputs(&text),
        Frame::Raised(raised) => Err(match raised.limit {
            Some(limit) => Failure {
                line: raised.line,
                traceback: raised.traceback,
                ..limits.met(&limit)
            },
            None => Failure {
                line: raised.line,
                traceback: raised.traceback,
                ..Failure::new(raised.message)
            },
        }),
        _ => Err(Failure::new(
            "the process of the code does not answer as agreed",
        )),
    }
}

fn outputs(text: &[u8]) -> Result<Record, Failure> {
    let text = std::str::from_utf8(text)
        .map_err(|_| Failure::new("an output cannot be kept: it is no UTF-8"))?;
    json::record(text).map_err(|why| Failure::new(format!("an output cannot be kept: {why}")))
}

/// How a process ended that gave no answer.
async fn ending(ended: &mut oneshot::Receiver<i32>, limits: &Limits) -> Failure {
    let Ok(Ok(status)) = tokio::time::timeout(LINGER, ended).await else {
        return Failure::new("the process of the code closed its channel to the server");
    };
    match (status & 0x7f, status >> 8 & 0xff) {
        (0, code) => Failure::new(format!(
            "the process of the code ended by itself, with exit status {code}"
        )),
        (signal, _) if signal == libc_signal("XCPU") => limits.met("cpu"),
        (signal, _) if signal == libc_signal("SYS") => Failure::new(
            "the process of the code was stopped by the sandbox: it made a system call that code may not make",
        ),
        (signal, _) if signal == libc_signal("KILL") => Failure::new(
            "the process of the code was killed, as happens when the machine is out of memory",
        )
        .because(Reason::Limit),
        (signal, _) => Failure::new(format!(
            "the process of the code was killed by signal {signal}"
        )),
    }
}

fn libc_signal(name: &str) -> i32 {
    use rustix::process::Signal;
    match name {
        "XCPU" => Signal::XCPU.as_raw(),
        "SYS" => Signal::SYS.as_raw(),
        _ => Signal::KILL.as_raw(),
    }
}
