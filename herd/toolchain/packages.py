"""The project's own packages: `.venv` from a lock file of hashes, and this checkout on its path."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path

from herd.toolchain import machine, uv
from herd.toolchain.progress import Progress

RUN = "requirements.lock"
DEVELOP = "requirements-dev.lock"
"""Holds everything of RUN and what tests need, so an environment made from it serves both."""

STAMP = ".herd-packages.json"

LAUNCHER = """#!{python}
import sys
from herd.__main__ import main
sys.exit(main())
"""


def ensure(root: Path, cache: Path, lock: str) -> bool:
    """Make `.venv` what `lock` says; True if something had to be done. Costs two hashes when nothing has changed.

    Raises ToolMissing.
    """
    if is_current(root, lock):
        return False
    tool = uv.ensure(cache)
    with machine.exclusive(root / ".herd" / "packages.lock", lambda: None):
        if is_current(root, lock):
            return False
        _install(root, str(tool), lock)
    return True


def _install(root: Path, tool: str, lock: str) -> None:
    venv = root / ".venv"
    stamp = venv / STAMP
    stamp.unlink(missing_ok=True)
    with Progress(f"installing packages ({lock})") as progress:
        if not (venv / "bin" / "python").exists() or _version_of(venv) != _python():
            machine.run([tool, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)])
        sync = [tool, "pip", "sync", "--python", str(venv / "bin" / "python"), "--require-hashes", "--compile-bytecode"]
        machine.run([*sync, str(root / lock)], on_line=progress.note)
        _add_checkout(root, venv)
    stamp.write_text(json.dumps(_wanted(root, lock)))


def _add_checkout(root: Path, venv: Path) -> None:
    """What an editable installation does, without a build backend: one path file and one launcher."""
    site = next((venv / "lib").glob("python3.*/site-packages"))
    (site / "herd.pth").write_text(f"{root}\n")
    launcher = venv / "bin" / "herd"
    launcher.write_text(LAUNCHER.format(python=venv / "bin" / "python"))
    launcher.chmod(0o755)


def is_current(root: Path, lock: str) -> bool:
    """Is `.venv` what `lock`, or the lock file that holds all of it, says?"""
    try:
        stamp = json.loads((root / ".venv" / STAMP).read_text())
    except (OSError, ValueError):
        return False
    return stamp in [_wanted(root, name) for name in {lock, DEVELOP}]


def _wanted(root: Path, lock: str) -> dict[str, str]:
    # The folder is part of it: a checkout that was moved has launchers that point to the old place.
    hashes = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in (RUN, DEVELOP)}
    return {"lock": lock, "python": _python(), "root": str(root), **({RUN: hashes[RUN]} if lock == RUN else hashes)}


def _python() -> str:
    return f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"


def _version_of(venv: Path) -> str:
    """`CPython 3.11`, from the environment's own description; empty if it has none."""
    try:
        lines = (venv / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return ""
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    version = values.get("version_info") or values.get("version", "")
    return f"{values.get('implementation', 'CPython')} {'.'.join(version.split('.')[:2])}"
