"""What properties of AWS are in the words of the settings, and what of it is dangerous."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from herd.drift import meaning, risks
from herd.engine.plan import Step
from herd.infra import as_written
from herd.infra.naming import Naming
from herd.infra.spec.models import JobSpec
from herd.infra.states.asl import Target
from herd.infra.states.job import job_definition
from herd.review.settings import Written

AUC = {"file": "metrics.json", "value": "auc", "min": 0.6, "max_drop": 0.1}


def job(**settings: Any) -> JobSpec:
    usual = {"owner": "ada@example.com", "review_by": date(2027, 6, 30), "command": ["python", "main.py"],
             "schedule": "0 6 * * *", "timezone": "Europe/Amsterdam", "memory_gb": 2, "check": [AUC]}  # fmt: skip
    return JobSpec.model_validate({"name": "train", "folder": Path("jobs/train"), **usual, **settings})


WRITTEN = Written({"train": as_written.workload(job())}, {"log_retention_days": 14, "keep_versions_days": 30})


def lines(meant: Any) -> list[str]:
    assert meant is not None
    return [str(one) for one in meaning.in_words(meant, ["train"], WRITTEN)[0]]


def machine(**settings: Any) -> str:
    naming = Naming("herd", "dev")
    target = Target("dev", "aws", "arn:aws:ecs:eu-west-1:1:cluster/herd-dev", "data", ("subnet-1",), ("sg-1",))
    return json.dumps(job_definition(job(**settings), naming.family("train"), target))


def rules(days: int, status: str = "Enabled") -> list[dict[str, Any]]:
    return [{"id": "herd-superseded", "status": status, "expiration": {"days": days}},
            {"id": "herd-cache", "status": "Enabled", "expiration": {"days": 60}}]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Type, property, old and new value, and the line; "" where no setting says it."""

    type: str
    property: str
    old: Any
    new: Any
    line: str = ""
    now: Mapping[str, Any] = field(default_factory=dict)


CASES = [
    Case("aws:scheduler:Schedule", "scheduleExpression", "cron(0 6 * * ? *)", "cron(30 7 ? * MON-FRI *)",
         "job train: schedule 06:00 → 07:30 Mon-Fri"),
    Case("aws:scheduler:Schedule", "scheduleExpression", "cron(0 6 * * ? *)", "rate(2 hours)",
         "job train: schedule 06:00 → every 2 hours"),
    Case("aws:scheduler:Schedule", "scheduleExpression", "cron(0 6 * * ? *)", "cron(0 6 L * ? *)"),
    Case("aws:scheduler:Schedule", "scheduleExpression", "cron(0 6 * * ? *)", "at(2027-01-01T00:00:00)"),
    Case("aws:scheduler:Schedule", "scheduleExpressionTimezone", "Europe/Amsterdam", None,
         "job train: timezone Europe/Amsterdam → UTC"),
    Case("aws:scheduler:Schedule", "state", "ENABLED", "DISABLED",
         "job train: paused nothing → switched off by hand"),
    Case("aws:scheduler:Schedule", "endDate", "2027-06-30T21:59:59Z", "2030-06-30T21:59:59Z",
         "job train: review_by 2027-06-30 → 2030-06-30", {"scheduleExpressionTimezone": "Europe/Amsterdam"}),
    Case("aws:scheduler:Schedule", "endDate", "2027-06-30T21:59:59Z", None),
    Case("aws:scheduler:Schedule", "target", {"arn": "a"}, {"arn": "b"}),
    Case("aws:sfn:StateMachine", "definition", machine(), machine(retries=0)),  # states come and go
    Case("aws:sfn:StateMachine", "definition", "no JSON", machine()),
    Case("aws:cloudwatch:LogGroup", "retentionInDays", 14, 3, "environment: log_retention_days 14 → 3"),
    Case("aws:cloudwatch:LogGroup", "retentionInDays", 14, None),
    Case("aws:s3:BucketLifecycleConfiguration", "rules", rules(30), rules(5),
         "environment: keep_versions_days 30 → 5"),
    Case("aws:s3:BucketLifecycleConfiguration", "rules", rules(30), rules(5, "Disabled")),
    Case("aws:s3:BucketLifecycleConfiguration", "rules", rules(30), []),
    Case("aws:logs:LogGroup", "tags", {"herd:owner": "ada@example.com", "a": "b"}, {"herd:owner": "eve@example.org",
         "a": "b"}, "job train: owner ada@example.com → eve@example.org"),
    Case("aws:logs:LogGroup", "tags", {"herd:owner": "ada@example.com"}, {"herd:owner": "ada@example.com", "x": "y"}),
    Case("aws:ecs:Service", "unheardOf", 1, 2),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.property} {str(case.new)[:40]}")
def test_a_property_is_a_setting_or_none(case: Case) -> None:
    meant = meaning.meaning(case.type, case.property, case.old, case.new, case.now)
    assert (lines(meant) if meant else []) == ([case.line] if case.line else [])


def test_a_machine_says_its_time_limit_and_how_often_it_tries() -> None:
    changed = json.loads(machine())
    changed["States"]["Run"]["TimeoutSeconds"] += 600
    meant = meaning.meaning("aws:sfn:StateMachine", "definition", machine(), json.dumps(changed), {})
    before = int(WRITTEN.workloads["train"]["timeout_minutes"])
    assert lines(meant) == [f"job train: timeout_minutes {before} → {before + 10}"]
    changed = json.loads(machine())
    changed["States"]["Run: try again?"]["Choices"][0]["NumericLessThanEquals"] = 9
    meant = meaning.meaning("aws:sfn:StateMachine", "definition", machine(), json.dumps(changed), {})
    assert lines(meant) == ["job train: retries 2 → 9"]


