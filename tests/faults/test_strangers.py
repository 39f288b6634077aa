"""Others on this machine, and a disk that is full: each a clear message or a correct continuation.

One environment for all, its `.herd/` on a file system of 64 MB where this user may mount one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.sandbox import Sandbox
from tests.faults.hostile import Checkout, without_aws

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-strangers")]

DISK_MB = 64
JOB = """\
import os, pathlib
size = int(os.environ["HERD_PARAM_KB"]) * 1024
out = pathlib.Path(os.environ["HERD_OUTPUTS"])
(out / "table.bin").write_bytes(os.urandom(size))
(out / "index.html").write_text(f"<p>{size}</p>")
print("wrote", size)
"""
TEAM = {
    "reports/page/workload.toml": "retries = 0\n[params]\nkb = 10\n",
    "reports/page/main.py": JOB,
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """An environment that is up, with one report."""
    folder = tmp_path_factory.mktemp("strangers")
    temporary = Path(tempfile.mkdtemp(prefix="herd-"))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, temporary, ignore_errors=True)
        made = Checkout(folder / "checkout", temporary)
        for path, text in TEAM.items():
            made.write(path, text)
        (made.folder / ".herd").mkdir(mode=0o700)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "herd-test", str(made.folder / ".herd")]
        if os.geteuid() == 0 and shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0:
            undo.callback(subprocess.run, ["umount", "-l", str(made.folder / ".herd")], check=False)
        undo.enter_context(made)
        made.herd("up")
        yield made


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed; it must be words for people."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    return text


def kept_port(sandbox: Sandbox) -> int:
    return int((sandbox.folder / ".herd/cloud/port").read_text())


class Yes(BaseHTTPRequestHandler):
    """Answers 200 to everything, as a development server's catch-all does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok", "home": "anything"}')

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def yes_server(sandbox: Sandbox) -> Iterator[int]:
    """It listens on the local cloud's port, in a process of this test; the process's number."""
    server = ThreadingHTTPServer(("127.0.0.1", kept_port(sandbox)), Yes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield os.getpid()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_server(sandbox: Sandbox) -> Iterator[int]:
    """It takes the port and says nothing, in a process of its own."""
    program = (
        f"import socket, time; s = socket.create_server(('127.0.0.1', {kept_port(sandbox)})); print(); time.sleep(999)"
    )
    process = subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        yield process.pid
        process.kill()


@contextmanager
def foreign_cloud(sandbox: Sandbox) -> Iterator[int]:
    """The local cloud of another checkout has the port."""
    home = sandbox.temporary / "other" if isinstance(sandbox, Checkout) else Path("other")
    command = [sys.executable, "-m", "localcloud", "serve", "--home", str(home), "--cache", str(home), "--uv", "uv"]
    process = subprocess.Popen(
        [*command, "--port", str(kept_port(sandbox))], stdout=subprocess.PIPE, env=without_aws(), text=True
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().startswith("ready")
        yield process.pid
        process.terminate()


@pytest.mark.parametrize("stranger", [yes_server, silent_server, foreign_cloud])
def test_a_stranger_on_the_port_is_named_and_never_talked_to(sandbox: Checkout, stranger: Any) -> None:
    sandbox.herd("stop")
    before = sandbox.folder / ".herd/pulumi/.pulumi/stacks/herd/dev.json"
    state = before.read_bytes()
    with stranger(sandbox) as pid:
        up = sandbox.herd("up", check=False)
        text = said(up)
        assert up.returncode == 1
        assert f"port {kept_port(sandbox)}" in text and f"process {pid}" in text
        if stranger is foreign_cloud:
            assert f"the local cloud of {sandbox.temporary / 'other'}" in text
        doctor = sandbox.herd("doctor", check=False)
        assert f"process {pid}" in said(doctor) and "end that program" in doctor.stderr
        assert psutil.pid_exists(pid)
    assert before.read_bytes() == state


def test_when_the_stranger_has_gone_everything_is_as_it_was(sandbox: Checkout) -> None:
    assert "nothing changed" in said(sandbox.herd("up"))


def test_a_copy_of_the_checkout_leaves_the_original_alone(sandbox: Checkout, tmp_path: Path) -> None:
    """`cp -r` takes endpoint.json, port, keys and plugins along."""
    copy = Checkout(tmp_path / "copy", sandbox.temporary)
    for path, text in TEAM.items():
        copy.write(path, text)
    shutil.copytree(sandbox.folder / ".herd", copy.folder / ".herd", symlinks=True)
    original = json.loads((sandbox.folder / ".herd/cloud/endpoint.json").read_text())
    doctor = copy.herd("doctor", check=False)
    assert "of which this one is a copy" in said(doctor)
    up = copy.herd("up", check=False)
    assert up.returncode == 1
    assert f"the local cloud of {sandbox.folder / '.herd/cloud'}" in said(up)
    # Taking down needs no port in particular: the copy does it in a local cloud of its own.
    assert copy.herd("down", "--yes", check=False).returncode == 0
    assert psutil.pid_exists(original["pid"])
    assert sandbox.status("page")["last_run"]["status"] == "succeeded"
    shutil.rmtree(copy.folder / ".herd", ignore_errors=True)
    assert "is not up" in said(copy.herd("status", check=False))


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * (1 << 16))
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0" * 64)
        except OSError:
            pass
    return filler


def test_a_full_disk_is_said_and_nothing_half_written_is_used(sandbox: Checkout) -> None:
    if not os.path.ismount(sandbox.folder / ".herd"):
        pytest.skip(f"a full disk was not tried: this user may not mount a file system of {DISK_MB} MB")
    sandbox.herd("up")
    good = sandbox.status("page")["last_run"]["id"]
    url = sandbox.status("page")["url"]
    filler = fill(sandbox.folder / ".herd")
    try:
        assert shutil.disk_usage(sandbox.folder / ".herd").free < 1 << 16
        run = sandbox.herd("run", "page", "--param", "kb=2000", check=False)
        assert run.returncode == 1
        assert "disk" in said(run).lower() or "space" in said(run).lower(), said(run)
        sandbox.write("reports/page/main.py", JOB + "# changed\n")
        up = sandbox.herd("up", "--no-run", check=False)
        assert up.returncode == 1 and "space" in said(up).lower(), said(up)
        status = sandbox.herd("status", check=False)
        assert "Traceback" not in status.stdout + status.stderr
    finally:
        filler.unlink()
    assert f"as run {good}" in said(sandbox.herd("outputs", "page")) or good in said(sandbox.herd("outputs", "page"))
    said(sandbox.herd("up"))
    said(sandbox.herd("run", "page"))
    assert sandbox.status("page")["last_run"]["status"] == "succeeded" and sandbox.status("page")["url"] == url
    sandbox.pulumi("preview", "--expect-no-changes")
    sandbox.herd("stop")
    assert "nothing changed" in said(sandbox.herd("up", "--no-run"))


def test_a_start_on_a_full_disk_stops_with_a_sentence_and_loses_nothing(sandbox: Checkout) -> None:
    state = sandbox.folder / ".herd"
    if not os.path.ismount(state):
        pytest.skip(f"a full disk was not tried: this user may not mount a file system of {DISK_MB} MB")
    before = [sandbox.herd("outputs", "page").stdout, sandbox.herd("logs", "page").stdout, sandbox.status("page")]
    sandbox.herd("stop")
    objects = {path: path.read_bytes() for path in (state / "cloud/runtime/objects").glob("*/*")}
    filler = fill(state)
    try:
        for command in (("up", "--no-run"), ("status",), ("preview",), ("down", "--yes"), ("up",)):
            done = sandbox.herd(*command, check=False)
            assert done.returncode == 1, command
            assert "disk is full" in said(done) or "No space left" in said(done), (command, said(done))
            assert "room" in said(done) and "set-aside" not in said(done), (command, said(done))
        doctor = sandbox.herd("doctor", check=False)
        assert doctor.returncode == 1 and "disk" in said(doctor)
    finally:
        filler.unlink()
    assert objects and all(path.read_bytes() == content for path, content in objects.items())
    assert not list((state / "cloud").glob("**/*broken*")) and not list((state / "cloud").glob("set-aside*"))
    assert "nothing changed" in said(sandbox.herd("up", "--no-run"))
    assert before == [
        sandbox.herd("outputs", "page").stdout, sandbox.herd("logs", "page").stdout, sandbox.status("page")
    ]  # fmt: skip


def test_a_fresh_checkout_on_a_disk_that_is_too_small_says_so(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "herd-test", str(tmp_path)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a full disk was not tried: this user may not mount a file system")
    try:
        fresh = Sandbox(tmp_path / "checkout", samples=False)
        (fresh.folder / ".venv").unlink()
        done = fresh.run(sys.executable, "src/herd/toolchain/setup.py", "--dev", check=False)
        assert done.returncode == 1 and "make room" in said(done), said(done)
        assert not (fresh.folder / ".venv").exists() and not (fresh.folder / ".herd/venv.new").exists()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=False)
