"""Cross-field rules of services: what AWS refuses is refused by AWS's code, and what lies just beside it is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import rules
from localcloud.server import Server

OK = ""
FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
EXECUTION = "arn:aws:iam::123456789012:role/r"


class World:
    """A VPC, a cluster, a load balancer: each is made when a case first needs it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ecs, self.ec2, self.elbv2 = (server.client(name) for name in ("ecs", "ec2", "elbv2"))

    @cached_property
    def vpc(self) -> str:
        return str(self.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"])

    @cached_property
    def other_vpc(self) -> str:
        return str(self.ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"])

    @cached_property
    def subnets(self) -> list[str]:
        return [self.subnet(self.vpc, f"10.1.{n}.0/24", f"eu-west-1{'ab'[n]}") for n in range(2)]

    @cached_property
    def foreign_subnet(self) -> str:
        return self.subnet(self.other_vpc, "10.2.0.0/24", "eu-west-1b")

    def subnet(self, vpc: str, block: str, zone: str) -> str:
        made = self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    def group(self, vpc: str = "", name: str = "g") -> str:
        made = self.ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc or self.vpc)
        return str(made["GroupId"])

    def groups(self, count: int) -> list[str]:
        return [self.group(name=f"g{number}") for number in range(count)]

    @cached_property
    def cluster(self) -> str:
        return str(self.ecs.create_cluster(clusterName="c")["cluster"]["clusterName"])

    def register(self, *containers: dict[str, Any], **more: Any) -> str:
        """A task definition for Fargate, with one container unless others are named."""
        known = {"family": "f", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256"}
        own = {"memory": "512", "containerDefinitions": list(containers) or [container()]}
        made = self.ecs.register_task_definition(**{**known, **own, **more})
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def network(self, **more: Any) -> dict[str, Any]:
        return {"awsvpcConfiguration": {"subnets": self.subnets, **more}}

    def service(self, **more: Any) -> Any:
        known = {"cluster": self.cluster, "serviceName": "s", "desiredCount": 0, "launchType": "FARGATE"}
        return self.ecs.create_service(
            **{"taskDefinition": self.register(), "networkConfiguration": self.network(), **known, **more}
        )

    @cached_property
    def balancer(self) -> str:
        made = self.elbv2.create_load_balancer(Name="b", Subnets=self.subnets, Scheme="internal")
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def listener(self, port: int = 80, *actions: dict[str, Any]) -> str:
        made = self.elbv2.create_listener(
            LoadBalancerArn=self.balancer, Protocol="HTTP", Port=port, DefaultActions=list(actions) or [FIXED]
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def target_group(self, **more: Any) -> str:
        known = {"Name": "t", "Protocol": "HTTP", "Port": 80, "VpcId": self.vpc, "TargetType": "ip"}
        return str(self.elbv2.create_target_group(**{**known, **more})["TargetGroups"][0]["TargetGroupArn"])

    def rule(self, **more: Any) -> Any:
        path = [{"Field": "path-pattern", "Values": ["/a"]}]
        known = {"ListenerArn": self.listener(), "Priority": 1, "Conditions": path, "Actions": [FIXED]}
        return self.elbv2.create_rule(**{**known, **more})

    def zone(self) -> str:
        made = self.server.client("route53").create_hosted_zone(Name="a.example.", CallerReference="1")
        return str(made["HostedZone"]["Id"])

    def record(self, name: str, kind: str, *values: str, action: str = "CREATE", **more: Any) -> Any:
        record = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": one} for one in values], **more}
        return self.server.client("route53").change_resource_record_sets(
            HostedZoneId=self.zone(), ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        )

    def bucket(self) -> str:
        name = f"a-bucket-{self.server.account}"
        self.server.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        return name

    def lifecycle(self, *changes: dict[str, Any]) -> Any:
        made = [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, **change} for change in changes]
        return self.server.client("s3").put_bucket_lifecycle_configuration(
            Bucket=self.bucket(), LifecycleConfiguration={"Rules": made}
        )

    def schedule(self, **target: Any) -> Any:
        known = {"Arn": "arn:aws:sqs:eu-west-1:1:q", "RoleArn": EXECUTION}
        return self.server.client("scheduler").create_schedule(
            Name="s", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"}, Target={**known, **target}
        )

    def queue(self, name: str = "q", **attributes: str) -> str:
        made = self.server.client("sqs").create_queue(QueueName=name, Attributes=attributes)
        return str(made["QueueUrl"])

    def key(self, **more: Any) -> str:
        return str(self.server.client("kms").create_key(**more)["KeyMetadata"]["KeyId"])

    def machine(self, *fields: dict[str, Any], kind: str = "Pass") -> Any:
        """A definition whose only state is of this kind; judged alone, as the role is no part of it."""
        state = {"Type": kind, "End": True} | {name: value for each in fields for name, value in each.items()}
        text = json.dumps({"StartAt": "A", "States": {"A": state}})
        answer = self.server.client("stepfunctions").validate_state_machine_definition(definition=text)
        if answer["result"] != "OK":
            error = {"Error": {"Code": "InvalidDefinition", "Message": json.dumps(answer["diagnostics"])}}
            raise ClientError(error, "ValidateStateMachineDefinition")  # type: ignore[arg-type]
        return answer


def container(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", "essential": True, **more}


Case = tuple[str, Callable[[World], Any]]
CLIENT, PARAMETER, VALIDATION = "ClientException", "InvalidParameterException", "ValidationError"
DEFINITION, BATCH = "InvalidDefinition", "InvalidChangeBatch"

CONTAINERS: dict[str, Case] = {
    "memory as the task's": (OK, lambda w: w.register(container(memory=512, memoryReservation=256))),
    "memory above the task's": (CLIENT, lambda w: w.register(container(memory=513))),
    "more reserved than the limit": (CLIENT, lambda w: w.register(container(memory=128, memoryReservation=129))),
    "cpu of all above the task's": (
        CLIENT, lambda w: w.register(container("a", cpu=200), container("b", cpu=57)),
    ),
    "one port": (OK, lambda w: w.register(container(portMappings=[{"containerPort": 80, "hostPort": 80}]))),
    "another port outside": (
        CLIENT, lambda w: w.register(container(portMappings=[{"containerPort": 80, "hostPort": 81}])),
    ),
    "a port that is none": (CLIENT, lambda w: w.register(container(portMappings=[{"containerPort": 65_536}]))),
    "a port twice": (
        CLIENT,
        lambda w: w.register(*(container(name, portMappings=[{"containerPort": 80}]) for name in "ab")),
    ),
    "a volume": (
        OK,
        lambda w: w.register(
            container(mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}]), volumes=[{"name": "v"}]
        ),
    ),
    "a volume that is not there": (
        CLIENT, lambda w: w.register(container(mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}])),
    ),
    "a folder of the machine": (
        CLIENT, lambda w: w.register(volumes=[{"name": "v", "host": {"sourcePath": "/x"}}]),
    ),
    "two minutes to stop": (OK, lambda w: w.register(container(stopTimeout=120))),
    "longer to stop": (CLIENT, lambda w: w.register(container(stopTimeout=121))),
    "links": (CLIENT, lambda w: w.register(container(links=["b"]), container("b"))),
    "privileged": (CLIENT, lambda w: w.register(container(privileged=True))),
    "a health check": (
        OK, lambda w: w.register(container(healthCheck={"command": ["CMD", "true"], "interval": 5, "retries": 10})),
    ),
    "a health check too often": (
        CLIENT, lambda w: w.register(container(healthCheck={"command": ["CMD", "true"], "interval": 4})),
    ),
    "a health check of a bare program": (CLIENT, lambda w: w.register(container(healthCheck={"command": ["true"]}))),
    "one name as variable and secret": (
        CLIENT,
        lambda w: w.register(
            container(environment=[{"name": "A", "value": "1"}], secrets=[{"name": "A", "valueFrom": "x"}]),
            executionRoleArn=EXECUTION,
        ),
    ),
    "a log driver of others": (CLIENT, lambda w: w.register(container(logConfiguration={"logDriver": "gelf"}))),
    "host's processes": (CLIENT, lambda w: w.register(pidMode="host")),
}  # fmt: skip

