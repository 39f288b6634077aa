"""CloudWatch: data points are forgotten some day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch import models

KEPT_FOR = timedelta(days=15)
"""How long CloudWatch keeps data points of one minute; it then has sums over five minutes, which nobody made here.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html"""

MOST_POINTS = 50_000
"""Of more than these the ones that came first go sooner: they lie in this process's memory, half a KiB each."""


def apply() -> None:
    """Forget old data points as new ones come."""
    # cloudwatch/models.py:676 keeps every one for ever.
    backend = models.CloudWatchBackend
    stock = backend.put_metric_data

    def put_metric_data(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        points = self.metric_data
        oldest = datetime.now(UTC) - KEPT_FOR
        outdated = next((place for place, point in enumerate(points) if moment(point) >= oldest), len(points))
        surplus = len(points) - MOST_POINTS if len(points) > MOST_POINTS * 1.1 else 0
        del points[: max(outdated, surplus)]

    backend.put_metric_data = put_metric_data


def moment(point: Any) -> datetime:
    """When a data point was measured."""
    timestamp: datetime = point.timestamp
    return timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp
