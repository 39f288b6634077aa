"""Functions that look up what a program adopts rather than makes: buckets, keys, roles, zones, certificates, images."""

from __future__ import annotations

import json
from typing import Any

from localcloud.plugins.lookups import _client, _only, _region, _single
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Cloud
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props
from localcloud.plugins.words import NotOne

MANAGED_CACHE_POLICIES = {
    "Managed-CachingOptimized": "658327ea-f89d-4fab-a63d-7e88639e58f6",
    "Managed-CachingDisabled": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    "Managed-CachingOptimizedForUncompressedObjects": "b2884449-e4de-46a7-ac36-70bc7f1ddd6d",
    "UseOriginCacheControlHeaders": "83da9c7e-98b4-4e11-a168-04f0df8e2c65",
    "UseOriginCacheControlHeaders-QueryStrings": "4cc15a8a-d715-48a4-82b8-cc0b614638fe",
}
"""AWS's own. Source: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html"""

MANAGED_HEADERS_POLICIES = {
    "Managed-SimpleCORS": "60669652-455b-4ae9-85a4-c4c02393f86c",
    "Managed-SecurityHeadersPolicy": "67f7725c-6f97-4210-82d7-5512b31e9d03",
}
"""AWS's own. Source: …/DeveloperGuide/using-managed-response-headers-policies.html"""


def bucket(cloud: Cloud, arguments: Props) -> Props:
    """A bucket that exists."""
    _only("s3.getBucket", arguments, "bucket", "region")
    name, region = arguments["bucket"], _region(cloud, arguments)
    _client(cloud, "s3", arguments).head_bucket(Bucket=name)
    return {
        **arguments, "id": name, "arn": f"arn:aws:s3:::{name}", "region": region, "bucketRegion": region,
        "bucketDomainName": f"{name}.s3.{region}.localhost{cloud.port}", "hostedZoneId": "Z1BKCTXD74EZPE",
        "bucketRegionalDomainName": f"{name}.s3.{region}.localhost{cloud.port}",
        "websiteDomain": f"s3-website.{region}.localhost{cloud.port}",
        "websiteEndpoint": f"{name}.s3-website.{region}.localhost{cloud.port}",
    }  # fmt: skip


def account_public_access_block(cloud: Cloud, arguments: Props) -> Props:
    """What the account forbids all its buckets; an error, as in the real provider, where it forbids nothing."""
    _only("s3.getAccountPublicAccessBlock", arguments, "accountId")
    account = arguments.get("accountId") or cloud.account
    item = cloud.client("s3control").get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"]
    return {
        "id": account, "accountId": account, "blockPublicAcls": item["BlockPublicAcls"],
        "blockPublicPolicy": item["BlockPublicPolicy"], "ignorePublicAcls": item["IgnorePublicAcls"],
        "restrictPublicBuckets": item["RestrictPublicBuckets"],
    }  # fmt: skip


def secret(cloud: Cloud, arguments: Props) -> Props:
    """A secret without its value; one that waits for its deletion counts as gone."""
    _only("secretsmanager.getSecret", arguments, "arn", "name", "region")
    client, named = _client(cloud, "secretsmanager", arguments), arguments.get("arn") or arguments.get("name")
    if not named:
        raise Refused("secretsmanager.getSecret: one of arn and name must be given")
    item = client.describe_secret(SecretId=named)
    if item.get("DeletedDate"):
        raise NotOne(0)
    return {
        "id": item["ARN"], "arn": item["ARN"], "name": item["Name"], "region": _region(cloud, arguments),
        "description": item.get("Description", ""), "kmsKeyId": item.get("KmsKeyId", ""), "type": "",
        "policy": client.get_resource_policy(SecretId=named).get("ResourcePolicy", ""),
        "createdDate": _date(item.get("CreatedDate")), "lastChangedDate": _date(item.get("LastChangedDate")),
        "tags": Tagging().unwrap(item.get("Tags")),
    }  # fmt: skip


