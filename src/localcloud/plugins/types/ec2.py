"""EC2's network: VPCs, subnets, routes and endpoints. Security groups are in `security_groups.py`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import to_api
from localcloud.plugins.resource import Cloud, HalfCreated, Resource, dig, gone, resource_type
from localcloud.plugins.tags import Ec2Tagging
from localcloud.plugins.values import Props

INTERFACE_SECONDS = 30.0  # for how long a task may still have an interface when its subnet or group goes


class Ec2(Resource):
    """A type of EC2: its ARN is made of its id, and its attributes are set one call each after the creation."""

    service = "ec2"
    kind: ClassVar[str]  # as in ARNs
    attributes: ClassVar[Mapping[str, str]] = {}  # property → member of `modify_call`
    modify_call: ClassVar[str] = ""

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("ec2", f"{self.kind}/{props['id']}")} if "id" in props and "arn" in self.fields else {}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        identifier, live = super().create(cloud, inputs)
        try:
            names = {name for name in self.attributes if inputs.get(name) is not None}
            self._modify(cloud, identifier, inputs, {name for name in names if inputs[name] != live.get(name)})
            live |= self.completed(cloud, identifier, inputs)
        except ClientError as error:
            raise HalfCreated(identifier, live, str(error)) from error
        return identifier, live

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        """The later steps of a creation; the properties they bring."""
        return {}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._modify(cloud, identifier, new, changed & set(self.attributes))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        """Wait for the interfaces of tasks that are just ending, as the real provider does."""
        deadline = time.monotonic() + INTERFACE_SECONDS
        while True:
            try:
                super().delete(cloud, identifier, props)
            except ClientError as error:
                busy = "network interface" in str(error) and "DependencyViolation" in str(error)
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier

    def _modify(self, cloud: Cloud, identifier: str, props: Props, names: set[str]) -> None:
        for name in sorted(names):
            value = bool(props.get(name, self.fields[name].default or False))
            self.call(
                cloud,
                self.modify_call,
                **{self.read_key.rstrip("s[]"): identifier, self.attributes[name]: {"Value": value}},
            )


@resource_type
class Vpc(Ec2):
    """A network. The security group, route table and access list that AWS makes with it are outputs."""

    token = "aws:ec2/vpc:Vpc"
    kind = "vpc"
    table = """
        cidrBlock ^ ?
        instanceTenancy ^ default:default
        enableDnsHostnames bool default:false =-
        enableDnsSupport bool default:true =-
        assignGeneratedIpv6CidrBlock bool ^ =AmazonProvidedIpv6CidrBlock
        arn ~
        defaultNetworkAclId ~
        defaultRouteTableId ~
        defaultSecurityGroupId ~
        dhcpOptionsId ~
        mainRouteTableId ~
        ownerId ~
    """
    tagging = Ec2Tagging(kind="vpc")
    create_call, create_answer, identifier = "create_vpc", "Vpc", "VpcId"
    read_call, read_key, read_answer = "describe_vpcs", "VpcIds[]", "Vpcs"
    delete_call, delete_key = "delete_vpc", "VpcId"
    modify_call = "modify_vpc_attribute"
    attributes = {"enableDnsHostnames": "EnableDnsHostnames", "enableDnsSupport": "EnableDnsSupport"}

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        filters = {"Filters": [{"Name": "vpc-id", "Values": [identifier]}]}
        main = {"Filters": [*filters["Filters"], {"Name": "association.main", "Values": ["true"]}]}
        groups = {"Filters": [*filters["Filters"], {"Name": "group-name", "Values": ["default"]}]}
        table = dig(self.call(cloud, "describe_route_tables", **main), "RouteTables.RouteTableId")
        return {
            "defaultSecurityGroupId": dig(
                self.call(cloud, "describe_security_groups", **groups), "SecurityGroups.GroupId"
            ),
            "defaultNetworkAclId": dig(
                self.call(cloud, "describe_network_acls", **filters), "NetworkAcls.NetworkAclId"
            ),
            "defaultRouteTableId": table,
            "mainRouteTableId": table,
        }

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        if live is not None:
            for name, member in self.attributes.items():
                answer = self.call(cloud, "describe_vpc_attribute", VpcId=identifier, Attribute=name)
                live[name] = answer[member]["Value"]
            if "defaultSecurityGroupId" not in props:
                live |= self.completed(cloud, identifier, live)
        return live


@resource_type
class InternetGateway(Ec2):
    """The way to the internet, attached to at most one VPC."""

    token = "aws:ec2/internetGateway:InternetGateway"
    kind = "internet-gateway"
    table = """
        vpcId ? =-
        arn ~
        ownerId ~
    """
    tagging = Ec2Tagging(kind="internet-gateway")
    create_call, create_answer, identifier = "create_internet_gateway", "InternetGateway", "InternetGatewayId"
    read_call, read_key, read_answer = "describe_internet_gateways", "InternetGatewayIds[]", "InternetGateways"
    delete_call, delete_key = "delete_internet_gateway", "InternetGatewayId"

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        if inputs.get("vpcId"):
            self.call(cloud, "attach_internet_gateway", InternetGatewayId=identifier, VpcId=inputs["vpcId"])
        return {}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        vpc = dig(described, "Attachments.VpcId")
        return {**super().live(cloud, described), **({"vpcId": vpc} if vpc else {})}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "vpcId" in changed:
            self._detach(cloud, identifier)
            self.completed(cloud, identifier, new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self._detach(cloud, identifier)
        super().delete(cloud, identifier, props)

    def _detach(self, cloud: Cloud, identifier: str) -> None:
        gateway = self.call(cloud, "describe_internet_gateways", InternetGatewayIds=[identifier])["InternetGateways"]
        for attachment in gateway[0].get("Attachments", []):
            self.call(cloud, "detach_internet_gateway", InternetGatewayId=identifier, VpcId=attachment["VpcId"])


@resource_type
class Subnet(Ec2):
    """A part of a VPC in one zone."""

    token = "aws:ec2/subnet:Subnet"
    kind = "subnet"
    table = """
        vpcId ! ^
        cidrBlock ^
        ipv6CidrBlock ^
        availabilityZone ^ ?
        availabilityZoneId ^ ?
        mapPublicIpOnLaunch bool default:false =-
        assignIpv6AddressOnCreation bool default:false =-
        arn ~
        ownerId ~
    """
    tagging = Ec2Tagging(kind="subnet")
    create_call, create_answer, identifier = "create_subnet", "Subnet", "SubnetId"
    read_call, read_key, read_answer = "describe_subnets", "SubnetIds[]", "Subnets"
    delete_call, delete_key = "delete_subnet", "SubnetId"
    modify_call = "modify_subnet_attribute"
    attributes = {
        "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
        "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
    }

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        switches = {name: described.get(member, False) for name, member in self.attributes.items()}
        return {**super().live(cloud, described), **switches}


_TARGETS = """
        gatewayId
        natGatewayId
        networkInterfaceId
        transitGatewayId
        vpcPeeringConnectionId
        egressOnlyGatewayId =EgressOnlyInternetGatewayId
        vpcEndpointId
