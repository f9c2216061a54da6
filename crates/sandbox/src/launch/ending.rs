//! How processes end: killed when nobody wants them any more, then all that they started, then their files.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::folder::Folder;
use super::{Launcher, State, processes};
use crate::isolation::Isolation;
use crate::message::News;
use crate::wire;

/// How long leftovers are hunted when the launcher ends.
const LAST_HUNT: Duration = Duration::from_secs(2);

/// How long it is tried to delete the files of a process.
const DELETING: Duration = Duration::from_secs(10);

/// A process that has ended, until nothing is left of what it started and of its files.
pub(super) struct Ended {
    id: u64,
    folder: Option<Folder>,
    /// When it is not tried any more.
    until: Instant,
}

impl Ended {
    pub fn new(id: u64, folder: Option<Folder>) -> Ended {
        Ended {
            id,
            folder,
            until: Instant::now() + DELETING,
        }
    }

    /// Tries to delete its files.
    fn delete(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let deleted = folder.delete();
        deleted.or_else(|error| match folder.path().exists() {
            true => Err(error),
            false => Ok(()),
        })
    }
}

impl Launcher<'_> {
    /// Takes note of the end of a process of ours, or of one that is to be cleaned up.
    pub(super) fn ended(&mut self, id: u64) -> io::Result<()> {
        let Some(process) = self.processes.get_mut(&id) else {
            return Ok(());
        };
        if process.own {
            processes::end_group(process.pid);
            let of = WaitId::PidFd(process.descriptor.as_fd());
            let status = waitid(of, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            let status = status.ok().flatten().map_or(0, |status| {
                let exited = status.exit_status().map(|code| code << 8);
                exited.or(status.terminating_signal()).unwrap_or(0)
            });
            wire::send(&self.server, &News::Ended { id, status }, &[])?;
        }
        match process.state {
            State::Ending => self.clean(id),
            _ => process.state = State::Ended,
        }
        Ok(())
    }

    pub(super) fn end(&mut self, id: u64) {
        let Some(process) = self.processes.get_mut(&id) else {
            let asked = self
                .parent
                .as_mut()
                .and_then(|parent| parent.asked.get_mut(&id));
            if let Some((_, wanted)) = asked {
                *wanted = false;
            }
            return;
        };
        match process.state {
            State::Ended => self.clean(id),
            State::Ending => {}
            State::Running => {
                let _ = pidfd_send_signal(&process.descriptor, Signal::KILL);
                // Whoever waits for it does the same, but in its own time.
                processes::end_group(process.pid);
                process.state = State::Ending;
            }
        }
    }

    /// Has what a process left behind cleaned up.
    fn clean(&mut self, id: u64) {
        if let Some(process) = self.processes.remove(&id) {
            self.ending.push(Ended::new(id, process.folder));
        }
    }

    /// Ends what processes left behind that have ended, and deletes their files. What could not be ended yet
    /// is hunted again the next time: files are deleted when nobody is left who could change them meanwhile. What
    /// could not be deleted is tried again too, for a while.
    pub(super) fn tidy(&mut self) -> io::Result<()> {
        if self.ending.is_empty() {
            return Ok(());
        }
        let own = self.processes.values().filter(|process| process.own);
        let parent = self.parent.iter().map(|parent| parent.pid);
        let known: Vec<Pid> = own.map(|process| process.pid).chain(parent).collect();
        if !processes::sweep(&known) {
            return Ok(());
        }
        for ended in std::mem::take(&mut self.ending) {
            let id = ended.id;
            match ended.delete() {
                Err(_) if Instant::now() <= ended.until => self.ending.push(ended),
                deleted => {
                    let why = deleted.err().map(|error| error.to_string());
                    wire::send(&self.server, &News::Gone { id, why }, &[])?;
                }
            }
        }
        Ok(())
    }

    /// Ends everything. In a jail the end of the launcher is the end of all.
    pub(super) fn leave(&mut self) {
        if self.launch.isolation == Isolation::Jail {
            return;
        }
        let until = Instant::now() + LAST_HUNT;
        while !processes::sweep(&[]) && Instant::now() < until {}
        let asked = self
            .parent
            .iter_mut()
            .flat_map(|parent| parent.asked.drain());
        let asked = asked.map(|(_, (folder, _))| Some(folder));
        let running = self.processes.drain().map(|(_, process)| process.folder);
        let ending = self.ending.drain(..).map(|ended| ended.folder);
        for folder in running.chain(ending).chain(asked).flatten() {
            let _ = folder.delete();
        }
        let _ = std::fs::remove_dir(&self.folders);
    }
}
