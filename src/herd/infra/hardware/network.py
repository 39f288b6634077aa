"""The network that tasks and load balancers stand in: one of its own, of three kinds, or the company's.

| `network` | tasks reach | costs (`herd.infra.prices`) |
| --- | --- | --- |
| public | the world, by an address of their own; nobody reaches them | an address for each task that runs |
| nat | the world, by one shared gateway | a gateway, and its traffic |
| endpoints | AWS's services and nothing else | an endpoint for each service and zone |

Traffic to S3, image layers included, takes a gateway endpoint in all of them and costs nothing.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import Any, Literal

import pulumi
from pulumi_aws.ec2.default_security_group import DefaultSecurityGroup
from pulumi_aws.ec2.eip import Eip
from pulumi_aws.ec2.flow_log import FlowLog
from pulumi_aws.ec2.internet_gateway import InternetGateway
from pulumi_aws.ec2.nat_gateway import NatGateway
from pulumi_aws.ec2.route import Route
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.ec2.vpc_endpoint import VpcEndpoint
from pulumi_aws.get_availability_zones import get_availability_zones
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from herd.infra.capacity import placement
from herd.infra.context import Component, Context, LogBucket
from herd.infra.offer import ZONES_WITHOUT_FARGATE
from herd.infra.spec.load import WorkloadSpec

WORLD = "0.0.0.0/0"
HTTPS = 443

REGIONAL: list[Any] = [{"name": "zone-type", "values": ["availability-zone"]}]
"""Local and wavelength zones that an account has opted into sort before the region's own, and have neither NAT gateways
nor Fargate. Source: DescribeAvailabilityZones, Amazon EC2 API reference.
"""

Tier = Literal["public", "private"]
FIRST_BLOCK: dict[Tier, int] = {"public": 0, "private": 8}
"""Of the network's sixteen blocks. Room behind each, so that another zone moves no subnet."""

ALWAYS = ("ecr.api", "ecr.dkr", "logs")
FOR_SECRETS = ("secretsmanager",)
"""AWS's services that a task calls before its own code runs, by the last part of their endpoint's name. Credentials
come by a link-local address. Source: "Amazon ECS interface VPC endpoints", ECS developer guide."""


def endpoint_services(workloads: Iterable[WorkloadSpec]) -> list[str]:
    """What tasks of these workloads need where there is no way to the world; each costs, so no more than that."""
    needed = set(ALWAYS)
    for spec in workloads:
        if spec.secrets or spec.connects:
            needed |= set(FOR_SECRETS)
        needed |= set(placement(spec.hardware).endpoints)
    return sorted(needed)


