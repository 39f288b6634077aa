"""What is still in use is not deleted: networks, security groups, policies, certificates, distributions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused

_GONE = ("deleted", "deleting")


def security_group(asked: Call) -> None:
    """A group goes after what has it: interfaces, load balancers, endpoints, and rules of other groups."""
    group = asked.text("GroupId")
    if not group:
        return
    for user in _users_of_group(asked, group):
        raise Refused("DependencyViolation", f"resource {group} has a dependent object: {user}")


def _users_of_group(asked: Call, group: str) -> Iterator[str]:
    ec2 = backends.ec2(asked.account, asked.region)
    for interface in ec2.enis.values():
        if group in [each.id for each in interface.group_set]:
            yield f"the network interface {interface.id}"
    for balancer in backends.elbv2(asked.account, asked.region).load_balancers.values():
        if group in (balancer.security_groups or []):
            yield f"the load balancer {balancer.name}"
    for endpoint in _endpoints(ec2):
        if group in (endpoint.security_group_ids or []):
            yield f"the endpoint {endpoint.id}"
    for other in (each for groups in ec2.groups.values() for each in groups.values() if each.id != group):
        rules = [*other.ingress_rules, *other.egress_rules]
        if any((rule.source_group or {}).get("GroupId") == group for rule in rules):
            yield f"a rule of the security group {other.id}"


def subnet(asked: Call) -> None:
    """A subnet goes after what lives in it: interfaces, gateways, load balancers, endpoints."""
    wanted = asked.text("SubnetId")
    for user in _users_of_subnet(asked, wanted):
        message = f"The subnet '{wanted}' has dependencies and cannot be deleted: {user}"
        raise Refused("DependencyViolation", message)


def _users_of_subnet(asked: Call, subnet: str) -> Iterator[str]:
    ec2 = backends.ec2(asked.account, asked.region)
    for gateway in _gateways(ec2):
        if gateway.subnet_id == subnet:
            yield f"the NAT gateway {gateway.id}"
    for balancer in backends.elbv2(asked.account, asked.region).load_balancers.values():
        if subnet in [each.id for each in balancer.subnets]:
            yield f"the load balancer {balancer.name}"
    for endpoint in _endpoints(ec2):
        if subnet in (endpoint.subnet_ids or []):
            yield f"the endpoint {endpoint.id}"
    for interface in ec2.enis.values():
        if interface.subnet.id == subnet:
            yield f"the network interface {interface.id}"


def vpc(asked: Call) -> None:
    """A network goes after all that is in it but what came with it."""
    wanted = asked.text("VpcId")
    ec2 = backends.ec2(asked.account, asked.region)
    users = [f"the internet gateway {each.id}" for each in ec2.internet_gateways.values()
             if each.vpc is not None and each.vpc.id == wanted]  # fmt: skip
    users += [f"the endpoint {each.id}" for each in _endpoints(ec2) if each.vpc_id == wanted]
    users += [f"the NAT gateway {each.id}" for each in _gateways(ec2) if each.vpc_id == wanted]
    users += [f"the security group {each.id}" for each in ec2.groups.get(wanted, {}).values() if each.name != "default"]
    if users:
        message = f"The vpc '{wanted}' has dependencies and cannot be deleted: {users[0]}"
        raise Refused("DependencyViolation", message)


def internet_gateway(asked: Call) -> None:
    """A gateway goes after it has left its network, which it leaves after the public addresses there."""
    ec2, number = backends.ec2(asked.account, asked.region), asked.text("InternetGatewayId")
    gateway = ec2.internet_gateways.get(number)
    if gateway is None or gateway.vpc is None:
        return
    if asked.operation == "DeleteInternetGateway":
        message = f"The internetGateway '{number}' has dependencies and cannot be deleted."
        raise Refused("DependencyViolation", message)
    network = gateway.vpc.id
    public = [each.id for each in _gateways(ec2) if each.vpc_id == network and each.connectivity_type != "private"]
    balancers = backends.elbv2(asked.account, asked.region).load_balancers.values()
    public += [each.name for each in balancers if each.vpc_id == network and each.scheme == "internet-facing"]
    if public:
        message = (
            f"Network {network} has some mapped public address(es): {', '.join(public)}. Please unmap those first."
        )
        raise Refused("DependencyViolation", message)


def address(asked: Call) -> None:
    """An address goes after the gateway or instance that has it."""
    number = asked.text("AllocationId")
    for gateway in _gateways(backends.ec2(asked.account, asked.region)):
        if any(each.get("allocationId") == number for each in gateway.address_set):
            message = f"Address with allocation id {number} is in use by the NAT gateway {gateway.id}."
            raise Refused("InvalidIPAddress.InUse", message)


def managed_policy(asked: Call) -> None:
    """A managed policy goes after it has been detached; one that bounds somebody stays."""
    arn, backend = asked.text("PolicyArn"), backends.iam(asked.account)
    policy = backend.managed_policies.get(arn)
    if policy is None:
        return
    owners = [*backend.roles.values(), *backend.users.values(), *backend.groups.values()]
    if any(arn in each.managed_policies for each in owners):
        message = "Cannot delete a policy attached to entities."
        raise Refused("DeleteConflict", message, 409)
    bounded = [each.name for each in backend.roles.values() if each.permissions_boundary_arn == arn]
    if bounded:
        message = f"Cannot delete a policy that is the permissions boundary of {', '.join(bounded)}."
        raise Refused("DeleteConflict", message, 409)
    if len(policy.versions) > 1:
        message = "This policy has more than one version. Before you delete a policy, you must delete its versions."
        raise Refused("DeleteConflict", message, 409)


def certificate(asked: Call) -> None:
    """A certificate goes after the listeners and distributions that show it."""
    arn = asked.text("CertificateArn")
    for balancer in backends.elbv2(asked.account, asked.region).load_balancers.values():
        for listener in balancer.listeners.values():
            if arn == listener.certificate or arn in (listener.certificates or []):
                message = f"Certificate {arn} in account {asked.account} is in use by {balancer.arn}."
                raise Refused("ResourceInUseException", message)
    for distribution in backends.cloudfront(asked.account).distributions.values():
        if distribution.distribution_config.ViewerCertificate.get("ACMCertificateArn") == arn:
            message = f"Certificate {arn} in account {asked.account} is in use by {distribution.arn}."
            raise Refused("ResourceInUseException", message)


def distribution(asked: Call) -> None:
    """A distribution is disabled before it is deleted."""
    distribution = backends.cloudfront(asked.account).distributions.get(asked.text("Id"))
    if distribution is not None and distribution.distribution_config.Enabled:
        message = "The distribution you are trying to delete has not been disabled."
        raise Refused("DistributionNotDisabled", message, 409)


def origin_access_control(asked: Call) -> None:
    """What lets distributions read goes after them."""
    number = asked.text("Id")
    for distribution in backends.cloudfront(asked.account).distributions.values():
        if any(
            each.get("OriginAccessControlId") == number for each in distribution.distribution_config.Origins["Items"]
        ):
            message = f"The origin access control is still in use by the distribution {distribution.id}."
            raise Refused("OriginAccessControlInUse", message, 409)


def scaling_group(asked: Call) -> None:
    """A group goes after its instances, or with force."""
    backend = backends.autoscaling(asked.account, asked.region)
    group = backend.autoscaling_groups.get(asked.text("AutoScalingGroupName"))
    if group is not None and group.instance_states and not asked.arguments.get("ForceDelete"):
        message = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group."  # noqa: E501
        raise Refused("ResourceInUse", message)


def machine_version(asked: Call) -> None:
    """A published version goes after the aliases that name it."""
    arn = asked.text("stateMachineVersionArn")
    for machine in backends.stepfunctions(asked.account, asked.region).state_machines:
        for alias in machine.aliases.values():
            if any(each["stateMachineVersionArn"] == arn for each in alias.routing_configuration):
                message = f"Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [{alias.name}]"  # noqa: E501
                raise Refused("ConflictException", message, 409)


def _endpoints(ec2: Any) -> list[Any]:
    return [each for each in ec2.vpc_end_points.values() if each.state not in _GONE]


def _gateways(ec2: Any) -> list[Any]:
    return [each for each in ec2.nat_gateways.values() if each.state not in _GONE]
