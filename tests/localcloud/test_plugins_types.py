"""Every resource type's life over the provider protocol against the real server: made, read, unchanged, changed, gone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from localcloud.plugins import Plugins
from localcloud.plugins.resource import REGISTRY
from localcloud.plugins.types import load_types
from localcloud.plugins.types import ecs as ecs_types
from localcloud.plugins.values import UNKNOWN, Props, dump, load
from localcloud.server import Server

load_types()
_accounts = itertools.count(310_000_000_000)
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})  # fmt: skip
READ = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::x/*"]}]})  # fmt: skip
READ_SAID_OTHERWISE = json.dumps({"Statement": {"Resource": "arn:aws:s3:::x/*", "Action": "s3:GetObject", "Effect": "Allow"}, "Version": "2012-10-17"})  # fmt: skip
LIST = READ.replace("GetObject", "ListBucket")
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
WAIT = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": True}}})


class Provider:
    """The engine's side of one session."""

    def __init__(self, plugins: Plugins, package: str = "aws", config: Props | None = None):
        self.session = plugins.open({"package": package, "engine": "", "cwd": "."})
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.session.port}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        self.stub.Configure(pb.ConfigureRequest(args=dump(config or {})))

    def close(self) -> None:
        self.channel.close()
        self.session.close()

    def check(self, urn: str, news: Props, olds: Props | None = None) -> tuple[Props, dict[str, str]]:
        answer = self.stub.Check(pb.CheckRequest(urn=urn, news=dump(news), olds=dump(olds or {}), randomSeed=bytes(range(32))))
        return load(answer.inputs), {failure.property: failure.reason for failure in answer.failures}

    def checked(self, urn: str, news: Props, olds: Props | None = None) -> Props:
        inputs, failures = self.check(urn, news, olds)
        assert not failures, failures
        return inputs

    def diff(self, urn: str, made: Made, news: Props, ignore: tuple[str, ...] = ()) -> Any:
        return self.stub.Diff(
            pb.DiffRequest(
                urn=urn, id=made.id, old_inputs=dump(made.inputs), olds=dump(made.outputs), news=dump(news), ignoreChanges=ignore
            )
        )

    def create(self, urn: str, inputs: Props, preview: bool = False) -> Made:
        answer = self.stub.Create(pb.CreateRequest(urn=urn, properties=dump(inputs), preview=preview))
        return Made(answer.id, inputs, load(answer.properties))

    def read(self, urn: str, made: Made) -> Made | None:
        request = pb.ReadRequest(urn=urn, id=made.id, inputs=dump(made.inputs), properties=dump(made.outputs))
        answer = self.stub.Read(request)
        return Made(answer.id, load(answer.inputs), load(answer.properties)) if answer.id else None

    def update(self, urn: str, made: Made, news: Props, preview: bool = False) -> Made:
        request = pb.UpdateRequest(
            urn=urn, id=made.id, old_inputs=dump(made.inputs), olds=dump(made.outputs), news=dump(news), preview=preview
        )
        return Made(made.id, news, load(self.stub.Update(request).properties))

    def delete(self, urn: str, made: Made) -> None:
        self.stub.Delete(pb.DeleteRequest(urn=urn, id=made.id, properties=dump(made.outputs)))


@dataclass
class Made:
    """What the engine keeps of a resource."""

    id: str
    inputs: Props
    outputs: Props