def key(cloud: Cloud, arguments: Props) -> Props:
    """A key, by its id, ARN, or alias."""
    _only("kms.getKey", arguments, "keyId", "grantTokens", "region")
    item = _client(cloud, "kms", arguments).describe_key(KeyId=arguments["keyId"])["KeyMetadata"]
    return {
        **arguments, "id": item["KeyId"], "arn": item["Arn"], "awsAccountId": item["AWSAccountId"],
        "region": _region(cloud, arguments), "creationDate": _date(item["CreationDate"]), "cloudHsmClusterId": "",
        "customKeyStoreId": "", "customerMasterKeySpec": item.get("CustomerMasterKeySpec", ""),
        "deletionDate": _date(item.get("DeletionDate")), "description": item.get("Description", ""),
        "enabled": bool(item["Enabled"]), "expirationModel": "", "keyManager": item.get("KeyManager", "CUSTOMER"),
        "keySpec": item.get("KeySpec", ""), "keyState": item["KeyState"],
        "keyUsage": item.get("KeyUsage", "ENCRYPT_DECRYPT"),
        "multiRegion": bool(item.get("MultiRegion")), "multiRegionConfigurations": [], "xksKeyConfigurations": [],
        "origin": item.get("Origin", ""), "pendingDeletionWindowInDays": 0.0, "validTo": "",
    }  # fmt: skip


def alias(cloud: Cloud, arguments: Props) -> Props:
    """What a name of a key stands for."""
    _only("kms.getAlias", arguments, "name", "region")
    pages = _client(cloud, "kms", arguments).get_paginator("list_aliases").paginate()
    named = [each for page in pages for each in page["Aliases"] if each["AliasName"] == arguments["name"]]
    item = _single(named)
    region = _region(cloud, arguments)
    number = item.get("TargetKeyId", "")
    return {
        **arguments, "id": item["AliasArn"], "arn": item["AliasArn"], "region": region, "targetKeyId": number,
        "targetKeyArn": f"arn:aws:kms:{region}:{cloud.account}:key/{number}",
    }  # fmt: skip


def policy(cloud: Cloud, arguments: Props) -> Props:
    """A managed policy with its document, by ARN or by name."""
    _only("iam.getPolicy", arguments, "arn", "name", "pathPrefix")
    client, arn = cloud.client("iam"), arguments.get("arn")
    if not arn:
        prefix = {"PathPrefix": arguments["pathPrefix"]} if arguments.get("pathPrefix") else {}
        pages = client.get_paginator("list_policies").paginate(**prefix)
        named = [each for page in pages for each in page["Policies"] if each["PolicyName"] == arguments.get("name")]
        arn = _single(named)["Arn"]
    item = client.get_policy(PolicyArn=arn)["Policy"]
    version = client.get_policy_version(PolicyArn=arn, VersionId=item["DefaultVersionId"])["PolicyVersion"]
    document = version["Document"]
    return {
        **arguments, "id": arn, "arn": arn, "name": item["PolicyName"], "path": item["Path"],
        "attachmentCount": float(item.get("AttachmentCount", 0)), "description": item.get("Description", ""),
        "policy": document if isinstance(document, str) else json.dumps(document), "policyId": item["PolicyId"],
        "tags": Tagging().unwrap(item.get("Tags")),
    }  # fmt: skip


