"""Data points as they are kept: summed up, asked for, forgotten."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.metrics import series as points
from localcloud.metrics.series import DAY, HOUR, KEPT_SECONDS, Series, Store, Values

M = Series("n", "m")
NUMBERS = st.lists(st.integers(-100, 100), min_size=1, max_size=20)


def put(store: Store, moment: float, *numbers: float, series: Series = M) -> None:
    for number in numbers:
        store.put(series, moment, Values.of(number))


@given(NUMBERS, NUMBERS)
def test_statistics_are_those_of_all_measurements(first: list[int], second: list[int]) -> None:
    store = Store()
    put(store, 10, *first)
    put(store, 70, *second)
    values, both = store.values("n", "m", {}, 0, 120), first + second
    assert (values.statistic("SampleCount"), values.statistic("Sum")) == (len(both), sum(both))
    assert (values.statistic("Minimum"), values.statistic("Maximum")) == (min(both), max(both))
    assert values.statistic("Average") == pytest.approx(statistics.fmean(both))
    assert values.statistic("p100") == max(both) and values.statistic("p0") == min(both)
    median = values.statistic("p50")
    assert median is not None and sorted(both)[(len(both) - 1) // 2] <= median <= sorted(both)[len(both) // 2]


@given(NUMBERS)
def test_what_is_kept_comes_back(numbers: list[int]) -> None:
    values = Values.empty()
    for number in numbers:
        values.add(Values.of(number))
    again = Values.of_record(values.record())
    assert again.record() == values.record()


def test_a_statistic_of_sums_alone_has_no_percentile() -> None:
    assert Values(2, 10, 1, 9).statistic("p90") is None
    assert Values(2, 10, 5, 5).statistic("p90") == 5
    with pytest.raises(ValueError, match="tm90"):
        Values.of(1).statistic("tm90")


def test_series_are_told_apart_by_dimensions_and_unit() -> None:
    store = Store()
    put(store, 0, 1)
    put(store, 0, 2, series=Series("n", "m", (("a", "x"),)))
    put(store, 0, 4, series=Series("n", "m", (("a", "x"),), "Seconds"))
    asked: dict[str, tuple[dict[str, str], Any]] = {
        "without": ({}, None),
        "in all units": ({"a": "x"}, None),
        "in one": ({"a": "x"}, "Seconds"),
        "none": ({"a": "y"}, None),
    }
    sums = {name: store.values("n", "m", of, 0, 60, unit).statistic("Sum") for name, (of, unit) in asked.items()}
    assert sums == {"without": 1, "in all units": 6, "in one": 4, "none": None}


def test_points_come_in_any_order() -> None:
    store = Store()
    for moment in (300, 60, 180, 60):
        put(store, moment, 1)
    counts = [store.values("n", "m", {}, start, start + 60).count for start in range(0, 360, 60)]
    assert counts == [0, 2, 0, 1, 0, 1] and len(store) == 3


def test_what_is_old_goes_and_of_too_much_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0 * DAY
    store = Store()
    put(store, now - KEPT_SECONDS - 60, 1)
    put(store, now - KEPT_SECONDS + HOUR, 2)
    store.prune(now)
    assert len(store) == 1
    monkeypatch.setattr(points, "MOST_POINTS", 100)
    for minute in range(120):
        put(store, now - 2 * DAY + minute * 60, 1)
    store.prune(now)
    assert len(store) == 3, "those that are older than a day are summed up by the hour"
    assert store.values("n", "m", {}, now - 2 * DAY, now).count == 120
    for minute in range(200):
        put(store, now - HOUR + minute, 1)
        put(store, now - minute * 60, 1)
    store.prune(now)
    assert len(store) <= 100
    assert store.values("n", "m", {}, now, now + 60).count > 0