"""
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


def _declared(routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the local route, which AWS makes, and those that a gateway endpoint added."""
    kept = (route for route in routes if route.get("GatewayId") != "local")
    return [route for route in kept if not str(route.get("GatewayId", "")).startswith("vpce-")]


@resource_type
class RouteTable(Ec2):
    """Routes for subnets. `routes`, when given, are all its routes; else they are resources of their own."""

    token = "aws:ec2/routeTable:RouteTable"
    kind = "route-table"
    table = f"""
        vpcId ! ^
        routes bag ? =-
            cidrBlock =DestinationCidrBlock
            ipv6CidrBlock =DestinationIpv6CidrBlock
            destinationPrefixListId
            {_TARGETS.strip().replace(chr(10) + "        ", chr(10) + "            ")}
        arn ~
        ownerId ~
    """
    tagging = Ec2Tagging(kind="route-table")
    create_call, create_answer, identifier = "create_route_table", "RouteTable", "RouteTableId"
    read_call, read_key, read_answer = "describe_route_tables", "RouteTableIds[]", "RouteTables"
    delete_call, delete_key = "delete_route_table", "RouteTableId"

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        routes = {"Routes": _declared(described.get("Routes", []))}
        inner = self.fields["routes"].fields
        declared = [
            {
                name: route[member]
                for name, known in inner.items()
                if route.get(member := known.member or self.spelling(name))
            }
            for route in routes["Routes"]
        ]
        return {**super().live(cloud, described), "routes": declared}

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        for route in inputs.get("routes") or []:
            arguments = to_api(self.fields["routes"].fields, route, self.spelling)
            self.call(cloud, "create_route", RouteTableId=identifier, **arguments)
        return {}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if "routes" in changed:
            table = self.call(cloud, "describe_route_tables", RouteTableIds=[identifier])["RouteTables"][0]
            for route in _declared(table["Routes"]):
                destination = {name: route[name] for name in _DESTINATIONS if route.get(name)}
                self.call(cloud, "delete_route", RouteTableId=identifier, **destination)
            self.completed(cloud, identifier, new)
        return {}


