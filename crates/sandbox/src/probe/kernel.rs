//! Attempts at the machine's state and at parts of the kernel that no program needs.
//!
//! What would do harm is asked for with arguments that the kernel refuses, but only after it has looked at the rights
//! of the one who asks.

use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::c_long;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime, clock_settime};

use super::child::{Stopped, Tried};

/// Arguments that begin with a descriptor that is not open.
pub const NOBODY: [usize; 6] = [usize::MAX, 0, 0, 0, 0, 0];

/// A system call by its number.
///
/// Whatever address is among the arguments must be that of a live value, as large as the call takes it to be.
pub fn call(number: c_long, [a, b, c, d, e, f]: [usize; 6]) -> Result<usize, Stopped> {
    // SAFETY: the callers are the attempts, which pass numbers, null and addresses as above, and run in a process that
    // does nothing but this.
    let returned = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    checked(returned)
}

/// What a call returned: -1 is the error that it left behind.
pub fn checked(returned: impl Into<i64>) -> Result<usize, Stopped> {
    match returned.into() {
        -1 => Err(std::io::Error::last_os_error().into()),
        number => Ok(number as usize),
    }
}

/// An address as an argument.
pub fn address<T>(pointer: *const T) -> usize {
    pointer.expose_provenance()
}

/// A call that does nothing: it comes through unless it is refused for who makes it, or as a call.
pub fn reached(number: c_long, arguments: [usize; 6]) -> Tried {
    refusal(call(number, arguments).map(|_| ()))
}

/// The same of a call that has been made.
pub fn unless_refused(returned: Result<(), Errno>) -> Tried {
    refusal(returned.map_err(Stopped::from))
}

fn refusal(returned: Result<(), Stopped>) -> Tried {
    match returned {
        Ok(()) => Ok("done".to_owned()),
        Err(Stopped(error)) if ["EPERM", "EACCES", "ENOSYS"].contains(&&*error) => {
            Err(Stopped(error))
        }
        Err(Stopped(error)) => Ok(format!("the kernel looked into it: {error}")),
    }
}

/// A socket of a family and protocol that may have no name in the standard library.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Stopped> {
    let kind = kind | libc::SOCK_CLOEXEC;
    let number = call(
        libc::SYS_socket,
        [family as usize, kind as usize, protocol as usize, 0, 0, 0],
    )?;
    // SAFETY: the kernel has just opened it for this caller.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}

/// Switches an option of a socket on.
pub fn set_option(socket: BorrowedFd, level: i32, option: i32) -> Result<(), Stopped> {
    let on = 1_i32;
    let socket = socket.as_raw_fd() as usize;
    let place = address(&raw const on);
    call(
        libc::SYS_setsockopt,
        [
            socket,
            level as usize,
            option as usize,
            place,
            size_of_val(&on),
            0,
        ],
    )?;
    Ok(())
}

fn done() -> Tried {
    Ok("done".to_owned())
}

/// To nothing: neither a time nor a zone.
pub fn set_time_of_day() -> Tried {
    call(libc::SYS_settimeofday, [0; 6])?;
    done()
}

/// To the time that it is.
pub fn set_clock() -> Tried {
    clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime))?;
    done()
}

/// To ticks of no length.
pub fn trim_clock() -> Tried {
    const ADJ_TICK: u32 = 0x4000;
    // Larger than the structure on any architecture; all of it but the mode is zero.
    let mut change = [0_u32; 64];
    change[0] = ADJ_TICK;
    reached(
        libc::SYS_adjtimex,
        [address(&raw mut change), 0, 0, 0, 0, 0],
    )
}

/// With the wrong magic numbers.
pub fn reboot() -> Tried {
    reached(libc::SYS_reboot, [0; 6])
}

/// With flags that there are not: to load nothing would unload what is there.
pub fn kexec_load() -> Tried {
    reached(libc::SYS_kexec_load, [0, 0, 0, 0xffff, 0, 0])
}

/// From no file, with flags that there are not.
pub fn kexec_file_load() -> Tried {
    // Not in `libc` everywhere.
    const NUMBER: c_long = if cfg!(target_arch = "x86_64") {
        320
    } else {
        294
    };
    reached(NUMBER, [usize::MAX, usize::MAX, 0, 0, 0xffff, 0])
}

/// An empty module.
pub fn init_module() -> Tried {
    let none = c"";
    reached(
        libc::SYS_init_module,
        [0, 0, address(none.as_ptr()), 0, 0, 0],
    )
}

pub fn finit_module() -> Tried {
    let none = c"";
    reached(
        libc::SYS_finit_module,
        [usize::MAX, address(none.as_ptr()), 0, 0, 0, 0],
    )
}

/// A module without a name.
pub fn delete_module() -> Tried {
    reached(libc::SYS_delete_module, [0; 6])
}

