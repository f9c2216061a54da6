//! Which files code may read and write: Landlock.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
};

/// The newest rules that are asked for; an older kernel keeps those it knows.
const NEWEST: ABI = ABI::V10;
/// What code may do with the devices it sees: writing to them may mean truncating them.
const DEVICE: BitFlags<AccessFs> =
    landlock::make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate | IoctlDev});

const READABLE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
];
/// Of a jail's `/etc` everything is harmless; of the machine's own only this.
const ETC: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
];
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// What all processes of a launcher may read, opened once.
pub struct Rules {
    readable: Vec<PathFd>,
    devices: Vec<PathFd>,
    /// The one port that may be connected to, where the network is not a namespace's.
    port: Option<u16>,
}

impl Rules {
    /// The rules: the system's files, `readable`, and one port of loopback where that is all there is to be.
    pub fn new(readable: &[PathBuf], port: Option<u16>) -> Rules {
        let paths = READABLE.iter().chain(ETC).map(Path::new);
        let paths = paths.chain(readable.iter().map(|path| &**path));
        Rules {
            readable: paths.filter_map(|path| PathFd::new(path).ok()).collect(),
            devices: DEVICES
                .iter()
                .filter_map(|path| PathFd::new(path).ok())
                .collect(),
            port,
        }
    }

    /// The rules for a process that may also write in some folders; it takes them on with
    /// `landlock_restrict_self`.
    ///
    /// # Errors
    /// When this kernel has no Landlock.
    pub fn with(&self, writable: &[&Path]) -> io::Result<OwnedFd> {
        let failed = |error: landlock::RulesetError| io::Error::other(error.to_string());
        let all = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))
            .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
            .map_err(failed)?;
        if self.port.is_some() {
            rules = rules
                .handle_access(AccessNet::from_all(NEWEST))
                .map_err(failed)?;
        }
        let mut rules = rules.create().map_err(failed)?;
        for path in &self.readable {
            let rule = PathBeneath::new(path.as_fd(), AccessFs::from_read(NEWEST));
            rules = rules.add_rule(rule).map_err(failed)?;
        }
        for path in &self.devices {
            rules = rules
                .add_rule(PathBeneath::new(path.as_fd(), DEVICE))
                .map_err(failed)?;
        }
        for path in writable {
            let path = PathFd::new(path).map_err(|error| io::Error::other(error.to_string()))?;
            rules = rules
                .add_rule(PathBeneath::new(path, all))
                .map_err(failed)?;
        }
        if let Some(port) = self.port {
            let rule = NetPort::new(port, AccessNet::ConnectTcp);
            rules = rules.add_rule(rule).map_err(failed)?;
        }
        Option::<OwnedFd>::from(rules)
            .ok_or_else(|| io::Error::other("this kernel has no Landlock, or it is switched off"))
    }
}

/// Adds that the process may read what the system says about it itself.
pub fn own_process(rules: &OwnedFd) -> io::Result<()> {
    super::system::allow_reading(rules.as_fd(), Path::new("/proc/self"))
}
