//! The one list of what is attempted, and where it has to be stopped.

use serde::{Deserialize, Serialize};

use super::child::Tried;
#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{Trial, files, kernel, network, privileges, processes};

use Kind::{Files, Kernel, Network, Privileges, Processes};

/// What an attempt is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Files, folders and devices of others.
    Files,
    /// Processes of others, and what they hold.
    Processes,
    /// What answers on the network or on a socket.
    Network,
    /// Rights that the code was not given.
    Privileges,
    /// Parts of the kernel that no program needs and that often had holes.
    Kernel,
}

/// The tiers that must stop an attempt. Below `confined` nothing has to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiers {
    /// Namespaces, an own root, Landlock and seccomp.
    pub jail: bool,
    /// Landlock and seccomp alone.
    pub confined: bool,
}

/// How the host learns whether an attempt came through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The probe's word is enough.
    Told,
    /// A listener of the stage heard the attempt's words.
    Heard,
    /// A file was planted in this folder of the host, which in the sandbox may be another one of that name.
    Planted(&'static str),
}

/// One thing that a sandbox may be asked to stop.
pub struct Attempt {
    /// What is attempted, to follow "may not" or "can". At most 61 bytes, without `<` and `>`, and no other attempt
    /// has the same.
    pub words: &'static str,
    /// What it is after.
    pub kind: Kind,
    /// Which tiers must stop it.
    pub needed_in: Tiers,
    pub(super) proof: Proof,
    act: fn(&Trial) -> Tried,
}

impl Attempt {
    pub(super) fn act(&self, trial: &Trial) -> Tried {
        (self.act)(trial)
    }

    /// Left open by `confined`: Landlock knows no such rule, or not yet.
    const fn jail_only(mut self) -> Attempt {
        self.needed_in.confined = false;
        self
    }

    const fn heard(mut self) -> Attempt {
        self.proof = Proof::Heard;
        self
    }

    const fn planted(mut self, folder: &'static str) -> Attempt {
        self.proof = Proof::Planted(folder);
        self
    }
}

const fn to(words: &'static str, kind: Kind, act: fn(&Trial) -> Tried) -> Attempt {
    let needed_in = Tiers {
        jail: true,
        confined: true,
    };
    Attempt {
        words,
        kind,
        needed_in,
        proof: Proof::Told,
        act,
    }
}

