"""What the roles may and may not do: questions to the documents, answered the way IAM does."""

import json
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from herd.infra.context import Account, Context
from herd.infra.naming import Naming
from herd.infra.permissions import workload as permissions
from herd.infra.permissions.workload import (
    Document,
    execution_permissions,
    scheduler_permissions,
    scheduler_trust,
    states_permissions,
    states_trust,
    task_permissions,
    tasks_trust,
)
from herd.infra.settings.tables import Notifications
from herd.infra.spec.checks import ValueCheck
from herd.infra.spec.load import AnySpec, ApiSpec, JobSpec, Read, ReportSpec
from tests.herd.infra.program.mocks import ACCOUNT, REGION, SETTINGS, Program

CONTEXT = Context(SETTINGS, Naming("herd", "dev"), Account(ACCOUNT, REGION))
DATA, REPORTS = f"arn:aws:s3:::herd-dev-{ACCOUNT}-data", f"arn:aws:s3:::herd-dev-{ACCOUNT}-reports"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/herd-dev"

COMMON: dict[str, Any] = {"owner": "data@example.com", "review_by": date(2027, 6, 30), "command": ("x",)}
JOB = JobSpec(name="train", folder=Path("jobs/train"), reads=(Read(name="ingest"),), **COMMON)
CHECKED = JOB.model_copy(update={"checks": (ValueCheck(file="m.json", value="auc", max_drop=0.1),)})
TRENDING = JOB.model_copy(update={"checks": (ValueCheck(file="m.json", value="auc", trend=4),)})
CACHING = JOB.model_copy(update={"cache": ("_targets",)})
REPORT = ReportSpec(name="page", folder=Path("reports/page"), **COMMON)
API = ApiSpec(name="answers", folder=Path("apis/answers"), reads=(Read(name="train"),), **COMMON)
ALONE = ApiSpec(name="alone", folder=Path("apis/alone"), **COMMON)


def allows(document: Document | None, action: str, resource: str, **keys: str) -> bool:
    """Whether a document lets somebody do this; `keys` are the request's condition keys, `:` and `-` written as `_`."""
    for statement in document["Statement"] if document else []:
        actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
        if (
            any(fnmatchcase(action, pattern) for pattern in actions)
            and any(fnmatchcase(resource, pattern) for pattern in resources)
            and all(_holds(*test, keys) for test in statement.get("Condition", {}).items())
        ):
            return True
    return False


def _holds(operator: str, wanted: dict[str, Any], keys: dict[str, str]) -> bool:
    for name, values in wanted.items():
        given = keys.get(name.replace(":", "_").replace("-", "_"))
        match operator:
            case "Null":
                if (given is None) is not (values == "true"):
                    return False
            case "StringEquals" | "StringLike" | "ArnEquals" | "ArnLike":
                if given is None or not any(fnmatchcase(given, value) for value in _listed(values)):
                    return False
            case _:
                raise AssertionError(operator)
    return True


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


PUT, GET, LIST = "s3:PutObject", "s3:GetObject", "s3:ListBucket"

