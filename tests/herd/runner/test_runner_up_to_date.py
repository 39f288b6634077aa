"""A run of a pipeline that would repeat the last published one is not carried out, and confirms that one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]

WRITE = "cat inputs/orders/* > outputs/rows; echo carried out"
FIRST = {"content_hash": "aaaaaa", "image": "repository@sha256:a", "params": {"month": 2}, "settings_digest": "e1"}


@pytest.fixture
def orders(make: Make) -> Any:
    job = make("orders", "echo $HERD_RUN_ID > outputs/rows")
    assert job.run("o1").status == 0
    return job


def job_of(make: Make, **settings: Any) -> Any:
    return make("rows", WRITE, **{"reads": ["orders"], **FIRST, **settings})


def test_a_run_that_would_repeat_the_last_one_is_left_out(make: Make, orders: Any) -> None:
    job = job_of(make)
    assert job.run("r1", HERD_TRIGGER="pipeline").status == 0
    latest = job.latest
    again = job.run("r2", HERD_TRIGGER="pipeline")
    assert again.status == 0 and "carried out" not in again.log
    assert "nothing has changed since run r1" in again.log
    record = job.record("r2")
    assert (record["status"], record["confirms"], record["files"]) == ("succeeded", "r1", [])
    assert record["inputs"] == [{"name": "orders", "run_id": "o1"}]
    assert job.latest == latest, "readers keep what they have"
    assert job.run("r3", HERD_TRIGGER="pipeline").status == 0 and job.record("r3")["confirms"] == "r1"


@pytest.mark.parametrize(
    ("edit", "trigger"),
    [
        pytest.param({"content_hash": "bbbbbb"}, "pipeline", id="code, a helper, the lock, a comment: the files"),
        pytest.param({"image": "repository@sha256:b"}, "pipeline", id="the base image"),
        pytest.param({"params": {"month": 3}}, "pipeline", id="a parameter"),
        pytest.param({"settings_digest": "e2"}, "pipeline", id="[env]"),
        pytest.param({"command": ["sh", "-e", "main.sh"]}, "pipeline", id="the command"),
        pytest.param({"checks": [{"file": "rows", "min_bytes": 1}]}, "pipeline", id="a check"),
        pytest.param({"reads": [{"name": "orders"}, {"name": "more"}]}, "pipeline", id="what it reads"),
        pytest.param({"settings_digest": ""}, "pipeline", id="skip_unchanged off"),
        pytest.param({}, "manual", id="started by hand"),
        pytest.param({}, "schedule", id="by a schedule of its own"),
    ],
)
def test_what_is_changed_is_carried_out(make: Make, orders: Any, edit: dict[str, Any], trigger: str) -> None:
    make("more", "echo 1 > outputs/rows").run("m1")
    assert job_of(make).run("r1", HERD_TRIGGER="pipeline").status == 0
    job = job_of(make, **edit)
    run = job.run("r2", HERD_TRIGGER=trigger)
    assert run.status == 0 and "carried out" in run.log, run.log
    assert job.latest["run_id"] == "r2" and "confirms" not in job.record("r2")


def test_an_input_counts_by_what_is_in_it(make: Make, orders: Any) -> None:
    job, same = job_of(make), make("orders", "echo o1 > outputs/rows")
    assert job.run("r1", HERD_TRIGGER="pipeline").status == 0
    assert same.run("o2").status == 0
    assert "carried out" not in job.run("r2", HERD_TRIGGER="pipeline").log, "another run, the same files"
    assert job.record("r2")["inputs"] == [{"name": "orders", "run_id": "o2"}]
    assert make("orders", "echo o3 > outputs/rows").run("o3").status == 0
    assert "carried out" in job.run("r3", HERD_TRIGGER="pipeline").log
    assert "carried out" not in job.run("r4", HERD_TRIGGER="pipeline").log


def test_what_a_job_streams_by_itself_has_no_sum_so_its_run_counts(make: Make) -> None:
    def stream(text: str) -> Any:
        put = f"import boto3, os; boto3.client('s3').put_object(Bucket=b, Key=k, Body=b'{text}')"
        where = "b, k = os.environ['HERD_OUTPUT_URI'][5:].split('/', 1); k += 'rows'"
        return make("orders", f'"$PYTHON" -c "import os; {where}; {put}"')

    job = job_of(make)
    python = {"PYTHON": sys.executable}
    assert stream("a").run("o1", **python).status == 0
    assert job.run("r1", HERD_TRIGGER="pipeline").status == 0
    assert "carried out" not in job.run("r2", HERD_TRIGGER="pipeline").log
    assert stream("b").run("o2", **python).status == 0
    assert "carried out" in job.run("r3", HERD_TRIGGER="pipeline").log


def test_parameters_of_the_run_itself_count(make: Make, orders: Any) -> None:
    job = job_of(make)
    assert job.run("r1", HERD_TRIGGER="pipeline", HERD_PARAMS='{"month": 5}').status == 0
    assert "carried out" in job.run("r2", HERD_TRIGGER="pipeline").log
    assert "carried out" not in job.run("r3", HERD_TRIGGER="pipeline", HERD_PARAMS='{"month": "2"}').log


def test_a_failure_in_between_does_not_make_it_stale_or_fresh(make: Make, orders: Any) -> None:
    job = job_of(make)
    assert job.run("r1", HERD_TRIGGER="pipeline").status == 0
    assert job_of(make, command=["false"]).run("r2", HERD_TRIGGER="pipeline").status == 1
    assert "carried out" not in job.run("r3", HERD_TRIGGER="pipeline").log, "what is published is of the same"


@pytest.mark.parametrize("record", [None, "no JSON", '{"schema": 1, "status": "succeeded", "inputs": []}'])
def test_where_the_last_run_does_not_say_what_it_was_made_of_it_is_carried_out(
    make: Make, orders: Any, record: str | None
) -> None:
    job = job_of(make)
    assert job.run("r1", HERD_TRIGGER="pipeline").status == 0
    key = "_runs/rows/r1.json"
    if record is None:
        job.s3.client.delete_object(Bucket=job.bucket, Key=key)
    else:
        job.s3.client.put_object(Bucket=job.bucket, Key=key, Body=record)
    run = job.run("r2", HERD_TRIGGER="pipeline")
    assert run.status == 0 and "carried out" in run.log, run.log


def test_a_retry_of_what_had_ended_says_the_same(make: Make, orders: Any) -> None:
    job = job_of(make)
    assert job.run("r1", HERD_TRIGGER="pipeline").status == 0
    assert job.run("r2", HERD_TRIGGER="pipeline").status == 0
    for run_id in ("r1", "r2"):
        before = job.record(run_id)
        assert job.run(run_id, HERD_TRIGGER="pipeline", HERD_ATTEMPT="2").status == 0
        after = job.record(run_id)
        assert (after.get("confirms"), after["contents"]) == (before.get("confirms"), before["contents"])
