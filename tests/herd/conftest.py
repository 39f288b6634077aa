"""A checkout in a temporary folder, and the command line run in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.tools import with_pulumi
from herd import console
from herd.checkout.find import Checkout
from tests.herd.command_line import invoke

ROOT = Path(__file__).parents[2]

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def own_console() -> Iterator[None]:
    """What a test prints goes where that test captures it: the console keeps the stream that it was made with."""
    yield
    console.out.cache_clear()
    console.err.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one job, the image and defaults of the real one (its date lies ahead), and nothing deployed."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        shutil.copy(ROOT / name, folder / name)
    ahead = datetime.now(UTC).date() + timedelta(days=182)
    defaults = (ROOT / "defaults.toml").read_text()
    (folder / "defaults.toml").write_text(re.sub(r"(?m)^(review_by *=) \S+", rf"\1 {ahead}", defaults))
    shutil.copytree(ROOT / "images", folder / "images")
    (folder / "lib").mkdir()
    job = folder / "jobs" / "hello"
    job.mkdir(parents=True)
    (job / "workload.toml").write_text('schedule = "0 6 * * *"\n[params]\nmonth = 2\nname = "x"\n')
    (job / "main.py").write_text("print('hello')\n")
    return folder


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Checkout:
    return Checkout(root, with_pulumi(tmp_path / "cache"))


@pytest.fixture
def cli(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("status", "--json")` runs the command in the project; result.exit_code, .stdout, .stderr."""
    monkeypatch.setenv("HERD_CHECKOUT", str(root))
    with_pulumi(tmp_path / "cache/herd")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return invoke
