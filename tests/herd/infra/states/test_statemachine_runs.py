"""The machines of jobs, run for real in the local cloud's Step Functions, with tasks that end as the test says."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from herd.infra.spec.load import JobSpec
from herd.infra.states import job as statemachine
from herd.infra.states import limits
from herd.infra.states.job import job_definition
from herd.runner.contract.due import Marker
from tests.herd.infra.states.cloud import CannotStart, Cloud, Exit, wait_until

Jobs = Callable[..., JobSpec]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statemachine, "FIRST_WAIT_SECONDS", 0)


def deploy(cloud: Cloud, spec: JobSpec) -> str:
    family = f"herd-dev-{spec.name}"
    cloud.define(family)
    return cloud.machine(family, job_definition(spec, family, cloud.target))


def exits(*codes: int) -> Callable[[Mapping[str, str]], int]:
    """The first task ends with the first code, and so on."""
    left = iter(codes)
    return lambda environment: next(left)


def test_a_run_that_ends_well(cloud: Cloud, job: Jobs) -> None:
    machine = deploy(cloud, job("train"))
    outcome = cloud.run(
        machine, "run-7", trigger="manual", scheduled_time="2027-01-02T03:04:05Z", params={"month": 3, "deep": True}
    )
    assert (outcome.status, outcome.output) == ("SUCCEEDED", {"status": "succeeded"})
    (environment,) = cloud.engine.started
    told = {name: value for name, value in environment.items() if name.startswith("HERD_")}
    assert told == {
        "HERD_RUN_ID": "run-7",
        "HERD_SCHEDULED_TIME": "2027-01-02T03:04:05Z",
        "HERD_TRIGGER": "manual",
        "HERD_PARAMS": '{"month":3,"deep":true}',
        "HERD_PINS": "{}",
        "HERD_ATTEMPT": "1",
    }
    assert cloud.records() == [], "the task writes its own record"


DUE = "2027-01-02T03:04:05Z"


def test_a_run_that_was_due_leaves_a_marker_and_the_task_completes_it(cloud: Cloud, job: Jobs) -> None:
    assert cloud.run(deploy(cloud, job("train")), trigger="schedule", scheduled_time=DUE).status == "SUCCEEDED"
    assert cloud.records() == [f"_due/train/{DUE}.json"]
    marker = cloud.marker("train", DUE)
    assert (marker.workload, marker.scheduled_time, marker.run_id, marker.completed) == ("train", DUE, "run-1", None)
    assert marker.started


@pytest.mark.parametrize("overlap", ["skip", "replace", "allow"])
def test_a_start_that_comes_twice_takes_nothing_back(cloud: Cloud, job: Jobs, overlap: str) -> None:
    machine = deploy(cloud, job("train", overlap=overlap))
    completed = Marker("train", DUE, "run-1", DUE, "2027-01-02T03:20:00Z")
    cloud.put_marker(completed)
    assert cloud.run(machine, "run-2", trigger="schedule", scheduled_time=DUE).status == "SUCCEEDED"
    assert cloud.marker("train", DUE) == completed


def test_a_marker_that_cannot_be_written_does_not_fail_the_run(cloud: Cloud, job: Jobs) -> None:
    definition = job_definition(job("train"), "herd-dev-train", replace(cloud.target, data_bucket="not-there"))
    cloud.define("herd-dev-train")
    machine = cloud.machine("herd-dev-train", definition)
    assert cloud.run(machine, trigger="schedule", scheduled_time=DUE).status == "SUCCEEDED"


def test_a_start_by_hand_needs_no_input(cloud: Cloud, job: Jobs) -> None:
    assert cloud.run(deploy(cloud, job("train"))).status == "SUCCEEDED"
    (environment,) = cloud.engine.started
    assert environment["HERD_TRIGGER"] == "manual" and environment["HERD_PARAMS"] == "{}"
    assert environment["HERD_SCHEDULED_TIME"].endswith("Z")


@pytest.mark.parametrize(
    ("codes", "error", "status", "exit_code", "attempts"),
    [
        ((3, 3, 3), "Herd.Failed", "failed", 3, 3),
        ((65,), "Herd.CheckFailed", "check-failed", 65, 1),
        ((3, 65), "Herd.CheckFailed", "check-failed", 65, 2),
        ((137, 137, 137), "Herd.Killed", "killed", 137, 3),
        ((1, 1, 143), "Herd.Killed", "killed", 143, 3),
    ],
    ids=["fails three times", "check fails: no retry", "check fails on retry", "out of memory", "stopped"],
)
def test_a_run_that_fails(
    cloud: Cloud, job: Jobs, codes: tuple[int, ...], error: str, status: str, exit_code: int, attempts: int
) -> None:
    cloud.engine.script = exits(*codes)
    outcome = cloud.run(deploy(cloud, job("train", retries=2)), params={"month": 3})
    assert (outcome.status, outcome.error) == ("FAILED", error)
    assert outcome.cause["exit_code"] == exit_code and outcome.cause["attempts"] == attempts
    assert outcome.cause["reason"] and outcome.cause["task"].startswith("arn:aws:ecs:")
    record = cloud.record("train/run-1")
    assert record.items() >= {
        "schema": 1, "environment": "dev", "workload": "train", "kind": "job", "run_id": "run-1", "item": None,
        "status": status, "attempt": attempts, "exit_code": exit_code, "trigger": "manual", "params": {"month": 3},
    }.items()  # fmt: skip
    assert record["started"] <= record["ended"]
    assert [environment["HERD_ATTEMPT"] for environment in cloud.engine.started] == ["1", "2", "3"][:attempts]


def test_the_second_attempt_may_succeed(cloud: Cloud, job: Jobs) -> None:
    cloud.engine.script = exits(1, 0)
    assert cloud.run(deploy(cloud, job("train", retries=1))).status == "SUCCEEDED"
    assert cloud.records() == []


def test_a_task_that_never_starts_counts_as_killed(cloud: Cloud, job: Jobs) -> None:
    def refuse(environment: Mapping[str, str]) -> int:
        raise CannotStart("no such program")

    cloud.engine.script = refuse
    outcome = cloud.run(deploy(cloud, job("train", retries=0)))
    assert outcome.error == "Herd.Killed" and outcome.cause["exit_code"] is None
    assert "no such program" in outcome.cause["reason"]
    assert cloud.record("train/run-1")["status"] == "killed"


def test_a_task_that_cannot_be_asked_for_counts_as_killed(cloud: Cloud, job: Jobs) -> None:
    spec = job("train", retries=1)
    outcome = cloud.run(cloud.machine("m", job_definition(spec, "no-such-family", cloud.target)))
    assert outcome.error == "Herd.Killed" and outcome.cause["task"] is None and outcome.cause["attempts"] == 2
    assert "did not start" in cloud.record("train/run-1")["reason"]


def test_the_containers_own_reason_is_told(cloud: Cloud, job: Jobs) -> None:
    reason = "Host EC2 (instance i-1) terminated."
    cloud.engine.script = lambda environment: Exit(137, reason)
    outcome = cloud.run(deploy(cloud, job("train", retries=0)))
    assert outcome.error == "Herd.Killed"
    assert outcome.cause["reason"] == cloud.record("train/run-1")["reason"] == reason


@pytest.mark.parametrize("code", [137, 1], ids=["all of it was killed", "a child was killed, and the program gave up"])
def test_too_much_memory_is_said_with_the_setting(cloud: Cloud, job: Jobs, code: int) -> None:
    reason = "OutOfMemoryError: Container killed due to memory usage"
    cloud.engine.script = lambda environment: Exit(code, reason)
    outcome = cloud.run(deploy(cloud, job("train", cpu=0.25, memory_gb=0.5, retries=0)))
    assert (outcome.error, outcome.cause["exit_code"]) == ("Herd.Killed", code)
    assert outcome.cause["reason"] == f"used more than memory_gb = 0.5: {reason}"


@pytest.mark.parametrize(
    "code",
    [66, 73, 78, 126, 127],
    ids=["no input", "cannot publish", "bad settings", "no program", "no such program"],
)
def test_what_cannot_succeed_is_not_tried_again(cloud: Cloud, job: Jobs, code: int) -> None:
    cloud.engine.script = exits(code)
    outcome = cloud.run(deploy(cloud, job("train", retries=2)))
    assert (outcome.error, outcome.cause["attempts"], outcome.cause["exit_code"]) == ("Herd.Failed", 1, code)


def test_an_attempt_that_ended_itself_for_its_time_is_tried_again(cloud: Cloud, job: Jobs) -> None:
    cloud.engine.script = exits(124, 0)
    assert cloud.run(deploy(cloud, job("train", retries=1))).status == "SUCCEEDED"


def test_a_run_that_takes_too_long_says_which_setting(cloud: Cloud, job: Jobs) -> None:
    cloud.engine.script = exits(124, 124)
    outcome = cloud.run(deploy(cloud, job("train", timeout_minutes=7, retries=1)))
    assert (outcome.error, outcome.cause["attempts"]) == ("Herd.TimedOut", 2)
    assert outcome.cause["reason"] == cloud.record("train/run-1")["reason"] == "took longer than timeout_minutes = 7"
    assert cloud.record("train/run-1")["status"] == "timed-out"


def test_a_task_of_which_nobody_knows_whether_it_runs_is_not_tried_again(cloud: Cloud, job: Jobs) -> None:
    """A second attempt would write, and clear up, where the first one may still be at work."""
    cloud.engine.script = lambda environment: None
    definition = job_definition(job("train", timeout_minutes=1, retries=2), "herd-dev-train", cloud.target)
    definition["States"]["Run"]["TimeoutSeconds"] = 1
    cloud.define("herd-dev-train")
    outcome = cloud.run(cloud.machine("m", definition))
    assert outcome.error == "Herd.TimedOut"
    assert outcome.cause["reason"].startswith("has not ended 10 min after timeout_minutes = 1;")
    assert len(cloud.engine.started) == outcome.cause["attempts"] == 1
    assert cloud.record("train/run-1")["status"] == "timed-out"


def test_the_record_of_the_task_itself_stays(cloud: Cloud, job: Jobs) -> None:
    cloud.put_record("train/run-1", {"rich": True})
    cloud.engine.script = exits(1)
    assert cloud.run(deploy(cloud, job("train", retries=0))).error == "Herd.Failed"
    assert cloud.record("train/run-1") == {"rich": True}


# --- fan-out -------------------------------------------------------------------------------------------------------


def test_a_fan_out_runs_each_item_and_then_publishes(cloud: Cloud, job: Jobs) -> None:
    assert cloud.run(deploy(cloud, job("train", fan_out=("a", "b", "c")))).status == "SUCCEEDED"
    *items, publish = cloud.engine.started
    assert sorted(item["HERD_ITEM"] for item in items) == ["a", "b", "c"]
    assert not any("HERD_STEP" in item for item in items)
    assert publish["HERD_STEP"] == "publish" and "HERD_ITEM" not in publish


def test_each_item_has_attempts_of_its_own(cloud: Cloud, job: Jobs) -> None:
    cloud.engine.script = lambda task: 1 if task.get("HERD_ITEM") == "b" and task["HERD_ATTEMPT"] == "1" else 0
    assert cloud.run(deploy(cloud, job("train", fan_out=("a", "b"), retries=1))).status == "SUCCEEDED"
    assert sorted((task.get("HERD_ITEM", "publish"), task["HERD_ATTEMPT"]) for task in cloud.engine.started) == [
        ("a", "1"), ("b", "1"), ("b", "2"), ("publish", "1"),
    ]  # fmt: skip


def test_an_item_that_fails_fails_the_run_but_not_its_siblings(cloud: Cloud, job: Jobs) -> None:
    cloud.engine.script = lambda task: 65 if task.get("HERD_ITEM") == "b" else 0
    outcome = cloud.run(deploy(cloud, job("train", fan_out=("a", "b", "c"))))
    assert outcome.error == "Herd.CheckFailed" and outcome.cause["exit_code"] == 65
    assert sorted(task.get("HERD_ITEM", "publish") for task in cloud.engine.started) == ["a", "b", "c"]
    assert cloud.record("train/run-1/b")["item"] == "b"
    assert cloud.record("train/run-1")["status"] == "check-failed"


def test_a_history_is_no_longer_than_was_worked_out(cloud: Cloud, job: Jobs) -> None:
    """All items fail in all attempts: the longest that there is."""
    cloud.engine.script = lambda task: 1
    spec = job("train", fan_out=("a", "b"), retries=1)
    machine = deploy(cloud, spec)
    assert cloud.run(machine).status == "FAILED"
    most = limits.most_events(job_definition(spec, "family", cloud.target), 2, 2)
    assert 0.6 * most <= cloud.history(machine) <= most


# --- overlap -------------------------------------------------------------------------------------------------------


def busy(cloud: Cloud, machine: str) -> str:
    """An execution whose task goes on until it is stopped; later ones end at once."""
    cloud.engine.script = lambda task: None if task["HERD_RUN_ID"] == "first" else 0
    execution = cloud.start(machine, "first")
    wait_until(lambda: cloud.engine.started, "the first task")
    return execution


def test_overlap_skip(cloud: Cloud, job: Jobs) -> None:
    machine = deploy(cloud, job("train", overlap="skip", retries=0))
    busy(cloud, machine)
    outcome = cloud.run(machine, "second")
    assert (outcome.status, outcome.output["status"]) == ("SUCCEEDED", "skipped")
    assert len(cloud.engine.started) == 1


def test_overlap_replace(cloud: Cloud, job: Jobs) -> None:
    machine = deploy(cloud, job("train", overlap="replace", retries=0))
    first = busy(cloud, machine)
    assert cloud.run(machine, "second").output == {"status": "succeeded"}
    assert cloud.end(first).status == "ABORTED"


def test_overlap_allow(cloud: Cloud, job: Jobs) -> None:
    machine = deploy(cloud, job("train", overlap="allow", retries=0))
    busy(cloud, machine)
    assert cloud.run(machine, "second").output == {"status": "succeeded"}


def test_a_run_after_the_last_has_ended_is_not_skipped(cloud: Cloud, job: Jobs) -> None:
    machine = deploy(cloud, job("train", overlap="skip"))
    assert [cloud.run(machine, name).output["status"] for name in ("a", "b")] == ["succeeded", "succeeded"]
