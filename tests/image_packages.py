"""The packages of a sample's image, for tests of what its programs meet."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from herd.toolchain import uv

ROOT = Path(__file__).resolve().parents[1]


def python_image() -> Path:
    """The virtual environment of images/python, as the local cloud makes it for its tasks."""
    return environment_of(ROOT / "images" / "python" / "requirements.lock")


@cache
def environment_of(lock: Path) -> Path:
    """The virtual environment of a lock file, made as the local cloud makes it and kept in the user's cache."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "herd"
    command = [sys.executable, "-m", "localcloud", "realise"]
    command += ["--lock", str(lock), "--cache", str(folder), "--uv", str(uv.ensure(folder))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return Path(done.stdout.strip())
