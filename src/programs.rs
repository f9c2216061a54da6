//! The programs that are served: read from a folder, checked, and kept as they change.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use engine::plan::Plan;
use engine::problem::{Problem, Source};
use steps::KINDS;

use crate::packages::Program;
use crate::store::{NewVersion, RECORD, Store, VersionId};
use crate::{Error, now};

/// The account that owns everything, until there are several.
pub const OWNER: i64 = 1;

/// The most program files a folder may hold.
pub const MAX_FILES: usize = 10_000;

/// A program as it is served.
pub struct Served {
    /// The program.
    pub plan: Plan,
    /// Which of its versions this is.
    pub version: VersionId,
    /// Whose it is.
    pub account: i64,
    /// The file it was read from.
    pub path: PathBuf,
}

impl Served {
    /// The packages that its steps name.
    pub fn packages(&self) -> Program<'_> {
        Program {
            name: &self.plan.source.name,
            file: &self.path,
            sets: &self.plan.packages,
        }
    }
}

/// The programs that are served, by id.
#[derive(Default)]
pub struct Programs {
    served: RwLock<HashMap<u64, Arc<Served>>>,
    versions: RwLock<HashMap<VersionId, Arc<Served>>>,
    read: tokio::sync::Mutex<BTreeMap<PathBuf, Read>>,
}

/// A file as it was last read.
struct Read {
    text: String,
    /// Whether it is not served because another file has its id.
    waits: bool,
}

/// What reading a folder brought.
#[derive(Default)]
pub struct Report {
    /// Programs that are served now and were not, or not in this version.
    pub changed: Vec<Arc<Served>>,
    /// Files that are no good, each with its problems drawn. The version served before stays.
    pub refused: Vec<String>,
    /// Programs whose file is gone.
    pub gone: Vec<u64>,
    /// The folders that were read.
    pub folders: Vec<PathBuf>,
}

impl Report {
    fn add(&mut self, accepted: Accepted) {
        match accepted {
            Accepted::Yes(served) => self.changed.push(served),
            Accepted::No(problems) | Accepted::IdTaken(problems) => self.refused.push(problems),
        }
    }
}

/// What became of a file.
enum Accepted {
    /// It is served.
    Yes(Arc<Served>),
    /// It has problems: these, drawn.
    No(String),
    /// Another file has its id, which is a problem, drawn.
    IdTaken(String),
}

impl Programs {
    /// The version of a program that is served now.
    pub fn get(&self, id: u64) -> Option<Arc<Served>> {
        self.served
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// All programs that are served, by id.
    pub fn all(&self) -> Vec<Arc<Served>> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = served.values().cloned().collect();
        all.sort_by_key(|served| served.plan.id);
        all
    }

    /// A version of a program, whether or not it is the one served now.
    ///
    /// # Errors
    /// When the store fails, or has no such version, or this release no longer accepts it.
    pub async fn version(&self, store: &dyn Store, id: VersionId) -> Result<Arc<Served>, Error> {
        if let Some(known) = self
            .versions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
        {
            return Ok(known.clone());
        }
        let version = store
            .version(id)
            .await?
            .ok_or_else(|| Error::new("a run's program version is not in the store"))?;
        let source = Source {
            name: version.name.as_str().into(),
            text: version.text.as_str().into(),
        };
        let plan = Plan::check(&source, &KINDS).map_err(|problems| {
            Error::new(format!(
                "a stored version is no longer accepted:\n{}",
                drawn(&problems, &source)
            ))
        })?;
        let served = Arc::new(Served {
            plan,
            version: id,
            account: version.account,
            path: PathBuf::new(),
        });
        self.keep(&served);
        Ok(served)
    }

    fn keep(&self, served: &Arc<Served>) {
        let mut versions = self
            .versions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Versions that nothing runs any more are dropped; only those of queued runs are ever asked for.
        versions.retain(|_, version| Arc::strong_count(version) > 1);
        versions.insert(served.version, served.clone());
    }

