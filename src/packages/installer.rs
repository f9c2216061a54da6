//! The one door through which the processes that install packages are started.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::install::Tools;

/// The most that is kept of what an installer writes, in bytes of each of its two outputs: the last.
const MAX_OUTPUT: usize = 256 << 10;

/// A process that installs packages, about to start.
#[derive(Clone, Debug)]
pub struct Installer {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Its environment beside `PATH` and `LANG`; it has no other.
    pub environment: Vec<(&'static str, OsString)>,
    /// The folders it may write in; it starts in the first.
    pub writes: Vec<PathBuf>,
    /// The hosts it may reach.
    pub hosts: Vec<String>,
}

/// How an installer ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether it did what it was started for.
    pub success: bool,
    /// The last it wrote to standard output and then to standard error.
    pub text: String,
}

impl Tools {
    /// Runs an installer to its end. Dropping the future kills it and what it started.
    ///
    /// # Errors
    /// The sentence that says why it cannot be started.
    pub async fn installer(&self, installer: Installer) -> Result<Output, String> {
        let [program, args @ ..] = &installer.argv[..] else {
            return Err("there is nothing to install packages with".to_owned());
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(installer.environment)
            .env("LANG", "C.UTF-8");
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = installer.writes.first() {
            command.current_dir(folder);
        }
        let failed = |error| format!("`{}` cannot be started: {error}", program.display());
        let mut child = command.process_group(0).spawn().map_err(failed)?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
        let (out, error) = (child.stdout.take(), child.stderr.take());
        let ended = async {
            let status = child.wait().await;
            // What it may have left behind would keep the outputs open.
            drop(group);
            status
        };
        let (out, error, status) = tokio::join!(last(out), last(error), ended);
        Ok(Output {
            success: status.is_ok_and(|status| status.success()),
            text: format!("{out}\n{error}"),
        })
    }
}

/// A process group; dropping it kills it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// Reads to the end, and keeps the last of it.
async fn last(reader: Option<impl AsyncRead + Unpin>) -> String {
    let (mut text, mut part) = (Vec::new(), vec![0; 16 << 10]);
    let Some(mut reader) = reader else {
        return String::new();
    };
    while let Ok(length @ 1..) = reader.read(&mut part).await {
        text.extend_from_slice(&part[..length]);
        if text.len() > 2 * MAX_OUTPUT {
            text.drain(..text.len() - MAX_OUTPUT);
        }
    }
    text.drain(..text.len().saturating_sub(MAX_OUTPUT));
    String::from_utf8_lossy(&text).into_owned()
}
