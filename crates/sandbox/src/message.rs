//! What server and launcher say to each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::isolation::{Isolation, Network};

/// The first message to a launcher: the walls it is to build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// How far code is kept apart.
    pub isolation: Isolation,
    /// What of the network it can reach.
    pub network: Network,
    /// The user that code runs as; needed where the launcher is root, which code never is.
    pub user: Option<u32>,
    /// Below a jail: the folder in which every run gets one of its own. The launcher deletes it.
    pub folder: Option<PathBuf>,
    /// Below a jail: the port on loopback that leads to the proxy.
    pub proxy: Option<u16>,
    /// The folders that code may read besides the system's own.
    pub readable: Vec<PathBuf>,
    /// The folders that code may write in besides its own.
    pub writable: Vec<PathBuf>,
    /// How many bytes the files of a run may come to.
    pub disk: u64,
    /// The Python that is to stand ready.
    pub python: Option<Python>,
}

/// A Python that stands ready to be forked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Python {
    /// The interpreter.
    pub path: PathBuf,
    /// The code that serves one run: it defines `serve(channel)`, and finds the folder of packages in `site`.
    pub driver: String,
    /// The folder of packages that code can import.
    pub site: Option<PathBuf>,
    /// The modules that are imported beforehand, those that can be.
    pub modules: Vec<String>,
}

/// What the server asks of a launcher.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Start a process. The descriptors that come along become its channel, its standard output, its standard
    /// error and, if there is a fourth, the one after the channel.
    Start {
        /// What the server calls the process.
        id: u64,
        /// What it is to do.
        work: Work,
    },
    /// Let the files of a process come to so many bytes.
    Disk {
        /// The process.
        id: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// End a process, all that it started, and its files.
    End {
        /// The process.
        id: u64,
    },
}

/// What a process is to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Work {
    /// Serve a run with the Python that stands ready.
    Python,
    /// Do the work of this name, which the binary has.
    Worker(String),
}

/// What a launcher tells the server.
#[derive(Debug, Serialize, Deserialize)]
pub enum News {
    /// The walls stand. In a jail with a proxy the listening socket in it comes along.
    Ready {
        /// The packages' modules that could not be imported beforehand, each with the reason.
        unready: Vec<String>,
    },
    /// The walls cannot be built, or the Python does not start.
    Refused {
        /// What failed.
        why: String,
    },
    /// A process has started; a descriptor for it comes along.
    Started {
        /// The process.
        id: u64,
        /// Its folder, as it sees it.
        folder: PathBuf,
    },
    /// A process could not be started.
    Failed {
        /// The process.
        id: u64,
        /// What failed.
        why: String,
    },
    /// How many bytes the files of a process may come to is as was asked for, or why it is not.
    Resized {
        /// The process.
        id: u64,
        /// What failed.
        why: Option<String>,
    },
    /// A process has ended.
    Ended {
        /// The process.
        id: u64,
        /// Its status, as `wait` gives it.
        status: i32,
    },
    /// A process is gone, with all that it started and its files.
    Gone {
        /// The process.
        id: u64,
        /// Why its files could not be deleted, if they could not.
        why: Option<String>,
    },
}
