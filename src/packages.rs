//! The Python packages that programs import: resolved once, pinned in a lock file beside the program,
//! installed in a cache.

pub mod environment;
mod explained;
mod install;
pub mod installer;
mod interpreter;
pub mod lock;
pub mod pins;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, watch};
use tokio::task::block_in_place;

use self::environment::Cache;
pub use self::environment::Environment;
use self::install::Installation;
pub use self::install::Tools;
use self::interpreter::Interpreter;
use self::lock::{Key, Locked, digest, requirements};
use self::pins::Pins;

/// The most bytes that an environment may have, where nothing else is said.
pub const MAX_BYTES: u64 = 1_000_000_000;
/// The longest that resolving and installing may take, where nothing else is said.
pub const TIME: Duration = Duration::from_secs(600);

/// Tells people of an installation.
pub type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// A program whose steps name packages.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// What people call its file.
    pub name: &'a str,
    /// The file; empty where there is none any more.
    pub file: &'a Path,
    /// Every set of packages that its steps name, each package normalised, in order.
    pub sets: &'a [Vec<String>],
}

/// The packages of all programs.
pub struct Packages(Arc<Shared>);

struct Shared {
    tools: Tools,
    cache: Cache,
    pins: Pins,
    tell: Tell,
    interpreters: Mutex<HashMap<PathBuf, Arc<OnceCell<Interpreter>>>>,
    /// What is being installed: all who want the same wait for one installation.
    making: Mutex<HashMap<Wish, watch::Receiver<Option<Made>>>>,
    /// One installation at a time.
    turn: tokio::sync::Mutex<()>,
}

/// The file of a program, and packages that it wants.
type Wish = (PathBuf, Key);

/// What became of an installation.
type Made = Result<Arc<Environment>, String>;

/// Packages that are to be installed.
struct Job {
    key: Key,
    interpreter: Interpreter,
    name: String,
    file: PathBuf,
    sets: Vec<Vec<String>>,
}

