"""What the program, the runner and the watch agree on: the plan, and the markers of due times."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.runner.contract.due import Marker, due_time, scheduled
from herd.runner.contract.keys import due_key, due_prefix
from herd.runner.contract.plan import Due, Plan, PlannedPipeline, PlannedWorkload, Recipient

DUE = Due("herd-dev-churn", "cron(0 6 ? * MON-FRI *)", "0 6 * * 1-5", "Europe/Amsterdam", 125, "latest")
CHURN = PlannedWorkload(
    name="churn",
    kind="job",
    owner="analytics",
    owners=("a@example.com", "b@example.com"),
    review_by="2027-06-30",
    log_group="/herd/dev/churn",
    machine="herd-dev-churn",
    due=DUE,
    readers=("churn-report",),
)
PLAN = Plan(
    project="herd",
    environment="dev",
    schedules=True,
    schedule_group="herd-dev",
    workloads=(CHURN, replace(CHURN, name="été", due=None, paused="the source is rebuilt, until March")),
    pipelines=(PlannedPipeline("churn", "herd-dev-churn-pipeline", ("churn",), ("a@example.com",), DUE),),
    recipients=(Recipient("platform@example.com", ("failures", "late")),),
)


def test_a_plan_comes_back_as_it_was() -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"schema": 99}', json.dumps({"schema": 1, "project": "herd"}), "not JSON"],
)
def test_what_is_not_a_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Plan.from_json(text)


@given(
    st.builds(
        Marker,
        workload=st.text(),
        scheduled_time=st.text(),
        run_id=st.text(),
        started=st.text(),
        completed=st.none() | st.text(),
    )
)
def test_a_marker_comes_back_as_it_was(marker: Marker) -> None:
    assert Marker.from_json(marker.to_json()) == marker


@pytest.mark.parametrize("text", [b"{}", b"[]", b'{"schema": 1}', b'{"schema": 2, "workload": "churn"}', b"\xff"])
def test_what_is_not_a_marker_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        Marker.from_json(text)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)), st.integers(1, 10**6))
def test_keys_of_markers_sort_by_due_time(first: datetime, seconds: int) -> None:
    earlier = first.replace(microsecond=0, tzinfo=UTC)
    later = earlier + timedelta(seconds=seconds)
    assert due_time(scheduled(earlier)) == earlier
    assert due_prefix("churn") < due_key("churn", scheduled(earlier)) < due_key("churn", scheduled(later))
