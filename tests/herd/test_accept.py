"""`herd accept`: which values of a run become the baseline, told from its record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from herd.errors import HerdError, WrongInput
from herd.runs import baseline, runs
from tests.herd.outputs import parsed

CHECK = {"item": None, "file": "metrics.json", "value": "auc", "observed": 0.8, "passed": False}
RECORDS: dict[str, list[dict[str, Any]]] = {
    "one": [CHECK],
    "twice": [CHECK, {**CHECK, "passed": True}],
    "items": [{**CHECK, "item": "forest"}, {**CHECK, "item": "logistic", "observed": 0.7}],
    "missing value": [{**CHECK, "observed": None}],
}


class Cloud:
    """The one bucket that accepting touches, as a client of itself."""

    exports = parsed()

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def client(self, _: str) -> Cloud:
        return self

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803 - boto3's names
        assert (Bucket, ContentType) == ("data", "application/json")
        self.objects[Key] = json.loads(Body)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Any:
    cloud = Cloud()
    monkeypatch.setattr(runs, "read_json", lambda _, key: cloud.objects.get(key))
    return cloud


@pytest.mark.parametrize(("case", "count"), [("one", 1), ("twice", 1), ("items", 2)])
def test_each_checked_value_becomes_the_baseline(cloud: Any, case: str, count: int) -> None:
    cloud.objects["_runs/gate/r1.json"] = {"status": "check-failed", "checks": RECORDS[case]}
    found = baseline.values(cloud, "gate", "r1")
    assert len(found) == count
    baseline.accept(cloud, "gate", "r1", found)
    assert cloud.objects["gate/baseline.json"]["run_id"] == "r1"
    assert [value.accepted for value in baseline.values(cloud, "gate", "r1")] == [value.observed for value in found]


def test_the_value_before_is_shown(cloud: Any) -> None:
    cloud.objects["_runs/gate/r1.json"] = {"status": "check-failed", "checks": [CHECK]}
    assert str(baseline.values(cloud, "gate", "r1")[0]) == "metrics.json: auc = 0.8 (nothing was accepted before)"


def test_what_cannot_be_accepted_is_said(cloud: Any) -> None:
    with pytest.raises(WrongInput, match="no record of a run 'r1'"):
        baseline.values(cloud, "gate", "r1")
    cloud.objects["_runs/gate/r1.json"] = {"status": "failed", "checks": RECORDS["missing value"]}
    with pytest.raises(HerdError, match="no checked value"):
        baseline.values(cloud, "gate", "r1")


def test_the_runner_reads_what_was_accepted(cloud: Any) -> None:
    from herd.runner.contract.documents import Baseline

    cloud.objects["_runs/gate/r1.json"] = {"status": "succeeded", "checks": RECORDS["items"]}
    baseline.accept(cloud, "gate", "r1", baseline.values(cloud, "gate", "r1"))
    accepted = Baseline.from_json(json.dumps(cloud.objects["gate/baseline.json"]).encode())
    assert accepted.values == {("forest", "metrics.json", "auc"): 0.8, ("logistic", "metrics.json", "auc"): 0.7}


def test_the_history_of_trends_begins_anew_with_what_was_accepted(cloud: Any) -> None:
    """It would go on rejecting the level that a person has just accepted."""
    cloud.objects["_runs/gate/r9.json"] = {"status": "check-failed", "checks": [CHECK]}
    cloud.objects["gate/history.json"] = {"schema": 1, "runs": [{"run_id": "r1", "values": []}]}
    baseline.accept(cloud, "gate", "r9", baseline.values(cloud, "gate", "r9"))
    assert [run["run_id"] for run in cloud.objects["gate/history.json"]["runs"]] == ["r9"]


def test_what_no_baseline_compares_with_is_not_accepted(cloud: Any) -> None:
    size = {**CHECK, "kind": "file", "value": "bytes", "observed": 12}
    cloud.objects["_runs/gate/r1.json"] = {"status": "check-failed", "checks": [size, CHECK]}
    assert [value.value for value in baseline.values(cloud, "gate", "r1")] == ["auc"]
