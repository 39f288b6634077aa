"""The functions (data sources) of package aws that are answered here."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.plugins import lookups, lookups_adopted
from localcloud.plugins.policy_document import policy_document
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Cloud
from localcloud.plugins.values import Props


def _only(token: str, arguments: Props, *supported: str) -> None:
    for name, value in arguments.items():
        if name not in supported and value not in (None, [], {}):
            raise Refused(
                f"{token}: the local cloud does not support the argument '{name}'. Supported: {', '.join(supported)}"
            )


def caller_identity(cloud: Cloud, arguments: Props) -> Props:
    """Who the program acts as: the account itself."""
    _only("getCallerIdentity", arguments, "id")
    arn = f"arn:aws:iam::{cloud.account}:root"
    return {"id": cloud.account, "accountId": cloud.account, "arn": arn, "userId": cloud.account}


def region(cloud: Cloud, arguments: Props) -> Props:
    """The provider's region, or the one that was asked for."""
    _only("getRegion", arguments, "id", "name", "region", "endpoint")
    name = arguments.get("region") or arguments.get("name") or cloud.region
    descriptions = {
        "eu-west-1": "Europe (Ireland)",
        "eu-central-1": "Europe (Frankfurt)",
        "us-east-1": "US East (N. Virginia)",
    }
    return {
        "id": name, "name": name, "region": name, "endpoint": f"ec2.{name}.amazonaws.com",
        "description": descriptions.get(name, name),
    }  # fmt: skip


def availability_zones(cloud: Cloud, arguments: Props) -> Props:
    """The region's zones."""
    _only(
        "getAvailabilityZones", arguments, "state", "region", "excludeNames", "excludeZoneIds", "allAvailabilityZones",
        "filters",
    )  # fmt: skip
    name = arguments.get("region") or cloud.region
    filters = [{"Name": one["name"], "Values": one["values"]} for one in arguments.get("filters") or ()]
    zones = cloud.server.client("ec2", name).describe_availability_zones(Filters=filters)["AvailabilityZones"]
    kept = [
        zone
        for zone in sorted(zones, key=lambda zone: str(zone["ZoneName"]))
        if zone["ZoneName"] not in arguments.get("excludeNames", [])
        and zone["ZoneId"] not in arguments.get("excludeZoneIds", [])
        and arguments.get("state", zone["State"]) == zone["State"]
    ]
    return {
        **{key: value for key, value in arguments.items()},
        "id": name, "region": name, "groupNames": [name],
        "names": [zone["ZoneName"] for zone in kept], "zoneIds": [zone["ZoneId"] for zone in kept],
    }  # fmt: skip


def partition(cloud: Cloud, arguments: Props) -> Props:
    """The partition of every region here."""
    _only("getPartition", arguments, "id")
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def authorization_token(cloud: Cloud, arguments: Props) -> Props:
    """Credentials for the registry."""
    _only("getAuthorizationToken", arguments, "registryId", "region")
    name = arguments.get("region") or cloud.region
    authorization = cloud.server.client("ecr", name).get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(authorization["authorizationToken"]).decode().partition(":")
    return {
        "id": name, "region": name, "registryId": arguments.get("registryId"),
        "authorizationToken": authorization["authorizationToken"], "expiresAt": authorization["expiresAt"].isoformat(),
        "proxyEndpoint": f"http://{cloud.registry_host(name)}", "userName": user, "password": password,
    }  # fmt: skip


FUNCTIONS: Mapping[str, Callable[[Cloud, Props], Any]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getRegion:getRegion": region,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
    "aws:index/getPartition:getPartition": partition,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": authorization_token,
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document,
    "aws:ssm/getParameter:getParameter": lookups.parameter,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": lookups.secret_version,
    "aws:ec2/getVpc:getVpc": lookups.vpc,
    "aws:ec2/getSubnet:getSubnet": lookups.subnet,
    "aws:ec2/getSubnets:getSubnets": lookups.subnets,
    "aws:ec2/getAmi:getAmi": lookups.image,
    "aws:ec2/getInstanceType:getInstanceType": lookups_adopted.instance_type,
    "aws:s3/getBucket:getBucket": lookups_adopted.bucket,
    "aws:resourcegroupstaggingapi/getResources:getResources": lookups_adopted.tagged,
    "aws:s3/getAccountPublicAccessBlock:getAccountPublicAccessBlock": lookups_adopted.account_public_access_block,
    "aws:secretsmanager/getSecret:getSecret": lookups_adopted.secret,
    "aws:kms/getKey:getKey": lookups_adopted.key,
    "aws:kms/getAlias:getAlias": lookups_adopted.alias,
    "aws:iam/getPolicy:getPolicy": lookups_adopted.policy,
    "aws:iam/getRole:getRole": lookups_adopted.role,
    "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider": lookups_adopted.identity_provider,
    "aws:route53/getZone:getZone": lookups_adopted.zone,
    "aws:acm/getCertificate:getCertificate": lookups_adopted.certificate,
    "aws:ecr/getRepository:getRepository": lookups_adopted.repository,
    "aws:ecr/getImage:getImage": lookups_adopted.image,
    "aws:sesv2/getEmailIdentity:getEmailIdentity": lookups_adopted.email_identity,
    "aws:cloudfront/getCachePolicy:getCachePolicy": lookups_adopted.cache_policy,
    "aws:cloudfront/getResponseHeadersPolicy:getResponseHeadersPolicy": lookups_adopted.headers_policy,
}
