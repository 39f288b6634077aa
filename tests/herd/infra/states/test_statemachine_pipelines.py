"""Pipelines, run for real: machines that start machines, and tasks that end as the test says."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from herd.infra.spec.load import JobSpec, Pipeline
from herd.infra.states.job import job_definition
from herd.infra.states.pipeline import pipeline_definition
from tests.herd.infra.states.cloud import Cloud, Outcome

Jobs = Callable[..., JobSpec]

#   ingest ─┬─ train ─┬─ report
#           └─ clean ─┘
AFTER = {"ingest": (), "train": ("ingest",), "clean": ("ingest",), "report": ("train", "clean")}
LEVELS = (("ingest",), ("clean", "train"), ("report",))


@pytest.fixture
def pipeline(cloud: Cloud, job: Jobs) -> str:
    specs = {name: job(name, after=after, retries=0, overlap="allow") for name, after in AFTER.items()}
    machines = {}
    for name, spec in specs.items():
        cloud.define(name)
        machines[name] = cloud.machine(name, job_definition(spec, name, cloud.target))
    definition = pipeline_definition(Pipeline("ingest", LEVELS, None, "UTC"), specs, machines, cloud.target)
    return cloud.machine("herd-dev-ingest_pipeline", definition)


def ran(cloud: Cloud, *, failing: Mapping[str, int], pipeline: str, **given: Any) -> Outcome:
    """Runs the pipeline; the task of a job in `failing` ends with its code."""
    cloud.engine.script = lambda task: failing.get(task["FAMILY"], 0)
    return cloud.run(pipeline, "run-9", **given)


def test_all_succeed(cloud: Cloud, pipeline: str) -> None:
    outcome = ran(cloud, failing={}, pipeline=pipeline, trigger="schedule", scheduled_time="2027-01-02T03:04:05Z")
    assert outcome.output == {"status": "succeeded", "jobs": dict.fromkeys(AFTER, "succeeded")}
    assert [task["FAMILY"] for task in cloud.engine.started][::3] == ["ingest", "report"]
    for task in cloud.engine.started:
        assert (task["HERD_RUN_ID"], task["HERD_TRIGGER"]) == ("run-9", "pipeline")
        assert task["HERD_SCHEDULED_TIME"] == "2027-01-02T03:04:05Z"
    assert cloud.records() == ["_due/ingest/2027-01-02T03:04:05Z.json"], "the pipeline's marker, and none of its jobs"
    marker = cloud.marker("ingest", "2027-01-02T03:04:05Z")
    assert marker.run_id == "run-9" and marker.completed is not None and marker.started <= marker.completed


def test_a_pipeline_that_fails_does_not_complete_what_was_due(cloud: Cloud, pipeline: str) -> None:
    ran(cloud, failing={"report": 1}, pipeline=pipeline, trigger="schedule", scheduled_time="2027-01-02T03:04:05Z")
    assert cloud.marker("ingest", "2027-01-02T03:04:05Z").completed is None


@pytest.mark.parametrize(
    ("failing", "statuses"),
    [
        ({"train": 65}, {"ingest": "succeeded", "train": "check-failed", "clean": "succeeded", "report": "skipped"}),
        ({"train": 3}, {"ingest": "succeeded", "train": "failed", "clean": "succeeded", "report": "skipped"}),
        ({"train": 137}, {"ingest": "succeeded", "train": "killed", "clean": "succeeded", "report": "skipped"}),
        ({"ingest": 1}, {"ingest": "failed", "train": "skipped", "clean": "skipped", "report": "skipped"}),
        ({"report": 1}, {"ingest": "succeeded", "train": "succeeded", "clean": "succeeded", "report": "failed"}),
    ],
    ids=["a check", "a middle one", "killed", "the root", "the last"],
)
def test_a_failure_skips_what_comes_after_and_fails_the_pipeline_at_its_end(
    cloud: Cloud, pipeline: str, failing: dict[str, int], statuses: dict[str, str]
) -> None:
    outcome = ran(cloud, failing=failing, pipeline=pipeline)
    assert (outcome.status, outcome.error) == ("FAILED", "Herd.Failed")
    assert outcome.cause == {"status": "failed", "jobs": statuses}
    for name, status in statuses.items():
        if status == "skipped":
            assert cloud.record(f"{name}/run-9")["status"] == "skipped"


def test_only_some_of_the_jobs(cloud: Cloud, pipeline: str) -> None:
    only = {"ingest": False, "train": True, "clean": False, "report": True}
    outcome = ran(cloud, failing={}, pipeline=pipeline, only=only)
    assert outcome.output["jobs"] == {
        "ingest": "not-selected", "train": "succeeded", "clean": "not-selected", "report": "succeeded",
    }  # fmt: skip
    assert cloud.records() == []


def test_parameters_are_by_job(cloud: Cloud, pipeline: str) -> None:
    ran(cloud, failing={}, pipeline=pipeline, params={"train": {"month": 3}})
    given = {task["FAMILY"]: task["HERD_PARAMS"] for task in cloud.engine.started}
    assert given == {"ingest": "{}", "train": '{"month":3}', "clean": "{}", "report": "{}"}
