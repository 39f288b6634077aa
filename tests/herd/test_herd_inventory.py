"""What `herd down` proves to be gone: everything that the program can make is listed, or goes with what is listed."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from herd.deploy import inventory
from herd.deploy.inventory import Item
from localcloud.server import Server

_accounts = itertools.count(810_000_000_000 + os.getpid() * 100)

INFRA = Path(inventory.__file__).parents[1] / "infra"

LISTED = {
    "acm.certificate": "certificate",
    "appautoscaling.target": "scalable target",
    "autoscaling.group": "auto scaling group",
    "cloudfront.distribution": "distribution",
    "cloudfront.origin_access_control": "origin access control",
    "cloudwatch.log_group": "log group",
    "cloudwatch.metric_alarm": "alarm",
    "cloudwatch.event_rule": "rule",
    "ec2.eip": "elastic address",
    "ec2.flow_log": "flow log",
    "ec2.internet_gateway": "internet gateway",
    "ec2.launch_template": "launch template",
    "ec2.nat_gateway": "NAT gateway",
    "ec2.route_table": "route table",
    "ec2.security_group": "security group",
    "ec2.subnet": "subnet",
    "ec2.vpc": "VPC",
    "ec2.vpc_endpoint": "VPC endpoint",
    "ecr.repository": "repository",
    "ecs.capacity_provider": "capacity provider",
    "ecs.cluster": "cluster",
    "ecs.task_definition": "task definition",
    "iam.instance_profile": "instance profile",
    "iam.policy": "policy",
    "iam.role": "role",
    "kms.alias": "key alias",
    "lb.load_balancer": "load balancer",
    "lb.target_group": "target group",
    "route53.record": "record",
    "s3.bucket": "bucket",
    "scheduler.schedule": "schedule",
    "scheduler.schedule_group": "schedule group",
    "sfn.state_machine": "state machine",
    "lambda_.function": "function",
    "sesv2.email_identity": "e-mail identity",
    "sns.topic": "topic",
    "sns.topic_subscription": "subscription",
    "sqs.queue": "queue",
}
"""Module of pulumi_aws -> the kind as which it is listed."""

GOES_WITH = {
    "appautoscaling.policy": "scalable target",
    "acm.certificate_validation": "certificate",
    "cloudwatch.event_target": "rule",
    "ec2.default_security_group": "VPC",
    "ec2.route": "route table",
    "ec2.route_table_association": "route table",
    "ecr.lifecycle_policy": "repository",
    "ecs.cluster_capacity_providers": "cluster",
    "ecs.service": "cluster",
    "iam.role_policy": "role",
    "iam.role_policy_attachment": "role",
    "kms.key": "key alias",  # a deleted key is listed for its waiting time of up to a month
    "lambda_.permission": "function",
    "lb.listener": "load balancer",
    "lb.listener_rule": "load balancer",
    "s3.bucket_lifecycle_configuration": "bucket",
    "s3.bucket_logging": "bucket",
    "s3.bucket_ownership_controls": "bucket",
    "s3.bucket_policy": "bucket",
    "s3.bucket_public_access_block": "bucket",
    "s3.bucket_server_side_encryption_configuration": "bucket",
    "s3.bucket_versioning": "bucket",
    "sqs.queue_policy": "queue",
    "vpc.security_group_egress_rule": "security group",
    "vpc.security_group_ingress_rule": "security group",
}
"""Cannot exist without the other."""


def declared() -> set[str]:
    """Modules of the resources that the program imports."""
    text = "\n".join(path.read_text() for path in INFRA.rglob("*.py"))
    found = re.findall(r"from pulumi_aws\.(\w+)\.(\w+) import", text)
    return {f"{service}.{module}" for service, module in found if not module.startswith("get_")}


def test_everything_that_the_program_declares_is_accounted_for() -> None:
    labels = {kind.label for kind in inventory.KINDS}
    assert len(declared()) > 40
    assert declared() - LISTED.keys() - GOES_WITH.keys() == set()
    assert {*LISTED.values(), *GOES_WITH.values()} <= labels


class Account:
    """A target in an account of its own."""

    name = "dev"
    checkout = SimpleNamespace(project="herd")

    def __init__(self, server: Server):
        self.server = server

    def client(self, service: str) -> Any:
        return self.server.client(service)

    def items(self) -> set[Item]:
        listing = inventory.take(self)  # type: ignore[arg-type]
        assert listing.unseen == ()
        return set(listing.items)


@pytest.fixture
def account() -> Iterator[Account]:
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4999")
    yield Account(server)
    server.close()


TAGS = [{"Key": "herd:environment", "Value": "dev"}]


def template(account: Account) -> str:
    made = account.client("ec2").create_launch_template(
        LaunchTemplateName="pool",
        LaunchTemplateData={"InstanceType": "m7g.large", "ImageId": "ami-12c6146b"},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": TAGS}],
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def group(account: Account) -> str:
    autoscaling = account.client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="herd-dev-pool",
        MinSize=0,
        MaxSize=0,
        LaunchTemplate={"LaunchTemplateId": template(account)},
        AvailabilityZones=["eu-west-1a"],
    )
    return str(autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["AutoScalingGroupARN"])


def provider(account: Account) -> str:
    made = account.client("ecs").create_capacity_provider(
        name="herd-dev-pool", autoScalingGroupProvider={"autoScalingGroupArn": group(account)}
    )
    return str(made["capacityProvider"]["capacityProviderArn"])


def profile(account: Account) -> str:
    made = account.client("iam").create_instance_profile(InstanceProfileName="instances", Path="/herd-dev/")
    return str(made["InstanceProfile"]["Arn"])


def alias(account: Account) -> str:
    kms = account.client("kms")
    kms.create_alias(AliasName="alias/herd-dev", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    return "alias/herd-dev"


def certificate(account: Account) -> str:
    return str(account.client("acm").request_certificate(DomainName="a.example", Tags=TAGS)["CertificateArn"])


def access(account: Account) -> str:
    wanted = {"SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"}
    account.client("cloudfront").create_origin_access_control(
        OriginAccessControlConfig={"Name": "herd-dev-reports", "Description": "", **wanted}
    )
    return "herd-dev-reports"


def distribution(account: Account) -> str:
    origin = {"Id": "o", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    cache = {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all", "CachePolicyId": "x"}
    comment = "Published reports of herd-dev"
    made = account.client("cloudfront").create_distribution(
        DistributionConfig={
            "CallerReference": "r",
            "Comment": comment,
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": cache,
        }
    )
    return f"{made['Distribution']['Id']} {comment}"


def flow_log(account: Account) -> str:
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": TAGS}])["Vpc"]
    made = ec2.create_flow_logs(
        ResourceIds=[vpc["VpcId"]],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=f"arn:aws:s3:::{bucket(account)}",
    )
    return str(made["FlowLogIds"][0])


def bucket(account: Account) -> str:
    name = f"logs-{account.server.account}"
    account.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def record(account: Account) -> str:
    """In a zone that is not the environment's, as an adopted one is: a name that leads to its load balancer."""
    route53 = account.client("route53")
    zone = route53.create_hosted_zone(Name="acme.example", CallerReference="r")["HostedZone"]["Id"]
    balancer = "internal-herd-dev-inside-1234.eu-west-1.elb.amazonaws.com."
    target = {"HostedZoneId": "Z32O12XQLNTSW2", "DNSName": balancer, "EvaluateTargetHealth": True}
    made = {"Name": "web.acme.example.", "Type": "A", "AliasTarget": target}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": made}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    return f"web.acme.example. -> {balancer}"