SERVICES: dict[str, Case] = {
    "a service": (OK, lambda w: w.service()),
    "without a network": (PARAMETER, lambda w: w.service(networkConfiguration={})),
    "five groups": (
        OK, lambda w: w.service(networkConfiguration=w.network(securityGroups=w.groups(5))),
    ),
    "six groups": (
        PARAMETER,
        lambda w: w.service(networkConfiguration=w.network(securityGroups=w.groups(6))),
    ),
    "a group of another VPC": (
        PARAMETER, lambda w: w.service(networkConfiguration=w.network(securityGroups=[w.group(w.other_vpc)])),
    ),
    "fewer than none": (PARAMETER, lambda w: w.service(desiredCount=-1)),
    "a grace without a balancer": (PARAMETER, lambda w: w.service(healthCheckGracePeriodSeconds=30)),
    "room to deploy": (
        OK, lambda w: w.service(deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 200}),
    ),
    "no room to deploy": (
        PARAMETER, lambda w: w.service(deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100}),
    ),
    "both ways to be placed": (
        PARAMETER, lambda w: w.service(capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}]),
    ),
    "another platform": ("PlatformUnknownException", lambda w: w.service(platformVersion="9.9.9")),
    "a strategy of placement": (PARAMETER, lambda w: w.service(placementStrategy=[{"type": "random"}])),
    "an override of another container": (
        PARAMETER,
        lambda w: w.ecs.run_task(
            cluster=w.cluster, taskDefinition=w.register(), networkConfiguration=w.network(),
            overrides={"containerOverrides": [{"name": "z"}]},
        ),
    ),
    "a setting of clusters": (
        OK, lambda w: w.ecs.create_cluster(settings=[{"name": "containerInsights", "value": "enhanced"}]),
    ),
    "a setting that is none": (
        PARAMETER, lambda w: w.ecs.create_cluster(settings=[{"name": "containerInsights", "value": "maybe"}]),
    ),
}  # fmt: skip

