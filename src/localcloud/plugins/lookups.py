"""Functions that look up what exists: networks, images, parameters, secrets."""

from __future__ import annotations

import re
from typing import Any

from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Cloud
from localcloud.plugins.tags import Ec2Tagging
from localcloud.plugins.values import Props
from localcloud.plugins.words import NotOne

_untag = Ec2Tagging().unwrap


def parameter(cloud: Cloud, arguments: Props) -> Props:
    """A parameter of Systems Manager, decrypted unless that was declined."""
    _only("ssm.getParameter", arguments, "name", "withDecryption", "region")
    decrypt = arguments.get("withDecryption") is not False
    item = _client(cloud, "ssm", arguments).get_parameter(Name=arguments["name"], WithDecryption=decrypt)["Parameter"]
    return {
        **arguments, "id": item["Name"], "region": _region(cloud, arguments), "arn": item["ARN"],
        "type": item["Type"], "value": item["Value"], "version": float(item["Version"]),
        "insecureValue": "" if item["Type"] == "SecureString" else item["Value"],
    }  # fmt: skip


def secret_version(cloud: Cloud, arguments: Props) -> Props:
    """A secret's value."""
    _only("secretsmanager.getSecretVersion", arguments, "secretId", "versionId", "versionStage", "region")
    named = {"VersionId": arguments.get("versionId"), "VersionStage": arguments.get("versionStage")}
    item = _client(cloud, "secretsmanager", arguments).get_secret_value(
        SecretId=arguments["secretId"], **{name: value for name, value in named.items() if value}
    )
    return {
        "versionStage": "AWSCURRENT", **arguments, "id": f"{item['ARN']}|{item['VersionId']}", "arn": item["ARN"],
        "secretArn": item["ARN"], "region": _region(cloud, arguments), "secretBinary": "",
        "secretString": item.get("SecretString", ""), "versionId": item["VersionId"],
        "versionStages": item.get("VersionStages", []), "createdDate": item["CreatedDate"].isoformat(),
    }  # fmt: skip


def vpc(cloud: Cloud, arguments: Props) -> Props:
    """The one network that fits."""
    members = {
        "cidrBlock": "cidr", "default": "is-default", "dhcpOptionsId": "dhcp-options-id",
        "state": "state", "id": "vpc-id",
    }  # fmt: skip
    client, filters = _client(cloud, "ec2", arguments), _filters("ec2.getVpc", arguments, members)
    item = _single(client.describe_vpcs(Filters=filters)["Vpcs"])
    number, region = item["VpcId"], _region(cloud, arguments)
    tables = client.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [number]}, {"Name": "association.main", "Values": ["true"]}]
    )["RouteTables"]
    attributes = {
        name: client.describe_vpc_attribute(VpcId=number, Attribute=name)[name[:1].upper() + name[1:]]["Value"]
        for name in ("enableDnsHostnames", "enableDnsSupport")
    }
    return {
        **arguments, **attributes, "id": number, "arn": f"arn:aws:ec2:{region}:{cloud.account}:vpc/{number}",
        "cidrBlock": item["CidrBlock"], "default": bool(item.get("IsDefault")), "state": item["State"],
        "dhcpOptionsId": item.get("DhcpOptionsId", ""), "instanceTenancy": item.get("InstanceTenancy", "default"),
        "mainRouteTableId": tables[0]["RouteTableId"] if tables else "", "ownerId": cloud.account, "region": region,
        "tags": _untag(item.get("Tags")), "ipv6CidrBlock": "", "ipv6AssociationId": "",
        "cidrBlockAssociations": [], "ipv6CidrBlockAssociations": [], "enableNetworkAddressUsageMetrics": False,
    }  # fmt: skip


def subnet(cloud: Cloud, arguments: Props) -> Props:
    """The one subnet that fits."""
    members = {
        "availabilityZone": "availability-zone", "cidrBlock": "cidr-block", "vpcId": "vpc-id", "id": "subnet-id",
        "state": "state", "defaultForAz": "default-for-az", "availabilityZoneId": "availability-zone-id",
    }  # fmt: skip
    filters = _filters("ec2.getSubnet", arguments, members)
    item = _single(_client(cloud, "ec2", arguments).describe_subnets(Filters=filters)["Subnets"])
    number, region = item["SubnetId"], _region(cloud, arguments)
    return {
        **arguments, "id": number, "arn": f"arn:aws:ec2:{region}:{cloud.account}:subnet/{number}", "region": region,
        "availabilityZone": item["AvailabilityZone"], "availabilityZoneId": item.get("AvailabilityZoneId", ""),
        "availableIpAddressCount": float(item["AvailableIpAddressCount"]), "cidrBlock": item["CidrBlock"],
        "vpcId": item["VpcId"], "state": item["State"], "ownerId": cloud.account, "tags": _untag(item.get("Tags")),
        "mapPublicIpOnLaunch": item.get("MapPublicIpOnLaunch", False),
        "defaultForAz": item.get("DefaultForAz", False),
        "assignIpv6AddressOnCreation": item.get("AssignIpv6AddressOnCreation", False),
    }  # fmt: skip


