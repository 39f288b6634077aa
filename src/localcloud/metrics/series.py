"""Data points, kept as CloudWatch keeps them: summed up by the minute, with what percentiles need.

    store = Store()
    store.put(Series("AWS/Lambda", "Errors", (("FunctionName", "f"),), "Count"), moment, Values.of(1))
    store.values("AWS/Lambda", "Errors", {"FunctionName": "f"}, start, end).statistic("Sum")

Moments are seconds since 1970. Not safe with several threads.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

KEPT_SECONDS = 15 * 86_400
"""How long CloudWatch keeps data points of one minute.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html (metrics retention)"""

MOST_POINTS = 100_000
"""Of more than these the ones that are older than a day are summed up by the hour, and then the oldest go: they lie in
this process's memory, a fifth of a KiB each."""

MINUTE, HOUR, DAY = 60, 3_600, 86_400

MOST_DISTINCT = 100
"""Of more distinct values in one point three digits are kept: percentiles are approximate on AWS too."""

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")


@dataclass(frozen=True)
class Series:
    """One metric with one set of dimensions, sorted by name, in one unit."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    unit: str = "None"


class Values:
    """What was measured in some span of time. `counts` is None where only the sums are known."""

    __slots__ = ("count", "counts", "greatest", "least", "total")

    def __init__(
        self, count: float, total: float, least: float, greatest: float, counts: dict[float, float] | None = None
    ):
        self.count, self.total, self.least, self.greatest, self.counts = count, total, least, greatest, counts

    @classmethod
    def of(cls, value: float, times: float = 1.0) -> Values:
        """One value, measured so many times."""
        return cls(times, value * times, value, value, {value: times})

    @classmethod
    def empty(cls) -> Values:
        return cls(0.0, 0.0, math.inf, -math.inf, {})

    def add(self, other: Values) -> None:
        """Count another's measurements in."""
        self.count += other.count
        self.total += other.total
        self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)
        if self.counts is None or other.counts is None:
            self.counts = None
            return
        for value, times in other.counts.items():
            self.counts[value] = self.counts.get(value, 0.0) + times
        if len(self.counts) > MOST_DISTINCT:
            self.counts = _rounded(self.counts)

    def statistic(self, name: str) -> float | None:
        """One of `STATISTICS` or a percentile (`p99.9`); None where it cannot be known. Raises ValueError."""
        if not self.count:
            return None
        match name:
            case "SampleCount":
                return self.count
            case "Average":
                return self.total / self.count
            case "Sum":
                return self.total
            case "Minimum":
                return self.least
            case "Maximum":
                return self.greatest
        percent = percentile(name)
        if percent is None:
            raise ValueError(f"the local cloud does not compute the statistic {name}")
        return self._percentile(percent)

    def _percentile(self, percent: float) -> float | None:
        if self.counts is None:  # sums tell of percentiles only where all values are the same
            return self.least if self.least == self.greatest or self.count == 1 else None
        rank, seen = percent / 100 * self.count, 0.0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= rank:
                return value
        return self.greatest

    def record(self) -> list[object]:
        """As plain values, for JSON."""
        counts = None if self.counts is None else list(self.counts.items())
        return [self.count, self.total, self.least, self.greatest, counts]

    @classmethod
    def of_record(cls, record: list[object]) -> Values:
        """What `record` answered. Raises ValueError and TypeError."""
        count, total, least, greatest, counts = record
        sums = [float(str(each)) for each in (count, total, least, greatest)]
        known = None if not isinstance(counts, list) else {float(value): float(times) for value, times in counts}
        return cls(sums[0], sums[1], sums[2], sums[3], known)


def percentile(name: str) -> float | None:
    """The number of a percentile's name, `p99.9`; None for another name."""
    match = PERCENTILE.fullmatch(name)
    return float(match[1]) if match else None


def _rounded(counts: Mapping[float, float]) -> dict[float, float]:
    rounded: dict[float, float] = {}
    for value, times in counts.items():
        rough = float(f"{value:.3g}")
        rounded[rough] = rounded.get(rough, 0.0) + times
    return rounded


