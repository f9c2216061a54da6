//! Attempts at rights that the code was not given.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{FsOpenFlags, OpenTreeFlags, UnmountFlags};
use rustix::process::{Gid, PidfdFlags, Uid, WaitOptions, getpid, getuid, pidfd_open, waitpid};
use rustix::thread::{ThreadNameSpaceType, set_thread_groups, set_thread_res_uid};

use super::Trial;
use super::child::{Stopped, Tried};
use super::kernel::{self, address, call, reached};

/// `CLONE_NEWTIME`, a number that `clone` takes for a signal.
pub const NEW_TIME: i32 = 0x80;
/// The user `nobody`, who is there on every machine and is nobody's slot.
const NOBODY: u32 = 65534;

fn done() -> Tried {
    Ok("done".to_owned())
}

/// Without `PR_SET_NO_NEW_PRIVS` any program that lends rights, such as `su`, is a way to them.
pub fn may_gain() -> Tried {
    match rustix::thread::no_new_privs()? {
        true => Err(Stopped::from("no new privileges")),
        false => Ok("new privileges are allowed".to_owned()),
    }
}

pub fn run_setuid(trial: &Trial) -> Tried {
    let program = trial
        .bait
        .setuid_program
        .as_ref()
        .ok_or("the host is not root")?;
    if getuid().is_root() {
        return Err(Stopped::from("root already"));
    }
    match Command::new(program).env_clear().status()?.code() {
        Some(1) => Ok("root".to_owned()),
        _ => Err(Stopped::from("the rights were not lent")),
    }
}

pub fn capabilities() -> Tried {
    let held = rustix::thread::capabilities(None)?.effective;
    match held.is_empty() {
        true => Err(Stopped::from("none")),
        false => Ok(format!("{:#x}", held.bits())),
    }
}

pub fn become_root() -> Tried {
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    done()
}

pub fn become_another() -> Tried {
    let nobody = Uid::from_raw(NOBODY);
    if getuid() == nobody {
        return become_root();
    }
    set_thread_res_uid(nobody, nobody, nobody)?;
    done()
}

pub fn join_group() -> Tried {
    set_thread_groups(&[Gid::ROOT])?;
    done()
}

/// The device is the one that is always empty.
pub fn make_device(trial: &Trial) -> Tried {
    let mut last = Stopped::from("no folder");
    for folder in [
        Path::new("."),
        Path::new("/tmp"),
        &trial.bait.writable_outside,
    ] {
        let path = folder.join(format!("{}-device", trial.bait.planted));
        match mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            Mode::RUSR,
            makedev(1, 3),
        ) {
            Ok(()) => {
                let _ = std::fs::remove_file(&path);
                return Ok(format!("made `{}`", path.display()));
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

pub fn change_root() -> Tried {
    rustix::process::chroot("/")?;
    done()
}

/// To move nothing is wrong, but only who may mount is told so.
pub fn mount() -> Tried {
    let root = c"/";
    reached(
        libc::SYS_mount,
        [0, address(root.as_ptr()), 0, libc::MS_MOVE as usize, 0, 0],
    )
}

/// The root that is in use never expires, but only who may unmount is told so.
pub fn unmount() -> Tried {
    kernel::unless_refused(rustix::mount::unmount("/", UnmountFlags::EXPIRE))
}

/// The root cannot take its own place, but only who may is told so.
pub fn pivot_root() -> Tried {
    kernel::unless_refused(rustix::process::pivot_root("/", "/"))
}

/// The copy is attached nowhere and ends with the process.
pub fn open_tree() -> Tried {
    rustix::mount::open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLONE)?;
    done()
}

/// From no descriptor to none.
pub fn move_mount() -> Tried {
    let none = c"";
    let name = address(none.as_ptr());
    reached(
        libc::SYS_move_mount,
        [usize::MAX, name, usize::MAX, name, 0, 0],
    )
}

pub fn open_file_system() -> Tried {
    rustix::mount::fsopen("tmpfs", FsOpenFlags::empty())?;
    done()
}

/// No attribute is set and none is cleared.
pub fn change_mount() -> Tried {
    let (root, nothing) = (c"/", [0_u64; 4]);
    let here = libc::AT_FDCWD as usize;
    call(
        libc::SYS_mount_setattr,
        [
            here,
            address(root.as_ptr()),
            0,
            address(&raw const nothing),
            32,
            0,
        ],
    )?;
    done()
}

pub fn unshare(namespace: i32) -> Tried {
    call(libc::SYS_unshare, [namespace as usize, 0, 0, 0, 0, 0])?;
    done()
}

pub fn clone(namespace: i32) -> Tried {
    let flags = namespace | libc::SIGCHLD;
    child_of(call(libc::SYS_clone, [flags as usize, 0, 0, 0, 0, 0])?)
}

/// Like `clone`, with its flags where a filter cannot see them.
pub fn clone3(namespace: i32) -> Tried {
    let mut arguments = [0_u64; 8];
    arguments[0] = namespace as u64;
    arguments[4] = libc::SIGCHLD as u64;
    let size = size_of_val(&arguments);
    child_of(call(
        libc::SYS_clone3,
        [address(&raw const arguments), size, 0, 0, 0, 0],
    )?)
}

/// Ends the child at once. In the parent, waits for it.
fn child_of(returned: usize) -> Tried {
    if returned == 0 {
        // SAFETY: ends this process, which nothing waits for but its end.
        unsafe { libc::_exit(0) }
    }
    let child = rustix::process::Pid::from_raw(returned as i32);
    let _ = waitpid(child, WaitOptions::empty());
    done()
}

/// The name namespace that it is in already.
pub fn enter_namespace() -> Tried {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let name_space = ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME;
    rustix::thread::move_into_thread_name_spaces(own.as_fd(), name_space)?;
    done()
}

/// A handle names a file without a path, and so past every rule about paths.
pub fn open_by_handle() -> Tried {
    let root = c"/";
    // The handle's room, its type, and room for 128 bytes.
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut mount = 0_i32;
    let here = libc::AT_FDCWD as usize;
    let place = address(&raw mut handle);
    call(
        libc::SYS_name_to_handle_at,
        [
            here,
            address(root.as_ptr()),
            place,
            address(&raw mut mount),
            0,
            0,
        ],
    )?;
    let anchor = std::fs::File::open("/")?;
    let anchor = std::os::fd::AsRawFd::as_raw_fd(&anchor) as usize;
    call(
        libc::SYS_open_by_handle_at,
        [anchor, place, libc::O_RDONLY as usize, 0, 0, 0],
    )?;
    done()
}
