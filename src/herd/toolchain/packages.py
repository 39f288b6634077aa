"""The project's own packages: `.venv` from a lock file with hashes, and this checkout on its path.

Compiling thousands of modules takes long. So an environment is built once per lock file and interpreter in the user's
cache, and a checkout's `.venv` consists of hard links to its files, which takes a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from pathlib import Path

from herd.toolchain import machine, uv
from herd.toolchain.progress import Progress

RUN = "requirements.lock"
DEVELOP = "requirements-dev.lock"
"""Has everything of RUN and what tests need, so that an environment made from it serves both."""

AUDIT = "requirements-audit.lock"
"""Programs that tests start from an environment of their own, because their pins conflict with the project's."""

STAMP = ".herd-packages.json"

# A `#!` line ends at the first space of a path, and is cut where that is long: the shell finds the interpreter instead,
# beside this file, and Python sees what the shell reads as a text.
LAUNCHER = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
import sys
from herd.__main__ import main
sys.exit(main())
"""


def ensure(root: Path, cache: Path, lock: str) -> bool:
    """Install `.venv` from `lock`; True if it was not current. Raises ToolMissing."""
    if is_current(root, lock):
        return False
    tool = uv.ensure(cache)
    # Often the first that makes this folder, which holds keys and state later: `herd doctor` wants it closed to others.
    (root / ".herd").mkdir(mode=0o700, exist_ok=True)
    with machine.exclusive(root / ".herd" / "packages.lock", lambda: None):
        if is_current(root, lock):
            return False
        _install(root, cache, str(tool), lock)
    return True


def made_for(root: Path, cache: Path, lock: str) -> Path:
    """The folder in the user's cache for the environment of a lock file."""
    return cache / "checkouts" / _identity(root / lock)


def ensure_made(root: Path, cache: Path, lock: str) -> Path:
    """Make the environment of a lock file in the user's cache, if it is not there. Raises ToolMissing."""
    made = made_for(root, cache, lock)
    if not made.exists():
        tool = uv.ensure(cache)
        with Progress(f"installing packages ({lock})") as progress:
            _make_once(made, str(tool), root / lock, progress)
    return made


def _install(root: Path, cache: Path, tool: str, lock: str) -> None:
    made = made_for(root, cache, lock)
    with Progress(f"installing packages ({lock})") as progress:
        _make_once(made, tool, root / lock, progress)
        new = root / ".herd" / "venv.new"
        shutil.rmtree(new, ignore_errors=True)
        try:
            shutil.copytree(made, new, symlinks=True, copy_function=_link)
            _add_checkout(root, new)
            (new / STAMP).write_text(json.dumps(_wanted(root, lock)))
        except OSError:
            shutil.rmtree(new, ignore_errors=True)  # a full disk needs the room
            raise
        venv = root / ".venv"
        if venv.is_symlink():
            venv.unlink()
        shutil.rmtree(venv, ignore_errors=True)
        new.rename(venv)


def _make_once(made: Path, tool: str, lock: Path, progress: Progress) -> None:
    with machine.exclusive(made.with_suffix(".lock"), lambda: progress.note("another process does it")):
        if not made.exists():
            _make(made, tool, lock, progress)


def _make(made: Path, tool: str, lock: Path, progress: Progress) -> None:
    new = made.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    # Relocatable: its scripts find their interpreter beside themselves, wherever that is.
    machine.run([tool, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(new)])
    sync = [tool, "pip", "sync", "--python", str(new / "bin" / "python"), "--require-hashes", "--compile-bytecode"]
    machine.run([*sync, str(lock)], on_line=progress.note)
    new.rename(made)


def _link(source: str, target: str) -> None:
    """A hard link, or a copy where the cache lies on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _identity(lock: Path) -> str:
    """A digest of the lock file's content, the interpreter and the platform."""
    content = f"{lock.read_text()}\n{sys.version}\n{os.path.realpath(sys.executable)}\n{platform.platform()}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _add_checkout(root: Path, venv: Path) -> None:
    """Install the checkout in editable mode, without a build backend: one path file and one launcher."""
    site = next((venv / "lib").glob("python3.*/site-packages"))
    (site / "herd.pth").write_text(f"{root / 'src'}\n")
    launcher = venv / "bin" / "herd"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def is_current(root: Path, lock: str) -> bool:
    """Whether `.venv` was installed from `lock`, or from DEVELOP, which includes it."""
    try:
        stamp = json.loads((root / ".venv" / STAMP).read_text())
    except (OSError, ValueError):
        return False
    return stamp in [_wanted(root, name) for name in {lock, DEVELOP}]


def _wanted(root: Path, lock: str) -> dict[str, str]:
    # The folder is part of it: a checkout that was moved has launchers that point to the old place.
    hashes = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in (RUN, DEVELOP)}
    source = str(root / "src")
    return {"lock": lock, "python": _python(), "source": source, **({RUN: hashes[RUN]} if lock == RUN else hashes)}


def _python() -> str:
    return f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"
