"""Carry out what `herd upgrade` has planned: all of it, or nothing.

Before the first file is touched the whole change is written down in `.herd/upgrade/`: every file as it was, as it is to
be, and `change.json`, which is written last. So whatever ends the command, a kill or the power, the next one finishes
it. Where the packages cannot be installed, every file gets back what it held. Afterwards `.herd/before-upgrade/` has
what the project's files were, until the next upgrade.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from herd.checkout import project_files
from herd.checkout.project_files import LOCK, WHEELS
from herd.checkout.sources import DISTRIBUTIONS
from herd.errors import HerdError
from herd.toolchain import atomic, machine

UNDER_WAY, BEFORE = ".herd/upgrade", ".herd/before-upgrade"
CHANGE = "change.json"


@dataclass(frozen=True)
class Change:
    """To `release`: files to `write` and to `remove`, by their paths; `touched` by somebody else since it was begun."""

    release: str
    write: Sequence[str]
    remove: Sequence[str]
    touched: Sequence[str] = ()


def apply(root: Path, release: str, files: Mapping[str, bytes], removed: Sequence[str]) -> Change:
    """Write and remove files and install the new lock. Raises HerdError; then everything is as it was."""
    log = root / UNDER_WAY
    shutil.rmtree(log, ignore_errors=True)
    order = sorted(files, key=lambda path: (not path.startswith(f"{WHEELS}/"), path == LOCK, path))
    try:
        (root / ".herd").mkdir(mode=0o700, exist_ok=True)
        for path in {*order, *removed}:
            if (root / path).is_file():
                _copy(root / path, log / "before" / path)
        for path in order:
            atomic.write(log / "after" / path, files[path])
        atomic.write(log / CHANGE, json.dumps({"release": release, "write": order, "remove": list(removed)}))
    except OSError as error:
        shutil.rmtree(log, ignore_errors=True)
        raise HerdError(f"release {release} was not taken, nothing was written: {error}") from None
    return _carry_out(root, Change(release, order, removed))


def resume(root: Path) -> Change | None:
    """Finish what was cut short; None where nothing was. Raises HerdError; then everything is as it was before."""
    log = root / UNDER_WAY
    try:
        change = json.loads((log / CHANGE).read_text())
        interrupted = Change(change["release"], change["write"], change["remove"])
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(log, ignore_errors=True)  # nothing had been touched yet
        return None
    return _carry_out(root, interrupted)


def _carry_out(root: Path, change: Change) -> Change:
    log = root / UNDER_WAY
    touched = [path for path in (*change.write, *change.remove) if not _is_known(root, path)]
    try:
        # The wheels first and the lock last: `make tools` never meets a lock whose wheels are not there.
        for path in change.write:
            if path not in touched:
                _put(log / "after" / path, root / path, log / "draft")
        _install(root)
        for path in change.remove:
            if path not in touched:
                (root / path).unlink(missing_ok=True)
    except (OSError, machine.ToolMissing) as error:
        for path in (*change.write, *change.remove):
            if path not in touched:
                _put(log / "before" / path, root / path, log / "draft")
        shutil.rmtree(log, ignore_errors=True)
        more = "" if _is_installed(root) else "\n`make tools` makes .venv anew from the lock file"
        raise HerdError(f"release {change.release} was not taken, everything is as it was: {error}{more}") from None
    if (log / "before").exists():
        shutil.rmtree(root / BEFORE, ignore_errors=True)
        (log / "before").rename(root / BEFORE)
    shutil.rmtree(log)
    return Change(change.release, change.write, change.remove, touched)


def _is_known(root: Path, path: str) -> bool:
    """Is the file as it was, or as it is to be? What somebody wrote since is theirs."""
    log = root / UNDER_WAY
    return _content(root / path) in (_content(log / "before" / path), _content(log / "after" / path))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _put(source: Path, target: Path, draft: Path) -> None:
    """Make it as `source` is, in one step: the same content, or no file. It keeps its permissions."""
    content = _content(source)
    if content is None:
        target.unlink(missing_ok=True)
    elif content != _content(target):
        mode = target.stat().st_mode & 0o777 if target.is_file() else project_files.mode_of(content)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, draft)  # not beside the target: a kill would leave it there
        draft.chmod(mode)
        os.replace(draft, target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _install(root: Path) -> None:
    """The packages of the new lock, into the project's environment. Costs nothing where it is installed already.

    Without an index first: what has not changed is there, and Herd lies in `wheels/`.
    """
    lock, stamp = root / LOCK, root / ".venv" / LOCK
    if (new := _content(lock)) == (old := _content(stamp)):
        return
    stamp.unlink(missing_ok=True)  # half of it is neither the old lock nor the new one: `make tools` makes it anew
    try:
        _pip(root, "--no-index", "-r", LOCK)
    except machine.ToolMissing:
        _pip(root, "-r", LOCK)
    if same := _built_anew(old or b"", new or b""):
        again = root / UNDER_WAY / LOCK
        atomic.write(again, f"--find-links {root / WHEELS}\n{same}")
        _pip(root, "--no-index", "--no-deps", "--force-reinstall", "-r", str(again))
    atomic.write(stamp, new or b"")


def _pip(root: Path, *arguments: str) -> None:
    pip = [str(root / ".venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    machine.run([*pip, "--require-hashes", *arguments], cwd=root)


def _is_installed(root: Path) -> bool:
    """After a failure: does the environment still hold what the lock says? Usually, for pip fetches all of it first."""
    try:
        _pip(root, "--no-index", "-r", LOCK)
        shutil.copyfile(root / LOCK, root / ".venv" / LOCK)
    except (OSError, machine.ToolMissing):
        return False
    return True


def _built_anew(old: bytes, new: bytes) -> str:
    """Herd's entries of a later build with the same number, which to pip is installed already."""
    before, after = (dict(project_files.entries_of(text.decode())) for text in (old, new))
    return "".join(
        after[name]
        for name in DISTRIBUTIONS
        if name in before and name in after and before[name] != after[name]
        if before[name].splitlines()[0] == after[name].splitlines()[0]
    )
