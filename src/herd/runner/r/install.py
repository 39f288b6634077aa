"""Runs install.R and, where that fails, ends with one message: which library, which package, what to add where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

from .build_log import explain

KEPT_LINES = 20_000
"""Of R's output, for the message at the end."""

SCRIPT = Path(__file__).with_name("install.R")

R_SETTINGS = {
    # Copies, not links: what lies in renv's cache is not in the image.
    "RENV_CONFIG_CACHE_SYMLINKS": "FALSE",
    # One cache for several bases: what is compiled for one distribution is not for another.
    "RENV_PATHS_PREFIX_AUTO": "TRUE",
    "RENV_CONFIG_SANDBOX_ENABLED": "FALSE",
    "RENV_CONFIG_AUTOLOADER_ENABLED": "FALSE",
    "RENV_CONFIG_UPDATES_CHECK": "FALSE",
    "RENV_VERBOSE": "TRUE",
}


def main(lock: str = "", library: str = "") -> int:
    """Install; the exit status."""
    if not lock or not library:
        print("use: python3 -I <this folder> renv.lock LIBRARY", file=sys.stderr)
        return 2
    try:
        content = json.loads(Path(lock).read_text("utf-8"))
        version = str(content["R"]["Version"])
        repositories = [f"{one['Name']}={one['URL']}" for one in content["R"]["Repositories"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _fail(f"{lock}: cannot be read: {error}")
    try:
        here = _output(["Rscript", "--vanilla", "-e", "cat(as.character(getRversion()))"])
    except OSError:
        return _fail("the base of this image has no Rscript; name a base with R in it: ARG BASE=… in the Dockerfile")
    if here.split(".")[:2] != version.split(".")[:2]:
        return _fail(
            f"renv.lock is for R {version}, and the base of this image has R {here}: take a base with R "
            f"{'.'.join(version.split('.')[:2])} (`herd image lock` writes it), or lock with R {here}"
        )
    jobs = f"-j{os.cpu_count() or 1}"
    environment = {"MAKEFLAGS": jobs, **os.environ, **R_SETTINGS}
    process = subprocess.Popen(
        ["Rscript", "--vanilla", str(SCRIPT), lock, library, *repositories],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        kept.append(line)
    if status := process.wait():
        return _fail(explain("".join(kept)), status)
    return 0


def _fail(message: str, status: int = 1) -> int:
    """The last thing that a builder shows."""
    print(f"\n{message}", file=sys.stderr, flush=True)
    return status if 0 < status < 256 else 1


def _output(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return re.sub(r"\s", "", done.stdout)
