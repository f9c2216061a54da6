//! A jail: namespaces with a file system, processes and a network of its own.
//!
//! Always in a user namespace, so that not even the launcher has rights over the machine. In it the users 0
//! and [`USER`] exist at most, and code runs as [`USER`].

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Uid};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{Pid, WaitOptions, pivot_root, waitpid};
use rustix::thread::{
    capabilities, set_capabilities, set_keep_capabilities, set_thread_res_gid, set_thread_res_uid,
};

use super::system::{self, Forked};
use crate::isolation::Network;
use crate::message::Launch;

/// The user, and the group, that code runs as in a jail.
pub const USER: u32 = 1000;
/// Where the folders of the runs are.
pub const RUNS: &str = "/runs";
/// The port at which the proxy listens in a jail.
pub const PROXY_PORT: u16 = 3128;

/// Where the new root is put together: any folder that every machine has.
const ROOT: &str = "/tmp";
/// The folders of the system that code sees, those that there are.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/nix/store",
];
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];
const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/:/bin/false\nstep:x:1000:1000:step:/job:/bin/sh\n",
    ),
    ("etc/group", "root:x:0:\nstep:x:1000:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\n",
    ),
    ("etc/hostname", "waystation\n"),
];

/// Enters a new jail. The process that comes back is the first one in it; the one outside waits for its end.
///
/// # Errors
/// Which step failed, and why.
pub fn enter(launch: &Launch) -> Result<Option<TcpListener>, String> {
    separate(launch).map_err(|error| format!("namespaces are refused here: {error}"))?;
    let root = Path::new(ROOT);
    build(root, launch).map_err(|(what, error)| format!("{what}: {error}"))?;
    settle(root).map_err(|error| format!("the new root cannot be entered: {error}"))?;
    let listener = network(launch.network)
        .map_err(|error| format!("the network of the jail cannot be set up: {error}"))?;
    become_user().map_err(|error| format!("the user of the jail cannot be taken: {error}"))?;
    Ok(listener)
}

/// Takes namespaces of its own.
fn separate(launch: &Launch) -> io::Result<()> {
    let mut namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    if launch.network != Network::Host {
        namespaces |= libc::CLONE_NEWNET;
    }
    let (mut go, may_go) = io::pipe()?;
    match system::fork(namespaces)? {
        Forked::Parent(first) => {
            drop(go);
            let mapped = map_users(first, launch.user);
            if mapped.is_ok() {
                let _ = (&may_go).write_all(b".");
            }
            drop(may_go);
            mapped?;
            wait_outside(first)
        }
        Forked::Child => {
            drop(may_go);
            system::die_with_parent()?;
            let mut byte = [0];
            go.read_exact(&mut byte)
        }
    }
}

/// Waits for the end of the jail and ends. What keeps the server's end of the socket alive is closed here.
fn wait_outside(first: Pid) -> ! {
    let _ = system::arrange(Vec::new());
    let status = loop {
        match waitpid(Some(first), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(Some((_, status))) => break status.exit_status().unwrap_or(1),
            _ => break 1,
        }
    };
    system::exit(status)
}

/// Says which users of the machine the users of the jail are.
fn map_users(first: Pid, user: Option<u32>) -> io::Result<()> {
    let own = |text: u32| format!("{USER} {text} 1\n");
    let file = |name: &str| format!("/proc/{}/{name}", first.as_raw_nonzero());
    let (users, groups) = match user {
        // As root: root itself, which owns what is to be seen in the jail, and the user for code.
        Some(user) => (
            format!("0 0 1\n{USER} {user} 1\n"),
            format!("0 0 1\n{USER} {user} 1\n"),
        ),
        None => {
            fs::write(file("setgroups"), "deny")?;
            (
                own(rustix::process::getuid().as_raw()),
                own(rustix::process::getgid().as_raw()),
            )
        }
    };
    fs::write(file("gid_map"), groups)?;
    fs::write(file("uid_map"), users)
}

type Named<T> = Result<T, (String, io::Error)>;

fn named<T, E: Into<io::Error>>(what: impl Into<String>, result: Result<T, E>) -> Named<T> {
    result.map_err(|error| (what.into(), error.into()))
}

