"""Environments for the live tests: the real engine, in a checkout of its own, a real-looking AWS profile beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sandbox import Sandbox
from localcloud.docker.client import DockerClient
from tests.live.support import CANARY


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An environment of one small job that is up; for tests of the group "live-small", which leave it as it was."""
    with Sandbox(tmp_path_factory.mktemp("small") / "checkout", samples=False) as made:
        made.write("jobs/small/main.py", "print(1)\n")
        made.write("jobs/small/workload.toml", "")
        made.herd("up", "--no-run")
        yield made


@pytest.fixture(scope="session")
def r_base(docker_client: DockerClient) -> str:
    """In the tests' daemon: a base with R, for images/r."""
    from harness import base_image, cran
    from herd.toolchain import machine

    return base_image.load(cran.R_BASE, docker_client, machine.user_cache())


@pytest.fixture(scope="session")
def r_repository(docker_client: DockerClient) -> Iterator[str]:
    """The address of a repository of R packages, where builds in the tests' daemon reach it: at its bridge."""
    from harness import cran
    from herd.toolchain import machine

    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    bridge = docker_client.run("network", "inspect", "bridge", "--format", gateway).strip()
    with cran.serving(cran.repository(machine.user_cache()), bridge) as url:
        yield url


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A fresh checkout; whatever a test leaves running is stopped at the end of the module."""
    folder = tmp_path_factory.mktemp("live")
    home = folder / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws/credentials").write_text(
        f"[default]\naws_access_key_id = {CANARY}\naws_secret_access_key = canary/secret/of/the/person\n"
    )
    (home / ".aws/config").write_text("[default]\nregion = us-east-2\n")
    with Sandbox(folder / "checkout", home=home) as sandbox:
        yield sandbox
