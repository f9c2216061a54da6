//! Attempts at other processes, above all at the stand-in for the server.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, WaitOptions, getpgid, getpid, getpriority_process,
    kill_process, pidfd_getfd, pidfd_open, setpriority_process, test_kill_process, waitpid,
};

use rustix::thread::{sched_getaffinity, sched_setaffinity};

use super::Trial;
use super::child::{Stopped, Tried};
use super::kernel::{address, call};

/// The stand-in's process id, if in here too it is the stand-in's.
///
/// In a process namespace of the sandbox the number may be free, or one of its own processes. Of these the probe knows
/// itself and who started it, and none but the stand-in leads a process group of that number.
fn server(trial: &Trial) -> Result<Pid, Stopped> {
    let server = trial.bait.server.cast_signed();
    let own = server == number(getpid()) || trial.family.contains(&server);
    let pid = Pid::from_raw(server)
        .filter(|_| !own)
        .ok_or("its number is one of the sandbox's own processes")?;
    match getpgid(Some(pid)) {
        Ok(group) if group != pid => Err(Stopped::from("its number is another process here")),
        Err(rustix::io::Errno::SRCH) => Err(Stopped::from("ESRCH")),
        _ => Ok(pid),
    }
}

fn number(process: Pid) -> i32 {
    process.as_raw_nonzero().get()
}

/// The ids of the processes in `/proc`.
pub fn visible() -> Result<Vec<i32>, Stopped> {
    let names = fs::read_dir("/proc")?
        .flatten()
        .map(|entry| entry.file_name());
    Ok(names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect())
}

/// When a process started, from its `/proc/<id>/stat`: in clock ticks since the machine did.
fn started(process: i32) -> std::io::Result<Option<u64>> {
    let line = fs::read(format!("/proc/{process}/stat"))?;
    Ok(stat_field(&line, 22).and_then(|field| field.parse().ok()))
}

/// A field of a line of `/proc/<id>/stat`, by its number in proc(5), from 3 on.
///
/// The second is a name in parentheses that may hold spaces and parentheses.
pub(super) fn stat_field(line: &[u8], number: usize) -> Option<&str> {
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&line[name_end + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

pub fn own_environment(trial: &Trial) -> Tried {
    let secret = trial.bait.secret.as_bytes();
    let mut found = std::env::vars_os().filter(|(_, value)| value.as_bytes() == secret);
    let (name, _) = found.next().ok_or("not there")?;
    Ok(format!("`{}`", name.display()))
}

pub fn environment(trial: &Trial) -> Tried {
    environment_of(trial, number(server(trial)?))
}

pub fn any_environment(trial: &Trial) -> Tried {
    let mut last = Stopped::from("no other process to be seen");
    for process in visible()? {
        if process == number(getpid()) || process == trial.family[0] {
            continue;
        }
        match environment_of(trial, process) {
            Ok(got) => return Ok(format!("{got}, in process {process}")),
            Err(stopped) => last = stopped,
        }
    }
    Err(last)
}

fn environment_of(trial: &Trial, process: i32) -> Tried {
    let environment = fs::read(format!("/proc/{process}/environ"))?;
    let wanted = format!("{}={}", trial.bait.server_secret_env, trial.bait.secret);
    match environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == wanted.as_bytes())
    {
        true => Ok("the secret".to_owned()),
        false => Err(Stopped::from("another process's")),
    }
}

/// The first process is the machine's, unless it is younger than the stand-in.
pub fn first_environment(trial: &Trial) -> Tried {
    let environment = fs::read("/proc/1/environ")?;
    match started(1)? {
        Some(start) if start < trial.bait.server_started => {
            Ok(format!("{} bytes", environment.len()))
        }
        _ => Err(Stopped::from("the sandbox's own")),
    }
}

pub fn memory_file(trial: &Trial) -> Tried {
    let memory = File::open(format!("/proc/{}/mem", number(server(trial)?)))?;
    let mut bytes = vec![0; trial.bait.secret.len()];
    memory.read_exact_at(&mut bytes, trial.bait.secret_address)?;
    trial.expect_secret(&bytes)
}

pub fn read_memory(trial: &Trial) -> Tried {
    let server = number(server(trial)?);
    let mut bytes = vec![0; trial.bait.secret.len()];
    let part = |iov_base| libc::iovec {
        iov_base,
        iov_len: trial.bait.secret.len(),
    };
    let here = part(bytes.as_mut_ptr().cast());
    let there = part(trial.bait.secret_address as *mut libc::c_void);
    let [from, to] = [&raw const there, &raw const here].map(address);
    call(
        libc::SYS_process_vm_readv,
        [server as usize, to, 1, from, 1, 0],
    )?;
    trial.expect_secret(&bytes)
}

pub fn list_descriptors(trial: &Trial) -> Tried {
    let folder = format!("/proc/{}/fd", number(server(trial)?));
    super::files::list(folder.as_ref())
}

/// A process is another's if it was there before the sandbox: the stand-in, or what is older.
pub fn list_others(trial: &Trial) -> Tried {
    let server = server(trial).ok().map(number);
    let foreign = |process: &i32| match started(*process) {
        Ok(Some(start)) if start == trial.bait.server_started => server == Some(*process),
        Ok(start) => start.is_none_or(|start| start < trial.bait.server_started),
        // It ended meanwhile, or is shown but may not be looked at.
        Err(error) => {
            error.raw_os_error() != Some(libc::ENOENT) && error.raw_os_error() != Some(libc::ESRCH)
        }
    };
    match visible()?.iter().filter(|process| foreign(process)).count() {
        0 => Err(Stopped::from("only the sandbox's own")),
        count => Ok(format!("{count} processes")),
    }
}

/// The kernel stops what is attached to; it is let go at once and told to go on.
pub fn attach(trial: &Trial) -> Tried {
    let server = server(trial)?;
    trace(libc::PTRACE_ATTACH, server)?;
    let _ = waitpid(
        Some(server),
        WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned()),
    );
    let _ = trace(libc::PTRACE_DETACH, server);
    let _ = kill_process(server, Signal::CONT);
    Ok("attached".to_owned())
}

