"""What the watch remembers from call to call: one JSON object at `keys.WATCH_MEMORY`.

It is bounded: what grows is cut here, and what the plan no longer has is dropped (`decision`). It is read strictly; one
that is broken, or that a newer release wrote, is replaced by an empty one that says so once. An empty memory accuses
nobody: due times count from the moment an expression is first seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, cast, get_args, get_origin, get_type_hints

MEMORY_SCHEMA: Final = 1

MOST_SEEN: Final = 20
"""Runs, and other things that are told once, remembered of each topic."""
MOST_HELD: Final = 200
"""Lines that wait for the next digest."""
LONGEST_TEXT: Final = 300
"""Characters of what is kept of a message."""

Lost = Literal["broken", "newer"]


@dataclass(frozen=True)
class DueMemory:
    """Of what has a schedule: which due times have been judged.

    `settled`: all up to this one. `anchor`: a due time of a rate from which the others are counted, once known.
    """

    expression: str
    since: datetime
    settled: datetime
    anchor: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """What is wrong and goes on. `what` is the first line of its last message, `news` how often it happened since.

    `run_id`, `run_started`: of the last run that failed. `due`: the last due time that was missed. `told_at` is None
    while it is kept back because the topic goes back and forth.
    """

    kind: str
    what: str
    since: datetime
    last: datetime
    times: int = 1
    news: int = 0
    told_at: datetime | None = None
    run_id: str | None = None
    run_started: datetime | None = None
    due: datetime | None = None


@dataclass(frozen=True)
class Swings:
    """Of a topic that goes back and forth: what happened since the last message."""

    told_at: datetime
    falls: int = 0
    rises: int = 0


@dataclass(frozen=True)
class Topic:
    """One thing that can be well or not: a job's runs, a service's copies, a schedule.

    `falls`: when it last began to be in trouble. `good`: start of the newest run that succeeded. `seen`: what has been
    handled and may come again.
    """

    trouble: Trouble | None = None
    falls: tuple[datetime, ...] = ()
    swings: Swings | None = None
    good: datetime | None = None
    seen: tuple[str, ...] = ()

    def with_seen(self, *ids: str) -> Topic:
        return replace(self, seen=(*(one for one in self.seen if one not in ids), *ids)[-MOST_SEEN:])


@dataclass(frozen=True)
class Review:
    """The last mail about a review date."""

    review_by: str
    told_at: datetime


@dataclass(frozen=True)
class Held:
    """A message that waits for the next digest."""

    to: tuple[str, ...]
    line: str
    workload: str


@dataclass(frozen=True)
class Memory:
    """`at`: the time of the last call. `looked`: of the last slow look. `sent`: of the last messages.

    `suspects`: schedules that were not as the program made them, since when. `confirmed`: addresses that had confirmed.
    """

    at: datetime | None = None
    due: Mapping[str, DueMemory] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)
    reviews: Mapping[str, Review] = field(default_factory=dict)
    suspects: Mapping[str, datetime] = field(default_factory=dict)
    confirmed: tuple[str, ...] = ()
    looked: datetime | None = None
    sent: tuple[datetime, ...] = ()
    held: tuple[Held, ...] = ()
    left_out: int = 0
    """Lines that found no room in `held`."""
    lost: Lost | None = None
    """Set when the memory before this one could not be read."""

    def to_json(self) -> str:
        return json.dumps({"schema": MEMORY_SCHEMA, **_plain(self)}, ensure_ascii=False, separators=(",", ":"))

    def not_after(self, now: datetime) -> Memory:
        """With no time after `now`: a clock that was ahead must not silence the watch until it has caught up."""
        return _clamped(self, now)  # type: ignore[no-any-return]


def read(text: str | bytes | None) -> Memory:
    """The memory that is kept, an empty one if there is none, or one that says that it was lost. Never raises."""
    if text is None:
        return Memory()
    try:
        data = json.loads(text)
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, int) and schema > MEMORY_SCHEMA:
            return Memory(lost="newer")
        if schema != MEMORY_SCHEMA or isinstance(schema, bool):
            return Memory(lost="broken")
        del data["schema"]
        return _read(Memory, data)  # type: ignore[no-any-return]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return Memory(lost="broken")


def cut(text: str) -> str:
    """What is kept of a text: one line, not longer than LONGEST_TEXT."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if is_dataclass(value):
        named = ((of, getattr(value, of.name)) for of in fields(value))
        return {of.name: _plain(item) for of, item in named if item != _default(of)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _default(of: Field[Any]) -> Any:
    """What a field is where it is left out; MISSING for one that never is."""
    return of.default_factory() if of.default_factory is not MISSING else of.default


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, value: Any) -> Any:
    """`value`, from JSON, as `kind`. Raises ValueError or TypeError where it is not."""
    if is_dataclass(kind):
        hints = _hints(cast(type, kind))
        if not isinstance(value, dict) or set(value) - set(hints):
            raise ValueError(f"not a {kind}")
        return kind(**{name: _read(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        return moment
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType or (origin is not None and type(None) in arguments):
        return None if value is None else _read(next(one for one in arguments if one is not type(None)), value)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError("not a list")
        return tuple(_read(arguments[0], item) for item in value)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"not one of {arguments}")
        return value
    if origin is not None:  # a Mapping
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return {key: _read(arguments[1], item) for key, item in value.items()}
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"not a {kind}")
    return value


def _clamped(value: Any, now: datetime) -> Any:
    if isinstance(value, datetime):
        return min(value, now)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _clamped(getattr(value, field.name), now) for field in fields(value)})
    if isinstance(value, Mapping):
        return {key: _clamped(item, now) for key, item in value.items()}
    return tuple(_clamped(item, now) for item in value) if isinstance(value, tuple) else value