@resource_type
class Route(Resource):
    """One route; its id is `table_destination`."""

    token = "aws:ec2/route:Route"
    service = "ec2"
    table = f"""
        routeTableId ! ^
        destinationCidrBlock ^
        destinationIpv6CidrBlock ^
        destinationPrefixListId ^
        {_TARGETS.strip()}
        origin ~
        state ~
    """
    _destinations = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        present = [name for name in self._destinations if inputs.get(name) is not None]
        if len(present) == 1:
            return []
        return [("destinationCidrBlock", f"exactly one of {', '.join(self._destinations)} must be given")]

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, "create_route", **self.arguments(cloud, inputs))
        destination = next(inputs[name] for name in self._destinations if inputs.get(name))
        return f"{inputs['routeTableId']}_{destination}", {"origin": "CreateRoute", "state": "active"}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        table, _, destination = identifier.partition("_")
        tables = self.call(cloud, "describe_route_tables", RouteTableIds=[table])["RouteTables"]
        for route in tables[0]["Routes"] if tables else []:
            if destination in [route.get(name) for name in _DESTINATIONS]:
                return {"routeTableId": table, **self.live(cloud, route)}
        return None

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "replace_route", **self.arguments(cloud, new))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        table, _, destination = identifier.partition("_")
        member = "DestinationPrefixListId" if destination.startswith("pl-") else "DestinationCidrBlock"
        member = "DestinationIpv6CidrBlock" if ":" in destination else member
        self.call(cloud, "delete_route", RouteTableId=table, **{member: destination})


@resource_type
class RouteTableAssociation(Resource):
    """A subnet's (or gateway's) route table."""

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    service = "ec2"
    table = """
        routeTableId !
        subnetId ^
        gatewayId ^
    """

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(cloud, "associate_route_table", **self.arguments(cloud, inputs))
        return str(answer["AssociationId"]), {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        filters = [{"Name": "association.route-table-association-id", "Values": [identifier]}]
        for table in self.call(cloud, "describe_route_tables", Filters=filters)["RouteTables"]:
            for association in table["Associations"]:
                if association["RouteTableAssociationId"] == identifier:
                    return self.live(cloud, association)
        return None

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "replace_route_table_association", AssociationId=identifier, RouteTableId=new["routeTableId"])
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "disassociate_route_table", AssociationId=identifier)

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        """`subnet/table` is what pulumi-aws imports by."""
        subnet, _, table = identifier.partition("/")
        if not table:
            return identifier
        for route_table in self.call(cloud, "describe_route_tables", RouteTableIds=[table])["RouteTables"]:
            for association in route_table["Associations"]:
                if subnet in (association.get("SubnetId"), association.get("GatewayId")):
                    return str(association["RouteTableAssociationId"])
        return identifier


@resource_type
class VpcEndpoint(Ec2):
    """A private way to an AWS service."""

    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    kind = "vpc-endpoint"
    table = """
        vpcId ! ^
        serviceName ! ^
        vpcEndpointType ^ default:Gateway
        policy policy ? =PolicyDocument
        routeTableIds set ?
        subnetIds set ?
        securityGroupIds set ? =-
        privateDnsEnabled bool ?
        arn ~
        cidrBlocks list ~
        ownerId ~
        prefixListId ~ =-
        requesterManaged bool ~
        state ~
    """
    tagging = Ec2Tagging(kind="vpc-endpoint")
    create_call, create_answer, identifier = "create_vpc_endpoint", "VpcEndpoint", "VpcEndpointId"
    read_call, read_key, read_answer = "describe_vpc_endpoints", "VpcEndpointIds[]", "VpcEndpoints"
    delete_call, delete_key = "delete_vpc_endpoints", "VpcEndpointIds[]"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = {"VpcEndpointType": "Gateway", **super().arguments(cloud, inputs)}
        if inputs.get("securityGroupIds"):
            arguments["SecurityGroupIds"] = inputs["securityGroupIds"]
        return arguments

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        try:
            answer = self.call(
                cloud,
                "describe_managed_prefix_lists",
                Filters=[{"Name": "prefix-list-name", "Values": [inputs["serviceName"]]}],
            )
        except ClientError as error:
            if gone(error):
                return {}
            raise
        return {"prefixListId": dig(answer, "PrefixLists.PrefixListId")}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        groups = [group["GroupId"] for group in described.get("Groups", [])]
        return {**super().live(cloud, described), "securityGroupIds": groups}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        return None if live is None or live.get("state") == "deleted" else live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        arguments: Props = {}
        for name, suffix in (
            ("routeTableIds", "RouteTableIds"),
            ("subnetIds", "SubnetIds"),
            ("securityGroupIds", "SecurityGroupIds"),
        ):
            had, wanted = set(old.get(name) or []), set(new.get(name) or [])
            if name in changed and wanted - had:
                arguments[f"Add{suffix}"] = sorted(wanted - had)
            if name in changed and had - wanted:
                arguments[f"Remove{suffix}"] = sorted(had - wanted)
        if "policy" in changed:
            arguments |= {"PolicyDocument": new["policy"]} if new.get("policy") else {"ResetPolicy": True}
        if "privateDnsEnabled" in changed:
            arguments["PrivateDnsEnabled"] = bool(new.get("privateDnsEnabled"))
        if arguments:
            self.call(cloud, "modify_vpc_endpoint", VpcEndpointId=identifier, **arguments)
        return {}
