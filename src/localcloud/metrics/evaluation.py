"""Whether an alarm's data points are alarming: a pure function of them, its settings and its state.

Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localcloud.metrics.series import HOUR
from localcloud.metrics.windows import Span

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
"""Operator -> how it compares, and the words that a state's reason has for it."""

MISSING_DATA = ("missing", "ignore", "breaching", "notBreaching")

EXTRA_POINTS = 2
"""How many points more than its evaluation periods an alarm of less than an hour's period retrieves: five where it
evaluates three in AWS's example of five minutes. Of longer periods none: "a daily backup alarm" with a sliding window
goes off when backups are more than 24 hours apart."""

DATAPOINTS_NAMED = 10
"""How many of them a reason names."""


@dataclass(frozen=True)
class Condition:
    """What an alarm holds data points against."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        """Is a value on the wrong side of the threshold?"""
        return COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True)
class Point:
    """A data point of the evaluation range; `value` None where none came."""

    span: Span
    value: float | None
    sample_count: float | None = None
    is_unwatched: bool = False
    """nobody was there to measure: that nothing came says nothing"""


@dataclass(frozen=True)
class Verdict:
    """The state that the points call for, and why. The state is the alarm's own where they call for none."""

    state: str
    reason: str
    evaluated: tuple[Point, ...] = field(default=())


def range_length(period: int, evaluation_periods: int, is_wall_clock: bool) -> int:
    """How many data points an alarm retrieves: its evaluation range."""
    return evaluation_periods + (0 if is_wall_clock or period >= HOUR else EXTRA_POINTS)


def evaluate(condition: Condition, points: Sequence[Point], state: str) -> Verdict:
    """The verdict on an evaluation range, the oldest point first."""
    known = [point for point in points if point.value is not None]
    needed = condition.evaluation_periods
    if len(known) >= needed:
        evaluated = known[-needed:]
        return _by_count(condition, evaluated, 0, _breaching(condition, evaluated))
    if any(point.is_unwatched for point in points if point.value is None):
        return Verdict(state, "", tuple(known))
    lacking = needed - len(known)
    breaching = _breaching(condition, known)
    match condition.missing:
        case "breaching":
            return _by_count(condition, known, lacking, breaching + lacking)
        case "notBreaching":
            return _by_count(condition, known, lacking, breaching)
    if known and (breaching >= condition.datapoints_to_alarm or breaching < len(known)):
        return _by_count(condition, known, lacking, breaching)
    if condition.missing == "ignore":
        return Verdict(state, "", tuple(known))
    # All that came is breaching, but less than it takes: not at once, for the next point may be within the threshold.
    oldest = next((len(points) - place for place, point in enumerate(points) if point.value is not None), 0)
    if oldest >= condition.datapoints_to_alarm and known:
        return _by_count(condition, known, lacking, condition.datapoints_to_alarm)
    unknown = _plural(lacking, "datapoint was", "datapoints were")
    return Verdict(INSUFFICIENT_DATA, f"Insufficient Data: {unknown} unknown.", tuple(known))


def _breaching(condition: Condition, points: Sequence[Point]) -> int:
    return sum(condition.breaches(point.value) for point in points if point.value is not None)


def _by_count(condition: Condition, evaluated: Sequence[Point], lacking: int, breaching: int) -> Verdict:
    state = ALARM if breaching >= condition.datapoints_to_alarm else OK
    return Verdict(state, _reason(condition, evaluated, lacking, state), tuple(evaluated))


def _reason(condition: Condition, evaluated: Sequence[Point], lacking: int, state: str) -> str:
    """In CloudWatch's words."""
    treated = "Breaching" if condition.missing == "breaching" else "NonBreaching"
    missing = f"{_plural(lacking, 'missing datapoint was', 'missing datapoints were')} treated as [{treated}]"
    if not evaluated:
        silent = _plural(lacking, "period", "periods")
        return f"Threshold Crossed: no datapoints were received for {silent} and {missing}."
    crossed = state == ALARM
    counted = [point for point in evaluated if condition.breaches(point.value or 0.0) == crossed]
    words = COMPARISONS[condition.comparison][1]
    periods, least = condition.evaluation_periods, condition.datapoints_to_alarm
    if not crossed:
        least = periods - least + 1
    change = "OK -> ALARM" if crossed else "ALARM -> OK"
    values = ", ".join(_text(point) for point in reversed(counted[-DATAPOINTS_NAMED:]))
    verb = f"{'was' if len(counted) == 1 else 'were'}{'' if crossed else ' not'}"
    main = (
        f"{len(counted)} out of the last {periods} datapoints [{values}] "
        f"{verb} {words} the threshold ({condition.threshold}) "
        f"(minimum {_plural(least, 'datapoint', 'datapoints')} for {change} transition)"
    )
    extra = f" and {missing}" if lacking and condition.missing in ("breaching", "notBreaching") else ""
    return f"Threshold Crossed: {main}{extra}."


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _text(point: Point) -> str:
    return f"{point.value} ({datetime.fromtimestamp(point.span[0], UTC):%d/%m/%y %H:%M:%S})"


def reason_data(
    verdict: Verdict, now: datetime, condition: Condition, period: int, statistic: str | None, unit: str | None = None
) -> str:
    """The machine-readable reason of a state, as CloudWatch writes it."""
    newest_first = list(reversed(verdict.evaluated))
    record: dict[str, Any] = {"version": "1.0", "queryDate": stamp(now)}
    if newest_first:
        record["startDate"] = stamp(datetime.fromtimestamp(newest_first[-1].span[0], UTC))
    if unit:
        record["unit"] = unit
    if statistic:
        record["statistic"] = statistic
    record |= {
        "period": period,
        "recentDatapoints": [point.value for point in verdict.evaluated],
        "threshold": condition.threshold,
        "evaluatedDatapoints": [
            {
                "timestamp": stamp(datetime.fromtimestamp(point.span[0], UTC)),
                **({"sampleCount": point.sample_count} if point.sample_count is not None else {}),
                "value": point.value,
            }
            for point in newest_first
        ],
    }
    return json.dumps(record, separators=(",", ":"))


def stamp(moment: datetime) -> str:
    """A time as CloudWatch's events and reasons have it."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"
