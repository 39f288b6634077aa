"""Writes single settings into the team's files, and leaves everything else in them as it stands, comments included.

A file is only written when what it then says is exactly what it said, with the one value changed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from herd.checkout import stack_config
from herd.checkout.find import Checkout
from herd.errors import WrongInput
from herd.infra.settings.keys import config_key
from herd.infra.spec.files import SETTINGS, Origin
from herd.toolchain import atomic

Path_ = tuple[str | int, ...]

_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_ASSIGNED = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=\s*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DATES = ("review_by",)


@dataclass(frozen=True)
class Edit:
    """One value to be written. `path`: keys, and places in lists; `value`: None removes it. `is_toml`: else YAML."""

    file: str
    path: Path_
    value: Any
    is_toml: bool = True

    def apply(self, text: str) -> str:
        """The file's text with the value. Raises WrongInput where only a person can write it."""
        return set_toml(text, self.path, self.value) if self.is_toml else set_yaml(text, str(self.path[0]), self.value)

    def __str__(self) -> str:
        name = ".".join(map(str, self.path))
        return f"{name} is removed" if self.value is None else f"{name} = {toml(self.value)}"


def in_workload(folder: Path, environment: str, path: Path_, value: Any, origin: Origin | None) -> Edit:
    """A setting of a workload: where it stands, else in its workload.toml; not in what several workloads share."""
    file = (folder / SETTINGS).as_posix()
    prefix: Path_ = ()
    if origin is not None and origin.file == file and origin.section:
        prefix = ("environments", environment)
    if path[0] in _DATES and isinstance(value, str):
        value = date.fromisoformat(value)
    return Edit(file, (*prefix, *path), value)


def in_stack(checkout: Checkout, environment: str, path: tuple[str, ...], value: Any) -> Edit:
    """A setting of the stack's file. Raises WrongInput for one that is a table, or where there is no file."""
    source = stack_config.tracked(checkout, environment)
    if source is None:
        raise WrongInput(f"there is no Pulumi.{environment}.yaml to write {path[0]} into")
    if len(path) > 1:
        raise WrongInput(f"{source.name}: write {'.'.join(path)} yourself: it is in a table")
    return Edit(source.name, (config_key(path[0]),), value, is_toml=False)


@contextmanager
def written(root: Path, edits: Sequence[Edit]) -> Iterator[None]:
    """The files with all of it, once all of it can be written; put back as they were where the block raises."""
    before: dict[str, bytes | None] = {}
    after: dict[str, str] = {}
    for edit in edits:
        path = root / edit.file
        if edit.file not in before:
            before[edit.file] = path.read_bytes() if path.exists() else None
            after[edit.file] = (before[edit.file] or b"").decode("utf-8-sig")
        try:
            after[edit.file] = edit.apply(after[edit.file])
        except WrongInput as error:
            raise WrongInput(f"{edit.file}: {error}") from None
    for file, text in after.items():
        atomic.write(root / file, text)
    try:
        yield
    except BaseException:
        for file, content in before.items():
            if content is None:
                (root / file).unlink(missing_ok=True)
            else:
                atomic.write(root / file, content)
        raise


# --- TOML -------------------------------------------------------------------------------------------------------------


def toml(value: Any) -> str:
    """A value as TOML has it, on one line.

    >>> toml(0.5), toml("a b"), toml(["x", 1]), toml({"min": 1})
    ('0.5', '"a b"', '["x", 1]', '{ min = 1 }')
    """
    match value:
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{_key(name)} = {toml(one)}' for name, one in value.items())} }}"
        case _:
            # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def set_toml(text: str, path: Path_, value: Any) -> str:
    """The text with one value set, or removed where it is None. Raises WrongInput where that cannot be done safely."""
    name = ".".join(map(str, path))
    try:
        before = tomllib.loads(text)
        wanted = _with(before, path, value)
    except (tomllib.TOMLDecodeError, TypeError, LookupError) as error:
        raise WrongInput(f"{name} cannot be written here: {error}; write it yourself") from None
    if wanted == before:
        return text
    for after in _attempts(text, path, value, wanted):
        try:
            if tomllib.loads(after) == wanted:
                return after
        except tomllib.TOMLDecodeError:
            continue
    said = "remove it" if value is None else f"write {toml(value)}"
    raise WrongInput(f"{name} stands in a way that Herd does not change; {said} yourself")


