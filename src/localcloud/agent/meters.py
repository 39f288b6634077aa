"""What the cloud's services measure of themselves, put into CloudWatch under every set of dimensions that AWS uses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from localcloud import backends
from localcloud.agent.clock import Clock
from localcloud.metrics.catalogue import METRICS
from localcloud.metrics.series import Series, Values
from localcloud.server import Server

log = logging.getLogger(__name__)


class Meters:
    """Writes measurements down, by the agent's clock. Safe with several threads."""

    def __init__(self, server: Server, clock: Clock):
        self._server = server
        self._clock = clock

    def count(self, region: str, namespace: str, name: str, dimensions: Mapping[str, str], times: float = 1.0) -> None:
        """Something happened, so many times."""
        self.measure(region, namespace, name, dimensions, Values.of(times))

    def record(self, region: str, namespace: str, name: str, dimensions: Mapping[str, str], value: float) -> None:
        """A value was measured."""
        self.measure(region, namespace, name, dimensions, Values.of(value))

    def measure(
        self,
        region: str,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        values: Values,
        moment: datetime | None = None,
    ) -> None:
        """Values were measured. Raises KeyError for a metric that is not in the catalogue: nobody else publishes it."""
        metric = METRICS[namespace, name]
        when = (moment or self._clock.now()).timestamp()
        try:
            with self._server.lock:
                points = backends.cloudwatch(self._server.account, region).points
                for published in metric.published(dimensions):
                    points.put(Series(namespace, name, tuple(sorted(published.items())), metric.unit), when, values)
        except Exception:
            log.exception("a measurement of %s %s is lost", namespace, name)
