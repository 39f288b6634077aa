"""EC2's networks: what belongs to a VPC and stays with it, routes that lead somewhere, endpoints that there are.

Sources: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ (errors of CreateRoute, DeleteRouteTable,
DeleteSecurityGroup), https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html.
"""

from __future__ import annotations

from localcloud import backends
from localcloud.request import Call, Refused

ROUTE_TARGETS = (
    *("GatewayId", "NatGatewayId", "InstanceId", "NetworkInterfaceId", "TransitGatewayId", "VpcPeeringConnectionId"),
    *("EgressOnlyInternetGatewayId", "LocalGatewayId", "CarrierGatewayId", "VpcEndpointId", "CoreNetworkArn"),
)
GATEWAY_SERVICES = (".s3", ".dynamodb")


def group_may_go(asked: Call) -> None:
    """A VPC's default security group stays."""
    for groups in backends.ec2(asked.account, asked.region).groups.values():
        group = groups.get(asked.text("GroupId"))
        if group is not None and group.name == "default":
            raise Refused(
                "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            )


def table_may_go(asked: Call) -> None:
    """A VPC's main route table stays."""
    number = asked.text("RouteTableId")
    table = backends.ec2(asked.account, asked.region).route_tables.get(number)
    if table is not None and table.main_association_id:
        raise Refused("DependencyViolation", f"The routeTable '{number}' has dependencies and cannot be deleted.")


def route_has_a_target(asked: Call) -> None:
    """Exactly one."""
    targets = [name for name in ROUTE_TARGETS if asked.arguments.get(name)]
    if not targets:
        raise Refused(
            "MissingParameter", "The request must contain the parameter gatewayId or another target of the route"
        )
    if len(targets) > 1:
        raise Refused("InvalidParameterCombination", f"A route has one target, not {', '.join(targets)}")


def subnet_is_free(asked: Call) -> None:
    """A subnet has one route table of its own."""
    subnet, table = asked.text("SubnetId"), asked.text("RouteTableId")
    for other in backends.ec2(asked.account, asked.region).route_tables.values():
        if subnet and subnet in other._associations.values() and other.id != table:
            message = f"the specified association for route table {table} conflicts with an existing association"
            raise Refused("Resource.AlreadyAssociated", message)


def endpoint_is_offered(asked: Call) -> None:
    """Gateways lead to S3 and DynamoDB only."""
    service, kind = asked.text("ServiceName"), asked.text("VpcEndpointType") or "Gateway"
    if kind == "Gateway" and service and not service.endswith(GATEWAY_SERVICES):
        message = f"Endpoint type (Gateway) does not match available service types ([Interface]) of {service}."
        raise Refused("InvalidParameter", message)
