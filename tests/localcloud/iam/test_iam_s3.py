"""S3 as a role meets it: each operation needs the actions that S3's user guide names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.localcloud.iam.acting import Account, allow

NEEDS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("get_object", {"Key": "a/x"}, ["s3:GetObject a/x"]),
    ("head_object", {"Key": "a/x"}, ["s3:GetObject a/x"]),
    ("put_object", {"Key": "a/y", "Body": b"1"}, ["s3:PutObject a/y"]),
    ("put_object", {"Key": "a/y", "Tagging": "t=1"}, ["s3:PutObject a/y", "s3:PutObjectTagging a/y"]),
    ("put_object", {"Key": "a/y", "ACL": "public-read"}, ["s3:PutObject a/y", "s3:PutObjectAcl a/y"]),
    ("delete_object", {"Key": "a/x"}, ["s3:DeleteObject a/x"]),
    ("copy_object", {"Key": "b/y", "CopySource": "BUCKET/a/x"}, ["s3:PutObject b/y", "s3:GetObject a/x"]),
    (
        "delete_objects",
        {"Delete": {"Objects": [{"Key": "a/x"}, {"Key": "b/x"}]}},
        ["s3:DeleteObject a/x", "s3:DeleteObject b/x"],
    ),
    ("get_object_tagging", {"Key": "a/x"}, ["s3:GetObjectTagging a/x"]),
    ("put_object_tagging", {"Key": "a/x", "Tagging": {"TagSet": []}}, ["s3:PutObjectTagging a/x"]),
    ("delete_object_tagging", {"Key": "a/x"}, ["s3:DeleteObjectTagging a/x"]),
    ("get_object_acl", {"Key": "a/x"}, ["s3:GetObjectAcl a/x"]),
    ("create_multipart_upload", {"Key": "a/y"}, ["s3:PutObject a/y"]),
    ("upload_part", {"Key": "a/y", "UploadId": "u", "PartNumber": 1}, ["s3:PutObject a/y"]),
    (
        "upload_part_copy",
        {"Key": "a/y", "UploadId": "u", "PartNumber": 1, "CopySource": "BUCKET/b/x"},
        ["s3:PutObject a/y", "s3:GetObject b/x"],
    ),
    ("complete_multipart_upload", {"Key": "a/y", "UploadId": "u"}, ["s3:PutObject a/y"]),
    ("abort_multipart_upload", {"Key": "a/y", "UploadId": "u"}, ["s3:AbortMultipartUpload a/y"]),
    ("list_parts", {"Key": "a/y", "UploadId": "u"}, ["s3:ListMultipartUploadParts a/y"]),
    ("list_objects_v2", {"Prefix": "a/"}, ["s3:ListBucket"]),
    ("list_objects", {}, ["s3:ListBucket"]),
    ("head_bucket", {}, ["s3:ListBucket"]),
    ("list_object_versions", {}, ["s3:ListBucketVersions"]),
    ("list_multipart_uploads", {}, ["s3:ListBucketMultipartUploads"]),
    ("get_bucket_policy", {}, ["s3:GetBucketPolicy"]),
    ("put_bucket_policy", {"Policy": "{}"}, ["s3:PutBucketPolicy"]),
    ("delete_bucket_policy", {}, ["s3:DeleteBucketPolicy"]),
    ("put_public_access_block", {"PublicAccessBlockConfiguration": {}}, ["s3:PutBucketPublicAccessBlock"]),
    ("get_bucket_location", {}, ["s3:GetBucketLocation"]),
    ("put_bucket_acl", {"ACL": "private"}, ["s3:PutBucketAcl"]),
    ("get_bucket_tagging", {}, ["s3:GetBucketTagging"]),
    ("delete_bucket", {}, ["s3:DeleteBucket"]),
]


def resource(bucket: str, need: str) -> tuple[str, str]:
    action, _, key = need.partition(" ")
    return action, f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


@pytest.mark.parametrize(
    ("operation", "parameters", "needs"), NEEDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_operation_needs_each_of_its_actions(
    account: Account, operation: str, parameters: dict[str, Any], needs: list[str]
) -> None:
    bucket = account.bucket("a/x", "b/x")
    parameters = json.loads(json.dumps(parameters, default=bytes.decode).replace("BUCKET", bucket))
    statements = [allow(*resource(bucket, need)) for need in needs]
    for left_out in range(len(statements)):
        role = account.role(*statements[:left_out], *statements[left_out + 1 :])
        message = account.refusal(role, "s3", operation, Bucket=bucket, **parameters)
        action, arn = resource(bucket, needs[left_out])
        if not operation.startswith("head"):
            assert f"is not authorized to perform: {action} on resource: {arn}" in message
            assert f'add: {{"Effect":"Allow","Action":"{action}","Resource":"{arn}"' in message
        assert message
    assert account.can(account.role(*statements), "s3", operation, Bucket=bucket, **parameters)
