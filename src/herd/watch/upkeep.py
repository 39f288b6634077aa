"""What is looked at now and then: schedules and subscriptions that are no longer as they were made, review dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

from herd.runner.contract.schedule import end_of

from . import due_times
from .call import Call, Who
from .due_times import Scheduled
from .known import ScheduleSeen
from .memory import Memory, Review
from .messages import KINDS, Account, counted
from .troubles import DAY, Telling

SLOW_LOOK: Final = timedelta(hours=1)
CONFIRMED_AFTER: Final = timedelta(minutes=25)
"""A schedule that is not as it was made is looked at again before it is told: a deployment may be under way."""
REVIEW_DAYS: Final = 30
REVIEW_PAUSE: Final = timedelta(days=7)


def is_due(memory: Memory, call: Call) -> bool:
    """Is it time for the slow look?"""
    pause = CONFIRMED_AFTER if memory.suspects else SLOW_LOOK
    return memory.looked is None or call.now - memory.looked >= pause


def schedules(call: Call, seen: Mapping[str, ScheduleSeen]) -> dict[str, datetime]:
    """Tells of schedules that were deleted or switched off by hand. The suspects: name -> since when."""
    suspects: dict[str, datetime] = {}
    for one in call.scheduled:
        key = schedule_topic(one)
        if one.topic in call.due:
            call.due[one.topic] = due_times.anchored(call.due[one.topic], one, seen.get(one.due.schedule))
        if one.ends is not None and one.ends < call.now:
            continue
        who = call.who(one)
        entry = seen.get(one.due.schedule)
        if entry is not None and entry.enabled:
            telling = call.better(key)
            if telling is not None:
                _tell(
                    call,
                    who,
                    "schedule-off",
                    "its schedule is on again",
                    f"{one.due.schedule} starts it again ({one.due.text}).",
                )
            continue
        since = call.memory.suspects.get(one.due.schedule, call.now)
        suspects[one.due.schedule] = since
        if call.now - since < CONFIRMED_AFTER or call.topic(key).trouble is not None:
            continue
        kind, what, advice = _SCHEDULE_WORDS[entry is None]
        telling = call.worse(key, kind, what.format(one.due.schedule), at=since)
        if telling is not None:
            _tell(call, who, kind, what.format(one.due.schedule), advice.format(name=who.name, text=one.due.text))
    return suspects


def schedule_topic(one: Scheduled) -> str:
    return f"schedule:{one.due.schedule}"


_SCHEDULE_WORDS: Final = {
    False: (
        "schedule-off",
        "its schedule {} was switched off by hand",
        'The program made it enabled ({text}). If it is to rest, write `paused = "why, until when"` in its '
        "workload.toml; `herd up` switches it on again.",
    ),
    True: (
        "schedule-gone",
        "its schedule {} was deleted by hand",
        "The program made it ({text}). `herd up` makes it again.",
    ),
}


def subscriptions(call: Call, seen: Mapping[str, bool]) -> tuple[str, ...]:
    """Tells the others when one who had confirmed gets no mail any more. The addresses that have confirmed."""
    addresses = call.addresses
    for address in call.memory.confirmed:
        if address not in addresses:
            continue
        key = f"subscription:{address}"
        if address in seen:
            call.better(key)
            continue
        if call.topic(key).trouble is not None:
            continue
        what = f"{address} gets no mail any more: its subscription is gone"
        telling = call.worse(key, "subscription-gone", what, at=call.now)
        if telling is not None:
            tell_subscription(call, address, what)
    confirmed = {address for address, is_confirmed in seen.items() if is_confirmed} | set(call.memory.confirmed)
    return tuple(sorted(confirmed & set(addresses)))


def tell_subscription_still(call: Call, who: Who, telling: Telling) -> None:
    """An address that stays without mail."""
    trouble = telling.trouble
    if trouble is not None and telling.why == "again":
        address = trouble.what.partition(" ")[0]
        tell_subscription(call, address, f"{trouble.what}, since {call.when(trouble.since, who)}")


def tell_subscription(call: Call, address: str, what: str) -> None:
    """To who wants failures of everything, else to every other owner: the address itself can no longer be reached."""
    wanting, everybody = call.audience((), "failures"), call.addresses
    others = [one for one in wanting if one != address] or [one for one in everybody if one != address]
    hint = (
        "Anybody who is sent one of its mails can unsubscribe it with the link below the text. `herd up` subscribes it "
        "again, and the address then has to confirm."
    )
    account = Account("notifications", what, (hint,), commands=(call.command("alarms"),))
    call.tell("subscription-gone", account, tuple(others))


def reviews(call: Call) -> dict[str, Review]:
    """Mails the owner weekly from 30 days before `review_by`, and once when it has passed."""
    reviews: dict[str, Review] = {}
    for workload in call.plan.workloads:
        try:
            end = end_of(date.fromisoformat(workload.review_by), workload.timezone)
        except ValueError:
            continue
        last = call.memory.reviews.get(workload.name)
        if last is not None and last.review_by != workload.review_by:
            last = None
        left = end - call.now
        if left > timedelta(days=REVIEW_DAYS):
            continue
        passed = left <= timedelta(0)
        again = last is None or (last.told_at <= end if passed else call.now - last.told_at >= REVIEW_PAUSE)
        if not again:
            assert last is not None
            reviews[workload.name] = last
            continue
        reviews[workload.name] = Review(workload.review_by, call.now)
        who = call.workloads[workload.name]
        if passed:
            what = f"its review date {workload.review_by} has passed"
            effect = "Its schedule has ended: it does not run any more." if workload.machine else "It goes on running."
        else:
            what = f"is to be reviewed by {workload.review_by}, in {counted(-(-left // DAY), 'day')}"
            effect = "After that day its schedule ends." if workload.machine else "After that day it counts as expired."
        how = "Look whether it is still needed and right; then set review_by in its workload.toml to a later day."
        _tell(call, who, "review", what, effect, how)
    return reviews


def tell_still(call: Call, who: Who, telling: Telling) -> None:
    """A schedule that stays switched off."""
    trouble = telling.trouble
    if trouble is not None and telling.why == "again":
        since = f"{KINDS[trouble.kind].goes_on} since {call.when(trouble.since, who)}"
        _tell(call, who, trouble.kind, f"{since}: {trouble.what}")


def _tell(call: Call, who: Who, kind: str, what: str, *sentences: str) -> None:
    call.tell_of(who, kind, Account("", what, sentences, (), who.readers, "", (call.command("status"),)))
