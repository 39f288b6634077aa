"""The buckets of an environment: `data` and `logs`, private, and `reports`, whose pages the world may read.

All refuse plain HTTP and access lists and keep overwritten objects for a while. Unless the environment is protected
they are removed with it, whatever lies in them.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pulumi
from pulumi_aws.s3.bucket import Bucket as S3Bucket
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_logging import BucketLogging
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning

from herd.infra.context import Component, Context, LogBucket, Statement
from herd.runner.contract import cached, tags

Purpose = Literal["data", "reports", "logs"]


class Bucket(Component):
    """One bucket with everything that belongs to it: seven resources, eight where access is logged.

    `statements` join its policy, which otherwise only refuses plain HTTP; with None there is no policy until `admit` is
    called, for readers that need the bucket first. `public` lets a statement name everybody: the two switches against
    public *policies* are then off, those against public access lists stay on.
    `data` has the environment's key. Anonymous readers cannot use KMS, nor can load balancers write with it: `reports`
    and `logs` have S3's own.
    """

    def __init__(
        self,
        purpose: Purpose,
        context: Context,
        parent: pulumi.Resource,
        *,
        public: bool = False,
        statements: Sequence[Statement] | None = (),
    ) -> None:
        super().__init__("Bucket", purpose, parent)
        self.purpose, self.public, self.context = purpose, public, context
        self.bucket_name = context.naming.bucket(context.account.id, purpose)
        self.arn = context.account.bucket_arn(self.bucket_name)
        self.bucket = S3Bucket(
            self.child("bucket"),
            bucket=self.bucket_name,
            force_destroy=not context.settings.protect,
            tags=context.tags(),
            opts=self.options(),
        )
        self._settings()
        self._block = BucketPublicAccessBlock(
            self.child("access"),
            bucket=self.bucket.id,
            block_public_acls=True,
            ignore_public_acls=True,
            block_public_policy=not public,
            restrict_public_buckets=not public,
            opts=self.options(),
        )
        self.policy = None if statements is None else self.admit(*statements)
        self.register_outputs({})

    def admit(self, *statements: pulumi.Input[Statement]) -> BucketPolicy:
        """The bucket's policy: these statements, and TLS for everybody."""
        return BucketPolicy(
            self.child("policy"),
            bucket=self.bucket.id,
            policy=_document(statements, tls_only(self.arn)),
            # A public policy is refused while the block still forbids it.
            opts=self.options(depends_on=[self._block]),
        )

    def _settings(self) -> None:
        context = self.context
        BucketOwnershipControls(
            self.child("ownership"),
            bucket=self.bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self.options(),
        )
        BucketServerSideEncryptionConfiguration(
            self.child("encryption"),
            bucket=self.bucket.id,
            rules=[encryption_rule(context.key_arn if self.purpose == "data" else None)],
            opts=self.options(),
        )
        versioning = BucketVersioning(
            self.child("versioning"),
            bucket=self.bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self.options(),
        )
        days = context.settings
        BucketLifecycleConfiguration(
            self.child("lifecycle"),
            bucket=self.bucket.id,
            rules=log_rules(days.log_retention_days)
            if self.purpose == "logs"
            else lifecycle_rules(days.keep_versions_days),
            # Rules about noncurrent versions are refused while versioning is off.
            opts=self.options(depends_on=[versioning]),
        )
        logs = context.access_logs
        if logs and self.purpose != "logs":
            BucketLogging(
                self.child("logging"),
                bucket=self.bucket.id,
                target_bucket=logs.name,
                target_prefix=f"{logs.prefix}s3/{self.purpose}/",
                opts=self.options(depends_on=logs.ready),
            )


class DataBucket(Bucket):
    """The bucket for what workloads publish: private; each writes below its own name, and reads what its `reads` name.

        data = DataBucket(project.context, project)
        data.bucket.id, data.arn

    With the setting `data_bucket` the company's is used, and none is made.
    """

    def __init__(self, context: Context, parent: pulumi.Resource) -> None:
        super().__init__("data", context, parent)


def log_bucket(context: Context, parent: pulumi.Resource) -> LogBucket | None:
    """Where the environment's access and flow logs go: a bucket of its own, the company's, or none."""
    settings, prefix = context.settings, f"{context.naming.prefix}/"
    if not (settings.access_logs or settings.flow_logs):
        return None
    if settings.log_bucket:
        return LogBucket(settings.log_bucket, context.account.bucket_arn(settings.log_bucket), prefix)
    name = context.naming.bucket(context.account.id, "logs")
    logs = LogBucket(name, context.account.bucket_arn(name), prefix)
    bucket = Bucket("logs", context, parent, statements=log_writers(context, logs))
    return replace(logs, ready=(bucket.policy,) if bucket.policy else ())


