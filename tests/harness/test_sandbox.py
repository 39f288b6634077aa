"""A sandbox is a checkout as a person has it, and quick to start in."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.sandbox import Sandbox


def test_nothing_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    sandbox = Sandbox(tmp_path / "checkout", samples=False)
    done = sandbox.run(str(sandbox.folder / ".venv/bin/python"), "-v", "-m", "herd", "--version")
    modules = [line for line in done.stderr.splitlines() if line.startswith("# code object from ")]
    own = [line for line in modules if str(sandbox.folder / "src") in line]
    assert len(own) > 10
    assert [line for line in own if ".pyc" not in line] == []


def test_what_it_runs_is_its_own(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "checkout", samples=False)
    program = "import herd.errors; print(herd.errors.__file__, herd.errors.HerdError.__init__.__code__.co_filename)"
    sandbox.write("src/herd/errors.py", "class HerdError(Exception):\n    def __init__(self): ...\n")
    done = sandbox.run(str(sandbox.folder / ".venv/bin/python"), "-c", program)
    own = str(sandbox.folder / "src/herd/errors.py")
    assert done.stdout.split() == [own, own]
