"""The engine's side of the provider protocol, and the resources that others need, for the plugins' tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from localcloud.plugins import Plugins
from localcloud.plugins.values import Props, dump, load
from localcloud.server import Server


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


TRUST = policy({"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"})


class Provider:
    """The engine's side of one session."""

    def __init__(
        self,
        plugins: Plugins,
        package: str = "aws",
        config: Props | None = None,
        cwd: Path = Path("."),
        environment: Mapping[str, str] | None = None,
    ):
        request = {"package": package, "engine": "", "cwd": str(cwd), "environment": dict(environment or {})}
        self.session = plugins.open(request)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.session.port}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        self.stub.Configure(pb.ConfigureRequest(args=dump(config or {})))

    def close(self) -> None:
        self.channel.close()
        self.session.close()

    def check(self, urn: str, news: Props, olds: Props | None = None) -> tuple[Props, dict[str, str]]:
        answer = self.stub.Check(
            pb.CheckRequest(urn=urn, news=dump(news), olds=dump(olds or {}), randomSeed=bytes(range(32)))
        )
        return load(answer.inputs), {failure.property: failure.reason for failure in answer.failures}

    def checked(self, urn: str, news: Props, olds: Props | None = None) -> Props:
        inputs, failures = self.check(urn, news, olds)
        assert not failures, failures
        return inputs

    def diff(self, urn: str, made: Made, news: Props, ignore: tuple[str, ...] = ()) -> Any:
        return self.stub.Diff(
            pb.DiffRequest(
                urn=urn,
                id=made.id,
                old_inputs=dump(made.inputs),
                olds=dump(made.outputs),
                news=dump(news),
                ignoreChanges=ignore,
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
            self.make(
                "aws:ec2/subnet:Subnet", vpcId=vpc, cidrBlock=f"10.0.{n}.0/24", availabilityZone=f"eu-west-1{zone}"
            ).id
            for n, zone in enumerate("ab")
        ]

    def bucket(self) -> str:
        return self.make("aws:s3/bucket:Bucket", forceDestroy=True).id

    def role(self, **more: Any) -> Made:
        return self.make("aws:iam/role:Role", assumeRolePolicy=TRUST, **more)

    def group(self, vpc: str) -> str:
        return self.make("aws:ec2/securityGroup:SecurityGroup", vpcId=vpc).id

    def balancer(self) -> tuple[str, str]:
        vpc = self.vpc()
        made = self.make(
            "aws:lb/loadBalancer:LoadBalancer", name="lb", subnets=self.subnets(vpc), securityGroups=[self.group(vpc)]
        )
        return made.id, vpc

    def target(self, vpc: str) -> str:
        return self.make("aws:lb/targetGroup:TargetGroup", port=80, protocol="HTTP", vpcId=vpc, targetType="ip").id

    def listener(self) -> tuple[str, str]:
        balancer, vpc = self.balancer()
        target = self.target(vpc)
        actions = [{"type": "forward", "targetGroupArn": target}]
        return self.make(
            "aws:lb/listener:Listener", loadBalancerArn=balancer, port=80, defaultActions=actions
        ).id, target

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
    container = {
        "name": "main",
        "image": image,
        "essential": True,
        "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
        "portMappings": [{"containerPort": 8000}],
    }
    return {
        "family": family,
        "containerDefinitions": json.dumps([container]),
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        "executionRoleArn": "arn:aws:iam::310000000000:role/execution",
        "taskRoleArn": "arn:aws:iam::310000000000:role/task",
        "volumes": [{"name": "scratch"}],
        "ephemeralStorage": {"sizeInGib": 30},
    }


def service_inputs(world: World) -> Props:
    vpc, cluster = world.vpc(), world.cluster()
    world.make(
        "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
        clusterName=cluster.outputs["name"],
        capacityProviders=["FARGATE", "FARGATE_SPOT"],
    )
    return {
        "cluster": cluster.outputs["arn"],
        "taskDefinition": world.definition().outputs["arn"],
        "desiredCount": 1,
        "capacityProviderStrategies": [{"capacityProvider": "FARGATE", "weight": 1}],
        "networkConfiguration": {
            "subnets": world.subnets(vpc),
            "securityGroups": [world.group(vpc)],
            "assignPublicIp": True,
        },
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "deploymentMinimumHealthyPercent": 100,
        "enableEcsManagedTags": True,
        "propagateTags": "SERVICE",
    }
