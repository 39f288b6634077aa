"""`herd new job NAME --from FILE`: a script, a notebook or a folder becomes a job, with the packages that it imports.

What is read is never run. Two things are said that would fail only later: packages that the image has not, and paths
of the machine that it was written on.
"""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from herd.checkout import adopt, review_dates
from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.packages import python_lock, renv
from herd.runner.contract.distributions import package_of

PYTHON, NOTEBOOK, R = ".py", ".ipynb", ".r"
MOST_FILES = 500
MOST_BYTES = 100_000_000
"""Of a folder: it all goes into the image."""

_ELSEWHERE = re.compile(r"(?:~[\w.-]*/|/(?:home|Users|mnt|media|data|srv|Volumes|root)/|[A-Za-z]:[\\/]|\\\\\w)[^\n]*")
"""A path of some machine. `/tmp/` is there too, and `/etc/` is the image's."""

_DATA = re.compile(
    r"[\w./ -]+\.(?:csv|tsv|parquet|feather|arrow|xlsx?|jsonl?|pkl|pickle|joblib|rds|rda|rdata|db|sqlite|txt|gz|zip)",
    re.IGNORECASE,
)
_WRITES = re.compile(r"outputs?/", re.IGNORECASE)
_R_PACKAGE = re.compile(
    r"\b(?:library|require|requireNamespace|loadNamespace)\(\s*[\"']?([A-Za-z][\w.]*)|([A-Za-z][\w.]*):::?\w"
)
_R_TEXT = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'")
_R_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_R_BASE = frozenset(
    ("base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel", "splines", "stats")
    + ("stats4", "tcltk", "tools", "utils")
)
"""Packages that come with R itself. Source: "R Installation and Administration"."""


@dataclass
class Taken:
    """`files`: by path in the job's folder. `packages`: that it imports and its image has not. `notes`: a line each."""

    files: dict[str, bytes] = field(default_factory=dict)
    settings: str = ""
    language: str = "python"
    packages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take(checkout: Checkout, name: str, source: Path) -> Taken:
    """What the job `name` is made of. Raises WrongInput for what is no program, or cannot be told apart."""
    try:
        mode = source.stat().st_mode
    except OSError as error:
        raise WrongInput(f"--from {source}: cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(mode):
        taken, command = _folder(source)
    elif not stat.S_ISREG(mode):
        raise WrongInput(f"--from {source}: is no file and no folder")
    elif source.suffix.lower() == R:
        taken, command = Taken({"main.R": _text(source)}, language="r"), None
    else:
        taken, command = _script(source, name)
    uses = _look_at_packages(checkout, taken)
    _look_at_paths(taken)
    taken.settings = _settings(name, source, command, uses)
    return taken


def _script(source: Path, name: str) -> tuple[Taken, list[str]]:
    adopted = adopt.one(source, name)
    if not adopted.files:
        raise WrongInput("\n".join(f"--from {line}" for line in adopted.left))
    below = f"jobs/{name}/"
    files = {path.removeprefix(below): content for path, content in adopted.files.items()}
    del files["workload.toml"]
    script = next(iter(files))
    return Taken(files, notes=[f"not taken: {line}" for line in adopted.left]), ["python", script]


def _folder(source: Path) -> tuple[Taken, list[str] | None]:
    taken, size = Taken(), 0
    for path in _files(source):
        shown = path.relative_to(source).as_posix()
        if not shown.isprintable() or adopt.SECRET.fullmatch(path.name):
            taken.notes.append(f"not taken: {shown!r}: may be a secret, or has a name that cannot be printed")
            continue
        size += path.stat().st_size
        if size > MOST_BYTES or len(taken.files) >= MOST_FILES:
            raise WrongInput(
                f"--from {source}: has more than {MOST_FILES} files or {MOST_BYTES // 1_000_000} MB, which would all "
                "go into the image; take the script alone, and publish data by a job of its own"
            )
        taken.files[shown] = path.read_bytes()
    taken.files.pop("workload.toml", None)
    for main in ("main.py", "main.R"):
        if main in taken.files:
            taken.language = "r" if main == "main.R" else "python"
            return taken, None
    scripts = [path for path in taken.files if "/" not in path and path.lower().endswith((PYTHON, R))]
    if len(scripts) != 1:
        choice = f"which of {', '.join(scripts[:10])} is run?" if scripts else "has no script at its top;"
        raise WrongInput(f"--from {source}: {choice} name the file, or call it main.py or main.R")
    taken.language = "r" if scripts[0].lower().endswith(R) else "python"
    return taken, ["Rscript" if taken.language == "r" else "python", scripts[0]]


def _files(folder: Path) -> Iterator[Path]:
    """Regular files; no hidden ones, no links, no environments of packages."""
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        if path.name.startswith(".") or path.name in (*adopt.NOT_LOOKED_INTO, "__pycache__", "renv", "outputs"):
            continue
        if stat.S_ISDIR(mode) and not os.access(path / "pyvenv.cfg", os.F_OK):
            yield from _files(path)
        elif stat.S_ISREG(mode):
            yield path


def _text(source: Path) -> bytes:
    if source.stat().st_size > adopt.LARGEST_PROGRAM_BYTES:
        raise WrongInput(f"--from {source}: has more than {adopt.LARGEST_PROGRAM_BYTES // 1_000_000} MB")
    return source.read_bytes()


def _look_at_packages(checkout: Checkout, taken: Taken) -> list[str]:
    """Note what is missing; the folders of lib/ that it imports."""
    if taken.language == "r":
        text = _R_COMMENT.sub("", "\n".join(_r_files(taken.files).values()))
        wanted = {match[1] or match[2] for match in _R_PACKAGE.finditer(text)} - _R_BASE
        has = _in_images(checkout, renv.FILE)
        if missing := sorted(wanted - has):
            taken.notes.append(
                f"the image has no R package {', '.join(missing)}: add {'them' if len(missing) > 1 else 'it'} to its "
                f"{renv.FILE}, then `herd image lock r`"
            )
        return []
    modules = {name for code in _python_files(taken.files).values() for name in _imports(code)}
    own = {path.split("/")[0].removesuffix(PYTHON) for path in taken.files}
    folders = {path.name for path in (checkout.root / "lib").glob("*") if path.is_dir()}
    tops = {module.partition(".")[0] for module in modules}
    foreign = {
        package_of(module)
        for module in modules
        if module.partition(".")[0] not in own | folders | set(sys.stdlib_module_names)
    }
    has = _in_images(checkout, "requirements.lock")
    named = {"requirements.in", "requirements.lock", "pyproject.toml", "uv.lock"} & taken.files.keys()
    taken.packages = [] if named else sorted(one for one in foreign if _normal(one) not in has)
    return sorted(tops & folders)


def _in_images(checkout: Checkout, lock: str) -> set[str]:
    """What the images of a language have locked; of several any, as which one it is to have is its owner's choice."""
    known: set[str] = set()
    for path in (checkout.root / "images").glob(f"*/{lock}"):
        try:
            if lock == renv.FILE:
                known |= set(renv.read(path.read_bytes()).packages)
            else:
                known |= {_normal(name) for name in python_lock.versions(path.read_text("utf-8"))}
        except (OSError, ValueError):
            continue
    return known


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _python_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path.endswith(PYTHON)}


