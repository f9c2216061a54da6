//! The cache of environments: a folder for each set of packages, made once and never changed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::requirement::normalised;
use tempfile::TempDir;

const SITE: &str = "site";
const MODULES: &str = "modules.json";
/// What the names of folders begin with that are not whole yet.
const UNFINISHED: &str = "new-";
/// How often is asked whether another process has done its work.
const AGAIN: Duration = Duration::from_millis(50);

/// Packages that are installed, ready to be imported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Environment {
    /// The folder that code imports from.
    pub site: PathBuf,
    /// The names under which the wanted packages are imported, in order.
    pub modules: Vec<String>,
}

/// The folder of all environments.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which need not be there. What an installation that was broken off left in it
    /// is deleted, unless another process is at work in it.
    pub fn new(folder: PathBuf) -> Cache {
        // Code that imports from it works in a folder of its own.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        if let Ok(lock) = File::open(folder.join("lock"))
            && lock.try_lock().is_ok()
        {
            sweep(&folder);
        }
        Cache { folder }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder for the lock files that cannot stand beside their programs.
    pub fn locks(&self) -> PathBuf {
        self.folder.join("locks")
    }

    /// The environment of that name, if it is there.
    pub fn get(&self, digest: &str) -> Option<Environment> {
        let folder = self.folder.join(digest);
        let modules = std::fs::read(folder.join(MODULES)).ok()?;
        Some(Environment {
            site: folder.join(SITE),
            modules: serde_json::from_slice(&modules).ok()?,
        })
    }

    /// Waits until this is the only process, and the only task, that installs into the cache, for as long as
    /// what comes back is kept.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub async fn alone(&self) -> Result<File> {
        std::fs::create_dir_all(self.locks())?;
        let lock = File::create(self.folder.join("lock"))?;
        while let Err(error) = lock.try_lock() {
            match error {
                std::fs::TryLockError::WouldBlock => tokio::time::sleep(AGAIN).await,
                std::fs::TryLockError::Error(error) => return Err(error),
            }
        }
        sweep(&self.folder);
        Ok(lock)
    }

    /// A new folder to install in.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(&self) -> Result<Unfinished> {
        let folder = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&self.folder)?;
        // Installers are told whole paths.
        let path = folder.path().canonicalize()?;
        for name in [SITE, "home", "tmp", "cache"] {
            std::fs::create_dir(path.join(name))?;
        }
        Ok(Unfinished {
            path,
            _folder: folder,
        })
    }

    /// Makes what is installed an environment of the cache. `wanted` are the names of the packages wanted.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, new: &Unfinished, wanted: &[String], digest: &str) -> Result<Environment> {
        let site = new.site();
        let whole = new.path.join("whole");
        std::fs::create_dir(&whole)?;
        let modules = serde_json::to_vec(&modules(&site, wanted)?).map_err(Error::other)?;
        std::fs::write(whole.join(MODULES), modules)?;
        std::fs::rename(site, whole.join(SITE))?;
        durable(&whole)?;
        let folder = self.folder.join(digest);
        // One that could not be read is no environment.
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => std::fs::rename(whole, &folder)?,
        }
        self.get(digest)
            .ok_or_else(|| Error::other("the new environment cannot be read"))
    }
}

/// A folder that packages are being installed in; deleted when dropped.
pub struct Unfinished {
    path: PathBuf,
    _folder: TempDir,
}

impl Unfinished {
    /// The folder itself, which has the folders `home`, `tmp` and `cache` for installers.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where packages are installed.
    pub fn site(&self) -> PathBuf {
        self.path.join(SITE)
    }
}

/// Deletes what was left unfinished.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Has everything written to disk: the folder's new name must not outlive what is in it.
fn durable(folder: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(folder)?)?;
    #[cfg(not(target_os = "linux"))]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// How many bytes the files in a folder have.
pub fn size(folder: &Path) -> u64 {
    let (mut bytes, mut next) = (0, vec![folder.to_owned()]);
    while let Some(folder) = next.pop() {
        // What an installer deletes meanwhile is not counted.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => next.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// The names under which packages are imported, as what is installed says.
fn modules(site: &Path, wanted: &[String]) -> Result<BTreeSet<String>> {
    let mut modules = BTreeSet::new();
    for entry in std::fs::read_dir(site)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let package = name
            .strip_suffix(".dist-info")
            .and_then(|name| name.rsplit_once('-'));
        if package.is_some_and(|(name, _)| wanted.contains(&normalised(name))) {
            let read = |file| std::fs::read_to_string(entry.path().join(file));
            match read("top_level.txt") {
                Ok(names) => modules.extend(names.lines().filter_map(module)),
                Err(_) => modules.extend(read("RECORD")?.lines().filter_map(recorded)),
            }
        }
    }
    Ok(modules)
}

/// The module that a line of a wheel's list of files belongs to.
fn recorded(line: &str) -> Option<String> {
    let path = line.split(',').next()?;
    let inside = path.contains('/');
    let first = path.split('/').next()?;
    let end = |path: &str| path.ends_with(".py") || path.ends_with(".so") || path.ends_with(".pyd");
    match inside {
        true if end(path) => module(first),
        false if end(first) => module(first.split('.').next()?),
        _ => None,
    }
}

/// A name that can be imported.
fn module(name: &str) -> Option<String> {
    let name = name.trim();
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let start = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (plain && start && name != "__pycache__").then(|| name.to_owned())
}
