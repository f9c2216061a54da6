# What is said of an exception: what Python says itself, without what only this driver and this machine have to do
# with it.
import errno
import os
import resource
import sys
import traceback

LONGEST_TRACEBACK = 32768
# Memory that is kept back for saying that there is none.
RESERVE = 32 << 20


def raised(error):
    if isinstance(error, MemoryError):
        limit = request["limits"]["memory"] + RESERVE
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    said = traceback.TracebackException.from_exception(error)
    settle(said, set())
    line = line_of(error)
    if isinstance(error, SyntaxError):
        message = f"{type(error).__name__}: {error.msg}"
        line = error.lineno if error.filename == request["file"] else line
    else:
        message = next(said.format_exception_only()).strip()
    if line:
        message += f" (line {line - request['line'] + 1} of the code)"
    fail(message, line, "".join(said.format()), limited(error))


def raised_aside(ended):
    """Says what ended a thread, as Python does; it would look for the program's file itself."""
    if ended.exc_type is SystemExit:
        return
    said = traceback.TracebackException(ended.exc_type, ended.exc_value, ended.exc_traceback)
    settle(said, set())
    name = ended.thread.name if ended.thread else "a thread"
    print(f"Exception in thread {name}:", "".join(said.format()), sep="\n", end="", file=sys.stderr)


def settle(said, seen):
    """Leaves the driver's frames out, and the folder of packages out of names. An exception may lead to others."""
    if said is None or id(said) in seen:
        return
    seen.add(id(said))
    said.stack[:] = [frame for frame in said.stack if frame.filename != "driver"]
    for frame in said.stack:
        frame.filename = without_folder(frame.filename)
    if isinstance(getattr(said, "filename", None), str):
        said.filename = without_folder(said.filename)
    for other in (said.__cause__, said.__context__, *(getattr(said, "exceptions", None) or ())):
        settle(other, seen)


def without_folder(name):
    return name[len(site) + 1:] if site and name.startswith(site + "/") else name


def line_of(error):
    """The line of the program's file that was last at work."""
    line = None
    step = error.__traceback__
    while step:
        if step.tb_frame.f_code.co_filename == request["file"]:
            line = step.tb_lineno
        step = step.tb_next
    return line


def left(end):
    """Does what the end of a process would do, for `sys.exit()` in its forms."""
    if end.code is None or end.code == 0:
        return
    status, said = (int(end.code), "") if isinstance(end.code, int) else (1, f": {end.code}")
    fail(f"the code ended with exit status {status}{said}", line_of(end))


def limited(error):
    """Which limit an exception comes from, if it does."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return "memory"
    if number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return "disk"
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return "processes"
    if number == errno.EAGAIN and not can_fork():
        return "processes"
    return None


def can_fork():
    try:
        pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True
