"""What the roles of Herd's own program may and may not do: at least forty questions to each, evaluated as AWS does."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from herd.bootstrap.permissions import boundary
from herd.bootstrap.scope import Scope
from herd.infra.context import Account
from herd.infra.settings.schema import Settings
from localcloud.iam import documents
from localcloud.iam.evaluation import Access, Policies, Who, decide
from tests.herd.infra.program.mocks import ACCOUNT, REGION, TEAM, Program, run_program, write_team

FILES = {
    **TEAM,
    "jobs/lonely/workload.toml": TEAM["jobs/lonely/workload.toml"] + '[secrets]\nKEY = "weather-key"\n',
    "jobs/heavy/workload.toml": 'hardware = "vm"\ncommand = ["python", "main.py"]\n',
    "jobs/heavy/main.py": "print(7)\n",
}

ENVIRONMENTS = {
    "dev": Settings.by_profile("dev", "herd", "dev", REGION, ACCOUNT, allow_public=True, network="nat"),
    "prod": Settings.by_profile(
        "prod", "herd", "prod", REGION, ACCOUNT, allow_public=True, data_bucket="acme-prod-data",
        boundary=f"arn:aws:iam::{ACCOUNT}:policy/herd-boundary", domain="data.example.com", dns_zone="example.com",
    ),
}  # fmt: skip

DATA, REPORTS = f"arn:aws:s3:::herd-dev-{ACCOUNT}-data", f"arn:aws:s3:::herd-dev-{ACCOUNT}-reports"
PROD = f"arn:aws:s3:::herd-prod-{ACCOUNT}-data"
ECS = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
CLUSTER = {"ecs:cluster": f"{ECS}:cluster/herd-dev"}
OTHER_CLUSTER = {"ecs:cluster": f"{ECS}:cluster/herd-prod"}
MACHINE = f"{ECS}:container-instance/herd-dev/abc"
PASSED = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule"
STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
ECR = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret"
ROLES = f"arn:aws:iam::{ACCOUNT}:role"

Case = tuple[str, str, dict[str, str]]

EVERYBODYS_NOES: list[Case] = [
    ("iam:PutRolePolicy", f"{ROLES}/herd-dev/tasks/herd-dev-train-task", {}),
    ("iam:AttachRolePolicy", f"{ROLES}/herd-dev/tasks/herd-dev-train-task", {}),
    ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/mallory", {}),
    ("iam:CreateRole", f"{ROLES}/herd-dev/tasks/mine", {}),
    ("iam:UpdateAssumeRolePolicy", f"{ROLES}/herd-dev/herd-dev-states", {}),
    ("sts:AssumeRole", f"{ROLES}/herd-dev/tasks/herd-dev-lonely-task", {}),
    ("sts:AssumeRole", f"{ROLES}/herd-dev/herd-dev-states", {}),
    ("secretsmanager:PutSecretValue", f"{SECRET}:herd-dev/weather-key-AbCdEf", {}),
    ("secretsmanager:GetSecretValue", f"{SECRET}:herd-dev/other-key-AbCdEf", {}),
    ("secretsmanager:GetSecretValue", f"{SECRET}:herd-prod/weather-key-AbCdEf", {}),
    ("s3:PutBucketPolicy", DATA, {}),
    ("s3:DeleteBucket", DATA, {}),
    ("s3:PutBucketPublicAccessBlock", REPORTS, {}),
    ("s3:PutObjectAcl", f"{DATA}/train/versions/r/x", {}),
    ("s3:GetObject", f"{PROD}/train/latest.json", {}),
    ("s3:PutObject", f"{PROD}/_runs/train/r.json", {}),
    ("s3:ListBucket", DATA, {}),
    ("s3:ListBucket", DATA, {"s3:prefix": ""}),
    ("ecs:RegisterTaskDefinition", f"{ECS}:task-definition/herd-dev-train:*", {}),
    ("ecs:UpdateService", f"{ECS}:service/herd-dev/herd-dev-answers", {}),
    ("ecs:ExecuteCommand", f"{ECS}:task/herd-dev/abc", CLUSTER),
    ("states:UpdateStateMachine", f"{STATES}:stateMachine:herd-dev-train", {}),
    ("scheduler:CreateSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/herd-dev/x", {}),
    ("ecr:PutImage", f"{ECR}/herd-dev/python", {}),
    ("logs:DeleteLogGroup", f"{LOGS}:/herd-dev/train:*", {}),
    ("logs:FilterLogEvents", f"{LOGS}:/herd-dev/train:log-stream:", {}),
    ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0", {}),
    ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/x", {}),
    ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:x", {}),
]
"""What none of them may do."""

YES: dict[str, list[Case]] = {
    "lonely-execution": [
        ("ecr:GetAuthorizationToken", "*", {}),
        ("ecr:BatchGetImage", f"{ECR}/herd-dev/python", {}),
        ("ecr:GetDownloadUrlForLayer", f"{ECR}/herd-dev/python", {}),
        ("ecr:BatchCheckLayerAvailability", f"{ECR}/herd-dev/python", {}),
        ("logs:CreateLogStream", f"{LOGS}:/herd-dev/lonely:log-stream:lonely/main/abc", {}),
        ("logs:PutLogEvents", f"{LOGS}:/herd-dev/lonely:log-stream:lonely/main/abc", {}),
        ("secretsmanager:GetSecretValue", f"{SECRET}:herd-dev/weather-key-AbCdEf", {}),
    ],
    "train-task": [
        ("s3:GetObject", f"{DATA}/ingest/latest.json", {}),
        ("s3:GetObject", f"{DATA}/ingest/versions/r/flights.csv", {}),
        ("s3:ListBucket", DATA, {"s3:prefix": "ingest/versions/r/"}),
        ("s3:PutObject", f"{DATA}/train/versions/r/small/model.bin", {}),
        ("s3:PutObject", f"{DATA}/train/latest.json", {}),
        ("s3:PutObject", f"{DATA}/train/rejected/r/model.bin", {}),
        ("s3:PutObject", f"{DATA}/_runs/train/r.json", {}),
        ("s3:AbortMultipartUpload", f"{DATA}/train/versions/r/x", {}),
        ("s3:GetObject", f"{DATA}/train/baseline.json", {}),
        ("s3:PutObject", f"{DATA}/train/baseline.json", {"s3:if-none-match": "*"}),
        ("s3:GetObject", f"{DATA}/train/versions/r/x", {}),
        ("s3:GetObject", f"{DATA}/_runs/train/r.json", {}),
        ("s3:PutObjectTagging", f"{DATA}/train/versions/r/x", {}),
        ("s3:DeleteObject", f"{DATA}/train/versions/r/x", {}),
        ("s3:ListBucket", DATA, {"s3:prefix": "train/versions/r/"}),
        ("s3:ListBucket", DATA, {"s3:prefix": "_runs/train/"}),
    ],
    "page-task": [
        ("s3:GetObject", f"{DATA}/train/latest.json", {}),
        ("s3:GetObject", f"{DATA}/train/versions/r/small/x", {}),
        ("s3:PutObject", f"{DATA}/page/versions/r/index.html", {}),
        ("s3:PutObject", f"{DATA}/page/latest.json", {}),
        ("s3:PutObject", f"{DATA}/_runs/page/r.json", {}),
        ("s3:PutObject", f"{REPORTS}/page/index.html", {}),
        ("s3:PutObject", f"{REPORTS}/page/r/plot.svg", {}),
        ("s3:PutObjectTagging", f"{REPORTS}/page/r/plot.svg", {}),
        ("s3:AbortMultipartUpload", f"{REPORTS}/page/r/plot.svg", {}),
        ("s3:ListBucket", REPORTS, {"s3:prefix": "page/r/"}),
    ],
    "answers-task": [
        ("s3:GetObject", f"{DATA}/train/latest.json", {}),
        ("s3:GetObject", f"{DATA}/train/versions/r/small/x", {}),
        ("s3:ListBucket", DATA, {"s3:prefix": "train/versions/"}),
    ],
    "roles-states": [
        ("ecs:RunTask", f"{ECS}:task-definition/herd-dev-train:7", CLUSTER),
        ("ecs:StopTask", f"{ECS}:task/herd-dev/abc", CLUSTER),
        ("ecs:DescribeTasks", f"{ECS}:task/herd-dev/abc", CLUSTER),
        ("ecs:TagResource", f"{ECS}:task/herd-dev/abc", {"ecs:createaction": "RunTask"}),
        ("iam:PassRole", f"{ROLES}/herd-dev/tasks/herd-dev-train-task", PASSED),
        ("iam:PassRole", f"{ROLES}/herd-dev/tasks/herd-dev-train-execution", PASSED),
        *((f"events:{verb}", f"{RULE}/StepFunctionsGetEventsForECSTaskRule", {})
          for verb in ("PutTargets", "PutRule", "DescribeRule")),
        ("events:PutRule", f"{RULE}/StepFunctionsGetEventsForStepFunctionsExecutionRule", {}),
        ("states:StartExecution", f"{STATES}:stateMachine:herd-dev-train", {}),
        ("states:ListExecutions", f"{STATES}:stateMachine:herd-dev-train", {}),
        ("states:DescribeExecution", f"{STATES}:execution:herd-dev-train:r", {}),
        ("states:StopExecution", f"{STATES}:execution:herd-dev-train:r", {}),
        ("s3:PutObject", f"{DATA}/_runs/train/r.json", {}),
    ],
    "roles-scheduler": [("states:StartExecution", f"{STATES}:stateMachine:herd-dev-ingest-pipeline", {})],
    "roles-instances": [
        ("ecs:DiscoverPollEndpoint", "*", {}),
        *((f"ecs:{verb}", f"{ECS}:cluster/herd-dev", {})
          for verb in ("RegisterContainerInstance", "DeregisterContainerInstance", "SubmitTaskStateChange")),
        *((f"ecs:{verb}", MACHINE, CLUSTER)
          for verb in ("Poll", "StartTelemetrySession", "UpdateContainerInstancesState")),
    ],
}  # fmt: skip

OTHERS_DATA: list[Case] = [
    ("s3:GetObject", f"{DATA}/lonely/latest.json", {}),
    ("s3:GetObject", f"{DATA}/lonely/versions/r/x", {}),
    ("s3:GetObject", f"{DATA}/_runs/lonely/r.json", {}),
    ("s3:PutObject", f"{DATA}/lonely/latest.json", {}),
    ("s3:PutObject", f"{DATA}/lonely/baseline.json", {"s3:if-none-match": "*"}),
    ("s3:DeleteObject", f"{DATA}/lonely/versions/r/x", {}),
    ("s3:PutObjectTagging", f"{DATA}/lonely/versions/r/x", {}),
    ("s3:ListBucket", DATA, {"s3:prefix": "lonely/"}),
    ("secretsmanager:GetSecretValue", f"{SECRET}:herd-dev/weather-key-AbCdEf", {}),
    ("ecs:RunTask", f"{ECS}:task-definition/herd-dev-lonely:1", CLUSTER),
    ("states:StartExecution", f"{STATES}:stateMachine:herd-dev-lonely", {}),
    ("iam:PassRole", f"{ROLES}/herd-dev/tasks/herd-dev-lonely-task", PASSED),
    ("logs:CreateLogStream", f"{LOGS}:/herd-dev/lonely:log-stream:x", {}),
]
"""What no task's own code may do: it belongs to another job."""

