"""Locking an image's Python packages again with uv: requirements.in -> requirements.lock, pyproject.toml -> uv.lock."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from herd.foreign import shown

LOCK, WANTED = "requirements.lock", "requirements.in"
PROJECT_LOCK, PROJECT = "uv.lock", "pyproject.toml"
OLDEST_PYTHON = "3.11"
SECONDS = 600
LAST_LINES = 15

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
_ENTRY = re.compile(r'^\[\[package\]\]\nname = "([^"]+)"\nversion = "([^"]+)"', re.MULTILINE)


class LockFailed(Exception):
    """uv found no set of packages; the message has its last lines."""


def lock_again(folder: Path, uv: Path, upgrade: bool, script: str | None = None) -> Path:
    """Writes the lock file of a folder, or of a script in it, which is returned. Raises LockFailed."""
    more = ["--upgrade"] if upgrade else []
    if script is not None:
        _run([str(uv), "lock", "--script", script, *more], folder)
        return folder / f"{script}.lock"
    if (folder / PROJECT).is_file():
        _run([str(uv), "lock", *more], folder)
        return folder / PROJECT_LOCK
    command = ["pip", "compile", WANTED, "--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
    # A lock names no index, so that a company's mirror works.
    plain = ["--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"]
    _run([str(uv), *command, *plain, *more, "-o", LOCK], folder)
    return folder / LOCK


def versions(lock: str) -> dict[str, str]:
    """Package -> version in a requirements.lock or a uv.lock; several versions of one are joined."""
    pattern = _ENTRY if "[[package]]" in lock else _PINNED
    known: dict[str, str] = {}
    for name, version in pattern.findall(lock):
        known[name] = f"{known[name]}, {version}" if name in known else version
    return known


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS
    )
    if done.returncode:
        raise LockFailed(shown("\n".join(done.stderr.strip().splitlines()[-LAST_LINES:])))
