"""uv, which installs packages for Herd and for workloads: from PATH, or from its own Python package."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from herd.toolchain import machine
from herd.toolchain.machine import ToolMissing
from herd.toolchain.progress import Progress

LOCK = Path(__file__).with_name("uv.lock")
"""Lock file of the one package, with its hashes."""


def find(cache: Path) -> Path | None:
    """uv on PATH, else the one in the cache; None: neither."""
    if on_path := shutil.which("uv"):
        return Path(on_path)
    own = _own(cache)
    return own if os.access(own, os.X_OK) else None


def ensure(cache: Path) -> Path:
    """uv, installed into the cache if PATH has none. Raises ToolMissing."""
    return find(cache) or _install(cache)


def _own(cache: Path) -> Path:
    return cache / "tools" / "uv" / "bin" / "uv"


def _install(cache: Path) -> Path:
    with machine.exclusive(cache / "tools" / "uv.lock", lambda: None):
        if program := find(cache):
            return program
        made = cache / "tools" / "uv.new"
        shutil.rmtree(made, ignore_errors=True)
        with Progress("installing uv") as progress:
            try:
                machine.run([sys.executable, "-m", "venv", str(made)])
                pip = [str(made / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
                machine.run([*pip, "--require-hashes", "-r", str(LOCK)], on_line=progress.note)
            except ToolMissing as error:
                raise ToolMissing(
                    f"uv is not on PATH and could not be installed from its Python package.\n{error}\n"
                    "Install uv by hand (https://docs.astral.sh/uv/), or `apt install python3-venv`, then try again."
                ) from None
        # Renamed at the end, so that an incomplete installation is never used. uv is one program and can be moved.
        shutil.rmtree(cache / "tools" / "uv", ignore_errors=True)
        made.rename(cache / "tools" / "uv")
        return _own(cache)