@dataclass
class _Points:
    """A series' points: `moments` sorted, each with its values."""

    moments: list[int] = field(default_factory=list)
    values: dict[int, Values] = field(default_factory=dict)

    def add(self, moment: int, values: Values) -> bool:
        """Is it a new point?"""
        known = self.values.get(moment)
        if known is not None:
            known.add(values)
            return False
        own = Values.empty()
        own.add(values)
        self.values[moment] = own
        if not self.moments or moment > self.moments[-1]:
            self.moments.append(moment)
        else:
            insort(self.moments, moment)
        return True

    def between(self, start: float, end: float) -> Iterator[tuple[int, Values]]:
        for place in range(bisect_left(self.moments, start), len(self.moments)):
            moment = self.moments[place]
            if moment >= end:
                return
            yield moment, self.values[moment]

    def drop(self, moments: Iterable[int]) -> None:
        for moment in moments:
            del self.values[moment]
        self.moments = sorted(self.values)


class Store:
    """The points of a region. `changed` is called with each series that has a new measurement, and its point."""

    def __init__(self) -> None:
        self.changed: Callable[[Series, int], None] = lambda series, moment: None
        self._series: dict[Series, _Points] = {}
        self._by_name: dict[tuple[str, str], list[Series]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, series: Series, moment: float, values: Values, resolution: int = MINUTE) -> None:
        """Add measurements to the point of their minute, or of `resolution` seconds."""
        point = int(moment // resolution * resolution)
        self.restore(series, point, values)
        self.changed(series, point)

    def restore(self, series: Series, point: int, values: Values) -> None:
        """Add to a point, and call nobody."""
        points = self._series.get(series)
        if points is None:
            points = self._series[series] = _Points()
            self._by_name.setdefault((series.namespace, series.name), []).append(series)
        self._count += points.add(point, values)

    def series(self, namespace: str | None = None, name: str | None = None) -> Iterator[Series]:
        """All series, or those of a namespace or a name."""
        if namespace is not None and name is not None:
            yield from self._by_name.get((namespace, name), ())
            return
        for series in self._series:
            if namespace in (None, series.namespace) and name in (None, series.name):
                yield series

    def point(self, series: Series, moment: int) -> Values | None:
        """The values of one point."""
        points = self._series.get(series)
        return None if points is None else points.values.get(moment)

    def last(self, series: Series) -> int | None:
        """The moment of a series' newest point."""
        points = self._series.get(series)
        return points.moments[-1] if points and points.moments else None

    def newest(self, namespace: str, name: str, dimensions: Mapping[str, str]) -> int | None:
        """The moment of the newest point of exactly these dimensions, in whatever unit."""
        wanted = tuple(sorted(dimensions.items()))
        known = (each for each in self._by_name.get((namespace, name), ()) if each.dimensions == wanted)
        return max((moment for each in known if (moment := self.last(each)) is not None), default=None)

    def values(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        start: float,
        end: float,
        unit: str | None = None,
    ) -> Values:
        """What was measured from `start` up to `end`, of exactly these dimensions, in one unit or in all."""
        wanted, answer = tuple(sorted(dimensions.items())), Values.empty()
        for series in self._by_name.get((namespace, name), ()):
            if series.dimensions == wanted and unit in (None, series.unit):
                for _, values in self._series[series].between(start, end):
                    answer.add(values)
        return answer

    def prune(self, now: float) -> None:
        """Let go of what is too old, and of the oldest where there are too many. Cheap where nothing is to be done."""
        oldest = now - KEPT_SECONDS
        for points in self._series.values():
            if points.moments and points.moments[0] < oldest:
                self._drop(points, [moment for moment in points.moments if moment < oldest])
        if self._count > MOST_POINTS:
            self._sum_up(now - DAY)
        if self._count > MOST_POINTS:
            moments = sorted(moment for points in self._series.values() for moment in points.moments)
            limit = moments[len(moments) - MOST_POINTS * 9 // 10]
            for points in self._series.values():
                self._drop(points, [moment for moment in points.moments if moment < limit])
        for series in [series for series, points in self._series.items() if not points.moments]:
            del self._series[series]
            self._by_name[series.namespace, series.name].remove(series)

    def _sum_up(self, before: float) -> None:
        for points in self._series.values():
            old = [moment for moment in points.moments if moment < before and moment % HOUR]
            merged = [(moment // HOUR * HOUR, points.values[moment]) for moment in old]
            self._drop(points, old)
            for hour, values in merged:
                self._count += points.add(hour, values)

    def _drop(self, points: _Points, moments: list[int]) -> None:
        if moments:
            points.drop(moments)
            self._count -= len(moments)
