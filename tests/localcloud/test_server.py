"""The server: requests as they come from the wire, clients of this process, and what AWS's rules refuse."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.request import Request, Response
from localcloud.server import Server


def scope(service: str) -> tuple[str, str]:
    value = f"AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    return ("Authorization", value)


def send(server: Server, method: str, url: str, host: str, *headers: tuple[str, str], body: bytes = b"") -> Response:
    return server.handle(Request(method, url, [("Host", host), *headers], body, "root"))


def test_clients_are_made_once_and_work_from_many_threads(server: Server) -> None:
    assert server.client("sqs") is server.client("sqs")
    assert server.client("sqs") is not server.client("sqs", "us-east-1")
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for index in range(5):
                server.client("ecs").create_cluster(clusterName=f"c{number}-{index}")
                server.client("ecs").list_clusters()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(server.client("ecs").list_clusters()["clusterArns"]) == 30


def test_accounts_share_nothing(server: Server) -> None:
    other = Server(str(int(server.account) + 500), "eu-west-1", "http://127.0.0.1:4998")
    server.client("ecs").create_cluster(clusterName="mine")
    assert other.client("ecs").list_clusters()["clusterArns"] == []
    assert server.client("sts").get_caller_identity()["Account"] == server.account
    other.close()


def test_a_client_cannot_choose_the_account(server: Server) -> None:
    target = ("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters")
    json_type = ("Content-Type", "application/x-amz-json-1.1")
    server.client("ecs").create_cluster(clusterName="mine")
    for name in ("x-moto-account-id", "X-Moto-Account-Id", "X_Moto_Account_Id"):
        answer = send(server, "POST", "/", "127.0.0.1", scope("ecs"), target, json_type, (name, "1" * 12), body=b"{}")
        assert server.account in json.loads(answer.body)["clusterArns"][0]


SESSION = "arn:aws:sts::123456789012:assumed-role/my-role/session"


@pytest.mark.parametrize("principal, arn", [("root", "arn:aws:iam::{}:root"), (SESSION, SESSION)])
def test_caller_identity_is_the_principal(server: Server, principal: str, arn: str) -> None:
    form = ("Content-Type", "application/x-www-form-urlencoded")
    forged = ("x-localcloud-principal", "arn:aws:sts::1:assumed-role/other/s")
    headers = [("Host", "127.0.0.1"), scope("sts"), form, forged]
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    answer = server.handle(Request("POST", "/", headers, body, principal))
    assert f"<Arn>{arn.format(server.account)}</Arn>" in answer.body.decode()


@pytest.mark.parametrize("path", ["/moto-api/data.json", "/moto-api/reset", "/latest/meta-data/iam"])
def test_motos_own_paths_do_not_exist(server: Server, path: str) -> None:
    assert send(server, "GET", path, "127.0.0.1:4999").status == 404


KEYS = ["plain", "a//b", "with space", "100%", "a+b", "ü/ß", "a%2Fb", "dots/../up", "q?x=1&y", "#hash"]


@pytest.mark.parametrize("key", KEYS)
def test_object_keys_survive(server: Server, key: str) -> None:
    s3, bucket = server.client("s3"), f"keys-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key=key, Body=b"body", Metadata={"a_b": "1", "c-d": "2"})
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    got = s3.get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read(), got["Metadata"]) == (b"body", {"a_b": "1", "c-d": "2"})


def test_a_bucket_is_reached_by_its_own_host(server: Server) -> None:
    s3, bucket = server.client("s3"), f"my.dotted-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    host = f"{bucket}.s3.eu-west-1.localhost:4999"
    assert send(server, "PUT", "/d%C3%AD/x%20y", host, scope("s3"), body=b"hello").status == 200
    assert s3.get_object(Bucket=bucket, Key="dí/x y")["Body"].read() == b"hello"
    listing = send(server, "GET", "/?list-type=2", host, scope("s3"))
    assert b"<Key>d\xc3\xad/x y</Key>" in listing.body
    assert send(server, "GET", "/d%C3%AD/x%20y", host).status == 403, "unsigned, and nobody made it public"


def test_ranges_and_conditions_of_s3(server: Server) -> None:
    s3, bucket = server.client("s3"), f"range-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")["Body"].read() == b"234"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*")


def test_what_moto_lacks_is_named_and_not_retried(server: Server) -> None:
    with pytest.raises(ClientError, match="ecs:ListServiceDeployments") as caught:
        server.client("ecs").list_service_deployments(service="s")
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_addresses_that_services_echo_lead_here(server: Server) -> None:
    repository = server.client("ecr").create_repository(repositoryName="team/app")["repository"]
    host = f"{server.account}.dkr.ecr.eu-west-1.localhost:4999"
    assert repository["repositoryUri"] == f"{host}/team/app"
    queue = server.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    assert queue.startswith("http://127.0.0.1:4999/")


FARGATE: dict[str, tuple[dict[str, Any], str]] = {
    "no such pair": ({"cpu": "256", "memory": "4096"}, "No Fargate configuration exists for given values: 256 CPU"),
    "no such cpu": ({"cpu": "300", "memory": "1024"}, "No Fargate configuration exists"),
    "no cpu": ({"memory": "512"}, "requires that 'cpu' be defined"),
    "no memory": ({"cpu": "256"}, "requires that 'memory' be defined"),
    "bridge network": ({"networkMode": "bridge"}, "only supports network mode"),
    "disk too small": ({"ephemeralStorage": {"sizeInGiB": 20}}, "sizeInGiB"),
    "no execution role": ({"executionRoleArn": ""}, "to support log driver awslogs"),
}


def task_definition(**changes: Any) -> dict[str, Any]:
    definition = {
        "family": "f",
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": "arn:aws:iam::123456789012:role/r",
        "containerDefinitions": [
            {
                "name": "main",
                "image": "i",
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}},
            }
        ],
    }
    if "cpu" in changes or "memory" in changes:
        definition.pop("cpu"), definition.pop("memory")
    return {key: value for key, value in {**definition, **changes}.items() if value != ""}


@pytest.mark.parametrize("case", FARGATE)
def test_fargate_refuses(server: Server, case: str) -> None:
    changes, message = FARGATE[case]
    ecs = server.client("ecs")
    with pytest.raises(ecs.exceptions.ClientException, match=message):
        ecs.register_task_definition(**task_definition(**changes))


@pytest.mark.parametrize("cpu, memory", [("256", "512"), ("1024", "8192"), ("1 vCPU", "2 GB"), ("16384", "122880")])
def test_fargate_takes(server: Server, cpu: str, memory: str) -> None:
    assert server.client("ecs").register_task_definition(**task_definition(cpu=cpu, memory=memory))


SCHEDULES = {
    "bad cron": {"ScheduleExpression": "cron(99 99 * * ? *)"},
    "five fields": {"ScheduleExpression": "cron(0 6 * * 1)"},
    "no zone": {"ScheduleExpression": "rate(1 day)", "ScheduleExpressionTimezone": "Mars/Olympus"},
    "bad name": {"ScheduleExpression": "rate(1 day)", "Name": "a b"},
    "long name": {"ScheduleExpression": "rate(1 day)", "Name": "a" * 65},
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_scheduler_refuses(server: Server, case: str) -> None:
    scheduler = server.client("scheduler")
    target = {"Arn": "arn:aws:sqs:eu-west-1:1:q", "RoleArn": "arn:aws:iam::123456789012:role/r"}
    schedule = {"Name": "s", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target, **SCHEDULES[case]}
    with pytest.raises(scheduler.exceptions.ValidationException):
        scheduler.create_schedule(**schedule)


def test_a_missing_schedule_group_is_named(server: Server) -> None:
    scheduler = server.client("scheduler")
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException, match="absent"):
        scheduler.create_schedule(
            Name="s",
            GroupName="absent",
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:sqs:eu-west-1:1:q", "RoleArn": "arn:aws:iam::123456789012:role/r"},
        )


ANYONE = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::B/*"}


def test_a_public_policy_needs_the_block_off(server: Server) -> None:
    s3, bucket = server.client("s3"), f"public-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    policy = json.dumps({"Statement": [ANYONE]}).replace("B/*", f"{bucket}/*")
    s3.put_object(Bucket=bucket, Key="k", Body=b"open")
    with pytest.raises(ClientError, match="BlockPublicPolicy"):
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": True}
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert send(server, "GET", "/k", f"{bucket}.s3.eu-west-1.localhost:4999").read() == b"open"


def test_a_service_needs_a_target_group_in_use_and_a_name_of_its_own(server: Server) -> None:
    ecs, elb = server.client("ecs"), server.client("elbv2")
    vpc = server.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = server.client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = elb.create_target_group(Name="g", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    ecs.create_cluster(clusterName="c")
    ecs.register_task_definition(**task_definition())
    service = {
        "cluster": "c",
        "serviceName": "s",
        "taskDefinition": "f",
        "launchType": "FARGATE",
        "desiredCount": 1,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet]}},
    }
    balanced = {"loadBalancers": [{"targetGroupArn": arn, "containerName": "main", "containerPort": 80}]}
    with pytest.raises(ClientError, match="does not have an associated load balancer"):
        ecs.create_service(**service, **balanced)
    ecs.create_service(**service)
    with pytest.raises(ClientError, match="not idempotent"):
        ecs.create_service(**service)


PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
ROLE = "arn:aws:iam::123456789012:role/r"

SUBNETS = ["subnet-1", "subnet-2"]

NAMES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "long role": ("iam", "create_role", {"RoleName": "a" * 65, "AssumeRolePolicyDocument": "{}"}, "ValidationError"),
    "upper-case bucket": ("s3", "create_bucket", {"Bucket": "Upper"}, "InvalidBucketName"),
    "bucket like an address": ("s3", "create_bucket", {"Bucket": "10.0.0.1"}, "InvalidBucketName"),
    "bucket with two dots": ("s3", "create_bucket", {"Bucket": "a..b"}, "InvalidBucketName"),
    "cluster with a space": ("ecs", "create_cluster", {"clusterName": "a b"}, "InvalidParameterException"),
    "long machine": (
        "stepfunctions",
        "create_state_machine",
        {"name": "a" * 81, "definition": PASS, "roleArn": ROLE},
        "ValidationException",
    ),
    "long balancer": (
        "elbv2",
        "create_load_balancer",
        {"Name": "a" * 33, "Subnets": ["s-1", "s-2"]},
        "ValidationError",
    ),
    "balancer's edge": ("elbv2", "create_load_balancer", {"Name": "a-", "Subnets": ["s-1", "s-2"]}, "ValidationError"),
    "internal balancer": (
        "elbv2",
        "create_load_balancer",
        {"Name": "internal-a", "Subnets": ["s-1", "s-2"]},
        "ValidationError",
    ),
    "one subnet": ("elbv2", "create_load_balancer", {"Name": "a", "Subnets": ["s-1"]}, "ValidationError"),
    "long group": ("scheduler", "create_schedule_group", {"Name": "a" * 65}, "ValidationException"),
    "absent group": ("scheduler", "delete_schedule_group", {"Name": "absent"}, "ResourceNotFoundException"),
    "default group": ("scheduler", "delete_schedule_group", {"Name": "default"}, "ValidationException"),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_that_aws_does_not_take(server: Server, case: str) -> None:
    service, operation, parameters, code = NAMES[case]
    with pytest.raises(ClientError) as caught:
        getattr(server.client(service), operation)(**parameters)
    assert caught.value.response["Error"]["Code"] == code


GOOD_BUCKETS = ["abc", "a-b.c-d", "0" * 63, "1.2.3.4.5"]


@pytest.mark.parametrize("name", GOOD_BUCKETS)
def test_bucket_names_that_aws_takes(server: Server, name: str) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.delete_bucket(Bucket=name)


def test_names_are_taken_once(server: Server) -> None:
    sfn, scheduler = server.client("stepfunctions"), server.client("scheduler")
    sfn.create_state_machine(name="m", definition=PASS, roleArn=ROLE)
    sfn.create_state_machine(name="m", definition=PASS, roleArn=ROLE)
    with pytest.raises(sfn.exceptions.StateMachineAlreadyExists):
        sfn.create_state_machine(name="m", definition=PASS.replace('"A"', '"B"'), roleArn=ROLE)
    scheduler.create_schedule_group(Name="g")
    with pytest.raises(scheduler.exceptions.ConflictException):
        scheduler.create_schedule_group(Name="g")