    /// Reads the folder and serves what is good in it; what has not changed is left alone.
    ///
    /// # Errors
    /// When the folder cannot be read or the store fails.
    pub async fn load(&self, dir: &Path, store: &dyn Store) -> Result<Report, Error> {
        let mut read = self.read.lock().await;
        let failed = |error| Error::new(format!("{}: {error}", dir.display()));
        let folders = folders(dir).map_err(failed)?;
        let files = files(&folders).map_err(failed)?;
        let mut report = Report {
            folders,
            ..Report::default()
        };
        read.retain(|path, _| files.contains(path));
        for path in &files {
            let Ok(text) = std::fs::read_to_string(path) else {
                report.refused.push(format!(
                    "{}: the file cannot be read as UTF-8 text\n",
                    path.display()
                ));
                continue;
            };
            if read.get(path).is_some_and(|known| known.text == text) {
                continue;
            }
            let accepted = self.accept(dir, path, &text, store).await?;
            let waits = matches!(accepted, Accepted::IdTaken(_));
            report.add(accepted);
            read.insert(path.clone(), Read { text, waits });
        }
        report.gone = self.drop_gone(&files);
        // An id that was another file's may be free now.
        for (path, file) in read.iter_mut().filter(|(_, file)| file.waits) {
            let accepted = self.accept(dir, path, &file.text, store).await?;
            file.waits = matches!(accepted, Accepted::IdTaken(_));
            if !file.waits {
                report.add(accepted);
            }
        }
        Ok(report)
    }

    fn drop_gone(&self, files: &[PathBuf]) -> Vec<u64> {
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<u64> = served
            .values()
            .filter(|s| !files.contains(&s.path))
            .map(|s| s.plan.id)
            .collect();
        served.retain(|id, _| !gone.contains(id));
        gone
    }

    async fn accept(
        &self,
        dir: &Path,
        path: &Path,
        text: &str,
        store: &dyn Store,
    ) -> Result<Accepted, Error> {
        let name = path.strip_prefix(dir).unwrap_or(path).display().to_string();
        let source = Source {
            name: name.into(),
            text: text.into(),
        };
        let plan = match Plan::check(&source, &KINDS) {
            Ok(plan) => plan,
            Err(problems) => return Ok(Accepted::No(drawn(&problems, &source))),
        };
        if let Some(other) = self
            .get(plan.id)
            .filter(|other| other.path != path && other.path.exists())
        {
            let message = format!(
                "the id {} is that of `{}` already",
                plan.id, other.plan.source.name
            );
            let at = text.find("id:").unwrap_or(0);
            let place = engine::problem::Place {
                start: at,
                end: at + 2,
            };
            let problem = Problem::new(place, message).help("give this program another id");
            return Ok(Accepted::IdTaken(drawn(&[problem], &source)));
        }
        Ok(Accepted::Yes(self.serve(plan, path, store).await?))
    }

    /// Serves a program in place of what `path` held before; its text becomes a version in the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn serve(
        &self,
        plan: Plan,
        path: &Path,
        store: &dyn Store,
    ) -> Result<Arc<Served>, Error> {
        let version = store.accept(NewVersion {
            account: OWNER,
            program: plan.id as i64,
            name: plan.name.to_string(),
            text: plan.source.text.to_string(),
            accepted_at: now(),
        });
        let version = version.await?;
        let (id, path) = (plan.id, path.to_owned());
        let served = Arc::new(Served {
            plan,
            version,
            account: OWNER,
            path: path.clone(),
        });
        self.keep(&served);
        let mut all = self.served.write().unwrap_or_else(PoisonError::into_inner);
        // The file may have held a program of another id before.
        all.retain(|_, other| other.path != path);
        all.insert(id, served.clone());
        Ok(served)
    }
}

/// The folders in a folder, itself among them, that may hold programs, in order. Hidden ones and those
/// that hold a record are passed over.
///
/// # Errors
/// When a folder cannot be read.
pub fn folders(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut next) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = next.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !hidden && entry.file_type()?.is_dir() && !entry.path().join(RECORD).exists() {
                next.push(entry.path());
            }
        }
        found.push(folder);
    }
    found.sort();
    Ok(found)
}

/// The program files in folders, in order; hidden ones are passed over.
///
/// # Errors
/// When a folder cannot be read, or there are more than [`MAX_FILES`].
pub fn files(folders: &[PathBuf]) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            let yaml = path
                .extension()
                .is_some_and(|end| end == "yaml" || end == "yml");
            if yaml && !hidden && !path.is_dir() {
                files.push(path);
            }
        }
        if files.len() > MAX_FILES {
            return Err(std::io::Error::other(format!(
                "there are more than {MAX_FILES} program files"
            )));
        }
    }
    files.sort();
    Ok(files)
}

/// Problems drawn one after the other.
pub fn drawn(problems: &[Problem], source: &Source) -> String {
    problems
        .iter()
        .map(|problem| problem.drawn(source).to_string())
        .collect::<Vec<_>>()
        .join("\n")
}
