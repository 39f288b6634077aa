"""The output gate: does what a run wrote hold what its [[check]]s ask? Exit 0 is not enough to be published.

How it is evaluated is in `evaluation`, which is imported when a command has ended: a job starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..contract.checks import MEASURED, Otherwise
from ..contract.documents import Baseline, History, Values, Version

Start = Callable[[Sequence[str], Mapping[str, str] | None, Path], int]
"""Runs a program in a folder, with these variables or (None) the workload's own; gives its exit status."""


@dataclass(frozen=True)
class Result:
    """A check's outcome as it goes into the record; `message` is one line for people.

    `file` and `value` are the check's key, `observed` its number. `otherwise` says what follows if it did not pass.
    """

    item: str | None
    file: str
    value: str
    observed: float | None
    min: float | None
    max: float | None
    max_drop: float | None
    baseline: float | None
    passed: bool
    message: str
    kind: str = "value"
    max_rise: float | None = None
    trend: float | None = None
    otherwise: Otherwise = "reject"

    @property
    def rejects(self) -> bool:
        """Does it keep the output from being published?"""
        return not self.passed and self.otherwise == "reject"


@dataclass(frozen=True)
class Subject:
    """What is judged: a run's folder, with what earlier runs have left to compare with.

    `published`: the files of the last version below this item, path -> SHA-256; None before the first.
    `connections`: the addresses of databases, passwords included.
    """

    root: Path
    item: str | None = None
    baseline: Baseline | None = None
    history: History = field(default_factory=History)
    published: Mapping[str, str | None] | None = None
    memory_gb: float | None = None
    connections: Mapping[str, str] = field(default_factory=dict, repr=False)
    start: Start | None = None

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"


def accepted_values(run_id: str, results: Iterable[Result]) -> Baseline:
    """The baseline that a run's own results would be."""
    return Baseline(run_id, values_of(results))


def values_of(results: Iterable[Result]) -> Values:
    """What may be compared of the checks that passed, by their keys."""
    values = {(r.item, r.file, r.value): r.observed for r in results if r.passed and r.kind in MEASURED}
    return {key: value for key, value in values.items() if value is not None}


def files_of(version: Version, item: str | None) -> dict[str, str | None]:
    """The files of a version, of one item of it, path -> SHA-256."""
    below = f"{item}/" if item is not None else ""
    return {file.path.removeprefix(below): file.sha256 for file in version.files if file.path.startswith(below)}
