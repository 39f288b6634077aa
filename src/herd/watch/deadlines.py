"""Due times of jobs, reports and pipelines: what came of each that is past its deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from herd.runner.contract.due import BY_SCHEDULE, Marker, scheduled

from . import due_times, failures
from .call import Call, Start, Who
from .due_times import Scheduled
from .known import RUNNING, Execution, Published, RunKey
from .memory import DueMemory
from .questions import Unknown
from .run_messages import history_of, tell_run
from .runs import failed, moment_of, succeeded
from .troubles import LATE

RUN_NAME: Final = "%Y%m%dT%H%M%S"
"""How the names of runs begin, so that they sort by time."""


@dataclass(frozen=True)
class Outcome:
    """What came of a due time. `told`: its failure has been. `nothing`: stopped by a person, or not needed."""

    time: datetime
    is_: Literal["done", "not-started", "not-done", "skipped", "failed", "told", "nothing"]
    marker: Marker | None = None
    execution: Execution | None | Unknown = None


def look(call: Call, one: Scheduled, look_again: bool) -> None:
    """Judge the due times that are past their deadline. `look_again`: also at what was late when last looked at."""
    memory = due_times.begin(call.memory.due.get(one.topic), one, call.now)
    call.due[one.topic] = memory
    trouble = call.topic(one.topic).trouble
    late = trouble.due if look_again and trouble is not None and trouble.kind in LATE else None
    is_overdue = due_times.is_overdue(memory, one, call.now)
    if not is_overdue and late is None:
        return
    after = memory.settled if late is None else min(memory.settled, late - timedelta(seconds=1))
    markers = call.lookup.markers(one.name, after)
    if markers is None:
        return
    who = call.who(one)
    if late is not None:
        _look_again(call, who, late, markers)
    if is_overdue:
        call.due[one.topic] = _judge_all(call, who, one, memory, markers)


def _judge_all(call: Call, who: Who, one: Scheduled, memory: DueMemory, markers: Sequence[Marker]) -> DueMemory:
    """The memory with what could be judged; unchanged as long as something has yet to be looked up."""
    by_time = due_times.by_time(markers)
    times = due_times.overdue(memory, one, call.now, markers)
    if any(time not in by_time for time in times):
        schedules = call.lookup.schedules()
        if schedules is not None:
            moved = due_times.anchored(memory, one, schedules.get(one.due.schedule))
            if moved != memory:
                memory, times = moved, due_times.overdue(moved, one, call.now, markers)
        elif due_times.is_rate(one):  # AWS may have begun to count anew
            return memory
    outcomes = [_judge(call, who, time, by_time.get(time), markers) for time in times]
    if None in outcomes:
        return memory
    _tell_outcomes(call, who, one, memory, [outcome for outcome in outcomes if outcome is not None], by_time)
    return due_times.settled(memory, times, markers)


def _judge(call: Call, who: Who, time: datetime, marker: Marker | None, markers: Sequence[Marker]) -> Outcome | None:
    """None while its execution has yet to be looked up."""
    seen = call.topic(who.topic).seen
    if marker is None:
        return Outcome(time, "told" if f"due {scheduled(time)}" in seen else "not-started")
    if marker.completed is not None:
        return Outcome(time, "done", marker)
    if marker.run_id in seen:
        return Outcome(time, "told", marker)
    execution = call.lookup.execution(RunKey(who.machine, marker.run_id))
    if isinstance(execution, Unknown):
        return Outcome(time, "not-done", marker, execution) if call.lookup.is_final else None
    if execution is None or execution.status in RUNNING:
        return Outcome(time, "not-done", marker, execution)
    if execution.status == "ABORTED" and not failures.was_replaced(execution):
        return Outcome(time, "nothing", marker, execution)
    if execution.status in ("FAILED", "TIMED_OUT"):
        return Outcome(time, "failed", marker, execution)
    if execution.status == "SUCCEEDED" and failures.status_of(execution) == "succeeded":
        return Outcome(time, "done", marker, execution)
    return Outcome(time, "nothing" if _published_since(call, who, time, markers) else "skipped", marker, execution)


def _published_since(call: Call, who: Who, time: datetime, markers: Sequence[Marker]) -> bool:
    """A start that was skipped or replaced is no loss if another run has published since."""
    if any(done >= time for mark in markers if (done := moment_of(mark.completed))):
        return True
    published = None if who.is_pipeline else call.lookup.published(who.name)
    return isinstance(published, Published) and published.at >= time


def _tell_outcomes(
    call: Call,
    who: Who,
    one: Scheduled,
    memory: DueMemory,
    outcomes: Sequence[Outcome],
    by_time: Mapping[datetime, Marker],
) -> None:
    """In the order of the due times; those that are late one after the other are told as one."""
    late: list[Outcome] = []
    for outcome in outcomes:
        if outcome.is_ in LATE:
            late.append(outcome)
        elif outcome.is_ in ("done", "failed"):
            if late:
                _tell_late(call, who, one, late, outcome.is_ == "done")
                late = []
            _settle(call, who, outcome)
    if late:
        newer = [marker for time, marker in by_time.items() if time > late[-1].time]
        is_over = any(marker.completed for marker in newer)
        if late[-1].is_ == "not-started" and not is_over:  # somebody may have run it by hand
            is_over = _published_since(call, who, late[-1].time, ())
        is_latest = not newer and due_times.is_latest(one, late[-1].time, call.now)
        _tell_late(call, who, one, late, is_over, is_latest)


def _settle(call: Call, who: Who, outcome: Outcome) -> None:
    marker, execution = outcome.marker, outcome.execution
    assert marker is not None
    if outcome.is_ == "done":
        ended = execution.ended if isinstance(execution, Execution) else None
        done = moment_of(marker.completed) or ended or call.now
        succeeded(call, who, moment_of(marker.started) or outcome.time, done)
    elif isinstance(execution, Execution):
        failed(call, who, RunKey(who.machine, marker.run_id), execution)


def _look_again(call: Call, who: Who, late: datetime, markers: Sequence[Marker]) -> None:
    """At a due time that was told as late: its end may have been missed, since events are sent at best effort."""
    marker = next((mark for mark in markers if mark.scheduled_time == scheduled(late)), None)
    outcome = _judge(call, who, late, marker, markers) if marker is not None else None
    if outcome is not None and outcome.is_ in ("done", "failed"):
        _settle(call, who, outcome)


def _tell_late(
    call: Call,
    who: Who,
    one: Scheduled,
    late: Sequence[Outcome],
    is_over: bool,
    is_latest: bool = False,
) -> None:
    """`is_over`: a later due time came about. `is_latest`: no other has come since."""
    first, last = late[0], late[-1]
    text, detail = _late_words(call, who, one, last)
    if len(late) > 1:
        detail = f"The last of them: {text.removeprefix('late: ')}. {detail}"
        text = f"late: {len(late)} starts since {call.when(first.time, who)} came to nothing"
    sentences = [detail]
    if last.is_ == "not-started":
        sentences += [_of_the_schedule(call, one), _make_up(call, who, one, last.time, is_over, is_latest)]
    if is_over:
        sentences.append("It has run since: nothing is left to be done.")
        tell_run(call, who, last.is_, f"{text} (it has run since)", sentences, None)
        return
    telling = call.worse(one.topic, last.is_, text, at=last.time, since=first.time, times=len(late), due=last.time)
    if telling is not None:
        what, history = history_of(call, who, telling, text)
        key = RunKey(who.machine, last.marker.run_id) if last.marker else None
        tell_run(call, who, last.is_, what, [*sentences, *(history if len(late) == 1 else ())], key)


def _late_words(call: Call, who: Who, one: Scheduled, last: Outcome) -> tuple[str, str]:
    due, by = call.when(last.time, who), call.when(last.time + timedelta(minutes=one.due.deadline_minutes), who)
    if last.is_ == "not-started":
        return f"late: has not started, due at {due}", f"It was to be done by {by}; nothing has begun it."
    if last.is_ == "skipped":
        replaced = isinstance(last.execution, Execution) and failures.was_replaced(last.execution)
        what = "replaced by a newer run" if replaced else "skipped"
        why = "A newer run stopped it" if replaced else "The run before it was still going on"
        return (
            f"late: its start of {due} was {what}",
            f"{why}, and nothing has been published since; it was to be done by {by}.",
        )
    run = f"run {last.marker.run_id}" if last.marker else "its run"
    begun = moment_of(last.marker.started) if last.marker else None
    since = f" began at {call.when(begun, who)} and" if begun else ""
    if isinstance(last.execution, Unknown):
        goes_on = "may still go on: AWS would not say"
    else:
        goes_on = "still goes on" if last.execution else "cannot be found any more"
    return f"late: started and not done, due at {due}", f"It was to be done by {by}; {run}{since} {goes_on}."


def _of_the_schedule(call: Call, one: Scheduled) -> str:
    schedules = call.lookup.schedules()
    if schedules is None:
        return ""
    seen = schedules.get(one.due.schedule)
    if seen is None:
        return f"Its schedule {one.due.schedule} does not exist: somebody has deleted it. `herd up` makes it again."
    if not seen.enabled:
        return f"Its schedule {one.due.schedule} is switched off, by hand: the program made it enabled."
    return ""


def _make_up(call: Call, who: Who, one: Scheduled, time: datetime, is_over: bool, is_latest: bool) -> str:
    """Starts what is to be made up for; what was done, in words."""
    if is_over:
        return ""
    if one.due.catch_up != "latest":
        more = ("--with-dependants",) if who.is_pipeline else ()
        return f"It is not made up for by itself; `{call.command('run', who.name, *more)}` starts it."
    if not is_latest:
        return "It is not made up for: a later start is due already."
    run_id = f"{time.strftime(RUN_NAME)}-catch-up-{one.name}"[:80]
    started = {"trigger": BY_SCHEDULE, "scheduled_time": scheduled(time), "params": {}}
    call.starts.append(Start(who.machine, run_id, started))
    return f"It is made up for now, by run {run_id}."