def subnets(cloud: Cloud, arguments: Props) -> Props:
    """The numbers of all subnets that fit."""
    filters = _filters("ec2.getSubnets", arguments, {})
    pages = _client(cloud, "ec2", arguments).get_paginator("describe_subnets").paginate(Filters=filters)
    identifiers = sorted(each["SubnetId"] for page in pages for each in page["Subnets"])
    region = _region(cloud, arguments)
    return {**arguments, "id": region, "region": region, "ids": identifiers, "tags": arguments.get("tags") or {}}


def image(cloud: Cloud, arguments: Props) -> Props:
    """The machine image that fits; the newest of several when the program says so."""
    criteria = dict(arguments)
    owners, newest, pattern = (
        criteria.pop("owners", None),
        criteria.pop("mostRecent", False),
        criteria.pop("nameRegex", None),
    )
    filters = _filters("ec2.getAmi", criteria, {})
    asked: Props = {"Filters": filters, **({"Owners": owners} if owners else {})}
    images = _client(cloud, "ec2", arguments).describe_images(**asked)["Images"]
    images = [each for each in images if not pattern or re.search(pattern, each.get("Name", ""))]
    images.sort(key=lambda each: (str(each.get("CreationDate")), each["ImageId"]), reverse=True)
    one = images[0] if newest and images else _single(images)
    region, devices = _region(cloud, arguments), one.get("BlockDeviceMappings", [])
    plain = {
        "architecture": "Architecture", "creationDate": "CreationDate", "description": "Description", "name": "Name",
        "hypervisor": "Hypervisor", "imageLocation": "ImageLocation", "imageType": "ImageType", "ownerId": "OwnerId",
        "platform": "Platform", "rootDeviceName": "RootDeviceName", "rootDeviceType": "RootDeviceType",
        "state": "State",
        "virtualizationType": "VirtualizationType", "imageOwnerAlias": "ImageOwnerAlias", "kernelId": "KernelId",
        "sriovNetSupport": "SriovNetSupport",
    }  # fmt: skip
    return {
        **arguments, **{name: str(one.get(member) or "") for name, member in plain.items()},
        "id": one["ImageId"], "imageId": one["ImageId"], "arn": f"arn:aws:ec2:{region}::image/{one['ImageId']}",
        "public": bool(one.get("Public")), "enaSupport": bool(one.get("EnaSupport")), "tags": _untag(one.get("Tags")),
        "rootSnapshotId": (devices[0].get("Ebs") or {}).get("SnapshotId", "") if devices else "", "region": region,
        "blockDeviceMappings": [], "productCodes": [], "stateReason": {},
    }  # fmt: skip


def _only(token: str, arguments: Props, *supported: str) -> None:
    for name, value in arguments.items():
        if name not in supported and value not in (None, [], {}, False):
            message = f"the local cloud does not support the argument '{name}'. Supported: {', '.join(supported)}"
            raise Refused(f"{token}: {message}")


def _filters(token: str, arguments: Props, members: dict[str, str]) -> list[Props]:
    """The API's filters for what a program asks for by properties, filters and tags."""
    _only(token, arguments, *members, "filters", "tags", "region")
    filters: list[Props] = [
        {"Name": member, "Values": [str(arguments[name]).lower() if arguments[name] is True else arguments[name]]}
        for name, member in members.items()
        if arguments.get(name)
    ]
    filters += [{"Name": each["name"], "Values": each["values"]} for each in arguments.get("filters") or []]
    return filters + [{"Name": f"tag:{name}", "Values": [text]} for name, text in (arguments.get("tags") or {}).items()]


def _single(matches: list[Any]) -> Any:
    if len(matches) != 1:
        raise NotOne(len(matches))
    return matches[0]


def _region(cloud: Cloud, arguments: Props) -> str:
    return str(arguments.get("region") or cloud.region)


def _client(cloud: Cloud, service: str, arguments: Props) -> Any:
    return cloud.server.client(service, _region(cloud, arguments))
