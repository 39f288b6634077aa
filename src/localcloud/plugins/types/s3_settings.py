"""S3: what a bucket tells whom, its website, and what the account forbids all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.resource import Cloud, Resource, resource_type
from localcloud.plugins.types.s3 import Setting
from localcloud.plugins.values import Props


@resource_type
class Website(Setting):
    """A bucket's website: index and error documents at an address of its own, over what is public in the bucket."""

    token = "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration"
    table = """
        bucket ! ^ =-
        indexDocument object
            suffix !
        errorDocument object
            key !
        redirectAllRequestsTo object
            hostName !
            protocol
        routingRules objects
            condition object
                httpErrorCodeReturnedEquals
                keyPrefixEquals
            redirect object !
                hostName
                httpRedirectCode
                protocol
                replaceKeyPrefixWith
                replaceKeyWith
        websiteDomain ~ =-
        websiteEndpoint ~ =-
    """
    put, get, remove = "put_bucket_website", "get_bucket_website", "delete_bucket_website"
    body = "WebsiteConfiguration"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        if (inputs.get("indexDocument") is None) == (inputs.get("redirectAllRequestsTo") is None):
            return [("indexDocument", "exactly one of indexDocument and redirectAllRequestsTo must be given")]
        return []

    def derived(self, cloud: Cloud, props: Props) -> Props:
        domain = f"s3-website.{cloud.region}.localhost{cloud.port}"
        return {"websiteDomain": domain, "websiteEndpoint": f"{props['bucket']}.{domain}"}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        return {"bucket": identifier, **self.live(cloud, self.call(cloud, self.get, Bucket=identifier))}


@resource_type
class Cors(Setting):
    """Which pages of other origins may use the bucket. Kept here, but never acted on: the gateway serves none."""

    token = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
    table = """
        bucket ! ^ =-
        corsRules bag ! =CORSRules
            id =ID
            allowedHeaders set
            allowedMethods set !
            allowedOrigins set !
            exposeHeaders set
            maxAgeSeconds int
    """
    put, get, remove = "put_bucket_cors", "get_bucket_cors", "delete_bucket_cors"
    body = "CORSConfiguration"

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        return {"bucket": identifier, **self.live(cloud, self.call(cloud, self.get, Bucket=identifier))}


_SENT = """bag =-
            id ?
            events set !
            filterPrefix
            filterSuffix"""


@resource_type
class Notification(Setting):
    """Whom a bucket tells of new and deleted objects: queues, topics, the event bus."""

    token = "aws:s3/bucketNotification:BucketNotification"
    table = f"""
        bucket ! ^ =-
        eventbridge bool default:false =-
        queues {_SENT}
            queueArn !
        topics {_SENT}
            topicArn !
    """
    put, get = "put_bucket_notification_configuration", "get_bucket_notification_configuration"
    body = "NotificationConfiguration"
    _kinds = {"queues": ("QueueConfigurations", "queueArn"), "topics": ("TopicConfigurations", "topicArn")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments: Props = {"EventBridgeConfiguration": {}} if inputs.get("eventbridge") else {}
        for name, (member, arn) in self._kinds.items():
            if inputs.get(name):
                arguments[member] = [_target(each, arn) for each in inputs[name]]
        return arguments

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        configuration = self.call(cloud, self.get, Bucket=identifier)
        live: Props = {"eventbridge": "EventBridgeConfiguration" in configuration}
        for name, (member, arn) in self._kinds.items():
            live[name] = [_said(each, arn) for each in configuration.get(member, [])]
        nothing = not any(live.values())
        return None if nothing and not props.get("bucket") else {"bucket": identifier, **live}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, self.put, Bucket=identifier, NotificationConfiguration={})


def _target(each: Props, arn: str) -> Props:
    rules = [
        {"Name": kind, "Value": each[name]}
        for kind, name in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
        if each.get(name)
    ]
    configuration: Props = {arn[:1].upper() + arn[1:]: each[arn], "Events": each["events"]}
    if each.get("id"):
        configuration["Id"] = each["id"]
    return {**configuration, "Filter": {"Key": {"FilterRules": rules}}} if rules else configuration


def _said(each: Mapping[str, Any], arn: str) -> Props:
    rules = each.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    named = {f"filter{rule['Name'].capitalize()}": rule["Value"] for rule in rules}
    return {"id": each["Id"], "events": each["Events"], arn: each[arn[:1].upper() + arn[1:]], **named}


@resource_type
class Logging(Setting):
    """Where the log of a bucket's requests goes; the target's policy must let S3 write it."""

    token = "aws:s3/bucketLogging:BucketLogging"
    table = """
        bucket ! ^ =-
        targetBucket !
        targetPrefix !
    """
    put, get = "put_bucket_logging", "get_bucket_logging"
    body = "BucketLoggingStatus"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        return {"LoggingEnabled": super().arguments(cloud, inputs)}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        logging = self.call(cloud, self.get, Bucket=identifier).get("LoggingEnabled")
        return {"bucket": identifier, **self.live(cloud, {"TargetPrefix": "", **logging})} if logging else None

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, self.put, Bucket=identifier, BucketLoggingStatus={})


@resource_type
class AccountPublicAccessBlock(Resource):
    """What no bucket of the account may make public, whatever its own settings say; its id is the account's."""

    token = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
    service = "s3control"
    regional = False
    table = """
        accountId ^ ? =-
        blockPublicAcls bool default:false
        blockPublicPolicy bool default:false
        ignorePublicAcls bool default:false
        restrictPublicBuckets bool default:false
    """
    _member = "PublicAccessBlockConfiguration"

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        account = inputs.get("accountId") or cloud.account
        self.update(cloud, account, {}, inputs, set())
        return account, {"accountId": account}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        block = self.call(cloud, "get_public_access_block", AccountId=identifier)[self._member]
        return {**self.live(cloud, block), "accountId": identifier}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        wanted = {name: bool(new.get(name)) for name in self.fields if name != "accountId"}
        arguments = {f"{name[:1].upper()}{name[1:]}": value for name, value in wanted.items()}
        self.call(cloud, "put_public_access_block", AccountId=identifier, **{self._member: arguments})
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_public_access_block", AccountId=identifier)
