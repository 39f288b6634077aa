"""The judge answers every question: a refusal or a permission, never an error of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.iam.acting import REGION, Account, allow, deny


def code(account: Account, role: str, service: str, operation: str, **parameters: Any) -> str:
    """What a role's call is answered: an error's code, "" for success."""
    try:
        getattr(account.client(role, service), operation)(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


# --- keys whose newest version is a delete marker --------------------------------------------------------------------


@pytest.fixture
def deleted(account: Account) -> tuple[str, str]:
    """A versioned bucket whose key `own/k` was deleted, and the version that was before."""
    bucket, root = account.bucket(), account.root("s3")
    root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = root.put_object(Bucket=bucket, Key="own/k", Body=b"before")["VersionId"]
    root.delete_object(Bucket=bucket, Key="own/k")
    return bucket, version


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_a_deleted_key_is_missing(account: Account, deleted: tuple[str, str], operation: str) -> None:
    bucket, version = deleted
    everything = account.role(allow("s3:*"))
    assert code(account, everything, "s3", operation, Bucket=bucket, Key="own/k") in ("NoSuchKey", "404")
    assert code(account, everything, "s3", operation, Bucket=bucket, Key="own/k", VersionId=version) == ""
    assert code(account, everything, "s3", "put_object", Bucket=bucket, Key="own/k", Body=b"after") == ""
    assert code(account, everything, "s3", operation, Bucket=bucket, Key="own/k") == ""


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_who_may_not_list_is_not_told_that_a_key_was_deleted(
    account: Account, deleted: tuple[str, str], operation: str
) -> None:
    bucket, _ = deleted
    reader = account.role(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    assert code(account, reader, "s3", operation, Bucket=bucket, Key="own/k") in ("AccessDenied", "403")
    assert code(account, reader, "s3", operation, Bucket=bucket, Key="own/never") in ("AccessDenied", "403")


OF_A_DELETED_KEY = {
    "get_object_tagging": {},
    "get_object_acl": {},
    "put_object_tagging": {"Tagging": {"TagSet": []}},
    "delete_object_tagging": {},
    "delete_object": {},
    "put_object_acl": {"ACL": "private"},
    "get_object_attributes": {"ObjectAttributes": ["ETag"]},
}


@pytest.mark.parametrize("operation", OF_A_DELETED_KEY)
def test_nothing_about_a_deleted_key_is_an_error_of_the_cloud(
    account: Account, deleted: tuple[str, str], operation: str
) -> None:
    bucket, _ = deleted
    parameters = {"Bucket": bucket, "Key": "own/k", **OF_A_DELETED_KEY[operation]}
    answer = code(account, account.role(allow("s3:*")), "s3", operation, **parameters)
    assert answer not in ("500", "InternalFailure", "InternalError"), answer


def test_a_deleted_key_of_an_encrypted_bucket_and_as_a_source(account: Account, deleted: tuple[str, str]) -> None:
    bucket, version = deleted
    key = account.root("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    account.root("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    role = account.role(allow("s3:*"), allow("kms:*"))
    assert code(account, role, "s3", "get_object", Bucket=bucket, Key="own/k") == "NoSuchKey"
    source = {"Bucket": bucket, "Key": "own/k"}
    assert code(account, role, "s3", "copy_object", Bucket=bucket, Key="own/c", CopySource=source) == "NoSuchKey"
    source["VersionId"] = version
    assert code(account, role, "s3", "copy_object", Bucket=bucket, Key="own/c", CopySource=source) == ""


# --- tags of resources -----------------------------------------------------------------------------------------------

WEB = {"team": "web"}


def queue(account: Account) -> dict[str, Any]:
    return {"QueueUrl": account.root("sqs").create_queue(QueueName="q", tags=WEB)["QueueUrl"]}


def group(account: Account) -> dict[str, Any]:
    account.root("logs").create_log_group(logGroupName="/g", tags=WEB)
    return {"logGroupName": "/g"}


def topic(account: Account) -> dict[str, Any]:
    arn = account.root("sns").create_topic(Name="t", Tags=[{"Key": "team", "Value": "web"}])["TopicArn"]
    return {"TopicArn": arn}


def repository(account: Account) -> dict[str, Any]:
    account.root("ecr").create_repository(repositoryName="rep", tags=[{"Key": "team", "Value": "web"}])
    return {"repositoryName": "rep"}


def secret(account: Account) -> dict[str, Any]:
    tags = [{"Key": "team", "Value": "web"}]
    return {"SecretId": account.root("secretsmanager").create_secret(Name="s", SecretString="x", Tags=tags)["ARN"]}


def key(account: Account) -> dict[str, Any]:
    tags = [{"TagKey": "team", "TagValue": "web"}]
    return {"KeyId": account.root("kms").create_key(Tags=tags)["KeyMetadata"]["Arn"]}


TAGGED: dict[str, tuple[str, str, str, Callable[[Account], dict[str, Any]]]] = {
    "sqs": ("sqs", "sqs:GetQueueAttributes", "get_queue_attributes", queue),
    "logs": ("logs", "logs:DescribeLogStreams", "describe_log_streams", group),
    "sns": ("sns", "sns:GetTopicAttributes", "get_topic_attributes", topic),
    "ecr": ("ecr", "ecr:ListImages", "list_images", repository),
    "secretsmanager": ("secretsmanager", "secretsmanager:DescribeSecret", "describe_secret", secret),
    "kms": ("kms", "kms:DescribeKey", "describe_key", key),
}


@pytest.mark.parametrize("name", TAGGED)
def test_the_tags_of_a_resource_decide(account: Account, name: str) -> None:
    service, action, operation, make = TAGGED[name]
    parameters = make(account)
    refusals = ("AccessDenied", "AccessDeniedException", "AuthorizationError")
    for tag, expected in (("web", True), ("other", False)):
        role = account.role(allow(action, StringEquals={"aws:ResourceTag/team": tag}))
        assert (code(account, role, service, operation, **parameters) not in refusals) is expected, tag
    role = account.role(allow(action), deny(action, StringEquals={"aws:ResourceTag/team": "web"}))
    assert code(account, role, service, operation, **parameters) in refusals


def test_a_resource_without_tags_beside_one_that_has_some(account: Account) -> None:
    account.root("sqs").create_queue(QueueName="other", tags=WEB)
    account.root("logs").create_log_group(logGroupName="/g")
    role = account.role(allow("logs:*", StringEqualsIfExists={"aws:ResourceTag/team": "data"}))
    assert code(account, role, "logs", "describe_log_streams", logGroupName="/g") == ""


# --- every action in use, with a key of every kind -------------------------------------------------------------------

MACHINE, EXECUTION = (f"arn:aws:states:{REGION}:1:{kind}" for kind in ("stateMachine:m", "execution:m:e"))

CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "s3 get": ("s3", "get_object", {"Bucket": "BUCKET", "Key": "k"}),
    "s3 missing": ("s3", "get_object", {"Bucket": "BUCKET", "Key": "missing"}),
    "s3 no bucket": ("s3", "get_object", {"Bucket": "no-such-bucket-at-all", "Key": "k"}),
    "s3 head": ("s3", "head_object", {"Bucket": "BUCKET", "Key": "k"}),
    "s3 put": ("s3", "put_object", {"Bucket": "BUCKET", "Key": "n", "Body": b"", "Tagging": "a=b"}),
    "s3 copy": ("s3", "copy_object", {"Bucket": "BUCKET", "Key": "n", "CopySource": "BUCKET/k"}),
    "s3 delete": ("s3", "delete_object", {"Bucket": "BUCKET", "Key": "k"}),
    "s3 delete many": ("s3", "delete_objects", {"Bucket": "BUCKET", "Delete": {"Objects": [{"Key": "k"}]}}),
    "s3 list": ("s3", "list_objects_v2", {"Bucket": "BUCKET", "Prefix": "k"}),
    "s3 tags": ("s3", "get_object_tagging", {"Bucket": "BUCKET", "Key": "k"}),
    "s3 policy": ("s3", "get_bucket_policy", {"Bucket": "BUCKET"}),
    "s3 parts": ("s3", "create_multipart_upload", {"Bucket": "BUCKET", "Key": "n"}),
    "s3 buckets": ("s3", "list_buckets", {}),
    "ecs run": ("ecs", "run_task", {"taskDefinition": "none", "cluster": "none"}),
    "ecs tasks": ("ecs", "describe_tasks", {"tasks": ["t"], "cluster": "none"}),
    "ecs stop": ("ecs", "stop_task", {"task": "t"}),
    "ecs services": ("ecs", "describe_services", {"services": ["s"]}),
    "states start": (
        "stepfunctions",
        "start_execution",
        {"stateMachineArn": MACHINE},
    ),
    "states describe": (
        "stepfunctions",
        "describe_execution",
        {"executionArn": EXECUTION},
    ),
    "logs": ("logs", "get_log_events", {"logGroupName": "/none", "logStreamName": "s"}),
    "logs put": (
        "logs",
        "put_log_events",
        {"logGroupName": "/none", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "x"}]},
    ),
    "secret": ("secretsmanager", "get_secret_value", {"SecretId": "none"}),
    "parameter": ("ssm", "get_parameter", {"Name": "/none"}),
    "queue": ("sqs", "send_message", {"QueueUrl": "http://h/1/none", "MessageBody": "x"}),
    "topic": ("sns", "publish", {"TopicArn": f"arn:aws:sns:{REGION}:1:none", "Message": "x"}),
    "key": ("kms", "encrypt", {"KeyId": "none", "Plaintext": b"x"}),
    "decrypt": ("kms", "decrypt", {"CiphertextBlob": b"x"}),
    "role": ("sts", "assume_role", {"RoleArn": "arn:aws:iam::1:role/none", "RoleSessionName": "name"}),
    "iam": ("iam", "get_role", {"RoleName": "none"}),
    "schedule": ("scheduler", "get_schedule", {"Name": "none"}),
    "schedules": ("scheduler", "list_schedules", {}),
    "events": ("events", "put_events", {"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}"}]}),
    "rule": ("events", "describe_rule", {"Name": "none"}),
    "repository": ("ecr", "list_images", {"repositoryName": "none"}),
    "metrics": ("cloudwatch", "put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1}]}),
    "instances": ("ec2", "describe_instances", {}),
    "balancers": ("elbv2", "describe_load_balancers", {}),
    "table": ("dynamodb", "get_item", {"TableName": "none", "Key": {"id": {"S": "x"}}}),
    "functions": ("lambda", "get_function", {"FunctionName": "none"}),
    "zones": ("route53", "list_hosted_zones", {}),
    "machines": ("autoscaling", "describe_auto_scaling_groups", {}),
    "certificates": ("acm", "list_certificates", {}),
    "account": ("s3control", "get_public_access_block", {"AccountId": "111122223333"}),
}

CONDITIONS: dict[str, dict[str, Any]] = {
    "a tag of the resource": {"StringEquals": {"aws:ResourceTag/team": "web"}},
    "its service's own tag": {"StringLike": {"s3:ExistingObjectTag/a": "*", "ecs:ResourceTag/a": "*"}},
    "a tag of the request": {"StringEquals": {"aws:RequestTag/team": "web"}},
    "the names of tags": {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}},
    "a tag of the caller": {"StringEquals": {"aws:PrincipalTag/team": "web"}},
    "the caller": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}},
    "the time": {"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}},
    "the address": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    "a number": {"NumericLessThan": {"s3:max-keys": "10"}},
    "no number": {"NumericLessThan": {"aws:ResourceTag/team": "ten"}},
    "absence": {"Null": {"aws:ResourceTag/team": "true"}},
    "a region": {"StringEquals": {"aws:RequestedRegion": REGION}},
    "a service in between": {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}},
    "a variable": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    "a wrong address": {"IpAddress": {"aws:SourceIp": "nowhere"}},
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_action_is_judged_with_every_kind_of_key(
    account: Account, condition: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call by three roles: may, may under the condition, may not under the condition."""
    bucket = account.bucket("k")
    queue(account), group(account), repository(account), secret(account), key(account), topic(account)
    narrow = CONDITIONS[condition]
    roles = [account.role(allow("*", **narrow)), account.role(allow("*"), deny("*", **narrow))]
    caplog.set_level(logging.ERROR, logger="localcloud.iam.guard")
    failed = []
    for name, (service, operation, parameters) in CALLS.items():
        named = {k: v.replace("BUCKET", bucket) if isinstance(v, str) else v for k, v in parameters.items()}
        for role in roles:
            answer = code(account, role, service, operation, **named)
            if answer in ("500", "InternalFailure", "InternalError"):
                failed.append((name, answer))
    assert failed == []
    assert [record.message for record in caplog.records if record.name == "localcloud.iam.guard"] == []
