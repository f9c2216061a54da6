//! Which isolation the machine offers, found out by trying to break it.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::Duration;

use sandbox::isolation::{Isolation, Network};
use sandbox::launch::Entrance;
use sandbox::message::{Launch, Work};
use sandbox::probe::{self, ATTEMPTS, Finding, Stage};

use super::exchange::{self, Frame};
use super::launcher::Launcher;

/// The users that code runs as where the server is root, one for each account and set of packages.
const USERS: std::ops::Range<u32> = 64_200..64_400;

/// How long the self-test of one isolation may take.
const TEST: Duration = Duration::from_secs(20);

/// The most that the findings of a self-test may come to as JSON, in bytes.
const FINDINGS: usize = 1 << 20;

/// What the worker of the self-test is called.
pub const PROBE: &str = "probe";

/// What the machine offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The strongest isolation that passed its self-test.
    pub isolation: Isolation,
    /// How many attempts to break it were stopped.
    pub stopped: usize,
    /// Why the stronger ones are not offered.
    pub reasons: Vec<(Isolation, String)>,
}

/// The user of a number, where the server is root and code needs one.
pub fn user(number: u32) -> Option<u32> {
    rustix::process::geteuid()
        .is_root()
        .then(|| USERS.start + number % (USERS.end - USERS.start))
}

impl Offer {
    /// Tries every isolation from `most` down, and gives the first that passes its self-test.
    pub async fn find(program: &Path, most: Isolation) -> Offer {
        let mut reasons = Vec::new();
        for isolation in Isolation::ALL.into_iter().filter(|one| *one <= most) {
            match test(program, isolation).await {
                Ok(stopped) => {
                    return Offer {
                        isolation,
                        stopped,
                        reasons,
                    };
                }
                Err(why) => reasons.push((isolation, why)),
            }
        }
        Offer {
            isolation: Isolation::None,
            stopped: 0,
            reasons,
        }
    }

    /// What it means for people, in a few sentences.
    pub fn told(&self) -> String {
        let reason = self.reasons.last().map(|(_, why)| &**why);
        let because = reason
            .map(|why| format!(" Reason: {why}."))
            .unwrap_or_default();
        match self.isolation {
            Isolation::Jail => format!(
                "Code steps: isolated. Own file system, processes and network; {0} of {0} self-tests passed.",
                self.stopped
            ),
            Isolation::Confined => format!(
                "Code steps: partly isolated. They cannot read other files or processes. They share this machine's network \
                 addresses and socket files.{because} To get full isolation: see `waystation doctor`."
            ),
            Isolation::Limited => {
                let user = std::env::var("USER").ok().filter(|name| !name.is_empty());
                let user = user.unwrap_or_else(|| rustix::process::geteuid().as_raw().to_string());
                format!(
                    "Code steps: NOT isolated. They run with the rights of user \"{user}\": everything that user can read, a \
                     program can read. Only run programs you trust.{because}"
                )
            }
            Isolation::None => format!(
                "Code steps: NOT isolated. Nothing but limits holds them. Only run programs you trust.{because}"
            ),
        }
    }

    /// Why code is refused where this is less than `minimum`.
    pub fn refusal(&self, minimum: Isolation) -> Option<String> {
        (self.isolation < minimum).then(|| {
            let mut text = format!(
                "this machine offers the isolation `{}`, and the setting `sandbox-minimum` asks for `{minimum}`",
                self.isolation
            );
            for (isolation, why) in &self.reasons {
                let _ = write!(text, "; no `{isolation}`: {why}");
            }
            text
        })
    }
}

/// Tests one isolation; gives how many attempts it stopped.
///
/// # Errors
/// Why it is not offered.
async fn test(program: &Path, isolation: Isolation) -> Result<usize, String> {
    let launch = Launch {
        isolation,
        network: Network::None,
        user: user(USERS.end - USERS.start - 1),
        folder: None,
        proxy: None,
        readable: Vec::new(),
        writable: Vec::new(),
        disk: 1 << 20,
        python: None,
    };
    let findings = tokio::time::timeout(TEST, probed(program, launch)).await;
    let findings = findings.map_err(|_| format!("its self-test took longer than {TEST:?}"))??;
    if isolation < Isolation::Confined {
        return Ok(0);
    }
    let jail = isolation == Isolation::Jail;
    let needed = |tiers: &probe::Tiers| if jail { tiers.jail } else { tiers.confined };
    let holes: Vec<&str> = probe::holes(&findings, needed)
        .iter()
        .map(|finding| &*finding.attempt)
        .collect();
    match &*holes {
        [] => Ok(ATTEMPTS
            .iter()
            .filter(|attempt| needed(&attempt.needed_in))
            .count()),
        holes => Err(format!(
            "its self-test found that code can {}",
            holes[..holes.len().min(3)].join(", or ")
        )),
    }
}

/// Lets the probe loose behind the walls, and gives what came through.
pub async fn probed(program: &Path, launch: Launch) -> Result<Vec<Finding>, String> {
    let failed = |error: io::Error| format!("its self-test cannot be set up: {error}");
    let user = launch.user;
    let set = move || match user {
        Some(user) => Stage::set_for(user, user),
        None => Stage::set(),
    };
    let stage = blocking(set).await?.map_err(failed)?;
    let ready = Launcher::start(program, launch).await?;
    let work = Work::Worker(PROBE.to_owned());
    let mut process = ready.launcher.process(work, false).await?;
    let bait = serde_json::to_vec(&stage.bait()).unwrap_or_default();
    let _ = exchange::send(&mut process.channel, &bait).await;
    let findings = match exchange::receive(&mut process.channel, FINDINGS).await {
        Frame::Outputs(text) => serde_json::from_slice(&text).unwrap_or_default(),
        _ => Vec::new(),
    };
    // What the processes hold open is closed before the stage looks who came.
    drop((process, ready));
    blocking(move || stage.verdicts(findings)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| "its self-test ended before its time".to_owned())
}

/// Is the probe: reads what it is let loose on, and answers what came through.
pub fn attack(entrance: Entrance<'_>) {
    let (channel, _) = entrance.enter();
    let mut channel = std::os::unix::net::UnixStream::from(channel);
    if let Some(bait) = exchange::asked(&mut channel) {
        let findings = serde_json::to_vec(&probe::run(&bait)).unwrap_or_default();
        let _ = exchange::answer(&mut channel, b'o', &findings);
    }
}
