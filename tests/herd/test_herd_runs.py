"""From executions and records to what a person is told of a run, and from a command line to a start."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.commands import tables
from herd.errors import HerdError, WrongInput
from herd.runs import outputs, runs, start, status
from herd.runs.follow import describe
from herd.runs.runs import Run
from herd.targets.exports import BatchExport
from tests.herd.outputs import batch, job_export, parsed

NOW = datetime(2027, 1, 31, 6, 0, tzinfo=UTC)
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:herd-dev-train"
CAUSE = {"exit_code": 3, "reason": "exit code 3", "attempts": 2, "task": "arn:task/1"}


def described(status: str, **more: Any) -> dict[str, Any]:
    return {"name": "run-1", "status": status, "startDate": NOW, "stopDate": NOW + timedelta(seconds=9), **more}


@pytest.mark.parametrize(
    ("execution", "status", "exit_code", "reason"),
    [
        pytest.param(described("RUNNING"), "running", None, "", id="running"),
        pytest.param(described("SUCCEEDED", output='{"status":"succeeded"}'), "succeeded", 0, "", id="succeeded"),
        pytest.param(
            described("SUCCEEDED", output='{"status":"skipped","reason":"the last run still goes on"}'),
            "skipped",
            None,
            "the last run still goes on",
            id="overlap",
        ),
        pytest.param(
            described("FAILED", error="Herd.Failed", cause=json.dumps(CAUSE)), "failed", 3, "exit code 3", id="failed"
        ),
        pytest.param(
            described("FAILED", error="Herd.CheckFailed", cause='{"exit_code":65,"reason":"a check failed"}'),
            "check-failed",
            65,
            "a check failed",
            id="check failed",
        ),
        pytest.param(
            described("FAILED", error="Herd.TimedOut", cause='{"exit_code":null,"reason":"still running"}'),
            "timed-out",
            None,
            "still running",
            id="timed out",
        ),
        pytest.param(
            described("FAILED", error="Herd.Killed", cause='{"exit_code":137,"reason":"OutOfMemory"}'),
            "killed",
            137,
            "OutOfMemory",
            id="killed",
        ),
        pytest.param(
            described("FAILED", error="States.Runtime", cause="bad path"), "failed", None, "bad path", id="the machine"
        ),
        pytest.param(described("FAILED", error="States.X"), "failed", None, "States.X", id="no cause at all"),
        pytest.param(described("ABORTED"), "aborted", None, "", id="aborted"),
        pytest.param(described("TIMED_OUT"), "timed-out", None, "", id="the machine timed out"),
    ],
)
def test_what_an_execution_says_of_a_run(
    execution: dict[str, Any], status: str, exit_code: int | None, reason: str
) -> None:
    run = runs.run_of("train", execution)
    assert (run.status, run.exit_code, run.reason, run.id) == (status, exit_code, reason, "run-1")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("SUCCEEDED", {"output": '{"status":"succeeded","jobs":{"a":"succeeded"}}'}),
        ("FAILED", {"error": "Herd.Failed", "cause": '{"status":"failed","jobs":{"a":"failed","b":"skipped"}}'}),
        ("ABORTED", {}),
        ("FAILED", {"error": "States.Runtime", "cause": "not JSON"}),
    ],
)
def test_what_a_pipeline_says_of_its_jobs(status: str, told: dict[str, str]) -> None:
    text = told.get("output") or told.get("cause") or "{}"
    expected = json.loads(text)["jobs"] if "jobs" in text else {}
    assert runs.job_statuses(described(status, **told)) == expected


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (Run("t", "r", "succeeded", NOW, NOW + timedelta(seconds=2), 0), "✓ t succeeded (2.0 s)"),
        (
            Run("t", "r", "failed", exit_code=3, reason="it fell", attempts=2),
            "✗ t failed after 2 attempts, exit code 3: it fell",
        ),
        (Run("t", "r", "failed", exit_code=3, reason="exit code 3", attempts=1), "✗ t failed: exit code 3"),
        (Run("t", "r", "skipped", reason="why"), "– t skipped: why"),
        (Run("t", "r", "running"), "▸ t running (r)"),
    ],
)
def test_a_run_in_one_line(run: Run, line: str) -> None:
    assert describe(run) == line


LATE = Run("t", "r", "timed-out", exit_code=124, reason="took longer than timeout_minutes = 1", attempts=2)
OOM = "used more than memory_gb = 0.5: OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.parametrize(
    ("run", "record", "line"),
    [
        pytest.param(
            LATE,
            {"status": "timed-out", "attempt": 2, "reason": "each attempt took longer than timeout_minutes = 1"},
            "✗ t timed-out after 2 attempts, exit code 124: each attempt took longer than timeout_minutes = 1 "
            "(jobs/t/workload.toml)",
            id="each attempt took too long",
        ),
        pytest.param(
            LATE,
            {"status": "failed", "attempt": 1, "exit_code": 3, "reason": "the command ended with exit status 3"},
            "✗ t timed-out after 2 attempts, exit code 124: took longer than timeout_minutes = 1 "
            "(jobs/t/workload.toml)",
            id="only the first attempt left a record",
        ),
        pytest.param(
            Run("t", "r", "killed", exit_code=137, reason=OOM, attempts=1),
            {"status": "killed", "attempt": 1, "exit_code": 137, "reason": "the command was killed (SIGKILL); …"},
            "✗ t killed, exit code 137: used more than memory_gb = 0.5 (jobs/t/workload.toml): OutOfMemoryError: "
            "Container killed due to memory usage",
            id="too much memory",
        ),
        pytest.param(
            Run("t", "r", "failed", exit_code=3, reason="exit code 3", attempts=3),
            {"status": "failed", "attempt": 1, "exit_code": 3, "reason": "item: the command ended with exit status 3"},
            "✗ t failed after 3 attempts, exit code 3: item: the command ended with exit status 3",
            id="the same failure of another item",
        ),
    ],
)
def test_why_a_run_failed_names_the_setting_and_its_file(run: Run, record: dict[str, Any], line: str) -> None:
    assert describe(runs.placed(runs.completed(run, record), "job")) == line


def job(schedule: bool = True, review_by: date = date(2027, 6, 30)) -> BatchExport:
    daily = {"expression": "cron(0 6 * * ? *)", "timezone": "UTC", "text": "0 6 * * *"} if schedule else None
    return job_export(schedule=daily, review_by=review_by.isoformat())


FAILED = Run("t", "r", "failed")


@pytest.mark.parametrize(
    ("export", "run", "armed", "expected"),
    [
        pytest.param(job(), None, True, "never-run", id="never run"),
        pytest.param(job(), Run("t", "r", "succeeded"), True, "idle", id="idle"),
        pytest.param(job(), Run("t", "r", "running"), False, "running", id="running, whatever its schedule"),
        pytest.param(job(), FAILED, True, "failing", id="failing"),
        pytest.param(job(), FAILED, False, "paused", id="its schedule is off"),
        pytest.param(job(review_by=date(2027, 1, 30)), None, True, "expired", id="review_by has passed"),
        pytest.param(job(review_by=date(2027, 1, 30)), FAILED, False, "expired", id="expired, whatever else"),
        pytest.param(job(review_by=date(2027, 1, 31)), None, True, "never-run", id="the last day of review_by"),
        pytest.param(job(schedule=False), Run("t", "r", "succeeded"), False, "idle", id="by hand only"),
        pytest.param(job(), Run("t", "r", "skipped"), True, "never-run", id="skipped, never ran"),
        pytest.param(
            job(), Run("t", "r", "succeeded", skipped=Run("t", "s", "skipped")), True, "idle", id="skipped, ran before"
        ),
        pytest.param(job(), Run("t", "r", "aborted"), True, "idle", id="stopped by somebody"),
    ],
)
def test_the_state_of_a_job(export: BatchExport, run: Run | None, armed: bool, expected: str) -> None:
    workload = status._of_job("t", export, run, armed, NOW)
    assert workload.state == expected
    assert (workload.next_run is None) == (not armed or expected in ("paused", "expired"))


def test_the_json_of_status_has_the_promised_shape() -> None:
    run = Run("t", "run-1", "failed", NOW, NOW + timedelta(seconds=1.5), 3, "it fell")
    assert status._of_job("t", job(), run, True, NOW).as_json() == {
        "name": "t",
        "kind": "job",
        "state": "failing",
        "url": None,
        "healthy": None,
        "next_run": "2027-02-01T06:00:00Z",
        "reason": "",
        "rollback": None,
        "last_run": {
            "id": "run-1",
            "status": "failed",
            "started": "2027-01-31T06:00:00Z",
            "ended": "2027-01-31T06:00:01Z",
            "exit_code": 3,
            "reason": "it fell",
            "confirms": None,
            "files": None,
        },
        "skipped": None,
    }


def test_run_ids_sort_by_time_and_fit_an_execution_name() -> None:
    run_id = runs.new_id("first-run")
    assert len(run_id) <= 80
    assert runs.execution_arn(MACHINE, run_id) == f"{MACHINE.replace('stateMachine', 'execution')}:{run_id}"


GRAPH = {"a": set[str](), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": set[str]()}


@pytest.mark.parametrize(
    ("name", "expected"), [("a", {"a", "b", "c", "d"}), ("b", {"b", "d"}), ("d", {"d"}), ("e", {"e"})]
)
def test_what_runs_after_a_job(name: str, expected: set[str]) -> None:
    assert start.with_those_after(name, GRAPH) == expected


DEFAULTS = {"month": 2, "share": 0.5, "fast": True, "name": "x"}


@pytest.mark.parametrize(
    ("given_", "parsed"),
    [
        (["month=3"], {"month": 3}),
        (["share=1"], {"share": 1.0}),
        (["fast=false"], {"fast": False}),
        (["name=a=b"], {"name": "a=b"}),
        (["name="], {"name": ""}),
        ([], {}),
    ],
)
def test_parameters_take_the_type_of_their_default(given_: list[str], parsed: dict[str, Any]) -> None:
    assert start.parse_params(given_, DEFAULTS, "train") == parsed


def test_every_wrong_parameter_is_named_at_once() -> None:
    with pytest.raises(WrongInput) as wrong:
        start.parse_params(["month=x", "fast=1", "mont=3", "share"], DEFAULTS, "train")
    lines = str(wrong.value).splitlines()
    assert lines == [
        "--param month=x: must be a whole number, like its default 2",
        "--param fast=1: must be true or false, like its default True",
        "--param mont=3: no parameter of train 'mont'; did you mean 'month'? There are: fast, month, name, share",
        "--param share: must be KEY=VALUE",
    ]


def test_parameters_that_ecs_would_not_take_are_refused_before_the_start() -> None:
    assert start.parse_params([f"text={'x' * 5_900}"], {"text": ""}, "train")
    with pytest.raises(WrongInput, match="the parameters of train have 6,013 characters as JSON; allowed: up to 6,000"):
        start.parse_params([f"text={'x' * 6_001}"], {"text": ""}, "train")


@given(st.text(max_size=40))
def test_a_parameter_is_parsed_or_refused_never_anything_else(text: str) -> None:
    for name in DEFAULTS:
        try:
            value = start.parse_params([f"{name}={text}"], DEFAULTS, "t")[name]
        except WrongInput:
            continue
        assert type(value) is type(DEFAULTS[name])


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "a\\b", "link/x"])
def test_a_published_path_never_leaves_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    with pytest.raises(HerdError, match="would leave"):
        outputs.inside(tmp_path / "out", path)


def test_a_published_path_keeps_its_folders(tmp_path: Path) -> None:
    assert outputs.inside(tmp_path, "a/b/c.txt") == tmp_path / "a" / "b" / "c.txt"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (2_500_000, "2.5 MB"), (7e12, "7000.0 GB")]
)
def test_sizes_as_people_say_them(count: int, text: str) -> None:
    assert tables.size(count) == text


def test_why_a_task_has_not_begun_is_said_by_workload() -> None:
    def task(family: str, status: str, reason: str = "") -> dict[str, Any]:
        container = {"name": "main", **({"reason": reason} if reason else {})}
        arn = f"arn:aws:ecs:eu-west-1:123456789012:task-definition/{family}:7"
        return {"taskDefinitionArn": arn, "lastStatus": status, "containers": [container]}

    known = [task("herd-dev-a", "PROVISIONING", "Waiting for a slot"), task("herd-dev-b", "PROVISIONING"),
             task("herd-dev-c", "RUNNING", "fine")]  # fmt: skip
    pages = [{"taskArns": ["0"]}, {"taskArns": ["1", "2"]}, {"taskArns": []}]
    ecs = SimpleNamespace(
        get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: pages),
        describe_tasks=lambda cluster, tasks: {"tasks": [known[int(arn)] for arn in tasks]},
    )
    exports = parsed(workloads={name: batch(task_definition=f"herd-dev-{name}") for name in "abc"})
    assert runs.waiting(cast(Any, SimpleNamespace(client=lambda _: ecs, exports=exports))) == {
        "a": "Waiting for a slot"
    }