@dataclass
class World:
    """A server, a session, and the resources that the one under test needs."""

    provider: Provider
    server: Server
    made: list[tuple[str, Made]] = field(default_factory=list)

    def make(self, token: str, **inputs: Any) -> Made:
        urn = f"urn:pulumi:dev::proj::{token}::needed{len(self.made)}"
        made = self.provider.create(urn, self.provider.checked(urn, inputs))
        self.made.append((urn, made))
        return made

    def vpc(self) -> str:
        return self.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16").id

    def subnets(self, vpc: str) -> list[str]:
        return [
            self.make("aws:ec2/subnet:Subnet", vpcId=vpc, cidrBlock=f"10.0.{n}.0/24", availabilityZone=f"eu-west-1{zone}").id
            for n, zone in enumerate("ab")
        ]

    def bucket(self) -> str:
        return self.make("aws:s3/bucket:Bucket").id

    def role(self, **more: Any) -> Made:
        return self.make("aws:iam/role:Role", assumeRolePolicy=TRUST, **more)

    def group(self, vpc: str) -> str:
        return self.make("aws:ec2/securityGroup:SecurityGroup", vpcId=vpc).id

    def balancer(self) -> tuple[str, str]:
        vpc = self.vpc()
        made = self.make("aws:lb/loadBalancer:LoadBalancer", name="lb", subnets=self.subnets(vpc), securityGroups=[self.group(vpc)])
        return made.id, vpc

    def target(self, vpc: str) -> str:
        return self.make("aws:lb/targetGroup:TargetGroup", port=80, protocol="HTTP", vpcId=vpc, targetType="ip").id

    def listener(self) -> tuple[str, str]:
        balancer, vpc = self.balancer()
        target = self.target(vpc)
        actions = [{"type": "forward", "targetGroupArn": target}]
        return self.make("aws:lb/listener:Listener", loadBalancerArn=balancer, port=80, defaultActions=actions).id, target

    def cluster(self) -> Made:
        return self.make("aws:ecs/cluster:Cluster", name="cluster")

    def definition(self, family: str = "web") -> Made:
        return self.make("aws:ecs/taskDefinition:TaskDefinition", **task(family))

    def scalable(self) -> Props:
        service = self.make("aws:ecs/service:Service", **service_inputs(self))
        return {
            "resourceId": f"service/cluster/{service.outputs['name']}",
            "scalableDimension": "ecs:service:DesiredCount",
            "serviceNamespace": "ecs",
        }


