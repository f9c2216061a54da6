//! Where the versions of packages are pinned: in the lock file beside a program, and in the cache where
//! that cannot be written.

use std::collections::HashSet;
use std::fs::Permissions;
use std::io::{Error, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Program;
use super::lock::{Key, Lock, Locked, digest};

/// All lock files.
pub struct Pins {
    /// The folder of those that cannot stand beside their programs.
    folder: PathBuf,
    /// Those of which was said that they cannot be written.
    unwritten: Mutex<HashSet<PathBuf>>,
}

impl Pins {
    /// The lock files beside programs, and those in `folder`.
    pub fn new(folder: PathBuf) -> Pins {
        Pins {
            folder,
            unwritten: Mutex::default(),
        }
    }

    /// The packages that are pinned for a key, if they are.
    ///
    /// # Errors
    /// The sentence that says why a lock file cannot be used.
    pub fn get(&self, file: &Path, key: &Key) -> Result<Option<Vec<Locked>>, String> {
        for path in self.paths(file) {
            if let Some(packages) = Lock::read(&path)?.0.remove(key) {
                return Ok(Some(packages));
            }
        }
        Ok(None)
    }

    /// Pins packages for a key; sections of sets that the program no longer names go. A sentence comes back
    /// that is to be told: that the file beside the program cannot be written, which is told once.
    ///
    /// # Errors
    /// The sentence that says why they cannot be kept at all.
    pub fn set(
        &self,
        program: Program<'_>,
        key: &Key,
        packages: &[Locked],
    ) -> Result<Option<String>, String> {
        let mut why = None;
        for path in self.paths(program.file) {
            let mut lock = Lock::read(&path)?;
            // Versions that are no longer served have no file, and share one lock.
            let shared = program.file.as_os_str().is_empty();
            lock.0
                .retain(|key, _| shared || program.sets.contains(&key.wanted));
            lock.0.insert(key.clone(), packages.to_owned());
            match write(&path, &lock.to_string()) {
                Ok(()) => return Ok(why.and_then(|why| self.told(program.file, &path, &why))),
                Err(error) => why = Some(error),
            }
        }
        let why = why.map_or_else(String::new, |error| error.to_string());
        Err(format!("the versions of packages cannot be kept: {why}"))
    }

    /// Where the packages of a program may be pinned, the better place first.
    fn paths(&self, file: &Path) -> Vec<PathBuf> {
        let whole = std::path::absolute(file).unwrap_or_default();
        let name = digest("", &whole.to_string_lossy());
        let inside = self.folder.join(format!("{name}.lock"));
        beside(file).into_iter().chain([inside]).collect()
    }

    fn told(&self, file: &Path, other: &Path, why: &Error) -> Option<String> {
        let path = beside(file)?;
        let mut unwritten = self
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (shown, other) = (path.display(), other.display());
        let sentence =
            format!("`{shown}` cannot be written ({why}); its packages are pinned in `{other}`");
        unwritten.insert(path).then_some(sentence)
    }
}

/// The lock file beside a program: `names.lock` for `names.yaml`.
pub fn beside(file: &Path) -> Option<PathBuf> {
    file.file_name().map(|_| file.with_extension("lock"))
}

/// Writes a file so that it is never half there.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // As others may read the program beside it, they may read this.
    let readable = Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .permissions(readable)
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