TASK_CASES: list[tuple[str, AnySpec, str, str, dict[str, str], bool]] = [
    ("its cache", CACHING, PUT, f"{DATA}/train/cache/manifest.json", {}, True),
    ("reading its cache", CACHING, GET, f"{DATA}/train/cache/objects/r.1/ab", {}, True),
    ("cleaning its cache", CACHING, "s3:DeleteObject", f"{DATA}/train/cache/objects/r.1/ab", {}, True),
    ("marking its cache", CACHING, "s3:PutObjectTagging", f"{DATA}/train/cache/items/a/objects/r.1/ab", {}, True),
    ("another's cache", CACHING, GET, f"{DATA}/ingest/cache/manifest.json", {}, False),
    ("the cache of what an API reads", API, GET, f"{DATA}/train/cache/manifest.json", {}, False),
    ("a cache without the setting", JOB, PUT, f"{DATA}/train/cache/manifest.json", {}, False),
    ("a version of its own", JOB, PUT, f"{DATA}/train/versions/r/model.bin", {}, True),
    ("its own switch", JOB, PUT, f"{DATA}/train/latest.json", {}, True),
    ("a rejected result", JOB, PUT, f"{DATA}/train/rejected/r/model.bin", {}, True),
    ("its own record", JOB, PUT, f"{DATA}/_runs/train/r.json", {}, True),
    ("its own item's record", JOB, GET, f"{DATA}/_runs/train/r/small.json", {}, True),
    ("what was due", JOB, PUT, f"{DATA}/_due/train/2027-01-02T03:04:05Z.json", {}, True),
    ("what was due of another", JOB, PUT, f"{DATA}/_due/train-2/2027-01-02T03:04:05Z.json", {}, False),
    ("reading what was due", JOB, GET, f"{DATA}/_due/train/2027-01-02T03:04:05Z.json", {}, False),
    ("what the watch remembers", JOB, PUT, f"{DATA}/_watch/memory.json", {}, False),
    ("an API's due time", API, PUT, f"{DATA}/_due/answers/2027-01-02T03:04:05Z.json", {}, False),
    ("another's record", JOB, PUT, f"{DATA}/_runs/ingest/r.json", {}, False),
    ("another's version", JOB, PUT, f"{DATA}/ingest/versions/r/a.csv", {}, False),
    ("a name that begins alike", JOB, PUT, f"{DATA}/train-2/latest.json", {}, False),
    ("its input", JOB, GET, f"{DATA}/ingest/versions/r/a.csv", {}, True),
    ("its input's switch", JOB, GET, f"{DATA}/ingest/latest.json", {}, True),
    ("its input's baseline", JOB, GET, f"{DATA}/ingest/baseline.json", {}, False),
    ("what it does not read", JOB, GET, f"{DATA}/secret/latest.json", {}, False),
    ("listing its input", JOB, LIST, DATA, {"s3_prefix": "ingest/versions/r/"}, True),
    ("listing its own", JOB, LIST, DATA, {"s3_prefix": "train/versions/r/"}, True),
    ("listing everything", JOB, LIST, DATA, {"s3_prefix": ""}, False),
    ("listing without a prefix", JOB, LIST, DATA, {}, False),
    ("clearing a failed attempt", JOB, "s3:DeleteObject", f"{DATA}/train/versions/r/a", {}, True),
    ("deleting the switch", JOB, "s3:DeleteObject", f"{DATA}/train/latest.json", {}, False),
    ("deleting a record", JOB, "s3:DeleteObject", f"{DATA}/_runs/train/r.json", {}, False),
    ("tagging what is superseded", JOB, "s3:PutObjectTagging", f"{DATA}/train/versions/r/a", {}, True),
    ("an access list", JOB, "s3:PutObjectAcl", f"{DATA}/train/latest.json", {}, False),
    ("a baseline without checks", JOB, PUT, f"{DATA}/train/baseline.json", {"s3_if_none_match": "*"}, False),
    ("the first baseline", CHECKED, PUT, f"{DATA}/train/baseline.json", {"s3_if_none_match": "*"}, True),
    ("a new baseline", CHECKED, PUT, f"{DATA}/train/baseline.json", {}, False),
    ("reading the baseline", CHECKED, GET, f"{DATA}/train/baseline.json", {}, True),
    ("a history without a trend", CHECKED, PUT, f"{DATA}/train/history.json", {}, False),
    ("its history", TRENDING, PUT, f"{DATA}/train/history.json", {}, True),
    ("reading its history", TRENDING, GET, f"{DATA}/train/history.json", {}, True),
    ("another's history", TRENDING, PUT, f"{DATA}/ingest/history.json", {}, False),
    ("a job publishing a page", JOB, PUT, f"{REPORTS}/train/index.html", {}, False),
    ("a report's page", REPORT, PUT, f"{REPORTS}/page/index.html", {}, True),
    ("another's page", REPORT, PUT, f"{REPORTS}/other/index.html", {}, False),
    ("a report's own data", REPORT, PUT, f"{DATA}/page/latest.json", {}, True),
    ("an API's input", API, GET, f"{DATA}/train/latest.json", {}, True),
    ("an API that writes", API, PUT, f"{DATA}/answers/latest.json", {}, False),
    ("an API that records", API, PUT, f"{DATA}/_runs/answers/r.json", {}, False),
    ("an API's page", API, PUT, f"{REPORTS}/answers/index.html", {}, False),
]


