"""Virtual environments from lock files, made once for each content and kept in the user's cache.

    VenvRealiser(cache, uv).realise(lock_file)      # -> <cache>/venvs/<hash of the lock file's content>

A lock file is hashed requirements, as `uv pip compile --generate-hashes` writes them. Where packages come from (index,
mirror, proxy, certificates) is the person's own uv configuration; nothing here names a host.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_FORMAT = "1"
"""Part of every folder's name: raise it when what is made from the same lock file changes."""

UNUSED_DAYS = 30
"""An environment that nothing has run from for so long goes when the next one is made; it can be made again."""

_MARKER = ".realised"
"""Written last; its date says when the environment was last used."""

_MAX_FAILURE_LINES = 40

_OTHER_FILES = re.compile(r"^\s*(-r|-c|-e|--requirement|--constraint|--editable)\b")
_PACKAGE = re.compile(r"^[A-Za-z0-9][\w.-]*", re.MULTILINE)
_UV_SUMMARY = re.compile(r"^(Resolved|Prepared|Installed|Bytecode compiled)\b")

# They would change which interpreter or packages the new environment sees, or leave it without bytecode.
_NOT_FOR_UV = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "UV_PROJECT_ENVIRONMENT")


class RealiseError(Exception):
    """A virtual environment could not be made; the text says which, and what uv said."""


def _silent(line: str) -> None:
    del line


class VenvRealiser:
    """Makes virtual environments below `<cache>/venvs`, safely with any number of processes at once.

    An environment is made in its final place, because its scripts and bytecode hold absolute paths. A file lock lets
    one process at a time do that, and a marker written last tells a whole environment from one that was cut short,
    which is removed and made again. Environments are based on the interpreter that this program runs on.
    """

    def __init__(self, cache: Path, uv: Path) -> None:
        self._folder = cache.absolute() / "venvs"
        self._uv = uv

    def folder(self, lock: str) -> Path:
        """Where the environment of a lock file with this content lies once it is made."""
        return self._folder / lock_hash(lock)

    def realise(self, lock_file: Path, on_progress: Callable[[str], None] = _silent) -> Path:
        """The folder of the environment that `lock_file` describes, made first if it is not there.

        A present one costs a few file look-ups. Raises `RealiseError`; a failed one leaves nothing behind.
        """
        lock = _read(lock_file)
        target = self.folder(lock)
        self.note_use(target)
        if _is_whole(target):
            return target
        self._folder.mkdir(parents=True, exist_ok=True)
        made_at: float | None = None
        with _locked(self._folder / f"{target.name}.lock", lock_file.name, on_progress) as lock_fd:
            if not _is_whole(target):
                self._make(target, lock, lock_file, lock_fd, on_progress)
                made_at = (target / _MARKER).stat().st_mtime
        if made_at is not None:
            self._prune(made_at, on_progress)
        return target

    def note_use(self, folder: Path) -> None:
        """Something is about to run from this environment; nothing happens if it is not there."""
        with suppress(OSError):
            os.utime(folder / _MARKER)

    def _prune(self, now: float, on_progress: Callable[[str], None]) -> None:
        """Remove the environments that nobody has used for long, but none that something runs from.

        `now` is the file system's, as the times of their last uses are: a home on a network has another clock.
        """
        oldest = now - UNUSED_DAYS * 86400
        unused = [folder for folder in self._folder.iterdir() if folder.is_dir() and _last_use(folder) < oldest]
        for folder in _without_those_in_use(unused):
            with _locked(self._folder / f"{folder.name}.lock", folder.name, on_progress):
                if _last_use(folder) < oldest:
                    gone = folder.with_name(f"{folder.name}.gone")
                    folder.rename(gone)
                    shutil.rmtree(gone, ignore_errors=True)
                    on_progress(f"removed packages that nothing has used for {UNUSED_DAYS} days: {folder}")

    def _make(self, target: Path, lock: str, lock_file: Path, lock_fd: int, on_progress: Callable[[str], None]) -> None:
        (target / _MARKER).unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        # uv reads the content that the folder is named after, whatever happens to the file meanwhile.
        copy = target.with_suffix(".txt")
        copy.write_text(lock, encoding="utf-8")
        try:
            on_progress(f"installing {len(set(_PACKAGE.findall(lock)))} packages from {lock_file.name}")
            self._uv_run(["venv", "--python", sys.executable, str(target)], lock_file, lock_fd, on_progress)
            install = ["pip", "install", "--python", str(target / "bin" / "python"), "--require-hashes"]
            install += ["--compile-bytecode", "--requirement", str(copy)]
            self._uv_run(install, lock_file, lock_fd, on_progress)
            (target / _MARKER).write_text(json.dumps({"lock": str(lock_file)}), encoding="utf-8")
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        finally:
            copy.unlink(missing_ok=True)

    def _uv_run(self, arguments: list[str], lock_file: Path, lock_fd: int, on_progress: Callable[[str], None]) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_UV}
        command = [str(self._uv), *arguments, "--color", "never", "--no-progress"]
        try:
            # The child holds the file lock too: should this process be killed, nobody else starts before uv has ended.
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                pass_fds=(lock_fd,),
            )
        except OSError as error:
            raise RealiseError(f"{lock_file}: uv could not be started: {error}") from error
        said: deque[str] = deque(maxlen=_MAX_FAILURE_LINES)
        with process:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line.rstrip())
                if _UV_SUMMARY.match(line):
                    on_progress(line.strip())
        if process.returncode != 0:
            words = "\n".join(f"  {line}" for line in said if line)
            raise RealiseError(f"{lock_file}: uv {arguments[0]} ended with status {process.returncode}:\n{words}")


def lock_hash(lock: str) -> str:
    """The name of the environment of a lock file's content: comments do not count, interpreter and platform do."""
    lines = [line.rstrip() for line in lock.splitlines()]
    meaning = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    machine = (_FORMAT, platform.python_implementation(), sys.version.split()[0], sysconfig.get_platform())
    return hashlib.sha256("\0".join([*machine, meaning]).encode()).hexdigest()[:32]


def _read(lock_file: Path) -> str:
    try:
        lock = lock_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RealiseError(f"{lock_file}: cannot be read as a lock file: {error}") from error
    for number, line in enumerate(lock.splitlines(), start=1):
        if _OTHER_FILES.match(line):
            raise RealiseError(
                f"{lock_file}: line {number} ({line.strip()}) refers to another file; a lock file is whole"
            )
    return lock


def _last_use(folder: Path) -> float:
    for path in (folder / _MARKER, folder):
        with suppress(OSError):
            return path.stat().st_mtime
    return math.inf  # somebody else has removed it


def _without_those_in_use(folders: list[Path]) -> list[Path]:
    """The folders whose names no process of this user has in its arguments or environment: a service may run long.

    Containers know them by a link of the same name in their image.
    """
    left = list(folders)
    for process in psutil.process_iter() if left else ():
        with suppress(psutil.Error, OSError):  # it has ended
            words = [*process.cmdline(), *process.environ().values()]
            left = [folder for folder in left if not any(folder.name in word for word in words)]
    return left


def _is_whole(folder: Path) -> bool:
    # The interpreter is a link to the machine's own, which an upgrade may have taken away.
    return (folder / _MARKER).exists() and (folder / "bin" / "python").exists()


@contextmanager
def _locked(path: Path, what: str, on_progress: Callable[[str], None]) -> Iterator[int]:
    """Hold an exclusive lock on the file; gives its descriptor. flock, so that a killed holder lets go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress(f"waiting for another process that is installing {what}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)
