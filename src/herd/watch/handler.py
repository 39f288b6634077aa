"""The function of the watch: between Lambda's calls and the decision, which knows neither a clock nor AWS.

    remembered, answers to what is asked, now  ->  decide  ->  kept, told, started, and kept as done

What is decided is kept before it is told (`outbox`), under the condition that nobody has written meanwhile: of two
calls at once one decides again, knowing what the other has decided.
"""

from __future__ import annotations

import logging
import os
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from herd.runner.contract import watching
from herd.runner.contract.plan import FILE, Plan

from . import events, memory, outbox
from .aws import Aws, Raced
from .decision import decide, questions
from .events import Event
from .known import Known
from .outbox import Carried, Kept
from .questions import ROUNDS

log = logging.getLogger(__name__)

REPORT: Final = (events.DRILL_SOURCE, watching.REPORT_TYPE)
"""What `herd alarms` asks: the answer is what the function knows and remembers."""

RACES: Final = 5
"""How often a call that was overtaken decides again."""


class Refused(Exception):
    """AWS has refused what the watch asked. What it knows without that is told already."""


def handle(raw: Any, context: Any) -> dict[str, Any]:
    """Lambda's entry: an event of EventBridge, or of `herd alarms test`. The answer is for the latter.

    Raises what AWS refuses: Lambda then counts an error, which is an alarm of its own, and tries again.
    """
    logging.getLogger().setLevel(logging.INFO)
    aws = _aws()
    if isinstance(raw, Mapping) and (raw.get("source"), raw.get("detail-type")) == REPORT:
        return {"plan": aws.plan.to_json(), "kept": (aws.memory().body or b"").decode("utf-8", "replace")}
    event = events.parse(aws.plan, raw)
    if event is None:
        log.info("not of this environment: %s", _about(raw))
        return {"ignored": True}
    return run(aws, event, datetime.now(UTC))


def run(aws: Aws, event: Event, now: datetime) -> dict[str, Any]:
    """One call at `now`."""
    for _ in range(RACES):
        try:
            return _once(aws, event, now)
        except Raced:
            log.info("another call has written the memory meanwhile: deciding again")
    raise RuntimeError(f"the memory was written by others {RACES} times in a row")


def _once(aws: Aws, event: Event, now: datetime) -> dict[str, Any]:
    carried = Carried()
    stored = aws.memory()
    kept = outbox.read(stored.body)
    if not kept.is_settled:
        log.info("an earlier call has decided what it did not tell: telling it now")
        _carry_out(aws, kept, carried)
        kept = kept.settled(aws.plan, now)
        stored = aws.remember(kept.to_json(), stored)
    remembered = memory.read(kept.memory)
    refused: list[str] = []
    known = _looked_up(aws, remembered, event, now, refused)
    decision = decide(aws.plan, remembered, now, event, known, _flag())
    decided = Kept(decision.memory.to_json(), decision.messages, decision.starts, kept.last)
    stored = aws.remember(decided.to_json(), stored)
    if not decided.is_settled:
        _carry_out(aws, decided, carried)
        aws.remember(decided.settled(aws.plan, now).to_json(), stored)
    if refused:
        raise Refused("; ".join(dict.fromkeys(refused)))
    return {"messages": carried.messages, "starts": carried.starts}


def _looked_up(aws: Aws, remembered: memory.Memory, event: Event, now: datetime, refused: list[str]) -> Known:
    known, before = Known(), None
    for _ in range(ROUNDS):
        wanted = questions(aws.plan, remembered, now, event, known)
        if not wanted or wanted == before:
            break
        known, before = known.with_(aws.answers(wanted, refused)), wanted
    return known


def _carry_out(aws: Aws, kept: Kept, carried: Carried) -> None:
    for message in kept.messages:
        message_id = aws.tell(message)
        log.info("told %s: %s (%s)", ", ".join(message.to), message.subject, message_id)
        carried.messages.append(
            {"id": message_id, "to": list(message.to), "subject": message.subject, "kind": message.kind}
        )
    for start in kept.starts:
        aws.start(start)
        log.info("started %s as %s", start.machine, start.run_id)
        carried.starts.append(start.run_id)


def _flag() -> str:
    """How the command line names this environment: one that has an endpoint of its own is not a stack on AWS."""
    return "-e" if "AWS_ENDPOINT_URL" in os.environ else "--stack"


@cache
def _aws() -> Aws:
    """Of this function. Its time zones are those of its archive, whatever the machine has."""
    import boto3

    zoneinfo.reset_tzpath(to=())
    plan = Plan.from_json(Path(os.environ["LAMBDA_TASK_ROOT"], FILE).read_text(encoding="utf-8"))
    return Aws(plan, os.environ[watching.DATA_BUCKET], os.environ[watching.TOPIC], boto3.client)


def _about(raw: Any) -> str:
    return f"{raw.get('source')}, {raw.get('detail-type')}" if isinstance(raw, Mapping) else type(raw).__name__
