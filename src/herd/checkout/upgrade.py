"""What `herd upgrade` changes: another release's wheels and lock, its generated files merged into the project's own.

The base of the merge is what the release in use generates. Its wheels lie in the project, so it can always be asked,
by whichever Herd and without a network; the other release is asked in the same way, by its own code. Nothing of the
project is touched here (apply.py does that), nor at all while one file cannot be merged.
"""

from __future__ import annotations

import json
import os
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
from herd.checkout.merge import Conflict, merge
from herd.checkout.project_files import LOCK, MARK, WHEELS
from herd.checkout.sources import DISTRIBUTIONS, order
from herd.errors import WrongInput
from herd.toolchain import atomic

NOTES = "release_notes.toml"
KINDS = {
    "settings": "settings",
    "created": "resources created",
    "replaced": "resources replaced",
    "images": "images rebuilt",
    "other": "also",
}
"""What the notes of a release speak of."""


@dataclass
class Plan:
    """What a release changes in a project. `conflicts`: where it and the team changed the same, by path.

    `files` to write, `removed` ones, both from the project's root; `theirs`: what the release has; `notes` are lines
    for the person.
    """

    release: str
    files: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    theirs: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Generated:
    """What a release writes into a new project, and its notes."""

    release: str
    files: dict[str, bytes]
    notes: Mapping[str, Any]


def plan(root: Path, wheels: Path, source: str = "", keep: Collection[str] = (), workflows: str | None = None) -> Plan:
    """What taking the release in `wheels`, a folder with both of its wheels, changes in a project. Touches nothing.

    `source`: where it came from, as the project notes it; `keep`: files that stay as they are, whatever the release
    has; `workflows`: which ones the project has from now on, None for those it has. Raises WrongInput.
    """
    values = mark(root)
    if missing := [path for path in keep if not (root / path).is_file()]:
        raise WrongInput(f"--keep {missing[0]}: no such file in {root}")
    old, new = _wheels(root / WHEELS), _wheels(wheels)
    release = values.pop("release")
    base = _generated(_of_release(old, root, release), values)
    if source:
        values["source"] = source
    has = values.get("workflows", "usual")
    if workflows is not None:
        values["workflows"] = workflows
    result_of = _generated(new, values)
    result = Plan(result_of.release, theirs=result_of.files)
    if old == new and workflows in (None, has):
        return result
    result.notes = _notes(base, result_of)
    spare = (root / init.SPARE_MAKEFILE).exists()
    for files in (base.files, result.theirs) if spare else ():
        files[init.SPARE_MAKEFILE] = files.pop("Makefile")
    untouched = {*values.get("kept", "").split(), *keep, MARK}
    for path in sorted({*base.files, *result.theirs} - untouched):
        _merge(result, root, path, base.files.get(path), result.theirs.get(path))
    if LOCK in keep:
        _refuse_another_lock(root, result)
    result.files |= {MARK: result.theirs[MARK], **{f"{WHEELS}/{name}": content for name, content in new.items()}}
    result.removed += [f"{WHEELS}/{name}" for name in old.keys() - new.keys()]
    result.removed += [beside for path in keep if (beside := _laid_beside(root, path, result))]
    return result


def put_beside(root: Path, planned: Plan) -> dict[str, str]:
    """Write the release's version of each conflict beside the project's own: its path by that one's. Nothing else
    changes."""
    written = {}
    for path in planned.conflicts:
        beside, number = f"{path}.of-{planned.release}", 2
        while os.path.lexists(root / beside) and (root / beside).read_bytes() != planned.theirs[path]:
            beside, number = f"{path}.of-{planned.release}-{number}", number + 1
        atomic.write(root / beside, planned.theirs[path])
        written[path] = beside
    return written


def mark(root: Path) -> dict[str, str]:
    """What the project was begun with, and the release that its files are of. Raises WrongInput where it is no such."""
    values = init.mark(root)
    if values is None:
        raise WrongInput(
            f"{root} was not begun by `herd init`, or its {MARK} is gone: that file says what to compare with"
        )
    if not values.get("release"):
        raise WrongInput(f"{root / MARK}: says no release; put it back from Git")
    return values


def _wheels(folder: Path) -> dict[str, bytes]:
    """Herd's own two: a team may keep others there."""
    names = [name.replace("-", "_") for name in DISTRIBUTIONS]
    return {path.name: path.read_bytes() for name in names for path in sorted(folder.glob(f"{name}-*.whl"))}