/// Everything that the probe attempts, in this order. What an architecture does not have is not in its list.
#[rustfmt::skip]
pub const ATTEMPTS: &[Attempt] = &[
    to("read a secret file", Files, files::read_secret),
    to("read a secret file by way of `/proc/self/root`", Files, files::read_by_own_root),
    to("read a secret file by way of `/proc/self/cwd`", Files, files::read_by_own_folder),
    to("read a secret file by way of another process's root", Files, files::read_by_any_root),
    to("read a secret file by way of an inherited folder", Files, files::read_by_inherited),
    to("read an inherited descriptor", Files, files::read_descriptor),
    to("list another run's folder", Files, files::list_foreign),
    to("read another run's file", Files, files::read_foreign),
    to("write to another run's folder", Files, |t| files::write(t, &t.bait.foreign_folder)),
    to("write to a foreign folder", Files, |t| files::write(t, &t.bait.writable_outside)),
    to("write to `/`", Files, |t| files::write(t, "/".as_ref())),
    to("write to `/usr`", Files, |t| files::write(t, "/usr".as_ref())),
    to("write to `/etc`", Files, |t| files::write(t, "/etc".as_ref())),
    to("write to the host's `/tmp`", Files, |t| files::plant(t, "/tmp".as_ref())).planted("/tmp"),
    to("write to the host's `/dev/shm`", Files, |t| files::plant(t, "/dev/shm".as_ref())).planted("/dev/shm"),
    to("make a hard link to a secret file", Files, files::hard_link),
    to("plant a symbolic link in a foreign folder", Files, files::symbolic_link),
    to("change the mode of a secret file", Files, files::change_mode).jail_only(),
    to("read `/etc/shadow`", Files, |_| files::open("/etc/shadow", false)),
    to("open a disk", Files, files::open_disk),
    to("open `/dev/mem`", Files, |_| files::open("/dev/mem", false)),
    to("open `/dev/kmsg`", Files, |_| files::open("/dev/kmsg", false)),
    to("open `/dev/tty`", Files, |_| files::open("/dev/tty", false)),
    to("read `/proc/kcore`", Files, |_| files::open("/proc/kcore", false)),
    to("read addresses in `/proc/kallsyms`", Files, files::kernel_addresses),
    to("look into `/sys`", Files, |_| files::list("/sys".as_ref())),
    to("write to `/sys`", Files, |_| files::open("/sys/kernel/uevent_helper", true)),
    to("write to `/proc/sys`", Files, |_| files::open("/proc/sys/kernel/hostname", true)),
    to("write to the core pattern", Files, |_| files::open("/proc/sys/kernel/core_pattern", true)),
    to("write to `/proc/sysrq-trigger`", Files, |_| files::open("/proc/sysrq-trigger", true)),
    to("find a secret in its environment", Processes, processes::own_environment),
    to("read the server's environment", Processes, processes::environment),
    to("find a secret in any environment", Processes, processes::any_environment),
    to("read the environment of process 1", Processes, processes::first_environment),
    to("read the server's memory file", Processes, processes::memory_file),
    to("read the server's memory by `process_vm_readv`", Processes, processes::read_memory),
    to("list the server's descriptors", Processes, processes::list_descriptors),
    to("list other processes", Processes, processes::list_others),
    to("attach to the server", Processes, processes::attach),
    to("seize the server", Processes, processes::seize),
    to("signal the server", Processes, processes::signal),
    to("wake the server", Processes, processes::wake),
    to("signal the server by a descriptor", Processes, processes::signal_by_descriptor),
    to("take a descriptor from the server", Processes, processes::take_descriptor),
    to("compare itself with the server by `kcmp`", Processes, processes::compare),
    to("read the server's limits", Processes, processes::limits),
    to("set the server's priority", Processes, processes::priority),
    to("set how the server is scheduled", Processes, processes::scheduling),
    to("keep the server off processors", Processes, processes::processors),
    to("connect by TCP", Network, network::tcp).heard(),
    to("connect by TCP to a mapped IPv6 address", Network, network::tcp_mapped).heard(),
    to("connect by MPTCP", Network, network::mptcp).heard(),
    to("connect by SMC", Network, network::smc).heard(),
    to("connect by `TCP_FASTOPEN_CONNECT`", Network, network::fast_connect).heard(),
    to("connect by `sendto` with `MSG_FASTOPEN`", Network, network::fast_sendto).heard(),
    to("connect by `sendmsg` with `MSG_FASTOPEN`", Network, network::fast_sendmsg).heard(),
    to("connect by `sendmmsg` with `MSG_FASTOPEN`", Network, network::fast_sendmmsg).heard(),
    to("make an SCTP socket", Network, network::sctp),
    to("send UDP by `sendto`", Network, network::udp_sendto).heard().jail_only(),
    to("send UDP by `sendmsg`", Network, network::udp_sendmsg).heard().jail_only(),
    to("send UDP by `sendmmsg`", Network, network::udp_sendmmsg).heard().jail_only(),
    to("send UDP on a connected socket", Network, network::udp_connected).heard().jail_only(),
    to("send a DNS query", Network, network::dns).heard().jail_only(),
    to("find a route off the machine", Network, network::route).jail_only(),
    to("connect to a socket file", Network, network::socket_file).heard().jail_only(),
    to("connect to an abstract socket", Network, network::abstract_socket).heard(),
    to("make a raw IPv4 socket", Network, |_| network::raw(libc::AF_INET, libc::IPPROTO_ICMP)),
    to("make a raw IPv6 socket", Network, |_| network::raw(libc::AF_INET6, libc::IPPROTO_ICMPV6)),
    to("make a packet socket", Network, network::packet),
    to("make a vsock socket", Network, |_| network::stream(libc::AF_VSOCK)),
    to("make a kernel crypto socket", Network, network::crypto),
    to("make a netfilter socket", Network, |_| network::netlink(libc::NETLINK_NETFILTER)),
    to("make an audit socket", Network, |_| network::netlink(libc::NETLINK_AUDIT)),
    to("make an xfrm socket", Network, |_| network::netlink(libc::NETLINK_XFRM)),
    to("make a generic netlink socket", Network, |_| network::netlink(libc::NETLINK_GENERIC)),
    to("gain rights by a program that lends them", Privileges, |_| privileges::may_gain()),
    to("become root by a program of root's", Privileges, privileges::run_setuid),
    to("hold a capability", Privileges, |_| privileges::capabilities()).jail_only(),
    to("be root", Privileges, |_| privileges::become_root()).jail_only(),
    to("become another user", Privileges, |_| privileges::become_another()).jail_only(),
    to("join root's group", Privileges, |_| privileges::join_group()).jail_only(),
    to("make a device", Privileges, privileges::make_device),
    to("change its root", Privileges, |_| privileges::change_root()),
    to("mount", Privileges, |_| privileges::mount()),
    to("unmount", Privileges, |_| privileges::unmount()),
    to("swap its root by `pivot_root`", Privileges, |_| privileges::pivot_root()),
    to("copy a mount by `open_tree`", Privileges, |_| privileges::open_tree()),
    to("move a mount by `move_mount`", Privileges, |_| privileges::move_mount()),
    to("open a file system by `fsopen`", Privileges, |_| privileges::open_file_system()),
    to("change a mount by `mount_setattr`", Privileges, |_| privileges::change_mount()),
    to("make a user namespace by `unshare`", Privileges, |_| privileges::unshare(libc::CLONE_NEWUSER)),
    to("make a user namespace by `clone`", Privileges, |_| privileges::clone(libc::CLONE_NEWUSER)),
    to("make a user namespace by `clone3`", Privileges, |_| privileges::clone3(libc::CLONE_NEWUSER)),
    to("make a mount namespace", Privileges, |_| privileges::unshare(libc::CLONE_NEWNS)),
    to("make a process namespace", Privileges, |_| privileges::unshare(libc::CLONE_NEWPID)),
    to("make a network namespace", Privileges, |_| privileges::unshare(libc::CLONE_NEWNET)),
    to("make an IPC namespace", Privileges, |_| privileges::unshare(libc::CLONE_NEWIPC)),
    to("make a name namespace", Privileges, |_| privileges::unshare(libc::CLONE_NEWUTS)),
    to("make a cgroup namespace", Privileges, |_| privileges::unshare(libc::CLONE_NEWCGROUP)),
    to("make a time namespace", Privileges, |_| privileges::unshare(privileges::NEW_TIME)),
    to("enter a namespace by `setns`", Privileges, |_| privileges::enter_namespace()),
    to("open a file by its handle", Privileges, |_| privileges::open_by_handle()),
    to("set the clock by `settimeofday`", Privileges, |_| kernel::set_time_of_day()),
    to("set the clock by `clock_settime`", Privileges, |_| kernel::set_clock()),
    to("trim the clock by `adjtimex`", Privileges, |_| kernel::trim_clock()),
    to("restart the machine", Privileges, |_| kernel::reboot()),
    to("load a kernel by `kexec_load`", Privileges, |_| kernel::kexec_load()),
    to("load a kernel by `kexec_file_load`", Privileges, |_| kernel::kexec_file_load()),
    to("load a module by `init_module`", Privileges, |_| kernel::init_module()),
    to("load a module by `finit_module`", Privileges, |_| kernel::finit_module()),
    to("unload a module", Privileges, |_| kernel::delete_module()),
    to("swap to a file", Privileges, |_| kernel::swap_on()),
    to("stop swapping", Privileges, |_| kernel::swap_off()),
    to("keep accounts of processes", Privileges, |_| kernel::account()),
    to("reach `quotactl`", Kernel, |_| kernel::quotas()),
    to("set up `io_uring`", Kernel, |_| kernel::io_uring()),
    to("reach `io_uring_enter`", Kernel, |_| kernel::reached(libc::SYS_io_uring_enter, kernel::NOBODY)),
    to("reach `io_uring_register`", Kernel, |_| kernel::reached(libc::SYS_io_uring_register, kernel::NOBODY)),
    to("make a `userfaultfd`", Kernel, |_| kernel::userfaultfd()),
    to("reach `keyctl`", Kernel, |_| kernel::keyctl()),
    to("add a key", Kernel, |_| kernel::add_key()),
    to("ask for a key", Kernel, |_| kernel::request_key()),
    to("make a `bpf` map", Kernel, |_| kernel::bpf()),
    to("open a performance event", Kernel, |_| kernel::performance_event()),
    to("change its personality", Kernel, |_| kernel::personality()),
    to("watch file systems by `fanotify`", Kernel, |_| kernel::fanotify()),
    to("reach `TIOCSTI`", Kernel, |_| kernel::terminal(libc::TIOCSTI)),
    to("reach `TIOCLINUX`", Kernel, |_| kernel::terminal(libc::TIOCLINUX)),
    to("call a number that no kernel knows", Kernel, |_| kernel::unknown_number()),
    #[cfg(target_arch = "x86_64")]
    to("call as a 32-bit program", Kernel, |_| x86::call_by_interrupt()),
    #[cfg(target_arch = "x86_64")]
    to("call as an x32 program", Kernel, |_| x86::call_by_x32_number()),
    #[cfg(target_arch = "x86_64")]
    to("reach `modify_ldt`", Kernel, |_| x86::descriptor_table()),
    #[cfg(target_arch = "x86_64")]
    to("use ports by `ioperm`", Privileges, |_| x86::one_port()),
    #[cfg(target_arch = "x86_64")]
    to("use ports by `iopl`", Privileges, |_| x86::all_ports()),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_attempt_has_words_of_its_own_that_fit_a_dns_label_in_brackets() {
        let words: BTreeSet<&str> = ATTEMPTS.iter().map(|attempt| attempt.words).collect();
        assert_eq!(words.len(), ATTEMPTS.len());
        for words in words {
            assert!((1..=61).contains(&words.len()), "{words}");
            assert!(!words.contains(['<', '>']), "{words}");
        }
    }
}
