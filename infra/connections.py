"""The way out to each connection that some workload names: a security group that only their tasks have."""

from collections.abc import Iterable
from ipaddress import ip_address

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule

from infra.context import Component, Context
from infra.network import HTTPS, WORLD, Network
from infra.spec import WorkloadSpec


class Connections(Component):
    """For each connection a SecurityGroup and its one SecurityGroupEgressRule; none for HTTPS, which all tasks may.

    The other side can let in exactly those who are meant, by naming the group `<prefix>-to-<connection>`. Where the
    host is an address the way leads to it only; what a name stands for may change, so there the port alone is limited.
    """

    def __init__(
        self, context: Context, parent: pulumi.Resource, workloads: Iterable[WorkloadSpec], network: Network
    ) -> None:
        super().__init__("Connections", "connections", parent)
        self.security_groups: dict[str, SecurityGroup] = {}
        for name in sorted({name for spec in workloads for name in spec.connects}):
            connection = context.settings.connections[name]
            if connection.port != HTTPS:
                group = network.security_group(f"to-{name}", f"tasks that connect to {name}")
                self.security_groups[name] = group
                SecurityGroupEgressRule(
                    self.child(name),
                    security_group_id=group.id,
                    description=f"{name} ({connection.driver})",
                    ip_protocol="tcp",
                    from_port=connection.port,
                    to_port=connection.port,
                    **_destination(connection.host),
                    tags=context.tags(),
                    opts=self.options(),
                )
        self.register_outputs({})


def _destination(host: str) -> dict[str, str]:
    try:
        address = ip_address(host)
    except ValueError:
        return {"cidr_ipv4": WORLD}
    return {f"cidr_ipv{address.version}": f"{address}/{address.max_prefixlen}"}
