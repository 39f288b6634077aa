"""Services: deployments that failed or were rolled back, copies that are missing, answers that are errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .call import Call, Who
from .events import DEPLOYMENT_BEGUN, DEPLOYMENT_COMPLETED, DEPLOYMENT_FAILED, AlarmChanged, DeploymentChanged
from .messages import KINDS, SWINGS, Account, counted
from .troubles import Telling

ROLLS_BACK: Final = "rolling back"
"""In the reason of the deployment that a circuit breaker begins ("service deployment state change events", ECS)."""


def deployment(call: Call, event: DeploymentChanged) -> None:
    """A deployment that fails is told at once; that the earlier version serves again, once it does."""
    who = call.workloads[event.workload]
    key = f"deployment:{who.name}"
    if not call.is_new(key, f"{event.deployment_id} {event.event}"):
        return
    topic = call.topic(key)
    if event.event == DEPLOYMENT_FAILED:
        what = f"its deployment failed: {event.reason or 'ECS gave no reason'}"
        telling = call.worse(key, "deployment-failed", what, at=event.at)
        if telling is not None:
            when = f"Deployment {event.deployment_id} failed at {call.when(event.at, who)}."
            _tell(call, who, "deployment-failed", what, when, _advice(call, who))
    elif event.event == DEPLOYMENT_BEGUN and ROLLS_BACK in event.reason and topic.trouble is not None:
        call.put(key, replace(topic, trouble=replace(topic.trouble, kind="rolling-back")))
    elif event.event == DEPLOYMENT_COMPLETED and topic.trouble is not None:
        rolled_back = topic.trouble.kind == "rolling-back"
        telling = call.better(key)
        if telling is not None and rolled_back:
            when = f"It serves again since {call.when(event.at, who)}; what was to replace it is not out."
            _tell(call, who, "deployment-failed", "rolled back to the version before", when, _before(telling))
        elif telling is not None:
            when = f"A deployment was completed at {call.when(event.at, who)}."
            _tell(call, who, "deployment-failed", "is deployed again", when, _before(telling))


def alarm(call: Call, event: AlarmChanged) -> None:
    """CloudWatch says how a service is. What is older than what it said before, it says no more."""
    who = call.workloads[event.workload]
    key = f"alarm:{who.name}:{event.alarm}"
    topic = call.topic(key)
    if topic.good is not None and event.at <= topic.good:
        return
    call.put(key, replace(topic, good=event.at))
    if event.state == "ALARM" and topic.trouble is None:
        what = _WHAT[event.alarm].format(copies=_copies(call, who))
        telling = call.worse(key, event.alarm, what, at=event.at)
        if telling is not None:
            more = (SWINGS,) if telling.why == "swings" else ()
            _tell(call, who, event.alarm, what, f"Since {call.when(event.at, who)}: {event.reason}", *more)
    elif event.state == "OK":
        telling = call.better(key)
        if telling is not None:
            _tell(call, who, event.alarm, _WELL[event.alarm], f"Since {call.when(event.at, who)}.", _before(telling))


_WHAT: Final = {
    "copies": "has fewer healthy copies than {copies}",
    "errors": "answers with errors (5xx)",
}
_WELL: Final = {"copies": "has its healthy copies again", "errors": "answers without errors again"}


def _copies(call: Call, who: Who) -> str:
    least = next((one.min_replicas for one in call.plan.workloads if one.name == who.name), None)
    return f"replicas.min = {least}" if least is not None else "replicas.min"


def _advice(call: Call, who: Who) -> str:
    return f"`{call.command('logs', who.name)}` shows what its new copies printed."


def _before(telling: Telling) -> str:
    trouble = telling.trouble
    assert trouble is not None
    often = f" ({counted(trouble.times, 'time')})" if trouble.times > 1 else ""
    return f"Before that{often}: {trouble.what.rstrip('.')}."


def tell_still(call: Call, who: Who, telling: Telling) -> None:
    """What goes on for another day, or went back and forth for one."""
    trouble, swings = telling.trouble, telling.swings
    if telling.why == "steady":
        _tell(call, who, "copies", "has been well for a day", "It had been going back and forth before that.")
    elif telling.why == "still-swings" and swings is not None:
        now = f"now: {trouble.what}" if trouble else "now well"
        times = f"{counted(swings.falls, 'time')} since {call.when(swings.told_at, who)}"
        _tell(call, who, trouble.kind if trouble else "copies", f"goes back and forth, {times}; {now}")
    elif trouble is not None:
        since = f"{KINDS[trouble.kind].goes_on} since {call.when(trouble.since, who)}"
        _tell(call, who, trouble.kind, f"{since}: {trouble.what}")


def _tell(call: Call, who: Who, kind: str, what: str, *sentences: str) -> None:
    commands = (call.command("status"), call.command("logs", who.name))
    call.tell_of(who, kind, Account("", what, sentences, (), who.readers, "", commands))
