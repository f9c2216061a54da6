# Builds good and hostile packages in the folder that the first argument names, and serves them as an
# index (PEP 503) on a free port of loopback, which it prints. The marker that hostile code would leave is
# `marker` in that folder.
import base64
import hashlib
import http.server
import io
import os
import re
import sys
import tarfile
import zipfile

folder = os.path.abspath(sys.argv[1])
marker = os.path.join(folder, "marker")
hostile = f"open({marker!r}, 'w').close()\n"
files = {}


def wheel(name, version, sources, needs=(), python="", tag="py3-none-any"):
    stem = f"{name}-{version}"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{python}"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    parts = dict(sources)
    parts[f"{info}/METADATA"] = metadata
    parts[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    record = ""
    for path, text in parts.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    parts[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in parts.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    files.setdefault(name, {})[f"{stem}-{tag}.whl"] = data.getvalue()


def source(name, version, sources):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for path, text in sources.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    files.setdefault(name, {})[f"{name}-{version}.tar.gz"] = data.getvalue()


def build(port):
    here = f"http://127.0.0.1:{port}/files"
    wheel("good", "1.0", {"good/__init__.py": "number = 1\n"})
    wheel("good", "2.0", {"good/__init__.py": "number = 2\n"})
    wheel("left", "1", {"left.py": ""}, ["shared<2"])
    wheel("right", "2", {"right.py": ""}, ["shared>=2"])
    wheel("shared", "1", {"shared.py": ""})
    wheel("shared", "2", {"shared.py": ""})
    wheel("deep", "1", {"deep.py": ""}, ["nosuchpkg-xyz"])
    wheel("native", "1", {"native.py": ""}, tag="cp27-cp27m-win32")
    wheel("later", "1", {"later.py": ""}, python="Requires-Python: >=3.99\n")
    # Each of these would leave the marker, if it were let.
    wheel("startup", "1", {"startup.py": "number = 3\n", "startup.pth": f"import builtins; {hostile}"})
    wheel("outside", "1", {"outside.py": "", "../../../marker": "x", "..\\..\\marker": "x", marker.lstrip("/"): "x"})
    source("unbuilt", "1", {"setup.py": hostile, "PKG-INFO": "Metadata-Version: 2.1\nName: unbuilt\nVersion: 1\n"})
    backend = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    source("backend", "1", {"pyproject.toml": backend, "backend.py": hostile, "PKG-INFO": ""})
    wheel("elsewhere", "1", {"elsewhere.py": ""}, [f"backend @ {here}/backend/backend-1.tar.gz"])
    # These would fill the disk.
    wheel("large", "1", {"large.bin": "0" * 50_000_000})
    wheel("endless", "1", {"endless.py": ""})


class Index(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = re.fullmatch("/simple/([^/]+)/", self.path)
        file = re.fullmatch("/files/([^/]+)/([^/]+)", self.path)
        if page and page[1] in files:
            links = "".join(f'<a href="/files/{page[1]}/{name}">{name}</a>\n' for name in files[page[1]])
            self.answer(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")
        elif file and file[1] == "endless":
            self.send_response(200)
            self.send_header("Content-Length", str(2 << 30))
            self.end_headers()
            for _ in range(2 << 10):
                self.wfile.write(bytes(1 << 20))
        elif file and file[2] in files.get(file[1], {}):
            self.answer(files[file[1]][file[2]], "application/octet-stream")
        else:
            self.send_error(404)

    def do_HEAD(self):
        self.send_error(405)

    # `POST /changed` gives the newest file of `good` other bytes.
    def do_POST(self):
        wheel("good", "2.0", {"good/__init__.py": "number = 4\n"})
        self.answer(b"", "text/plain")

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Index)
build(server.server_port)
print(server.server_port, flush=True)
server.serve_forever()
