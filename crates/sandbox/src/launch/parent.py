# A Python that stands ready: it imports what code will need, then forks a child for every run. Descriptor 0 is
# a socket to the launcher; each message in it is JSON, and descriptors come along. A child sets itself apart
# from the others as the first message says, then the driver's `serve` has it for one run.
import array
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys

MS_BIND, MS_SLAVE, CLONE_NEWNS = 4096 | 16384, 1 << 19, 0x20000
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAP_AMBIENT = 36, 38, 22, 47
LANDLOCK_RULE_PATH_BENEATH, LANDLOCK_READ = 1, 1 << 2 | 1 << 3
LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 445, 446

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


class Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int)]


def done(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def mount(source, target, flags):
    done(libc.mount(source and os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None))


def enter(folder):
    """Puts the folder of the run in its places, and hides all others. What is covered by it stays where it was."""
    done(libc.unshare(CLONE_NEWNS))
    # What is mounted in it from here on is not seen by others.
    mount(None, folder, MS_SLAVE)
    for path in setup["covered"]:
        place = folder + path
        if os.path.isdir(path):
            os.makedirs(place, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            open(place, "w").close()
        mount(path, place, MS_BIND)
    for name, place in (("job", "/job"), ("tmp", "/tmp"), ("shm", "/dev/shm")):
        mount(f"{folder}/{name}", place, MS_BIND)
    mount(None, "/runs", MS_SLAVE)
    mount("/empty", "/runs", MS_BIND)
    # Every right goes: none can be taken up again.
    done(libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0))
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    done(libc.capset(header, (ctypes.c_uint32 * 6)()))


def restrict(rules):
    here = os.open("/proc/self", os.O_PATH)
    rule = Rule(LANDLOCK_READ, here)
    done(libc.syscall(LANDLOCK_ADD_RULE, rules, LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    done(libc.syscall(LANDLOCK_RESTRICT_SELF, rules, 0))
    os.close(here)


def filter_calls(programs):
    for text in programs:
        instructions = bytes.fromhex(text)
        program = Program(len(instructions) // 8, instructions)
        done(libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0))


def settle(order, fds):
    """Makes a new child ready for a run, and gives its channel."""
    os.setsid()
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # The server goes before it.
    os.nice(10)
    channel, out, err = fds[:3]
    for number, fd in ((1, out), (2, err)):
        os.dup2(fd, number)
        os.close(fd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if setup["jailed"]:
        enter(order["folder"])
    if fds[3:]:
        restrict(fds[3])
        os.close(fds[3])
    filter_calls(setup["filters"])
    os.chdir(order["inside"])
    os.environ["HOME"] = order["inside"]
    os.environ["TMPDIR"] = order["temporary"]
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return channel


def receive():
    text, parts, _, _ = launcher.recvmsg(131072, socket.CMSG_SPACE(5 * 4), socket.MSG_CMSG_CLOEXEC)
    if not text:
        os._exit(0)
    fds = array.array("i")
    for _, _, data in parts:
        fds.frombytes(data)
    return json.loads(text), list(fds)


def send(message):
    launcher.send(json.dumps(message).encode())


def child(order, fds):
    try:
        launcher.close()
        os.close(woken)
        os.close(waker)
        channel = settle(order, fds)
    except BaseException as error:
        # The launcher is told by the end of the process, and says what became of it.
        os.write(2, f"the process cannot be set apart: {error}\n".encode())
        os._exit(125)
    driver["serve"](channel)
    os._exit(0)


def reap():
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if not ended:
            return
        pid = ended.si_pid
        try:
            # Until it is waited for, its number means its group and no other.
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        send({"ended": pid, "status": status})


def prepare():
    unready = []
    for name in setup["modules"]:
        try:
            importlib.import_module(name)
        except BaseException as error:
            unready.append(f"{name}: {type(error).__name__}: {error}"[:200])
    return unready


launcher = socket.socket(fileno=os.dup(0))
setup, _ = receive()
driver = {"__name__": "driver", "site": setup["site"]}
exec(compile(setup["driver"], "driver", "exec"), driver)
if setup["site"]:
    # After the standard library, and before what is installed on the machine.
    installed = [at for at, path in enumerate(sys.path) if path.endswith("-packages")]
    sys.path.insert(min(installed, default=len(sys.path)), setup["site"])
unready = prepare()
woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
signal.signal(signal.SIGCHLD, lambda *_: None)
nothing = os.open(os.devnull, os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(nothing, number)
os.close(nothing)
gc.collect()
gc.freeze()
send({"ready": unready})
while True:
    for ready in select.select([launcher, woken], [], [])[0]:
        if ready == woken:
            os.read(woken, 4096)
            reap()
            continue
        order, fds = receive()
        pid = os.fork()
        if pid == 0:
            child(order, fds)
        for fd in fds:
            os.close(fd)
        send({"started": order["id"], "pid": pid})