/// Puts the new root together.
fn build(root: &Path, launch: &Launch) -> Named<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    named("mounts cannot be made private", mount_change("/", private))?;
    // Taken up before anything is covered by the new root.
    let seen = seen(launch).map_err(|error| ("the system's folders".to_owned(), error))?;
    let devices = DEVICES
        .iter()
        .map(|name| taken(&Path::new("/dev").join(name)).map(|tree| (*name, tree)))
        .collect::<io::Result<Vec<_>>>();
    let devices = devices.map_err(|error| ("/dev".to_owned(), error))?;
    tmpfs(root, "size=1m,nr_inodes=4k,mode=755")?;
    for seen in seen {
        seen.shown(root)?;
    }
    for (path, text) in FILES {
        let path = root.join(path);
        named("/etc", fs::create_dir_all(path.parent().unwrap_or(root)))?;
        named("/etc", fs::write(path, text))?;
    }
    for folder in ["dev/shm", "proc", "tmp", "job", "empty", "runs"] {
        named(folder, fs::create_dir_all(root.join(folder)))?;
    }
    for (name, tree) in devices {
        let path = root.join("dev").join(name);
        named("/dev", fs::write(&path, ""))?;
        named("/dev", put(&tree, &path))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        named("/dev", symlink(target, root.join("dev").join(name)))?;
    }
    tmpfs(&root.join("runs"), "size=1m,nr_inodes=64k,mode=755")?;
    // So that what is unmounted in it disappears from the file systems of all runs.
    let shared = mount_change(root.join("runs"), MountPropagationFlags::SHARED);
    named("/runs", shared)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let proc = mount("proc", root.join("proc"), "proc", flags, None);
    named("/proc cannot be mounted", proc)
}

fn tmpfs(path: &Path, options: &str) -> Named<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = std::ffi::CString::new(options).unwrap_or_default();
    let done = mount("tmpfs", path, "tmpfs", flags, Some(options.as_c_str()));
    named(format!("a file system at {}", path.display()), done)
}

/// Something of the machine that code sees at the same place.
struct Seen {
    path: PathBuf,
    what: What,
    writable: bool,
}

enum What {
    Link(PathBuf),
    Tree(OwnedFd, bool),
}

/// What of the machine code sees: of the system, and what else it may read and write.
fn seen(launch: &Launch) -> io::Result<Vec<Seen>> {
    let readable = launch.readable.iter().map(|path| &**path);
    let readable = SYSTEM.iter().map(Path::new).chain(readable);
    let writable = launch.writable.iter().map(|path| (&**path, true));
    let mut all: Vec<Seen> = Vec::new();
    for (path, writable) in readable.map(|path| (path, false)).chain(writable) {
        let covered = all.iter().any(|seen| path.starts_with(&seen.path));
        let Ok(kind) = path.symlink_metadata() else {
            continue;
        };
        if covered && !writable {
            continue;
        }
        let what = match kind.is_symlink() {
            true => What::Link(fs::read_link(path)?),
            false => What::Tree(taken(path)?, kind.is_dir()),
        };
        all.push(Seen {
            path: path.to_owned(),
            what,
            writable,
        });
    }
    Ok(all)
}

/// A copy of the mounts at a place.
fn taken(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, path, flags)?)
}

fn put(tree: &OwnedFd, path: &Path) -> io::Result<()> {
    let from_tree = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(tree, "", CWD, path, from_tree)?)
}

impl Seen {
    fn shown(self, root: &Path) -> Named<()> {
        let shown = self.path.display().to_string();
        let path = root.join(self.path.strip_prefix("/").unwrap_or(&self.path));
        named(&*shown, fs::create_dir_all(path.parent().unwrap_or(root)))?;
        match self.what {
            What::Link(target) => named(shown, symlink(target, path)),
            What::Tree(tree, folder) => {
                let made = match folder {
                    true => fs::create_dir_all(&path),
                    false => fs::write(&path, ""),
                };
                named(&*shown, made)?;
                named(&*shown, put(&tree, &path))?;
                named(shown, system::harmless(&path, !self.writable, true))
            }
        }
    }
}

/// Makes the new root the only one.
fn settle(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    std::env::set_current_dir("/")?;
    fs::set_permissions("/", fs::Permissions::from_mode(0o755))?;
    system::harmless(Path::new("/"), true, false)?;
    Ok(rustix::system::sethostname(b"waystation")?)
}

/// Switches loopback on, and listens there for what goes to the proxy.
fn network(network: Network) -> io::Result<Option<TcpListener>> {
    if network == Network::Host {
        return Ok(None);
    }
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    system::loopback_up(socket.as_fd())?;
    match network {
        Network::Proxy => TcpListener::bind(("127.0.0.1", PROXY_PORT)).map(Some),
        _ => Ok(None),
    }
}

/// Becomes the user that code runs as, and keeps the rights over the jail.
fn become_user() -> io::Result<()> {
    if rustix::process::getuid().as_raw() != USER {
        set_keep_capabilities(true)?;
        rustix::thread::set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
        // The rights were kept, and have to be taken up again.
        let mut rights = capabilities(None)?;
        rights.effective = rights.permitted;
        set_capabilities(None, rights)?;
    }
    system::die_with_parent()
}
