"""What the last runs of jobs and reports have used: hours of tasks by their records, bytes by their manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from herd.runner.contract import keys
from herd.runs import runs
from herd.targets.target import Target

LAST_RUNS = 10
"""So many of a workload's newest runs are looked at."""

LEAST_HOURS = 1 / 60
"""Of a task: what Fargate charges at least."""


@dataclass(frozen=True)
class Measured:
    """`runs`: how many were looked at; `shortest`, `longest`: hours of all tasks of one; `gigabytes`: of the version
    that is current.
    """

    runs: int
    shortest: float
    longest: float
    gigabytes: float


def collect(target: Target) -> dict[str, Measured]:
    """Of each workload that has run to its end at least once, or has published."""
    target.client("s3")  # made before the threads: making clients is not thread-safe
    names = sorted(target.exports.batch)
    seen = runs.in_parallel(lambda name: _of(target, name), names)
    return {name: one for name, one in zip(names, seen, strict=True) if one is not None}


def _of(target: Target, name: str) -> Measured | None:
    manifest = runs.read_json(target, keys.latest_key(name)) or {}
    gigabytes = sum(int(file.get("bytes") or 0) for file in manifest.get("files") or ()) / 1e9
    hours = [spent for one in _newest(target, name) if (spent := hours_of(one)) > 0]
    if not hours and not gigabytes:
        return None
    return Measured(len(hours), min(hours, default=0.0), max(hours, default=0.0), gigabytes)


def _newest(target: Target, name: str) -> list[list[Mapping[str, Any]]]:
    """The records of the newest runs: of each its own and, of a fan-out, those of its items."""
    prefix = f"{keys.RECORDS}/{name}/"
    listed = [str(entry["Key"]) for page in runs.listing(target, prefix) for entry in page.get("Contents", ())]
    by_run: dict[str, list[str]] = {}
    for key in listed:
        run, _, rest = key.removeprefix(prefix).removesuffix(".json").partition("/")
        by_run.setdefault(run, []).append(key)
    newest = sorted(by_run, reverse=True)[:LAST_RUNS]
    return [[record for key in by_run[run] if (record := runs.read_json(target, key)) is not None] for run in newest]


def hours_of(records: Sequence[Mapping[str, Any]]) -> float:
    """The hours of all tasks of one run, by what they wrote down; none where nothing says when they ran.

    The record of a fan-out's whole run spans its items, which have their own: of it the step that publishes is counted,
    as the least.

    >>> hours_of([{"started": "2027-01-31T06:00:00Z", "ended": "2027-01-31T06:30:00Z"}])
    0.5
    """
    items = [record for record in records if record.get("item") is not None]
    return sum(map(_span, items)) + LEAST_HOURS if items else sum(map(_span, records))


def _span(record: Mapping[str, Any]) -> float:
    try:
        started, ended = (datetime.fromisoformat(str(record[name])) for name in ("started", "ended"))
        hours = (ended - started).total_seconds() / 3600
    except (KeyError, ValueError, TypeError):
        return 0.0
    return max(hours, LEAST_HOURS) if hours >= 0 else 0.0
