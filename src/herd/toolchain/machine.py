"""Folders, locks and processes, shared by the other modules of the toolchain."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

TAKES_NO_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class ToolMissing(Exception):
    """A tool is neither installed nor can be; the text says what to do."""


def user_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Herd's folder in the user's cache, shared by all checkouts: `${XDG_CACHE_HOME:-~/.cache}/herd`."""
    base = environment.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and is to be ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "herd"


def unusable(folder: Path) -> str:
    """Why tools that Herd uses would misread this folder's name, with advice; "" if they do not."""
    name = str(folder)
    variable = re.search(r"\$(\w+|\{[^}]*\})", name)
    if ":" in name:
        why = "PATH separates its folders by the `:` in it"
    elif variable:
        why = f"AWS's libraries read {variable[0]} in it as a variable"
    elif "\n" in name or "\r" in name:
        why = "Python's path files end at the line break in it"
    elif not name.isascii() and name != name.encode("utf-8", "replace").decode():
        why = "it is not UTF-8"
    else:
        return ""
    return f"{ascii(name) if not name.isprintable() else name}: Herd cannot work below this folder: {why}. Use another"


def disk_error(error: BaseException) -> str | None:
    """A message for a full or read-only disk; None if the error is of another kind."""
    if isinstance(error, shutil.Error):  # one of many files: source, target and the words of the reason
        for _, target, words in error.args[0] if isinstance(error.args[0], list) else ():
            number = next((number for number in TAKES_NO_MORE if os.strerror(number) in str(words)), None)
            if number is not None:
                return disk_error(OSError(number, os.strerror(number), str(target)))
        return None
    if not isinstance(error, OSError) or error.errno not in TAKES_NO_MORE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    advice = "make room and run it again: nothing half-done is used. `herd doctor` shows the disk"
    return f"{where}{error.strerror}; {advice}"


@contextmanager
def exclusive(lock: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file (flock), which the kernel releases however its holder ends. `on_wait`: called before waiting."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(
    command: list[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Run a tool to its end; `on_line` gets each line that it prints. Raises ToolMissing with the last lines."""
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise ToolMissing(f"cannot run {command[0]}: {error.strerror}") from None
    lines: list[str] = []
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines = [*lines[-30:], line.rstrip("\n")]
            on_line(lines[-1])
    if process.wait() != 0:
        tail = "\n".join(f"    {line}" for line in lines[-15:])
        raise ToolMissing(f"`{' '.join(command[:4])} …` ended with status {process.returncode}:\n{tail}")
