# Runs the code of one `python` step, in a process of its own. Before it stand `outputs.py` and `raised.py`. The channel
# is a socket: the request comes in on it and the answer goes out, each as a length of four bytes, then JSON. The
# answer's first byte says what it is: `o` the outputs, `e` an error.
import atexit
import json
import linecache
import os
import resource
import sys
import threading

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

    trace = trace and plain(trace[-LONGEST_TRACEBACK:])
    send(b"e", {"message": plain(message[:4096]), "line": line, "traceback": trace, "limit": limit})


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
    linecache.cache[request["file"]] = (len(source), None, source.splitlines(True), request["file"])
    try:
        try:
            exec(compile(source, request["file"], "exec", dont_inherit=True), main.__dict__)
        except SystemExit as end:
            left(end)
        # As at the end of any Python: threads are waited for, then what was to be done at the end is done.
        threading._shutdown()
        atexit._run_exitfuncs()
        send(b"o", checked(main.__dict__.get("outputs")))
    except BaseException as error:
        raised(error)


REHEARSAL = """import json
def double(numbers):
    return [2 * number for number in numbers]
outputs["Doubled"] = double(inputs["Numbers"])
print(end="")
"""


def rehearse():
    """Does once what a run does, so that the memory it touches is this process's own before anybody waits."""
    main = type(sys)("__main__")
    main.inputs, main.outputs = json.loads('{"Numbers": [1, 2.5]}'), {}
    exec(compile(REHEARSAL, "rehearsal", "exec", dont_inherit=True), main.__dict__)
    json.dumps(checked(main.outputs), ensure_ascii=False).encode("utf-8")


def serve(socket):
    global channel, own, request
    channel, own = socket, os.getpid()
    for name in ("stdout", "stderr"):
        # What the parent had is closed there.
        number = 1 if name == "stdout" else 2
        setattr(sys, name, open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False))
    rehearse()
    request = json.loads(receive(int.from_bytes(receive(4), "big")))
    os.environ.update(request["environment"])
    threading.excepthook = raised_aside
    keep_limits(request["limits"])
    run()