def subscription(account: Account) -> str:
    """One that waits: it cannot be removed before its topic is."""
    sns = account.client("sns")
    topic = sns.create_topic(Name="herd-dev-watch")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    return f"{topic} email a@example.com"


def identity(account: Account) -> str:
    account.client("sesv2").create_email_identity(EmailIdentity="a@example.com", Tags=TAGS)
    return f"arn:aws:ses:eu-west-1:{account.server.account}:identity/a@example.com"


def function(account: Account) -> str:
    role = account.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("main.py", "def handler(event, context): return 1")
    made = account.client("lambda").create_function(
        FunctionName="herd-dev-watch", Role=role, Runtime="python3.13", Handler="main.handler",
        Code={"ZipFile": archive.getvalue()},
    )  # fmt: skip
    return str(made["FunctionArn"])


def functions_log(account: Account) -> str:
    """Lambda makes it when the function writes, and no update knows it."""
    account.client("logs").create_log_group(logGroupName="/aws/lambda/herd-dev-watch")
    return "/aws/lambda/herd-dev-watch"


TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


def database(account: Account) -> str:
    wanted = {"DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": 20}
    made = account.client("rds").create_db_instance(
        DBInstanceIdentifier="sales", MasterUsername="owner", MasterUserPassword="a password", Tags=TAGS, **wanted
    )
    return str(made["DBInstance"]["DBInstanceArn"])


def subnets(account: Account) -> str:
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ids = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    account.client("rds").create_db_subnet_group(
        DBSubnetGroupName="herd-dev-sales", DBSubnetGroupDescription="x", SubnetIds=ids
    )
    return "herd-dev-sales"


PLANTED = {
    "database": database,
    "database subnet group": subnets,
    "launch template": template,
    "auto scaling group": group,
    "capacity provider": provider,
    "instance profile": profile,
    "key alias": alias,
    "certificate": certificate,
    "origin access control": access,
    "distribution": distribution,
    "flow log": flow_log,
    "record": record,
    "subscription": subscription,
    "e-mail identity": identity,
    "function": function,
    "log group": functions_log,
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_left_of_an_environment_is_seen(account: Account, kind: str) -> None:
    before = account.items()
    name = PLANTED[kind](account)
    assert Item(kind, name, "dev") in account.items() - before


def test_what_aws_gives_every_account_is_nobodys(account: Account) -> None:
    assert account.items() == set()


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("/herd-pr-17/ingest", "pr-17"),
        ("arn:aws:iam::1:role/herd-dev/tasks/train", "dev"),
        ("herd-dev-1-data", "dev-1"),
        ("herd-dev-123456789012-data", "dev"),
        ("internal-herd-dev-inside-1.eu-west-1.elb.amazonaws.com", "dev"),
        ("sherd-dev", None),
        ("my-herd-dev", None),
        ("herd-", None),
    ],
)
def test_whose_a_name_is(name: str, environment: str | None) -> None:
    assert inventory.environment_of("herd", name) == environment


def test_a_call_without_a_paginator_is_followed_to_its_last_page() -> None:
    def describe(nextToken: str = "0") -> dict[str, Any]:  # noqa: N803 - the API's own name
        number = int(nextToken)
        more = {"nextToken": str(number + 1)} if number < 2 else {}
        return {"capacityProviders": [{"status": "ACTIVE", "name": "a", "capacityProviderArn": f"arn{number}"}], **more}

    client = SimpleNamespace(can_paginate=lambda _: False, describe_capacity_providers=describe)
    kind = next(kind for kind in inventory.KINDS if kind.call == "describe_capacity_providers")
    assert [thing["name"] for thing in inventory._listed(client, kind)] == ["arn0", "arn1", "arn2"]