NO: dict[str, list[Case]] = {
    "lonely-execution": [
        ("ecr:BatchGetImage", f"{ECR}/herd-prod/python", {}),
        ("ecr:BatchGetImage", f"{ECR}/herd-dev/python-other", {}),
        ("ecr:BatchDeleteImage", f"{ECR}/herd-dev/python", {}),
        ("logs:CreateLogGroup", f"{LOGS}:/herd-dev/lonely:log-stream:", {}),
        ("logs:PutLogEvents", f"{LOGS}:/herd-dev/train:log-stream:x", {}),
        ("logs:PutLogEvents", f"{LOGS}:/herd-dev/lonely2:log-stream:x", {}),
        ("logs:GetLogEvents", f"{LOGS}:/herd-dev/lonely:log-stream:x", {}),
        ("secretsmanager:DescribeSecret", f"{SECRET}:herd-dev/weather-key-AbCdEf", {}),
        ("secretsmanager:GetSecretValue", f"{SECRET}:herd-dev/weather-key-2-AbCdEf", {}),
        ("s3:GetObject", f"{DATA}/lonely/latest.json", {}),
    ],
    "train-task": [
        *OTHERS_DATA,
        ("s3:PutObject", f"{DATA}/train/baseline.json", {}),
        ("s3:DeleteObject", f"{DATA}/train/latest.json", {}),
        ("s3:DeleteObject", f"{DATA}/_runs/train/r.json", {}),
        ("s3:DeleteObjectVersion", f"{DATA}/train/versions/r/x", {}),
        ("s3:PutObject", f"{DATA}/train-2/latest.json", {}),
        ("s3:PutObject", f"{DATA}/ingest/latest.json", {}),
        ("s3:GetObject", f"{DATA}/ingest/baseline.json", {}),
        ("s3:PutObject", f"{REPORTS}/train/index.html", {}),
        ("s3:ListBucket", DATA, {"s3:prefix": "train"}),
    ],
    "page-task": [
        *OTHERS_DATA,
        ("s3:PutObject", f"{REPORTS}/other/index.html", {}),
        ("s3:DeleteObject", f"{REPORTS}/page/index.html", {}),
        ("s3:PutObject", f"{DATA}/train/latest.json", {}),
        ("s3:PutObject", f"{REPORTS}/index.html", {}),
    ],
    "answers-task": [
        *OTHERS_DATA,
        ("s3:PutObject", f"{DATA}/answers/latest.json", {}),
        ("s3:PutObject", f"{DATA}/train/latest.json", {}),
        ("s3:GetObject", f"{DATA}/train/baseline.json", {}),
        ("s3:GetObject", f"{DATA}/ingest/latest.json", {}),
        ("s3:PutObject", f"{REPORTS}/answers/index.html", {}),
    ],
    "roles-states": [
        ("ecs:RunTask", f"{ECS}:task-definition/herd-prod-train:1", CLUSTER),
        ("ecs:RunTask", f"{ECS}:task-definition/herd-dev-train:1", {"ecs:cluster": f"{ECS}:cluster/other"}),
        ("ecs:RunTask", f"{ECS}:task-definition/herd-dev-train:1", {}),
        ("ecs:StopTask", f"{ECS}:task/herd-prod/abc", {}),
        (
            "iam:PassRole",
            f"{ROLES}/herd-dev/tasks/herd-dev-train-task",
            {"iam:passedtoservice": "lambda.amazonaws.com"},
        ),
        ("iam:PassRole", f"{ROLES}/herd-dev/tasks/herd-dev-train-task", {}),
        ("iam:PassRole", f"{ROLES}/herd-dev/herd-dev-states", PASSED),
        ("iam:PassRole", f"{ROLES}/admin", PASSED),
        ("iam:PassRole", f"{ROLES}/herd-prod/tasks/x", PASSED),
        ("events:PutRule", f"{RULE}/mine", {}),
        ("events:DeleteRule", f"{RULE}/StepFunctionsGetEventsForECSTaskRule", {}),
        ("states:StartExecution", f"{STATES}:stateMachine:herd-prod-train", {}),
        ("states:DeleteStateMachine", f"{STATES}:stateMachine:herd-dev-train", {}),
        ("states:StopExecution", f"{STATES}:execution:herd-prod-train:r", {}),
        ("s3:PutObject", f"{DATA}/train/latest.json", {}),
        ("s3:GetObject", f"{DATA}/train/versions/r/x", {}),
        ("secretsmanager:GetSecretValue", f"{SECRET}:herd-dev/weather-key-AbCdEf", {}),
    ],
    "roles-scheduler": [
        ("states:StartExecution", f"{STATES}:stateMachine:herd-prod-train", {}),
        ("states:StartExecution", f"{STATES}:stateMachine:herdx-dev-train", {}),
        ("states:StartSyncExecution", f"{STATES}:stateMachine:herd-dev-train", {}),
        ("states:StopExecution", f"{STATES}:execution:herd-dev-train:r", {}),
        ("ecs:RunTask", f"{ECS}:task-definition/herd-dev-train:1", CLUSTER),
        ("iam:PassRole", f"{ROLES}/herd-dev/tasks/herd-dev-train-task", PASSED),
        ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:other", {}),
        ("secretsmanager:GetSecretValue", f"{SECRET}:herd-dev/weather-key-AbCdEf", {}),
        *OTHERS_DATA[:8],
    ],
    "roles-instances": [
        ("ecs:RegisterContainerInstance", f"{ECS}:cluster/herd-prod", {}),
        ("ecs:SubmitTaskStateChange", f"{ECS}:cluster/herd-prod", {}),
        ("ecs:Poll", MACHINE, {}),
        ("ecs:Poll", MACHINE, OTHER_CLUSTER),
        ("ecs:Poll", f"{ECS}:container-instance/herd-prod/abc", OTHER_CLUSTER),
        ("ecs:CreateCluster", "*", {}),
        ("ecs:StartTask", f"{ECS}:task-definition/herd-dev-train:1", CLUSTER),
        ("ecr:BatchGetImage", f"{ECR}/herd-dev/python", {}),
        ("logs:PutLogEvents", f"{LOGS}:/herd-dev/train:log-stream:x", {}),
        *OTHERS_DATA,
    ],
}

