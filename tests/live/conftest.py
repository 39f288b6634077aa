"""Environments for the live tests: the real engine, in a checkout of its own, a real-looking AWS profile beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sandbox import Sandbox
from tests.live.support import CANARY


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An environment of one small job that is up; for tests of the group "live-small", which leave it as it was."""
    with Sandbox(tmp_path_factory.mktemp("small") / "checkout", samples=False) as made:
        made.write("jobs/small/main.py", "print(1)\n")
        made.write("jobs/small/workload.toml", "")
        made.herd("up", "--no-run")
        yield made


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
