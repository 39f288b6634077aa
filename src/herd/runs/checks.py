"""What the checks of a workload have seen in its last runs, from the runs' records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from herd.runner.contract import keys
from herd.runs import runs
from herd.targets.target import Target

LAST_RUNS = 30

_AT_ONCE = 8
_LIMITS = ("min", "max", "max_drop", "max_rise", "trend")
_LONGEST_QUERY = 60


@dataclass(frozen=True)
class Seen:
    """What one check saw in one run; `number` is None where it could not be answered."""

    run_id: str
    number: float | None
    passed: bool
    message: str


@dataclass(frozen=True)
class Check:
    """One check with what it saw, the oldest first. `rejects`: does it keep a run from being published?"""

    item: str | None
    file: str
    value: str
    limits: Mapping[str, float]
    rejects: bool
    seen: tuple[Seen, ...]

    def __str__(self) -> str:
        """`metrics.json: auc`, `predictions.parquet: rows`, or the query or command itself."""
        text = " ".join(self.value.split())
        short = text if len(text) <= _LONGEST_QUERY else text[: _LONGEST_QUERY - 1] + "…"
        return f"{self.file}: {short}" if self.file else short


def last_seen(target: Target, workload: str) -> list[Check]:
    """The checks of the last runs that had any, in the order of the newest run's settings; empty without such runs."""
    return collected(_records(target, workload))


def collected(records: Iterable[Mapping[str, Any]]) -> list[Check]:
    """The checks in records of runs, the oldest first. What the newest run does not check any more is left out."""
    entries: dict[tuple[Any, ...], list[tuple[str, Mapping[str, Any]]]] = {}
    newest: Mapping[str, Any] = {}
    for record in records:
        newest = record if record.get("checks") else newest
        for entry in record.get("checks") or ():
            entries.setdefault(_key(entry), []).append((str(record["run_id"]), entry))
    return [_check(entries[_key(entry)]) for entry in newest.get("checks", ())]


def _key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Two checks of one value differ in their limits."""
    return entry["item"], entry["file"], entry["value"], *_limits(entry)


def _check(entries: Sequence[tuple[str, Mapping[str, Any]]]) -> Check:
    last = entries[-1][1]
    seen = tuple(Seen(run_id, one["observed"], one["passed"], one["message"]) for run_id, one in entries[-LAST_RUNS:])
    limits = {name: last[name] for name in _limits(last)}
    return Check(last["item"], last["file"], last["value"], limits, last.get("otherwise", "reject") == "reject", seen)


def _limits(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in _LIMITS if entry.get(name) is not None)


def _records(target: Target, workload: str) -> list[dict[str, Any]]:
    """The records of the last runs, the oldest first; those of a fan-out's items are in their run's."""
    prefix = keys.record_key(workload, "").removesuffix(".json")
    objects = [entry for page in runs.listing(target, prefix, Delimiter="/") for entry in page.get("Contents", ())]
    # Where many runs have no check, such as skipped ones, fewer are shown.
    last = sorted(objects, key=lambda entry: entry["LastModified"])[-LAST_RUNS:]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        records = list(pool.map(lambda entry: runs.read_json(target, entry["Key"]), last))
    # S3 dates objects to the second, the records themselves to the millisecond.
    dated = [
        (entry["LastModified"], str(record.get("ended")), record)
        for entry, record in zip(last, records, strict=True)
        if record is not None
    ]
    return [record for *_, record in sorted(dated, key=lambda one: one[:2])]
