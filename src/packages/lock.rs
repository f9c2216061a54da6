//! The lock file beside a program: which versions its packages were resolved to, and their hashes.
//!
//! A section holds for one set of packages on one Python. pip and uv read the file too, where it has one
//! section only.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use engine::requirement::{Requirement, is_name, is_version, normalised};
use sha2::{Digest, Sha256};

const HEAD: &str = "\
# The versions that the packages of the program beside this file were resolved to. Waystation wrote it;
# to have them resolved anew, delete it.
";
const WANTED: &str = "# wanted: ";
const PYTHON: &str = "# for: ";
const HASH: &str = "    --hash=sha256:";

/// The most bytes that are read of a lock file.
const MAX_BYTES: u64 = 4 << 20;

/// What a section holds for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The packages wanted, each [normalised](Requirement), in order.
    pub wanted: Vec<String>,
    /// The Python and the machine, as [`Interpreter`](super::interpreter::Interpreter) names them.
    pub python: String,
}

/// A package in the version that is installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locked {
    /// Its name, normalised.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 hashes of the files that may be installed, in hex, in order.
    pub hashes: Vec<String>,
}

/// A lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock(pub BTreeMap<Key, Vec<Locked>>);

impl Lock {
    /// Reads the lock file at `path`; one that is not there is empty.
    ///
    /// # Errors
    /// The sentence that says why it cannot be used, and what to do.
    pub fn read(path: &Path) -> Result<Lock, String> {
        let shown = path.display();
        match std::fs::metadata(path) {
            Ok(about) if about.is_file() && about.len() <= MAX_BYTES => {}
            Ok(_) => {
                return Err(format!(
                    "`{shown}` is no lock file; delete it to have it written anew"
                ));
            }
            Err(_) => return Ok(Lock::default()),
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
        Lock::parse(&text).ok_or_else(|| {
            format!("`{shown}` is not as it was written; delete it to have it written anew")
        })
    }

    /// Reads the text of a lock file, which is taken only as it is [written](fmt::Display).
    pub fn parse(text: &str) -> Option<Lock> {
        let mut lock = Lock::default();
        let (mut key, mut body) = (
            Key {
                wanted: Vec::new(),
                python: String::new(),
            },
            String::new(),
        );
        let mut keep = |key: &Key, body: &mut String| {
            if let Some(packages) = packages(body).filter(|_| !key.wanted.is_empty()) {
                lock.0.insert(key.clone(), packages);
            }
            body.clear();
        };
        for line in text.lines() {
            if let Some(wanted) = line.strip_prefix(WANTED) {
                keep(&key, &mut body);
                key.wanted = wanted.split(' ').map(str::to_owned).collect();
            } else if let Some(python) = line.strip_prefix(PYTHON) {
                python.clone_into(&mut key.python);
            } else if !line.starts_with('#') {
                body.extend([line, "\n"]);
            }
        }
        keep(&key, &mut body);
        (lock.to_string() == text).then_some(lock)
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        for (key, packages) in &self.0 {
            let wanted = key.wanted.join(" ");
            write!(
                f,
                "\n{WANTED}{wanted}\n{PYTHON}{}\n{}",
                key.python,
                requirements(packages)
            )?;
        }
        Ok(())
    }
}

/// Packages as pip and uv take them.
pub fn requirements(packages: &[Locked]) -> String {
    let package = |package: &Locked| {
        let hashes = package
            .hashes
            .iter()
            .map(|hash| format!(" \\\n{HASH}{hash}"));
        format!(
            "{}=={}{}\n",
            package.name,
            package.version,
            hashes.collect::<String>()
        )
    };
    packages.iter().map(package).collect()
}

/// Reads packages as pip and uv take them, in order of their names.
pub fn packages(text: &str) -> Option<Vec<Locked>> {
    let text = text.replace("\\\n", " ");
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let mut packages = lines.map(package).collect::<Option<Vec<_>>>()?;
    packages.sort();
    Some(packages)
}

fn package(line: &str) -> Option<Locked> {
    let mut words = line.split_ascii_whitespace();
    let (name, version) = words.next()?.split_once("==")?;
    let hashes = words.map(|word| word.strip_prefix("--hash=sha256:").map(str::to_owned));
    Locked::new(name, version, hashes.collect::<Option<Vec<_>>>()?)
}

impl Locked {
    /// A package, if this is one: text of the index and of files is not trusted to be.
    pub fn new(name: &str, version: &str, mut hashes: Vec<String>) -> Option<Locked> {
        let is_hash = |hash: &String| {
            hash.len() == 64 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        };
        hashes.sort();
        hashes.dedup();
        let whole = is_name(name)
            && is_version(version)
            && !hashes.is_empty()
            && hashes.iter().all(is_hash);
        whole.then(|| Locked {
            name: normalised(name),
            version: version.to_owned(),
            hashes,
        })
    }
}

/// As people read it: `nameparser 1.1.3`.
impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

impl Key {
    /// The names of the packages wanted, without their versions.
    pub fn names(&self) -> Vec<String> {
        let read = self
            .wanted
            .iter()
            .filter_map(|wanted| Requirement::read(wanted).ok());
        read.map(|wanted| wanted.name().to_owned()).collect()
    }
}

/// The name of the environment that packages make on a Python: 32 hexadecimal digits.
pub fn digest(python: &str, text: &str) -> String {
    let hash = Sha256::new()
        .chain_update(python)
        .chain_update("\n")
        .chain_update(text)
        .finalize();
    hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
