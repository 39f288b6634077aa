"""What goes on, and when it is told: at once when it begins and ends, once a day in between, less when it swings.

A topic is in trouble or not. `worse`, `better` and `still` say what its new state is, and what is to be told of it, if
anything. No texts here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from .memory import Swings, Topic, Trouble

DAY: Final = timedelta(days=1)
NEARLY_A_DAY: Final = timedelta(hours=20)
"""A daily run does not end at the same minute each day."""
WEEK: Final = timedelta(days=7)
MOST_FALLS: Final = 3
"""The third time within a day that a topic gets into trouble, it swings."""

Why = Literal["first", "again", "swings", "still-swings", "recovered", "steady"]
"""first: it begins. again: it goes on. swings: it begins, and did so before today. still-swings: what a day of swinging
was like. recovered: it is over. steady: it was told as swinging, and has been well for a day."""


@dataclass(frozen=True)
class Telling:
    """What is to be told: why, of which trouble (the one that is over, for `recovered`), and how it swung."""

    why: Why
    trouble: Trouble | None
    swings: Swings | None = None


def worse(
    topic: Topic,
    now: datetime,
    kind: str,
    what: str,
    *,
    at: datetime,
    since: datetime | None = None,
    times: int = 1,
    run_id: str | None = None,
    run_started: datetime | None = None,
    due: datetime | None = None,
) -> tuple[Topic, Telling | None]:
    """It happened (again) at `at`, for the first of so many times at `since`.

    `kind` is that of the message; a failure tells more than that something is late.
    """
    old = topic.trouble
    if old is None:
        falls = (*(fall for fall in topic.falls if now - fall < DAY), now)[-MOST_FALLS:]
        new = Trouble(kind, what, since or at, at, times, 0, now, run_id, run_started, due)
        if topic.swings is not None:
            swings = replace(topic.swings, falls=topic.swings.falls + times)
            return replace(topic, trouble=replace(new, told_at=None), falls=falls, swings=swings), None
        if len(falls) == MOST_FALLS:
            return replace(topic, trouble=new, falls=falls, swings=Swings(now)), Telling("swings", new)
        return replace(topic, trouble=new, falls=falls), Telling("first", new)
    is_same = due is not None and due == old.due and old.kind in LATE and kind not in LATE  # now with its reason
    new = replace(
        old,
        kind=kind,
        what=what,
        last=max(old.last, at),
        times=old.times + (0 if is_same else times),
        news=old.news + 1,
        run_id=run_id,
        run_started=run_started or old.run_started,
        due=due or old.due,
    )
    if topic.swings is not None:
        return replace(topic, trouble=new, swings=replace(topic.swings, falls=topic.swings.falls + times)), None
    explains = old.kind in LATE and kind not in LATE and old.run_started is None
    rare = new.news == 1 and old.told_at is not None and now - old.told_at >= NEARLY_A_DAY
    if explains or rare:
        new = replace(new, told_at=now, news=0)
        return replace(topic, trouble=new), Telling("first" if explains else "again", new)
    return replace(topic, trouble=new), None


LATE: Final = frozenset({"not-started", "not-done", "skipped"})
"""Kinds of being late."""


def better(topic: Topic) -> tuple[Topic, Telling | None]:
    """It is well. Recovery is told only of what was told."""
    trouble = topic.trouble
    if trouble is None:
        return topic, None
    well = replace(topic, trouble=None)
    if topic.swings is not None:
        return replace(well, swings=replace(topic.swings, rises=topic.swings.rises + 1)), None
    return well, Telling("recovered", trouble) if trouble.told_at is not None else None


def still(topic: Topic, now: datetime, continuous: bool) -> tuple[Topic, Telling | None]:
    """Time has passed. `continuous`: the trouble is a state that lasts, which is told again without anything new."""
    trouble, swings = topic.trouble, topic.swings
    if swings is not None:
        if now - swings.told_at < DAY:
            return topic, None
        if trouble is not None and not swings.rises:  # it has stayed in trouble for a day
            repeated = replace(trouble, told_at=now, news=0)
            return replace(topic, trouble=repeated, swings=None, falls=()), Telling("again", repeated)
        if trouble is None and not swings.falls:
            return replace(topic, swings=None, falls=()), Telling("steady", None, swings)
        return replace(topic, swings=Swings(now)), Telling("still-swings", trouble, swings)
    if trouble is None or trouble.told_at is None:
        return topic, None
    if now - trouble.told_at >= (DAY if trouble.news or continuous else WEEK):
        repeated = replace(trouble, told_at=now, news=0)
        return replace(topic, trouble=repeated), Telling("again", repeated)
    return topic, None