impl Packages {
    /// Packages that are installed with `tools` and kept in `folder`; `tell` hears when an installation
    /// begins and when it is done.
    pub fn new(tools: Tools, folder: PathBuf, tell: Tell) -> Packages {
        let cache = Cache::new(folder);
        Packages(Arc::new(Shared {
            tools,
            pins: Pins::new(cache.locks()),
            cache,
            tell,
            interpreters: Mutex::default(),
            making: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// The environment of a set of packages of a program, on the interpreter `python`. One that is not there
    /// is installed, which goes on when the future is dropped; one that is there needs no network.
    ///
    /// # Errors
    /// The sentence that says why it cannot be had.
    pub async fn ready(
        &self,
        python: &Path,
        wanted: &[String],
        program: Program<'_>,
    ) -> Result<Arc<Environment>, String> {
        let interpreter = self.0.interpreter(python).await?;
        let key = Key {
            wanted: wanted.to_owned(),
            python: interpreter.key(),
        };
        let pinned = self.0.pins.get(program.file, &key)?;
        if let Some(environment) = pinned.and_then(|pinned| self.0.cached(&key, &pinned)) {
            return Ok(Arc::new(environment));
        }
        let mut made = self.0.make(Job {
            key,
            interpreter,
            name: program.name.to_owned(),
            file: program.file.to_owned(),
            sets: program.sets.to_owned(),
        });
        let made = made.wait_for(Option::is_some).await;
        made.ok().and_then(|made| made.clone()).unwrap_or_else(|| {
            Err("the packages were not installed, by a fault of the server".to_owned())
        })
    }

    /// Makes all environments of a program, one after the other.
    ///
    /// # Errors
    /// The sentence that says why one of them cannot be had.
    pub async fn prepare(&self, python: &Path, program: Program<'_>) -> Result<(), String> {
        for set in program.sets {
            self.ready(python, set, program).await?;
        }
        Ok(())
    }
}

impl Shared {
    /// What an interpreter is, asked once.
    async fn interpreter(&self, python: &Path) -> Result<Interpreter, String> {
        let known = lock(&self.interpreters)
            .entry(python.to_owned())
            .or_default()
            .clone();
        let asked = known.get_or_try_init(|| Interpreter::ask(python));
        asked.await.cloned()
    }

    /// The environment that packages make, if it is there.
    fn cached(&self, key: &Key, packages: &[Locked]) -> Option<Environment> {
        self.cache
            .get(&digest(&key.python, &requirements(packages)))
    }

    /// Begins an installation, or joins the one that is at work.
    fn make(self: &Arc<Self>, job: Job) -> watch::Receiver<Option<Made>> {
        let wish = (job.file.clone(), job.key.clone());
        let mut making = lock(&self.making);
        if let Some(made) = making.get(&wish) {
            return made.clone();
        }
        let (done, made) = watch::channel(None);
        making.insert(wish.clone(), made.clone());
        let shared = self.clone();
        // Nobody who stops waiting breaks it off for the others.
        tokio::spawn(async move {
            let _over = Over(&shared, wish);
            done.send_replace(Some(shared.install(&job).await.map(Arc::new)));
        });
        made
    }

    async fn install(&self, job: &Job) -> Result<Environment, String> {
        let _turn = self.turn.lock().await;
        let _alone = self.cache.alone().await.map_err(|error| {
            let folder = self.cache.folder().display();
            format!("the folder of packages `{folder}` cannot be used: {error}")
        })?;
        let time = self.tools.time;
        let made = tokio::time::timeout(time, self.install_alone(job));
        made.await
            .unwrap_or_else(|_| Err(format!("installing the packages took longer than {time:?}")))
    }

    async fn install_alone(&self, job: &Job) -> Result<Environment, String> {
        let began = Instant::now();
        let folder = self.cache.begin().map_err(unkept)?;
        let installation = Installation {
            tools: &self.tools,
            interpreter: &job.interpreter,
            wanted: &job.key.wanted,
            folder: &folder,
        };
        let pinned = self.pins.get(&job.file, &job.key)?;
        let resolved = match &pinned {
            Some(packages) => packages.clone(),
            None => installation.resolve().await?,
        };
        // Another process or program may have installed the same.
        let environment = match self.cached(&job.key, &resolved) {
            Some(environment) => environment,
            None => self.fill(job, &installation, &resolved, began).await?,
        };
        // What cannot be installed is not pinned.
        if pinned.is_none() {
            self.pin(job, &resolved)?;
        }
        Ok(environment)
    }

    /// Installs exactly these packages, and keeps them.
    async fn fill(
        &self,
        job: &Job,
        installation: &Installation<'_>,
        packages: &[Locked],
        began: Instant,
    ) -> Result<Environment, String> {
        let (count, name) = (counted(packages.len()), &job.name);
        let all: Vec<String> = packages.iter().map(Locked::to_string).collect();
        (self.tell)(&format!(
            "installing {count} for {name}: {}",
            all.join(", ")
        ));
        installation.install(packages).await?;
        let (site, wanted) = (installation.folder.site(), job.key.names());
        let digest = digest(&job.key.python, &requirements(packages));
        let (size, kept) = block_in_place(|| {
            let size = environment::size(&site);
            (size, self.cache.keep(installation.folder, &wanted, &digest))
        });
        let (size, environment) = (bytes(size), kept.map_err(unkept)?);
        let time = began.elapsed().as_secs_f64();
        (self.tell)(&format!(
            "packages of {name} are ready ({count}, {size}, {time:.1} s)"
        ));
        Ok(environment)
    }

    fn pin(&self, job: &Job, packages: &[Locked]) -> Result<(), String> {
        let program = Program {
            name: &job.name,
            file: &job.file,
            sets: &job.sets,
        };
        if let Some(note) = self.pins.set(program, &job.key, packages)? {
            (self.tell)(&note);
        }
        Ok(())
    }
}

/// An installation at work, for as long as this is kept.
struct Over<'a>(&'a Shared, Wish);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        lock(&self.0.making).remove(&self.1);
    }
}

fn unkept(error: std::io::Error) -> String {
    format!("the packages cannot be kept: {error}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn counted(count: usize) -> String {
    match count {
        1 => "1 package".to_owned(),
        count => format!("{count} packages"),
    }
}

/// A number of bytes for people: `1.2 MB`.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
