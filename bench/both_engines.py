"""One environment on both engines: how soon changed code answers again, and what an update without a change takes."""

from __future__ import annotations

import http.client
import os
import re
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

from bench.image import PACKAGE, one_package
from bench.measure import Result, interleaved
from harness import base_image, docker_daemon
from harness.sandbox import Sandbox
from herd.toolchain import docker, machine
from localcloud.docker.client import DockerClient

ROUNDS = 5
GOAL_SECONDS = {"process": 3.0, "docker": 5.0}
AGAIN = 1.3
LONGEST_SECONDS = 60.0
API = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"{word}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

HTTPServer((os.environ.get("HOST", "0.0.0.0"), int(os.environ["PORT"])), Handler).serve_forever()
"""


@dataclass
class Environment:
    """An API that answers with a word of its code."""

    sandbox: Sandbox
    numbers: Iterator[int]
    url: str = ""

    def start(self, engine: str) -> None:
        """Bring it up for the first time."""
        word = self._write()
        self.sandbox.herd("up", "--engine", engine, timeout_seconds=600)
        self.url = self.sandbox.status("echo")["url"]
        self._wait_for(word)

    def changed(self) -> float:
        """Seconds from the start of `herd up` after a change of one line until the new code answers.

        The command itself goes on until the old copy has ended.
        """
        word = self._write()
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as beside:
            done = beside.submit(self.sandbox.herd, "up")
            self._wait_for(word)
            took = time.perf_counter() - began
            done.result()
        return took

    def again(self) -> None:
        """An update that changes nothing."""
        assert "nothing changed" in self.sandbox.herd("up").stdout

    def _write(self) -> str:
        word = f"word-{next(self.numbers)}"
        self.sandbox.write("apis/echo/main.py", API.replace("{word}", word))
        return word

    def _wait_for(self, word: str) -> None:
        deadline = time.monotonic() + LONGEST_SECONDS
        while _read(self.url) != word:
            assert time.monotonic() < deadline, f"{self.url} did not answer {word} within {LONGEST_SECONDS:g} s"
            time.sleep(0.05)


def _read(url: str) -> str:
    """What an address of the local cloud's answers; "" for nothing, or with an error."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=20)
    try:
        connection.request("GET", parts.path or "/", headers={"Host": parts.netloc})
        answer = connection.getresponse()
        return answer.read().decode("utf-8", "replace") if answer.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _one_package(sandbox: Sandbox, base: str | None) -> None:
    """The Python image with one package, on this base."""
    sandbox.write("images/python/requirements.in", f"{PACKAGE}\n")
    sandbox.write("images/python/requirements.lock", one_package())
    if base is not None:
        dockerfile = sandbox.folder / "images/python/Dockerfile"
        dockerfile.write_text(re.sub(r"(?m)^ARG BASE=.*$", f"ARG BASE={base}", dockerfile.read_text()))


@contextmanager
def _environment(folder: Path, engine: str, base: str | None) -> Iterator[Environment]:
    with Sandbox(folder / engine, samples=False) as sandbox:
        _one_package(sandbox, base)
        sandbox.write("apis/echo/workload.toml", "cpu = 0.25\nmemory_gb = 0.5\n")
        made = Environment(sandbox, count())
        made.start(engine)
        yield made


@contextmanager
def _both(folder: Path) -> Iterator[dict[str, Environment]]:
    """By engine. Without Docker where HERD_NO_DOCKER=1."""
    with _environment(folder, "process", None) as process:
        if docker.is_unwanted():
            print(f"not measured: updates with Docker ({docker.SWITCH}=1)")
            yield {"process": process}
            return
        cache = machine.user_cache()
        with (
            docker_daemon.running(folder / "daemon", cache) as host,
            mock.patch.dict(os.environ, {"DOCKER_HOST": host}),
        ):
            base = base_image.load(base_image.PYTHON, DockerClient.find(), cache)
            with _environment(folder, "docker", base) as with_docker:
                yield {"process": process, "docker": with_docker}
                with_docker.sandbox.herd("down")


def updates(folder: Path) -> list[Result]:
    """`herd up` after a change of one line until the API answers with it, and `herd up` without a change."""
    with _both(folder) as both:
        rounds = [[one.changed() for one in both.values()] for _ in range(ROUNDS)]
        changed = dict(zip(both, map(statistics.median, zip(*rounds, strict=True)), strict=True))
        unchanged = dict(zip(both, interleaved(ROUNDS, *(one.again for one in both.values())), strict=True))
    results = [
        Result(
            f"code change -> answers again, {engine} engine",
            took,
            GOAL_SECONDS[engine],
            "s",
            f"`herd up` without a change {unchanged[engine]:.2f} s",
        )
        for engine, took in changed.items()
    ]
    if "docker" in unchanged:
        plain = unchanged["process"]
        results.append(
            Result("no-change herd up, docker engine", unchanged["docker"], AGAIN * plain, "s",
                   f"process engine {plain:.2f} s")
        )  # fmt: skip
    return results
