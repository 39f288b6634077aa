"""A project of one's own, from wheels: begun in an empty folder, up, tested, with a resource of its own, down.

Nothing of this checkout is on its path: Herd comes from the two wheels, its packages from the project's lock.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.sandbox import LEFT_OUT
from herd.checkout import releases
from herd.toolchain import uv
from herd.toolchain.machine import user_cache
from tests.live.support import fetch, processes_below

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-init"), pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]

OWN_RESOURCE = """
import pulumi
import pulumi_aws as aws

queue = aws.sqs.Queue(
    "orders",
    name=f"{project.context.naming.prefix}-orders",
    sqs_managed_sse_enabled=True,
    tags=project.context.tags(),
    opts=pulumi.ResourceOptions(parent=project),
)
"""


class Project:
    """A folder in which commands run as a person would type them, without anything of this checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        kept = {key: value for key, value in os.environ.items() if not key.startswith((*LEFT_OUT, "PYTHON"))}
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self.home = root.parent / f"{root.name}-home"
        self.home.mkdir()
        self.environment = {**kept, "HOME": str(self.home), "XDG_CACHE_HOME": cache, "NO_COLOR": "1"}

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1500,
        )
        assert done.returncode == 0, f"{command} exited with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def herd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(".venv/bin/herd", *arguments)

    def close(self) -> None:
        if not (self.root / ".venv/bin/herd").exists():
            return
        for command in (["down", "--yes"], ["stop"]):
            subprocess.run(
                [".venv/bin/herd", *command], cwd=self.root, env=self.environment, capture_output=True, timeout=600
            )


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    releases.of_this_herd(folder)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """A `herd` that was installed from the wheels, as a person has it before there is a project."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    tool = str(uv.ensure(user_cache()))
    subprocess.run([tool, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    install = [tool, "pip", "install", "--quiet", "--python", str(venv / "bin/python")]
    subprocess.run([*install, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*install, "--no-deps", *map(str, wheels.glob("*.whl"))], check=True)
    return venv / "bin" / "herd"


def files(root: Path) -> set[str]:
    """What the project consists of; not what `make` puts below hidden folders."""
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if path.parts[0] not in (".venv", ".herd") and path.suffix != ".pyc"}


def test_in_an_empty_folder(tmp_path: Path, installed: Path) -> None:
    root = tmp_path / "flights"
    root.mkdir()
    project = Project(root)
    project.run(str(installed), "init")
    try:
        up = project.run("make", "up")
        assert "daily-numbers succeeded" in up.stderr and "overview succeeded" in up.stderr
        page = next(word for word in up.stdout.split() if word.endswith("/overview/index.html"))
        assert "<td>10<td>100" in fetch(page)[2]
        assert "2 passed" in project.run("make", "test").stdout
        assert not [path for path in files(root) if path.startswith(("src/", "herd/", "localcloud/"))]
        imported = "import herd, localcloud; print(herd.__file__, localcloud.__file__)"
        where = project.run(".venv/bin/python", "-c", imported)
        assert all(path.startswith(str(root / ".venv/lib")) for path in where.stdout.split())

        program = root / "infra/__main__.py"
        program.write_text(program.read_text() + OWN_RESOURCE)
        assert "1 to create" in project.herd("preview").stdout
        project.herd("up")
        exported = [shlex.split(line)[1] for line in project.herd("env").stdout.splitlines() if " AWS_" in line]
        variables = dict(pair.split("=", 1) for pair in exported if "=" in pair)
        asked = "import boto3; print(boto3.client('sqs').list_queues()['QueueUrls'])"
        queues = project.run(".venv/bin/python", "-c", asked, env=variables)
        assert "flights-dev-orders" in queues.stdout

        assert "nothing is left" in project.run("make", "down").stderr
        assert processes_below(root) == []
    finally:
        project.close()
