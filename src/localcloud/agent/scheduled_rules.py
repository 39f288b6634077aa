"""Rules of EventBridge that have a schedule: they fire by the agent's clock, as a pattern's rules do by events.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html. A computer that slept
fires each overdue rule once. A rate counts from when the rule was made, or from the start of the local cloud.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from localcloud import backends, cron
from localcloud.agent.clock import Clock
from localcloud.agent.worker import Worker
from localcloud.patches.events import render
from localcloud.server import Server

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 30.0
"""The clock may be set and the computer may sleep: look at the time of day at least so often."""

_UTC = ZoneInfo("UTC")

Deliver = Callable[[Any, Mapping[str, Any], str], None]
"""Rule, target, payload."""


@dataclass
class Armed:
    """A rule's schedule, when it was first seen, and when it is due."""

    expression: str
    since: datetime
    due: datetime | None


class ScheduledRules:
    """Fires the account's rules that have a schedule. `deliver` is called with the server's lock held."""

    def __init__(self, server: Server, deliver: Deliver, clock: Clock, worker: Worker):
        self._server = server
        self._deliver = deliver
        self._clock = clock
        self._armed: dict[str, Armed] = {}
        self._step = worker.add("scheduled rules", self._fire)

    def stop(self) -> None:
        """Fire no more."""
        self._step.remove()

    def changed(self) -> None:
        """A rule was made, changed or removed; the server's lock may be held."""
        self._step.wake()

    def tick(self) -> None:
        """Fire what is due."""
        now = self._clock.now()
        with self._server.lock:
            rules = {rule.arn: rule for rule in self._rules()}
            for arn in self._armed.keys() - rules.keys():
                del self._armed[arn]
            for rule in rules.values():
                try:
                    self._look_at(rule, now)
                except Exception:
                    log.exception("rule %s is stuck", rule.name)

    def _fire(self) -> float | None:
        self.tick()
        due = min((armed.due for armed in self._armed.values() if armed.due is not None), default=None)
        return None if due is None else min(LONGEST_SLEEP_SECONDS, max(0.0, (due - self._clock.now()).total_seconds()))

    def _rules(self) -> list[Any]:
        return [
            rule
            for _, backend in backends.regions("events", self._server.account)
            for bus in backend.event_buses.values()
            for rule in list(bus.rules.values())
            if rule.scheduled_expression and rule.state != "DISABLED"
        ]

    def _look_at(self, rule: Any, now: datetime) -> None:
        armed = self._armed.get(rule.arn)
        if armed is None or armed.expression != rule.scheduled_expression:
            armed = Armed(rule.scheduled_expression, now, _next(rule.scheduled_expression, now, now))
            self._armed[rule.arn] = armed
        if armed.due is None or armed.due > now:
            return
        due, armed.due = armed.due, _next(armed.expression, now, armed.since)
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._server.account,
            "time": f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": rule.region_name,
            "resources": [rule.arn],
            "detail": {},
        }
        for target in rule.targets:
            self._deliver(rule, target, render(target, event))


def _next(expression: str, after: datetime, since: datetime) -> datetime | None:
    return cron.next_fire(cron.parse(expression), _UTC, after, since)
