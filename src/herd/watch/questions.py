"""What has to be looked up for a call, so that a call costs little.

`decision` is asked twice or more: it takes what it needs from a `Lookup`, and what the lookup does not hold yet is
noted as a question. So nothing is asked that is not used, and what is used was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from herd.runner.contract.due import Marker, scheduled
from herd.runner.contract.keys import due_key

from .known import Execution, Known, Published, RunKey, ScheduleSeen

ROUNDS: Final = 6
"""How often a shell asks at most: what it could not answer is then left for the next call."""
LOG_LINES: Final = 20
"""Lines of a log that are asked for."""


@dataclass(frozen=True)
class MarkersWanted:
    """All markers of a workload or pipeline with a due time after `after`."""

    name: str
    after: datetime

    @property
    def start_after(self) -> str:
        """For ListObjectsV2: keys sort by time."""
        return due_key(self.name, scheduled(self.after))


@dataclass(frozen=True)
class RecordWanted:
    """The record of a run at `keys.record_key(workload, run_id)`."""

    workload: str
    key: RunKey


@dataclass(frozen=True)
class LogWanted:
    """The last LOG_LINES lines of a run. `task`: ARN of its last task, where it is known; else what ended last."""

    workload: str
    key: RunKey
    log_group: str
    task: str | None


@dataclass(frozen=True)
class Questions:
    """False when there is nothing to ask. `slow_look`: the schedules of the group and the topic's subscriptions."""

    markers: tuple[MarkersWanted, ...] = ()
    executions: tuple[RunKey, ...] = ()
    records: tuple[RecordWanted, ...] = ()
    logs: tuple[LogWanted, ...] = ()
    published: tuple[str, ...] = ()
    slow_look: bool = False

    def __bool__(self) -> bool:
        return bool(self.markers or self.executions or self.records or self.logs or self.published or self.slow_look)


class Unknown:
    """Not looked up yet."""


UNKNOWN: Final = Unknown()


@dataclass
class Lookup:
    """What is known, and what was asked in vain. `is_final`: nothing more will be answered."""

    known: Known
    is_final: bool = False
    _markers: dict[str, MarkersWanted] = field(default_factory=dict)
    _executions: dict[RunKey, None] = field(default_factory=dict)
    _records: dict[RunKey, RecordWanted] = field(default_factory=dict)
    _logs: dict[RunKey, LogWanted] = field(default_factory=dict)
    _published: dict[str, None] = field(default_factory=dict)
    _slow_look: bool = False

    def questions(self) -> Questions:
        return Questions(
            tuple(self._markers.values()),
            tuple(self._executions),
            tuple(self._records.values()),
            tuple(self._logs.values()),
            tuple(self._published),
            self._slow_look,
        )

    def markers(self, name: str, after: datetime) -> tuple[Marker, ...] | None:
        """None if not known yet; the earliest `after` that was asked for counts."""
        if name in self.known.markers:
            return self.known.markers[name]
        if name not in self._markers or after < self._markers[name].after:
            self._markers[name] = MarkersWanted(name, after)
        return None

    def execution(self, key: RunKey) -> Execution | None | Unknown:
        if key in self.known.executions:
            return self.known.executions[key]
        self._executions[key] = None
        return UNKNOWN

    def record(self, workload: str, key: RunKey) -> Mapping[str, Any]:
        """Empty if there is none, or it is not known yet."""
        if key in self.known.records:
            return self.known.records[key] or {}
        self._records[key] = RecordWanted(workload, key)
        return {}

    def log(self, workload: str, key: RunKey, log_group: str, task: str | None) -> tuple[str, ...]:
        if key in self.known.logs:
            return self.known.logs[key]
        self._logs[key] = LogWanted(workload, key, log_group, task)
        return ()

    def published(self, workload: str) -> Published | None | Unknown:
        if workload in self.known.published:
            return self.known.published[workload]
        self._published[workload] = None
        return UNKNOWN

    def schedules(self) -> Mapping[str, ScheduleSeen] | None:
        self._slow_look = self._slow_look or self.known.schedules is None
        return self.known.schedules

    def subscriptions(self) -> Mapping[str, bool] | None:
        self._slow_look = self._slow_look or self.known.subscriptions is None
        return self.known.subscriptions
