//! Resolves packages to versions and installs them, with uv or with pip.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::task::block_in_place;

use super::environment::{Unfinished, size};
use super::explained::{Asked, explained};
use super::installer::{Installer, Output, Walls};
use super::interpreter::Interpreter;
use super::lock::{self, Locked};
use crate::config::Config;

/// pip, with no way to start another program.
const PIP: &str = include_str!("pip.py");

/// The most packages that an environment may have.
const MAX_LOCKED: usize = 1_000;
/// The most that is read of what an installer wrote to a file, in bytes.
const MAX_READ: u64 = 32 << 20;
/// How often the size of what is being installed is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Where systems keep the certificates of authorities.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// What packages are installed with.
#[derive(Clone)]
pub struct Tools {
    /// What installers are started behind.
    pub walls: Arc<dyn Walls>,
    /// uv: a path, or a name that is looked for in the folders of `PATH`; pip is used where it is not there.
    pub uv: PathBuf,
    /// The index that packages come from (PEP 503).
    pub index: String,
    /// The most bytes an environment may have. While it is made, downloads and what is unpacked of them may
    /// take twice that.
    pub max_bytes: u64,
    /// The longest that resolving and installing may take.
    pub time: Duration,
}

/// The installation of packages for a Python.
pub struct Installation<'a> {
    /// What with.
    pub tools: &'a Tools,
    /// For which Python.
    pub interpreter: &'a Interpreter,
    /// Which packages, each normalised.
    pub wanted: &'a [String],
    /// Where.
    pub folder: &'a Unfinished,
}

/// Which of the two installers there is.
enum Tool {
    Uv(PathBuf),
    Pip,
}

impl Tools {
    /// What the settings say, behind these walls.
    pub fn of(config: &Config, walls: Arc<dyn Walls>) -> Tools {
        Tools {
            walls,
            uv: config.uv.clone(),
            index: config.package_index.clone(),
            max_bytes: super::MAX_BYTES,
            time: super::TIME,
        }
    }

    /// The installer there is.
    fn tool(&self) -> Tool {
        let found = match self.uv.components().count() {
            1 => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let mut all = std::env::split_paths(&path).map(|folder| folder.join(&self.uv));
                all.find(|path| path.is_file())
            }
            _ => self.uv.canonicalize().ok(),
        };
        found.map_or(Tool::Pip, Tool::Uv)
    }
}