@pytest.mark.parametrize(("spec", "action", "resource", "keys", "allowed"), [c[1:] for c in TASK_CASES],
                         ids=[case[0] for case in TASK_CASES])  # fmt: skip
def test_what_a_workloads_code_may_do(
    spec: AnySpec, action: str, resource: str, keys: dict[str, str], allowed: bool
) -> None:
    assert allows(task_permissions(spec, CONTEXT), action, resource, **keys) is allowed


def test_a_workload_that_reads_and_writes_nothing_has_no_permissions() -> None:
    assert task_permissions(ALONE, CONTEXT) is None


GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/herd-dev"


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("ecr:GetAuthorizationToken", "*", True),
        ("ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd-dev/python", True),
        ("ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd-dev/r", False),
        ("ecr:PutImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd-dev/python", False),
        ("logs:PutLogEvents", f"{GROUP}/train:log-stream:train/main/1", True),
        ("logs:PutLogEvents", f"{GROUP}/ingest:log-stream:ingest/main/1", False),
        ("logs:CreateLogGroup", f"{GROUP}/train", False),
        ("s3:GetObject", f"{DATA}/ingest/latest.json", False),
    ],
)
def test_what_starting_a_task_may_do(action: str, resource: str, allowed: bool) -> None:
    assert allows(execution_permissions(JOB, CONTEXT), action, resource) is allowed


ECS = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"
TASK_ROLE = f"arn:aws:iam::{ACCOUNT}:role/herd-dev/tasks/herd-dev-train-task"
TO_ECS = {"iam_PassedToService": "ecs-tasks.amazonaws.com"}


