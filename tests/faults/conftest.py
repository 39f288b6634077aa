"""Environments for the tests of faults and attacks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from soak.world import World
from tests.faults.hostile import PERSONS_KEY, PERSONS_SECRET, PERSONS_TOKEN, TEAM, Checkout, Estate


@pytest.fixture(scope="module")
def worlds() -> Iterator[Callable[[str], World]]:
    """Makes environments that may be hurt, each in a checkout of its own; what is left running is stopped."""
    # Short: the path of a unix socket lies in it.
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="herd-", ignore_cleanup_errors=True)))
        yield lambda name: undo.enter_context(World(folder / name))


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A running environment whose person has a real-looking account; for tests of the group "faults-hostile"."""
    folder = tmp_path_factory.mktemp("estate")
    home = folder / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws/credentials").write_text(
        f"[default]\naws_access_key_id = {PERSONS_KEY}\naws_secret_access_key = {PERSONS_SECRET}\n"
    )
    (home / ".aws/config").write_text("[default]\nregion = us-east-2\n")
    # Short: the path of a unix socket lies in it.
    temporary = Path(tempfile.mkdtemp(prefix="herd-"))
    shell = {
        "AWS_ACCESS_KEY_ID": PERSONS_KEY,
        "AWS_SECRET_ACCESS_KEY": PERSONS_SECRET,
        "PULUMI_ACCESS_TOKEN": PERSONS_TOKEN,
    }
    sandbox = Checkout(folder / "checkout", temporary, home=home, more=shell)
    for path, text in TEAM.items():
        sandbox.write(path, text)
    with sandbox:
        sandbox.herd("up", "--no-run")
        yield Estate(sandbox)
    shutil.rmtree(temporary, ignore_errors=True)
