"""The two buckets of an environment: `data`, private, and `reports`, whose pages the world may read.

Both refuse plain HTTP and access lists, keep overwritten objects for a while, and are removed with the environment,
whatever lies in them.
"""

import json
from typing import Any, Literal

import pulumi
from pulumi_aws.s3.bucket import Bucket as S3Bucket
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning

from infra.context import Component, Context

EXPIRING_TAGS = ("herd:superseded", "herd:rejected")
"""Set to "true" by the runner on what is no longer, or never was, the current version."""


class Bucket(Component):
    """One bucket with everything that belongs to it: seven resources.

    `public` lets anyone read an object whose key they know; nobody can list. The two switches against public *policies*
    are then off, those against public access lists stay on.
    """

    def __init__(self, purpose: Literal["data", "reports"], context: Context, parent: pulumi.Resource) -> None:
        super().__init__("Bucket", purpose, parent)
        self.public = purpose == "reports"
        self.context = context
        self.bucket = S3Bucket(
            self.child("bucket"),
            bucket=context.naming.bucket(context.account.id, purpose),
            force_destroy=True,
            tags=context.tags(),
            opts=self.options(),
        )
        self._settings()
        self._policy(context.account.bucket_arn(context.naming.bucket(context.account.id, purpose)))
        self.register_outputs({})

    def _settings(self) -> None:
        BucketOwnershipControls(
            self.child("ownership"),
            bucket=self.bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self.options(),
        )
        # Anonymous readers cannot use KMS, and dev has no keys of its own.
        BucketServerSideEncryptionConfiguration(
            self.child("encryption"),
            bucket=self.bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=self.options(),
        )
        versioning = BucketVersioning(
            self.child("versioning"),
            bucket=self.bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self.options(),
        )
        BucketLifecycleConfiguration(
            self.child("lifecycle"),
            bucket=self.bucket.id,
            rules=lifecycle_rules(self.context.settings.keep_versions_days),
            # Rules about noncurrent versions are refused while versioning is off.
            opts=self.options(depends_on=[versioning]),
        )

    def _policy(self, arn: str) -> None:
        block = BucketPublicAccessBlock(
            self.child("access"),
            bucket=self.bucket.id,
            block_public_acls=True,
            ignore_public_acls=True,
            block_public_policy=not self.public,
            restrict_public_buckets=not self.public,
            opts=self.options(),
        )
        BucketPolicy(
            self.child("policy"),
            bucket=self.bucket.id,
            policy=json.dumps(bucket_policy(arn, public=self.public)),
            # A public policy is refused while the block still forbids it.
            opts=self.options(depends_on=[block]),
        )


def bucket_policy(arn: str, *, public: bool) -> dict[str, Any]:
    """The bucket's policy: TLS only; with `public` also GetObject, and nothing else, for everybody."""
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    pages = {
        "Sid": "PublicPages",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"{arn}/*",
    }
    return {"Version": "2012-10-17", "Statement": [pages, tls_only] if public else [tls_only]}


def lifecycle_rules(keep_days: int) -> list[Any]:
    """What is tagged as no longer needed expires after `keep_days`, what was overwritten too; parts of broken uploads
    after 7 days. The current version of an output is never tagged, hence never expires.
    """
    tagged = [
        {
            "id": tag.replace(":", "-"),
            "status": "Enabled",
            "filter": {"tag": {"key": tag, "value": "true"}},
            "expiration": {"days": keep_days},
        }
        for tag in EXPIRING_TAGS
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
