"""A FastAPI program as the guide shows it, behind a balancer that takes the prefix away: it says nothing of that."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from herd.infra.hardware.load_balancers import IDLE_SECONDS, KEEP_ALIVE_SECONDS
from herd.runner.contract import variables as names
from herd.runner.contract.task import TaskSettings

RUNNER = Path(__file__).resolve().parents[2] / "src/herd/runner"
PREFIX = "/price-api"
PROGRAM = """
import pathlib
from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles

app = FastAPI()

@app.get("/health")
def health(): return {"status": "ok"}

@app.get("/items/")
def items(): return [1]

@app.get("/plain")
def plain(request: Request): return {"self": str(request.url_for("plain")), "client": request.client.host}

pathlib.Path("site/sub").mkdir(parents=True)
for folder in ("site", "site/sub"):
    pathlib.Path(folder, "index.html").write_text(folder)
app.mount("/site", StaticFiles(directory="site", html=True))
sub = FastAPI()

@sub.get("/hello")
def hello(): return {"sub": True}

app.mount("/sub", sub)
"""


@pytest.fixture(scope="module")
def port(venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The program, started as its image starts it; its port."""
    folder = tmp_path_factory.mktemp("serving")
    (folder / "workload").mkdir()
    (folder / "workload" / "main.py").write_text(PROGRAM)
    probe = socket.socket()
    # Kept: nobody else is given the port, and the program may still listen on it.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    number: int = probe.getsockname()[1]
    task = TaskSettings(
        environment="dev",
        workload="price-api",
        kind="api",
        command=("sh", "-c", "exec uvicorn main:app --host ${HOST:-0.0.0.0} --port $PORT"),
        data_bucket="data",
        params={},
        port=8000,
        base_path=PREFIX,
        keep_alive_seconds=KEEP_ALIVE_SECONDS,
    )
    environ = {
        "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        names.TASK: task.to_json(),
        names.WORKLOAD_DIR: str(folder / "workload"),
        "HOST": "127.0.0.1",
        "PORT": str(number),
    }
    log = (folder / "log").open("w")
    process = subprocess.Popen([sys.executable, "-I", str(RUNNER)], env=environ, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while True:
        try:
            if ask(number, "/health")[0] == 200:
                break
        except OSError:
            pass
        assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
    yield number
    os.kill(process.pid, signal.SIGTERM)
    process.wait(60)
    log.close()
    probe.close()


def ask(port: int, path: str, source: str | None = None, **headers: str) -> tuple[int, str, bytes]:
    """As the load balancer asks: without the prefix. Status, Location, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, 20, source_address=(source, 0) if source else None)
    sent = {"Host": "api.example.com", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location", ""), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/items", "/plain/", "/site/", "/site", "/site/sub", "/sub/hello"])
def test_redirects_static_files_and_mounts_work_below_the_prefix(port: int, path: str) -> None:
    status, location, _ = ask(port, path)
    if location:
        assert status == 307
        where = urlsplit(location)
        assert where.netloc == "api.example.com" and where.path.startswith(f"{PREFIX}/")
        status, _, _ = ask(port, where.path.removeprefix(PREFIX))
    assert status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one address of its own")
def test_the_load_balancer_is_believed(port: int) -> None:
    """From another address than 127.0.0.1. A client that says it is somebody else is not."""
    chain = "6.6.6.6, 203.0.113.9"
    _, _, body = ask(port, "/plain", "127.0.0.2", X_Forwarded_Proto="https", X_Forwarded_For=chain)
    assert json.loads(body) == {"self": f"https://api.example.com{PREFIX}/plain", "client": "203.0.113.9"}
    assert ask(port, "/items", "127.0.0.2", X_Forwarded_Proto="https")[1] == f"https://api.example.com{PREFIX}/items/"


def test_idle_connections_are_kept(port: int) -> None:
    assert KEEP_ALIVE_SECONDS > IDLE_SECONDS
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/health")
    connection.getresponse().read()
    kept = connection.sock
    time.sleep(6)  # uvicorn's own limit is five seconds
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200 and connection.sock is kept
    connection.close()
