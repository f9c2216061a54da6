//! What a new process does before it is somebody else's.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use rustix::process::{
    Resource, Rlimit, set_child_subreaper, setpriority_process, setrlimit, setsid,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::calls::Filters;
use super::files::{self, Rules};
use super::folder::Folder;
use super::system;
use crate::isolation::Isolation;

/// The priority of code: everything else on the machine goes before it. The Python that stands ready has the same figure.
const NICE: i32 = 10;

/// What sets a process apart.
pub struct Walls<'a> {
    /// How far it is kept apart.
    pub isolation: Isolation,
    /// Where root starts it: the user it becomes.
    pub user: Option<u32>,
    /// The files it may read.
    pub rules: &'a Rules,
    /// The folders it may write in besides its own.
    pub writable: &'a [PathBuf],
    /// The folders it may read or write in that its own would cover; see [`Folder::enter`].
    pub covered: &'a [PathBuf],
    /// The calls it may make.
    pub filters: &'a Filters,
}

impl Walls<'_> {
    /// Puts this process, which has just been forked, behind the walls. Of its descriptors only `fds` are
    /// left, numbered from 0.
    ///
    /// # Errors
    /// The system's; then the process must end.
    pub fn enter(&self, folder: Option<&Folder>, fds: Vec<OwnedFd>) -> io::Result<()> {
        let apart = self.isolation >= Isolation::Confined;
        start()?;
        set_child_subreaper(Some(rustix::process::getpid()))?;
        // Where the machine is busy, the server has given it a lower one by now, which it cannot raise.
        let _ = setpriority_process(None, NICE);
        if let (Isolation::Jail, Some(folder)) = (self.isolation, folder) {
            system::unshare(libc::CLONE_NEWNS)?;
            folder.enter(self.covered)?;
        }
        let inside = folder.map(Folder::inside);
        std::env::set_current_dir(inside.as_deref().unwrap_or(Path::new("/")))?;
        let rules = match apart {
            true => Some(self.rules(folder)?),
            false => None,
        };
        drop_rights(self.isolation, self.user, None)?;
        if self.isolation > Isolation::None {
            set_no_new_privs(true)?;
        }
        if let Some(rules) = rules {
            system::restrict(std::os::fd::AsFd::as_fd(&rules))?;
        }
        system::arrange(fds)?;
        match apart {
            true => self.filters.apply(),
            false => Ok(()),
        }
    }

    fn rules(&self, folder: Option<&Folder>) -> io::Result<OwnedFd> {
        // In a jail the folders stand in their places by now, and their own are hidden.
        let own: Vec<PathBuf> = match (self.isolation, folder) {
            (Isolation::Jail, Some(_)) => ["/job", "/tmp", "/dev/shm"].map(PathBuf::from).into(),
            (_, folder) => folder.map(Folder::writable).unwrap_or_default(),
        };
        let writable: Vec<&Path> = own
            .iter()
            .chain(self.writable)
            .map(|path| &**path)
            .collect();
        let rules = self.rules.with(&writable)?;
        files::own_process(&rules)?;
        Ok(rules)
    }
}

/// Puts a Python that is to stand ready behind the walls that its children share. What those leave behind is not
/// its to clean up, and goes to the launcher.
///
/// # Errors
/// The system's; then the process must end.
pub fn stand_ready(walls: &Walls<'_>, folders: &Path, fds: Vec<OwnedFd>) -> io::Result<()> {
    start()?;
    std::env::set_current_dir("/")?;
    match walls.isolation {
        Isolation::Jail => {
            drop_rights(Isolation::Jail, None, Some(CapabilitySet::SYS_ADMIN))?;
            set_no_new_privs(true)?;
        }
        isolation => {
            let rules = match isolation {
                Isolation::Confined => Some(walls.rules.with(&[folders])?),
                _ => None,
            };
            drop_rights(isolation, walls.user, None)?;
            if isolation > Isolation::None {
                set_no_new_privs(true)?;
            }
            if let Some(rules) = rules {
                files::own_process(&rules)?;
                system::restrict(std::os::fd::AsFd::as_fd(&rules))?;
            }
        }
    }
    system::arrange(fds)?;
    match walls.isolation >= Isolation::Confined {
        true => walls.filters.apply(),
        false => Ok(()),
    }
}

/// How many descriptors a process may have open: what they hold in the kernel counts for nobody.
const DESCRIPTORS: u64 = 1024;

/// What every new process does first.
fn start() -> io::Result<()> {
    system::plain_signals();
    setsid()?;
    for (resource, most) in [(Resource::Core, 0), (Resource::Nofile, DESCRIPTORS)] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Gives up all rights but `kept`, which outlives the start of a program.
fn drop_rights(
    isolation: Isolation,
    user: Option<u32>,
    kept: Option<CapabilitySet>,
) -> io::Result<()> {
    if isolation == Isolation::Jail {
        let kept = kept.unwrap_or(CapabilitySet::empty());
        for right in CapabilitySet::all()
            .iter()
            .filter(|right| !kept.contains(*right))
        {
            // A kernel may not know the newest.
            let _ = remove_capability_from_bounding_set(right);
        }
        let sets = CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: kept,
        };
        set_capabilities(None, sets)?;
        clear_ambient_capability_set()?;
        for right in kept.iter() {
            configure_capability_in_ambient_set(right, true)?;
        }
    } else if let Some(user) = user {
        set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
    }
    Ok(())
}
