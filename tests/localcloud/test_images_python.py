"""The team's Python image: what its Dockerfile says, read without Docker, and its lock files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from localcloud.images.context import Context
from localcloud.images.dockerfile import parse
from localcloud.images.plan import plan

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["images/python/requirements.lock", "src/herd/runner/requirements.lock"]


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A build context as it is staged for a workload."""
    for folder in ("runner", "lib/features", "workload"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("Dockerfile", "requirements.lock"):
        shutil.copy(ROOT / "images/python" / name, tmp_path / name)
    shutil.copy(ROOT / "src/herd/runner/requirements.lock", tmp_path / "runner")
    (tmp_path / "runner/__main__.py").touch()
    (tmp_path / "lib/features/__init__.py").touch()
    (tmp_path / "workload/main.py").touch()
    return tmp_path


def test_the_dockerfile(staged: Path) -> None:
    built = plan(parse((staged / "Dockerfile").read_text()), Context(staged, staged / "Dockerfile"))
    assert built.config.entrypoint == ("/opt/herd/venv/bin/python", "-I", "/opt/herd/runner")
    assert built.config.command is None
    assert built.config.user == "10001:10001"
    assert built.config.workdir == "/opt/herd/workload"
    assert built.config.environment["PATH"].startswith("/opt/venv/bin:")
    assert {path: item.path for path, item in built.venvs.items()} == {
        "/opt/venv": "requirements.lock",
        "/opt/herd/venv": "runner/requirements.lock",
    }
    for path in ("runner/__main__.py", "lib/features/__init__.py", "workload/main.py"):
        assert built.tree.get(f"/opt/herd/{path}") is not None


def test_a_change_of_code_is_the_last_layer() -> None:
    text = (ROOT / "images/python/Dockerfile").read_text()
    final = [line.split()[0] for line in text.split("FROM ${BASE}\n")[1].splitlines() if re.match("[A-Z]+ ", line)]
    last_copy = len(final) - 1 - final[::-1].index("COPY")
    assert set(final[last_copy + 1 :]) == {"WORKDIR", "USER", "ENTRYPOINT"}


def test_the_base_is_pinned() -> None:
    text = (ROOT / "images/python/Dockerfile").read_text()
    bases = re.findall(r"^ARG BASE=(\S+)", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert not text.startswith("# syntax"), "an older builder would go to the network for it"


@pytest.mark.parametrize("name", LOCKS)
def test_locks_are_hashed_and_name_no_host(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "://" not in lock and "index" not in re.sub(r"--hash=\S+", "", lock)
    for requirement in re.split(r"\n(?=\S)", lock.strip()):
        assert re.match(r"[a-z0-9][a-z0-9._-]*==", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_what_was_asked_for(name: str) -> None:
    lock = {line.split("==")[0] for line in (ROOT / name).read_text().splitlines() if "==" in line}
    wanted = (ROOT / name).with_suffix(".in").read_text().splitlines()
    names = {re.split(r"[\[>=]", line)[0] for line in wanted if line and not line.startswith("#")}
    assert names and names <= lock