class Network(Component):
    """Subnets for tasks and for load balancers, a way out, and a security group for tasks that nobody calls.

        network = Network(project.context, project, cidr="10.0.0.0/16")
        network.vpc_id, network.task_subnet_ids, network.tasks_security_group

    Of its own: Vpc, Subnets in `zones` zones, RouteTables and their Routes, the S3 VpcEndpoint, an emptied
    DefaultSecurityGroup; an InternetGateway where something faces the internet; with `nat` also Eip and NatGateway,
    with `endpoints` a VpcEndpoint for each of `services` and a SecurityGroup in front of them; a FlowLog to `logs`.
    With the setting `vpc` none of these: only security groups are made in the company's network, whose way out,
    endpoints and flow logs are the company's too. `cidr` is that of the VPC, adopted or own.

    `way_in`: what a load balancer that faces the internet waits for; EC2 refuses it before. `way_out`: what tasks wait
    for; without it they could not fetch their image, and a service whose first tasks fail stays failed.
    """

    def __init__(
        self,
        context: Context,
        parent: pulumi.Resource,
        *,
        cidr: str,
        faces_internet: bool = True,
        services: Iterable[str] = ALWAYS,
        logs: LogBucket | None = None,
    ) -> None:
        super().__init__("Network", "network", parent)
        self.context = context
        self.cidr = cidr
        self._kind = context.settings.network
        settings = context.settings
        self._subnets: dict[Tier, list[pulumi.Input[str]]] = {
            "public": list(settings.public_subnets),
            "private": list(settings.private_subnets),
        }
        self.vpc_id: pulumi.Input[str] = settings.vpc
        self.way_in: list[pulumi.Resource] = []
        self.way_out: list[pulumi.Resource] = []
        if not settings.vpc:
            self._build(faces_internet or self._kind != "endpoints", sorted(services), logs)
        self.tasks_security_group = self.security_group("tasks", "tasks that run and end: no way in")
        self.let_out(self, "tasks-https", self.tasks_security_group, "AWS and the world by HTTPS")
        self.register_outputs({})

    @property
    def assign_public_ip(self) -> bool:
        """Whether tasks have addresses of their own, without which they could not even fetch their image."""
        return self._kind == "public"

    @property
    def task_subnet_ids(self) -> list[pulumi.Input[str]]:
        return self._subnets["public" if self.assign_public_ip else "private"]

    def balancer_subnet_ids(self, facing: Literal["internal", "public"]) -> list[pulumi.Input[str]]:
        """Where a load balancer stands that faces the network itself or the internet."""
        return self._subnets["public"] if facing == "public" else self._subnets["private"] or self._subnets["public"]

    def security_group(self, purpose: str, description: str) -> SecurityGroup:
        """An empty group; its rules are resources of their own, so that nobody else's rules are swept away."""
        name = self.context.naming.security_group(purpose)
        return SecurityGroup(
            self.child(purpose),
            name=name,
            description=description,
            vpc_id=self.vpc_id,
            tags=self.context.tags(Name=name),
            opts=self.options(),
        )

    def service_security_group(self) -> SecurityGroup:
        """For tasks that a load balancer calls; who may call is added by the balancer."""
        group = self.security_group("services", "tasks that answer: called by load balancers only")
        self.let_out(self, "services-https", group, "AWS and the world by HTTPS")
        return group

    def let_out(
        self, owner: Component, name: str, group: SecurityGroup, description: str, port: int = HTTPS, to: str = WORLD
    ) -> None:
        """A rule, as a child of `owner`, by which what has `group` may call one TCP port of the addresses `to`."""
        SecurityGroupEgressRule(
            owner.child(name),
            security_group_id=group.id,
            description=description,
            cidr_ipv4=to,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            tags=self.context.tags(),
            opts=owner.options(),
        )

    # --- of its own ------------------------------------------------------------------------------------------------

    def _build(self, faces_internet: bool, services: Iterable[str], logs: LogBucket | None) -> None:
        vpc = self._vpc()
        self.vpc_id = vpc.id
        tables: list[RouteTable] = []
        if faces_internet:
            self._subnets["public"] = self._tier("public", vpc)
            gateway = InternetGateway(
                self.child("gateway"), vpc_id=vpc.id, tags=self._named("gateway"), opts=self.options()
            )
            tables.append(self._table("public", vpc))
            self.way_in = [gateway]
            route = self._route("out", tables[0], gateway_id=gateway.id)
        if self._kind != "public":
            self._subnets["private"] = self._tier("private", vpc)
            tables.append(self._table("private", vpc))
        if self._kind == "nat":
            self._route("out-private", tables[-1], nat_gateway_id=self._nat(route).id)
        self._endpoint(vpc, "s3", route_table_ids=[table.id for table in tables])
        if self._kind == "endpoints":
            self._private_endpoints(vpc, services)
        if logs is not None:
            self._flow_log(vpc, logs)

    def _vpc(self) -> Vpc:
        vpc = Vpc(
            self.child("vpc"),
            cidr_block=self.cidr,
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

    def _tier(self, tier: Tier, vpc: Vpc) -> list[pulumi.Input[str]]:
        """A subnet in each zone; their ids."""
        available = get_availability_zones(
            state="available", filters=REGIONAL, exclude_zone_ids=list(ZONES_WITHOUT_FARGATE)
        )
        zones = available.names[: self.context.settings.zones]
        blocks = list(IPv4Network(self.cidr).subnets(prefixlen_diff=4))[FIRST_BLOCK[tier] :]
        return [
            Subnet(
                self.child(f"{tier}-{number}"),
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=str(block),
                # Tasks ask for their address themselves; nothing else that is started here should have one.
                map_public_ip_on_launch=False,
                tags=self._named(f"{tier}-{number}"),
                opts=self.options(),
            ).id
            for number, (zone, block) in enumerate(zip(zones, blocks, strict=False), start=1)
        ]

    def _table(self, tier: Tier, vpc: Vpc) -> RouteTable:
        table = RouteTable(self.child(tier), vpc_id=vpc.id, tags=self._named(tier), opts=self.options())
        for number, subnet in enumerate(self._subnets[tier], start=1):
            self.way_out.append(
                RouteTableAssociation(
                    self.child(f"{tier}-{number}"), subnet_id=subnet, route_table_id=table.id, opts=self.options()
                )
            )
        return table

    def _route(
        self,
        name: str,
        table: RouteTable,
        gateway_id: pulumi.Input[str] | None = None,
        nat_gateway_id: pulumi.Input[str] | None = None,
    ) -> Route:
        route = Route(
            self.child(name),
            route_table_id=table.id,
            destination_cidr_block=WORLD,
            gateway_id=gateway_id,
            nat_gateway_id=nat_gateway_id,
            opts=self.options(),
        )
        self.way_out.append(route)
        return route

    def _nat(self, route: Route) -> NatGateway:
        """One for all zones: a second would double the price to survive what costs jobs a retry."""
        address = Eip(self.child("nat"), domain="vpc", tags=self._named("nat"), opts=self.options())
        return NatGateway(
            self.child("nat"),
            allocation_id=address.id,
            subnet_id=self._subnets["public"][0],
            tags=self._named("nat"),
            opts=self.options(depends_on=[route]),
        )

    def _private_endpoints(self, vpc: Vpc, services: Iterable[str]) -> None:
        group = self.security_group("endpoints", "services of AWS inside this network: called by HTTPS")
        SecurityGroupIngressRule(
            self.child("endpoints-https"),
            security_group_id=group.id,
            description="callers: this network",
            cidr_ipv4=self.cidr,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            tags=self.context.tags(),
            opts=self.options(),
        )
        for service in services:
            self._endpoint(vpc, service, group)

    def _endpoint(
        self,
        vpc: Vpc,
        service: str,
        group: SecurityGroup | None = None,
        route_table_ids: list[pulumi.Output[str]] | None = None,
    ) -> None:
        """A way to one of AWS's services: an interface behind `group`, or a gateway in the route tables."""
        endpoint = VpcEndpoint(
            self.child(service.replace(".", "-")),
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{self.context.settings.region}.{service}",
            vpc_endpoint_type="Interface" if group else "Gateway",
            route_table_ids=route_table_ids,
            subnet_ids=self._subnets["private"] if group else None,
            security_group_ids=[group.id] if group else None,
            # The service's usual name then leads here, so no program needs to know.
            private_dns_enabled=True if group else None,
            tags=self._named(service.replace(".", "-")),
            opts=self.options(),
        )
        self.way_out.append(endpoint)

    def _flow_log(self, vpc: Vpc, logs: LogBucket) -> None:
        """To the bucket: half the price of CloudWatch, and no role that somebody could borrow."""
        FlowLog(
            self.child("flows"),
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination_type="s3",
            log_destination=f"{logs.arn}/{logs.prefix}flows/",
            max_aggregation_interval=600,
            tags=self._named("flows"),
            opts=self.options(depends_on=logs.ready),
        )

    def _named(self, what: str) -> dict[str, str]:
        """These resources have ids only; the console shows the tag `Name` instead."""
        return self.context.tags(Name=f"{self.context.naming.prefix}-{what}")
