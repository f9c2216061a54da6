//! What decides which packages fit a Python.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// Prints the interpreter itself, its version, and what its compiled packages are built for.
const ASK: &str = "\
import sys, sysconfig
print(sys.executable)
print('%d.%d' % sys.version_info[:2])
print(sysconfig.get_platform(), sysconfig.get_config_var('SOABI') or sys.implementation.cache_tag)
";

/// A Python that packages are installed for.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// The interpreter.
    pub path: PathBuf,
    /// Its version, without the last number: `3.11`.
    pub version: String,
    /// What its compiled packages are built for: `linux-x86_64 cpython-311-x86_64-linux-gnu`.
    pub platform: String,
}

impl Interpreter {
    /// Asks an interpreter what it is.
    ///
    /// # Errors
    /// The sentence that says why it does not answer.
    pub async fn ask(path: &Path) -> Result<Interpreter, String> {
        let mut command = Command::new(path);
        command
            .args(["-I", "-c", ASK])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.map_err(|error| {
            format!(
                "Python cannot be started: `{}`: {error}; the setting `python` names it",
                path.display()
            )
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines().map(str::to_owned);
        match (lines.next(), lines.next(), lines.next()) {
            (Some(path), Some(version), Some(platform)) => Ok(Interpreter {
                path: path.into(),
                version,
                platform,
            }),
            _ => Err(format!(
                "`{}` does not say which Python it is; the setting `python` names it",
                path.display()
            )),
        }
    }

    /// What decides which packages fit, on one line.
    pub fn key(&self) -> String {
        format!("Python {} {}", self.version, self.platform)
    }
}
