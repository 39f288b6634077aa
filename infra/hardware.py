"""What tasks run on: a network and a cluster.

dev: tasks have public addresses and no way in. About 4 USD a month for each task that always runs (its address),
against about 65 for a NAT gateway. Traffic to S3, image layers included, takes the gateway endpoint and costs nothing.
"""

from ipaddress import IPv4Network

import pulumi
from pulumi_aws.ec2.default_security_group import DefaultSecurityGroup
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.ec2.vpc_endpoint import VpcEndpoint
from pulumi_aws.ecs.cluster import Cluster as EcsCluster
from pulumi_aws.ecs.cluster_capacity_providers import ClusterCapacityProviders
from pulumi_aws.get_availability_zones import get_availability_zones
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule

from infra.context import Component, Context

WORLD = "0.0.0.0/0"
ZONES = 2
"""A load balancer needs two; more would only cost more in dev."""


class Network(Component):
    """A VPC with two public subnets, a way out, and a security group for tasks that nobody calls.

    Vpc, InternetGateway, two Subnets, RouteTable with its Route and associations, the S3 VpcEndpoint, an emptied
    DefaultSecurityGroup. Tasks reach the world by HTTPS only; DNS is the VPC's own and needs no rule.
    """

    def __init__(self, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("Network", "network", parent)
        self.context = context
        self.vpc = self._vpc()
        self.subnets = self._subnets()
        self._routes()
        self.tasks_security_group = self.security_group("tasks", "tasks that run and end: no way in")
        self._https_out("tasks", self.tasks_security_group)
        self.register_outputs({})

    @property
    def subnet_ids(self) -> list[pulumi.Output[str]]:
        return [subnet.id for subnet in self.subnets]

    def security_group(self, purpose: str, description: str) -> SecurityGroup:
        """An empty group; its rules are resources of their own, so that nobody else's rules are swept away."""
        name = self.context.naming.security_group(purpose)
        return SecurityGroup(
            self.child(purpose),
            name=name,
            description=description,
            vpc_id=self.vpc.id,
            tags=self.context.tags(Name=name),
            opts=self.options(),
        )

    def service_security_group(self) -> SecurityGroup:
        """For tasks that a load balancer calls; who may call is added by the balancer."""
        group = self.security_group("services", "tasks that answer: called by load balancers only")
        self._https_out("services", group)
        return group

    def _vpc(self) -> Vpc:
        vpc = Vpc(
            self.child("vpc"),
            cidr_block=self.context.settings.vpc_cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._named("vpc"),
            opts=self.options(),
        )
        DefaultSecurityGroup(
            self.child("default"),
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=self._named("default-unused"),
            opts=self.options(),
        )
        return vpc

    def _subnets(self) -> list[Subnet]:
        zones = get_availability_zones(state="available").names[:ZONES]
        blocks = IPv4Network(self.context.settings.vpc_cidr).subnets(prefixlen_diff=4)
        return [
            Subnet(
                self.child(f"public-{number}"),
                vpc_id=self.vpc.id,
                availability_zone=zone,
                cidr_block=str(block),
                # Tasks ask for their address themselves; nothing else that is started here should have one.
                map_public_ip_on_launch=False,
                tags=self._named(f"public-{number}"),
                opts=self.options(),
            )
            for number, (zone, block) in enumerate(zip(zones, blocks, strict=False), start=1)
        ]

    def _routes(self) -> None:
        gateway = InternetGateway(
            self.child("gateway"), vpc_id=self.vpc.id, tags=self._named("gateway"), opts=self.options()
        )
        table = RouteTable(self.child("public"), vpc_id=self.vpc.id, tags=self._named("public"), opts=self.options())
        Route(
            self.child("out"),
            route_table_id=table.id,
            destination_cidr_block=WORLD,
            gateway_id=gateway.id,
            opts=self.options(),
        )
        for number, subnet in enumerate(self.subnets, start=1):
            RouteTableAssociation(
                self.child(f"public-{number}"), subnet_id=subnet.id, route_table_id=table.id, opts=self.options()
            )
        VpcEndpoint(
            self.child("s3"),
            vpc_id=self.vpc.id,
            service_name=f"com.amazonaws.{self.context.settings.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id],
            tags=self._named("s3"),
            opts=self.options(),
        )

    def _https_out(self, purpose: str, group: SecurityGroup) -> None:
        SecurityGroupEgressRule(
            self.child(f"{purpose}-https"),
            security_group_id=group.id,
            description="AWS and the world by HTTPS",
            cidr_ipv4=WORLD,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            tags=self.context.tags(),
            opts=self.options(),
        )

    def _named(self, what: str) -> dict[str, str]:
        """These resources have ids only; the console shows the tag `Name` instead."""
        return self.context.tags(Name=f"{self.context.naming.prefix}-{what}")


class Cluster(Component):
    """Where tasks are placed: Fargate, or Fargate Spot at about 30 % of its price. Costs nothing itself."""

    def __init__(self, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("Cluster", "cluster", parent)
        self.cluster = EcsCluster(
            self.child("ecs"),
            name=context.naming.cluster,
            # Container Insights is charged by metric; the records say what dev needs to know.
            settings=[{"name": "containerInsights", "value": "disabled"}],
            tags=context.tags(),
            opts=self.options(),
        )
        self.capacity = ClusterCapacityProviders(
            self.child("capacity"),
            cluster_name=self.cluster.name,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            default_capacity_provider_strategies=[{"capacity_provider": "FARGATE", "weight": 1}],
            opts=self.options(),
        )
        self.register_outputs({})
