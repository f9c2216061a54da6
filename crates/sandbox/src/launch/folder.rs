//! The folder of a process: where it works, and what is deleted after it.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};

use super::{jail, removal};
use crate::message::Launch;

/// How many files and folders a process may have in its folder.
pub const FILES: u32 = 4096;

/// The folder of a process. In a jail it is a file system of its own, as large as it may grow.
pub struct Folder {
    path: PathBuf,
    jailed: bool,
}

/// What of a folder stands where in a jail.
const PLACES: [(&str, &str); 3] = [("job", "/job"), ("tmp", "/tmp"), ("shm", "/dev/shm")];

impl Folder {
    /// A new one in `parent`, for `bytes` at most, which belongs to `user` if one is named.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        parent: &Path,
        id: u64,
        bytes: Option<u64>,
        user: Option<u32>,
    ) -> io::Result<Folder> {
        let path = parent.join(id.to_string());
        fs::create_dir(&path)?;
        let folder = Folder {
            path,
            jailed: bytes.is_some(),
        };
        if let Some(bytes) = bytes {
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount(
                "tmpfs",
                &folder.path,
                "tmpfs",
                flags,
                Some(&*options(bytes)),
            )?;
        }
        for name in folder.names() {
            let path = folder.path.join(name);
            fs::create_dir(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            if user.is_some() {
                chown(&path, user, user)?;
            }
        }
        Ok(folder)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        let places = if self.jailed { 3 } else { 2 };
        PLACES.iter().take(places).map(|(name, _)| *name)
    }

    /// Where it is, as the launcher sees it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its process may write in, as the launcher sees it.
    pub fn writable(&self) -> Vec<PathBuf> {
        self.names().map(|name| self.path.join(name)).collect()
    }

    /// The folder that its process works in, as the process sees it.
    pub fn inside(&self) -> PathBuf {
        match self.jailed {
            true => PathBuf::from("/job"),
            false => self.path.join("job"),
        }
    }

    /// The folder for what is temporary, as the process sees it.
    pub fn temporary(&self) -> PathBuf {
        match self.jailed {
            true => PathBuf::from("/tmp"),
            false => self.path.join("tmp"),
        }
    }

    /// Puts the folder in its places, and hides all other folders. What is `covered` by one of them stays where
    /// it was. In a jail only, and by a process that has mounts of its own.
    pub fn enter(&self, covered: &[PathBuf]) -> io::Result<()> {
        // What is mounted in it from here on is not seen by others.
        mount_change(&self.path, MountPropagationFlags::DOWNSTREAM)?;
        for path in covered {
            let place = self.path.join(path.strip_prefix("/").unwrap_or(path));
            match path.is_dir() {
                true => fs::create_dir_all(&place)?,
                false => {
                    fs::create_dir_all(place.parent().unwrap_or(&place))?;
                    fs::write(&place, "")?;
                }
            }
            mount_bind_recursive(path, &place)?;
        }
        for (name, place) in PLACES {
            mount_bind_recursive(self.path.join(name), place)?;
        }
        mount_change(jail::RUNS, MountPropagationFlags::DOWNSTREAM)?;
        Ok(mount_bind("/empty", jail::RUNS)?)
    }

    /// Lets it grow to so many bytes. Below a jail nothing is done: there it is looked at from time to time.
    ///
    /// # Errors
    /// The system's.
    pub fn resize(&self, bytes: u64) -> io::Result<()> {
        match self.jailed {
            true => Ok(mount_remount(
                &self.path,
                MountFlags::NOSUID | MountFlags::NODEV,
                &*options(bytes),
            )?),
            false => Ok(()),
        }
    }

    /// Deletes it with all that is in it.
    ///
    /// # Errors
    /// The system's.
    pub fn delete(&self) -> io::Result<()> {
        if self.jailed {
            // It may have been before, where only the folder could not be removed.
            let _ = unmount(&self.path, UnmountFlags::DETACH);
            return fs::remove_dir(&self.path);
        }
        removal::delete(&self.path)
    }
}

/// Which of the folders and files that a process may use its own folder covers in a jail, without what is in
/// another of them.
pub fn covered(launch: &Launch) -> Vec<PathBuf> {
    let mut covered: Vec<PathBuf> = Vec::new();
    for path in launch.readable.iter().chain(&launch.writable) {
        let inside = path.starts_with("/tmp") || path.starts_with("/job");
        let known = covered.iter().any(|folder| path.starts_with(folder));
        if inside && !known && path.exists() {
            covered.push(path.clone());
        }
    }
    covered
}

fn options(bytes: u64) -> CString {
    CString::new(format!("size={bytes},nr_inodes={FILES},mode=755")).unwrap_or_default()
}