def task(family: str = "web", image: str = "repo@sha256:1") -> Props:
    container = {"name": "main", "image": image, "essential": True, "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}], "portMappings": [{"containerPort": 8000}]}  # fmt: skip
    return {
        "family": family, "containerDefinitions": json.dumps([container]), "cpu": "256", "memory": "512",
        "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        "executionRoleArn": "arn:aws:iam::310000000000:role/execution", "taskRoleArn": "arn:aws:iam::310000000000:role/task",
        "volumes": [{"name": "scratch"}], "ephemeralStorage": {"sizeInGib": 30},
    }  # fmt: skip


def service_inputs(world: World) -> Props:
    vpc = world.vpc()
    return {
        "cluster": world.cluster().outputs["arn"], "taskDefinition": world.definition().outputs["arn"], "desiredCount": 1,
        "capacityProviderStrategies": [{"capacityProvider": "FARGATE", "weight": 1}],
        "networkConfiguration": {"subnets": world.subnets(vpc), "securityGroups": [world.group(vpc)], "assignPublicIp": True},
        "deploymentCircuitBreaker": {"enable": True, "rollback": True}, "deploymentMinimumHealthyPercent": 100,
        "healthCheckGracePeriodSeconds": 30, "enableEcsManagedTags": True, "propagateTags": "SERVICE",
    }  # fmt: skip


@dataclass
class Case:
    """One type: what to declare, and changes of it. `None` as a value takes the property away."""

    token: str
    inputs: Callable[[World], Props]
    change: Props = field(default_factory=dict)
    replace: Props = field(default_factory=dict)
    same: Props = field(default_factory=dict)  # says the same in other words
    drift: Callable[[World, Made], Any] | None = None
    imported: Callable[[Made], str] = lambda made: made.id
    stays: bool = False  # deleting leaves the thing in AWS


def rule(**more: Any) -> Props:
    return {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"], **more}


def forward(arn: str) -> list[Props]:
    return [{"type": "forward", "targetGroupArn": arn}]


def listener_rule(world: World) -> Props:
    listener, target = world.listener()
    return {
        "listenerArn": listener, "priority": 10, "actions": forward(target),
        "conditions": [{"pathPattern": {"values": ["/api", "/api/*"]}}],
        "transforms": [{"type": "url-rewrite", "urlRewriteConfig": {"rewrite": {"regex": "^/api/?(.*)$", "replace": "/$1"}}}],
        "tags": {"a": "1"},
    }  # fmt: skip


def schedule(world: World) -> Props:
    return {
        "scheduleExpression": "cron(0 6 ? * 2-6 *)", "scheduleExpressionTimezone": "Europe/Amsterdam", "state": "ENABLED",
        "groupName": world.make("aws:scheduler/scheduleGroup:ScheduleGroup", name="group").id,
        "endDate": "2027-06-30T00:00:00Z", "description": "daily", "flexibleTimeWindow": {"mode": "OFF"},
        "target": {"arn": "arn:aws:states:eu-west-1:310000000000:stateMachine:m", "roleArn": world.role().outputs["arn"],
                   "input": "{}", "retryPolicy": {"maximumRetryAttempts": 3}},
    }  # fmt: skip


CASES = [
    Case("aws:ec2/vpc:Vpc", lambda w: {"cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True, "tags": {"a": "1"}},
         {"enableDnsHostnames": False, "tags": {"b": "2"}}, {"cidrBlock": "10.2.0.0/16"},
         drift=lambda w, m: w.server.client("ec2").modify_vpc_attribute(VpcId=m.id, EnableDnsHostnames={"Value": False})),
    Case("aws:ec2/internetGateway:InternetGateway", lambda w: {"vpcId": w.vpc(), "tags": {"a": "1"}}, {"tags": {"a": "2"}}),
    Case("aws:ec2/subnet:Subnet", lambda w: {"vpcId": w.vpc(), "cidrBlock": "10.0.9.0/24", "availabilityZone": "eu-west-1a"},
         {"mapPublicIpOnLaunch": True, "tags": {"a": "1"}}, {"availabilityZone": "eu-west-1b"}),
    Case("aws:ec2/routeTable:RouteTable", lambda w: {"vpcId": w.vpc()}, {"tags": {"a": "1"}}),
    Case("aws:ec2/route:Route", lambda w: {"routeTableId": w.make("aws:ec2/routeTable:RouteTable", vpcId=w.vpc()).id,
         "destinationCidrBlock": "0.0.0.0/0", "gatewayId": w.make("aws:ec2/internetGateway:InternetGateway", vpcId=w.vpc()).id}),
    Case("aws:ec2/routeTableAssociation:RouteTableAssociation", lambda w: (vpc := w.vpc(), {
         "routeTableId": w.make("aws:ec2/routeTable:RouteTable", vpcId=vpc).id, "subnetId": w.subnets(vpc)[0]})[1]),
    Case("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", lambda w: {"vpcId": w.vpc()}, {"tags": {"a": "1"}},
         drift=lambda w, m: w.server.client("ec2").authorize_security_group_ingress(GroupId=m.id, IpPermissions=[
             {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]), stays=True),
    Case("aws:ec2/securityGroup:SecurityGroup", lambda w: {"vpcId": w.vpc(), "ingress": [rule()], "egress": [rule(description="out")],
         "tags": {"a": "1"}}, {"ingress": [rule(fromPort=80, toPort=80), rule()]}, {"description": "other"}),
    Case("aws:ec2/vpcEndpoint:VpcEndpoint", lambda w: (vpc := w.vpc(), {"vpcId": vpc, "serviceName": "com.amazonaws.eu-west-1.s3",
         "routeTableIds": [w.make("aws:ec2/routeTable:RouteTable", vpcId=vpc).id], "tags": {"a": "1"}})[1], {"tags": {"a": "2"}}),
    Case("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", lambda w: {"securityGroupId": w.group(w.vpc()),
         "ipProtocol": "tcp", "fromPort": 80, "toPort": 80, "cidrIpv4": "0.0.0.0/0", "description": "web", "tags": {"a": "1"}},
         {"fromPort": 81, "toPort": 81}),
    Case("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", lambda w: (vpc := w.vpc(), {"securityGroupId": w.group(vpc),
         "ipProtocol": "tcp", "fromPort": 80, "toPort": 90, "referencedSecurityGroupId": w.group(vpc)})[1], {"tags": {"a": "1"}}),
    Case("aws:ecs/cluster:Cluster", lambda w: {"settings": [{"name": "containerInsights", "value": "disabled"}], "tags": {"a": "1"}},
         {"settings": [{"name": "containerInsights", "value": "enabled"}], "tags": {"b": "2"}}, {"name": "other"}),
    Case("aws:ecs/clusterCapacityProviders:ClusterCapacityProviders", lambda w: {"clusterName": w.cluster().outputs["name"],
         "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
         "defaultCapacityProviderStrategies": [{"capacityProvider": "FARGATE", "weight": 1}]},
         {"defaultCapacityProviderStrategies": [{"capacityProvider": "FARGATE_SPOT", "weight": 2}]},
         same={"capacityProviders": ["FARGATE_SPOT", "FARGATE"]}, stays=True),
    Case("aws:ecs/taskDefinition:TaskDefinition", lambda w: {**task(), "tags": {"a": "1"}}, {"tags": {"b": "2"}},
         {"containerDefinitions": task(image="repo@sha256:2")["containerDefinitions"]},
         same={"containerDefinitions": json.dumps([{"environment": [{"value": "1", "name": "A"}, {"name": "B", "value": "2"}],
               "image": "repo@sha256:1", "name": "main", "portMappings": [{"containerPort": 8000, "hostPort": 8000, "protocol": "tcp"}]}])}),
    Case("aws:ecs/service:Service", lambda w: {**service_inputs(w), "tags": {"a": "1"}},
         {"desiredCount": 2, "deploymentMaximumPercent": 150, "tags": {"b": "2"}}, {"capacityProviderStrategies": [{"capacityProvider": "FARGATE_SPOT"}]},
         drift=lambda w, m: w.server.client("ecs").update_service(cluster="cluster", service=m.id, desiredCount=3)),
    Case("aws:s3/bucket:Bucket", lambda w: {"forceDestroy": True, "tags": {"a": "1"}}, {"tags": {"b": "2"}, "forceDestroy": False},
         {"bucket": "another-name"}, drift=lambda w, m: w.server.client("s3").put_bucket_tagging(
             Bucket=m.id, Tagging={"TagSet": [{"Key": "z", "Value": "9"}]})),
    Case("aws:s3/bucketOwnershipControls:BucketOwnershipControls", lambda w: {"bucket": w.bucket(), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
         {"rule": {"objectOwnership": "BucketOwnerPreferred"}}),
    Case("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", lambda w: {"bucket": w.bucket(), "blockPublicAcls": True,
         "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True}, {"blockPublicPolicy": False}),
    Case("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", lambda w: {"bucket": w.bucket(),
         "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": True}]},
         {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]}),
    Case("aws:s3/bucketVersioning:BucketVersioning", lambda w: {"bucket": w.bucket(), "versioningConfiguration": {"status": "Enabled"}},
         {"versioningConfiguration": {"status": "Suspended"}}, stays=True),
    Case("aws:s3/bucketPolicy:BucketPolicy", lambda w: {"bucket": w.bucket(), "policy": json.dumps({"Version": "2012-10-17", "Statement": [
         {"Effect": "Deny", "Principal": "*", "Action": ["s3:*"], "Resource": ["*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]})},
         {"policy": json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "*"}]})},
         same={"policy": json.dumps({"Version": "2012-10-17", "Statement": {"Principal": {"AWS": "*"}, "Effect": "Deny", "Action": "s3:*",
               "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": [False]}}}})}),
    Case("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", lambda w: {"bucket": w.bucket(), "rules": [
         {"id": "old", "status": "Enabled", "filter": {"tag": {"key": "state", "value": "superseded"}}, "expiration": {"days": 30}},
         {"id": "parts", "status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1}},
         {"id": "both", "status": "Enabled", "filter": {"and": {"prefix": "x/", "tags": {"a": "1"}}}, "noncurrentVersionExpiration": {"noncurrentDays": 7}}]},
         {"rules": [{"id": "old", "status": "Enabled", "filter": {"prefix": "p/"}, "expiration": {"days": 31}}]}),
    Case("aws:iam/role:Role", lambda w: {"assumeRolePolicy": TRUST, "path": "/p/", "description": "d", "maxSessionDuration": 7200,
         "tags": {"a": "1"}}, {"description": "e", "assumeRolePolicy": TRUST.replace("ecs-tasks", "states"), "tags": {}},
         {"path": "/q/"}, drift=lambda w, m: w.server.client("iam").untag_role(RoleName=m.id, TagKeys=["a"])),
    Case("aws:iam/rolePolicy:RolePolicy", lambda w: {"role": w.role().id, "policy": READ}, {"policy": LIST}, {"name": "other"},
         same={"policy": READ_SAID_OTHERWISE}, drift=lambda w, m: w.server.client("iam").put_role_policy(
             RoleName=m.outputs["role"], PolicyName=m.outputs["name"], PolicyDocument=LIST)),
    Case("aws:iam/policy:Policy", lambda w: {"policy": READ, "description": "d", "tags": {"a": "1"}}, {"policy": LIST, "tags": {"b": "2"}},
         {"description": "e"}, same={"policy": READ_SAID_OTHERWISE}),
    Case("aws:iam/rolePolicyAttachment:RolePolicyAttachment", lambda w: {"role": w.role().id, "policyArn":
         w.make("aws:iam/policy:Policy", policy=READ).id}, {}, {"role": "other"}),
    Case("aws:cloudwatch/logGroup:LogGroup", lambda w: {"name": "/x/y", "retentionInDays": 7, "tags": {"a": "1"}},
         {"retentionInDays": 14, "tags": {"b": "2"}}, {"name": "/x/z"},
         drift=lambda w, m: w.server.client("logs").put_retention_policy(logGroupName=m.id, retentionInDays=30)),
    Case("aws:ecr/repository:Repository", lambda w: {"forceDelete": True, "imageTagMutability": "IMMUTABLE",
         "imageScanningConfiguration": {"scanOnPush": True}, "encryptionConfigurations": [{"encryptionType": "AES256"}], "tags": {"a": "1"}},
         {"imageTagMutability": "MUTABLE", "tags": {"b": "2"}}, {"name": "other"}),
    Case("aws:ecr/lifecyclePolicy:LifecyclePolicy", lambda w: {"repository": w.make("aws:ecr/repository:Repository").id, "policy": json.dumps(
         {"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20}, "action": {"type": "expire"}}]})},
         {"policy": json.dumps({"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]})}),
    Case("aws:sfn/stateMachine:StateMachine", lambda w: {"definition": PASS, "roleArn": w.role().outputs["arn"], "tags": {"a": "1"}},
         {"definition": WAIT, "tags": {"b": "2"}}, {"name": "other"}, same={"definition": json.dumps(json.loads(PASS), indent=2)}),
    Case("aws:scheduler/scheduleGroup:ScheduleGroup", lambda w: {"tags": {"a": "1"}}, {"tags": {"b": "2"}}, {"name": "other"}),
    Case("aws:scheduler/schedule:Schedule", schedule, {"scheduleExpression": "rate(2 hours)", "endDate": "2028-01-01T00:00:00Z", "state": "DISABLED"},
         {"groupName": "default"}, same={"endDate": "2027-06-30T00:00:00+00:00"}),
    Case("aws:lb/loadBalancer:LoadBalancer", lambda w: (vpc := w.vpc(), {"internal": False, "subnets": w.subnets(vpc), "securityGroups": [w.group(vpc)],
         "idleTimeout": 120, "dropInvalidHeaderFields": True, "tags": {"a": "1"}})[1], {"idleTimeout": 4000, "tags": {"b": "2"}},
         {"internal": True}, drift=lambda w, m: w.server.client("elbv2").modify_load_balancer_attributes(
             LoadBalancerArn=m.id, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "9"}])),
    Case("aws:lb/targetGroup:TargetGroup", lambda w: {"port": 8000, "protocol": "HTTP", "vpcId": w.vpc(), "targetType": "ip", "deregistrationDelay": 30,
         "healthCheck": {"path": "/health", "matcher": "200", "interval": 15, "timeout": 5, "healthyThreshold": 2, "unhealthyThreshold": 3},
         "stickiness": {"type": "lb_cookie", "enabled": True, "cookieDuration": 3600}},
         {"deregistrationDelay": 5, "healthCheck": {"path": "/ready", "matcher": "200-299", "interval": 15, "timeout": 5}, "tags": {"a": "1"}},
         {"port": 9000}),
    Case("aws:lb/listener:Listener", lambda w: (pair := w.balancer(), {"loadBalancerArn": pair[0], "port": 80, "protocol": "HTTP", "defaultActions": [
         {"type": "fixed-response", "fixedResponse": {"contentType": "text/plain", "messageBody": "no", "statusCode": "404"}}]})[1],
         {"port": 81, "tags": {"a": "1"}}),
    Case("aws:lb/listenerRule:ListenerRule", listener_rule, {"priority": 11, "transforms": None, "conditions": [
         {"hostHeader": {"values": ["a.example.com"]}}, {"pathPattern": {"values": ["/x/*"]}}]}, {},
         same={"conditions": [{"pathPattern": {"values": ["/api/*", "/api"]}}]}),
    Case("aws:appautoscaling/target:Target", lambda w: {**w.scalable(), "minCapacity": 1, "maxCapacity": 4, "tags": {"a": "1"}}, {"maxCapacity": 6},
         imported=lambda m: f"ecs/{m.id}/ecs:service:DesiredCount"),
    Case("aws:appautoscaling/policy:Policy", lambda w: (names := w.scalable(), w.make("aws:appautoscaling/target:Target", **names, minCapacity=1, maxCapacity=4), {
         **names, "policyType": "TargetTrackingScaling", "targetTrackingScalingPolicyConfiguration": {"targetValue": 60,
         "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"}, "scaleInCooldown": 60}})[2],
         {"targetTrackingScalingPolicyConfiguration": {"targetValue": 70, "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"}}},
         imported=lambda m: f"ecs/{m.outputs['resourceId']}/ecs:service:DesiredCount/{m.id}"),
]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(ecs_types, "_wait", lambda done, otherwise: done())  # no agent here that would drain services
    server = Server(str(next(_accounts)), "eu-west-1", "http://127.0.0.1:4599")
    plugins = Plugins(server, None, tmp_path)
    provider = Provider(plugins)
    yield World(provider, server)
    provider.close()
    plugins.close()
    server.close()


def named(case: Case) -> str:
    return case.token.split(":")[-1]


def merged(inputs: Props, change: Props) -> Props:
    return {name: value for name, value in {**inputs, **change}.items() if value is not None}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_life_of_a_resource(case: Case, world: World) -> None:
    provider, urn = world.provider, f"urn:pulumi:dev::proj::{case.token}::under-test"
    declared = case.inputs(world)
    inputs = provider.checked(urn, declared)

    foreseen = provider.create(urn, inputs, preview=True)
    assert foreseen.id == ""
    made = provider.create(urn, inputs)
    assert made.id
    for name, value in foreseen.outputs.items():
        assert value is UNKNOWN or made.outputs.get(name) == value, f"the preview foresaw {name} wrongly"

    again = provider.checked(urn, declared, made.inputs)
    assert again == made.inputs
    assert not provider.diff(urn, made, again).diffs

    read = provider.read(urn, made)
    assert read is not None and read.id == made.id
    assert read.inputs == made.inputs, "reading what was made is no drift"
    assert not provider.diff(urn, read, again).diffs
    missing = {name for name, known in REGISTRY[case.token].fields.items() if known.output and name not in read.outputs}
    assert not missing - {"stateMachineVersionArn", "description", "versionDescription", "creationDate", "lastModificationDate", "revisionId", "cidrBlocks", "prefixListId", "requesterManaged", "dhcpOptionsId", "state"}, missing  # fmt: skip

    if case.same:
        assert not provider.diff(urn, made, provider.checked(urn, merged(declared, case.same), made.inputs)).diffs
    if case.replace:
        difference = provider.diff(urn, made, provider.checked(urn, merged(declared, case.replace), made.inputs))
        assert set(difference.replaces) == set(case.replace)
    if case.drift:
        case.drift(world, made)
        drifted = provider.read(urn, made)
        assert drifted is not None
        found = provider.diff(urn, drifted, provider.checked(urn, declared, drifted.inputs))
        assert found.diffs and not found.replaces
        made = provider.update(urn, drifted, provider.checked(urn, declared, drifted.inputs))
        healed = provider.read(urn, made)
        assert healed is not None and not provider.diff(urn, healed, made.inputs).diffs
    if case.change:
        changed = merged(declared, case.change)
        wanted = provider.checked(urn, changed, made.inputs)
        difference = provider.diff(urn, made, wanted)
        assert set(case.change) <= set(difference.diffs) | {"desiredCount"} and not difference.replaces
        provider.update(urn, made, wanted, preview=True)
        made = provider.update(urn, made, wanted)
        provider.update(urn, made, wanted)  # may be repeated
        read = provider.read(urn, made)
        assert read is not None and read.inputs == wanted
        assert not provider.diff(urn, read, provider.checked(urn, changed, read.inputs)).diffs

    imported = provider.read(urn, Made(case.imported(read), {}, {}))
    assert imported is not None
    assert not provider.diff(urn, imported, imported.inputs).diffs
    assert not provider.check(urn, imported.inputs)[1]
    provider.delete(urn, made)
    provider.delete(urn, made)
    if not case.stays:
        assert provider.read(urn, made) is None
    for needed, thing in reversed(world.made):
        provider.delete(needed, thing)
