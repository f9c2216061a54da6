//! What code may use is bounded, and what it leaves behind goes: every way of using too much ends with the limit
//! that it met, and nothing of it is left.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use sandbox::isolation::Isolation;

use crate::processes::{assert_gone, below, comes_true, marked};
use crate::world::{User, World, is_offered, program};

mod limits {
    crate::world::in_every_world!(super::what_uses_too_much_ends);
}

mod endings {
    crate::world::in_every_world!(super::every_end_is_told);
}

mod answers {
    crate::world::in_every_world!(super::what_is_no_answer_is_told);
}

mod leftovers {
    crate::world::in_every_world!(super::nothing_is_left_behind);
}

mod death_of_the_server {
    crate::world::in_every_world!(super::nothing_outlives_the_server);
}

/// What the code of these tests may use.
const LIMITS: &str = "timeout: 20s
limits: {memory: 192MB, cpu: CPU, processes: 16, disk: 4MB, output: 1MB, result: 100KB}";

/// Fewer processes than that the server has when nothing runs: launchers, and what stands ready behind them.
const CROWD: usize = 24;

/// How long leftovers may be there after the end.
const SOON: Duration = Duration::from_secs(1);

const MEMORY: &str = "memory than its limit of 192MB; the step's `limits` can set `memory` up to 2GB, \
     the server's `max-code-memory`";
const CPU: &str = "time on the processors than its limit of 2s; the step's `limits` can set `cpu` up to 600s, \
     the server's `max-code-cpu`";
const PROCESSES: &str = "processes than its limit of 16; the step's `limits` can set `processes` up to 256, \
     the server's `max-code-processes`";
const DISK: &str = "disk than its limit of 4MB or 4096 files; the step's `limits` can set `disk` up to 2GB, \
     the server's `max-code-disk`";
const OUTPUT: &str = "output than its limit of 1MB; the step's `limits` can set `output` up to 256MB, \
     the server's `max-code-output`";
const RESULT: &str = "outputs than its limit of 100KB; the step's `limits` can set `result` up to 64MB, \
     the server's `max-code-result`";

