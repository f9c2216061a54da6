//! The system calls that no library of ours wraps safely.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::process::{Pid, Signal, set_parent_process_death_signal};

/// Which side of a fork a process is on.
pub enum Forked {
    /// The one that forked; the other's id.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Forks, into new namespaces where flags say so. The launcher has one thread only, so everything works in
/// the child as before.
pub fn fork(namespaces: libc::c_int) -> io::Result<Forked> {
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: without a stack of its own the child goes on with a copy of everything, as after `fork`. There
    // is one thread, so no lock is held by another.
    let id = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match id {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        id => Pid::from_raw(id as i32)
            .map(Forked::Parent)
            .ok_or_else(io::Error::last_os_error),
    }
}

/// Takes a namespace of its own.
pub fn unshare(namespaces: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    match unsafe { libc::unshare(namespaces) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a mount, and all mounts in it if `recursive`, one in which no program gains rights, and read-only if
/// `read_only`.
pub fn harmless(path: &Path, read_only: bool, recursive: bool) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let set = match read_only {
        true => libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        false => libc::MOUNT_ATTR_NOSUID,
    };
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path ends with NUL, and the attributes live as long as the call and have the size given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Switches the loopback interface on.
pub fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a structure of numbers and arrays of them may be all zeros.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the request lives as long as the call, and is of the type that the call takes.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives descriptors the lowest numbers, in order, open across `exec`; all others are closed.
pub fn arrange(fds: Vec<OwnedFd>) -> io::Result<()> {
    let count = fds.len() as RawFd;
    // First out of the way of each other.
    let high: Vec<OwnedFd> = fds
        .into_iter()
        .map(|fd| rustix::io::fcntl_dupfd_cloexec(&fd, 64))
        .collect::<Result<_, _>>()?;
    for (number, fd) in high.iter().enumerate() {
        // SAFETY: the call takes numbers only. What it closes is used by nobody: the process is about to
        // become another one, and everything before is forgotten.
        if unsafe { libc::dup2(fd.as_raw_fd(), number as RawFd) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    std::mem::forget(high);
    // SAFETY: as above.
    match unsafe { libc::close_range(count as libc::c_uint, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Adds to Landlock rules that what is at a path may be read.
pub fn allow_reading(rules: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    const PATH_BENEATH: libc::c_int = 1;
    const READ_FILE_AND_FOLDER: u64 = 1 << 2 | 1 << 3;
    #[repr(C, packed)]
    struct Rule {
        allowed: u64,
        parent: RawFd,
    }
    let path = rustix::fs::open(
        path,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    let rule = Rule {
        allowed: READ_FILE_AND_FOLDER,
        parent: path.as_raw_fd(),
    };
    // SAFETY: the rule lives as long as the call, and is laid out as the kernel's header says.
    let done = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            rules.as_raw_fd(),
            PATH_BENEATH,
            &raw const rule,
            0,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes Landlock rules on, for good.
pub fn restrict(rules: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The descriptor of a number.
///
/// # Safety
/// It must be open, and nothing else may use it.
pub unsafe fn descriptor(number: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the caller says so.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Ends the process without unwinding or running what is registered for its end.
pub fn exit(status: i32) -> ! {
    // SAFETY: the call takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Lets signals do what they do in a new process.
pub fn plain_signals() {
    // SAFETY: the set is initialised by the call before it is used, and no handler of ours is removed that
    // anything relies on.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Has this process killed when the one that started it ends.
pub fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}