/// What is seized goes on, and is free again when the attempt's process ends.
pub fn seize(trial: &Trial) -> Tried {
    trace(libc::PTRACE_SEIZE, server(trial)?)?;
    Ok("seized".to_owned())
}

fn trace(request: impl TryInto<usize>, process: Pid) -> Result<(), Stopped> {
    let request = request.try_into().map_err(|_| "no such request")?;
    call(
        libc::SYS_ptrace,
        [request, number(process) as usize, 0, 0, 0, 0],
    )?;
    Ok(())
}

pub fn signal(trial: &Trial) -> Tried {
    test_kill_process(server(trial)?)?;
    Ok("allowed".to_owned())
}

/// A process that is not stopped takes no notice of this signal.
pub fn wake(trial: &Trial) -> Tried {
    kill_process(server(trial)?, Signal::CONT)?;
    Ok("sent".to_owned())
}

pub fn signal_by_descriptor(trial: &Trial) -> Tried {
    let server = pidfd_open(server(trial)?, PidfdFlags::empty())?;
    rustix::process::pidfd_send_signal(server, Signal::CONT)?;
    Ok("sent".to_owned())
}

pub fn take_descriptor(trial: &Trial) -> Tried {
    let server = pidfd_open(server(trial)?, PidfdFlags::empty())?;
    pidfd_getfd(server, 0, PidfdGetfdFlags::empty())?;
    Ok("its standard input".to_owned())
}

pub fn compare(trial: &Trial) -> Tried {
    const KCMP_VM: usize = 1;
    let [own, server] = [getpid(), server(trial)?].map(|pid| number(pid) as usize);
    call(libc::SYS_kcmp, [own, server, KCMP_VM, 0, 0, 0])?;
    Ok("compared".to_owned())
}

pub fn limits(trial: &Trial) -> Tried {
    let server = number(server(trial)?) as usize;
    let mut old = [0_u64; 2];
    let place = address(&raw mut old);
    call(
        libc::SYS_prlimit64,
        [server, libc::RLIMIT_NOFILE as usize, 0, place, 0, 0],
    )?;
    Ok(format!("{} open files", old[0]))
}

/// Sets the priority that it has.
pub fn priority(trial: &Trial) -> Tried {
    let server = Some(server(trial)?);
    setpriority_process(server, getpriority_process(server)?)?;
    Ok("set".to_owned())
}

/// Sets the class that it is scheduled in, to the one that it has.
pub fn scheduling(trial: &Trial) -> Tried {
    let server = number(server(trial)?) as usize;
    let class = call(libc::SYS_sched_getscheduler, [server, 0, 0, 0, 0, 0])?;
    let priority = 0_i32;
    let place = address(&raw const priority);
    call(
        libc::SYS_sched_setscheduler,
        [server, class, place, 0, 0, 0],
    )?;
    Ok("set".to_owned())
}

/// Sets the processors that it may use, to those that it uses.
pub fn processors(trial: &Trial) -> Tried {
    let server = Some(server(trial)?);
    sched_setaffinity(server, &sched_getaffinity(server)?)?;
    Ok("set".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let line = b"71 (a) S 1 (b) R 2 3\n";
        assert_eq!(stat_field(line, 3), Some("R"));
        assert_eq!(stat_field(line, 4), Some("2"));
        assert_eq!(stat_field(line, 6), None);
        assert_eq!(stat_field(line, 2), None);
        assert_eq!(stat_field(b"", 3), None);
    }

    proptest! {
        #[test]
        fn a_field_is_found_behind_any_name(name in "\\PC{0,15}", fields in prop::collection::vec(0..9_u64, 1..50)) {
            let rest: Vec<String> = fields.iter().map(u64::to_string).collect();
            let line = format!("1 ({name}) {}\n", rest.join(" "));
            for (index, field) in rest.iter().enumerate() {
                prop_assert_eq!(stat_field(line.as_bytes(), index + 3), Some(&**field));
            }
        }

        #[test]
        fn no_line_is_too_strange(line: Vec<u8>, number: usize) {
            stat_field(&line, number);
        }
    }
}
