"""Git as far as commands ask it: what it prints about a checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def output(root: Path, *arguments: str) -> bytes | None:
    """What Git prints; None where there is no Git, no repository, or nothing of that name."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            # It must not take a lock that a person's own Git would wait for.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
