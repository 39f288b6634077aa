"""Every key in the two buckets and the format of what lies there (DESIGN 6).

data bucket (private)
    <workload>/versions/<run id>/[<item>/]<path>    what runs wrote; only what latest.json names is published
    <workload>/latest.json                          Version: the current version and its manifest
    <workload>/baseline.json                        the accepted values that `max_drop` compares with
    <workload>/rejected/<run id>/[<item>/]<path>    outputs that failed a check
    _runs/<workload>/<run id>[/<item>].json         the record of a run, or of one item of a fan-out
reports bucket (public)
    <workload>/index.html, <workload>/<run id>/<path>
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 1
INDEX = "index.html"

# S3 allows 1024 bytes of UTF-8 for a key: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
LONGEST_KEY = 1024


class BadPath(ValueError):
    """A file's path cannot become a key, or a key cannot become a file's path."""


def check_path(path: str) -> str:
    """Return `path` if it is a relative path with "/", safe as a key and below a folder; else raise BadPath.

    >>> check_path("tables/week=01.parquet")
    'tables/week=01.parquet'
    """
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise BadPath(f"{path!r}: the name is not UTF-8") from None
    if any(not character.isprintable() for character in path):
        raise BadPath(f"{path!r}: the name has characters that cannot be printed")
    if "\\" in path:
        raise BadPath(f"{path!r}: the name has a backslash")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise BadPath(f"{path!r}: not a plain relative path")
    if length > LONGEST_KEY:
        raise BadPath(f"{path[:60]!r}…: the path is longer than S3's {LONGEST_KEY} bytes")
    return path


def check_segment(name: str) -> str:
    """Return `name` if it can be one part of a key (a run id, an item of a fan-out); else raise BadPath."""
    if "/" in name:
        raise BadPath(f"{name!r}: must not contain '/'")
    return check_path(name)


@dataclass(frozen=True)
class Keys:
    """The keys of one run of a workload; `item` is set in a task of a fan-out."""

    workload: str
    run_id: str
    item: str | None = None

    @property
    def version(self) -> str:
        """The run's folder: what latest.json names as its prefix."""
        return version_prefix(self.workload, self.run_id)

    @property
    def outputs(self) -> str:
        """The folder that this task writes: the run's, or its item's in it."""
        return self.version + self._item_folder

    @property
    def rejected(self) -> str:
        return f"{self.workload}/rejected/{self.run_id}/{self._item_folder}"

    @property
    def record(self) -> str:
        return record_key(self.workload, self.run_id, self.item)

    @property
    def _item_folder(self) -> str:
        return f"{self.item}/" if self.item is not None else ""


def version_prefix(workload: str, run_id: str) -> str:
    return f"{workload}/versions/{run_id}/"


def latest_key(workload: str) -> str:
    return f"{workload}/latest.json"


def baseline_key(workload: str) -> str:
    return f"{workload}/baseline.json"


def record_key(workload: str, run_id: str, item: str | None = None) -> str:
    return f"_runs/{workload}/{run_id}/{item}.json" if item is not None else f"_runs/{workload}/{run_id}.json"


@dataclass(frozen=True)
class File:
    """One published file. `sha256` is None for a file that the workload itself streamed to HERD_OUTPUT_URI."""

    path: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class InputVersion:
    """Which version of an input a run read."""

    name: str
    run_id: str


@dataclass(frozen=True)
class Version:
    """latest.json: one published version of a workload. `previous` is the run that it superseded."""

    workload: str
    run_id: str
    published: str
    prefix: str
    items: tuple[str, ...] | None
    files: tuple[File, ...]
    inputs: tuple[InputVersion, ...]
    previous: str | None = None

    def to_json(self) -> bytes:
        return to_json({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, text: bytes) -> Version:
        """Read a manifest; refuse paths that would leave the folder they are fetched into. Raises ValueError."""
        data = from_json(text)
        try:
            return cls(
                workload=data["workload"],
                run_id=check_segment(data["run_id"]),
                published=data["published"],
                prefix=data["prefix"],
                items=tuple(map(check_segment, data["items"])) if data["items"] is not None else None,
                files=files_from(data["files"]),
                inputs=tuple(InputVersion(entry["name"], entry["run_id"]) for entry in data["inputs"]),
                previous=data.get("previous"),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a manifest of a version: {error!r}") from error


def files_from(entries: Sequence[Mapping[str, Any]]) -> tuple[File, ...]:
    """The files of a manifest or a record, each path checked."""
    return tuple(File(check_path(entry["path"]), int(entry["bytes"]), entry["sha256"]) for entry in entries)


def to_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def from_json(text: bytes) -> dict[str, Any]:
    """A JSON object of ours. Raises ValueError for anything else, and for a schema that a newer release wrote."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    if value.get("schema") != SCHEMA:
        raise ValueError(f"schema {value.get('schema')!r}; this release reads schema {SCHEMA}")
    return value
