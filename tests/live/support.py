"""What the live tests look at besides answers: ports, processes, pages in a real browser."""

from __future__ import annotations

import base64
import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from herd.toolchain import machine
from herd.toolchain.browser import SWITCH, advice, find, is_unwanted

CANARY = "AKIAQQQQCANARYQQQQQQ"
"""The access key of the person's own account: nothing of Herd may ever use it."""

PASSWORD = base64.b64encode(b'{"account": "123456789012", "prin').decode()
LOGINS = (PASSWORD, base64.b64encode(f"AWS:{PASSWORD}"[:45].encode()).decode())
"""How every login to the local cloud's registry begins, as it is and as Docker's configuration has it."""


def fetch(url: str, body: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
    """GET an address `http://<name>.localhost:<port>/…` (POST with a JSON `body`) without asking any resolver."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=20)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        json_type = {"Content-Type": "application/json"} if body else {}
        method = "GET" if body is None else "POST"
        connection.request(method, target, body=body, headers={"Host": parts.netloc, **json_type, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def listening_addresses(pid: int) -> set[str]:
    """Addresses on which a process and its children listen."""
    root = psutil.Process(pid)
    found = set()
    for process in [root, *root.children(recursive=True)]:
        found |= {c.laddr.ip for c in connections(process, "inet") if c.status == psutil.CONN_LISTEN}
    return found


def connections(process: psutil.Process, kind: str) -> list[Any]:
    """Its connections, as psutil tells them; none if it has just ended."""
    try:
        return list(process.net_connections(kind))
    except psutil.NoSuchProcess:
        return []


def is_free(port: int) -> bool:
    """Can the port be bound?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def processes_below(folder: Path) -> list[str]:
    """Command lines of the processes that work in a folder or were started from a file in it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line or str(process.info["cwd"] or "").startswith(str(folder)):
            found.append(line)
    return found


@contextmanager
def browser(profile: Path) -> Iterator[Any]:
    """The browser that `make test` has brought, headless; what pages log to the console is kept."""
    if is_unwanted():
        pytest.skip(f"{SWITCH}=1: pages were not looked at in a browser")
    installed = find(machine.user_cache())
    if installed is None:
        pytest.fail(advice())
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(installed.program)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1200,1600",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(installed.driver)))
    try:
        yield session
    finally:
        session.quit()
