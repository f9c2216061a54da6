//! Which system calls code may make: seccomp.
//!
//! Python and shell are refused what only serves to gain rights or to reach kernel code that is often broken;
//! everything else stays, for the sake of packages. An engine of ours may make only the calls it needs.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use serde::{Deserialize, Serialize};

/// What a process may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Calls {
    /// What programs call that are not after more rights.
    Code,
    /// What an engine needs that has no files and no network.
    Engine,
}

/// How code reaches the network, as far as system calls tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// Of the families that the internet and one's own processes need.
    Any,
    /// Streams to the internet's families only; which ports, others say.
    Streams,
    /// None but pairs.
    Pairs,
}

/// Programs for the kernel, to be taken on in order.
#[derive(Clone)]
pub struct Filters(Vec<BpfProgram>);

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that have no place in code: they serve to gain rights, reach what often had holes, or keep memory that
/// belongs to no process and that nothing counts.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_mq_open,
    libc::SYS_msgget,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    // The server says which processors endless code is on.
    libc::SYS_sched_setaffinity,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_semget,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_shmget,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] = &[
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS__sysctl,
    libc::SYS_ustat,
    libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// What an engine needs.
const ENGINE: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];
#[cfg(target_arch = "x86_64")]
const ENGINE_HERE: &[libc::c_long] = &[libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const ENGINE_HERE: &[libc::c_long] = &[];

/// Every namespace that `clone` makes.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

impl Filters {
    /// The filters for a process.
    ///
    /// # Errors
    /// On a processor that they are not written for.
    pub fn new(calls: Calls, sockets: Sockets) -> io::Result<Filters> {
        Ok(Filters(match calls {
            Calls::Code => vec![
                unknown(),
                denying(refused(sockets)?)?,
                denying(last_refused())?,
            ],
            Calls::Engine => vec![engine()?],
        }))
    }

    /// The filters for a Python that stands ready in a jail. It may do what sets its children apart from each
    /// other, which each of them gives up by [`Filters::of_child`].
    ///
    /// # Errors
    /// On a processor that they are not written for.
    pub fn of_parent(sockets: Sockets) -> io::Result<Filters> {
        let mut rules = refused(sockets)?;
        let other = (0, SeccompCmpOp::Ne, libc::CLONE_NEWNS as u64);
        rules.insert(libc::SYS_unshare, vec![rule(&[other])?]);
        let neither = [
            (3, SeccompCmpOp::Ne, libc::MS_BIND | libc::MS_REC),
            (3, SeccompCmpOp::Ne, libc::MS_SLAVE),
        ];
        rules.insert(libc::SYS_mount, vec![rule(&neither)?]);
        Ok(Filters(vec![unknown(), denying(rules)?]))
    }

    /// What a child of such a Python takes on.
    ///
    /// # Errors
    /// On a processor that they are not written for.
    pub fn of_child() -> io::Result<Filters> {
        Ok(Filters(vec![denying(last_refused())?]))
    }

    /// Takes the filters on, for good.
    ///
    /// # Errors
    /// The system's.
    pub fn apply(&self) -> io::Result<()> {
        for program in &self.0 {
            seccompiler::apply_filter(program)
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    }

    /// The programs as the kernel reads them.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let instruction = |one: &sock_filter| {
            let mut bytes = one.code.to_ne_bytes().to_vec();
            bytes.extend([one.jt, one.jf]);
            bytes.extend(one.k.to_ne_bytes());
            bytes
        };
        let program = |program: &BpfProgram| program.iter().flat_map(instruction).collect();
        self.0.iter().map(program).collect()
    }
}

/// Answers `ENOSYS` to calls that are newer than these lists, to the other numbering of the same calls on some
/// processors, and to `clone3`, whose flags cannot be looked at.
fn unknown() -> BpfProgram {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// The last call that these lists were written with: `mseal`.
    const LAST: u32 = 462;
    let instruction = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    vec![
        instruction(LOAD_NUMBER, 0, 0, 0),
        instruction(AT_LEAST, LAST + 1, 2, 0),
        instruction(EQUAL, libc::SYS_clone3 as u32, 1, 0),
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        instruction(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, 0, 0),
    ]
}

/// What is refused last: a Python that stands ready needs it until then.
fn last_refused() -> Rules {
    [libc::SYS_mount, libc::SYS_unshare, libc::SYS_capset]
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect()
}

/// That a process no longer takes over what its children leave behind: then they would count for nobody.
fn disowning() -> io::Result<SeccompRule> {
    let subreaper = libc::PR_SET_CHILD_SUBREAPER as u64;
    rule(&[(0, SeccompCmpOp::Eq, subreaper), (1, SeccompCmpOp::Eq, 0)])
}

