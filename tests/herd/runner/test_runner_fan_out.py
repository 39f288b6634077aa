"""Fan-out: one task an item, and the last step that publishes them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Make = Callable[..., Any]

CHECKS = [{"file": "metrics.json", "value": "auc", "min": 0.5, "max_drop": 0.1}]
SCRIPT = """
echo "{\\"auc\\": ${AUC:-0.8}}" > outputs/metrics.json
echo "$HERD_ITEM" > outputs/name
"""


def test_items_are_published_together_or_not_at_all(make: Make) -> None:
    job = make("train", SCRIPT, fan_out=["a", "b"], checks=CHECKS)
    assert job.run("r1", HERD_ITEM="a").status == 0
    assert job.latest is None
    step = job.run("r1", HERD_STEP="publish")
    assert step.status == 1 and "not published: b did not succeed" in step.log and job.latest is None
    assert job.run("r1", HERD_ITEM="b", AUC="0.9").status == 0
    assert job.run("r1", HERD_STEP="publish").status == 0

    assert job.latest["items"] == ["a", "b"]
    assert [f["path"] for f in job.latest["files"]] == ["a/metrics.json", "a/name", "b/metrics.json", "b/name"]
    record = job.record("r1")
    assert record["status"] == "succeeded" and record["item"] is None
    assert [(check["item"], check["observed"]) for check in record["checks"]] == [("a", 0.8), ("b", 0.9)]
    assert [value["item"] for value in job.get("train/baseline.json")["values"]] == ["a", "b"]
    assert "a\nb\n" in make("reader", "cat inputs/train/*/name", reads=["train"]).run("r2").log


def test_only_the_last_step_marks_what_was_due_as_done(make: Make) -> None:
    job = make("train", SCRIPT, fan_out=["a"])
    due = {"HERD_TRIGGER": "schedule", "HERD_SCHEDULED_TIME": "2027-01-02T03:04:05Z"}
    marker = "_due/train/2027-01-02T03:04:05Z.json"
    assert job.run("r1", HERD_ITEM="a", **due).status == 0
    keys = job.keys()
    assert keys and marker not in keys
    assert job.run("r1", HERD_STEP="publish", **due).status == 0
    assert job.get(marker)["completed"] is not None


def test_the_run_says_which_item_failed_which_check(make: Make) -> None:
    job = make("train", SCRIPT, fan_out=["a", "b"], checks=CHECKS, retries=3)
    failed = job.run("r1", HERD_ITEM="a", AUC="0.4")
    assert failed.status == 65 and failed.log.endswith("metrics.json: auc of a = 0.4 is below min = 0.5\n")
    assert job.keys() == [
        "_runs/train/r1.json",
        "_runs/train/r1/a.json",
        "train/rejected/r1/a/metrics.json",
        "train/rejected/r1/a/name",
    ]
    record = job.record("r1")
    assert record["status"] == "check-failed" and record["item"] is None and record["reason"].startswith("a: ")


def test_only_the_last_attempt_of_an_item_speaks_for_the_run(make: Make) -> None:
    job = make("train", "exit 3", fan_out=["a"], retries=1)
    job.run("r1", HERD_ITEM="a", HERD_ATTEMPT="1")
    assert job.record("r1") is None
    job.run("r1", HERD_ITEM="a", HERD_ATTEMPT="2")
    assert job.record("r1")["status"] == "failed" and job.record("r1")["attempt"] == 2


def test_a_retried_item_that_had_succeeded_is_not_run_again(make: Make) -> None:
    job = make("train", "echo ran; echo 1 > outputs/f", fan_out=["a"], retries=1)
    assert "ran\n" in job.run("r1", HERD_ITEM="a").log
    again = job.run("r1", HERD_ITEM="a", HERD_ATTEMPT="2")
    assert again.status == 0 and "ran\n" not in again.log
    assert job.run("r1", HERD_STEP="publish").status == 0
    assert job.run("r1", HERD_STEP="publish", HERD_ATTEMPT="2").status == 0
    assert [file["path"] for file in job.latest["files"]] == ["a/f"]