def _with(tree: Any, path: Path_, value: Any) -> Any:
    """A copy with one value set or removed; tables on the way are made."""
    copy = deepcopy(tree)
    place = copy
    for key in path[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    if value is not None:
        place[path[-1]] = value
    elif isinstance(place, dict):
        place.pop(path[-1], None)
    return copy


@dataclass(frozen=True)
class _Line:
    """`key = value` over the lines from `start` to `end`. `path`: with that of its table."""

    path: Path_
    start: int
    end: int
    head: str
    tail: str


def _attempts(text: str, path: Path_, value: Any, wanted: Any) -> Iterator[str]:
    """Ways to write it, the least intrusive first."""
    lines = text.splitlines(keepends=True)
    assigned, tables = _scan(lines)
    # Where it stands, or in the inline table that it is a part of.
    for length in range(len(path), 0, -1):
        for line in assigned:
            if line.path != path[:length]:
                continue
            if length == len(path) and value is None:
                yield "".join([*lines[: line.start], *lines[line.end :]])
            else:
                yield "".join(
                    [*lines[: line.start], f"{line.head}{toml(_at(wanted, path[:length]))}{line.tail}",
                     *lines[line.end :]]
                )  # fmt: skip
    if value is None:
        return
    # In its table, else as a dotted key of the nearest that there is.
    for length in range(len(path) - 1, -1, -1):
        for table, (start, end) in tables.items():
            if table != path[:length]:
                continue
            while end > start and not lines[end - 1].strip():
                end -= 1
            key = ".".join(_key(str(part)) for part in path[length:])
            ending = "" if not end or lines[end - 1].endswith("\n") else "\n"
            yield "".join([*lines[:end], f"{ending}{key} = {toml(value)}\n", *lines[end:]])


def _at(tree: Any, path: Path_) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _scan(lines: Sequence[str]) -> tuple[list[_Line], dict[Path_, tuple[int, int]]]:
    """Every `key = value`, and the lines of every table. What it misreads is found out when the result is read."""
    assigned: list[_Line] = []
    tables: dict[Path_, tuple[int, int]] = {}
    counted: dict[Path_, int] = {}
    table: Path_ = ()
    begin = number = 0
    while number < len(lines):
        line = lines[number]
        if header := re.match(r"\s*(\[{1,2})\s*([^\[\]]{1,200}?)\s*\]", line):
            tables[table] = (begin, number)
            table = _keys(header[2])
            if header[1] == "[[":
                counted[table] = counted.get(table, -1) + 1
                table = (*table, counted[table])
            begin = number + 1
        elif key := _ASSIGNED.match(line):
            end, tail = _end_of_value(lines, number, key.end())
            assigned.append(_Line((*table, *_keys(key[1])), number, end, line[: key.end()], tail))
            number = end - 1
        number += 1
    tables[table] = (begin, len(lines))
    return assigned, tables


def _keys(dotted: str) -> Path_:
    try:
        tree = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return (dotted,)
    keys: list[str | int] = []
    while isinstance(tree, dict):
        (key,) = tree
        keys.append(key)
        tree = tree[key]
    return tuple(keys)


MOST_LINES = 200
"""Of one value."""


def _end_of_value(lines: Sequence[str], number: int, column: int) -> tuple[int, str]:
    """The line after a value's last, and what stands behind it: a comment, the line's end."""
    text = lines[number][column:]
    for end in range(number + 1, min(len(lines), number + MOST_LINES) + 1):
        places = [place for place, sign in enumerate(text) if sign == "#"] if end == number + 1 else []
        for place in [*places, len(text)]:
            try:
                tomllib.loads(f"v = {text[:place]}")
            except tomllib.TOMLDecodeError:
                continue
            value = text[:place].rstrip()
            return end, text[len(value) :]
        if end < len(lines):
            text += lines[end]
    return number + 1, "\n"


# --- YAML -------------------------------------------------------------------------------------------------------------


def set_yaml(text: str, key: str, value: Any) -> str:
    """A stack's file with one of its `config:` set to a plain value, or without it. Raises WrongInput as `set_toml`."""
    import yaml

    before = yaml.safe_load(text) or {}
    wanted = _with(before, ("config", key), value)
    if wanted == before:
        return text
    line = re.compile(rf"(?m)^(\s+)([\"']?){re.escape(key)}\2:[ \t]+([^\s#][^#\n]*?)([ \t]+#.*)?$")
    written = yaml.safe_dump(value, default_flow_style=True).partition("\n")[0]
    attempts = [
        line.sub("", text, count=1).replace("\n\n", "\n") if value is None
        else line.sub(lambda old: f"{old[1]}{old[2]}{key}{old[2]}: {written}{old[4] or ''}", text, count=1)
    ]  # fmt: skip
    if value is not None:
        attempts += [
            re.sub(r"(?m)^config:[ \t]*(#.*)?$", lambda old: f"{old[0]}\n  {key}: {written}", text, count=1),
            f"{text.rstrip()}\nconfig:\n  {key}: {written}\n".lstrip(),
        ]
    for after in attempts:
        try:
            if yaml.safe_load(after) == wanted:
                return after
        except yaml.YAMLError:
            continue
    raise WrongInput(f"{key} stands in a way that Herd does not change; write {written} yourself")