impl Installation<'_> {
    /// Finds versions of the packages, and of what they need, that go together.
    ///
    /// # Errors
    /// The sentence that says why there are none.
    pub async fn resolve(&self) -> Result<Vec<Locked>, String> {
        let file = self.folder.path().join("resolved");
        let output = match self.tools.tool() {
            Tool::Uv(uv) => {
                std::fs::write(self.folder.path().join("wanted.in"), self.wanted.join("\n"))
                    .map_err(|error| unwritten(&error))?;
                let mut args = words(
                    "pip compile --quiet --generate-hashes --no-header --no-annotate --strip-extras --output-file resolved wanted.in",
                );
                args.extend(["--python".into(), self.interpreter.path.clone().into()]);
                self.run(self.uv(uv, args)).await?
            }
            Tool::Pip => {
                let mut args = words("install --dry-run --ignore-installed --report resolved");
                args.extend(self.wanted.iter().map(OsString::from));
                self.run(self.pip(args)).await?
            }
        };
        if !output.success {
            return Err(self.explained(&output, false));
        }
        let text = beginning(&file);
        let packages = match text.starts_with('{') {
            true => reported(&text),
            false => lock::packages(&text),
        };
        packages
            .filter(|packages| !packages.is_empty() && packages.len() <= MAX_LOCKED)
            .ok_or_else(|| {
                "what the installer answered is no list of packages with their hashes".to_owned()
            })
    }

    /// Installs exactly these packages.
    ///
    /// # Errors
    /// The sentence that says why they cannot be.
    pub async fn install(&self, packages: &[Locked]) -> Result<(), String> {
        let file = self.folder.path().join("locked.txt");
        std::fs::write(file, lock::requirements(packages)).map_err(|error| unwritten(&error))?;
        let mut args = words("--no-deps --require-hashes -r locked.txt --target");
        args.push(self.folder.site().into());
        let output = match self.tools.tool() {
            Tool::Uv(uv) => {
                args.extend(["--python".into(), self.interpreter.path.clone().into()]);
                let install = words("pip install --compile-bytecode");
                self.run(self.uv(uv, [install, args].concat())).await?
            }
            Tool::Pip => {
                self.run(self.pip([words("install"), args].concat()))
                    .await?
            }
        };
        if !output.success {
            return Err(self.explained(&output, true));
        }
        let _ = std::fs::remove_file(self.folder.site().join(".lock"));
        match block_in_place(|| size(&self.folder.site())) > self.tools.max_bytes {
            true => Err(self.too_large()),
            false => Ok(()),
        }
    }

    /// Runs an installer as long as it does not write too much.
    async fn run(&self, installer: Installer) -> Result<Output, String> {
        let grown = async {
            let size = || block_in_place(|| size(self.folder.path()));
            while size() <= self.tools.max_bytes.saturating_mul(2) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            output = self.tools.walls.install(installer) => output,
            () = grown => Err(self.too_large()),
        }
    }

    fn too_large(&self) -> String {
        let limit = super::bytes(self.tools.max_bytes);
        format!(
            "the packages are larger than {limit}, the most that the packages of a step may come to"
        )
    }

    fn uv(&self, uv: PathBuf, args: Vec<OsString>) -> Installer {
        let own = words("--no-config --no-progress --color never --cache-dir cache");
        let mut installer = self.installer([vec![uv.into()], own, args, self.common()].concat());
        let never = [
            ("UV_PYTHON_DOWNLOADS", "never"),
            ("UV_HTTP_RETRIES", "1"),
            ("UV_HTTP_TIMEOUT", "15"),
        ];
        installer
            .environment
            .extend(never.map(|(name, value)| (name, value.into())));
        installer
    }

    fn pip(&self, args: Vec<OsString>) -> Installer {
        let own = "--isolated --disable-pip-version-check --no-input --no-color --retries 1 --timeout 15 --cache-dir cache --log pip.log";
        let mut argv: Vec<OsString> = vec![
            self.interpreter.path.clone().into(),
            "-I".into(),
            "-c".into(),
            PIP.into(),
        ];
        argv.extend(words(own));
        if let Some(file) = certificates() {
            argv.extend(["--cert".into(), file.into()]);
        }
        let mut installer = self.installer([argv, args, self.common()].concat());
        // `--isolated` still reads the settings of the whole system; this does not.
        installer
            .environment
            .push(("PIP_CONFIG_FILE", "/dev/null".into()));
        installer
    }

    /// What both installers understand: wheels from the index, nothing else.
    fn common(&self) -> Vec<OsString> {
        let mut args = words("--only-binary :all: --index-url");
        args.push((&self.tools.index).into());
        args
    }

    fn installer(&self, argv: Vec<OsString>) -> Installer {
        let folder = self.folder.path();
        let mut environment = vec![
            ("HOME", folder.join("home").into()),
            ("TMPDIR", folder.join("tmp").into()),
        ];
        environment.extend(certificates().map(|file| ("SSL_CERT_FILE", file.into())));
        let program = argv.first().map(PathBuf::from);
        Installer {
            argv,
            environment,
            reads: certificates().into_iter().chain(program).collect(),
            writes: folder.to_owned(),
            hosts: hosts(&self.tools.index),
        }
    }

    fn explained(&self, output: &Output, locked: bool) -> String {
        let log = beginning(&self.folder.path().join("pip.log"));
        let asked = Asked {
            index: &self.tools.index,
            interpreter: self.interpreter,
            wanted: self.wanted,
            locked,
        };
        explained(output, &log, &asked)
    }
}

/// Arguments that stand between blanks.
fn words(text: &str) -> Vec<OsString> {
    text.split(' ').map(OsString::from).collect()
}

fn unwritten(error: &std::io::Error) -> String {
    format!("the folder of packages cannot be written: {error}")
}

/// The file of certificates that connections are checked with, where the system has one.
fn certificates() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let all = named.into_iter().chain(CERTIFICATES.map(PathBuf::from));
    all.into_iter().find(|file| Path::is_file(file))
}

/// The hosts that an index is reached at. PyPI keeps its files on another.
fn hosts(index: &str) -> Vec<(String, u16)> {
    let url = url::Url::parse(index).ok();
    let host = url.and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
    let files = host.as_ref().filter(|(host, _)| host == "pypi.org");
    let files = files.map(|(_, port)| ("files.pythonhosted.org".to_owned(), *port));
    host.iter().cloned().chain(files).collect()
}

/// What pip reports that it would install, in order of the packages' names.
fn reported(text: &str) -> Option<Vec<Locked>> {
    let report: Json = serde_json::from_str(text).ok()?;
    let found = report["install"].as_array()?.iter().map(|found| {
        let hash = found["download_info"]["archive_info"]["hashes"]["sha256"].as_str()?;
        let (name, version) = (&found["metadata"]["name"], &found["metadata"]["version"]);
        Locked::new(name.as_str()?, version.as_str()?, vec![hash.to_owned()])
    });
    let mut packages = found.collect::<Option<Vec<_>>>()?;
    packages.sort();
    Some(packages)
}

/// The beginning of what an installer wrote to a file; a package can make it as long as it likes.
fn beginning(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(MAX_READ).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}
