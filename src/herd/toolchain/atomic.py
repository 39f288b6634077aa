"""Writing a file in one step. Standard library only: the toolchain uses it before packages exist."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Replace `path` by a file with this content, whole or not at all: a kill, a full disk or another process that
    writes it too leaves the old one or a new one, never half of one. `mode` are its permissions. A folder that is not
    there is made.

    Raises OSError; then `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    # A draft of its own for each process: with one name for all, one would rename what another still writes.
    handle, draft = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, mode)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