/// To a file without a name.
pub fn swap_on() -> Tried {
    reached(libc::SYS_swapon, [0; 6])
}

pub fn swap_off() -> Tried {
    reached(libc::SYS_swapoff, [0; 6])
}

/// In a file that cannot be: without one, accounting would be switched off.
pub fn account() -> Tried {
    let file = c"/dev/null/none";
    reached(libc::SYS_acct, [address(file.as_ptr()), 0, 0, 0, 0, 0])
}

/// Of a disk without a name.
pub fn quotas() -> Tried {
    const Q_GETFMT: usize = 0x80_0004 << 8;
    reached(libc::SYS_quotactl, [Q_GETFMT, 0, 0, 0, 0, 0])
}

pub fn io_uring() -> Tried {
    let mut parameters = [0_u64; 15];
    call(
        libc::SYS_io_uring_setup,
        [1, address(&raw mut parameters), 0, 0, 0, 0],
    )?;
    done()
}

/// For faults of programs only, which needs no rights.
pub fn userfaultfd() -> Tried {
    const UFFD_USER_MODE_ONLY: usize = 1;
    call(libc::SYS_userfaultfd, [UFFD_USER_MODE_ONLY, 0, 0, 0, 0, 0])?;
    done()
}

/// Asks which keyring is the session's.
pub fn keyctl() -> Tried {
    const KEYCTL_GET_KEYRING_ID: usize = 0;
    const SESSION: isize = -3;
    reached(
        libc::SYS_keyctl,
        [KEYCTL_GET_KEYRING_ID, SESSION.cast_unsigned(), 0, 0, 0, 0],
    )
}

/// To a keyring that ends with the process.
pub fn add_key() -> Tried {
    const PROCESS: isize = -2;
    let (kind, name) = (c"user", c"probe");
    let [kind, name] = [kind, name].map(|text| address(text.as_ptr()));
    call(
        libc::SYS_add_key,
        [kind, name, name, 5, PROCESS.cast_unsigned(), 0],
    )?;
    done()
}

/// For one that there is not, without having it made.
pub fn request_key() -> Tried {
    let (kind, name) = (c"user", c"probe-none");
    reached(
        libc::SYS_request_key,
        [address(kind.as_ptr()), address(name.as_ptr()), 0, 0, 0, 0],
    )
}

pub fn bpf() -> Tried {
    const BPF_MAP_CREATE: usize = 0;
    // An array of one entry: its kind, the sizes of key and value, the number of entries, and no flags.
    let map = [2_u32, 4, 4, 1, 0];
    call(
        libc::SYS_bpf,
        [
            BPF_MAP_CREATE,
            address(&raw const map),
            size_of_val(&map),
            0,
            0,
            0,
        ],
    )?;
    done()
}

/// One that never happens, in this process, and none of the kernel's.
pub fn performance_event() -> Tried {
    const SOFTWARE: u64 = 1;
    const SIZE: u64 = 64;
    const DUMMY: u64 = 9;
    const EXCLUDE_KERNEL_AND_HYPERVISOR: u64 = 0b110_0000;
    let event = [
        SOFTWARE | SIZE << 32,
        DUMMY,
        0,
        0,
        0,
        EXCLUDE_KERNEL_AND_HYPERVISOR,
        0,
        0,
    ];
    call(
        libc::SYS_perf_event_open,
        [address(&raw const event), 0, usize::MAX, usize::MAX, 0, 0],
    )?;
    done()
}

/// To one with its memory where it always is.
pub fn personality() -> Tried {
    call(
        libc::SYS_personality,
        [libc::ADDR_NO_RANDOMIZE as usize, 0, 0, 0, 0, 0],
    )?;
    done()
}

/// By the identities of files, which needs no rights.
pub fn fanotify() -> Tried {
    call(
        libc::SYS_fanotify_init,
        [libc::FAN_REPORT_FID as usize, 0, 0, 0, 0, 0],
    )?;
    done()
}

/// Types into a terminal, or would if there were a character where it points: on one of the first descriptors, or on
/// none.
pub fn terminal(request: libc::Ioctl) -> Tried {
    // SAFETY: nothing is read or written.
    let terminal = (0..16)
        .find(|descriptor| unsafe { libc::isatty(*descriptor) } == 1)
        .unwrap_or(-1);
    reached(
        libc::SYS_ioctl,
        [terminal as usize, request as usize, 0, 0, 0, 0],
    )
}

/// A filter must leave such a number to the kernel, or answer as it does: libraries take this one error for a call that
/// the kernel does not have yet.
pub fn unknown_number() -> Tried {
    const NUMBER: c_long = 4000;
    match call(NUMBER, [0; 6]) {
        Err(Stopped(error)) if error == "ENOSYS" => Err(Stopped(error)),
        Err(Stopped(error)) => Ok(format!("{error} in place of ENOSYS")),
        Ok(number) => Ok(format!("{number} in place of ENOSYS")),
    }
}
