"""The format of what lies in the data bucket: the manifest of a version, its files, the values of checks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from .keys import check_path, check_segment, version_prefix

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
class Rollback:
    """Somebody made an earlier version current: `by` whom, `because` of what, and instead of which run's."""

    workload: str
    run_id: str
    replaced: str
    at: str
    by: str
    because: str

    def to_json(self) -> bytes:
        return to_json({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Rollback:
        """Raises KeyError."""
        return cls(**{field.name: str(entry[field.name]) for field in fields(cls)})


@dataclass(frozen=True)
class Version:
    """latest.json: one published version of a workload. `previous` is the run that it superseded.

    `rollback` is set while it is an earlier one that somebody made current again.
    """

    workload: str
    run_id: str
    published: str
    prefix: str
    items: tuple[str, ...] | None
    files: tuple[File, ...]
    inputs: tuple[InputVersion, ...]
    previous: str | None = None
    rollback: Rollback | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over the names, sizes and sums of its files: equal where the data are, whoever made them.

        A file that the workload itself streamed has no sum, and counts by its name and size.
        """
        lines = sorted(f"{file.path}\n{file.bytes}\n{file.sha256 or ''}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def to_json(self) -> bytes:
        value = {"schema": SCHEMA, **asdict(self)}
        if self.rollback is None:
            del value["rollback"]
        return to_json(value)

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
                rollback=Rollback.from_entry(data["rollback"]) if data.get("rollback") else None,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a manifest of a version: {error!r}") from error


@dataclass(frozen=True)
class Snapshot:
    """A named set of published versions: what each output of `environment` was at `at`. They do not expire."""

    name: str
    environment: str
    at: str
    by: str
    outputs: Mapping[str, Version]

    def to_json(self) -> bytes:
        outputs = {name: json.loads(version.to_json()) for name, version in sorted(self.outputs.items())}
        head = {"name": self.name, "environment": self.environment, "at": self.at, "by": self.by}
        return to_json({"schema": SCHEMA, **head, "outputs": outputs})

    @classmethod
    def from_json(cls, text: bytes) -> Snapshot:
        """Raises ValueError."""
        data = from_json(text)
        try:
            outputs = {str(name): Version.from_json(to_json(entry)) for name, entry in data["outputs"].items()}
            for name, version in outputs.items():
                if version.workload != name or version.prefix != version_prefix(name, version.run_id):
                    raise ValueError(f"not a snapshot: its {name} names files of another workload")
            return cls(str(data["name"]), str(data["environment"]), str(data["at"]), str(data["by"]), outputs)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a snapshot: {error!r}") from error


@dataclass(frozen=True)
class BuiltFrom:
    """What an image was built from: a commit, and whether files differed from it (`changed`)."""

    commit: str
    changed: bool

    @property
    def words(self) -> str:
        """For people.

        >>> BuiltFrom("0123456789abcdef0123456789abcdef01234567", changed=False).words
        'commit 0123456789ab'
        """
        return f"commit {self.commit[:12]}{' with changes that were not committed' if self.changed else ''}"

    def to_json(self) -> bytes:
        return to_json({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, text: bytes) -> BuiltFrom:
        """Raises ValueError."""
        data = from_json(text)
        commit, changed = data.get("commit"), data.get("changed")
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit) or not isinstance(changed, bool):
            raise ValueError(f"not what an image was built from: commit = {commit!r}, changed = {changed!r}")
        return cls(commit, changed)


COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""Git's names of commits, by SHA-1 or SHA-256."""


def files_from(entries: Sequence[Mapping[str, Any]]) -> tuple[File, ...]:
    """The files of a manifest or a record, each path checked."""
    return tuple(File(check_path(entry["path"]), int(entry["bytes"]), entry["sha256"]) for entry in entries)


Values = Mapping[tuple[str | None, str, str], float]
"""What checks have seen, by item of a fan-out, file and what was asked of it (`contract.checks`)."""


@dataclass(frozen=True)
class Baseline:
    """The accepted values that `max_drop` and `max_rise` compare with."""

    run_id: str
    values: Values

    def to_json(self) -> bytes:
        return to_json({"schema": SCHEMA, "run_id": self.run_id, "values": _entries(self.values)})

    @classmethod
    def from_json(cls, text: bytes) -> Baseline:
        """Raises ValueError."""
        data = from_json(text)
        try:
            return cls(data["run_id"], _values(data["values"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a baseline: {error!r}") from error


KEPT_RUNS = 30
"""The published runs that `trend` looks back on."""


@dataclass(frozen=True)
class History:
    """What checks saw in the last published runs, the oldest first: (run id, values)."""

    runs: tuple[tuple[str, Values], ...] = ()

    def of(self, key: tuple[str | None, str, str]) -> list[float]:
        """The values of one check, the oldest first."""
        return [values[key] for _, values in self.runs if key in values]

    def after(self, run_id: str, values: Values) -> History:
        """With one more run. A run that is in it already, because a retry publishes again, is replaced."""
        return History((*(run for run in self.runs if run[0] != run_id), (run_id, values))[-KEPT_RUNS:])

    def up_to(self, run_id: str, later: Collection[str]) -> History:
        """Without the runs of `later`, which somebody has taken back in favour of `run_id`."""
        return History(tuple(run for run in self.runs if run[0] == run_id or run[0] not in later))

    def to_json(self) -> bytes:
        runs = [{"run_id": run_id, "values": _entries(values)} for run_id, values in self.runs]
        return to_json({"schema": SCHEMA, "runs": runs})

    @classmethod
    def from_json(cls, text: bytes) -> History:
        """Raises ValueError."""
        data = from_json(text)
        try:
            return cls(tuple((str(run["run_id"]), _values(run["values"])) for run in data["runs"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a history of checks: {error!r}") from error


def _entries(values: Values) -> list[dict[str, Any]]:
    return [{"item": i, "file": f, "value": v, "observed": x} for (i, f, v), x in values.items()]


def _values(entries: Any) -> Values:
    return {(v["item"], v["file"], v["value"]): _number(v["observed"]) for v in entries}


def _number(value: Any) -> float:
    """Whole numbers stay whole, however large."""
    return value if isinstance(value, int) and not isinstance(value, bool) else float(value)


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
