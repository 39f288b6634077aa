"""S3: new buckets block public access."""

from __future__ import annotations

from typing import Any

from moto.s3 import models

BLOCKED = {
    "BlockPublicAcls": "true",
    "IgnorePublicAcls": "true",
    "BlockPublicPolicy": "true",
    "RestrictPublicBuckets": "true",
}


def apply() -> None:
    """Block public access on each new bucket, as AWS does since April 2023."""
    # s3/models.py: a new bucket has no block, so that a public policy is accepted that AWS refuses.
    backend = models.S3Backend
    stock = backend.create_bucket

    def create_bucket(self: Any, *args: Any, **kwargs: Any) -> Any:
        bucket = stock(self, *args, **kwargs)
        bucket.public_access_block = models.PublicAccessBlock(
            block_public_acls="true",
            ignore_public_acls="true",
            block_public_policy="true",
            restrict_public_buckets="true",
        )
        return bucket

    backend.create_bucket = create_bucket
