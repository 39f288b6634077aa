"""boto3 as it is: its paginators find everything once, however small the pages, and its waiters come to an end."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from localcloud.server import Server

TRUST = json.dumps(
    {"Statement": {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}}
)
GET = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
READ = json.dumps({"Version": "2012-10-17", "Statement": [GET]})
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
NAMES = ["one", "two", "three"]
SOON = {"Delay": 1, "MaxAttempts": 30}


@dataclass
class Pages:
    """A paginator: what to make for each of three names, and the names it must find."""

    service: str
    operation: str
    make: Callable[[Any, str], Any]
    names: Callable[[dict[str, Any]], list[str]]
    arguments: dict[str, Any] = field(default_factory=dict)
    before: Callable[[Any], Any] = lambda client: None

    def __str__(self) -> str:
        return f"{self.service}.{self.operation}"


def vpc(client: Any) -> str:
    return str(client.describe_vpcs()["Vpcs"][0]["VpcId"])


def role(name: str) -> str:
    return f"arn:aws:iam::123456789012:role/{name}"


def target(name: str) -> dict[str, str]:
    return {"Arn": "arn:aws:sqs:eu-west-1:123456789012:q", "RoleArn": role(name)}


def put_object(client: Any, name: str) -> None:
    client.put_object(Bucket=bucket(client), Key=name, Body=name.encode())


def bucket(client: Any) -> str:
    """The one bucket of a test; names are shared by all accounts of the process."""
    return f"pages-{client.meta.endpoint_url[-4:]}-{id(client)}"


def make_bucket(client: Any) -> None:
    client.create_bucket(Bucket=bucket(client), CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_versioning(Bucket=bucket(client), VersioningConfiguration={"Status": "Enabled"})


def define_task(client: Any, name: str) -> None:
    client.register_task_definition(family=name, containerDefinitions=[{"name": "m", "image": "i", "memory": 64}])


def key_of(page: dict[str, Any], member: str, name: str) -> list[str]:
    return [each[name] for each in page.get(member, [])]


def last(texts: list[str]) -> list[str]:
    return [text.replace("/", ":").rsplit(":", 1)[-1] for text in texts]


PAGES = [
    Pages("ecs", "list_clusters", lambda c, n: c.create_cluster(clusterName=n), lambda p: last(p["clusterArns"])),
    Pages(
        "ecs", "list_task_definition_families", define_task, lambda p: p["families"], {"status": "ACTIVE"}
    ),
    Pages(
        "ecs", "list_services",
        lambda c, n: c.create_service(cluster="c", serviceName=n, taskDefinition="t", desiredCount=0),
        lambda p: last(p["serviceArns"]), {"cluster": "c"},
        lambda c: (c.create_cluster(clusterName="c"), define_task(c, "t")),
    ),
    Pages("s3", "list_objects_v2", put_object, lambda p: key_of(p, "Contents", "Key"), {}, make_bucket),
    Pages("s3", "list_object_versions", put_object, lambda p: key_of(p, "Versions", "Key"), {}, make_bucket),
    Pages("iam", "list_roles", lambda c, n: c.create_role(RoleName=n, AssumeRolePolicyDocument=TRUST),
          lambda p: key_of(p, "Roles", "RoleName")),
    Pages("iam", "list_policies", lambda c, n: c.create_policy(PolicyName=n, PolicyDocument=READ),
          lambda p: key_of(p, "Policies", "PolicyName"), {"Scope": "Local"}),
    Pages("iam", "list_users", lambda c, n: c.create_user(UserName=n), lambda p: key_of(p, "Users", "UserName")),
    Pages("logs", "describe_log_groups", lambda c, n: c.create_log_group(logGroupName=n),
          lambda p: key_of(p, "logGroups", "logGroupName")),
    Pages("logs", "describe_log_streams", lambda c, n: c.create_log_stream(logGroupName="g", logStreamName=n),
          lambda p: key_of(p, "logStreams", "logStreamName"), {"logGroupName": "g"},
          lambda c: c.create_log_group(logGroupName="g")),
    Pages("stepfunctions", "list_state_machines",
          lambda c, n: c.create_state_machine(name=n, definition=PASS, roleArn=role("r")),
          lambda p: key_of(p, "stateMachines", "name")),
    Pages("scheduler", "list_schedule_groups", lambda c, n: c.create_schedule_group(Name=n),
          lambda p: [n for n in key_of(p, "ScheduleGroups", "Name") if n != "default"]),
    Pages("scheduler", "list_schedules",
          lambda c, n: c.create_schedule(Name=n, ScheduleExpression="rate(1 hour)", Target=target(n),
                                         FlexibleTimeWindow={"Mode": "OFF"}),
          lambda p: key_of(p, "Schedules", "Name")),
    Pages("ecr", "describe_repositories", lambda c, n: c.create_repository(repositoryName=n),
          lambda p: key_of(p, "repositories", "repositoryName")),
    Pages("ec2", "describe_subnets",
          lambda c, n: c.create_subnet(
              VpcId=vpc(c), CidrBlock=f"172.31.{200 + NAMES.index(n)}.0/28",
              TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": "n", "Value": n}]}]),
          lambda p: [t["Value"] for s in p["Subnets"] for t in s.get("Tags", [])],
          {"Filters": [{"Name": "tag-key", "Values": ["n"]}]}),
    Pages("ec2", "describe_security_groups",
          lambda c, n: c.create_security_group(GroupName=n, Description=n, VpcId=vpc(c)),
          lambda p: [n for n in key_of(p, "SecurityGroups", "GroupName") if n != "default"]),
    Pages("elbv2", "describe_target_groups",
          lambda c, n: c.create_target_group(Name=n, TargetType="lambda"),
          lambda p: key_of(p, "TargetGroups", "TargetGroupName")),
    Pages("sqs", "list_queues", lambda c, n: c.create_queue(QueueName=n), lambda p: last(p.get("QueueUrls", []))),
    Pages("sns", "list_topics", lambda c, n: c.create_topic(Name=n), lambda p: last(key_of(p, "Topics", "TopicArn"))),
    Pages("cloudwatch", "describe_alarms",
          lambda c, n: c.put_metric_alarm(AlarmName=n, MetricName="m", Namespace="n", Statistic="Sum", Period=60,
                                          EvaluationPeriods=1, Threshold=1, ComparisonOperator="LessThanThreshold"),
          lambda p: key_of(p, "MetricAlarms", "AlarmName")),
    Pages("events", "list_rules", lambda c, n: c.put_rule(Name=n, ScheduleExpression="rate(1 hour)"),
          lambda p: key_of(p, "Rules", "Name")),
    Pages("kms", "list_aliases",
          lambda c, n: c.create_alias(AliasName=f"alias/{n}", TargetKeyId=c.create_key()["KeyMetadata"]["KeyId"]),
          lambda p: [n for n in last(key_of(p, "Aliases", "AliasName")) if n in NAMES]),
    Pages("secretsmanager", "list_secrets", lambda c, n: c.create_secret(Name=n, SecretString="s"),
          lambda p: key_of(p, "SecretList", "Name")),
    Pages("ssm", "get_parameters_by_path", lambda c, n: c.put_parameter(Name=f"/p/{n}", Value="v", Type="String"),
          lambda p: last(key_of(p, "Parameters", "Name")), {"Path": "/p"}),
    Pages("dynamodb", "list_tables",
          lambda c, n: c.create_table(TableName=n, BillingMode="PAY_PER_REQUEST",
                                      KeySchema=[{"AttributeName": "i", "KeyType": "HASH"}],
                                      AttributeDefinitions=[{"AttributeName": "i", "AttributeType": "S"}]),
          lambda p: p["TableNames"]),
    Pages("route53", "list_hosted_zones", lambda c, n: c.create_hosted_zone(Name=f"{n}.example", CallerReference=n),
          lambda p: [n.split(".")[0] for n in key_of(p, "HostedZones", "Name")]),
    Pages("acm", "list_certificates", lambda c, n: c.request_certificate(DomainName=f"{n}.example"),
          lambda p: [n.split(".")[0] for n in key_of(p, "CertificateSummaryList", "DomainName")]),
]  # fmt: skip


@pytest.mark.parametrize("case", PAGES, ids=str)
@pytest.mark.parametrize("size", [None, 2])
def test_paginators_find_everything_once(server: Server, case: Pages, size: int | None) -> None:
    client = server.client(case.service)
    case.before(client)
    for name in NAMES:
        case.make(client, name)
    arguments = dict(case.arguments)
    if case.service == "s3":
        arguments["Bucket"] = bucket(client)
    if size is not None and case.service != "sns":  # whose pages have a fixed size
        least = {"ec2": 5, "cloudwatch": 2}.get(case.service, size)
        arguments["PaginationConfig"] = {"PageSize": least}
    found = [name for page in client.get_paginator(case.operation).paginate(**arguments) for name in case.names(page)]
    assert sorted(found) == sorted(NAMES)


@pytest.mark.parametrize("size", [None, 2])
def test_paginators_of_executions_and_their_history(server: Server, size: int | None) -> None:
    client = server.client("stepfunctions")
    machine = client.create_state_machine(name="m", definition=PASS, roleArn=role("r"))["stateMachineArn"]
    arns = [client.start_execution(stateMachineArn=machine)["executionArn"] for _ in NAMES]
    config = {"PaginationConfig": {"PageSize": size}} if size else {}
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine, **config)
    assert sorted(each["executionArn"] for page in pages for each in page["executions"]) == sorted(arns)


def test_waiters_of_storage_and_permissions(server: Server) -> None:
    s3, iam = server.client("s3"), server.client("iam")
    name = bucket(s3)
    s3.get_waiter("bucket_not_exists").wait(Bucket=name, WaiterConfig=SOON)
    make_bucket(s3)
    s3.get_waiter("bucket_exists").wait(Bucket=name, WaiterConfig=SOON)
    s3.get_waiter("object_not_exists").wait(Bucket=name, Key="k", WaiterConfig=SOON)
    s3.put_object(Bucket=name, Key="k", Body=b"")
    s3.get_waiter("object_exists").wait(Bucket=name, Key="k", WaiterConfig=SOON)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.get_waiter("role_exists").wait(RoleName="r", WaiterConfig=SOON)
    iam.create_user(UserName="u")
    iam.get_waiter("user_exists").wait(UserName="u", WaiterConfig=SOON)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.get_waiter("instance_profile_exists").wait(InstanceProfileName="p", WaiterConfig=SOON)
    policy = iam.create_policy(PolicyName="p", PolicyDocument=READ)["Policy"]["Arn"]
    iam.get_waiter("policy_exists").wait(PolicyArn=policy, WaiterConfig=SOON)


def test_waiters_of_networks(server: Server) -> None:
    ec2, elb = server.client("ec2"), server.client("elbv2")
    made = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.get_waiter("vpc_exists").wait(VpcIds=[made], WaiterConfig=SOON)
    ec2.get_waiter("vpc_available").wait(VpcIds=[made], WaiterConfig=SOON)
    subnets = [
        ec2.create_subnet(VpcId=made, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{'ab'[n]}")["Subnet"][
            "SubnetId"
        ]
        for n in (0, 1)
    ]
    ec2.get_waiter("subnet_available").wait(SubnetIds=subnets, WaiterConfig=SOON)
    group = ec2.create_security_group(GroupName="g", Description="g", VpcId=made)["GroupId"]
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group], WaiterConfig=SOON)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.get_waiter("internet_gateway_exists").wait(InternetGatewayIds=[gateway], WaiterConfig=SOON)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig=SOON)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat], WaiterConfig=SOON)
    balancer = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    elb.get_waiter("load_balancer_exists").wait(LoadBalancerArns=[balancer], WaiterConfig=SOON)
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer], WaiterConfig=SOON)
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[balancer], WaiterConfig=SOON)


def test_waiters_of_tables_alarms_names_and_certificates(server: Server) -> None:
    tables, alarms, names, acm = map(server.client, ("dynamodb", "cloudwatch", "route53", "acm"))
    next(case for case in PAGES if case.service == "dynamodb").make(tables, "t")
    tables.get_waiter("table_exists").wait(TableName="t", WaiterConfig=SOON)
    tables.delete_table(TableName="t")
    tables.get_waiter("table_not_exists").wait(TableName="t", WaiterConfig=SOON)
    next(case for case in PAGES if case.service == "cloudwatch").make(alarms, "a")
    alarms.get_waiter("alarm_exists").wait(AlarmNames=["a"], WaiterConfig=SOON)
    zone = names.create_hosted_zone(Name="a.example", CallerReference="a")["HostedZone"]["Id"]
    record = {"Name": "www.a.example", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    change = names.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]["Id"]
    names.get_waiter("resource_record_sets_changed").wait(Id=change, WaiterConfig=SOON)
    certificate = acm.request_certificate(DomainName="a.example", ValidationMethod="DNS")["CertificateArn"]
    acm.get_waiter("certificate_validated").wait(CertificateArn=certificate, WaiterConfig=SOON)


def test_waiters_of_tasks_and_services(cloud: Any) -> None:
    ecs = cloud.ecs
    task = cloud.run(cloud.define("sleep", "30"))
    ecs.get_waiter("tasks_running").wait(cluster="c", tasks=[task], WaiterConfig=SOON)
    ecs.stop_task(cluster="c", task=task)
    ecs.get_waiter("tasks_stopped").wait(cluster="c", tasks=[task], WaiterConfig=SOON)
    ecs.create_service(
        cluster="c", serviceName="s", desiredCount=1, launchType="FARGATE", networkConfiguration=cloud.network,
        taskDefinition=cloud.define("sleep", "30", family="s"),
    )  # fmt: skip
    ecs.get_waiter("services_stable").wait(cluster="c", services=["s"], WaiterConfig=SOON)
    ecs.delete_service(cluster="c", service="s", force=True)
    ecs.get_waiter("services_inactive").wait(cluster="c", services=["s"], WaiterConfig=SOON)


def test_files_go_up_and_down_as_boto3_sends_them(server: Server) -> None:
    s3 = server.client("s3")
    make_bucket(s3)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.txt", "a" * 1000)
    whole = archive.getvalue() + bytes(9 * 1024 * 1024)  # more than one part
    s3.upload_fileobj(io.BytesIO(whole), bucket(s3), "big.zip")
    back = io.BytesIO()
    s3.download_fileobj(bucket(s3), "big.zip", back)
    assert back.getvalue() == whole
