"""`herd checks`: what is shown of the checks in the records of runs."""

from __future__ import annotations

from typing import Any

import pytest

from herd.commands import tables
from herd.runs.checks import LAST_RUNS, collected

AUC = {
    "item": None,
    "file": "metrics.json",
    "value": "auc",
    "min": 0.7,
    "max": None,
    "max_drop": None,
    "baseline": None,
}
QUERY = {**AUC, "file": "", "value": "SELECT  count(*)\n FROM 'x.csv'", "min": None, "max": 0, "otherwise": "warn"}


def entry(check: dict[str, Any], number: float | None, passed: bool = True) -> dict[str, Any]:
    return {**check, "observed": number, "passed": passed, "message": f"metrics.json: auc = {number}"}


def record(run_id: str, *checks: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": run_id, "checks": list(checks)}


def test_each_check_has_its_values_the_oldest_first() -> None:
    [check] = collected([record("r1", entry(AUC, 0.8)), record("r2"), record("r3", entry(AUC, 0.6, passed=False))])
    assert [(seen.run_id, seen.number, seen.passed) for seen in check.seen] == [("r1", 0.8, True), ("r3", 0.6, False)]
    assert str(check) == "metrics.json: auc" and check.limits == {"min": 0.7} and check.rejects


def test_what_the_newest_run_does_not_check_is_left_out() -> None:
    checks = collected([record("r1", entry(AUC, 0.8), entry(QUERY, 3)), record("r2", entry(QUERY, 0))])
    assert [str(check) for check in checks] == ["SELECT count(*) FROM 'x.csv'"]
    assert [seen.number for seen in checks[0].seen] == [3, 0] and not checks[0].rejects


def test_items_and_limits_tell_checks_of_one_value_apart() -> None:
    checks = [entry(AUC, 1), entry({**AUC, "item": "forest"}, 2), entry({**AUC, "min": None, "max_drop": 0.1}, 1)]
    assert [(check.item, dict(check.limits)) for check in collected([record("r1", *checks)])] == [
        (None, {"min": 0.7}), ("forest", {"min": 0.7}), (None, {"max_drop": 0.1})
    ]  # fmt: skip


def test_only_the_last_runs_are_shown() -> None:
    [check] = collected([record(f"r{number}", entry(AUC, number)) for number in range(40)])
    assert [seen.number for seen in check.seen] == list(range(10, 40)) and LAST_RUNS == 30


def test_records_without_checks_have_none() -> None:
    assert collected([]) == [] and collected([{"run_id": "r1"}, record("r2")]) == []


@pytest.mark.parametrize(
    ("numbers", "passed", "curve"),
    [
        ([1, 2, 3], [True, True, True], "▁▅█"),
        ([0.5], [True], "▅"),
        ([7, 7], [True, True], "▅▅"),
        ([1, None, 3], [True, False, True], "▁✗█"),
        ([1, 2, 3], [True, True, False], "▁▅✗"),
        ([-1e308, 1e308], [True, True], "▁█"),
        ([None], [False], "✗"),
        ([], [], ""),
    ],
)
def test_a_curve(numbers: list[float | None], passed: list[bool], curve: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herd.console.knows_blocks", lambda: True)
    assert tables.curve(numbers, passed) == curve


def test_a_curve_for_a_terminal_of_another_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herd.console.knows_blocks", lambda: False)
    assert tables.curve([1, 2, 3], [True, True, False]) == "_=x"
