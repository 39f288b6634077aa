"""Which due times count, and which of them are past their deadline.

A due time counts once the watch has seen its schedule's expression, so that a deployment accuses no past; not while
schedules are off, the workload is paused, or its review date has passed. Those of a cron are computed by the code that
writes the schedule. Those of a rate are counted from the last marker: AWS does not say from when it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Final

from herd.runner.contract.due import Marker, due_time
from herd.runner.contract.plan import Due, Plan
from herd.runner.contract.schedule import Schedule, end_of, last_runs, rate_of, runs

from .known import ScheduleSeen
from .memory import DueMemory
from .plans import once_per_plan

MOST_JUDGED: Final = 100
"""Due times that one call looks back on: after a long outage of the watch, the last ones."""


@dataclass(frozen=True)
class Scheduled:
    """A workload or pipeline with due times. `topic`: its key in the memory; `ends`: its last moment."""

    topic: str
    name: str
    machine: str
    due: Due
    ends: datetime | None
    is_pipeline: bool = False


def topic_of(name: str, is_pipeline: bool = False) -> str:
    return f"pipeline:{name}" if is_pipeline else f"run:{name}"


@once_per_plan
def scheduled(plan: Plan) -> tuple[Scheduled, ...]:
    """All that is to start by itself now."""
    return tuple(_scheduled(plan))


def _scheduled(plan: Plan) -> Iterator[Scheduled]:
    if not plan.schedules:
        return
    by_name = {workload.name: workload for workload in plan.workloads}
    for one in plan.workloads:
        if one.due and one.machine and one.paused is None and not one.expired:
            ends = _end(one.review_by, one.timezone)
            yield Scheduled(topic_of(one.name), one.name, one.machine, one.due, ends)
    for pipeline in plan.pipelines:
        jobs = [by_name[job] for job in pipeline.jobs if job in by_name]
        if pipeline.due and not any(job.paused is not None or job.expired for job in jobs):
            ends = min((end for job in jobs if (end := _end(job.review_by, job.timezone))), default=None)
            topic = topic_of(pipeline.name, True)
            yield Scheduled(topic, pipeline.name, pipeline.machine, pipeline.due, ends, True)


@lru_cache(maxsize=4096)
def _end(review_by: str, timezone: str) -> datetime | None:
    try:
        return end_of(date.fromisoformat(review_by), timezone)
    except ValueError:
        return None


def begin(known: DueMemory | None, one: Scheduled, now: datetime) -> DueMemory:
    """What is remembered of its due times; begun anew where the expression is another."""
    expression = f"{one.due.expression} {one.due.timezone}"
    if known is not None and known.expression == expression:
        return known
    return DueMemory(expression, now, now)


def anchored(memory: DueMemory, one: Scheduled, seen: ScheduleSeen | None) -> DueMemory:
    """Of a rate: what a look at its schedule says of when its due times are counted from.

    A change of the schedule may begin the count anew, so that what came before it says nothing of what comes after.
    """
    if seen is None or rate_of(one.due.expression) is None:
        return memory
    if memory.anchor is None and seen.modified <= seen.created:
        return replace(memory, anchor=seen.created)
    if seen.modified > max(memory.since, memory.anchor or memory.since):
        moved = seen.modified
        return replace(memory, since=moved, settled=max(memory.settled, moved), anchor=None)
    return memory


def is_overdue(memory: DueMemory, one: Scheduled, now: datetime) -> bool:
    """May a due time have passed its deadline that has not been judged? Costs next to nothing."""
    first = _first_after(one.due.expression, one.due.timezone, memory.anchor or memory.since, memory.settled)
    return first is not None and first <= _until(one, now)


def overdue(memory: DueMemory, one: Scheduled, now: datetime, marks: Iterable[Marker]) -> list[datetime]:
    """The due times past their deadline that have not been judged, the last MOST_JUDGED of them."""
    until = _until(one, now)
    step = rate_of(one.due.expression)
    if step is None:
        schedule = Schedule(one.due.expression, one.due.text)
        return last_runs(schedule, one.due.timezone, memory.settled, until, MOST_JUDGED)
    times = takewhile(lambda time: time <= until, _rate_times(step, memory, sorted(by_time(marks)), until))
    return [time for time in times if time > memory.settled][-MOST_JUDGED:]


def is_rate(one: Scheduled) -> bool:
    return rate_of(one.due.expression) is not None


def is_latest(one: Scheduled, time: datetime, now: datetime) -> bool:
    """Has no other due time come since this one?"""
    step = rate_of(one.due.expression)
    after = time + step if step else next(_cron_times(one.due.expression, one.due.timezone, time), None)
    return after is None or after > now or (one.ends is not None and after > one.ends)


def settled(memory: DueMemory, judged: Iterable[datetime], marks: Iterable[Marker]) -> DueMemory:
    """With these due times judged; the newest marker is what a rate is counted from next."""
    return replace(
        memory,
        settled=max([memory.settled, *judged]),
        anchor=max((time for time in by_time(marks) if time > memory.since), default=memory.anchor),
    )


def by_time(marks: Iterable[Marker]) -> dict[datetime, Marker]:
    """The markers by their due times; one without any is passed over."""
    timed: dict[datetime, Marker] = {}
    for mark in marks:
        with suppress(ValueError):
            timed[due_time(mark.scheduled_time)] = mark
    return timed


def _until(one: Scheduled, now: datetime) -> datetime:
    """The due times up to here are past their deadline."""
    passed = now - timedelta(minutes=one.due.deadline_minutes)
    return min(passed, one.ends) if one.ends else passed


@lru_cache(maxsize=4096)
def _first_after(expression: str, timezone: str, anchor: datetime, after: datetime) -> datetime | None:
    step = rate_of(expression)
    if step is None:
        return next(_cron_times(expression, timezone, after), None)
    return anchor + step * ((after - anchor) // step + 1)


def _cron_times(expression: str, timezone: str, after: datetime) -> Iterator[datetime]:
    return runs(Schedule(expression, ""), timezone, after)


def _rate_times(step: timedelta, memory: DueMemory, marks: list[datetime], until: datetime) -> Iterator[datetime]:
    """The markers, and what is missing between and after them.

    Without an anchor the first one is the last moment at which AWS can have begun: one step after the change.
    """
    time = memory.anchor
    for mark in marks:
        if time is not None:
            time += step * max(0, (mark - time) // step - MOST_JUDGED)
            while mark - time > step * 1.5:
                time += step
                yield time
            if mark <= time:
                continue
        yield mark
        time = mark
    if time is None:
        time = memory.since
    time += step * max(0, (until - time) // step - MOST_JUDGED)
    while time + step <= until:
        time += step
        yield time
