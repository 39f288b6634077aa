"""A world for the watch: what AWS would answer, and a shell that asks for no more than `questions` names.

The clock is virtual. The memory passes through its JSON whenever a call has changed it, as it does in the function.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from herd.runner.contract.due import Marker, scheduled
from herd.runner.contract.plan import Plan
from herd.watch import decision, events, memory
from herd.watch.call import Start
from herd.watch.decision import Decision
from herd.watch.events import Event, Tick
from herd.watch.known import Execution, Known, Published, RunKey, ScheduleSeen
from herd.watch.memory import Memory
from herd.watch.messages import Message
from herd.watch.questions import ROUNDS, Questions


def at(text: str) -> datetime:
    """`2027-02-01 06:00` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class World:
    """`sent`: every message, with its time. `asked`: how many things were looked up."""

    plan: Plan
    now: datetime
    stored: str | None = None
    """The memory as it is kept; set it to change what the next call finds."""
    markers: dict[str, dict[str, Marker]] = field(default_factory=dict)
    executions: dict[RunKey, Execution] = field(default_factory=dict)
    records: dict[RunKey, Mapping[str, Any]] = field(default_factory=dict)
    logs: dict[RunKey, tuple[str, ...]] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)
    schedules: dict[str, ScheduleSeen] = field(default_factory=dict)
    subscriptions: dict[str, bool] = field(default_factory=dict)
    sent: list[tuple[datetime, Message]] = field(default_factory=list)
    started: list[Start] = field(default_factory=list)
    asked: int = 0
    kept_every: int = 1
    """A long story lets only every so many calls pass through JSON."""
    _calls: int = 0
    _last: tuple[str | None, Memory] | None = None

    def __post_init__(self) -> None:
        whats = [*self.plan.workloads, *self.plan.pipelines]
        created = self.now - timedelta(days=400)
        self.schedules |= {one.due.schedule: ScheduleSeen(True, created, created) for one in whats if one.due}
        owners = {owner for one in self.plan.workloads for owner in one.owners}
        self.subscriptions |= dict.fromkeys(sorted({*owners, *(one.address for one in self.plan.recipients)}), True)

    def call(self, event: Event | None = None, now: datetime | None = None) -> Decision:
        """One call of the function, at `now` or the world's time."""
        now = now or self.now
        event = event or Tick()
        plan, kept = self.plan, self._read()
        known = Known()
        for _ in range(ROUNDS):
            wanted = decision.questions(plan, kept, now, event, known)
            if not wanted:
                break
            known = known.with_(self.answers(wanted))
        else:
            raise AssertionError(f"still asks after {ROUNDS} rounds: {wanted}")
        decided = decision.decide(plan, kept, now, event, known)
        self._keep(kept, decided.memory)
        self.sent += [(now, message) for message in decided.messages]
        self.started += decided.starts
        return decided

    def _read(self) -> Memory:
        if self._last is None or self.stored is not self._last[0]:
            self._last = (self.stored, memory.read(self.stored))
        return self._last[1]

    def _keep(self, before: Memory, after: Memory) -> None:
        self._calls += 1
        if replace(before, at=after.at) != after and self._calls % self.kept_every == 0:
            self.stored = after.to_json()
            assert memory.read(self.stored) == after
        self._last = (self.stored, after)

    def until(self, text: str, step: timedelta = timedelta(minutes=5)) -> None:
        """Calls every five minutes up to a time, which is then now."""
        while self.now + step <= at(text):
            self.now += step
            self.call()
        self.now = at(text)

    def answers(self, wanted: Questions) -> Known:
        self.asked += 1
        return Known(
            markers={
                one.name: tuple(
                    marker
                    for _, marker in sorted(self.markers.get(one.name, {}).items())
                    if marker.scheduled_time > scheduled(one.after)
                )
                for one in wanted.markers
            },
            executions={key: self.executions.get(key) for key in wanted.executions},
            records={one.key: self.records.get(one.key) for one in wanted.records},
            logs={one.key: self.logs.get(one.key, ()) for one in wanted.logs},
            published={name: self.published.get(name) for name in wanted.published},
            schedules=dict(self.schedules) if wanted.slow_look else None,
            subscriptions=dict(self.subscriptions) if wanted.slow_look else None,
        )

    # What happens in it

    def machine(self, name: str) -> str:
        workload = next((one.machine for one in self.plan.workloads if one.name == name), None)
        return workload or next(one.machine for one in self.plan.pipelines if one.name == name)

    def begins(self, name: str, run_id: str, due: datetime | None = None, trigger: str = "schedule") -> RunKey:
        """A run starts now; with a due time it leaves its marker."""
        key = RunKey(self.machine(name), run_id)
        given = {"trigger": trigger, "scheduled_time": scheduled(due or self.now), "params": {}}
        self.executions[key] = Execution("RUNNING", self.now, input=json.dumps(given))
        if due is not None and trigger == "schedule":
            marker = Marker(name, scheduled(due), run_id, f"{self.now:%Y-%m-%dT%H:%M:%S.000Z}")
            self.markers.setdefault(name, {}).setdefault(marker.scheduled_time, marker)
        return key

    def ends(self, key: RunKey, status: str, error: str = "", cause: object = None, output: object = None) -> Event:
        """A run ends now; gives the event, which nobody has sent yet."""
        begun = self.executions[key]
        text = cause if isinstance(cause, str) else json.dumps(cause) if cause is not None else ""
        said = json.dumps(output) if output is not None else ""
        self.executions[key] = Execution(status, begun.started, self.now, error, text, said, begun.input)
        return self.event_of(key)

    def succeeds(self, name: str, key: RunKey, record: Mapping[str, Any] | None = None) -> Event:
        """It publishes, completes its marker if it has one, and ends."""
        for due, marker in self.markers.get(name, {}).items():
            if marker.run_id == key.run_id:
                done = f"{self.now:%Y-%m-%dT%H:%M:%S.000Z}"
                self.markers[name][due] = Marker(name, due, key.run_id, marker.started, done)
        self.published[name] = Published(key.run_id, self.now)
        if record is not None:
            self.records[key] = record
        return self.ends(key, "SUCCEEDED", output={"status": "succeeded"})

    def event_of(self, key: RunKey) -> Event:
        """The event of an execution's end as EventBridge delivers it."""
        raw = self.raw_event_of(key)
        event = events.parse(self.plan, raw)
        assert event is not None, raw
        return event

    def raw_event_of(self, key: RunKey) -> dict[str, Any]:
        run = self.executions[key]
        assert run.ended is not None
        arn = "arn:aws:states:eu-central-1:111122223333"
        return {
            "version": "0",
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "time": f"{run.ended:%Y-%m-%dT%H:%M:%SZ}",
            "detail": {
                "executionArn": f"{arn}:execution:{key.machine}:{key.run_id}",
                "stateMachineArn": f"{arn}:stateMachine:{key.machine}",
                "name": key.run_id,
                "status": run.status,
                "startDate": int(run.started.timestamp() * 1000),
                "stopDate": int(run.ended.timestamp() * 1000),
                "input": run.input,
                "output": run.output or None,
                "error": run.error or None,
                "cause": run.cause or None,
            },
        }
