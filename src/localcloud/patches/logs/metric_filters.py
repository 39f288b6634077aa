"""CloudWatch Logs: a metric filter that is put again is changed."""

from __future__ import annotations

from typing import Any

from moto.logs import metric_filters


def apply() -> None:
    """One filter a name and group."""
    # logs/metric_filters.py:26 appends a second filter of the same name, and the first is answered from then on.
    filters = metric_filters.MetricFilters
    stock = filters.add_filter

    def add_filter(self: Any, filter_name: str, filter_pattern: str, log_group_name: str, transformations: Any) -> None:
        self.delete_filter(filter_name, log_group_name)
        stock(self, filter_name, filter_pattern, log_group_name, transformations)

    filters.add_filter = add_filter
