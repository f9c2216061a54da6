//! A program that root lends its rights to, and that does nothing with them but say so.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The machine's number in an executable file, and the program: ends with 1 if its effective user is root, else with 0.
#[cfg(target_arch = "x86_64")]
const PROGRAM: Option<(u16, &[u8])> = Some((
    62,
    &[
        0xb8, 0x6b, 0x00, 0x00, 0x00, // mov eax, geteuid
        0x0f, 0x05, // syscall
        0x31, 0xff, // xor edi, edi
        0x85, 0xc0, // test eax, eax
        0x40, 0x0f, 0x94, 0xc7, // sete dil
        0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, exit
        0x0f, 0x05, // syscall
    ],
));
#[cfg(target_arch = "aarch64")]
const PROGRAM: Option<(u16, &[u8])> = Some((
    183,
    &[
        0xe8, 0x15, 0x80, 0xd2, // mov x8, geteuid
        0x01, 0x00, 0x00, 0xd4, // svc 0
        0x1f, 0x00, 0x00, 0x71, // cmp w0, 0
        0xe0, 0x17, 0x9f, 0x1a, // cset w0, eq
        0xa8, 0x0b, 0x80, 0xd2, // mov x8, exit
        0x01, 0x00, 0x00, 0xd4, // svc 0
    ],
));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PROGRAM: Option<(u16, &[u8])> = None;

/// Where the file is in memory, at a multiple of every size that a page may have.
const BASE: u64 = 0x40_0000;
/// The length of what stands before the program, in bytes.
const HEADERS: u64 = 64 + 56;

/// Makes the program at a path, if this process is root.
pub fn make(path: PathBuf) -> io::Result<Option<PathBuf>> {
    let Some((machine, program)) = PROGRAM.filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(None);
    };
    fs::write(&path, executable(machine, program))?;
    fs::set_permissions(&path, Permissions::from_mode(0o4755))?;
    Ok(Some(path))
}

/// A program as an executable file: an ELF header, one segment that is read and executed, and the program.
fn executable(machine: u16, program: &[u8]) -> Vec<u8> {
    let length = HEADERS + program.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for half in [1_u32, 5] {
        file.extend(half.to_le_bytes());
    }
    for word in [0, BASE, BASE, length, length, 0x1_0000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(program);
    file
}