BALANCERS: dict[str, Case] = {
    "a rule": (OK, lambda w: w.rule()),
    "a rule without a condition": (VALIDATION, lambda w: w.rule(Conditions=[])),
    "a source that is a network": (
        OK, lambda w: w.rule(Conditions=[{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.1/32"]}}]),
    ),
    "a source that is an address": (
        VALIDATION, lambda w: w.rule(Conditions=[{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.1"]}}]),
    ),
    "two answers": ("TooManyActions", lambda w: w.rule(Actions=[{**FIXED, "Order": n} for n in (1, 2)])),
    "a port twice": ("DuplicateListener", lambda w: (w.listener(80), w.listener(80))),
    "another port": (OK, lambda w: (w.listener(80), w.listener(81))),
    "the default rule deleted": (
        "OperationNotPermitted",
        lambda w: w.elbv2.delete_rule(
            RuleArn=w.elbv2.describe_rules(ListenerArn=w.listener())["Rules"][0]["RuleArn"]
        ),
    ),
    "subnets of two VPCs": (
        "InvalidSubnet",
        lambda w: w.elbv2.create_load_balancer(Name="x", Subnets=[w.subnets[0], w.foreign_subnet]),
    ),
    "idle as long as can be": (
        OK,
        lambda w: w.elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=w.balancer, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "4000"}]
        ),
    ),
    "idle for longer": (
        VALIDATION,
        lambda w: w.elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=w.balancer, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "4001"}]
        ),
    ),
    "codes that are healthy": (OK, lambda w: w.target_group(Matcher={"HttpCode": "200-299,404"})),
    "a code that is not": (VALIDATION, lambda w: w.target_group(Matcher={"HttpCode": "600"})),
    "a private target": (
        OK, lambda w: w.elbv2.register_targets(TargetGroupArn=w.target_group(), Targets=[{"Id": "10.1.0.9"}]),
    ),
    "a public target": (
        VALIDATION, lambda w: w.elbv2.register_targets(TargetGroupArn=w.target_group(), Targets=[{"Id": "192.0.2.1"}]),
    ),
}  # fmt: skip

STATES: dict[str, Case] = {
    "a pass": (OK, lambda w: w.machine({"Parameters": {"x.$": "$.y"}, "ResultPath": "$.a[0].b"})),
    "a path that is a number": (DEFINITION, lambda w: w.machine({"Parameters": {"x.$": 5}})),
    "a result anywhere": (DEFINITION, lambda w: w.machine({"ResultPath": "$.a[*]"})),
    "retries of a pass": (DEFINITION, lambda w: w.machine({"Retry": [{"ErrorEquals": ["States.ALL"]}]})),
    "a wait": (OK, lambda w: w.machine({"Seconds": 0}, kind="Wait")),
    "a wait of minus one": (DEFINITION, lambda w: w.machine({"Seconds": -1}, kind="Wait")),
    "a wait without an end": (DEFINITION, lambda w: w.machine(kind="Wait")),
    "a message": (
        OK,
        lambda w: w.machine(
            {"Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl": "q", "MessageBody": "b"}},
            kind="Task",
        ),
    ),
    "a message to nobody": (
        DEFINITION,
        lambda w: w.machine(
            {"Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"MessageBody": "b"}}, kind="Task"
        ),
    ),
}  # fmt: skip

