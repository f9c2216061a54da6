//! Runs the installers of packages behind the same walls as code.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::lchown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::host::Boxed;
use sandbox::isolation::Network;
use sandbox::launch::Entrance;
use sandbox::message::{Launch, Work};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Codes, exchange, isolation};
use crate::code::launcher::Launcher;
use crate::egress::Scope;
use crate::packages::installer::{Installer, MAX_OUTPUT, Output, Walls};

/// What the worker is called.
pub const INSTALL: &str = "install";

/// The user of a server that is root whom packages are installed by.
const USER: u32 = 198;

/// What the process is told.
#[derive(Serialize, Deserialize)]
struct Request {
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
    folder: PathBuf,
}

impl Walls for Codes {
    fn install<'a>(&'a self, installer: Installer) -> Boxed<'a, Result<Output, String>> {
        Box::pin(self.installed(installer))
    }
}

impl Codes {
    async fn installed(&self, installer: Installer) -> Result<Output, String> {
        let launch = self.installing(&installer).await?;
        if let Some(user) = launch.user {
            give(&installer.writes, user)
                .map_err(|error| format!("the folder of packages cannot be given away: {error}"))?;
        }
        let inside = launch.isolation == sandbox::isolation::Isolation::Jail;
        let leave = self
            .proxy
            .leave(inside, Scope::Hosts(installer.hosts.clone()))
            .await?;
        let ready = Launcher::start(&self.launcher, launch).await?;
        let served = ready.proxy.map(|listener| self.proxy.serve(listener));
        let _served = served.transpose()?;
        let work = Work::Worker(INSTALL.to_owned());
        let mut process = ready.launcher.process(work, false).await?;
        let request = serde_json::to_vec(&request(&installer, leave.environment()));
        let _ = exchange::send(&mut process.channel, &request.unwrap_or_default()).await;
        let (out, error) = &mut process.output;
        let (out, error, status) = tokio::join!(last(out), last(error), &mut process.ended);
        Ok(Output {
            success: status == Ok(0),
            text: format!("{out}\n{error}"),
            refused: leave.refused(),
        })
    }

    /// The walls for an installer.
    async fn installing(&self, installer: &Installer) -> Result<Launch, String> {
        let isolation = self.allowed().await?;
        let mut readable = self.python.readable().await?;
        readable.extend(installer.reads.iter().cloned());
        Ok(Launch {
            isolation,
            network: Network::Proxy,
            user: isolation::user(USER),
            folder: None,
            proxy: self.port(isolation, Network::Proxy).await?,
            readable,
            writable: vec![installer.writes.clone()],
            disk: self.config.code_disk.bytes(),
            python: None,
        })
    }
}

/// Makes a folder and what stands in it a user's own. Links are not followed.
fn give(folder: &Path, user: u32) -> io::Result<()> {
    lchown(folder, Some(user), Some(user))?;
    for entry in std::fs::read_dir(folder)? {
        lchown(entry?.path(), Some(user), Some(user))?;
    }
    Ok(())
}

fn request(installer: &Installer, proxy: Vec<(String, String)>) -> Request {
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let own = installer
        .environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), text(value)));
    Request {
        argv: installer.argv.iter().map(|word| text(word)).collect(),
        environment: own.chain(proxy).collect(),
        folder: installer.writes.clone(),
    }
}

/// Becomes an installer.
pub fn work(entrance: Entrance<'_>) {
    let (channel, _) = entrance.enter();
    let Some(request) = exchange::asked::<Request>(&mut UnixStream::from(channel)) else {
        return;
    };
    let Some((program, arguments)) = request.argv.split_first() else {
        return;
    };
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(sandbox::launch::environment())
        .envs(request.environment)
        .current_dir(request.folder)
        .exec();
    eprintln!("`{program}` cannot be started: {error}");
    std::process::exit(125)
}

/// Reads to the end, and keeps the last of it.
async fn last(reader: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut text, mut part) = (Vec::new(), vec![0; 16 << 10]);
    while let Ok(length @ 1..) = reader.read(&mut part).await {
        text.extend_from_slice(&part[..length]);
        if text.len() > 2 * MAX_OUTPUT {
            text.drain(..text.len() - MAX_OUTPUT);
        }
    }
    text.drain(..text.len().saturating_sub(MAX_OUTPUT));
    String::from_utf8_lossy(&text).into_owned()
}
