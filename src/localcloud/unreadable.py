"""Why a file of the kept state cannot be read or written, in words; nothing is changed then, and the start stops.

What cannot be read is not "not there": the disk may be full, another program may hold the file, this user may not open
it. Only what is damaged or missing is lost, and that is for the person to decide: see `state.way_out`.
"""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from localcloud.config import LocalCloudError

LEAST_FREE_BYTES = 1 << 16
"""SQLite says of a disk with less room only that its input or output failed."""


class Reason(Enum):
    """Why, and what can be done about it."""

    full = "the disk is full", "make room, and try again"
    failing = "the disk does not give it", "look at the disk (the system's log says more), and try again"
    held = "another program holds it", "end that program, and try again"
    forbidden = "this user may not read and write it", "give it back to the user who starts the local cloud"
    newer = "a newer version wrote it", "start that version"
    missing = "it is missing", ""
    damaged = "it is damaged", ""

    def __init__(self, words: str, advice: str):
        self.words, self.advice = words, advice

    @property
    def is_loss(self) -> bool:
        """Will it stay so, unless somebody puts a copy back?"""
        return not self.advice


OF_SYSTEM = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), Reason.full),
    **dict.fromkeys((errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE), Reason.failing),
    **dict.fromkeys((errno.EAGAIN, errno.EBUSY, errno.ETXTBSY), Reason.held),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), Reason.forbidden),
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.ELOOP), Reason.damaged),
    errno.ENOENT: Reason.missing,
}
"""What the numbers of the system's errors mean for a file of ours."""


class Unreadable(LocalCloudError):
    """A file that cannot be used. Nothing was removed; the text says what, where and what to do, but for what is
    lost: only who knows the way out can add it.
    """

    def __init__(self, path: Path, reason: Reason, detail: str = ""):
        self.path, self.reason = path, reason
        detail = f" ({detail})" if detail else ""
        advice = f". Nothing was removed: {reason.advice}" if reason.advice else ""
        super().__init__(f"{path} cannot be used: {reason.words}{detail}{advice}")


@contextmanager
def using(path: Path) -> Iterator[None]:
    """What SQLite or the system says about `path` inside is raised as `Unreadable`."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unreadable(path, _of_sqlite(error, path), str(error)) from error
    except OSError as error:
        where = Path(error.filename) if isinstance(error.filename, str) else path
        reason = OF_SYSTEM.get(error.errno or 0)
        if reason is None:
            raise
        detail = "" if reason is Reason.missing else error.strerror or str(error)
        raise Unreadable(where, reason, detail) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Unreadable(path, Reason.damaged, str(error)) from error


def _of_sqlite(error: sqlite3.Error, path: Path) -> Reason:
    code = getattr(error, "sqlite_errorcode", None)
    match code & 0xFF if code is not None else None:
        case sqlite3.SQLITE_FULL:
            return Reason.full
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return Reason.held
        case sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_AUTH:
            return Reason.forbidden
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return Reason.damaged
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_NOMEM:
            with suppress(OSError):
                if shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES:
                    return Reason.full
            return Reason.failing
        case _:
            # Tables that are not as they should be, and what Python itself says of texts that are none.
            return Reason.damaged
