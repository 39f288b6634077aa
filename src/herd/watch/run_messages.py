"""What is said of runs and due times."""

from __future__ import annotations

from collections.abc import Sequence

from . import failures
from .call import Call, Who
from .failures import Failure
from .known import Execution, RunKey
from .memory import Trouble
from .messages import KINDS, STILL_SWINGS, SWINGS, Account, age, counted
from .questions import Unknown
from .troubles import Telling


def tell_failure(
    call: Call,
    who: Who,
    failure: Failure,
    key: RunKey,
    execution: Execution,
    what: str,
    history: Sequence[str],
) -> None:
    at = execution.ended or call.now
    by = {"schedule": "started by its schedule", "pipeline": "started by its pipeline", "manual": "started by hand"}
    trigger = by.get(failures.trigger_of(execution), "")
    run = f"Run {key.run_id}{f', {trigger},' if trigger else ''} failed at {call.when(at, who)}"
    tries = f", after {counted(failure.attempts, 'attempt')}" if failure.attempts else ""
    tell_run(call, who, failure.kind, what, [f"{run}{tries}.", *history, KINDS[failure.kind].advice], key, failure.task)


def tell_run(
    call: Call,
    who: Who,
    kind: str,
    what: str,
    sentences: Sequence[str],
    key: RunKey | None,
    task: str | None = None,
) -> None:
    log: tuple[str, ...] = ()
    meanwhile = ""
    if not who.is_pipeline:
        meanwhile = _meanwhile(call, who)
        if key is not None:
            log = call.lookup.log(who.name, key, who.log_group, task)
    status = call.command("status")
    commands = (call.command("logs", who.name), status) if key is not None and not who.is_pipeline else (status,)
    of_jobs = f"Its jobs: {', '.join(who.jobs)}." if who.jobs else ""
    texts = tuple(text for text in (*sentences, of_jobs, meanwhile) if text)
    call.tell_of(who, kind, Account("", what, texts, log, who.readers, "", commands))


def _meanwhile(call: Call, who: Who) -> str:
    """What readers see, and how old it is."""
    published = call.lookup.published(who.name)
    if isinstance(published, Unknown):
        return ""
    if published is None:
        return "Nothing has been published yet."
    old = age(call.now - published.at)
    return f"Readers see what run {published.run_id} published at {call.when(published.at, who)}, {old} ago."


def history_of(call: Call, who: Who, telling: Telling, what: str) -> tuple[str, tuple[str, ...]]:
    """The first line's rest, and since when and how often."""
    trouble = telling.trouble
    assert trouble is not None
    if telling.why == "swings":
        return what, (SWINGS,)
    if telling.why == "again":
        return goes_on(call, who, trouble, what), ()
    if trouble.since == trouble.last:
        return what, ()
    return what, (f"It has been {'late' if trouble.due else 'failing'} since {call.when(trouble.since, who)}.",)


def goes_on(call: Call, who: Who, trouble: Trouble, what: str) -> str:
    """`fails since Tue 2 Feb 2027 06:12 UTC, 5 times: check …`."""
    often = f", {counted(trouble.times, 'time')}" if trouble.times > 1 else ""
    since = call.when(trouble.since, who)
    return f"{KINDS[trouble.kind].goes_on} since {since}{often}: {what.removeprefix('late: ')}"


def tell_still(call: Call, who: Who, telling: Telling) -> None:
    """What goes on is told again though nothing new has happened, or what swings after a day of it."""
    trouble, swings = telling.trouble, telling.swings
    if telling.why == "steady":
        _tell_well(call, who, "failed", "has been well for a day", ("It had been going back and forth before that.",))
    elif telling.why == "still-swings" and swings is not None:
        now = f"now {trouble.what}" if trouble else "now well"
        what = f"goes back and forth: {counted(swings.falls, 'failure')} and {counted(swings.rises, 'recovery')} since "
        what += f"{call.when(swings.told_at, who)}; {now}"
        tell_run(call, who, trouble.kind if trouble else "failed", what, [STILL_SWINGS], None)
    elif trouble is not None:
        last = f"The last time was at {call.when(trouble.last, who)}." if trouble.last > trouble.since else ""
        sentences = [last, KINDS[trouble.kind].advice]
        key = RunKey(who.machine, trouble.run_id) if trouble.run_id else None
        tell_run(call, who, trouble.kind, goes_on(call, who, trouble, trouble.what), sentences, key)


def tell_better(call: Call, who: Who, telling: Telling, how: str) -> None:
    trouble = telling.trouble
    assert trouble is not None
    after = f", {counted(trouble.times, 'time')}" if trouble.times > 1 else ""
    before = f"Before that, since {call.when(trouble.since, who)}{after}: {trouble.what.rstrip('.')}."
    what = f"has recovered, after {age(call.now - trouble.since)}"
    _tell_well(call, who, trouble.kind, what, (how, before))


def _tell_well(call: Call, who: Who, kind: str, what: str, sentences: tuple[str, ...]) -> None:
    call.tell_of(who, kind, Account("", what, sentences, (), who.readers, "", (call.command("status"),)))
