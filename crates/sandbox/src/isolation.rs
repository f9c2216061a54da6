//! How far code is kept apart.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far code is kept apart from the machine and from other code; the further the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Not at all: a folder of its own, limits, and an end.
    None,
    /// By the rights of the user it runs as, with a clean environment.
    Limited,
    /// By Landlock and seccomp: no foreign files and processes, no tools for more rights.
    Confined,
    /// In namespaces with a file system, processes and a network of its own, and by Landlock and seccomp.
    Jail,
}

impl Isolation {
    /// All of them, the strongest first.
    pub const ALL: [Isolation; 4] = [
        Isolation::Jail,
        Isolation::Confined,
        Isolation::Limited,
        Isolation::None,
    ];

    /// Its name in settings and records.
    pub fn name(self) -> &'static str {
        match self {
            Isolation::None => "none",
            Isolation::Limited => "limited",
            Isolation::Confined => "confined",
            Isolation::Jail => "jail",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Isolation, String> {
        let found = Isolation::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| "write `jail`, `confined`, `limited` or `none`".to_owned())
    }
}

/// What of the network code can reach; the more the larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing.
    None,
    /// What the server's proxy lets it reach.
    Proxy,
    /// All that the machine can reach.
    Host,
}

impl Network {
    /// All of them, the least first.
    pub const ALL: [Network; 3] = [Network::None, Network::Proxy, Network::Host];

    /// Its name in settings and programs.
    pub fn name(self) -> &'static str {
        match self {
            Network::None => "none",
            Network::Proxy => "proxy",
            Network::Host => "host",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let found = Network::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| "write `none`, `proxy` or `host`".to_owned())
    }
}
