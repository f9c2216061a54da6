//! An index of good and hostile packages, and what installs from it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::OnceCell;
use waystation::code::Codes;
use waystation::egress::{Egress, Rules};
use waystation::packages::{Environment, Packages, Program, Tools};

/// The index, served until this is dropped.
pub struct Index {
    server: Child,
    port: u16,
    folder: TempDir,
}

impl Index {
    pub fn new() -> Index {
        let folder = TempDir::new().unwrap();
        let mut server = Command::new("python3")
            .args(["-I", "-c", include_str!("index.py")])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(server.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        Index {
            server,
            port,
            folder,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/simple/", self.port)
    }

    /// Gives a file of the index other bytes.
    pub fn change(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"POST /changed HTTP/1.0\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }

    pub fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Whether hostile code left its mark.
    pub fn is_marked(&self) -> bool {
        self.folder.path().join("marker").exists()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A cache of packages, and a program beside which they are pinned.
pub struct Place {
    pub folder: TempDir,
    pub packages: Packages,
    pub told: Arc<Mutex<Vec<String>>>,
}

impl Place {
    pub fn new(tools: Tools) -> Place {
        Place::again(tools, TempDir::new().unwrap())
    }

    /// The same folder, as a new process finds it.
    pub fn again(tools: Tools, folder: TempDir) -> Place {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let tell = Box::new(move |line: &str| tell.lock().unwrap().push(line.to_owned()));
        let packages = Packages::new(tools, folder.path().join("packages"), tell);
        Place {
            folder,
            packages,
            told,
        }
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("packages")
    }

    pub fn lock(&self) -> PathBuf {
        self.folder.path().join("names.lock")
    }

    /// The environment of packages of the program `names.yaml`.
    pub async fn ready(&self, wanted: &[&str]) -> Result<Arc<Environment>, String> {
        let file = self.folder.path().join("names.yaml");
        self.ready_for(wanted, &file).await
    }

    pub async fn ready_for(
        &self,
        wanted: &[&str],
        file: &Path,
    ) -> Result<Arc<Environment>, String> {
        let wanted: Vec<String> = wanted.iter().map(|&one| one.to_owned()).collect();
        let program = Program {
            name: "names.yaml",
            file,
            sets: std::slice::from_ref(&wanted),
        };
        self.packages.ready(&python().await, &wanted, program).await
    }

    /// What was told, with times and sizes left out.
    pub fn told(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(|line| settled(line)).collect()
    }

    /// The names in the cache, in order.
    pub fn cached(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.cache()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A line without the size and the time at its end.
pub fn settled(line: &str) -> String {
    match line
        .rsplit_once("packages, ")
        .or(line.rsplit_once("package, "))
    {
        Some((start, _)) => format!("{start}package(s), …)"),
        None => line.to_owned(),
    }
}

/// What installers are started behind, under these settings.
pub fn codes(flags: &[&str]) -> Arc<Codes> {
    let egress = Arc::new(Egress::new(Rules::default()));
    let mut codes = Codes::new(&crate::support::config(flags), egress);
    codes.launcher = env!("CARGO_BIN_EXE_waystation").into();
    Arc::new(codes)
}

/// The interpreter itself, behind whatever stands for it on the path.
pub async fn python() -> PathBuf {
    static FOUND: OnceCell<PathBuf> = OnceCell::const_new();
    let ask = async { codes(&[]).python().await.unwrap().to_owned() };
    FOUND.get_or_init(|| ask).await.clone()
}

/// Every installer there is, each set to an index.
pub fn tools(index: &str) -> Vec<(&'static str, Tools)> {
    let with = |uv: &Path| Tools {
        walls: codes(&[]),
        uv: uv.to_owned(),
        index: index.to_owned(),
        max_bytes: 10_000_000,
        time: Duration::from_secs(120),
    };
    let pip = ("pip", with(Path::new("/nowhere/uv")));
    let uv = UV.as_deref().map(|uv| ("uv", with(uv)));
    std::iter::once(pip).chain(uv).collect()
}

/// pip alone.
pub fn pip(index: &str) -> Tools {
    tools(index).remove(0).1
}

/// uv: the one on the path, or one that is fetched with pip and kept with what is built.
pub static UV: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uv");
    let mut all = std::env::split_paths(&path).chain([kept.join("bin")]);
    let mut found = all.find_map(|folder| Some(folder.join("uv")).filter(|uv| uv.is_file()));
    if found.is_none() && reaches_pypi() {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary",
            ":all:",
            "uv",
            "--target",
        ]);
        let fetched = pip.arg(&kept).status().is_ok_and(|status| status.success());
        found = fetched.then(|| kept.join("bin/uv"));
    }
    if found.is_none() {
        eprintln!(
            "\n\n*** NOT TESTED WITH UV: it is not on the path, and cannot be fetched ***\n\n"
        );
    }
    found
});

/// Whether the real index can be reached.
pub fn reaches_pypi() -> bool {
    let addresses = "pypi.org:443".to_socket_addrs().into_iter().flatten();
    let reached = addresses
        .take(2)
        .any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok());
    if !reached {
        eprintln!("\n\n*** NOT TESTED WITH THE REAL INDEX: it cannot be reached ***\n\n");
    }
    reached
}
