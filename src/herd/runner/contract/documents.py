"""The format of what lies in the data bucket: the manifest of a version, its files, the accepted values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .keys import check_path, check_segment

SCHEMA = 1
"""Of every document in the data bucket: manifests, baselines and records."""


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


@dataclass(frozen=True)
class Baseline:
    """The accepted values that `max_drop` compares with, by (item, file, value)."""

    run_id: str
    values: Mapping[tuple[str | None, str, str], float]

    def to_json(self) -> bytes:
        values = [{"item": i, "file": f, "value": v, "observed": x} for (i, f, v), x in self.values.items()]
        return to_json({"schema": SCHEMA, "run_id": self.run_id, "values": values})

    @classmethod
    def from_json(cls, text: bytes) -> Baseline:
        """Raises ValueError."""
        data = from_json(text)
        try:
            values = {(v["item"], v["file"], v["value"]): float(v["observed"]) for v in data["values"]}
            return cls(data["run_id"], values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a baseline: {error!r}") from error


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
