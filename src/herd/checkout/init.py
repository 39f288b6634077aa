"""`herd init`: the files of a project, in an empty folder or beside what is there. All of them are written, or none."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from herd.checkout import adopt, project_files, review_dates, sources
from herd.checkout.project_files import MARK, WHEELS
from herd.errors import WrongInput
from herd.infra.naming import Naming
from herd.version import VERSION

OWNER = "data@example.com"
SPARE_MAKEFILE = "herd.mk"
"""What the Makefile is called where there is one already."""

OTHERS = (
    *("Pulumi.yaml", "Pulumi.yml", "Pulumi.json", "defaults.toml", project_files.LOCK),
    *(path for path in project_files.SHARED if path.startswith("infra/")),
)
"""A project cannot do without these or beside these, and they can be nobody else's."""


@dataclass(frozen=True)
class Plan:
    """`files` to write and `kept` ones that are there already, by path; `adopted`: what was taken from elsewhere."""

    root: Path
    name: str
    files: Mapping[str, bytes]
    kept: tuple[str, ...]
    adopted: adopt.Adopted


def plan(
    root: Path,
    name: str | None,
    source: Path | None,
    wheels: Path,
    language: str | None = None,
    workflows: str | None = None,
) -> Plan:
    """What `herd init` would write. `wheels`: a folder with both wheels of this Herd. Raises WrongInput."""
    known = mark(root)
    if known is not None and known.get("release") != VERSION:
        raise WrongInput(
            f"this project is of release {known.get('release')}, and this Herd is {VERSION}: run .venv/bin/herd init, "
            "or take a release first: herd upgrade"
        )
    name = _name(root, name, known)
    if known is None:
        _refuse_others(root)
    values = {"name": name, "owner": OWNER, "review_by": str(review_dates.new_date())}
    own = (known or {}).get("language", "python" if known else language or "python")
    if language not in (None, own):
        raise WrongInput(
            f"this project's files are for {own}; `herd new job NAME --language {language}` adds {language}"
        )
    if own != "python":
        values["language"] = own
    has = (known or {}).get("workflows", "usual" if known else workflows or "usual")
    if workflows not in (None, has):
        raise WrongInput(f"this project has the {has} workflows; `herd upgrade --workflows {workflows}` changes them")
    if has != "usual":
        values["workflows"] = has
    if comes_from := sources.of_this_herd(root):
        values["source"] = comes_from
    files = project_files.files({**values, **(known or {})}, wheels)
    files |= {f"{WHEELS}/{path.name}": path.read_bytes() for path in wheels.glob("*.whl")}
    if known is not None and any(root.glob(f"{WHEELS}/*.whl")):
        files = {path: content for path, content in files.items() if not path.startswith(f"{WHEELS}/")}
    adopted = adopt.Adopted()
    if source is not None:
        if not source.is_dir():
            raise WrongInput(f"--from {source}: no such folder")
        workloads = {path.parent.name for path in root.glob("*/*/workload.toml")}
        samples = {Path(path).parent.name for path in files if path.endswith("workload.toml")}
        taken = {adopt.came_from(path) for path in root.glob("jobs/*/workload.toml")} - {""}
        adopted = adopt.look(source, frozenset(workloads | samples), frozenset(taken))
        files |= adopted.files
    if os.path.lexists(root / "Makefile") and known is None:
        files[SPARE_MAKEFILE] = files.pop("Makefile")
    kept = tuple(path for path in files if os.path.lexists(root / path))
    # No release merges into what it has not generated.
    others = sorted({*kept, *adopted.files} - {MARK})
    files[MARK] = project_files.mark({**values, "kept": " ".join(path for path in others if " " not in path)})
    new = {path: content for path, content in sorted(files.items()) if path not in kept}
    _refuse_paths(root, new)
    return Plan(root, name, new, kept, adopted)


def write(planned: Plan) -> None:
    """Write all files of a plan, or none of them; nothing is overwritten. Raises WrongInput where that cannot be."""
    made: list[Path] = []
    folders: list[Path] = []
    try:
        planned.root.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".herd-init-", dir=planned.root))
    except OSError as error:
        raise WrongInput(f"{planned.root}: cannot be written to ({error.strerror}); nothing was written") from None
    try:
        for number, content in enumerate(planned.files.values()):
            (stage / str(number)).write_bytes(content)
            (stage / str(number)).chmod(project_files.mode_of(content))
        for number, name in enumerate(planned.files):
            path = planned.root / name
            folders += _make_folders(planned.root, path.parent)
            os.link(stage / str(number), path)  # which refuses to replace a file
            made.append(path)
    except OSError as error:
        for path in reversed(made):
            path.unlink(missing_ok=True)
        for folder in reversed(folders):
            folder.rmdir()
        raise WrongInput(f"{error.filename or planned.root}: {error.strerror}; nothing was written") from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def mark(root: Path) -> dict[str, str] | None:
    """What an earlier `herd init` or `herd upgrade` noted in a project; None where none was. Raises WrongInput."""
    try:
        values = json.loads((root / MARK).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise WrongInput(f"{root / MARK}: is not as `herd init` wrote it; put it back from Git")
    return values


def _name(root: Path, name: str | None, known: dict[str, str] | None) -> str:
    if known is not None:
        own = known.get("name", "")
        if name not in (None, own):
            raise WrongInput(f"this project is called {own!r}; another name would be another project's environments")
        return own
    if name is None:
        name = _like(root.name)
        hint = f". The folder is called {root.name!r}; say a name: herd init flights"
    else:
        better = _like(name)
        hint = f"; did you mean {better!r}?" if better != name and _is_fit(better) else ""
    try:
        Naming(name, "dev")
    except ValueError as error:
        raise WrongInput(f"{error}{hint}") from None
    return name


def _like(text: str) -> str:
    """The text without what no project's name has."""
    return re.sub(r"[^a-z0-9]", "", text.lower())[:12]


def _is_fit(name: str) -> bool:
    try:
        Naming(name, "dev")
    except ValueError:
        return False
    return True


def _refuse_others(root: Path) -> None:
    for other in OTHERS:
        if os.path.lexists(root / other):
            raise WrongInput(
                f"{root / other} is there already and is not of a Herd project; a project needs that file for itself. "
                "Nothing was written; use another folder"
            )


def _refuse_paths(root: Path, files: Mapping[str, bytes]) -> None:
    """Folders that are none, or lead elsewhere; and no access."""
    problems = []
    for name in files:
        for parent in list(Path(name).parents)[:-1]:
            path = root / parent
            if path.is_symlink() or (os.path.lexists(path) and not path.is_dir()):
                problems.append(
                    f"{path}: must be a folder for {name}, and is {'a link' if path.is_symlink() else 'a file'}"
                )
    folders = {next(folder for folder in (root / name).parents if folder.exists()) for name in files}
    problems += [f"{folder}: you may not write there" for folder in sorted(folders) if not os.access(folder, os.W_OK)]
    if problems:
        raise WrongInput("\n".join([*dict.fromkeys(problems), "nothing was written"]))


def _make_folders(root: Path, folder: Path) -> list[Path]:
    missing = [path for path in (folder, *folder.parents) if path.is_relative_to(root) and not path.exists()]
    for path in reversed(missing):
        path.mkdir()
    return list(reversed(missing))
