"""The way out to each connection that some workload names: a security group that only their tasks have."""

from collections.abc import Iterable
from ipaddress import IPv4Address

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup

from herd.infra.context import Component, Context
from herd.infra.hardware.network import HTTPS, WORLD, Network
from herd.infra.settings.tables import Connection
from herd.infra.spec.load import WorkloadSpec


class Connections(Component):
    """For each connection a SecurityGroup and its one SecurityGroupEgressRule; none for HTTPS, which all tasks may.

        connections = Connections(project.context, project, project.workloads, network)
        connections.security_groups["warehouse"].id

    The other side can let in exactly those who are meant, by naming the group `<prefix>-to-<connection>`. The way leads
    to the connection's `cidr`, else to the host where that is an address; what a name stands for may change, so there
    the port alone is limited.
    """

    def __init__(
        self, context: Context, parent: pulumi.Resource, workloads: Iterable[WorkloadSpec], network: Network
    ) -> None:
        super().__init__("Connections", "connections", parent)
        self.security_groups: dict[str, SecurityGroup] = {}
        self.addresses: dict[str, pulumi.Output[tuple[str, int]]] = {}
        self._known = context.settings.connections
        for name in sorted({name for spec in workloads for name in spec.connects}):
            connection = context.settings.connections[name]
            if connection.port != HTTPS:
                group = network.security_group(f"to-{name}", f"tasks that connect to {name}")
                self.security_groups[name] = group
                what = f"{name} ({connection.driver})"
                network.let_out(self, name, group, what, port=connection.port, to=_addresses(connection))
        self.register_outputs({})

    def lead_to(self, name: str, host: pulumi.Input[str], port: pulumi.Input[int]) -> None:
        """Say where a connection leads whose server the program makes itself; before the workloads are made.

            hardware.connections.lead_to("warehouse", instance.address, instance.port)

        Raises pulumi.RunError if the stack's settings have no such connection, or name another host for it.
        """
        if name not in self._known:
            raise pulumi.RunError(f"{name!r} is not a connection in the stack's settings (herd:connections)")
        if self._known[name].host:
            raise pulumi.RunError(
                f"connection {name!r} has a host in the stack's settings, {self._known[name].host!r}: the program says "
                "where it leads, so leave it out there"
            )
        self.addresses[name] = pulumi.Output.all(host, port).apply(lambda both: (str(both[0]), int(both[1])))


def _addresses(connection: Connection) -> str:
    if connection.cidr:
        return connection.cidr
    try:
        return f"{IPv4Address(connection.host)}/32"
    except ValueError:
        return WORLD
