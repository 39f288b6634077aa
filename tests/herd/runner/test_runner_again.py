"""A run once more: it reads the versions that it is told; and what its record says of its image."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., Any]

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def orders(make: Make) -> Any:
    """Two versions: r1, superseded by r2."""
    job = make("orders", 'echo "$HERD_RUN_ID" > outputs/rows.csv')
    for run_id in ("r1", "r2"):
        assert job.run(run_id).status == 0
    return job


READ = 'cat inputs/orders/rows.csv; echo "$HERD_INPUT_ORDERS_URI"; echo x > outputs/x'


@pytest.mark.parametrize(
    ("pins", "run_id"),
    [("", "r2"), ("{}", "r2"), ('{"orders": "r1"}', "r1"), ('{"orders": "r2"}', "r2"), ('{"other": "r1"}', "r2")],
)
def test_the_version_that_is_read(make: Make, orders: Any, pins: str, run_id: str) -> None:
    job = make("report-rows", READ, reads=["orders"])
    run = job.run("s1", HERD_PINS=pins)
    assert run.status == 0, run.log
    assert run.log.splitlines()[:2] == [run_id, f"s3://{orders.bucket}/orders/versions/{run_id}/"]
    assert job.record("s1")["inputs"] == [{"name": "orders", "run_id": run_id}]


def test_a_version_that_is_gone_fails_for_good_and_is_named(make: Make, orders: Any) -> None:
    run = make("report-rows", READ, reads=["orders"]).run("s1", HERD_PINS='{"orders": "r0"}')
    assert run.status == 66
    assert "herd: input orders: the version of run r0 is gone; superseded versions expire" in run.log


def test_the_first_run_of_one_that_reads_itself_is_done_again_without_its_output(make: Make) -> None:
    job = make("sums", "ls inputs/sums; echo 1 >> outputs/sum", reads=["sums"])
    assert job.run("r1").status == 0
    run = job.run("r2", HERD_PINS='{"sums": null}')
    assert run.status == 0 and run.log.splitlines()[0].startswith("herd: published")


@pytest.mark.parametrize("pins", ["[]", '{"orders": 1}', '{"orders": "../x"}', '{"a/b": "r1"}', "{"])
def test_pins_that_cannot_be_are_refused(make: Make, pins: str) -> None:
    run = make("report-rows", "true").run("s1", HERD_PINS=pins)
    assert run.status == 78 and "the task's settings cannot be read" in run.log


def test_the_program_does_not_see_them(make: Make) -> None:
    assert "HERD_PINS" not in make("report-rows", "env").run("s1", HERD_PINS="{}").log


def test_a_run_without_files_fails_where_files_were_published(make: Make) -> None:
    job = make("job", '[ "$HERD_RUN_ID" = r2 ] || echo 1 > outputs/f')
    assert job.run("r1").status == 0
    run = job.run("r2")
    assert run.status == 73 and job.latest["run_id"] == "r1"
    assert "wrote no files to outputs/, where earlier runs did: nothing is published, and readers keep" in run.log
    assert job.record("r2")["status"] == "failed" and job.run("r3").status == 0


@pytest.mark.parametrize("changed", [True, False])
def test_the_record_names_the_commit_and_the_image(make: Make, changed: bool) -> None:
    job = make("job", "exit 3", content_hash="abcdef012345")
    document = {"schema": 1, "commit": COMMIT, "changed": changed}
    job.s3.client.put_object(Bucket=job.bucket, Key="_images/abcdef012345.json", Body=json.dumps(document))
    assert job.run("r1").status == 3
    record = job.record("r1")
    assert (record["commit"], record["changed"], record["image"]) == (COMMIT, changed, "repository@sha256:0")


def test_where_nobody_wrote_the_commit_the_record_has_none(make: Make) -> None:
    job = make("job", "true", content_hash="abcdef012345")
    assert job.run("r1").status == 0
    assert job.record("r1")["commit"] is None and job.record("r1")["changed"] is None
