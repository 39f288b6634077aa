"""S3: new buckets block public access, and a bucket with delete markers can be emptied."""

from __future__ import annotations

from typing import Any

from moto.s3 import models
from moto.s3.exceptions import MissingKey


def apply() -> None:
    """Block public access on each new bucket, and let delete markers be deleted."""
    _block_public_access()
    _let_markers_go()
    _own_what_came_in_parts()
    _miss_what_was_deleted()


def _block_public_access() -> None:
    # s3/models.py:1948: a new bucket has no block, so that a public policy is accepted. AWS blocks since April 2023.
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


def _let_markers_go() -> None:
    # s3/utils.py:132 disposes of each version of a key, but a delete marker has nothing to dispose of: DeleteObjects
    # was HTTP 500 in a versioned bucket once anything had been deleted there.
    def dispose(marker: Any, garbage: bool = False) -> None:
        """It holds no bytes."""

    models.FakeDeleteMarker.dispose = dispose


def _own_what_came_in_parts() -> None:
    # s3/models.py:2745 sets the access control list of an object that came in parts to nothing where none was given,
    # and GetObjectAcl then fails. On AWS its owner has full control.
    backend = models.S3Backend
    stock = backend.put_object_acl

    def put_object_acl(
        self: Any, bucket_name: str, key_name: str, acl: Any, disable_notification: bool = False
    ) -> None:
        stock(self, bucket_name, key_name, acl or models.get_canned_acl("private"), disable_notification)

    backend.put_object_acl = put_object_acl


def _miss_what_was_deleted() -> None:
    # s3/models.py:2927 takes the tags of what get_object gave, which is nothing for a key that is not there: HTTP 500.
    backend = models.S3Backend
    stock = backend.delete_object_tagging

    def delete_object_tagging(self: Any, bucket_name: str, key_name: str, version_id: str | None = None) -> None:
        if self.get_object(bucket_name, key_name, version_id=version_id) is None:
            raise MissingKey(key=key_name)
        stock(self, bucket_name, key_name, version_id)

    backend.delete_object_tagging = delete_object_tagging
