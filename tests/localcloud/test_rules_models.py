"""What botocore's models say, judged for every client: lengths, patterns, sets of values, sizes, what is required."""

from __future__ import annotations

import json
import re
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.request import Call, Refused, Request, render
from localcloud.rules import shapes
from localcloud.server import Server

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:q"
ROLE = "arn:aws:iam::123456789012:role/r"
TARGET = {"Arn": QUEUE, "RoleArn": ROLE}

REFUSED: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "length": ("iam", "get_role", {"RoleName": "a" * 65}, "ValidationError", "less than or equal to 64"),
    "pattern": ("iam", "get_role", {"RoleName": "a b"}, "ValidationError", r"pattern: \[\\w"),
    "enum": (
        "iam", "list_policies", {"Scope": "Mine"}, "ValidationError", r"enum value set: \[All, AWS, Local\]",
    ),
    "number": (
        "iam", "list_roles", {"MaxItems": 1001}, "ValidationError", "value less than or equal to 1000",
    ),
    "log group's name": (
        "logs", "create_log_group", {"logGroupName": "a b"}, "InvalidParameterException", "pattern",
    ),
    "in a list": (
        "secretsmanager", "create_secret", {"Name": "s", "Tags": [{"Key": "k" * 129, "Value": ""}]},
        "InvalidParameterException", "tags.1.member.key",
    ),
    "schedule's window": (
        "scheduler", "create_schedule",
        {"Name": "s", "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "SOMETIMES"},
         "Target": TARGET},
        "ValidationException", "flexibleTimeWindow.mode",
    ),
    "schedule's retries": (
        "scheduler", "create_schedule",
        {"Name": "s", "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"},
         "Target": {**TARGET, "RetryPolicy": {"MaximumRetryAttempts": 186}}},
        "ValidationException", "target.retryPolicy.maximumRetryAttempts",
    ),
    "key's window": (
        "kms", "schedule_key_deletion", {"KeyId": "k", "PendingWindowInDays": 400}, "ValidationException", "365",
    ),
    "repository's name": (
        "ecr", "create_repository", {"repositoryName": "Upper"}, "InvalidParameterException", "pattern",
    ),
    "alias of a key": (
        "kms", "create_alias", {"AliasName": "alias/a b", "TargetKeyId": "k"}, "ValidationException", "aliasName",
    ),
    "rule of a bus": ("events", "put_rule", {"Name": "a b", "EventPattern": "{}"}, "ValidationException", "pattern"),
    "parameter's tier": (
        "ssm", "put_parameter", {"Name": "/a", "Value": "v", "Type": "Text"}, "ValidationException", "enum",
    ),
    "launch type": (
        "ecs", "run_task", {"taskDefinition": "t", "launchType": "MOON"}, "InvalidParameterException", "enum",
    ),
    "balancer's scheme": (
        "elbv2", "create_load_balancer", {"Name": "a", "Subnets": ["s-1", "s-2"], "Scheme": "hidden"},
        "ValidationError", "internet-facing, internal",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_model_forbids_is_refused_in_awss_words(server: Server, case: str) -> None:
    service, operation, arguments, code, words = REFUSED[case]
    with pytest.raises(ClientError) as caught:
        getattr(unchecked(server, service), operation)(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"] == code and "validation error" in error["Message"] and re.search(words, error["Message"])


def unchecked(server: Server, service: str) -> Any:
    """A client that does not judge by itself."""
    client = server.client(service)
    session = botocore.session.Session()
    for variable in ("config_file", "credentials_file"):
        session.set_config_variable(variable, "/dev/null")
    session.set_config_variable("profile", None)
    loose = session.create_client(
        service, region_name="eu-west-1", endpoint_url=server.endpoint, aws_access_key_id="a",
        aws_secret_access_key="b", config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    scope = client.meta.service_model.signing_name
    authorization = f"AWS4-HMAC-SHA256 Credential=a/20000101/eu-west-1/{scope}/aws4_request, SignedHeaders=host, "
    loose.meta.events.register("choose-signer.*.*", lambda **_: botocore.UNSIGNED)
    loose.meta.events.register(
        "before-send.*.*", lambda request, **_: server._send(request, f"{authorization}Signature=0")
    )
    return loose


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("ecs", "register_task_definition", {"family": "f"}, "InvalidParameterException"),
        ("iam", "create_role", {"RoleName": "r"}, "ValidationError"),
        ("ec2", "create_subnet", {"CidrBlock": "10.0.0.0/24"}, "MissingParameter"),
        ("scheduler", "create_schedule", {"Name": "s", "FlexibleTimeWindow": {"Mode": "OFF"}}, "ValidationException"),
        ("dynamodb", "get_item", {"TableName": "abc"}, "ValidationException"),
    ],
)
def test_what_is_required_must_be_there(
    server: Server, service: str, operation: str, arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError, match="must not be null") as caught:
        getattr(unchecked(server, service), operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == code


def test_all_that_is_wrong_is_told_at_once_and_no_secret_is_repeated(server: Server) -> None:
    arguments = {"Name": "a b!" * 200, "SecretString": "canary" * 20_000}
    with pytest.raises(ClientError, match="2 validation errors detected") as caught:
        server.client("secretsmanager").create_secret(**arguments)
    assert "canary" not in str(caught.value)


def test_a_request_of_no_known_service_is_motos_affair() -> None:
    assert shapes.checker_of("no-such-service", "Do") is None and shapes.checker_of("iam", "Juggle") is None


def test_a_body_that_is_no_json_is_refused(server: Server) -> None:
    scope = "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/ecs/aws4_request, SignedHeaders=host, Signature=0"
    headers = [("Host", "x"), ("Authorization", scope), ("X-Amz-Target", "X.CreateCluster")]
    answer = server.handle(Request("POST", "/", headers, b"{", "root"))
    assert answer.status == 400 and json.loads(answer.body)["__type"] == "SerializationException"


SERVICES = [
    "acm",
    "application-autoscaling",
    "autoscaling",
    "cloudfront",
    "cloudwatch",
    "dynamodb",
    "ecr",
    "ecs",
    "elbv2",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "route53",
    "s3control",
    "scheduler",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
]


def test_every_pattern_of_the_services_in_use_can_be_checked() -> None:
    session = botocore.session.Session()
    lost = [
        (service, name)
        for service in SERVICES
        for model in [session.get_service_model(service)]
        for name in model.shape_names
        if (pattern := model.shape_for(name).metadata.get("pattern")) and shapes._compiled(pattern) is None
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"\p{Print}+", "a b", "\x01"),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Zoë 1/2", "a;b"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\n😀", "\x00"),
        (r"[[:alnum:]_]+", "a_1", "a-1"),
        (r"[\w-_]*", "a-b", "a b"),
    ],
)
def test_javas_patterns_are_read(pattern: str, good: str, bad: str) -> None:
    compiled = shapes._compiled(pattern)
    assert compiled is not None and compiled.fullmatch(good) and not compiled.fullmatch(bad)


def test_a_shape_that_holds_itself_is_checked_at_any_depth() -> None:
    deep: dict[str, Any] = {"L": [{"M": {"a": {"NS": [1]}}}]}
    shapes.check("dynamodb", "PutItem", "json", {"TableName": "abc", "Item": {"k": deep}})
    with pytest.raises(Refused, match="tableName"):
        shapes.check("dynamodb", "PutItem", "json", {"TableName": "", "Item": {"k": deep}})


def test_an_exception_is_about_something() -> None:
    session = botocore.session.Session()
    for service, name in shapes.EXCEPTIONS:
        known = session.get_service_model(service)
        assert name.startswith("*") or name in known.shape_names, f"{service} has no shape {name}: drop the exception"


def test_errors_have_the_shape_of_their_protocol() -> None:
    call = Call("logs", "CreateLogGroup", "json", "1", "eu-west-1", "/", b"{}")
    with pytest.raises(Refused) as caught:
        shapes.check("logs", "CreateLogGroup", "json", {})
    status, _, body = render(caught.value, call)
    assert status == 400 and json.loads(body)["__type"] == "InvalidParameterException"
