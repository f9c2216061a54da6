# Runs the code of one `python` step, in a process of its own. The channel is a socket: the request comes in on
# it and the answer goes out, each as a length of four bytes, then JSON. The answer's first byte says what it is:
# `o` the outputs, `e` an error.
import errno
import json
import linecache
import os
import resource
import sys
import traceback

# What most code imports: a child that is forked has it already.
import base64
import collections
import csv
import datetime
import decimal
import functools
import hashlib
import io
import itertools
import math
import random
import re
import statistics
import string
import time
import urllib.parse
import uuid


def receive(size):
    data = bytearray()
    while len(data) < size:
        part = os.read(channel, size - len(data))
        if not part:
            os._exit(1)
        data += part
    return data


def send(kind, value):
    if os.getpid() != own:
        # What the code forked has no answer to give, wherever it ends.
        os._exit(0 if kind == b"o" else 1)
    sys.stdout.flush()
    sys.stderr.flush()
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = kind + text.encode("utf-8")
    if len(data) > request["limits"]["result"] + 1 and kind == b"o":
        fail("the outputs are too large", limit="result")
    data = len(data).to_bytes(4, "big") + data
    while data:
        data = data[os.write(channel, data):]
    os._exit(0)


def fail(message, line=None, trace=None, limit=None):
    def plain(text):
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    trace = trace and plain(trace[-32768:])
    send(b"e", {"message": plain(message[:4096]), "line": line, "traceback": trace, "limit": limit})


def wrong(value):
    """What of a value cannot be kept, or None."""
    kind = type(value)
    if value is None or kind is bool:
        return None
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return "a text with half of a surrogate pair in it"
        return None
    if isinstance(value, int):
        return None if -(1 << 127) <= value < 1 << 127 else "a whole number of more than 127 bits"
    if isinstance(value, float):
        return None if value - value == 0 else f"the number {value}"
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(wrong, value)), None)
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                return f"a dictionary with the key {key!r}, which is no text"
            found = wrong(key) or wrong(member)
            if found:
                return found
        return None
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    article = "an" if name[0] in "aeiou" else "a"
    return f"{article} `{name}`"


def checked(outputs):
    if not isinstance(outputs, dict):
        fail(f"`outputs` must stay a dictionary, and is a `{type(outputs).__name__}`")
    for name, value in outputs.items():
        if not isinstance(name, str) or not name:
            fail(f"an output's name must be a text, and this is {name!r}")
        try:
            found = wrong(name) or wrong(value)
        except RecursionError:
            found = "a value that is nested too deep"
        if found:
            fail(f"the output `{name}` cannot be kept: it is or holds {found}")
    return outputs


def raised(error):
    if isinstance(error, MemoryError):
        limit = request["limits"]["memory"] + RESERVE
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    # The first frame is this file's own.
    inner = error.__traceback__ and error.__traceback__.tb_next
    error = error.with_traceback(inner)
    line = None
    while inner:
        if inner.tb_frame.f_code.co_filename == request["file"]:
            line = inner.tb_lineno
        inner = inner.tb_next
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    if isinstance(error, SyntaxError):
        message = f"{type(error).__name__}: {error.msg}"
        if error.filename == request["file"]:
            line = error.lineno
    if line:
        message += f" (line {line - request['line'] + 1} of the code)"
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    fail(message, line, text, limited(error))


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


# Memory that is kept back for saying that there is none.
RESERVE = 32 << 20


def keep_limits(limits):
    for what, soft, reserve in (
        (resource.RLIMIT_DATA, limits["memory"], RESERVE),
        (resource.RLIMIT_CPU, limits["cpu"], 1),
        (resource.RLIMIT_NPROC, limits["processes"], 0),
        (resource.RLIMIT_FSIZE, limits["disk"], 0),
    ):
        resource.setrlimit(what, (soft, soft + reserve))


def run():
    # The code stands on the lines that it has in the program's file.
    source = "\n" * (request["line"] - 1) + request["code"]
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    main.inputs, main.outputs = request["inputs"], {}
    try:
        linecache.cache[request["file"]] = (len(source), None, source.splitlines(True), request["file"])
        exec(compile(source, request["file"], "exec", dont_inherit=True), main.__dict__)
        if "threading" in sys.modules:
            threading = sys.modules["threading"]
            for thread in threading.enumerate():
                if thread is not threading.main_thread() and not thread.daemon:
                    thread.join()
    except SystemExit as end:
        if end.code not in (None, 0):
            fail(f"the code ended with exit status {end.code}")
    except BaseException as error:
        raised(error)
    send(b"o", checked(main.__dict__.get("outputs")))


def serve(socket):
    global channel, own, request
    channel, own = socket, os.getpid()
    for name in ("stdout", "stderr"):
        # What the parent had is closed there.
        number = 1 if name == "stdout" else 2
        setattr(sys, name, open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False))
    request = json.loads(receive(int.from_bytes(receive(4), "big")))
    os.environ.update(request["environment"])
    keep_limits(request["limits"])
    run()
