"""Checks of a file: the number in it, its size, whether it has changed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A check reads a small file of results. Without a limit a mistaken file name could fill the task's memory.
LARGEST_FILE = 16 * 1024 * 1024

_MISSING = "is missing: the run did not write this file to outputs/"


class Unanswered(Exception):
    """There is nothing to hold a limit against. The message goes on after `<file>: <what was asked> `."""


def number_at(outputs: Path, file: str, value: str) -> float:
    """The finite number at a dotted path in a JSON file of `outputs`; list elements by their index, `a.0.b`."""
    path = _inside(outputs, file)
    if not path.is_file():
        raise Unanswered(_MISSING)
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise Unanswered(f"cannot be checked: the file has {size:,} bytes, more than {LARGEST_FILE:,}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise Unanswered(f"cannot be checked: the file is not JSON ({error})") from error
    return _finite_number(_follow(content, value))


def size_of(outputs: Path, file: str) -> int:
    """The bytes of a file, or of all files below a folder."""
    return sum(path.stat().st_size for path in _files(outputs, file).values())


def has_changed(outputs: Path, file: str, published: Mapping[str, str | None] | None) -> bool:
    """Whether a file is another one than that of the last version, whose `published` are path -> SHA-256; None: before
    the first version, everything is new.

    A folder has changed if one of its files has, or is new, or is gone.
    """
    now = _files(outputs, file)
    if published is None:
        return True
    below = f"{file.rstrip('/')}/"
    earlier = {name: sha256 for name, sha256 in published.items() if name == file or name.startswith(below)}
    return {name: _sha256(path) for name, path in now.items()} != earlier


def _files(outputs: Path, file: str) -> dict[str, Path]:
    """The file, or all files below the folder, by their paths below outputs/."""
    path = _inside(outputs, file)
    if path.is_file():
        return {file: path}
    if not path.is_dir():
        raise Unanswered(_MISSING)
    below = f"{file.rstrip('/')}/"
    inside = {below + each.relative_to(path).as_posix(): each for each in path.rglob("*") if each.is_file()}
    if not inside:
        raise Unanswered("is missing: the folder has no files")
    return inside


def _inside(outputs: Path, file: str) -> Path:
    path = outputs / file
    if not path.resolve().is_relative_to(outputs.resolve()):
        raise Unanswered("cannot be checked: the file lies outside outputs/")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _follow(content: Any, value: str) -> object:
    """Go down a dotted path. A key that itself contains the dots wins."""
    if isinstance(content, dict) and value in content:
        return content[value]
    head, dot, rest = value.partition(".")
    if isinstance(content, dict) and head in content:
        below = content[head]
    elif isinstance(content, list) and head.isdecimal() and int(head) < len(content):
        below = content[int(head)]
    else:
        raise Unanswered("is missing: the file has no such value")
    return _follow(below, rest) if dot else below


def _finite_number(value: object) -> float:
    """Whole numbers stay whole: as floating point, large ones would become their neighbours."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unanswered(f"is not a number but {json.dumps(value)[:40]}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unanswered(f"is not a finite number but {number}")
    return value
