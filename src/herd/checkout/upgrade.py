"""`herd upgrade`: another release's wheels and lock, and its generated files merged into the project's own.

The base of the merge is what the release in use generates: it is installed, so it is asked. What the other release
generates, its own code says, run from its wheel. Nothing of the project is touched where one file cannot be merged.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from herd.checkout import init, project_files
from herd.checkout.project_files import LOCK, MARK, WHEELS
from herd.errors import HerdError, WrongInput
from herd.toolchain import atomic, machine
from herd.version import VERSION

NOTES = "release_notes.toml"
KINDS = {"settings": "settings", "replaced": "resources replaced", "images": "images rebuilt", "other": "also"}
"""What the notes of a release speak of."""


@dataclass
class Plan:
    """What a release changes in a project. `conflicts`: the release's version of what could not be merged, by path.

    `files` to write, `removed` ones, both from the project's root; `notes` are lines for the person.
    """

    release: str
    files: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    conflicts: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def plan(root: Path, wheels: Path, keep: Collection[str] = ()) -> Plan:
    """What taking the release in `wheels`, a folder with both of its wheels, changes in a project. Touches nothing.

    `keep`: files that stay as they are, whatever the release has. Raises WrongInput.
    """
    values = _values(root)
    if missing := [path for path in keep if not (root / path).is_file()]:
        raise WrongInput(f"--keep {missing[0]}: no such file in {root}")
    old = {path.name: path.read_bytes() for path in (root / WHEELS).glob("*.whl")}
    new = {path.name: path.read_bytes() for path in wheels.glob("*.whl")}
    base = project_files.files(values, root / WHEELS)
    with tempfile.TemporaryDirectory(prefix="herd-upgrade-") as folder:
        theirs, release, notes = _generated(Path(folder), wheels, values)
    result = Plan(release, notes=notes)
    if old == new:
        return result
    spare = (root / init.SPARE_MAKEFILE).exists()
    for files in (base, theirs) if spare else ():
        files[init.SPARE_MAKEFILE] = files.pop("Makefile")
    untouched = {*values.get("kept", "").split(), *keep}
    for path in sorted({*base, *theirs} - untouched - {MARK}):
        _merge(result, root, path, base.get(path), theirs.get(path))
    result.files |= {MARK: theirs[MARK], **{f"{WHEELS}/{name}": content for name, content in new.items()}}
    result.removed += [f"{WHEELS}/{name}" for name in old.keys() - new.keys()]
    return result


def put_beside(root: Path, planned: Plan) -> list[str]:
    """Write the release's version of each conflict beside the project's own; the paths. Nothing else changes."""
    written = []
    for path, content in planned.conflicts.items():
        beside = f"{path}.of-{planned.release}"
        (root / beside).write_bytes(content)
        written.append(beside)
    return written


def apply(root: Path, planned: Plan) -> None:
    """Write all of it and install the new lock; or leave everything as it was. Raises HerdError."""
    changed = [*planned.files, *planned.removed]
    before = {path: (root / path).read_bytes() for path in changed if (root / path).is_file()}
    try:
        for path, content in planned.files.items():
            atomic.write(root / path, content)
        for path in planned.removed:
            (root / path).unlink()
        _install(root)
    except (OSError, machine.ToolMissing) as error:
        for path in planned.files:
            if path not in before:
                (root / path).unlink(missing_ok=True)
        for path, content in before.items():
            atomic.write(root / path, content)
        raise HerdError(f"release {planned.release} was not taken, everything is as it was: {error}") from None


def _values(root: Path) -> dict[str, str]:
    values = init.mark(root)
    if values is None:
        raise WrongInput(f"{root} was not begun by `herd init`: it has no {MARK}, which says what to compare with")
    if values.get("release") != VERSION:
        raise WrongInput(
            f"the files of {root} are of release {values.get('release')}, and this Herd is {VERSION}: `make tools`, "
            "then again with .venv/bin/herd"
        )
    return {key: value for key, value in values.items() if key != "release"}


def _generated(folder: Path, wheels: Path, values: Mapping[str, str]) -> tuple[dict[str, bytes], str, list[str]]:
    """What another release generates, its number, and its notes since the one that runs."""
    code, out = folder / "code", folder / "out"
    for path in wheels.glob("herd_environments-*.whl"):
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(code)
    command = [sys.executable, "-P", "-m", "herd.checkout.project_files", str(out), json.dumps(values), str(wheels)]
    variables = {**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    if done.returncode != 0:
        raise WrongInput(f"that release cannot say what it generates: {done.stderr.strip()[-400:]}")
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    release = str(json.loads(files[MARK])["release"])
    notes = code / "herd" / NOTES
    return files, release, notes_since(tomllib.loads(notes.read_text()) if notes.is_file() else {}, VERSION)


def notes_since(notes: Mapping[str, Any], release: str) -> list[str]:
    """Lines about every release after this one, the oldest first."""
    later = [entry for entry in notes.get("release", []) if _order(entry["version"]) > _order(release)]
    return [
        f"{entry['version']}: {words}: {line}"
        for entry in sorted(later, key=lambda entry: _order(entry["version"]))
        for kind, words in KINDS.items()
        for line in entry.get(kind, [])
    ]


def _order(release: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", release)))


def _merge(result: Plan, root: Path, path: str, base: bytes | None, theirs: bytes | None) -> None:
    """Take the release's change of one file, unless the project's own stands against it."""
    ours = (root / path).read_bytes() if (root / path).is_file() else None
    if base == theirs or ours == theirs:
        return
    if ours == base:
        if theirs is None:
            result.removed.append(path)
        else:
            result.files[path] = theirs
    elif ours is None:
        result.notes.append(f"{path}: you removed it, and it stays so; the release has a new one")
    elif theirs is None:
        result.notes.append(f"{path}: the release has no such file any more; yours was changed and stays")
    else:
        whole = (
            _merge_lock(base or b"", ours, theirs) if path.endswith(".lock") else _merge_text(base or b"", ours, theirs)
        )
        if whole is None:
            result.conflicts[path] = theirs
        elif whole != ours:
            result.files[path] = whole


def _merge_text(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """Git's three-way merge; None for a conflict."""
    if shutil.which("git") is None:
        raise WrongInput("Git is missing: it merges the release's files with yours")
    with tempfile.TemporaryDirectory(prefix="herd-merge-") as folder:
        for name, content in (("ours", ours), ("base", base), ("theirs", theirs)):
            Path(folder, name).write_bytes(content)
        done = subprocess.run(
            ["git", "merge-file", "--stdout", "ours", "base", "theirs"], cwd=folder, capture_output=True
        )
    return done.stdout if done.returncode == 0 else None


def _merge_lock(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """By package, so that neighbours in the file are no conflict; None where both changed one."""
    of_base, of_ours, of_theirs = (dict(project_files.entries_of(text.decode())) for text in (base, ours, theirs))
    head = theirs.decode().partition(next(iter(of_theirs.values()), ""))[0]
    merged = {}
    for name in {*of_base, *of_ours, *of_theirs}:
        before, own, new = of_base.get(name), of_ours.get(name), of_theirs.get(name)
        if own not in (before, new) and new != before:
            return None
        if (entry := new if own == before else own) is not None:
            merged[name] = entry
    return (head + "".join(merged[name] for name in sorted(merged))).encode()


def _install(root: Path) -> None:
    """The packages of the new lock, into the project's environment. Costs nothing where it is installed already."""
    lock, stamp = root / LOCK, root / ".venv" / LOCK
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in (lock, stamp) if path.is_file()]
    if len(set(digests)) == 1 and len(digests) == 2:
        return
    pip = [str(root / ".venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    machine.run([*pip, "--require-hashes", "-r", LOCK], cwd=root)
    shutil.copyfile(lock, stamp)