TRUST: list[tuple[str, str, str, str, bool]] = [
    ("train-task", "ecs-tasks.amazonaws.com", f"{ECS}:*", ACCOUNT, True),
    ("train-task", "ecs-tasks.amazonaws.com", f"arn:aws:ecs:{REGION}:999988887777:*", "999988887777", False),
    ("train-task", "ec2.amazonaws.com", f"{ECS}:*", ACCOUNT, False),
    ("train-execution", "ecs-tasks.amazonaws.com", f"{ECS}:*", ACCOUNT, True),
    ("train-execution", "states.amazonaws.com", f"{STATES}:stateMachine:herd-dev-train", ACCOUNT, False),
    ("roles-states", "states.amazonaws.com", f"{STATES}:stateMachine:herd-dev-train", ACCOUNT, True),
    ("roles-states", "states.amazonaws.com", f"{STATES}:stateMachine:mine", ACCOUNT, False),
    ("roles-states", "scheduler.amazonaws.com", f"{STATES}:stateMachine:herd-dev-train", ACCOUNT, False),
    ("roles-scheduler", "scheduler.amazonaws.com",
     f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/herd-dev", ACCOUNT, True),
    ("roles-scheduler", "scheduler.amazonaws.com",
     f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/default", ACCOUNT, False),
    ("roles-instances", "ec2.amazonaws.com", "", "", True),
    ("roles-instances", "ecs-tasks.amazonaws.com", f"{ECS}:*", ACCOUNT, False),
]  # fmt: skip


@cache
def program(environment: str) -> Program:
    with tempfile.TemporaryDirectory() as folder:
        return run_program(write_team(Path(folder), FILES), ENVIRONMENTS[environment])


def cases() -> Iterator[tuple[str, str, str, dict[str, str], bool]]:
    for role in YES:
        yield from ((role, *case, True) for case in YES[role])
        yield from ((role, *case, False) for case in [*EVERYBODYS_NOES, *NO[role]])


def label(value: object) -> str:
    text = str(value)
    return text.replace(f"{REGION}:{ACCOUNT}", "").replace(f"herd-dev-{ACCOUNT}", "").replace("arn:aws:", "")


@pytest.mark.parametrize(("role", "action", "resource", "context", "allowed"), list(cases()), ids=label)
def test_a_role_may_do_this_or_not(
    role: str, action: str, resource: str, context: dict[str, str], allowed: bool
) -> None:
    text = program("dev").one("iam/rolePolicy:RolePolicy", role).inputs["policy"]
    who = Who(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y", role=f"{ROLES}/x", account=ACCOUNT)
    policies = Policies(identity=(documents.read(text),))
    assert decide(Access(action, resource), who, policies, context).allowed is allowed


KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0"


def by_key(service: str, alias: str = "alias/herd-prod") -> dict[str, str | list[str]]:
    return {"kms:viaservice": f"{service}.{REGION}.amazonaws.com", "kms:resourcealiases": [alias]}


IN_PROD: list[tuple[str, str, str, dict[str, str | list[str]], bool]] = [
    ("lonely-execution", "kms:Decrypt", KEY, by_key("secretsmanager"), True),
    ("lonely-execution", "kms:Decrypt", KEY, by_key("s3"), False),
    ("lonely-execution", "kms:Decrypt", KEY, {}, False),
    ("lonely-execution", "secretsmanager:GetSecretValue", f"{SECRET}:herd-prod/weather-key-AbCdEf", {}, True),
    ("lonely-execution", "secretsmanager:GetSecretValue", f"{SECRET}:herd-dev/weather-key-AbCdEf", {}, False),
    ("lonely-execution", "logs:PutLogEvents", f"{LOGS}:/herd-prod/lonely:log-stream:x", {}, True),
    ("lonely-execution", "ecr:BatchGetImage", f"{ECR}/herd-prod/python", {}, True),
    ("train-execution", "kms:Decrypt", KEY, by_key("secretsmanager"), False),
    ("train-task", "kms:Decrypt", KEY, by_key("s3"), True),
    ("train-task", "kms:GenerateDataKey", KEY, by_key("s3"), True),
    ("train-task", "kms:Decrypt", KEY, by_key("secretsmanager"), False),
    ("train-task", "kms:Decrypt", KEY, by_key("s3", "alias/herd-dev"), False),
    ("train-task", "kms:Encrypt", KEY, by_key("s3"), False),
    ("train-task", "s3:PutObject", f"{PROD}/train/latest.json", {}, True),
    ("train-task", "s3:PutObject", f"{DATA}/train/latest.json", {}, False),
    ("answers-task", "kms:Decrypt", KEY, by_key("s3"), True),
    ("answers-task", "kms:GenerateDataKey", KEY, by_key("s3"), False),
    ("roles-states", "kms:GenerateDataKey", KEY, by_key("s3"), True),
    ("roles-states", "s3:PutObject", f"{PROD}/_runs/train/r.json", {}, True),
    ("roles-states", "ecs:RunTask", f"{ECS}:task-definition/herd-prod-train:1",
     {"ecs:cluster": f"{ECS}:cluster/herd-prod"}, True),
    ("roles-states", "iam:PassRole", f"{ROLES}/herd-prod/tasks/herd-prod-train-task", {**PASSED}, True),
    ("roles-states", "states:StartExecution", f"{STATES}:stateMachine:herd-prod-train", {}, True),
    ("roles-states", "events:PutRule", f"{RULE}/StepFunctionsGetEventsForECSTaskRule", {}, True),
    ("roles-scheduler", "states:StartExecution", f"{STATES}:stateMachine:herd-prod-ingest-pipeline", {}, True),
    ("roles-scheduler", "states:StartExecution", f"{STATES}:stateMachine:herd-dev-ingest-pipeline", {}, False),
    ("roles-scheduler", "kms:GenerateDataKey", KEY, by_key("sqs"), True),
]  # fmt: skip


@pytest.mark.parametrize(("role", "action", "resource", "context", "allowed"), IN_PROD, ids=label)
def test_in_prod_a_role_may_do_this_or_not_within_the_boundary(
    role: str, action: str, resource: str, context: dict[str, str | list[str]], allowed: bool
) -> None:
    text = program("prod").one("iam/rolePolicy:RolePolicy", role).inputs["policy"]
    text = text.replace("acme-prod-data", f"herd-prod-{ACCOUNT}-data")  # the name that bootstrap gives it
    limit = boundary(Scope(Account(ACCOUNT, REGION), "herd", ("prod",)))
    who = Who(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y", role=f"{ROLES}/x", account=ACCOUNT)
    policies = Policies(identity=(documents.read(text),), boundary=documents.read(json.dumps(limit)))
    assert decide(Access(action, resource), who, policies, context).allowed is allowed
    within = program("prod").one("iam/role:Role", role).inputs["permissionsBoundary"]
    assert within == f"arn:aws:iam::{ACCOUNT}:policy/herd-boundary"


def test_each_role_is_asked_forty_times() -> None:
    asked = Counter(role for role, *_ in cases())
    assert set(asked) == {
        "lonely-execution", "train-task", "page-task", "answers-task", "roles-states", "roles-scheduler",
        "roles-instances",
    }  # fmt: skip
    assert min(asked.values()) >= 40, asked


@pytest.mark.parametrize(("role", "service", "source", "account", "trusted"), TRUST)
def test_who_may_take_a_role_on(role: str, service: str, source: str, account: str, trusted: bool) -> None:
    text = program("dev").one("iam/role:Role", role).inputs["assumeRolePolicy"]
    policies = Policies(resource=documents.read(text), resource_decides=True)
    context = {"aws:sourcearn": source, "aws:sourceaccount": account}
    found = decide(Access("sts:AssumeRole", f"{ROLES}/x"), Who(service=service), policies, context)
    assert found.allowed is trusted


def test_roles_that_nothing_is_granted_have_no_policy() -> None:
    assert "inside-task" not in {policy.name for policy in program("dev").of("iam/rolePolicy:RolePolicy")}
    assert all(json.loads(p.inputs["policy"])["Statement"] for p in program("dev").of("iam/rolePolicy:RolePolicy"))