def definition(**changed: Any) -> dict[str, Any]:
    task = {
        "command": ["python", "main.py"], "params": {"month": 2}, "checks": [{**AUC, "max": None}], "retries": 2,
        "timeout_seconds": 1800, "memory_gb": 2, "reads": [], "image": "x@sha256:1", "fan_out": [],
    }  # fmt: skip
    task |= changed.pop("task", {})
    environment = {"HERD_TASK": json.dumps(task), "AWS_REGION": "eu-west-1"} | changed.pop("env", {})
    container = {
        "name": "main", "image": "x@sha256:1", "user": "10001:10001", "readonlyRootFilesystem": True,
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
    } | changed.pop("container", {})  # fmt: skip
    return {"cpu": "1024", "memory": "2048", "containerDefinitions": [container], **changed}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"memory": "4096", "task": {"memory_gb": 4}}, "job train: memory_gb 2 → 4"),
        ({"cpu": "512"}, "job train: cpu 1 → 0.5"),
        ({"ephemeralStorage": {"sizeInGiB": 100}}, "job train: disk_gb 21 → 100"),
        ({"env": {"DEBUG": "1"}}, "job train: env.DEBUG nothing → 1"),
        ({"task": {"params": {"month": 7}}}, "job train: params.month 2 → 7"),
        ({"task": {"params": {"month": 2, "year": 1}}}, "job train: params.year nothing → 1"),
        ({"task": {"checks": [{**AUC, "min": 0.5}]}}, "job train: check auc: min 0.6 → 0.5"),
        ({"task": {"checks": [{**AUC, "otherwise": "warn"}]}}, "job train: check auc: otherwise reject → warn"),
        (
            {"task": {"checks": []}},
            "job train: check auc is removed (file metrics.json, max_drop 0.1, min 0.6, otherwise reject",
        ),
        ({"task": {"command": ["sh"]}}, "job train: command: python main.py → sh"),
        ({"task": {"reads": [{"name": "flights", "fetch": True}]}}, "job train: reads: nothing → flights"),
        ({"task": {"timeout_seconds": 60}}, "job train: timeout_minutes 60 → 1"),
        ({"container": {"secrets": [{"name": "KEY", "valueFrom": "arn:x"}]}}, "job train: secrets.KEY nothing → arn:x"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_task_definition_says_settings(changed: dict[str, Any], line: str) -> None:
    told = meaning.of_tasks(definition(), definition(**changed))
    said = lines(told.meant)
    assert len(said) == 1 and said[0].startswith(line) and told.others == ()


@pytest.mark.parametrize(
    ("changed", "name", "dangerous"),
    [
        ({"container": {"user": "root"}}, "user", True),
        ({"container": {"readonlyRootFilesystem": False}}, "readonlyRootFilesystem", True),
        ({"container": {"privileged": True}}, "privileged", True),
        ({"container": {"image": "evil"}}, "image", True),
        ({"taskRoleArn": "arn:admin"}, "taskRoleArn", True),
        ({"container": {"stopTimeout": 5}}, "stopTimeout", False),
        ({"env": {"HERD_TASK": "{"}}, "HERD_TASK", False),
        ({"containerDefinitions": [definition()["containerDefinitions"][0], {"name": "side"}]}, "containers", True),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_no_setting_says_of_a_task_is_named(changed: dict[str, Any], name: str, dangerous: bool) -> None:
    told = meaning.of_tasks(definition(), definition(**changed))
    assert [one[0] for one in told.others] == [name] and told.meant == ()
    assert bool(risks.of_task(*told.others[0])) is dangerous


def step(type_: str, old: Mapping[str, Any], new: Mapping[str, Any], operation: str = "update") -> Step:
    return Step(operation, type_, "x", "urn:x", "", old, new)


ALARM = "aws:cloudwatch:MetricAlarm"


@pytest.mark.parametrize(
    ("changed", "name", "why"),
    [
        (step(ALARM, {}, {"actionsEnabled": False}), "actionsEnabled", "nobody is told"),
        (step(ALARM, {"threshold": 5}, {"threshold": 500}), "threshold", "another moment"),
        (step(ALARM, {"alarmDescription": "a"}, {"alarmDescription": "b"}), "alarmDescription", ""),
        (step("aws:cloudwatch:EventRule", {}, {"state": "DISABLED"}), "state", "nobody is told"),
        (step("aws:cloudwatch:EventRule", {"state": "DISABLED"}, {"state": "ENABLED"}), "state", ""),
        (step("aws:lambda:Function", {"timeout": 60}, {"timeout": 3}), "timeout", "nobody is told"),
        (step("aws:lambda:Function", {"timeout": 3}, {"timeout": 60}), "timeout", ""),
    ],
    ids=lambda value: value.type if isinstance(value, Step) else str(value),
)
def test_a_property_is_dangerous_in_its_direction(changed: Step, name: str, why: str) -> None:
    found = risks.of_step(changed, name)
    assert found == [] if not why else why in found[0]


def test_what_is_deleted_says_what_is_lost_with_it() -> None:
    assert risks.of_all(step("aws:cloudwatch:LogGroup", {}, {}, "delete"), frozenset()) == [
        "lost with it: every log line in it"
    ]
    assert risks.of_all(step("aws:ec2:RouteTableAssociation", {}, {}, "delete"), frozenset()) == []
