"""Finding and reading the settings files, and laying them over each other.

Files are read with suspicion, because a pull request from anybody may contain them: only regular files of a sane size
inside the project, no link out of it, nothing that makes the parser run for long.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from herd.infra.messages import Problem, did_you_mean, printable, quoted
from herd.runner.contract import names
from herd.runner.contract.kinds import KIND_OF_FOLDER, Kind

SETTINGS = "workload.toml"
DEFAULTS = "defaults.toml"
MAX_BYTES = 64 * 1024
LONGEST_LINE = 4_000
OF_A_WORKLOAD = frozenset({".py", ".R", ".r", ".ipynb", ".qmd", ".Rmd", ".rmd", ".sh", ".sql", ".toml"})
"""Suffixes of what a workload is made of."""
NOT_RUN = frozenset({"__init__.py", "conftest.py"})
"""Files of tools, which look for them in the folder above."""
MERGED_TABLES = frozenset({"env", "params", "replicas", "secrets"})
"""Tables that are laid over each other key by key; everything else is replaced as a whole."""


@dataclass(frozen=True)
class Origin:
    """Where a value stands: `jobs/churn/workload.toml`, `… [environments.prod]`, or in words (`default`)."""

    file: str
    section: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file} {self.section}".rstrip()


@dataclass(frozen=True)
class Layer:
    """The settings of one file, or of one `[environments.x]` table of it."""

    file: str
    values: Mapping[str, Any]
    section: str = ""
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def but(self, values: Mapping[str, Any], section: str = "") -> "Layer":
        """The same file with other values, or one table of it."""
        return Layer(self.file, values, section, self.lines)

    def problem(self, key: str, message: str) -> Problem:
        return Problem(printable(self.file), key, f"{self.section} {message}".lstrip())

    def line(self, key: str, table: str = "") -> int | None:
        """Where `key` stands, for hints; the table as it stands in its header, without brackets."""
        return self.lines.get((".".join(filter(None, (self.section.strip("[]"), table))), key))

    def origin(self, path: tuple[str, ...]) -> Origin:
        return Origin(printable(self.file), self.section, self.line(path[-1], ".".join(path[:-1])))


@dataclass(frozen=True)
class WorkloadFolder:
    """A workload's folder. `name` is None when the folder's name cannot be one."""

    kind: Kind
    folder: Path
    name: str | None

    @property
    def file(self) -> str:
        return printable(f"{self.folder.as_posix()}/{SETTINGS}")


def discover(root: Path) -> tuple[list[WorkloadFolder], list[Problem]]:
    """Every workload folder, in order; folders without a visible file in them are not workloads."""
    entries: list[WorkloadFolder] = []
    problems: list[Problem] = []
    for top, kind in KIND_OF_FOLDER.items():
        for path in _folders(root / top):
            if not any(_visible(root / top / path)):
                continue
            name = path if names.WORKLOAD.fullmatch(path) else None
            entry = WorkloadFolder(kind, Path(top, path), name)
            entries.append(entry)
            if name is None:
                problems.append(_bad_name(entry))
        problems += [
            _loose(f"{top}/{entry.name}", kind)
            for entry in _visible(root / top)
            if entry.is_file() and PurePosixPath(entry.name).suffix in OF_A_WORKLOAD and entry.name not in NOT_RUN
        ]
    for top in _folders(root):
        if top not in KIND_OF_FOLDER:
            problems += [
                Problem(printable(f"{top}/{path}/{SETTINGS}"), "", f"{quoted(top)} is not a folder of workloads" + hint)
                for path in _folders(root / top)
                if (root / top / path / SETTINGS).exists()
                for hint in [did_you_mean(top, KIND_OF_FOLDER)]
            ]
    return entries, problems


def _loose(path: str, kind: Kind) -> Problem:
    """A file of a workload that lies where only folders are looked at."""
    top, name = path.split("/")
    stem = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(name).stem.lower()).strip("-")
    better = stem if names.WORKLOAD.fullmatch(stem) and name != SETTINGS else f"<name of the {kind}>"
    return Problem(
        printable(path),
        "",
        f"is in no {kind}'s folder, so nothing runs it; move it to {top}/{better}/{printable(name)}",
    )


def _bad_name(entry: WorkloadFolder) -> Problem:
    name = entry.folder.name
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    hint = f"; rename it to '{better}'" if names.WORKLOAD.fullmatch(better) else ""
    message = f"{quoted(name)} cannot be the name of a {entry.kind}; allowed: {names.WORKLOAD_RULE}{hint}"
    return Problem(entry.file, "name", message)


def _folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in _visible(path) if entry.is_dir())


def _visible(path: Path) -> Iterator["os.DirEntry[str]"]:
    """Entries that a person put there: no hidden ones, no caches. Images leave out the same."""
    try:
        with os.scandir(path) as entries:
            yield from (entry for entry in entries if not entry.name.startswith(".") and entry.name != "__pycache__")
    except OSError:
        return


def astray(root: Path, path: Path) -> str:
    """Why a file of the project may not be read: it is, or lies behind, a link to where no file of a workload lies.

    That is outside `root`, nothing, or below a name that begins with a dot: `.herd` has credentials, `.git` and `.env`
    may. "" for a file that is fine.
    """
    try:
        inside = path.resolve(strict=True).relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return "is a link that leads out of the project; put the file itself here"
    if any(part.startswith(".") for part in inside.parts):
        return f"is a link to {printable(inside.as_posix())}: what is hidden is never copied; put the file itself here"
    return ""


def links_astray(root: Path, folder: Path) -> list[tuple[Path, str]]:
    """Symbolic links in `root/folder` (or that folder itself) that may not be followed, relative to `root`, and why."""
    if why := astray(root, root / folder):
        return [(folder, why)]
    links, todo = [], [root / folder]
    while todo:
        for entry in _visible(todo.pop()):
            if entry.is_symlink():
                if why := astray(root, Path(entry.path)):
                    links.append((Path(entry.path).relative_to(root), why))
            elif entry.is_dir(follow_symlinks=False):
                todo.append(Path(entry.path))
    return sorted(links)


def read(root: Path, file: str, problems: list[Problem]) -> Layer:
    """One settings file. What is wrong with it goes to `problems`, and the layer is empty."""
    try:
        text = _text(root, root / file)
        return Layer(file, tomllib.loads(text), lines=_lines(text))
    except tomllib.TOMLDecodeError as error:
        message = _toml_message(str(error), text)
    except RecursionError:
        message = "is nested too deeply to be a settings file"
    except ValueError as error:
        message = str(error)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
    problems.append(Problem(printable(file), "", message))
    return Layer(file, {})


def _text(root: Path, path: Path) -> str:
    """The text of a file of the project; raises ValueError in the words of the house."""
    if why := astray(root, path):
        raise ValueError(why)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"has {status.st_size:,} bytes; allowed: up to {MAX_BYTES:,} for a settings file")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text (line {bad}); save it as UTF-8") from None
    # A key of thousands of dots is legal TOML, and the parser's time grows with the square of their number.
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"has {len(line):,} characters in line {number}; allowed: up to {LONGEST_LINE:,}")
    return text


def _toml_message(text: str, file: str) -> str:
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|(end of document))\)", text, re.DOTALL)
    if not match:
        return f"is not TOML: {printable(text)}"
    place = "at its end" if match[4] else f"line {match[2]}, column {match[3]}"
    lines = file.rstrip().split("\n")
    line = lines[min(int(match[2]), len(lines)) - 1] if match[2] else lines[-1]
    key, equals, _ = (part.strip() for part in line.partition("="))
    hint = ""
    if match[1] == "Invalid value":
        hint = ' (text needs quotes, like owner = "data@example.com")'
        if re.match(r"(True|False|TRUE|FALSE|yes|no|on|off)\b", line[max(int(match[3] or 1) - 1, 0) :]):
            hint = " (true and false are written in small letters)"
    if match[1] in ("Cannot overwrite a value", "Cannot declare") or match[1].startswith("Cannot declare"):
        named = _key(key if equals else line)
        return f"is not TOML, {place}: {named} stands twice; keep one of them"
    if match[1].startswith("Expected '=' after a key") and not line.isascii():
        hint = " (a name with other letters than a-z needs quotes; parameters and settings are a-z, 0-9 and _)"
    return f"is not TOML, {place}: {printable(match[1][0].lower() + match[1][1:])}{hint}"


def _key(text: str) -> str:
    return printable(text[:100]) or "a setting"


def _lines(text: str) -> dict[tuple[str, str], int]:
    """(table, key) -> line, for hints: `("", "cpu")`, `("env", "TARGET")`; `(table, "")` is the table's header."""
    lines: dict[tuple[str, str], int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := re.match(r"\s*\[{1,2}\s*([^\[\]]{1,200}?)\s*\]", line):
            table = header[1]
            lines.setdefault((table, ""), number)
        elif key := re.match(r"\s*[\"']?([A-Za-z0-9_-]{1,100})[\"']?\s*=", line):
            lines.setdefault((table, key[1]), number)
    return lines


def merge(layers: list[Layer]) -> tuple[dict[str, Any], dict[tuple[str, ...], Layer]]:
    """Later layers win. Also which layer each value came from, by `(key,)` or, in merged tables, `(key, inner key)`."""
    values: dict[str, Any] = {}
    source: dict[tuple[str, ...], Layer] = {}
    for layer in layers:
        for key, value in layer.values.items():
            source[(key,)] = layer
            if key in MERGED_TABLES and isinstance(value, dict):
                source.update({(key, inner): layer for inner in value})
                below = values.get(key)
                value = {**below, **value} if isinstance(below, dict) else value
            values[key] = value
    return values, source