def role(cloud: Cloud, arguments: Props) -> Props:
    """A role."""
    _only("iam.getRole", arguments, "name")
    item = cloud.client("iam").get_role(RoleName=arguments["name"])["Role"]
    trust = item["AssumeRolePolicyDocument"]
    return {
        "id": item["RoleName"], "name": item["RoleName"], "arn": item["Arn"], "path": item["Path"],
        "assumeRolePolicy": trust if isinstance(trust, str) else json.dumps(trust), "roleLastUseds": [],
        "createDate": _date(item["CreateDate"]), "description": item.get("Description", ""),
        "maxSessionDuration": float(item.get("MaxSessionDuration", 3600)), "uniqueId": item["RoleId"],
        "permissionsBoundary": (item.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", ""),
        "tags": Tagging().unwrap(item.get("Tags")),
    }  # fmt: skip


def identity_provider(cloud: Cloud, arguments: Props) -> Props:
    """Trust in another's identities, by its ARN or its address."""
    _only("iam.getOpenIdConnectProvider", arguments, "arn", "url")
    host = str(arguments.get("url") or "").removeprefix("https://")
    arn = arguments.get("arn") or f"arn:aws:iam::{cloud.account}:oidc-provider/{host}"
    item = cloud.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    return {
        "id": arn, "arn": arn, "url": item["Url"].removeprefix("https://"),
        "tags": Tagging().unwrap(item.get("Tags")),
        "clientIdLists": item.get("ClientIDList", []), "thumbprintLists": item.get("ThumbprintList", []),
    }  # fmt: skip


def zone(cloud: Cloud, arguments: Props) -> Props:
    """The one zone of names that fits."""
    _only("route53.getZone", arguments, "name", "zoneId", "privateZone", "vpcId", "tags")
    client = cloud.client("route53")
    if arguments.get("zoneId"):
        number = arguments["zoneId"]
    else:
        wanted, private = f"{str(arguments.get('name')).rstrip('.')}.", bool(arguments.get("privateZone"))
        zones = [each for page in client.get_paginator("list_hosted_zones").paginate() for each in page["HostedZones"]]
        named = [each for each in zones if each["Name"] == wanted and each["Config"]["PrivateZone"] == private]
        number = _single(named)["Id"]
    answer = client.get_hosted_zone(Id=number)
    item, number = answer["HostedZone"], answer["HostedZone"]["Id"].removeprefix("/hostedzone/")
    servers = answer.get("DelegationSet", {}).get("NameServers", [])
    tags = client.list_tags_for_resource(ResourceType="hostedzone", ResourceId=number)["ResourceTagSet"]
    return {
        **arguments, "id": number, "zoneId": number, "arn": f"arn:aws:route53:::hostedzone/{number}",
        "name": item["Name"].rstrip("."), "callerReference": item["CallerReference"], "nameServers": servers,
        "comment": item["Config"].get("Comment", ""), "privateZone": item["Config"]["PrivateZone"],
        "primaryNameServer": servers[0] if servers else "", "vpcId": arguments.get("vpcId") or "",
        "resourceRecordSetCount": float(item.get("ResourceRecordSetCount", 0)), "linkedServicePrincipal": "",
        "linkedServiceDescription": "", "tags": Tagging().unwrap(tags.get("Tags")), "enableAcceleratedRecovery": False,
    }  # fmt: skip


def certificate(cloud: Cloud, arguments: Props) -> Props:
    """The certificate of a domain; the newest of several when the program says so."""
    _only("acm.getCertificate", arguments, "domain", "mostRecent", "statuses", "types", "keyTypes", "region", "tags")
    client = _client(cloud, "acm", arguments)
    statuses, types = arguments.get("statuses") or ["ISSUED"], arguments.get("types")
    listed = [each for page in client.get_paginator("list_certificates").paginate(CertificateStatuses=statuses)
              for each in page["CertificateSummaryList"]]  # fmt: skip
    fitting = [client.describe_certificate(CertificateArn=each["CertificateArn"])["Certificate"]
               for each in listed if each["DomainName"] == arguments.get("domain")]  # fmt: skip
    fitting = [each for each in fitting if not types or each["Type"] in types]
    fitting.sort(key=lambda each: (str(each.get("NotBefore") or each.get("CreatedAt")), each["CertificateArn"]))
    item = fitting[-1] if fitting and arguments.get("mostRecent") else _single(fitting)
    body = client.get_certificate(CertificateArn=item["CertificateArn"]) if item["Status"] == "ISSUED" else {}
    tags = client.list_tags_for_certificate(CertificateArn=item["CertificateArn"])["Tags"]
    return {
        **arguments, "id": item["CertificateArn"], "arn": item["CertificateArn"], "domain": item["DomainName"],
        "region": _region(cloud, arguments), "status": item["Status"], "tags": Tagging().unwrap(tags),
        "certificate": body.get("Certificate", ""), "certificateChain": body.get("CertificateChain", ""),
    }  # fmt: skip


def repository(cloud: Cloud, arguments: Props) -> Props:
    """A repository of images."""
    _only("ecr.getRepository", arguments, "name", "registryId", "region")
    client, name, region = _client(cloud, "ecr", arguments), arguments["name"], _region(cloud, arguments)
    item = client.describe_repositories(repositoryNames=[name])["repositories"][0]
    tags = client.list_tags_for_resource(resourceArn=item["repositoryArn"])["tags"]
    images = sorted(
        (each for page in client.get_paginator("describe_images").paginate(repositoryName=name)
         for each in page["imageDetails"]), key=lambda each: str(each.get("imagePushedAt")),
    )  # fmt: skip
    kinds = item.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    scan = item.get("imageScanningConfiguration") or {}
    return {
        **arguments, "id": name, "arn": item["repositoryArn"], "registryId": item["registryId"], "region": region,
        "repositoryUrl": f"{cloud.registry_host(region)}/{name}", "tags": Tagging().unwrap(tags),
        "encryptionConfigurations": [
            {"encryptionType": kinds["encryptionType"], "kmsKey": kinds.get("kmsKey", "")}],
        "imageScanningConfigurations": [{"scanOnPush": bool(scan.get("scanOnPush"))}],
        "imageTagMutability": item["imageTagMutability"], "imageTagMutabilityExclusionFilters": [],
        "mostRecentImageTags": images[-1].get("imageTags", []) if images else [],
    }  # fmt: skip


def image(cloud: Cloud, arguments: Props) -> Props:
    """An image of a repository, by tag or digest, or the newest."""
    _only("ecr.getImage", arguments, "repositoryName", "imageTag", "imageDigest", "mostRecent", "registryId", "region")
    client, name, region = _client(cloud, "ecr", arguments), arguments["repositoryName"], _region(cloud, arguments)
    named = {member: arguments[member] for member in ("imageTag", "imageDigest") if arguments.get(member)}
    pages = client.get_paginator("describe_images").paginate(
        repositoryName=name, **({"imageIds": [named]} if named else {})
    )
    images = [each for page in pages for each in page["imageDetails"]]
    images.sort(key=lambda each: str(each.get("imagePushedAt")))
    item = images[-1] if images and arguments.get("mostRecent") else _single(images)
    digest = item["imageDigest"]
    return {
        **arguments, "id": digest, "imageDigest": digest, "imageTags": item.get("imageTags", []), "region": region,
        "imageUri": f"{cloud.registry_host(region)}/{name}@{digest}", "registryId": item["registryId"],
        "imagePushedAt": float(int(item["imagePushedAt"].timestamp())),
        "imageSizeInBytes": float(item.get("imageSizeInBytes", 0)),
    }  # fmt: skip


def instance_type(cloud: Cloud, arguments: Props) -> Props:
    """What an instance type has: processors, memory, accelerators, architecture."""
    _only("ec2.getInstanceType", arguments, "instanceType", "region")
    name = arguments["instanceType"]
    item = _client(cloud, "ec2", arguments).describe_instance_types(InstanceTypes=[name])["InstanceTypes"][0]
    processors, gpus = item["VCpuInfo"], (item.get("GpuInfo") or {}).get("Gpus", [])
    return {
        **arguments, "id": name, "region": _region(cloud, arguments),
        "defaultVcpus": float(processors["DefaultVCpus"]), "defaultCores": float(processors.get("DefaultCores", 0)),
        "defaultThreadsPerCore": float(processors.get("DefaultThreadsPerCore", 0)),
        "memorySize": float(item["MemoryInfo"]["SizeInMiB"]), "currentGeneration": bool(item["CurrentGeneration"]),
        "supportedArchitectures": item["ProcessorInfo"]["SupportedArchitectures"],
        "bareMetal": bool(item.get("BareMetal")), "burstablePerformanceSupported": bool(
            item.get("BurstablePerformanceSupported")),
        "gpuses": [
            {"count": float(each["Count"]), "manufacturer": each["Manufacturer"], "name": each["Name"],
             "memorySize": float((each.get("MemoryInfo") or {}).get("SizeInMiB", 0))} for each in gpus],
        "totalGpuMemory": float((item.get("GpuInfo") or {}).get("TotalGpuMemoryInMiB", 0)),
        "supportedUsagesClasses": item.get("SupportedUsageClasses", []),
        "supportedRootDeviceTypes": item.get("SupportedRootDeviceTypes", []),
        "supportedVirtualizationTypes": item.get("SupportedVirtualizationTypes", []),
        "maximumNetworkInterfaces": float((item.get("NetworkInfo") or {}).get("MaximumNetworkInterfaces", 0)),
        "networkPerformance": (item.get("NetworkInfo") or {}).get("NetworkPerformance", ""),
        "hypervisor": item.get("Hypervisor", ""), "freeTierEligible": bool(item.get("FreeTierEligible")),
    }  # fmt: skip


def cache_policy(cloud: Cloud, arguments: Props) -> Props:
    """One of AWS's own cache policies; here nothing is cached."""
    number, name = _managed("cloudfront.getCachePolicy", MANAGED_CACHE_POLICIES, arguments)
    return {
        "id": number, "name": name, "arn": f"arn:aws:cloudfront::{cloud.account}:cache-policy/{number}", "etag": "E1",
        "comment": "", "minTtl": 0.0, "defaultTtl": 86400.0, "maxTtl": 31536000.0,
        "parametersInCacheKeyAndForwardedToOrigins": [],
    }  # fmt: skip


def headers_policy(cloud: Cloud, arguments: Props) -> Props:
    """One of AWS's own policies of response headers."""
    number, name = _managed("cloudfront.getResponseHeadersPolicy", MANAGED_HEADERS_POLICIES, arguments)
    arn = f"arn:aws:cloudfront::{cloud.account}:response-headers-policy/{number}"
    nothing: Props = {
        each: [] for each in
        ("corsConfigs", "customHeadersConfigs", "removeHeadersConfigs", "securityHeadersConfigs",
         "serverTimingHeadersConfigs")
    }  # fmt: skip
    return {"id": number, "name": name, "arn": arn, "etag": "E1", "comment": "", **nothing}


def tagged(cloud: Cloud, arguments: Props) -> Props:
    """What has tags: by ARN, or by kind and tags; what never had one is not among it, as on AWS."""
    token = "resourcegroupstaggingapi.getResources"
    _only(token, arguments, "resourceArnLists", "resourceTypeFilters", "tagFilters", "region")
    arns = arguments.get("resourceArnLists")
    if arns and (arguments.get("resourceTypeFilters") or arguments.get("tagFilters")):
        raise Refused(f"{token}: resourceArnLists goes with neither resourceTypeFilters nor tagFilters")
    criteria = {"ResourceARNList": arns, "ResourceTypeFilters": arguments.get("resourceTypeFilters")}
    filters = [
        {"Key": each["key"], **({"Values": each["values"]} if each.get("values") else {})}
        for each in arguments.get("tagFilters") or []
    ]
    pages = _client(cloud, "resourcegroupstaggingapi", arguments).get_paginator("get_resources")
    request = {member: value for member, value in {**criteria, "TagFilters": filters}.items() if value}
    resources = [each for page in pages.paginate(**request) for each in page["ResourceTagMappingList"]]
    return {
        **arguments, "id": _region(cloud, arguments), "region": _region(cloud, arguments),
        "resourceTagMappingLists": [
            {"resourceArn": each["ResourceARN"], "tags": Tagging().unwrap(each["Tags"]), "complianceDetails": []}
            for each in resources
        ],
    }  # fmt: skip


def email_identity(cloud: Cloud, arguments: Props) -> Props:
    """An address or a domain that mail is sent from, and whether it may be."""
    _only("sesv2.getEmailIdentity", arguments, "emailIdentity", "region")
    client, name = _client(cloud, "sesv2", arguments), arguments["emailIdentity"]
    item, region = client.get_email_identity(EmailIdentity=name), _region(cloud, arguments)
    dkim = item["DkimAttributes"]
    return {
        **arguments, "id": name, "region": region, "arn": f"arn:aws:ses:{region}:{cloud.account}:identity/{name}",
        "identityType": item["IdentityType"], "configurationSetName": item.get("ConfigurationSetName", ""),
        "verificationStatus": item["VerificationStatus"],
        "verifiedForSendingStatus": item["VerifiedForSendingStatus"], "tags": Tagging().unwrap(item.get("Tags")),
        "dkimSigningAttributes": [{
            "currentSigningKeyLength": dkim.get("CurrentSigningKeyLength", ""), "domainSigningPrivateKey": "",
            "domainSigningSelector": "", "lastKeyGenerationTimestamp": "", "status": dkim["Status"],
            "nextSigningKeyLength": dkim["NextSigningKeyLength"], "tokens": dkim.get("Tokens", []),
            "signingAttributesOrigin": dkim["SigningAttributesOrigin"],
        }],
    }  # fmt: skip


def _managed(token: str, known: dict[str, str], arguments: Props) -> tuple[str, str]:
    _only(token, arguments, "id", "name")
    fitting = [(number, name) for name, number in known.items()
               if number == arguments.get("id") or name == arguments.get("name")]  # fmt: skip
    if not fitting:
        names = ", ".join(f"{name} ({number})" for name, number in known.items())
        raise Refused(f"{token}: none of AWS's own fits; known here are {names}")
    return fitting[0]


def _date(value: Any) -> str:
    return value.isoformat() if value is not None else ""
