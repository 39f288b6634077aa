"""What a call of the watch comes to: (what is known, now) -> messages, starts, new memory. Pure.

`questions` is the same computation with the answers that there are so far: what it lacked is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from herd.runner.contract.keys import WATCH_MEMORY
from herd.runner.contract.plan import Plan

from . import deadlines, due_times, run_messages, runs, services, upkeep
from .call import Call, Start, Who
from .events import AlarmChanged, DeploymentChanged, Drill, Event, RunEnded, Tick
from .known import Known
from .memory import MOST_HELD, Held, Memory, Topic, cut
from .messages import Account, Message, digest
from .questions import Lookup, Questions
from .troubles import LATE, Telling

MOST_AT_ONCE: Final = 10
WINDOW: Final = timedelta(minutes=10)
"""More than MOST_AT_ONCE messages within it are told as one."""


@dataclass(frozen=True)
class Decision:
    """What the shell is to do: publish `messages`, start `starts`, keep `memory`.

    Messages first, then memory: of a call that broke off in between some come twice, but none is lost. A start whose
    execution exists already was made by such a call, and is no error.
    """

    messages: tuple[Message, ...]
    starts: tuple[Start, ...]
    memory: Memory


def questions(plan: Plan, memory: Memory, now: datetime, event: Event, known: Known | None = None) -> Questions:
    """What has to be looked up beside `known`; ask again with the answers, up to `questions.ROUNDS` times."""
    lookup = Lookup(known or Known())
    _decide(Call(plan, _ordered(memory, now), now, lookup), event)
    return lookup.questions()


def decide(plan: Plan, memory: Memory, now: datetime, event: Event, known: Known, flag: str = "--stack") -> Decision:
    """Never raises for what is in `memory`, `event` or `known`.

    What AWS refused to say does not silence the rest: it is told without, or left for the next call where it cannot be
    judged. `flag`: how the command line names this environment, in the commands of messages.
    """
    return _decide(Call(plan, _ordered(memory, now), now, Lookup(known, is_final=True), flag), event)


def _ordered(memory: Memory, now: datetime) -> Memory:
    return memory.not_after(now) if memory.at is not None and now < memory.at else memory


def _decide(call: Call, event: Event) -> Decision:
    memory, now = call.memory, call.now
    call.forget([key for key in memory.topics if _of(call, key) is None])
    if memory.lost is not None:
        _tell_lost(call, memory)
    memory = replace(memory, due={}, at=now, lost=None)
    match event:
        case RunEnded():
            runs.ended(call, event)
        case DeploymentChanged():
            services.deployment(call, event)
        case AlarmChanged():
            services.alarm(call, event)
        case Drill():
            _drill(call, event)
        case Tick():
            memory = _tick(call, memory)
    for one in call.scheduled:
        call.due.setdefault(one.topic, due_times.begin(call.memory.due.get(one.topic), one, now))
    topics = {key: _kept(call, key) for key in sorted(call.topics)}
    messages, memory = _post(call, memory, isinstance(event, Tick))
    return Decision(messages, tuple(call.starts), replace(memory, due=call.due, topics=topics))


def _kept(call: Call, key: str) -> Topic:
    topic = call.topic(key)
    if topic.trouble is None:
        return topic
    return replace(topic, trouble=replace(topic.trouble, what=cut(topic.trouble.what)))


def _tick(call: Call, memory: Memory) -> Memory:
    is_slow = upkeep.is_due(memory, call)
    _forgive(call)
    for one in call.scheduled:
        deadlines.look(call, one, is_slow)
    if is_slow:
        schedules, subscriptions = call.lookup.schedules(), call.lookup.subscriptions()
        if schedules is not None and subscriptions is not None:
            suspects = upkeep.schedules(call, schedules)
            confirmed = upkeep.subscriptions(call, subscriptions)
            memory = replace(memory, suspects=suspects, confirmed=confirmed, looked=call.now)
        memory = replace(memory, reviews=upkeep.reviews(call))
    for key in sorted(call.topics):
        of, telling = _of(call, key), call.still(key)
        if of is not None and telling is not None:
            who, tell = of
            tell(call, who, telling)
    return memory


def _forgive(call: Call) -> None:
    """What is paused, has expired or has no schedule any more is not late, and is not told again."""
    awaited = {one.topic for one in call.scheduled}
    resting = {due_times.topic_of(one.name) for one in call.plan.workloads if one.paused is not None or one.expired}
    for key, topic in call.topics.items():
        if topic.trouble is not None and (key in resting or (topic.trouble.kind in LATE and key not in awaited)):
            call.put(key, replace(topic, trouble=None, swings=None))


Tell = Callable[[Call, Who, Telling], None]


def _of(call: Call, key: str) -> tuple[Who, Tell] | None:
    """Whom a topic is about and what tells that it goes on; None for one that the plan does not have any more."""
    what, _, name = key.partition(":")
    if what == "subscription":
        return (_NOBODY, upkeep.tell_subscription_still) if name in call.addresses else None
    who: Who | None
    if what == "schedule":
        who = next((call.who(one) for one in call.scheduled if one.due.schedule == name), None)
    elif what == "pipeline":
        who = call.pipelines.get(name)
    else:
        who = call.workloads.get(name.partition(":")[0])
    return (who, _TELLERS[what]) if who is not None and what in _TELLERS else None


_TELLERS: Final[Mapping[str, Tell]] = {
    "run": run_messages.tell_still,
    "warning": run_messages.tell_still,
    "pipeline": run_messages.tell_still,
    "deployment": services.tell_still,
    "alarm": services.tell_still,
    "schedule": upkeep.tell_still,
}


_NOBODY: Final = Who("", "", "notifications", "", (), "UTC")


def _tell_lost(call: Call, memory: Memory) -> None:
    """Once, to who wants failures of everything, else to every owner."""
    why = {
        "newer": "a newer release of Herd wrote it, and an older one runs now",
        "broken": "it could not be read",
    }[memory.lost or "broken"]
    account = Account(
        "watch",
        "has lost its memory and begins again",
        (
            f"What it remembered, at {WATCH_MEMORY} of the data bucket, is of no use: {why}.",
            "It knows no more of what had been told: what goes on is told as new. Due times count from now on.",
        ),
        commands=(call.command("status"),),
    )
    call.tell("watch", account, call.audience((), "failures") or tuple(call.addresses))


def _drill(call: Call, event: Drill) -> None:
    """A message as it would be, to the same people, marked as a drill."""
    who = call.workloads[event.workload]
    key = f"drill {event.drill}"
    if call.is_new(who.topic, key):
        text = "Somebody tries with `herd alarms test` whether messages of it arrive. This one did; nothing is wrong."
        account = Account(f"DRILL: {who.label}", "nothing has happened", (text, f"Drill {event.drill}."))
        call.tell_of(who, "drill", account)


def _post(call: Call, memory: Memory, is_tick: bool) -> tuple[tuple[Message, ...], Memory]:
    """What is sent now. Once it becomes too much it is held, and sent as one with the next tick."""
    drills = [message for message in call.messages if message.kind == "drill"]
    new = [message for message in call.messages if message.kind != "drill"]
    recent = tuple(at for at in memory.sent if call.now - at < WINDOW)
    room = max(0, MOST_AT_ONCE - len(recent))
    held = memory.held + tuple(
        Held(message.to, cut(message.body.partition("\n")[0]), message.workload)
        for message in (new if is_tick and (memory.held or len(new) > room) else [] if is_tick else new[room:])
    )
    if is_tick:
        sent = list(_digests(call, held, memory.left_out)) if held else new
        held, left_out = (), 0
    else:
        sent = new[:room]
        left_out = memory.left_out + max(0, len(held) - MOST_HELD)
        held = held[:MOST_HELD]
    recent = (*recent, *[call.now] * len(sent))[-2 * MOST_AT_ONCE :]
    return (*sent, *drills), replace(memory, sent=recent, held=held, left_out=left_out)


def _digests(call: Call, held: Sequence[Held], left_out: int) -> Iterator[Message]:
    """Each address gets its own lines in one message; those with the same lines share it."""
    lines: dict[str, list[str]] = {}
    for one in held:
        for address in one.to:
            lines.setdefault(address, []).append(one.line)
    groups: dict[tuple[str, ...], list[str]] = {}
    for address, its in lines.items():
        groups.setdefault(tuple(its), []).append(address)
    for same, to in groups.items():
        subject, body = digest(call.plan, same, left_out, call.command("status"))
        yield Message(tuple(to), subject, body, "digest")