@pytest.mark.parametrize(
    ("action", "resource", "keys", "allowed"),
    [
        ("ecs:RunTask", f"{ECS}:task-definition/herd-dev-train:7", {"ecs_cluster": CLUSTER}, True),
        ("ecs:RunTask", f"{ECS}:task-definition/herd-dev-train:7", {"ecs_cluster": "x"}, False),
        ("ecs:RunTask", f"{ECS}:task-definition/herd-prod-x:7", {"ecs_cluster": CLUSTER}, False),
        ("ecs:StopTask", f"{ECS}:task/herd-dev/1", {}, True),
        ("ecs:StopTask", f"{ECS}:task/other/1", {}, False),
        ("ecs:TagResource", f"{ECS}:task/herd-dev/1", {"ecs_CreateAction": "RunTask"}, True),
        ("ecs:TagResource", f"{ECS}:task/herd-dev/1", {}, False),
        ("ecs:TagResource", f"{ECS}:task/other/1", {"ecs_CreateAction": "RunTask"}, False),
        ("iam:PassRole", TASK_ROLE, TO_ECS, True),
        ("iam:PassRole", TASK_ROLE, {"iam_PassedToService": "lambda.amazonaws.com"}, False),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/herd-dev/herd-dev-states", TO_ECS, False),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", TO_ECS, False),
        ("states:StartExecution", f"{STATES}:stateMachine:herd-dev-train", {}, True),
        ("states:StartExecution", f"{STATES}:stateMachine:herd-prod-train", {}, False),
        ("states:StopExecution", f"{STATES}:execution:herd-dev-train:run-1", {}, True),
        ("s3:PutObject", f"{DATA}/_runs/train/run-1.json", {}, True),
        ("s3:PutObject", f"{DATA}/_due/train/2027-01-02T03:04:05Z.json", {}, True),
        ("s3:GetObject", f"{DATA}/_due/train/2027-01-02T03:04:05Z.json", {}, False),
        ("s3:PutObject", f"{DATA}/_watch/memory.json", {}, False),
        ("s3:PutObject", f"{DATA}/train/latest.json", {}, False),
        ("events:PutRule", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/StepFunctionsGetEventsForECSTaskRule", {}, True),
        ("events:PutRule", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/other", {}, False),
    ],
)  # fmt: skip
def test_what_step_functions_may_do(action: str, resource: str, keys: dict[str, str], allowed: bool) -> None:
    assert allows(states_permissions(CONTEXT), action, resource, **keys) is allowed


def test_scheduler_may_start_this_environments_machines_and_nothing_else() -> None:
    document = scheduler_permissions(CONTEXT)
    assert allows(document, "states:StartExecution", f"{STATES}:stateMachine:herd-dev-train")
    assert not allows(document, "states:StartExecution", f"{STATES}:stateMachine:herd-devx-train")
    assert not allows(document, "ecs:RunTask", f"{ECS}:task-definition/herd-dev-train:1")


@pytest.mark.parametrize(
    ("document", "service", "source"),
    [
        (tasks_trust(CONTEXT.account), "ecs-tasks", f"arn:aws:ecs:{REGION}:{ACCOUNT}:*"),
        (states_trust(CONTEXT), "states", f"{STATES}:stateMachine:herd-dev-*"),
        (scheduler_trust(CONTEXT), "scheduler", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/herd-dev"),
    ],
    ids=["tasks", "states", "scheduler"],
)
def test_a_role_is_lent_to_its_service_for_this_account_only(document: Document, service: str, source: str) -> None:
    (statement,) = document["Statement"]
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": source},
    }


def test_each_workload_has_two_roles_of_its_own(program: Program) -> None:
    for definition in program.of("ecs/taskDefinition:TaskDefinition"):
        workload = definition.inputs["tags"]["herd:workload"]
        assert definition.inputs["taskRoleArn"] == f"arn:{workload}-task"
        assert definition.inputs["executionRoleArn"] == f"arn:{workload}-execution"
    paths = {role.name: role.inputs["path"] for role in program.of("iam/role:Role")}
    assert paths["train-task"] == paths["train-execution"] == "/herd-dev/tasks/"
    assert paths["roles-states"] == paths["roles-scheduler"] == "/herd-dev/"


def test_policies_fit_a_role(program: Program) -> None:
    """10,240 characters for all inline policies of a role (IAM quotas)."""
    for policy in program.of("iam/rolePolicy:RolePolicy"):
        assert len(json.dumps(json.loads(policy.inputs["policy"]), separators=(",", ":"))) < 5_000


def test_a_policy_that_iam_would_not_take_is_refused_in_words() -> None:
    component: Any = SimpleNamespace(child=lambda name: f"train-{name}")
    reads = [f"arn:aws:s3:::acme-{number:03}-{'x' * 40}/*" for number in range(200)]
    with pytest.raises(pulumi.RunError, match=r"train-task: .* AWS allows 10,240 for all policies of a role"):
        permissions._policy(
            "task", component, permissions.document(permissions.allow("s3:GetObject", reads)), component
        )


def test_a_report_that_is_mailed_may_send_by_its_sender_to_its_people_and_nothing_else() -> None:
    context = replace(CONTEXT, settings=replace(SETTINGS, notifications=Notifications(mail_from="reports@acme.org")))
    mailed = REPORT.model_copy(update={"mail_to": ("ada@example.com", "bert@example.com")})
    document = task_permissions(mailed, context)
    assert document is not None
    [sends] = [one for one in document["Statement"] if "ses:SendRawEmail" in one["Action"]]
    identity = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/"
    assert sends["Resource"] == [f"{identity}reports@acme.org", f"{identity}acme.org"]
    assert sends["Condition"] == {
        "StringEquals": {"ses:FromAddress": "reports@acme.org"},
        "ForAllValues:StringEquals": {"ses:Recipients": ["ada@example.com", "bert@example.com"]},
        "Null": {"ses:Recipients": "false"},
    }
    assert allows(document, "s3:PutObject", f"{DATA}/_mail/page/r1.json")
    assert not allows(document, "s3:PutObject", f"{DATA}/_mail/train/r1.json")
    assert "ses:" not in json.dumps(task_permissions(REPORT, context))
