"""Requests to load balancers, summed up by the minute until the meters take them: there may be thousands a second."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from localcloud.agent.clock import Clock, SystemClock
from localcloud.metrics.series import MINUTE, Values

Key = tuple[int, str, str, str]
"""Minute, load balancer's ARN, target group's ARN or "", metric."""


@dataclass
class Traffic:
    """Counts requests by what became of them. Safe with several threads.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    """

    clock: Clock = field(default_factory=SystemClock)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _values: dict[Key, Values] = field(default_factory=dict)

    def answered(self, balancer: str, group: str, status: int, seconds: float) -> None:
        """A target has answered."""
        kind = {"RequestCount": 1.0, "TargetResponseTime": seconds}
        if 200 <= status < 600:
            kind[f"HTTPCode_Target_{status // 100}XX_Count"] = 1.0
        self._add(balancer, group, kind)

    def failed(self, balancer: str, group: str, status: int) -> None:
        """The load balancer itself has answered, for a target group whose targets did not, or for none."""
        self._add(balancer, "", {f"HTTPCode_ELB_{status // 100}XX_Count": 1.0})
        if group:
            self._add(balancer, group, {"RequestCount": 1.0})

    def _add(self, balancer: str, group: str, values: Mapping[str, float]) -> None:
        minute = int(self.clock.now().timestamp() // MINUTE)
        with self._lock:
            for name, value in values.items():
                self._values.setdefault((minute, balancer, group, name), Values.empty()).add(Values.of(value))

    def take(self) -> list[tuple[datetime, str, str, str, Values]]:
        """What was counted since the last time: minute, balancer, group, metric, values."""
        with self._lock:
            values, self._values = self._values, {}
        return [(datetime.fromtimestamp(key[0] * MINUTE, UTC), *key[1:], each) for key, each in values.items()]
