//! Attempts at the files of others.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::pread;

use super::child::{Stopped, Tried};
use super::{Trial, processes};

/// Up from any folder to the root.
const UP: &str = "../../../../../../../../../../../../../../../..";
/// Below this number lie the descriptors that a process may well have inherited.
const DESCRIPTORS: RawFd = 1024;

pub fn read_secret(trial: &Trial) -> Tried {
    trial.expect_secret(&fs::read(&trial.bait.secret_file)?)
}

pub fn read_by_own_root(trial: &Trial) -> Tried {
    read_below(trial, "/proc/self/root")
}

pub fn read_by_own_folder(trial: &Trial) -> Tried {
    read_below(trial, &format!("/proc/self/cwd/{UP}"))
}

pub fn read_by_any_root(trial: &Trial) -> Tried {
    let mut last = Stopped::from("no other process to be seen");
    for process in processes::visible()? {
        match read_below(trial, &format!("/proc/{process}/root")) {
            Ok(got) => return Ok(got),
            Err(stopped) => last = stopped,
        }
    }
    Err(last)
}

fn read_below(trial: &Trial, root: &str) -> Tried {
    let path = format!("{root}{}", trial.bait.secret_file.display());
    trial.expect_secret(&fs::read(path)?)
}

pub fn read_by_inherited(trial: &Trial) -> Tried {
    let path = format!("{UP}{}", trial.bait.secret_file.display());
    inherited(trial, |descriptor| {
        let file = openat(descriptor, &*path, OFlags::RDONLY, Mode::empty())?;
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes)?;
        trial.expect_secret(&bytes)
    })
}

pub fn read_descriptor(trial: &Trial) -> Tried {
    inherited(trial, |descriptor| {
        // Reading from anything else could wait, or take away what somebody else is to read.
        if FileType::from_raw_mode(fstat(descriptor)?.st_mode) != FileType::RegularFile {
            return Err(Stopped::from("no file"));
        }
        let mut bytes = vec![0; 4096];
        let length = pread(descriptor, &mut bytes, 0)?;
        trial.expect_secret(&bytes[..length])
    })
}

/// The first descriptor that gives something away.
fn inherited(trial: &Trial, attempt: impl Fn(BorrowedFd) -> Tried) -> Tried {
    let leaked = [trial.bait.leaked_fd, trial.bait.leaked_folder];
    let numbers =
        (0..DESCRIPTORS).chain(leaked.into_iter().filter(|number| *number >= DESCRIPTORS));
    for number in numbers {
        // SAFETY: a number that is not open is an error of the calls made with it, and nothing closes one meanwhile.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(got) = attempt(descriptor) {
            return Ok(format!("{got}, at descriptor {number}"));
        }
    }
    Err(Stopped::from("no descriptor leads there"))
}

pub fn list_foreign(trial: &Trial) -> Tried {
    list(&trial.bait.foreign_folder)
}

pub fn read_foreign(trial: &Trial) -> Tried {
    trial.expect_secret(&fs::read(trial.bait.foreign_folder.join("result"))?)
}

pub fn list(folder: &Path) -> Tried {
    match fs::read_dir(folder)?.next() {
        Some(entry) => Ok(format!("`{}`", entry?.path().display())),
        None => Err(Stopped::from("empty")),
    }
}

/// Makes a file and takes it away again.
pub fn write(trial: &Trial, folder: &Path) -> Tried {
    let got = plant(trial, folder)?;
    let _ = fs::remove_file(folder.join(&trial.bait.planted));
    Ok(got)
}

/// Makes a file that the host looks for, and takes away.
pub fn plant(trial: &Trial, folder: &Path) -> Tried {
    let path = folder.join(&trial.bait.planted);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    Ok(format!("made `{}`", path.display()))
}

pub fn hard_link(trial: &Trial) -> Tried {
    linked(trial, |link| fs::hard_link(&trial.bait.secret_file, link))
}

pub fn symbolic_link(trial: &Trial) -> Tried {
    linked(trial, |link| {
        std::os::unix::fs::symlink(&trial.bait.secret_file, link)
    })
}

fn linked(trial: &Trial, make: impl FnOnce(&PathBuf) -> std::io::Result<()>) -> Tried {
    let link = trial.bait.writable_outside.join(&trial.bait.planted);
    make(&link)?;
    let _ = fs::remove_file(&link);
    Ok(format!("made `{}`", link.display()))
}

/// Sets the mode that the stage gave the file.
pub fn change_mode(trial: &Trial) -> Tried {
    fs::set_permissions(&trial.bait.secret_file, fs::Permissions::from_mode(0o644))?;
    Ok("changed".to_owned())
}

/// Opens a file and does no more.
pub fn open(path: &str, write: bool) -> Tried {
    OpenOptions::new().read(!write).write(write).open(path)?;
    Ok("opened".to_owned())
}

pub fn open_disk(_: &Trial) -> Tried {
    let mut last = Stopped::from("no disk to be seen");
    for entry in fs::read_dir("/dev")?.flatten() {
        let path = entry.path();
        if !entry.file_type()?.is_block_device() {
            continue;
        }
        match File::open(&path) {
            Ok(_) => return Ok(format!("opened `{}`", path.display())),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Addresses that the kernel hides are written as zeros. The first few are zero in any case.
pub fn kernel_addresses(_: &Trial) -> Tried {
    for line in BufReader::new(File::open("/proc/kallsyms")?)
        .lines()
        .take(1000)
    {
        let line = line?;
        let address = line.split(' ').next().unwrap_or_default();
        if address.bytes().any(|digit| digit != b'0') {
            return Ok(line);
        }
    }
    Err(Stopped::from("zeros"))
}
