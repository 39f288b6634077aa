"""A project of one's own, from wheels: in an empty folder and in somebody's repository. Begun, up, tested, with a
resource of its own, upgraded, down.

Nothing of this checkout is on its path: Herd comes from the two wheels, its packages from the project's lock.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from harness.sandbox import LEFT_OUT
from harness.wheels import LATER, TEMPLATES, later
from herd.checkout import project_files
from herd.toolchain import uv
from herd.toolchain.machine import user_cache
from herd.version import VERSION
from tests.live.support import fetch, processes_below

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]

NOTEBOOK = {"cells": [{"cell_type": "code", "source": ["print('explored')"]}], "metadata": {}, "nbformat": 4}
SMALL_PACKAGE = "annotated-doc"
"""One file. Of the image's lock, so that it is on this machine already."""

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
    """A folder in which commands run as a person types them, without anything of this checkout."""

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
def releases(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """Where a person has releases from: a folder of wheels."""
    return Path(shutil.copytree(wheels, tmp_path_factory.mktemp("person") / "releases"))


@pytest.fixture(scope="module")
def installed(releases: Path) -> Path:
    """A `herd` that was installed from the wheels, as a person has it before there is a project."""
    venv = releases.with_name("venv")
    tool = str(uv.ensure(user_cache()))
    subprocess.run([tool, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    install = [tool, "pip", "install", "--quiet", "--python", str(venv / "bin/python")]
    subprocess.run([*install, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*install, "--no-deps", *map(str, releases.glob("*.whl"))], check=True)
    return venv / "bin" / "herd"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "flights").mkdir()
    project = Project(tmp_path / "flights")
    yield project
    project.close()


def files(root: Path) -> set[str]:
    """What the project consists of; not what `make` puts below hidden folders."""
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if path.parts[0] not in (".venv", ".herd") and path.suffix != ".pyc"}


def is_up_and_tested(project: Project, *jobs: str) -> None:
    up = project.run("make", "up")
    for name in (*jobs, "daily-numbers", "overview"):
        assert f"{name} succeeded" in up.stderr
    page = next(word for word in up.stdout.split() if word.endswith("/overview/index.html"))
    assert "<td>10<td>100" in fetch(page)[2]
    assert "2 passed" in project.run("make", "test").stdout
    assert not [path for path in files(project.root) if path.startswith(("src/", "herd/", "localcloud/"))]
    imported = "import herd, localcloud; print(herd.__file__, localcloud.__file__)"
    where = project.run(".venv/bin/python", "-c", imported)
    assert all(path.startswith(str(project.root / ".venv/lib")) for path in where.stdout.split())


NO_NETWORK = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}


def takes(project: Project, *release: str, version: str) -> None:
    """A release, with a resource of the team's own in the program, which comes with the next `herd up`."""
    program = project.root / "infra/__main__.py"
    program.write_text(program.read_text() + OWN_RESOURCE)
    # What has not changed is installed already, and Herd itself is in the project: nothing is fetched.
    upgraded = project.run(".venv/bin/herd", "upgrade", *release, env=NO_NETWORK)
    assert "~ Makefile" in upgraded.stdout
    assert "1 to create" in upgraded.stdout
    assert "to replace" not in upgraded.stdout and "to delete" not in upgraded.stdout
    assert "remove everything" in (project.root / "Makefile").read_text()
    assert program.read_text().endswith(OWN_RESOURCE), "the merge lost what the team wrote"
    assert project.herd("--version").stdout == f"herd {version}\n"
    where = project.run(".venv/bin/python", "-c", "import herd.testing; print(herd.testing.__doc__)")
    assert "of the later build" in where.stdout
    assert "installing" not in project.run("make", "tools").stdout, "the lock is installed"
    project.herd("up", "--no-run")
    exported = [shlex.split(line)[1] for line in project.herd("env").stdout.splitlines() if " AWS_" in line]
    variables = dict(pair.split("=", 1) for pair in exported if "=" in pair)
    asked = "import boto3; print(boto3.client('sqs').list_queues()['QueueUrls'])"
    assert "-dev-orders" in project.run(".venv/bin/python", "-c", asked, env=variables).stdout


def cannot_take(project: Project, release: Path) -> None:
    """A release that needs a package of which there is none: everything is as it was, what is installed too."""
    before = {path: (project.root / path).read_bytes() for path in files(project.root)}
    with pytest.raises(AssertionError, match="everything is as it was"):
        project.run(".venv/bin/herd", "upgrade", "--to", str(release), env=NO_NETWORK)
    assert {path: (project.root / path).read_bytes() for path in files(project.root)} == before
    assert "installing" not in project.run("make", "tools").stdout


def goes_down(project: Project) -> None:
    assert "nothing is left" in project.run("make", "down").stderr
    assert processes_below(project.root) == []


CHANGES = {
    f"{TEMPLATES}/Makefile.txt": ("remove all of it", "remove everything"),
    "herd/testing.py": ("For a project's own tests", "For a project's own tests, of the later build"),
}


@pytest.mark.xdist_group("live-init")
def test_in_an_empty_folder(project: Project, installed: Path, wheels: Path, tmp_path: Path) -> None:
    """Taken is a build of the same number, as whoever works on Herd has it."""
    project.run(str(installed), "init")
    is_up_and_tested(project)
    needed = (ROOT / "requirements.lock").read_text().split(" ")[0]
    lock = {f"{TEMPLATES}/requirements.lock": (needed, f"{needed.partition('==')[0]}==999")}
    cannot_take(project, later(wheels, tmp_path / "impossible", lock))
    takes(project, "--to", str(later(wheels, tmp_path / "build", CHANGES, VERSION)), version=VERSION)
    goes_down(project)


@pytest.mark.xdist_group("live-init-foreign")
def test_in_a_small_foreign_repository(
    project: Project, installed: Path, wheels: Path, releases: Path, tmp_path: Path
) -> None:
    """Taken is the newest release of where Herd was installed from."""
    lock = dict(project_files.entries_of((ROOT / "images/python/requirements.lock").read_text()))[SMALL_PACKAGE]
    theirs = {
        "README.md": "# Sales\n",
        "clean.py": "import annotated_doc\nprint(open('data/orders.csv').read())\n",
        "data/orders.csv": "id\n1\n",
        "scripts/totals.py": "print(sum(range(4)))\n",
        "explore.ipynb": json.dumps(NOTEBOOK),
        "requirements.lock": lock,
    }
    for path, text in theirs.items():
        (project.root / path).parent.mkdir(exist_ok=True)
        (project.root / path).write_text(text)
    project.run("git", "init", "--quiet")
    project.run(str(installed), "init", "--from", ".")
    is_up_and_tested(project, "clean", "totals", "explore")
    shutil.copytree(later(wheels, tmp_path / "later", CHANGES), releases, dirs_exist_ok=True)
    takes(project, version=LATER)
    assert {path: (project.root / path).read_text() for path in theirs} == theirs
    goes_down(project)