def _r_files(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: text.decode("utf-8", "replace") for path, text in files.items() if path.lower().endswith(R)}


def _imports(code: bytes) -> Iterator[str]:
    for node in adopt.nodes(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _look_at_paths(taken: Taken) -> None:
    """Note each path that will not be there when it runs, with its line."""
    for path, line, text in _texts(taken.files):
        if _ELSEWHERE.fullmatch(text.strip()):
            why = "is a path of this machine"
        elif _DATA.fullmatch(text) and not _WRITES.match(text) and not text.startswith("inputs/"):
            if text.removeprefix("./") in taken.files:
                continue
            why = "does not come with it"
        else:
            continue
        taken.notes.append(
            f'{path}, line {line}: {text[:80]!r} {why}: read it from inputs/NAME/ (reads = ["NAME"]), put it into the '
            "folder, or write it to outputs/"
        )


def _texts(files: Mapping[str, bytes]) -> Iterator[tuple[str, int, str]]:
    for path, code in _python_files(files).items():
        for node in adopt.nodes(code):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                yield path, node.lineno, node.value
    for path, text in _r_files(files).items():
        for number, line in enumerate(text.split("\n"), 1):
            for match in _R_TEXT.finditer(line) if not line.lstrip().startswith("#") else ():
                yield path, number, (match[1] or match[2] or "").replace("\\\\", "\\")


def _settings(name: str, source: Path, command: list[str] | None, uses: list[str]) -> str:
    shown = source.name if source.name.isprintable() and source.name.isascii() else ascii(source.name)
    lines = [
        f"# {name}: from {shown}. `herd explain {name}` shows every value; all settings are in docs/reference/.",
        "",
        *([f"command = [{', '.join(map(_quoted, command))}]"] if command else []),
        *([f"uses = [{', '.join(map(_quoted, uses))}]"] if uses else []),
        '# schedule = "0 6 * * *"      # when it runs; until then by hand: `herd run`',
        '# reads = ["other-job"]        # their outputs are in inputs/other-job/',
        f"review_by = {review_dates.new_date()}",
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """As TOML has it: JSON's texts are TOML's too, if they are ASCII."""
    return json.dumps(text)