def _of_release(wheels: Mapping[str, bytes], root: Path, release: str) -> dict[str, bytes]:
    mine = {name: content for name, content in wheels.items() if name.split("-")[1] == release}
    if len(mine) != len(DISTRIBUTIONS):
        raise WrongInput(
            f"{root / WHEELS}: has not both wheels of {release}, the release that this project's files are of; put "
            "them back from Git"
        )
    return mine


def _generated(wheels: Mapping[str, bytes], values: Mapping[str, str]) -> Generated:
    """Asks a release's own code. Raises WrongInput where it cannot say."""
    with tempfile.TemporaryDirectory(prefix="herd-upgrade-") as name:
        folder = Path(name)
        (folder / WHEELS).mkdir()
        for wheel, content in wheels.items():
            (folder / WHEELS / wheel).write_bytes(content)
        code, out = folder / "code", folder / "out"
        try:
            for path in (folder / WHEELS).glob("herd_environments-*.whl"):
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(code)
        except zipfile.BadZipFile as error:
            raise WrongInput(f"{path.name}: is no wheel: {error}") from None
        arguments = [str(out), json.dumps(dict(values)), str(folder / WHEELS)]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "herd.checkout.project_files", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise WrongInput(
                f"{', '.join(wheels)}: cannot say what a project has of it: {done.stderr.strip()[-400:] or 'no wheel'}"
            )
        files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        notes = code / "herd" / NOTES
        read = tomllib.loads(notes.read_text()) if notes.is_file() else {}
        return Generated(str(json.loads(files[MARK])["release"]), files, read)


def _notes(base: Generated, new: Generated) -> list[str]:
    """Of the releases in between; the newer one knows them all."""
    if order(new.release) >= order(base.release):
        return notes_between(new.notes, base.release, new.release)
    back = notes_between(base.notes, new.release, base.release)
    return [f"{new.release} is older than {base.release}", *(f"goes back on {line}" for line in back)]


def notes_between(notes: Mapping[str, Any], old: str, new: str) -> list[str]:
    """Lines about every release after `old`, up to `new`, the oldest first."""
    later = [entry for entry in notes.get("release", []) if order(old) < order(entry["version"]) <= order(new)]
    return [
        f"{entry['version']}: {words}: {line}"
        for entry in sorted(later, key=lambda entry: order(entry["version"]))
        for kind, words in KINDS.items()
        for line in entry.get(kind, [])
    ]


def _merge(result: Plan, root: Path, path: str, base: bytes | None, theirs: bytes | None) -> None:
    """Take the release's change of one file, unless the project's own stands against it."""
    ours = (root / path).read_bytes() if (root / path).is_file() else None
    if base == theirs or ours == theirs:
        return
    if _leads_elsewhere(root, path):
        result.notes.append(f"{path}: is a link or not a file, and stays; the release has a new one")
    elif ours == base or (ours is None and path == LOCK):
        if theirs is None:
            result.removed.append(path)
        else:
            result.files[path] = theirs
    elif ours is None:
        result.notes.append(f"{path}: you removed it, and it stays so; the release has a new one")
    elif theirs is None:
        result.notes.append(f"{path}: the release has no such file any more; yours was changed and stays")
    else:
        merged = merge(path, base or b"", ours, theirs)
        if isinstance(merged, Conflict):
            result.conflicts[path] = merged
        elif merged != ours:
            result.files[path] = merged


def _refuse_another_lock(root: Path, result: Plan) -> None:
    """A lock that is kept must be of the wheels that come."""
    of_ours, of_theirs = (
        dict(project_files.entries_of(text.decode(errors="replace")))
        for text in ((root / LOCK).read_bytes(), result.theirs[LOCK])
    )
    if missing := [name for name in DISTRIBUTIONS if of_ours.get(name) != of_theirs[name]]:
        raise WrongInput(
            f"--keep {LOCK}: bring over the lines of {' and '.join(missing)} first: the wheels are of {result.release}"
        )


def _leads_elsewhere(root: Path, path: str) -> bool:
    """Is it, or a folder on the way to it, a link? Or is something that is no file in its place?"""
    steps = [root / path, *(root / parent for parent in list(Path(path).parents)[:-1])]
    return any(step.is_symlink() for step in steps) or any(
        os.path.lexists(step) and step.is_dir() == (step == root / path) for step in steps
    )


def _laid_beside(root: Path, path: str, result: Plan) -> str:
    """The release's version that an earlier conflict left there, which has done its work; empty for none."""
    beside = f"{path}.of-{result.release}"
    is_ours = (root / beside).is_file() and (root / beside).read_bytes() == result.theirs.get(path)
    return beside if is_ours else ""
