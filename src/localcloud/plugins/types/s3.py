"""S3: buckets and the settings that are resources of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import to_api
from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, gone, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props

_A_REQUEST = 1000
"""So many objects one request may delete. Source: the API reference of DeleteObjects."""


class _BucketTagging(Tagging):
    """S3 replaces a bucket's whole set of tags."""

    def change(self, client: Any, resource: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        if new:
            client.put_bucket_tagging(Bucket=resource, Tagging={"TagSet": self.wrap(new)})
        else:
            client.delete_bucket_tagging(Bucket=resource)

    def read(self, client: Any, resource: str) -> dict[str, str]:
        try:
            return self.unwrap(client.get_bucket_tagging(Bucket=resource)["TagSet"])
        except ClientError as error:
            if gone(error):  # NoSuchTagSet
                return {}
            raise


@resource_type
class Bucket(Resource):
    """A bucket. What v7 still takes in line (rules, logging, website …) must be given as resources of their own."""

    token = "aws:s3/bucket:Bucket"
    service = "s3"
    table = """
        bucket ^
        bucketPrefix ^ =-
        forceDestroy bool =-
        objectLockEnabled bool ^
        arn ~
        bucketDomainName ~
        bucketRegionalDomainName ~
        bucketRegion ~
        hostedZoneId ~
    """
    instead = {
        "acl": "aws.s3.BucketOwnershipControls",
        "corsRules": "aws.s3.BucketCorsConfiguration",
        "lifecycleRules": "aws.s3.BucketLifecycleConfiguration",
        "logging": "aws.s3.BucketLogging",
        "policy": "aws.s3.BucketPolicy",
        "serverSideEncryptionConfiguration": "aws.s3.BucketServerSideEncryptionConfiguration",
        "versioning": "aws.s3.BucketVersioning",
        "website": "aws.s3.BucketWebsiteConfiguration",
    }
    tagging = _BucketTagging()
    autoname = Autoname("bucket", 63, lower=True, forbidden=r"[^A-Za-z0-9.-]", prefix="bucketPrefix")

    def derived(self, cloud: Cloud, props: Props) -> Props:
        host = f"{props['bucket']}.s3.{cloud.region}.localhost{cloud.port}"
        return {
            "arn": f"arn:aws:s3:::{props['bucket']}",
            "bucketDomainName": host,
            "bucketRegionalDomainName": host,
            "bucketRegion": cloud.region,
            "hostedZoneId": "Z1BKCTXD74EZPE",
        }

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        client, name = cloud.client("s3"), inputs["bucket"]
        arguments: Props = {"Bucket": name}
        if inputs.get("objectLockEnabled"):
            arguments["ObjectLockEnabledForBucket"] = True
        if cloud.region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": cloud.region}
        client.create_bucket(**arguments)
        if tags := self.all_tags(cloud, inputs):
            try:
                _BucketTagging().change(client, name, {}, tags)
            except ClientError as error:
                raise HalfCreated(name, {"bucket": name}, str(error)) from error
        return name, {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        client = cloud.client("s3")
        client.head_bucket(Bucket=identifier)
        return {"bucket": identifier, "tagsAll": _BucketTagging().read(client, identifier)}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        client = cloud.client("s3")
        if props.get("forceDestroy"):
            _empty(client, identifier)
        client.delete_bucket(Bucket=identifier)

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier


def versions(client: Any, bucket: str, key: str | None = None) -> list[tuple[str, str]]:
    """Key and version of everything in a bucket, or under one key: current, noncurrent and delete markers.

    Read to the end before any of it is deleted: a page is counted from where the last one ended.
    """
    prefix = {"Prefix": key} if key is not None else {}
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, **prefix)
    return [
        (item["Key"], item["VersionId"])
        for page in pages
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if key in (None, item["Key"])
    ]


def _empty(client: Any, bucket: str) -> None:
    """Delete every version of every object, also of those that are written meanwhile."""
    while stored := versions(client, bucket):
        for start in range(0, len(stored), _A_REQUEST):
            objects = [{"Key": key, "VersionId": version} for key, version in stored[start : start + _A_REQUEST]]
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for failed in answer.get("Errors", []):
                said = {"Code": failed["Code"], "Message": f"{failed['Key']}: {failed.get('Message', '')}"}
                raise ClientError({"Error": said}, "DeleteObjects")


class Setting(Resource):
    """Something that a bucket has: put, got and deleted as a whole; its id is the bucket's name."""

    service = "s3"
    put: ClassVar[str]
    get: ClassVar[str]
    remove: ClassVar[str]
    body: ClassVar[str] = ""  # the put call's argument

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self._put(cloud, inputs)
        return inputs["bucket"], {}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._put(cloud, new)
        return {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        answer = self.call(cloud, self.get, Bucket=identifier)
        return {"bucket": identifier, **self.live(cloud, answer[self.body])}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, self.remove, Bucket=identifier)

    def _put(self, cloud: Cloud, inputs: Props) -> None:
        self.call(cloud, self.put, Bucket=inputs["bucket"], **{self.body: self.arguments(cloud, inputs)})


@resource_type
class OwnershipControls(Setting):
    """Who owns objects, and whether ACLs hold."""

    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    table = """
        bucket ! ^ =-
        rule object ! =-
            objectOwnership !
    """
    put, get, remove = (
        "put_bucket_ownership_controls",
        "get_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
    )
    body = "OwnershipControls"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        return {"Rules": [{"ObjectOwnership": inputs["rule"]["objectOwnership"]}]}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        return {"rule": {"objectOwnership": described["Rules"][0]["ObjectOwnership"]}}


@resource_type
class PublicAccessBlock(Setting):
    """What a bucket's policy and ACLs may not make public."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    table = """
        bucket ! ^ =-
        blockPublicAcls bool default:false
        blockPublicPolicy bool default:false
        ignorePublicAcls bool default:false
        restrictPublicBuckets bool default:false
        skipDestroy bool =-
    """
    put, get, remove = "put_public_access_block", "get_public_access_block", "delete_public_access_block"
    body = "PublicAccessBlockConfiguration"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        return {name: arguments.get(name, False) for name in names}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if not props.get("skipDestroy"):
            super().delete(cloud, identifier, props)


@resource_type
class Encryption(Setting):
    """Encryption at rest."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    table = """
        bucket ! ^ =-
        rules bag !
            applyServerSideEncryptionByDefault object
                sseAlgorithm ! =SSEAlgorithm
                kmsMasterKeyId =KMSMasterKeyID
            bucketKeyEnabled bool
    """
    put, get, remove = "put_bucket_encryption", "get_bucket_encryption", "delete_bucket_encryption"
    body = "ServerSideEncryptionConfiguration"


@resource_type
class Versioning(Setting):
    """Whether old versions are kept. AWS knows no "never had it" afterwards: deleting suspends."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    table = """
        bucket ! ^ =-
        versioningConfiguration object ! =-
            status !
    """
    put, get = "put_bucket_versioning", "get_bucket_versioning"
    body = "VersioningConfiguration"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        return {"Status": inputs["versioningConfiguration"]["status"]}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        status = self.call(cloud, self.get, Bucket=identifier).get("Status", "Disabled")
        return {"bucket": identifier, "versioningConfiguration": {"status": status}}

    def _put(self, cloud: Cloud, inputs: Props) -> None:
        if inputs["versioningConfiguration"]["status"] != "Disabled":
            super()._put(cloud, inputs)

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if (props.get("versioningConfiguration") or {}).get("status") == "Enabled":
            self.call(cloud, self.put, Bucket=identifier, VersioningConfiguration={"Status": "Suspended"})

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        status = (inputs.get("versioningConfiguration") or {}).get("status")
        if isinstance(status, str) and status not in ("Enabled", "Suspended", "Disabled"):
            return [("versioningConfiguration.status", f"{status!r} is not one of Enabled, Suspended, Disabled")]
        return []


@resource_type
class BucketPolicy(Setting):
    """Who may do what with the bucket."""

    token = "aws:s3/bucketPolicy:BucketPolicy"
    table = """
        bucket ! ^ =-
        policy policy ! =-
    """
    put, get, remove = "put_bucket_policy", "get_bucket_policy", "delete_bucket_policy"
    body = "Policy"

    def _put(self, cloud: Cloud, inputs: Props) -> None:
        self.call(cloud, self.put, Bucket=inputs["bucket"], Policy=inputs["policy"])

    def live(self, cloud: Cloud, described: Any) -> Props:
        return {"policy": described}


@resource_type
class Lifecycle(Setting):
    """What happens to objects as they age."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    table = """
        bucket ! ^ =-
        transitionDefaultMinimumObjectSize ? =-
        rules objects !
            id ! =ID
            status !
            prefix
            abortIncompleteMultipartUpload object
                daysAfterInitiation int
            expiration object
                date
                days int
                expiredObjectDeleteMarker bool
            filter object
                prefix
                objectSizeGreaterThan int
                objectSizeLessThan int
                tag object
                    key !
                    value !
                and object
                    prefix
                    objectSizeGreaterThan int
                    objectSizeLessThan int
                    tags map
            noncurrentVersionExpiration object
                noncurrentDays int
                newerNoncurrentVersions int
            noncurrentVersionTransitions bag
                noncurrentDays int
                newerNoncurrentVersions int
                storageClass !
            transitions bag
                date
                days int
                storageClass !
    """
    put, get, remove = (
        "put_bucket_lifecycle_configuration",
        "get_bucket_lifecycle_configuration",
        "delete_bucket_lifecycle",
    )
    body = "LifecycleConfiguration"

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        answer = self.call(cloud, self.get, Bucket=identifier)
        for rule in answer["Rules"]:
            both = rule.get("Filter", {}).get("And")
            if both and "Tags" in both:
                both["Tags"] = Tagging().unwrap(both["Tags"])
        return {"bucket": identifier, **self.live(cloud, answer)}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = to_api(self.fields, inputs, self.spelling)
        for rule in arguments["Rules"]:
            if "Prefix" not in rule:  # the API wants one of the two
                rule.setdefault("Filter", {"Prefix": ""})
            both = rule.get("Filter", {}).get("And")
            if both and "Tags" in both:
                both["Tags"] = Tagging().wrap(both["Tags"])
        return arguments
