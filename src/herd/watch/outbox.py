"""What the watch keeps between two calls: its memory, and what it has decided to tell and not told yet.

Both are one object, so that they change together: a call that dies after its decision has lost nothing, since the next
one tells it. What it had told before it died is told again then; that window is the only one in which anything is told
twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from herd.runner.contract.plan import Plan

from .call import Start
from .messages import Message

SCHEMA: Final = 1


@dataclass(frozen=True)
class Last:
    """A message that was told: when, ISO 8601, and its subject."""

    at: str
    subject: str


@dataclass(frozen=True)
class Kept:
    """`memory` is a text that `memory.read` understands; None before the first call.

    `messages` and `starts`: decided, and not carried out as far as is known. `last`: the last message about each
    workload that had one, "" for those about the environment.
    """

    memory: str | None = None
    messages: tuple[Message, ...] = ()
    starts: tuple[Start, ...] = ()
    last: Mapping[str, Last] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        return not self.messages and not self.starts

    def settled(self, plan: Plan, now: datetime) -> Kept:
        """All of it is carried out. What the plan has no more is dropped from `last`."""
        at = now.astimezone(UTC).isoformat(timespec="seconds")
        sent = {message.workload: Last(at, message.subject) for message in self.messages}
        names = {"", *(workload.name for workload in plan.workloads), *(pipeline.name for pipeline in plan.pipelines)}
        last = {name: one for name, one in {**self.last, **sent}.items() if name in names}
        return replace(self, messages=(), starts=(), last=last)

    def to_json(self) -> bytes:
        outbox = {"messages": [asdict(one) for one in self.messages], "starts": [asdict(one) for one in self.starts]}
        last = {name: asdict(one) for name, one in self.last.items()}
        kept = {"schema": SCHEMA, "memory": self.memory, **outbox, "last": last}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def read(text: bytes | None) -> Kept:
    """What was kept; for what is not of this release's shape a memory that says that it was lost. Never raises."""
    if text is None:
        return Kept()
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise ValueError("of another release")
        return Kept(
            memory=_text_or_none(data["memory"]),
            messages=tuple(Message(**{**one, "to": tuple(one["to"])}) for one in data["messages"]),
            starts=tuple(Start(**one) for one in data["starts"]),
            last={str(name): Last(**one) for name, one in data["last"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # As it is: `memory.read` finds it broken, or of a newer release, and the watch says so once.
        return Kept(memory=text.decode("utf-8", "replace"))


def _text_or_none(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("not a text")
    return value


@dataclass
class Carried:
    """What became of a call, as its answer: how many messages and starts, and the ids of SNS by kind and recipients."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