fn refused(sockets: Sockets) -> io::Result<Rules> {
    let always = REFUSED.iter().chain(REFUSED_HERE);
    let mut rules: Rules = always.map(|call| (*call, Vec::new())).collect();
    let namespaces = NAMESPACES.iter().map(|flag| bits(0, *flag as u64));
    rules.insert(libc::SYS_clone, namespaces.collect::<io::Result<_>>()?);
    let typing = [libc::TIOCSTI, libc::TIOCLINUX];
    let typing = typing.map(|request| rule(&[(1, SeccompCmpOp::Eq, request)]));
    rules.insert(
        libc::SYS_ioctl,
        typing.into_iter().collect::<io::Result<_>>()?,
    );
    rules.insert(libc::SYS_socket, refused_sockets(sockets)?);
    // Landlock keeps these from no other process of the same user.
    rules.insert(libc::SYS_prctl, vec![disowning()?]);
    let other = |argument| rule(&[(argument, SeccompCmpOp::Ne, 0)]);
    rules.insert(libc::SYS_prlimit64, vec![other(0)?]);
    for call in [libc::SYS_setpriority, libc::SYS_ioprio_set] {
        rules.insert(call, vec![other(1)?]);
    }
    for call in [
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
    ] {
        rules.insert(call, vec![other(0)?]);
    }
    if sockets != Sockets::Any {
        // With this flag a first message opens a connection that nothing else looks at.
        let fast = libc::MSG_FASTOPEN as u64;
        rules.insert(libc::SYS_sendto, vec![bits(3, fast)?]);
        rules.insert(libc::SYS_sendmsg, vec![bits(2, fast)?]);
        rules.insert(libc::SYS_sendmmsg, vec![bits(3, fast)?]);
    }
    Ok(rules)
}

fn refused_sockets(sockets: Sockets) -> io::Result<Vec<SeccompRule>> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    const KIND: u64 = 0xf;
    const DCCP: libc::c_int = 6;
    const PACKET: libc::c_int = 10;
    let families = [
        libc::AF_UNIX,
        libc::AF_INET,
        libc::AF_INET6,
        libc::AF_NETLINK,
    ];
    let mut rules = vec![rule(&families.map(|family| (0, Ne, family as u64)))?];
    let route = [
        (0, Eq, libc::AF_NETLINK as u64),
        (2, Ne, libc::NETLINK_ROUTE as u64),
    ];
    rules.push(rule(&route)?);
    for kind in [libc::SOCK_RAW, PACKET, libc::SOCK_RDM] {
        // Netlink sockets are raw ones by name only.
        let raw = [
            (0, Ne, libc::AF_NETLINK as u64),
            (1, MaskedEq(KIND), kind as u64),
        ];
        rules.push(rule(&raw)?);
    }
    if sockets == Sockets::Any {
        return Ok(rules);
    }
    rules.push(rule(&[(0, Eq, libc::AF_UNIX as u64)])?);
    for family in [libc::AF_INET, libc::AF_INET6].map(|family| (0, Eq, family as u64)) {
        if sockets == Sockets::Pairs {
            rules.push(rule(&[family])?);
            continue;
        }
        for kind in [libc::SOCK_DGRAM, libc::SOCK_SEQPACKET, DCCP] {
            rules.push(rule(&[family.clone(), (1, MaskedEq(KIND), kind as u64)])?);
        }
        // Other protocols that make streams lead past the rules for ports.
        let tcp = (2, Ne, libc::IPPROTO_TCP as u64);
        rules.push(rule(&[family, (2, Ne, 0), tcp])?);
    }
    Ok(rules)
}

fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> io::Result<SeccompRule> {
    let conditions = conditions.iter().map(|(argument, op, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, op.clone(), *value)
    });
    let conditions = conditions.collect::<Result<_, _>>().map_err(impossible)?;
    SeccompRule::new(conditions).map_err(impossible)
}

/// That any of these bits is set in an argument.
fn bits(argument: u8, bits: u64) -> io::Result<SeccompRule> {
    rule(&[(argument, SeccompCmpOp::MaskedEq(bits), bits)])
}

fn denying(rules: Rules) -> io::Result<BpfProgram> {
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    compiled(rules, SeccompAction::Allow, refused)
}

fn engine() -> io::Result<BpfProgram> {
    let calls = ENGINE.iter().chain(ENGINE_HERE);
    let mut rules: Rules = calls.map(|call| (*call, Vec::new())).collect();
    let own = rule(&[(0, SeccompCmpOp::Eq, u64::from(std::process::id()))])?;
    rules.insert(libc::SYS_tgkill, vec![own]);
    compiled(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

fn compiled(rules: Rules, other: SeccompAction, these: SeccompAction) -> io::Result<BpfProgram> {
    let processor: TargetArch = std::env::consts::ARCH.try_into().map_err(impossible)?;
    let filter = SeccompFilter::new(rules, other, these, processor).map_err(impossible)?;
    filter.try_into().map_err(impossible)
}

fn impossible(error: seccompiler::BackendError) -> io::Error {
    io::Error::other(error.to_string())
}
