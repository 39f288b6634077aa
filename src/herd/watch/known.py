"""The answers to what `questions` asked: what AWS says, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from herd.runner.contract.due import Marker

RUNNING = frozenset({"RUNNING", "PENDING_REDRIVE"})
"""Statuses of an execution that has not ended."""


class RunKey(NamedTuple):
    """One run. `machine` is the name of the state machine of its workload or pipeline."""

    machine: str
    run_id: str


@dataclass(frozen=True)
class Execution:
    """As DescribeExecution has it; `cause`, `output` and `input` are the texts. Times are aware."""

    status: str
    started: datetime
    ended: datetime | None = None
    error: str = ""
    cause: str = ""
    output: str = ""
    input: str = ""


@dataclass(frozen=True)
class Published:
    """What readers see: `run_id` and `published` of latest.json."""

    run_id: str
    at: datetime


@dataclass(frozen=True)
class ScheduleSeen:
    """One entry of ListSchedules: is `State` ENABLED; `CreationDate`, `LastModificationDate`."""

    enabled: bool
    created: datetime
    modified: datetime


@dataclass(frozen=True)
class Known:
    """What was looked up. A key that is absent was not looked up; None as its value: there is none.

    `markers`: by workload or pipeline, any order. `records`: the run's record as JSON has it. `logs`: the last lines,
    the oldest first. `published`: by workload. `schedules`: by name, all of the environment's group. `subscriptions`:
    the addresses of the topic's e-mail subscriptions -> has it been confirmed? These two are None when not looked up.
    """

    markers: Mapping[str, tuple[Marker, ...]] = field(default_factory=dict)
    executions: Mapping[RunKey, Execution | None] = field(default_factory=dict)
    records: Mapping[RunKey, Mapping[str, Any] | None] = field(default_factory=dict)
    logs: Mapping[RunKey, tuple[str, ...]] = field(default_factory=dict)
    published: Mapping[str, Published | None] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleSeen] | None = None
    subscriptions: Mapping[str, bool] | None = None

    def with_(self, more: Known) -> Known:
        """Both together; what `more` says wins."""
        return Known(
            {**self.markers, **more.markers},
            {**self.executions, **more.executions},
            {**self.records, **more.records},
            {**self.logs, **more.logs},
            {**self.published, **more.published},
            more.schedules if more.schedules is not None else self.schedules,
            more.subscriptions if more.subscriptions is not None else self.subscriptions,
        )
