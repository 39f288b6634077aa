"""Copies of files that cost neither time nor room: clones where the file system can, links to a kept copy elsewhere.

For trials on a laptop, whose working copy is made anew for each. The person's own file is never what a program writes
to: a clone has bytes of its own once it is changed, and the kept copy is read-only.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

FICLONE = 0x40049409
"""ioctl of Linux: one file becomes a clone of another (Btrfs, XFS, bcachefs; not ext4)."""

LARGE_BYTES = 10_000_000
"""From here on a copy is worth keeping."""


class Cloner:
    """Copies files for `shutil.copytree`; copies of large ones are kept in `store`."""

    def __init__(self, store: Path):
        self._store = store
        self._used: set[str] = set()

    def __call__(self, source: str, target: str) -> str:
        """Put a copy of `source` at `target`. Raises OSError."""
        status = os.stat(source)
        if status.st_size < LARGE_BYTES:
            return str(shutil.copy2(source, target))
        if clone(source, target):
            shutil.copystat(source, target)
            return target
        Path(target).unlink(missing_ok=True)
        name = f"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"
        kept = self._store / name
        if not _is_same(kept, status):
            self._store.mkdir(parents=True, exist_ok=True)
            draft = self._store / f".{os.getpid()}-{name}"
            shutil.copy2(source, draft)
            draft.chmod(status.st_mode & 0o555)
            os.replace(draft, kept)
        self._used.add(name)
        try:
            os.link(kept, target)
        except OSError:  # another file system, or another trial has just tidied up
            shutil.copy2(source, target)
        return target

    def tidy(self) -> None:
        """Remove kept copies that no working copy uses any more."""
        if self._store.is_dir():
            for kept in self._store.iterdir():
                if kept.name not in self._used and kept.lstat().st_nlink == 1:
                    kept.unlink(missing_ok=True)


def clone(source: str, target: str) -> bool:
    """Make `target` a clone of `source`; False where the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        with open(source, "rb") as reading, open(target, "wb") as writing:
            fcntl.ioctl(writing.fileno(), FICLONE, reading.fileno())
    except OSError:
        return False
    return True


def _is_same(kept: Path, status: os.stat_result) -> bool:
    """Whether the copy is there and nobody (who is allowed everything) has written to it."""
    try:
        there = kept.lstat()
    except FileNotFoundError:
        return False
    return (there.st_size, there.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
