"""What alarms make of data points: AWS's tables of missing data, and what holds for all points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.metrics import evaluation
from localcloud.metrics.evaluation import ALARM, INSUFFICIENT_DATA, MISSING_DATA, OK, Condition, Point, evaluate

KEPT = "as it was"

THREE_OF_THREE = {
    # data points, the oldest first: missing, ignore, breaching, notBreaching
    "0 - X - X": (OK, OK, OK, OK),
    "- - - - 0": (OK, OK, OK, OK),
    "0 - - - -": (OK, OK, OK, OK),
    "- - - - -": (INSUFFICIENT_DATA, KEPT, ALARM, OK),
    "0 X X - X": (ALARM, ALARM, ALARM, ALARM),
    "- - X - -": (ALARM, KEPT, ALARM, OK),
    "X - - - -": (ALARM, KEPT, ALARM, OK),
    "- - - - X": (INSUFFICIENT_DATA, KEPT, ALARM, OK),
    "- - - X -": (INSUFFICIENT_DATA, KEPT, ALARM, OK),
    "- - X - 0": (OK, OK, OK, OK),
    "X X X X X": (ALARM, ALARM, ALARM, ALARM),
    "X X X X 0": (OK, OK, OK, OK),
}
TWO_OF_THREE = {
    "0 - X - X": (ALARM, ALARM, ALARM, ALARM),
    "0 0 X 0 X": (ALARM, ALARM, ALARM, ALARM),
    "0 - X - -": (OK, OK, ALARM, OK),
    "- - - - 0": (OK, OK, ALARM, OK),
    "- - - X -": (ALARM, KEPT, ALARM, OK),
    "- - - - X": (INSUFFICIENT_DATA, KEPT, ALARM, OK),
    "- - - X X": (ALARM, ALARM, ALARM, ALARM),
}
"""Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"""

CASES = [
    (datapoints, drawn, missing, state)
    for datapoints, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for drawn, states in table.items()
    for missing, state in zip(("missing", "ignore", "breaching", "notBreaching"), states, strict=True)
]


def points(drawn: str) -> list[Point]:
    values = {"0": 0.0, "X": 9.0, "-": None}
    return [Point((60.0 * place, 60.0 * place + 60), values[mark]) for place, mark in enumerate(drawn.split())]


def condition(datapoints: int, periods: int = 3, missing: str = "missing") -> Condition:
    return Condition("GreaterThanThreshold", 1.0, periods, datapoints, missing)


@pytest.mark.parametrize(("datapoints", "drawn", "missing", "state"), CASES)
def test_the_tables_of_missing_data(datapoints: int, drawn: str, missing: str, state: str) -> None:
    for before in (OK, ALARM, INSUFFICIENT_DATA):
        verdict = evaluate(condition(datapoints, missing=missing), points(drawn), before)
        assert verdict.state == (before if state == KEPT else state)


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", {1.5}),
        ("GreaterThanOrEqualToThreshold", {1.0, 1.5}),
        ("LessThanThreshold", {0.5}),
        ("LessThanOrEqualToThreshold", {0.5, 1.0}),
    ],
)
def test_each_comparison(comparison: str, breaching: set[float]) -> None:
    held = Condition(comparison, 1.0, 1, 1)
    for value in (0.5, 1.0, 1.5):
        state = evaluate(held, [Point((0, 60), value)], OK).state
        assert state == (ALARM if value in breaching else OK)


REASONS = {
    "1 of 1": (
        "X", 1, 1, "missing",
        "Threshold Crossed: 1 out of the last 1 datapoints [9.0 (01/01/70 00:00:00)] was greater than the threshold "
        "(1.0) (minimum 1 datapoint for OK -> ALARM transition).",
    ),
    "2 of 3": (
        "0 X X", 2, 3, "missing",
        "Threshold Crossed: 2 out of the last 3 datapoints [9.0 (01/01/70 00:02:00), 9.0 (01/01/70 00:01:00)] were "
        "greater than the threshold (1.0) (minimum 2 datapoints for OK -> ALARM transition).",
    ),
    "within the threshold": (
        "0", 1, 1, "missing",
        "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (01/01/70 00:00:00)] was not greater than the "
        "threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition).",
    ),
    "nothing came": (
        "- - -", 1, 1, "breaching",
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[Breaching].",
    ),
    "unknown": ("- -", 1, 2, "missing", "Insufficient Data: 2 datapoints were unknown."),
}  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_is_in_the_words_of_cloudwatch(name: str) -> None:
    drawn, datapoints, periods, missing, reason = REASONS[name]
    assert evaluate(condition(datapoints, periods, missing), points(drawn), OK).reason == reason


@pytest.mark.parametrize("missing", MISSING_DATA)
def test_time_in_which_nobody_measured_is_not_missing_data(missing: str) -> None:
    unwatched = [Point(point.span, point.value, is_unwatched=True) for point in points("- - -")]
    for state in (OK, ALARM, INSUFFICIENT_DATA):
        assert evaluate(condition(1, 1, missing), unwatched, state).state == state
        assert evaluate(condition(1, 1, missing), [*unwatched, *points("X")], state).state == ALARM


VALUES = st.lists(st.sampled_from((None, None, *range(-9, 10))), max_size=8)
CONDITIONS = st.builds(
    lambda comparison, threshold, n, m, missing: Condition(comparison, threshold, n, min(n, m), missing),
    st.sampled_from(sorted(evaluation.COMPARISONS)),
    st.integers(-5, 5),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from(MISSING_DATA),
)
STATES = st.sampled_from((OK, ALARM, INSUFFICIENT_DATA))


def ranged(values: list[int | None], held: Condition) -> list[Point]:
    """As many points as the alarm retrieves, the oldest missing."""
    count = evaluation.range_length(60, held.evaluation_periods, False)
    padded = [None] * count + values
    return [Point((60.0 * place, 60.0 * place + 60), value) for place, value in enumerate(padded[-count:])]


@given(VALUES, CONDITIONS, STATES)
def test_enough_real_points_decide_alone(values: list[int | None], held: Condition, state: str) -> None:
    judged = ranged(values, held)
    known = [point.value for point in judged if point.value is not None][-held.evaluation_periods :]
    verdict = evaluate(held, judged, state)
    if len(known) == held.evaluation_periods:
        breaching = sum(held.breaches(value) for value in known)
        assert verdict.state == (ALARM if breaching >= held.datapoints_to_alarm else OK)
    assert len(verdict.evaluated) <= held.evaluation_periods
    assert verdict.state in (OK, ALARM, INSUFFICIENT_DATA)


@given(VALUES, CONDITIONS, STATES)
def test_breaching_is_never_milder_than_not_breaching(values: list[int | None], held: Condition, state: str) -> None:
    def judged(missing: str) -> str:
        other = Condition(held.comparison, held.threshold, held.evaluation_periods, held.datapoints_to_alarm, missing)
        return evaluate(other, ranged(values, held), state).state

    assert judged("breaching") != INSUFFICIENT_DATA != judged("notBreaching")
    if judged("notBreaching") == ALARM:
        assert {judged(missing) for missing in MISSING_DATA} == {ALARM}
    if judged("breaching") == OK:
        assert judged("notBreaching") == OK


@given(VALUES, CONDITIONS, STATES)
def test_an_evaluation_repeated_changes_nothing(values: list[int | None], held: Condition, state: str) -> None:
    once = evaluate(held, ranged(values, held), state).state
    assert evaluate(held, ranged(values, held), once).state == once
