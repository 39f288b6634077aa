"""Three versions of one file become one: texts by Git, lock files by package.

`base` is what a release generated, `ours` what the team made of it, `theirs` what another release generates.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from herd.checkout import project_files
from herd.errors import WrongInput

OURS, DIVIDES, THEIRS = b"<<<<<<< ours", b"=======", b">>>>>>> theirs"
"""How Git marks what it could not merge."""


@dataclass(frozen=True)
class Conflict:
    """Where both sides changed the same. `where`: lines of the team's file, or names of packages."""

    where: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.where)


def merge(path: str, base: bytes, ours: bytes, theirs: bytes) -> bytes | Conflict:
    """The file with the changes of both. Raises WrongInput where Git is missing."""
    if path.endswith(".lock"):
        return _lock(base, ours, theirs)
    return _text(base, ours, theirs)


def _text(base: bytes, ours: bytes, theirs: bytes) -> bytes | Conflict:
    if shutil.which("git") is None:
        raise WrongInput("Git is missing: it merges the release's files with yours")
    with tempfile.TemporaryDirectory(prefix="herd-merge-") as folder:
        for name, content in (("ours", ours), ("base", base), ("theirs", theirs)):
            Path(folder, name).write_bytes(content)
        done = subprocess.run(
            ["git", "merge-file", "--stdout", "ours", "base", "theirs"], cwd=folder, capture_output=True
        )
    if done.returncode == 0:
        return done.stdout
    return Conflict(tuple(_lines(done.stdout, ours)) or ("the whole file",))


def _lines(merged: bytes, ours: bytes) -> Iterator[str]:
    """`line 12` or `lines 12-14` of the team's file, for each place that Git marked."""
    own, at, block, inside = ours.splitlines(), 0, list[bytes](), ""
    for line in merged.splitlines():
        if line.startswith(OURS):
            inside, block = "ours", []
        elif line == DIVIDES and inside == "ours":
            inside = "theirs"
            first = next((n for n in range(at, len(own)) if own[n : n + len(block)] == block), at) if block else at
            last = first + len(block)
            yield f"lines {first + 1}-{last}" if len(block) > 1 else f"line {first + 1}"
            at = last
        elif line.startswith(THEIRS) and inside == "theirs":
            inside = ""
        elif inside == "ours":
            block.append(line)
        elif not inside and own.count(line) == 1 and line in own[at:]:
            at = own.index(line) + 1


def _lock(base: bytes, ours: bytes, theirs: bytes) -> bytes | Conflict:
    """By package, so that neighbours in the file are no conflict; only where both changed one."""
    try:
        texts = [text.decode() for text in (base, ours, theirs)]
    except UnicodeDecodeError:
        return Conflict(("the whole file",))
    of_base, of_ours, of_theirs = (dict(project_files.entries_of(text)) for text in texts)
    head = texts[2].partition(next(iter(of_theirs.values())))[0] if of_theirs else texts[2]
    merged, conflicts = {}, []
    for name in sorted({*of_base, *of_ours, *of_theirs}):
        before, own, new = of_base.get(name), of_ours.get(name), of_theirs.get(name)
        if own not in (before, new) and new != before:
            conflicts.append(name)
        elif (entry := new if own == before else own) is not None:
            merged[name] = entry
    return Conflict(tuple(conflicts)) if conflicts else (head + "".join(merged.values())).encode()
