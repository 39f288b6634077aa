"""The tests' own Docker daemon: shared by those who need it, in nobody's way, and gone when the last one is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness import docker_daemon
from harness.base_image import PYTHON, Recipe
from harness.processes import runs
from herd.toolchain import docker, machine
from localcloud.docker.client import DockerClient

ROOT = Path(__file__).parents[2]

HOLD = """
import sys, time
from pathlib import Path
from harness import docker_daemon
with docker_daemon.running(Path(sys.argv[1]), Path(sys.argv[2])) as host:
    print(host, flush=True)
    time.sleep(600)
"""

pytestmark = pytest.mark.skipif(docker.is_unwanted(), reason=f"{docker.SWITCH}=1")


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def left_of(place: str, bridge: str) -> list[object]:
    """Folders, processes, interfaces and mounts of one daemon."""
    named = [one.pid for one in psutil.process_iter(["cmdline"]) if place in " ".join(one.info["cmdline"] or ())]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if place in line]
    return [*named, *mounts, *[place for _ in [0] if Path(place).exists()], *({bridge} & set(psutil.net_if_addrs()))]


def test_a_daemon_is_shared_and_ends_with_the_last_who_needs_it_even_a_killed_one(tmp_path: Path) -> None:
    cache = machine.user_cache()
    folder = tmp_path / "docker"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = [sys.executable, "-c", HOLD, str(folder), str(cache)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        host = other.stdout.readline().strip()
        with docker_daemon.running(folder, cache) as again:
            assert again == host
            other.send_signal(signal.SIGKILL)
            other.wait()
            time.sleep(docker_daemon.GRACE_SECONDS + 1)
            client = DockerClient.find({**os.environ, "DOCKER_HOST": host})
            assert client.check().server
            client.run("network", "create", "left-behind")
    said = json.loads((folder / "daemon.json").read_text())
    place = host.removeprefix("unix://").removesuffix("/docker.sock")
    assert left_of(place, said["bridge"])
    wait_for(lambda: not runs(said["keeper"]))
    assert left_of(place, said["bridge"]) == []
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout
    addresses = [one.address for several in psutil.net_if_addrs().values() for one in several]
    assert f"10.{said['network']}." not in rules + " ".join(addresses)


def test_two_checkouts_have_networks_and_data_of_their_own(tmp_path: Path, docker_host: str) -> None:
    with docker_daemon.running(tmp_path / "docker", machine.user_cache()) as host:
        assert host != docker_host
        own = DockerClient.find({**os.environ, "DOCKER_HOST": host})
        assert own.run("image", "ls", "-q") == ""


def test_ports_of_what_runs_in_it_are_open_on_loopback_only(docker_client: DockerClient, python_base: str) -> None:
    serve = (
        "python",
        "-c",
        "import http.server as h; h.HTTPServer(('', 80), h.SimpleHTTPRequestHandler).serve_forever()",
    )
    name = docker_client.run("run", "-d", "--rm", "-p", "80", python_base, *serve).strip()
    try:
        assert docker_client.run("port", name, "80").startswith("127.0.0.1:")
    finally:
        docker_client.run("rm", "-f", name)


def test_a_recipe_that_changes_is_another_image() -> None:
    other = Recipe(PYTHON.name, (*PYTHON.packages, "git"), links=PYTHON.links)
    assert other.reference != PYTHON.reference
    assert Recipe(PYTHON.name, PYTHON.packages, links=PYTHON.links).reference == PYTHON.reference


def test_without_rights_the_tests_say_at_once_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(docker, "may_run", lambda: False)
    with pytest.raises(machine.ToolMissing, match=r"(?s)root's rights on Linux.*apt-get.*HERD_NO_DOCKER=1 make test"):
        docker.ensure(tmp_path)
