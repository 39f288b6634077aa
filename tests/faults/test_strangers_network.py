"""The network goes while packages are installed: a clear message, nothing half-done, and it works when it is back."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from herd.toolchain import machine, uv
from localcloud.images.realise import RealiseError, VenvRealiser

NAME = "tinypackage-1.0-py3-none-any.whl"


def wheel(padding: bytes = b"") -> bytes:
    """A package of one module."""
    files = {
        "tinypackage.py": b"ANSWER = 42\n",
        "tinypackage.bin": padding,
        "tinypackage-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinypackage\nVersion: 1.0\n",
        "tinypackage-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(content)}")
    record = "tinypackage-1.0.dist-info/RECORD"
    files[record] = "\n".join([*rows, f"{record},,", ""]).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


WHEEL = wheel(os.urandom(300_000))
LOCK = f"tinypackage==1.0 \\\n    --hash=sha256:{hashlib.sha256(WHEEL).hexdigest()}\n"


class Index(ThreadingHTTPServer):
    """A package index that can break in the middle; `mood` says how it does now."""

    mood = "well"
    spoken: threading.Event
    """Set when who was kept waiting in silence may go."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up is no event."""


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        if self.server.mood == "silent":
            self.server.spoken.wait(60)
            return
        if self.server.mood == "errors":
            self.send_error(503)
            return
        if self.path.endswith(".whl"):
            body = WHEEL if self.server.mood != "other content" else WHEEL[:-9] + b"tampered!"
            self._send(body, len(body) // 2 if self.server.mood == "broken off" else len(body))
        else:
            self._send(f'<a href="/files/{NAME}">{NAME}</a>'.encode(), None, "text/html")

    do_HEAD = do_GET

    def _send(self, body: bytes, upto: int | None, kind: str = "application/octet-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:upto])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """An index of one package, which uv is told to use alone; with a cache that holds nothing yet."""
    index = Index(("127.0.0.1", 0), Handler)
    index.spoken = threading.Event()
    thread = threading.Thread(target=index.serve_forever)
    thread.start()
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": f"http://127.0.0.1:{index.server_address[1]}/simple/",
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "UV_HTTP_RETRIES": "0",
        "UV_HTTP_TIMEOUT": "60",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    yield index
    index.spoken.set()
    index.shutdown()
    index.server_close()
    thread.join()


@pytest.fixture
def realiser(tmp_path: Path) -> VenvRealiser:
    tool = uv.find(machine.user_cache())
    assert tool is not None, "uv is missing: `make up` installs it"
    return VenvRealiser(tmp_path / "cache", tool)


@pytest.mark.parametrize("mood", ["broken off", "silent", "errors", "other content", "unreachable"])
def test_a_lost_network_leaves_nothing_half_made(
    index: Index, realiser: VenvRealiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK)
    index.mood = mood
    with monkeypatch.context() as lost:
        if mood == "silent":
            lost.setenv("UV_HTTP_TIMEOUT", "2")
        if mood == "unreachable":
            lost.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple/")
        with pytest.raises(RealiseError) as told:
            realiser.realise(lock)
    assert str(lock) in str(told.value) and "tinypackage" in str(told.value)
    assert not realiser.folder(LOCK).exists()
    index.mood = "well"
    made = realiser.realise(lock)
    program = "import tinypackage; print(tinypackage.ANSWER)"
    answer = subprocess.run([made / "bin/python", "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "42\n"


def test_an_installation_that_is_killed_is_made_again(index: Index, realiser: VenvRealiser, tmp_path: Path) -> None:
    """What a killed process leaves is a folder without the mark of a whole one."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK)
    whole = realiser.realise(lock)
    (whole / ".realised").unlink()
    next((whole / "lib").glob("python*/site-packages/tinypackage.py")).unlink()
    made = realiser.realise(lock)
    program = "import tinypackage; print(tinypackage.ANSWER)"
    assert subprocess.run([made / "bin/python", "-c", program], capture_output=True, text=True).stdout == "42\n"
