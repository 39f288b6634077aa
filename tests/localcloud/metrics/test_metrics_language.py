"""The two small languages of alarms: rules of composite alarms, and metric math."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.metrics import alarm_rule, expressions
from localcloud.metrics.expressions import Line

STATES = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA", "with space": "ALARM", 'q"uote': "OK"}

RULES = {
    "TRUE": True,
    "NOT TRUE": False,
    "ALARM(a)": True,
    "ALARM(b)": False,
    "ALARM(a) AND ALARM(b)": False,
    "ALARM(a) OR ALARM(b)": True,
    "ALARM(b) OR ALARM(a) AND INSUFFICIENT_DATA(c)": True,
    "(ALARM(b) OR ALARM(a)) AND OK(c)": False,
    "NOT ALARM(b) AND ALARM(a)": True,
    "NOT (ALARM(a) AND ALARM(b))": True,
    'ALARM("with space")': True,
    "ALARM('with space')": True,
    'OK("q\\"uote")': True,
    'AT_LEAST(2, ALARM, (a, b, "with space"))': True,
    'AT_LEAST(3, ALARM, (a, b, "with space"))': False,
    "AT_LEAST(50%, OK, (a, b))": True,
    "AT_LEAST(2, NOT OK, (a, b, c))": True,
}


@pytest.mark.parametrize("text", RULES)
def test_a_rule_holds(text: str) -> None:
    assert alarm_rule.parse(text).holds(STATES.__getitem__) == RULES[text]


LEAVES = st.sampled_from(["TRUE", "FALSE", *(f"{state}({name})" for state in alarm_rule.STATES for name in "abc")])
TREES = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        st.builds("NOT ({})".format, part),
        st.builds("({}) {} ({})".format, part, st.sampled_from(("AND", "OR")), part),
    ),
    max_leaves=12,
)


@given(TREES)
def test_a_rule_means_what_python_means(text: str) -> None:
    called = {state: (lambda name, state=state: STATES[name] == state) for state in alarm_rule.STATES}
    names: dict[str, Any] = {**called, "a": "a", "b": "b", "c": "c", "TRUE": True, "FALSE": False}
    expected = eval(text.replace("AND", "and").replace("OR", "or").replace("NOT", "not"), {}, names)
    assert alarm_rule.parse(text).holds(STATES.__getitem__) == expected


@given(st.one_of(st.text(max_size=40), st.text(alphabet="ALRMNOT(),\"'ab %*/+-<>=0.1[]", max_size=60)))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for parse in (alarm_rule.parse, lambda text: expressions.check(text, ["a", "b"])):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)


LINES: dict[str, Line] = {"a": [1.0, 2.0, None, 4.0], "b": [2.0, 0.0, 3.0, None], "n": [None] * 4}

COMPUTED: dict[str, Line] = {
    "a": [1, 2, None, 4],
    "a + 1": [2, 3, None, 5],
    "a / b": [0.5, None, None, None],
    "-a": [-1, -2, None, -4],
    "2 + 3 * a ^ 2": [5, 14, None, 50],
    "a > 1": [0, 1, None, 1],
    "a > 1 AND b < 1": [0, 1, None, None],
    "a > 1 || b > 2": [0, 1, None, None],
    "SUM([a, b])": [3, 2, 3, 4],
    "SUM(METRICS())": [3, 2, 3, 4],
    "MAX([a, b])": [2, 2, 3, 4],
    "AVG(a)": [7 / 3] * 4,
    "FILL(a, 0)": [1, 2, 0, 4],
    "FILL(a, REPEAT)": [1, 2, 2, 4],
    "FILL(a, LINEAR)": [1, 2, 3, 4],
    "FILL(n, 7)": [7, 7, 7, 7],
    "IF(a > 1, a, b)": [2, 2, None, 4],
    "IF(FILL(a, 0) > 1, 1, 0)": [0, 1, 0, 1],
    "DIFF(a)": [None, 1, None, 2],
    "RATE(a)": [None, 1 / 60, None, 2 / 120],
    "RUNNING_SUM(a)": [1, 3, None, 7],
    "PERIOD(a)": [60] * 4,
    "METRIC_COUNT(METRICS())": [3] * 4,
}


@pytest.mark.parametrize("text", COMPUTED)
def test_an_expression_is_computed(text: str) -> None:
    expressions.check(text, list(LINES))
    computed = expressions.compute(text, LINES, 60)
    assert computed == [None if each is None else pytest.approx(each) for each in COMPUTED[text]]