def log_writers(context: Context, logs: LogBucket) -> list[Statement]:
    """Who may write logs, for this account alone: S3 of the environment's buckets, load balancers, flow logs.

    Source: "Enabling Amazon S3 server access logging", S3 user guide; "Access logs for your Application Load Balancer";
    "Publish flow logs to Amazon S3", VPC user guide.
    """
    account = context.account
    anywhere = account.bucket_arn(logs.name, f"{logs.prefix}*")
    own = {"StringEquals": {"aws:SourceAccount": account.id}}
    flows = {**own, "ArnLike": {"aws:SourceArn": account.arn("logs", "*")}}
    buckets = {**own, "ArnLike": {"aws:SourceArn": account.bucket_arn(f"{context.naming.prefix}-*")}}
    # Which account's balancers write is in the path. Not every delivery of theirs names its source, and the first,
    # a test of the bucket, decides whether the balancer is made.
    of_balancers = account.bucket_arn(logs.name, f"{logs.prefix}elb/*/AWSLogs/{account.id}/*")
    balancers = {
        "StringEqualsIfExists": {"aws:SourceAccount": account.id},
        "ArnLikeIfExists": {"aws:SourceArn": account.arn("elasticloadbalancing", "loadbalancer/*")},
    }

    def writes(sid: str, service: str, action: str, resource: str, condition: dict[str, Any]) -> Statement:
        principal = {"Service": f"{service}.amazonaws.com"}
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": principal,
            "Action": action,
            "Resource": resource,
            "Condition": condition,
        }

    statements = []
    if context.settings.access_logs:
        statements += [
            writes("Buckets", "logging.s3", "s3:PutObject", anywhere, buckets),
            writes("Balancers", "logdelivery.elasticloadbalancing", "s3:PutObject", of_balancers, balancers),
        ]
    if context.settings.flow_logs:
        statements += [
            writes("Flows", "delivery.logs", "s3:PutObject", anywhere, flows),
            writes("FlowsCheck", "delivery.logs", "s3:GetBucketAcl", logs.arn, flows),
        ]
    return statements


def encryption_rule(key: pulumi.Input[str] | None) -> Any:
    """With a key: a data key for the bucket, so that KMS is not asked, and paid, for each object."""
    if key is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    by_key = {"sse_algorithm": "aws:kms", "kms_master_key_id": key}
    return {"apply_server_side_encryption_by_default": by_key, "bucket_key_enabled": True}


def tls_only(arn: str) -> Statement:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def public_pages(arn: str) -> Statement:
    """Anybody may read an object whose key they know; nobody can list."""
    return {
        "Sid": "PublicPages",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"{arn}/*",
    }


def _document(statements: Sequence[pulumi.Input[Statement]], last: Statement) -> pulumi.Input[str]:
    """Plain text where all of it is known, so that previews show it."""
    if any(isinstance(statement, pulumi.Output) for statement in statements):
        return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [*statements, last]})
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements, last]})


def lifecycle_rules(keep_days: int) -> list[Any]:
    """What is tagged as no longer needed expires after `keep_days`, what was overwritten too; parts of broken uploads
    after 7 days. The current version of an output is never tagged, hence never expires. What `cache` keeps expires too:
    the runner uploads again what is in use.
    """
    tagged = [
        {
            "id": tag.replace(":", "-"),
            "status": "Enabled",
            "filter": {"tag": {"key": tag, "value": "true"}},
            "expiration": {"days": expires},
        }
        for tag, expires in (*((tag, keep_days) for tag in tags.EXPIRING), (tags.CACHED, cached.EXPIRES_DAYS))
    ]
    overwritten = {
        "id": "overwritten",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "expiration": {"expired_object_delete_marker": True},
        "noncurrent_version_expiration": {"noncurrent_days": keep_days},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
    }
    return [*tagged, overwritten]


def log_rules(days: int) -> list[Any]:
    """Logs expire; nobody overwrites them."""
    return [
        {
            "id": "old",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "expiration": {"days": days},
            "noncurrent_version_expiration": {"noncurrent_days": 7},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        }
    ]
