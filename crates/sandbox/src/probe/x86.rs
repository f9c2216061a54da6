//! Attempts that only x86 has.

use std::arch::asm;

use super::child::{Stopped, Tried};
use super::errno;
use super::kernel::{address, call};

/// The number of `getpid` in a 32-bit program.
const GETPID_32: i64 = 20;
/// The bit in the number of a call that makes it one of an x32 program.
const X32: i64 = 0x4000_0000;

/// Calls have other numbers and shorter arguments this way, and a filter that does not look at the way misreads them.
pub fn call_by_interrupt() -> Tried {
    let returned: i64;
    // SAFETY: asks for the process id, which touches no memory. Older kernels clear the registers named last.
    unsafe {
        asm!(
            "int 0x80",
            inlateout("rax") GETPID_32 => returned,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    match i32::try_from(returned) {
        Ok(id) if id > 0 => Ok(format!("process {id}")),
        Ok(error) => Err(Stopped(errno::name(-error))),
        Err(_) => Err(Stopped::from("no answer")),
    }
}

pub fn call_by_x32_number() -> Tried {
    let id = call(X32 | libc::SYS_getpid, [0; 6])?;
    Ok(format!("process {id}"))
}

/// Reads none of it.
pub fn descriptor_table() -> Tried {
    let mut entry = [0_u8; 16];
    call(
        libc::SYS_modify_ldt,
        [0, address(&raw mut entry), 0, 0, 0, 0],
    )?;
    Ok("read".to_owned())
}

/// The port that nothing listens to.
pub fn one_port() -> Tried {
    call(libc::SYS_ioperm, [0x80, 1, 1, 0, 0, 0])?;
    Ok("done".to_owned())
}

pub fn all_ports() -> Tried {
    call(libc::SYS_iopl, [3, 0, 0, 0, 0, 0])?;
    Ok("done".to_owned())
}