OTHERS: dict[str, Case] = {
    "an address": (OK, lambda w: w.record("x.a.example", "A", "10.0.0.1")),
    "an address that is none": (BATCH, lambda w: w.record("x.a.example", "A", "10.0.0.300")),
    "a text": (OK, lambda w: w.record("x.a.example", "TXT", '"hello"')),
    "a text without quotes": (BATCH, lambda w: w.record("x.a.example", "TXT", "hello")),
    "another name for the zone": (BATCH, lambda w: w.record("a.example", "CNAME", "b.example")),
    "a record of another zone": (BATCH, lambda w: w.record("x.b.example", "A", "10.0.0.1")),
    "gone, though not there": (BATCH, lambda w: w.record("x.a.example", "A", "10.0.0.1", action="DELETE")),
    "an expiry": (OK, lambda w: w.lifecycle({"Expiration": {"Days": 1}})),
    "a rule twice": ("InvalidArgument", lambda w: w.lifecycle(*({"Expiration": {"Days": n}} for n in (1, 2)))),
    "rare access too soon": (
        "InvalidArgument", lambda w: w.lifecycle({"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}),
    ),
    "rare access after a month": (
        OK, lambda w: w.lifecycle({"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}),
    ),
    "an expiry at five": (
        "InvalidArgument", lambda w: w.lifecycle({"Expiration": {"Date": datetime(2030, 1, 1, 5, tzinfo=UTC)}}),
    ),
    "a schedule for a cluster, of nothing": (
        "ValidationException", lambda w: w.schedule(Arn="arn:aws:ecs:eu-west-1:1:cluster/c"),
    ),
    "a schedule for an action that is none": (
        "ValidationException", lambda w: w.schedule(Arn="arn:aws:scheduler:::aws-sdk:s3:noSuchThing"),
    ),
    "invisible for twelve hours": (OK, lambda w: w.queue(VisibilityTimeout="43200")),
    "invisible for longer": ("InvalidAttributeValue", lambda w: w.queue(VisibilityTimeout="43201")),
    "a queue in order": (OK, lambda w: w.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")),
    "only some messages, out of order": (
        "InvalidAttributeName", lambda w: w.queue(ContentBasedDeduplication="true"),
    ),
    "a message with a null": (
        "InvalidMessageContents",
        lambda w: w.server.client("sqs").send_message(QueueUrl=w.queue(), MessageBody="a\0b"),
    ),
    "a week to think": (
        OK, lambda w: w.server.client("kms").schedule_key_deletion(KeyId=w.key(), PendingWindowInDays=7),
    ),
    "six days to think": (
        "ValidationException",
        lambda w: w.server.client("kms").schedule_key_deletion(KeyId=w.key(), PendingWindowInDays=6),
    ),
    "a role in other case": (
        "EntityAlreadyExists",
        lambda w: [
            w.server.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST) for name in ("Ab", "aB")
        ],
    ),
    "a route to nowhere": (
        "MissingParameter",
        lambda w: w.ec2.create_route(
            RouteTableId=w.ec2.create_route_table(VpcId=w.vpc)["RouteTable"]["RouteTableId"],
            DestinationCidrBlock="0.0.0.0/0",
        ),
    ),
    "a parameter of 4 kB": (
        OK, lambda w: w.server.client("ssm").put_parameter(Name="/a/b", Value="v" * 4096, Type="String"),
    ),
    "a parameter that is larger": (
        "ValidationException",
        lambda w: w.server.client("ssm").put_parameter(Name="/a/b", Value="v" * 4097, Type="String"),
    ),
}  # fmt: skip

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)

CASES = {
    f"{kind}: {name}": case
    for kind, cases in {
        "containers": CONTAINERS, "services": SERVICES, "balancers": BALANCERS, "states": STATES, "others": OTHERS,
    }.items()
    for name, case in cases.items()
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_aws_refuses_is_refused_and_its_neighbour_is_not(server: Server, case: str) -> None:
    code, call = CASES[case]
    world = World(server)
    if not code:
        call(world)
        return
    with pytest.raises(ClientError) as caught:
        call(world)
    assert caught.value.response["Error"]["Code"] == code, caught.value


def test_each_rule_is_of_an_operation_that_there_is() -> None:
    from localcloud.request import models

    unknown = [key for key in rules.RULES if models.operation(*key) is None]
    assert unknown == []