/// Code by what it does: its kind, its text, and what is said of it.
type Row = (&'static str, &'static str, &'static str);

const TOO_MUCH: &[Row] = &[
    ("python", "x = bytearray(1 << 30)", MEMORY),
    (
        "python",
        "x = []\nwhile True: x.append(bytes(100_000))",
        MEMORY,
    ),
    (
        "python",
        "import os, time\nfor n in range(8):\n  if os.fork() == 0:\n    x = bytearray(b'x' * 20_000_000); time.sleep(60)\ntime.sleep(60)",
        MEMORY,
    ),
    (
        "python",
        "import mmap, time\nx = mmap.mmap(-1, 1 << 30)\nfor at in range(0, 1 << 30, 4096): x[at] = 1\ntime.sleep(60)",
        MEMORY,
    ),
    ("shell", "tail /dev/zero", MEMORY),
    (
        "javascript",
        "const x = []; for (;;) x.push('x'.repeat(1e6) + x.length);",
        MEMORY,
    ),
    ("python", "while True: pass", CPU),
    (
        "python",
        "import os\nos.fork()\nos.fork()\nwhile True: pass",
        CPU,
    ),
    ("shell", "while :; do :; done", CPU),
    ("javascript", "for (;;);", CPU),
    ("python", "import os\nwhile True: os.fork()", PROCESSES),
    (
        "python",
        "import os, time\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(60)\n  except OSError: time.sleep(60)",
        PROCESSES,
    ),
    (
        "python",
        "import threading, time\nfor n in range(10_000): threading.Thread(target=time.sleep, args=[60], daemon=True).start()",
        PROCESSES,
    ),
    ("shell", "bomb() { bomb | bomb; }\nbomb", PROCESSES),
    ("python", "open('big', 'wb').write(bytes(8_000_000))", DISK),
    (
        "python",
        "import os\nfor n in range(9): open(os.path.join(os.environ['TMPDIR'] if n % 2 else '', str(n)), 'wb').write(bytes(1_000_000))\nimport time; time.sleep(60)",
        DISK,
    ),
    (
        "python",
        "for n in range(1_000_000): open(str(n), 'w')\nimport time; time.sleep(60)",
        DISK,
    ),
    ("python", "open('sparse', 'wb').truncate(1 << 40)", DISK),
    (
        "python",
        "import tempfile, time\nheld = [tempfile.TemporaryFile() for n in range(9)]\nfor file in held: file.write(bytes(1_000_000)); file.flush()\ntime.sleep(60)",
        DISK,
    ),
    (
        "shell",
        "text=$(head -c 30000 /dev/zero | tr '\\0' x)\nwhile :; do echo $text >> file; done",
        DISK,
    ),
    ("shell", "head -c 8000000 /dev/zero > file", DISK),
    ("python", "while True: print('x' * 1000)", OUTPUT),
    (
        "python",
        "import os\nwhile True: os.write(2, bytes(range(128, 256)) * 100)",
        OUTPUT,
    ),
    ("shell", "yes", OUTPUT),
    ("shell", "cat /dev/zero >&2", OUTPUT),
    (
        "javascript",
        "for (;;) console.log('x'.repeat(1000));",
        OUTPUT,
    ),
    ("python", "outputs['X'] = 'x' * 20_000_000", RESULT),
    (
        "shell",
        "head -c 20000000 /dev/zero | tr '\\0' x >&3",
        RESULT,
    ),
    ("javascript", "outputs.X = 'x'.repeat(2e7);", RESULT),
];

fn what_uses_too_much_ends(place: (Isolation, User)) {
    let settings = |said: &str| LIMITS.replace("CPU", if said == CPU { "2s" } else { "10s" });
    let world = serving(place, TOO_MUCH, settings);
    assert_told(&world, TOO_MUCH, Duration::from_secs(10));
    assert_tidy(&world);
    assert!(world.is_well());
}

const LATE: &str = "took longer than";

const ENDINGS: &[Row] = &[
    ("python", "import os; os._exit(1)", "exit status 1"),
    ("python", "import os; os._exit(255)", "exit status 255"),
    ("python", "import sys; sys.exit(3)", "exit status 3"),
    (
        "python",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "was killed, as happens when the machine is out of memory",
    ),
    (
        "python",
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "crashed with SIGSEGV",
    ),
    (
        "python",
        "import os, signal; os.kill(os.getpid(), signal.SIGSYS)",
        "was stopped by the sandbox",
    ),
    ("python", "def f(:", "SyntaxError: invalid syntax"),
    (
        "python",
        "import not_there",
        "ModuleNotFoundError: No module named 'not_there' (line 1 of the code)",
    ),
    ("shell", "exit 255", "the script ended with exit status 255"),
    (
        "shell",
        "kill -9 $$",
        "was killed, as happens when the machine is out of memory",
    ),
    ("shell", "false", "the script ended with exit status 1"),
    (
        "python",
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(60)",
        LATE,
    ),
    (
        "python",
        "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nfor n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(60)",
        LATE,
    ),
    (
        "shell",
        "trap '' TERM INT HUP\nwhile :; do sleep 60 || :; done",
        LATE,
    ),
    (
        "javascript",
        "await new Promise(() => setTimeout(() => {}, 1e6));",
        LATE,
    ),
];

fn every_end_is_told(place: (Isolation, User)) {
    let world = serving(place, ENDINGS, |_| "timeout: 1s".to_owned());
    assert_told(&world, ENDINGS, Duration::from_secs(4));
    assert!(world.is_well());
}

/// Writes to the channel itself, which is the one socket that the code has.
macro_rules! writes {
    ($bytes:literal) => {
        concat!(
            "import os, stat, time\nfor fd in range(3, 50):\n  try:\n    socket = stat.S_ISSOCK(os.fstat(fd).st_mode)\n  \
             except OSError:\n    continue\n  if socket: os.write(fd, ",
            $bytes,
            "); break\nos._exit(0)"
        )
    };
}

const NO_ANSWERS: &[Row] = &[
    (
        "python",
        "import os; os._exit(0)",
        "ended by itself, with exit status 0",
    ),
    (
        "python",
        "import os; os.closerange(3, 100)",
        "ended by itself, with exit status 1",
    ),
    ("python", writes!(r"b'\xff\xff\xff\xffo{}'"), RESULT),
    (
        "python",
        writes!(r"b'\0\0\0\0'"),
        "does not answer as agreed",
    ),
    (
        "python",
        writes!(r"b'\0\0\0\3o{x'"),
        "an output cannot be kept: key must be a string",
    ),
    (
        "python",
        writes!(r"b'\0\0\0\3x{}'"),
        "does not answer as agreed",
    ),
    (
        "python",
        writes!(r"b'\0\0\0\3e{}'"),
        "does not answer as agreed",
    ),
    (
        "python",
        writes!(r"b'\xff\xff\xff\xffe{}'"),
        "does not answer as agreed",
    ),
    (
        "python",
        writes!(r#"b'\0\0\0\3f{}'"#),
        "does not answer as agreed",
    ),
    (
        "python",
        writes!(r#"b'\0\0\0\x0eo{"X":1,"X":2}'"#),
        "the name `X` is there twice",
    ),
    (
        "shell",
        "echo '{\"X\": [{\"a\": 1, \"a\": 2}]}' >&3",
        "the name `a` is there twice",
    ),
    (
        "python",
        "x = 1\nfor n in range(200): x = [x]\noutputs['X'] = x",
        "nested",
    ),
    (
        "python",
        "outputs['X'] = float('nan')",
        "the output `X` cannot be kept: it is the number nan",
    ),
    (
        "shell",
        "echo '{\"X\": NaN}' >&3",
        "the outputs of the script cannot be kept",
    ),
    (
        "shell",
        "echo nothing of the kind >&3",
        "line 1 of the outputs is no `name=value`",
    ),
    ("shell", "printf '\\377=x\\n' >&3", "UTF-8"),
    ("javascript", "outputs.X = 0 / 0;", "X"),
];

fn what_is_no_answer_is_told(place: (Isolation, User)) {
    let world = serving(place, NO_ANSWERS, |_| {
        "timeout: 10s\nlimits: {result: 100KB}".to_owned()
    });
    assert_told(&world, NO_ANSWERS, Duration::from_secs(4));
    assert!(world.is_well());
}

/// Starts a process that belongs to nobody, and has another name; then ends well.
const STRAYS: &[Row] = &[
    (
        "python",
        "import os
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp('sh', ['another', '-c', 'trap \"\" TERM HUP; sleep 600; : MARK'])
    os._exit(0)
os.close(writer)
os.read(reader, 1)",
        "",
    ),
    (
        "shell",
        "setsid sh -c 'setsid sh -c \"sleep 600; : MARK\" > /dev/null 2>&1 &' &\nwait",
        "",
    ),
    ("shell", "sh -c 'while :; do sleep 600; : MARK; done' &", ""),
];

/// Leaves files behind that are hard to delete.
const PLANTED: &[Row] = &[
    (
        "python",
        "import os, socket
for place in (os.environ['HOME'], os.environ['TMPDIR']):
    os.chdir(place)
    for n, to in enumerate(('/', '/etc/passwd', '..', 'nothing', 'link0')): os.symlink(to, f'link{n}')
    os.mkfifo('fifo')
    socket.socketpair()
    os.makedirs('closed/inner/most'); open('closed/inner/most/file', 'w')
    open('setuid', 'w').write('x'); os.chmod('setuid', 0o6777)
    open('sparse', 'wb').truncate(1 << 20)
    for n in range(300): os.mkdir('d'); os.chdir('d')
for place in (os.environ['HOME'], os.environ['TMPDIR']):
    os.chmod(place + '/closed/inner', 0); os.chmod(place + '/closed', 0)",
        "",
    ),
    ("shell", "mkdir a; cd a; ln -s / root; mkfifo fifo; mkdir -p b/c; chmod 0 b; cd ..; chmod 0 a; chmod 0 .", ""),
];

fn nothing_is_left_behind(place: (Isolation, User)) {
    let mark = format!("stray{}", std::process::id());
    let rows: Vec<Row> = [STRAYS, PLANTED].concat();
    let programs: Vec<(String, String)> = rows
        .iter()
        .zip(1..)
        .map(|((kind, code, _), id)| {
            program(id, kind, &code.replace("MARK", &mark), "timeout: 20s")
        })
        .collect();
    let world = World::new(place, &borrowed(&programs), &[]);
    for id in 1..=programs.len() {
        let called = world.call(id, "");
        assert_eq!(called.status, 200, "{} {}", programs[id - 1].1, called.body);
        assert_gone(&mark, SOON);
    }
    assert_tidy(&world);
    assert!(world.is_well());
}

/// What cannot be deleted when a process ends, here since something is mounted there, is deleted once it can be.
#[test]
fn what_is_in_use_is_deleted_later() {
    // Whoever may make a jail may mount.
    if !is_offered(Isolation::Jail, User::Root) {
        return;
    }
    let code = "chmod 755 .; mkdir busy; until [ -e go ]; do sleep 0.01; done";
    let programs = [program(1, "shell", code, "timeout: 60s")];
    let world = World::new((Isolation::Limited, User::Root), &borrowed(&programs), &[]);
    world.begin(1);
    let busy = || {
        let places = world.runs().into_iter().map(|run| run.join("job/busy"));
        places.into_iter().find(|place| place.exists())
    };
    assert!(comes_true(20 * SOON, || busy().is_some()));
    let busy = busy().unwrap();
    let job = busy.parent().unwrap();
    mount("tmpfs", &busy, "tmpfs", MountFlags::empty(), None).unwrap();
    std::fs::write(job.join("go"), "").unwrap();
    // Whoever deletes a folder gives itself every right to it first.
    let mode = || std::fs::metadata(job).unwrap().permissions().mode() & 0o777;
    let tried = comes_true(10 * SOON, || mode() == 0o700);
    unmount(&busy, UnmountFlags::DETACH).unwrap();
    assert!(tried);
    assert_tidy(&world);
}

/// The server is killed while code is at work that does not want to end.
fn nothing_outlives_the_server(place: (Isolation, User)) {
    let mark = format!("outliving{}", std::process::id());
    let code = format!(
        "import os, signal, subprocess, sys, time
for n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)
subprocess.Popen(['sh', '-c', 'trap \"\" TERM HUP; sleep 600; : {mark}'], start_new_session=True)
print('begun', flush=True)
time.sleep(600)"
    );
    let programs = [program(1, "python", &code, "timeout: 60s")];
    let mut world = World::new(place, &borrowed(&programs), &[]);
    world.begin(1);
    let began = comes_true(Duration::from_secs(20), || !marked(&mark).is_empty());
    assert!(began, "{}", world.server.logged());
    let below = below(world.pid());
    world.server.signal(Signal::KILL);
    world.server.child.wait().unwrap();
    assert_gone(&mark, SOON);
    let left = || {
        let all = crate::processes::all();
        all.into_iter()
            .filter(|one| {
                !one.ended
                    && below
                        .iter()
                        .any(|old| old.pid == one.pid && old.words == one.words)
            })
            .collect::<Vec<_>>()
    };
    assert!(
        comes_true(SOON, || left().is_empty()),
        "there is {:?}",
        left()
    );
    // The folders of runs are on the disk only where they are no file systems of their own.
    assert_tidy(&world);
}

/// Checks that the files of runs that are over go. A busy machine may take its time.
#[track_caller]
fn assert_tidy(world: &World) {
    let tidy = comes_true(10 * SOON, || world.runs().is_empty());
    assert!(tidy, "{}", world.left());
}

/// Serves rows, with settings by what is to be said of each.
fn serving(place: (Isolation, User), rows: &[Row], settings: fn(&str) -> String) -> World {
    let programs: Vec<(String, String)> = rows
        .iter()
        .zip(1..)
        .map(|((kind, code, said), id)| program(id, kind, code, &settings(said)))
        .collect();
    World::new(place, &borrowed(&programs), &[])
}

/// Calls the programs of rows, and sees that each fails in time as its row says.
fn assert_told(world: &World, rows: &[Row], most: Duration) {
    let mut wrong = Vec::new();
    for (at, (kind, code, said)) in rows.iter().enumerate() {
        let called = world.call(at + 1, "");
        let status = if *said == LATE { 504 } else { 500 };
        if called.status != status || !called.body.contains(said) || called.took > most {
            wrong.push(format!(
                "{kind}: {code}\n  was to be told `{said}`: {} {} after {:?}\n  {:?}",
                called.status,
                called.body,
                called.took,
                world
                    .log(&called.run)
                    .iter()
                    .rev()
                    .take(3)
                    .collect::<Vec<_>>()
            ));
        }
        // The next may have as many processes again.
        if !comes_true(SOON, || below(world.pid()).len() < CROWD) {
            wrong.push(format!(
                "{kind}: {code}\n  has left {:?}",
                below(world.pid())
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn borrowed(programs: &[(String, String)]) -> Vec<(&str, &str)> {
    programs
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect()
}
