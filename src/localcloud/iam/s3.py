"""What a request to S3 asks for: its actions, bucket and keys.

Source: "Actions, resources, and condition keys for Amazon S3" (service authorization reference) and "Required
permissions for Amazon S3 API operations" (S3 user guide).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from localcloud import backends
from localcloud.request import Call, ObjectName, Refused
from localcloud.request.access import Access, Value

Headers = Mapping[str, str]

BUCKET_PART: Mapping[str, tuple[str, str, str]] = {
    "accelerate": ("GetAccelerateConfiguration", "PutAccelerateConfiguration", ""),
    "acl": ("GetBucketAcl", "PutBucketAcl", ""),
    "analytics": ("GetAnalyticsConfiguration", "PutAnalyticsConfiguration", "PutAnalyticsConfiguration"),
    "cors": ("GetBucketCORS", "PutBucketCORS", "PutBucketCORS"),
    "encryption": ("GetEncryptionConfiguration", "PutEncryptionConfiguration", "PutEncryptionConfiguration"),
    "intelligent-tiering": ("GetIntelligentTieringConfiguration",) + ("PutIntelligentTieringConfiguration",) * 2,
    "inventory": ("GetInventoryConfiguration", "PutInventoryConfiguration", "PutInventoryConfiguration"),
    "lifecycle": ("GetLifecycleConfiguration", "PutLifecycleConfiguration", "PutLifecycleConfiguration"),
    "location": ("GetBucketLocation", "", ""),
    "logging": ("GetBucketLogging", "PutBucketLogging", ""),
    "metrics": ("GetMetricsConfiguration", "PutMetricsConfiguration", "PutMetricsConfiguration"),
    "notification": ("GetBucketNotification", "PutBucketNotification", ""),
    "object-lock": ("GetBucketObjectLockConfiguration", "PutBucketObjectLockConfiguration", ""),
    "ownershipControls": ("GetBucketOwnershipControls",) + ("PutBucketOwnershipControls",) * 2,
    "policy": ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    "policyStatus": ("GetBucketPolicyStatus", "", ""),
    "publicAccessBlock": ("GetBucketPublicAccessBlock",) + ("PutBucketPublicAccessBlock",) * 2,
    "replication": ("GetReplicationConfiguration", "PutReplicationConfiguration", "PutReplicationConfiguration"),
    "requestPayment": ("GetBucketRequestPayment", "PutBucketRequestPayment", ""),
    "tagging": ("GetBucketTagging", "PutBucketTagging", "PutBucketTagging"),
    "uploads": ("ListBucketMultipartUploads", "", ""),
    "versioning": ("GetBucketVersioning", "PutBucketVersioning", ""),
    "versions": ("ListBucketVersions", "", ""),
    "website": ("GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"),
}
"""Part of a bucket (a query parameter) -> what reading, writing and removing it is called."""

OBJECT_PART: Mapping[str, tuple[str, str, str]] = {
    "acl": ("GetObjectAcl", "PutObjectAcl", ""),
    "legal-hold": ("GetObjectLegalHold", "PutObjectLegalHold", ""),
    "restore": ("", "RestoreObject", ""),
    "retention": ("GetObjectRetention", "PutObjectRetention", ""),
    "tagging": ("GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"),
    "torrent": ("GetObjectTorrent", "", ""),
    "uploadId": ("ListMultipartUploadParts", "PutObject", "AbortMultipartUpload"),
}

VERSIONED = {"GetObject", "DeleteObject", "GetObjectAcl", "PutObjectAcl"} | {
    f"{verb}ObjectTagging" for verb in ("Get", "Put", "Delete")
}
"""Actions whose name ends in Version when the request names one."""

PARTS = BUCKET_PART.keys() | OBJECT_PART.keys() | {"attributes", "delete", "select"}

WRITES = ("PUT", "POST")


def accesses(call: Call) -> Iterator[Access]:
    """What the request needs, all of it."""
    if call.is_control:
        yield Access(f"s3:{call.operation or call.method.title()}", "*")
        return
    parts = [name for name in call.query if name in PARTS]
    if len(parts) > 1:
        raise Refused("InvalidArgument", f"One of {' and '.join(parts)} can be asked for at a time.", 400)
    if not call.bucket:
        yield Access("s3:ListAllMyBuckets", "*")
    elif not call.key:
        yield from _of_bucket(call)
    else:
        yield from _of_object(call)


def exists(account: str, bucket: str, key: str) -> bool:
    """Whether a bucket has a key that was not deleted. Of a bucket that is not there nothing is to be hidden."""
    if backends.s3(account).buckets.get(bucket) is None:
        return True
    return backends.s3_object(account, bucket, key) is not None


def bucket_arn(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def _of_bucket(call: Call) -> Iterator[Access]:
    method, bucket, query = call.method, call.bucket, call.query
    if method == "POST" and "delete" in query:
        for each in call.deleted:
            action = "s3:DeleteObjectVersion" if each.version else "s3:DeleteObject"
            yield Access(action, object_arn(bucket, each.key), {"s3:versionid": each.version} if each.version else {})
        return
    if method == "POST":  # a browser's form: whoever may write any key of it
        yield Access("s3:PutObject", object_arn(bucket, "*"))
        return
    context = {f"s3:{name}": query[name] for name in ("prefix", "delimiter", "max-keys") if name in query}
    part = next((name for name in BUCKET_PART if name in query), None)
    if part is not None:
        name = _verb(BUCKET_PART[part], method)
    else:
        name = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}.get(
            method, method.title()
        )
    narrow = {"StringLike": {"s3:prefix": _below(query.get("prefix", ""))}} if name.startswith("ListBucket") else {}
    yield Access(f"s3:{name}", bucket_arn(bucket), context, narrow if "prefix" in query else {})


def _below(prefix: str) -> str:
    folder, slash, _ = prefix.partition("/")
    return f"{folder}/*" if slash else f"{prefix}*"


def _of_object(call: Call) -> Iterator[Access]:
    method, query, headers = call.method, call.query, call.headers
    arn, version = object_arn(call.bucket, call.key), query.get("versionId")
    context = dict(_object_context(headers))
    if version:
        context["s3:versionid"] = version
    part = next((name for name in OBJECT_PART if name in query), None)
    if part is not None:
        name = _verb(OBJECT_PART[part], method)
    elif method == "POST" and not {"select", "uploads"} & query.keys():
        raise Refused("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    elif "select" in query or method in ("GET", "HEAD"):
        name = "GetObject"
    else:
        name = "DeleteObject" if method == "DELETE" else "PutObject"
    if version and name in VERSIONED:
        name += "Version"
    narrow = {"Null": {"s3:if-none-match": "false"}} if "s3:if-none-match" in context else {}
    yield Access(f"s3:{name}", arn, context, narrow)
    if "attributes" in query:
        yield Access("s3:GetObjectAttributes", arn, context)
    if method not in WRITES or name != "PutObject":
        return
    if call.source is not None:
        yield _copied(call.source)
    for header, wanted in _BY_HEADER.items():
        if headers.get(header, "private") != "private":
            yield Access(wanted, arn, context)


_BY_HEADER = {
    "x-amz-tagging": "s3:PutObjectTagging",
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-grant-read": "s3:PutObjectAcl",
    "x-amz-grant-full-control": "s3:PutObjectAcl",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
}
"""Headers of a write that do something else besides -> its action."""


def _copied(source: ObjectName) -> Access:
    arn = object_arn(source.bucket, source.key)
    if source.version:
        return Access("s3:GetObjectVersion", arn, {"s3:versionid": source.version})
    return Access("s3:GetObject", arn)


_CONTEXT_HEADERS = {
    "if-none-match": "s3:if-none-match",
    "if-match": "s3:if-match",
    "x-amz-acl": "s3:x-amz-acl",
    "x-amz-copy-source": "s3:x-amz-copy-source",
    "x-amz-metadata-directive": "s3:x-amz-metadata-directive",
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class": "s3:x-amz-storage-class",
    "x-amz-website-redirect-location": "s3:x-amz-website-redirect-location",
}


def _object_context(headers: Headers) -> Iterator[tuple[str, Value]]:
    for header, key in _CONTEXT_HEADERS.items():
        if header in headers:
            yield key, headers[header]
    tags = parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)
    for name, value in tags:
        yield f"s3:requestobjecttag/{name.lower()}", value
    if tags:
        yield "s3:requestobjecttagkeys", [name for name, _ in tags]


def _verb(names: tuple[str, str, str], method: str) -> str:
    name = names[{"GET": 0, "HEAD": 0, "PUT": 1, "POST": 1, "DELETE": 2}.get(method, 0)]
    if not name:
        raise Refused("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    return name
