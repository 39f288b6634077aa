"""What calls to services other than S3 need, asked of the account as a role makes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.iam.accesses import accesses
from localcloud.request import Call, Request, address, read
from tests.localcloud.iam.acting import REGION, Account

A = "111122223333"


def call_of(method: str, url: str, headers: list[tuple[str, str]], body: bytes, account: str = A) -> Call:
    request = Request(method, url, headers, body, "root")
    return read(request, address(request, account, REGION))


def needs(service: str, action: str, parameters: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Actions, resources and condition keys of a JSON call."""
    headers = [
        ("Authorization", f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/{service}/aws4_request, Signature=0"),
        ("X-Amz-Target", f"X.{action}"),
    ]
    call = call_of("POST", "/", headers, json.dumps(parameters).encode(), A)
    return [(access.action, access.resource, dict(access.context)) for access in accesses(call)]


def form(service: str, **parameters: str) -> list[tuple[str, str]]:
    from urllib.parse import urlencode

    headers = [
        ("Authorization", f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/{service}/aws4_request, Signature=0"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]
    call = call_of("POST", "/", headers, urlencode(parameters).encode(), A)
    return [(access.action, access.resource) for access in accesses(call)]


def rest(service: str, method: str, url: str, body: Any = None) -> list[tuple[str, str]]:
    headers = [
        ("Authorization", f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/{service}/aws4_request, Signature=0")
    ]
    call = call_of(method, url, headers, json.dumps(body or {}).encode(), A)
    return [(access.action, access.resource) for access in accesses(call)]


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{A}:{resource}"


CLUSTER = {"ecs:cluster": arn("ecs", "cluster/c")}

JSON_CALLS: list[tuple[str, str, dict[str, Any], list[tuple[str, str, dict[str, Any]]]]] = [
    ("ecs", "StopTask", {"cluster": "c", "task": "t"}, [("ecs:StopTask", arn("ecs", "task/c/t"), CLUSTER)]),
    ("ecs", "DescribeTasks", {"cluster": arn("ecs", "cluster/c"), "tasks": [arn("ecs", "task/c/t"), "u"]},
     [("ecs:DescribeTasks", arn("ecs", "task/c/t"), CLUSTER), ("ecs:DescribeTasks", arn("ecs", "task/c/u"), CLUSTER)]),
    ("ecs", "ListTasks", {"cluster": "c"}, [("ecs:ListTasks", "*", CLUSTER)]),
    ("ecs", "UpdateService", {"cluster": "c", "service": "s"},
     [("ecs:UpdateService", arn("ecs", "service/c/s"), CLUSTER)]),
    ("ecs", "DescribeTaskDefinition", {"taskDefinition": "f"}, [("ecs:DescribeTaskDefinition", "*", {})]),
    ("states", "StartExecution", {"stateMachineArn": arn("states", "stateMachine:m")},
     [("states:StartExecution", arn("states", "stateMachine:m"), {})]),
    ("states", "StartExecution", {"stateMachineArn": arn("states", "stateMachine:m:live")},
     [("states:StartExecution", arn("states", "stateMachine:m"), {"states:statemachinequalifier": "live"})]),
    ("states", "StopExecution", {"executionArn": arn("states", "execution:m:e")},
     [("states:StopExecution", arn("states", "execution:m:e"), {})]),
    ("states", "ValidateStateMachineDefinition", {"definition": "{}"},
     [("states:ValidateStateMachineDefinition", arn("states", "stateMachine:*"), {})]),
    ("states", "CreateStateMachine", {"name": "m", "roleArn": f"arn:aws:iam::{A}:role/r"},
     [("states:CreateStateMachine", arn("states", "stateMachine:m"), {}),
      ("iam:PassRole", f"arn:aws:iam::{A}:role/r", {"iam:passedtoservice": "states.amazonaws.com"})]),
    ("logs", "PutLogEvents", {"logGroupName": "/g", "logStreamName": "s"},
     [("logs:PutLogEvents", arn("logs", "log-group:/g:log-stream:s"), {})]),
    ("logs", "FilterLogEvents", {"logGroupName": "/g"},
     [("logs:FilterLogEvents", arn("logs", "log-group:/g:log-stream:"), {})]),
    ("logs", "FilterLogEvents", {"logGroupIdentifier": arn("logs", "log-group:/g:*")},
     [("logs:FilterLogEvents", arn("logs", "log-group:/g:log-stream:"), {})]),
    ("events", "PutEvents", {"Entries": [{"Source": "x"}, {"EventBusName": "b"}]},
     [("events:PutEvents", arn("events", "event-bus/default"), {}),
      ("events:PutEvents", arn("events", "event-bus/b"), {})]),
    ("events", "PutRule", {"Name": "r"}, [("events:PutRule", arn("events", "rule/r"), {})]),
    ("events", "PutTargets", {"Rule": "r", "EventBusName": "b", "Targets": [{"RoleArn": f"arn:aws:iam::{A}:role/r"}]},
     [("events:PutTargets", arn("events", "rule/b/r"), {}),
      ("iam:PassRole", f"arn:aws:iam::{A}:role/r", {"iam:passedtoservice": "events.amazonaws.com"})]),
    ("dynamodb", "GetItem", {"TableName": "t"}, [("dynamodb:GetItem", arn("dynamodb", "table/t"), {})]),
    ("dynamodb", "Query", {"TableName": "t", "IndexName": "i"},
     [("dynamodb:Query", arn("dynamodb", "table/t/index/i"), {})]),
    ("dynamodb", "BatchWriteItem", {"RequestItems": {"t": [], "u": []}},
     [("dynamodb:BatchWriteItem", arn("dynamodb", "table/t"), {}),
      ("dynamodb:BatchWriteItem", arn("dynamodb", "table/u"), {})]),
    ("dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "t"}}]},
     [("dynamodb:TransactWriteItems", arn("dynamodb", "table/t"), {})]),
    ("sqs", "SendMessage", {"QueueUrl": f"http://127.0.0.1:1/{A}/q"}, [("sqs:SendMessage", arn("sqs", "q"), {})]),
    ("sqs", "DeleteMessageBatch", {"QueueUrl": f"http://127.0.0.1:1/{A}/q"},
     [("sqs:DeleteMessage", arn("sqs", "q"), {})]),
    ("sqs", "SendMessageBatch", {"QueueUrl": f"http://127.0.0.1:1/{A}/q"}, [("sqs:SendMessage", arn("sqs", "q"), {})]),
    ("ssm", "GetParameter", {"Name": "/a/b"}, [("ssm:GetParameter", arn("ssm", "parameter/a/b"), {})]),
    ("ssm", "GetParameters", {"Names": ["x", arn("ssm", "parameter/y")]},
     [("ssm:GetParameters", arn("ssm", "parameter/x"), {}), ("ssm:GetParameters", arn("ssm", "parameter/y"), {})]),
    ("ssm", "GetParametersByPath", {"Path": "/a"}, [("ssm:GetParametersByPath", arn("ssm", "parameter/a"), {})]),
    ("secretsmanager", "GetSecretValue", {"SecretId": arn("secretsmanager", "secret:x-AbCdEf")},
     [("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:x-AbCdEf"), {})]),
    ("secretsmanager", "BatchGetSecretValue", {"SecretIdList": [arn("secretsmanager", "secret:x-AbCdEf")]},
     [("secretsmanager:BatchGetSecretValue", "*", {}),
      ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:x-AbCdEf"), {})]),
    ("kms", "Decrypt", {"KeyId": arn("kms", "key/k"), "EncryptionContext": {"Job": "x"}},
     [("kms:Decrypt", arn("kms", "key/k"), {"kms:encryptioncontext:job": "x"})]),
    ("ecr", "GetAuthorizationToken", {}, [("ecr:GetAuthorizationToken", "*", {})]),
    ("ecr", "BatchGetImage", {"repositoryName": "a/b"}, [("ecr:BatchGetImage", arn("ecr", "repository/a/b"), {})]),
    ("monitoring", "PutMetricData", {"Namespace": "N"},
     [("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "N"})]),
    ("kinesis", "PutRecord", {"StreamARN": arn("kinesis", "stream/s")},
     [("kinesis:PutRecord", arn("kinesis", "stream/s"), {})]),
    ("glue", "StartJobRun", {"JobName": "j"}, [("glue:StartJobRun", "*", {})]),
    ("ecs", "CreateCluster", {"clusterName": "c", "tags": [{"key": "Team", "value": "x"}]},
     [("ecs:CreateCluster", arn("ecs", "cluster/c"), {"aws:requesttag/team": "x", "aws:tagkeys": ["Team"]})]),
]  # fmt: skip


@pytest.mark.parametrize(("service", "action", "parameters", "wanted"), JSON_CALLS)
def test_json_calls(service: str, action: str, parameters: dict[str, Any], wanted: list[Any]) -> None:
    assert needs(service, action, parameters) == wanted


ROLE = f"arn:aws:iam::{A}:role"
FORMS: list[tuple[str, dict[str, str], list[tuple[str, str]]]] = [
    ("iam", {"Action": "PutRolePolicy", "RoleName": "r"}, [("iam:PutRolePolicy", f"{ROLE}/r")]),
    ("iam", {"Action": "CreateRole", "RoleName": "r", "Path": "/a/b/"}, [("iam:CreateRole", f"{ROLE}/a/b/r")]),
    ("iam", {"Action": "DeletePolicy", "PolicyArn": f"arn:aws:iam::{A}:policy/p", "RoleName": "mine"},
     [("iam:DeletePolicy", f"arn:aws:iam::{A}:policy/p")]),
    ("iam", {"Action": "CreateUser", "UserName": "u"}, [("iam:CreateUser", f"arn:aws:iam::{A}:user/u")]),
    ("iam", {"Action": "ListRoles"}, [("iam:ListRoles", "*")]),
    ("sts", {"Action": "AssumeRole", "RoleArn": f"{ROLE}/r"}, [("sts:AssumeRole", f"{ROLE}/r")]),
    ("sts", {"Action": "GetCallerIdentity"}, []),
    ("sns", {"Action": "Publish", "TopicArn": arn("sns", "mine"), "TargetArn": arn("sns", "other")},
     [("sns:Publish", arn("sns", "mine")), ("sns:Publish", arn("sns", "other"))]),
    ("sns", {"Action": "Unsubscribe", "SubscriptionArn": arn("sns", "t:1-2")}, [("sns:Unsubscribe", arn("sns", "t"))]),
    ("rds", {"Action": "DeleteDBInstance", "DBInstanceIdentifier": "d"},
     [("rds:DeleteDBInstance", arn("rds", "db:d"))]),
    ("rds", {"Action": "CreateDBInstance", "DBInstanceIdentifier": "d", "DBSubnetGroupName": "s"},
     [("rds:CreateDBInstance", arn("rds", "db:d")), ("rds:CreateDBInstance", arn("rds", "subgrp:s"))]),
    ("rds", {"Action": "AddTagsToResource", "ResourceName": arn("rds", "db:d")},
     [("rds:AddTagsToResource", arn("rds", "db:d"))]),
    ("rds", {"Action": "DescribeDBInstances"}, [("rds:DescribeDBInstances", "*")]),
    ("monitoring", {"Action": "PutMetricData", "Namespace": "N"}, [("cloudwatch:PutMetricData", "*")]),
]  # fmt: skip


@pytest.mark.parametrize(("service", "parameters", "wanted"), FORMS)
def test_forms(service: str, parameters: dict[str, str], wanted: list[tuple[str, str]]) -> None:
    assert form(service, **parameters) == wanted


RESTS: list[tuple[str, str, str, Any, list[tuple[str, str]]]] = [
    ("scheduler", "POST", "/schedules/s", {"GroupName": "g", "Target": {"RoleArn": f"{ROLE}/r"}},
     [("scheduler:CreateSchedule", arn("scheduler", "schedule/g/s")), ("iam:PassRole", f"{ROLE}/r")]),
    ("scheduler", "GET", "/schedules/s?groupName=g", None,
     [("scheduler:GetSchedule", arn("scheduler", "schedule/g/s"))]),
    ("scheduler", "DELETE", "/schedules/s", None,
     [("scheduler:DeleteSchedule", arn("scheduler", "schedule/default/s"))]),
    ("scheduler", "GET", "/schedules", None, [("scheduler:ListSchedules", "*")]),
    ("scheduler", "DELETE", "/schedule-groups/g", None,
     [("scheduler:DeleteScheduleGroup", arn("scheduler", "schedule-group/g"))]),
    ("lambda", "POST", "/2015-03-31/functions/f/invocations", None,
     [("lambda:InvokeFunction", arn("lambda", "function:f"))]),
    ("lambda", "POST", "/2015-03-31/functions/f/invocations?Qualifier=live", None,
     [("lambda:InvokeFunction", arn("lambda", "function:f:live"))]),
    ("lambda", "GET", "/2015-03-31/functions/f", None, [("lambda:GetFunction", arn("lambda", "function:f"))]),
    ("lambda", "GET", "/2015-03-31/functions/", None, [("lambda:ListFunctions", "*")]),
    ("lambda", "DELETE", "/2015-03-31/event-source-mappings/u-1", None,
     [("lambda:DeleteEventSourceMapping", arn("lambda", "event-source-mapping:u-1"))]),
]  # fmt: skip


@pytest.mark.parametrize(("service", "method", "url", "body", "wanted"), RESTS)
def test_rest_calls(service: str, method: str, url: str, body: Any, wanted: list[tuple[str, str]]) -> None:
    assert rest(service, method, url, body) == wanted


@pytest.mark.parametrize(
    "tagged",
    [{"tags": [{"key": "k", "value": "v"}]}, {"propagateTags": "TASK_DEFINITION"}],
    ids=["its own tags", "those of its definition"],
)
def test_a_task_is_authorised_by_its_latest_revision_with_its_roles_and_tags(
    account: Account, tagged: dict[str, Any]
) -> None:
    ecs = account.root("ecs")
    for _ in range(2):
        ecs.register_task_definition(
            family="f", containerDefinitions=[{"name": "a", "image": "b", "memory": 8}],
            taskRoleArn=f"{ROLE}/task", executionRoleArn=f"{ROLE}/execution",
        )  # fmt: skip
    headers = [
        ("Authorization", f"AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/ecs/aws4_request, Signature=0"),
        ("X-Amz-Target", "X.RunTask"),
    ]
    asked = {"taskDefinition": "f", "cluster": "c", "overrides": {"taskRoleArn": f"{ROLE}/other"}, **tagged}
    call = call_of("POST", "/", headers, json.dumps(asked).encode(), account.id)
    found = [(access.action, access.resource) for access in accesses(call)]
    assert found == [
        ("ecs:RunTask", f"arn:aws:ecs:{REGION}:{account.id}:task-definition/f:2"),
        ("iam:PassRole", f"{ROLE}/other"),
        ("iam:PassRole", f"{ROLE}/execution"),
        ("ecs:TagResource", f"arn:aws:ecs:{REGION}:{account.id}:task/c/*"),
    ]
