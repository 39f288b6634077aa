"""How soon changed code runs again where images are Docker's, beside `docker build && docker run` of the same files."""

from __future__ import annotations

import os
import re
import shutil
from itertools import count
from pathlib import Path

from bench.measure import Result, interleaved
from harness import base_image, docker_daemon
from harness.sandbox import ROOT
from herd.toolchain import docker, machine
from localcloud.docker.client import DockerClient
from localcloud.docker.images import DockerImages, sources

ROUNDS = 5
GOAL_SECONDS = 5.0
PACKAGE = "idna"
"""One of the image's packages: how many there are makes no difference to a change of code."""


def code_change(folder: Path) -> list[Result]:
    """Build, push and start after a change of one line; nothing where HERD_NO_DOCKER=1."""
    if docker.is_unwanted():
        print(f"not measured: image ({docker.SWITCH}=1)")
        return []
    cache = machine.user_cache()
    with docker_daemon.running(folder / "docker", cache) as host:
        client = DockerClient.find({**os.environ, "DOCKER_HOST": host})
        arguments = {"BASE": base_image.load(base_image.PYTHON, client, cache)}
        context = _context(folder / "job")
        images = DockerImages(folder / "images", client)
        numbers = count()

        def change() -> str:
            word = f"version-{next(numbers)}"
            (context / "workload/main.py").write_text(f"print({word!r})\n")
            return word

        def run(name: str, word: str) -> None:
            said = client.run("run", "--rm", "--entrypoint", "/opt/venv/bin/python", name, "main.py")
            assert said.strip() == word, said

        def ours() -> None:
            word = change()
            made = images.build(context, context / "Dockerfile", lambda line: None, arguments)
            images.make_ready(made)
            run(made.name, word)

        def bare() -> None:
            word = change()
            base = f"BASE={arguments['BASE']}"
            client.run(
                "build", "--quiet", "--build-arg", base, *sources(os.environ), "--tag", "bench-bare", str(context)
            )
            run("bench-bare", word)

        try:
            # The layers of packages first, which a change of code leaves alone.
            ours()
            bare()
            took, yardstick = interleaved(ROUNDS, ours, bare)
        finally:
            images.close()
    said = f"docker build && docker run: {yardstick:.2f} s, so {took / yardstick:.2f} of it"
    return [Result("code change -> running again, Docker", took, GOAL_SECONDS, "s", said)]


def _context(folder: Path) -> Path:
    """What is staged for a workload of images/python, with one package."""
    (folder / "workload").mkdir(parents=True)
    (folder / "lib").mkdir()
    shutil.copy(ROOT / "images/python/Dockerfile", folder)
    shutil.copytree(ROOT / "src/herd/runner", folder / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "requirements.lock").write_text(one_package())
    return folder


def one_package() -> str:
    """What the lock of images/python says of one package."""
    lock = (ROOT / "images/python/requirements.lock").read_text()
    entry = re.search(rf"(?m)^{PACKAGE}==.*(\n +.*)*", lock)
    assert entry is not None
    return f"{entry[0]}\n"
