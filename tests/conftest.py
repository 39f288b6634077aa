"""How tests are shared out among workers (harness/order.py has the reasons), and one reading of the API's models."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from harness import order
from localcloud import api_models

if TYPE_CHECKING:
    from localcloud.docker.client import DockerClient

NEW_OBJECTS = 50_000
"""After so many Python looks for cycles. By itself it does so after 700, which takes a third of the tests' time: a
worker has half a million objects that stay.
"""

gc.set_threshold(NEW_OBJECTS)

# How long an example takes is no property: a machine that does something else takes longer.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# A test that makes a client of its own would take most of its time to read what others have read.
api_models.share()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels of this Herd."""
    from harness.wheels import built  # with the toolchain, which few tests need

    return built(tmp_path_factory)


@pytest.fixture(scope="session")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Docker daemon of this run's own, which its workers share."""
    from harness import docker_daemon
    from herd.toolchain import docker, machine

    if docker.is_unwanted():
        pytest.skip(f"{docker.SWITCH}=1")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with docker_daemon.running(folder / "docker", machine.user_cache()) as host:
        yield host


@pytest.fixture(scope="session")
def docker_client(docker_host: str) -> DockerClient:
    """A client of that daemon."""
    from localcloud.docker.client import DockerClient

    return DockerClient.find({**os.environ, "DOCKER_HOST": docker_host})


@pytest.fixture(scope="session")
def python_base(docker_client: DockerClient) -> str:
    """In that daemon: what stands in for the base of images/python."""
    from harness import base_image
    from herd.toolchain import machine

    return base_image.load(base_image.PYTHON, docker_client, machine.user_cache())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-seconds", action="store_true", help="Write into tests/seconds.json what each file took.")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(order.Recorder(order.TABLE))


def pytest_collection_finish() -> None:
    # What was collected and imported stays to the end: not to be looked at again and again.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return order.auto_workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.LongestFirst | None:
    # Only with "loadgroup" does xdist write a test's group behind its name.
    return order.LongestFirst(config, log, order.read()) if config.getoption("dist") == "loadgroup" else None
