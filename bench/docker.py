"""How soon a container's own first instruction runs in a task with a network of its own, beside `docker run`."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from bench.measure import Result
from harness import base_image, docker_daemon
from herd.toolchain import docker, machine
from localcloud.docker.client import DockerClient
from localcloud.engines import Container
from localcloud.engines.docker.api import Daemon
from localcloud.engines.docker.engine import DockerEngine

STARTS = 11
ABOVE_MS = 300.0
CLOCK = ("date", "+%s%N")


class _InDaemon:
    """Images by the daemon's own names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def resolve(self, reference: str) -> _InDaemon:
        return self

    def make_ready(self, image: _InDaemon) -> None:
        """It is there."""


def first_instruction(folder: Path) -> list[Result]:
    """Nothing where HERD_NO_DOCKER=1."""
    if docker.is_unwanted():
        print(f"not measured: container ({docker.SWITCH}=1)")
        return []
    cache = machine.user_cache()
    with docker_daemon.running(folder / "docker", cache) as host:
        client = DockerClient.find({**os.environ, "DOCKER_HOST": host})
        base = base_image.load(base_image.PYTHON, client, cache)
        engine = DockerEngine(Daemon(host.removeprefix("unix://")), "bench", _InDaemon(base))
        try:
            bare, ours = [], []
            for _ in range(STARTS):
                asked = time.time_ns()
                bare.append((int(client.run("run", "--rm", base, *CLOCK)) - asked) / 1e6)
                ours.append(_started(engine, base))
        finally:
            engine.close()
    run, value = statistics.median(bare), statistics.median(ours)
    yardstick = f"`docker run` {run:.0f} ms, and {ABOVE_MS:.0f}"
    return [Result("first instruction in a container", value, run + ABOVE_MS, "ms", yardstick)]


def _started(engine: DockerEngine, image: str) -> float:
    lines: list[str] = []
    asked = time.time_ns()
    ended = engine.start(Container(name="main", image=image, entrypoint=CLOCK), lines.append, lambda exit: None).wait(
        60
    )
    assert ended is not None and ended.code == 0
    return (int(lines[0]) - asked) / 1e6
