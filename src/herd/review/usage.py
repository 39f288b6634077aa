"""How much a workload uses in a month: runs by its schedule, hours of its tasks, what its output takes in S3.

By settings at first: a run takes at least the minute that Fargate charges and at most its whole time limit. Where runs
have been measured, their shortest and longest take the place of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Protocol

from herd.infra.prices import HOURS_A_MONTH
from herd.review.settings import Plain, Written
from herd.runner.contract import schedule

SHORTEST_MINUTES = 1
"""What Fargate charges at least (AWS Fargate pricing, "Duration")."""

DAYS = 364
"""Of the year that starts are counted in: whole weeks."""

DAYS_A_MONTH = HOURS_A_MONTH / 24

A_START = datetime(2027, 1, 3, 23, 59, 59, tzinfo=UTC)
"""Where starts are counted from, so that the same files cost the same on every day."""


class Measured(Protocol):
    """What the last runs of a job or report have used.

    `runs`: how many; `shortest`, `longest`: the hours of all tasks of one; `gigabytes`: of the version that is current.
    """

    @property
    def runs(self) -> int: ...
    @property
    def shortest(self) -> float: ...
    @property
    def longest(self) -> float: ...
    @property
    def gigabytes(self) -> float: ...


@dataclass(frozen=True)
class Hours:
    """Of tasks in a month, from and to, and what was assumed. `runs`: how often it starts."""

    low: float
    high: float
    basis: str
    runs: float = 0


def is_service(settings: Plain) -> bool:
    """Does it always run?"""
    return "port" in settings


def replicas(settings: Plain) -> tuple[int, int]:
    """The fewest and the most copies of a service."""
    wanted = settings.get("replicas") or {}
    least = int(wanted.get("min", 1))
    return least, max(least, int(wanted.get("max", 1)))


def hours(name: str, settings: Plain, written: Written, measured: Measured | None = None) -> Hours:
    """What the tasks of a workload take in a month. None of a job that only people start."""
    if is_service(settings):
        least, most = replicas(settings)
        basis = f"{least} to {most} copies" if most > least else f"{least} {'copies' if least > 1 else 'copy'}"
        return Hours(least * HOURS_A_MONTH, most * HOURS_A_MONTH, f"{basis}, day and night")
    runs = starts_a_month(name, written)
    if not runs:
        return Hours(0, 0, "")
    if measured is not None and measured.runs:
        took = minutes(measured.shortest, measured.longest)
        last = f"the last {measured.runs} took" if measured.runs > 1 else "the last one took"
        return Hours(runs * measured.shortest, runs * measured.longest, f"{runs:.1f} runs of {took}, as {last}", runs)
    tasks, limit = tasks_a_run(settings), int(settings.get("timeout_minutes", 60))
    basis = f"{runs:.1f} runs of {f'{tasks} tasks of ' if tasks > 1 else ''}{SHORTEST_MINUTES} to {limit} minutes"
    if isinstance(settings.get("fan_out"), Mapping):
        basis += ", with one item: how many there are is known when it runs"
    return Hours(runs * tasks * SHORTEST_MINUTES / 60, runs * tasks * limit / 60, f"{basis}, no retries", runs)


def tasks_a_run(settings: Plain) -> int:
    """Of a fan-out one for each item, and the one that publishes."""
    items = settings.get("fan_out")
    if not items:
        return 1
    return 1 + (1 if isinstance(items, Mapping) else len(items))


def minutes(shortest: float, longest: float) -> str:
    """Hours for people.

    >>> minutes(1 / 60, 0.125), minutes(0.05, 0.05)
    ('1 to 7.5 minutes', '3 minutes')
    """
    low, high = (f"{hours * 60:.1f}".removesuffix(".0") for hours in (shortest, longest))
    return f"{low} to {high} minutes" if low != high else f"{low} minute{'s' * (low != '1')}"


def starts_a_month(name: str, written: Written) -> float:
    """How often a job or report starts by itself; one that runs after others starts as often as the rarest of them."""
    if written.stack.get("schedules") is False:
        return 0
    settings = written.workloads.get(name, {})
    if settings.get("paused"):
        return 0
    if before := settings.get("after"):
        return min(starts_a_month(one, written) for one in before)
    if "schedule" not in settings:
        return 0
    parsed = schedule.parse(str(settings["schedule"]))
    return _starts(parsed, str(settings.get("timezone", "UTC"))) / DAYS * DAYS_A_MONTH


def _starts(parsed: schedule.Schedule, timezone: str) -> float:
    """In DAYS. What starts often is counted over four weeks only."""
    if step := schedule.rate_of(parsed.expression):
        return timedelta(days=DAYS) / step
    weeks = _count(parsed, timezone, 28)
    return weeks * DAYS / 28 if weeks >= DAYS // 28 else _count(parsed, timezone, DAYS)


def _count(parsed: schedule.Schedule, timezone: str, days: int) -> int:
    end = A_START + timedelta(days=days)
    return sum(1 for _ in takewhile(lambda time: time < end, schedule.runs(parsed, timezone, A_START)))


def versions_kept(name: str, written: Written) -> float:
    """Versions of an output that lie in S3 at most: the current one, and those that have not expired yet."""
    days = int(written.stack.get("keep_versions_days", 30))
    return 1 + starts_a_month(name, written) / DAYS_A_MONTH * days


Usage = Mapping[str, Measured]
"""Workload -> what its last runs have used."""
