"""What a customer-managed key demands of those who use what it encrypts: the service asks KMS in the caller's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud import backends
from localcloud.request import Call
from localcloud.request.access import Access, Value

S3_USES = {
    "s3:GetObject": ("kms:Decrypt",),
    "s3:GetObjectVersion": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
}
SECRET_USES = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "secretsmanager:PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
    "secretsmanager:CreateSecret": ("kms:GenerateDataKey", "kms:Decrypt"),
    "secretsmanager:UpdateSecret": ("kms:GenerateDataKey", "kms:Decrypt"),
}
QUEUE_USES = {
    "sqs:SendMessage": ("kms:GenerateDataKey", "kms:Decrypt"),
    "sqs:ReceiveMessage": ("kms:Decrypt",),
    "sns:Publish": ("kms:GenerateDataKey", "kms:Decrypt"),
}


def accesses(access: Access, call: Call) -> Iterator[Access]:
    """What `access` needs of KMS besides. Keys that AWS manages ask nothing of the caller."""
    service = access.action.partition(":")[0]
    uses = (S3_USES | SECRET_USES | QUEUE_USES).get(access.action)
    if uses is None:
        return
    name = {"s3": _of_object, "secretsmanager": _of_secret, "sqs": _of_queue, "sns": _of_topic}[service](access, call)
    key = backends.key(call.account, call.region, name) if name and "alias/aws/" not in name else None
    if key is None:
        return
    via = f"{service}.{call.region}.amazonaws.com"
    for action in uses:
        context: dict[str, Value] = {"kms:viaservice": via, "kms:resourcealiases": list(key.aliases)}
        yield Access(action, key.arn, context, {"StringEquals": {"kms:ViaService": via}})


MANAGED = "alias/aws/"


def managed_key(access: Access) -> str:
    """The alias of AWS's own key that encrypts the queue or topic of `access`; "" if none does."""
    name = _of_messages(access)
    return name[name.index(MANAGED) :] if MANAGED in name else ""


def of_service(access: Access) -> Iterator[Access]:
    """What a service that puts a message into a queue or topic needs of the key that encrypts it."""
    _, _, service, region, account, _ = access.resource.split(":", 5)
    name = _of_messages(access)
    key = backends.key(account, region, name) if name and MANAGED not in name else None
    if key is not None:
        via = f"{service}.{region}.amazonaws.com"
        context: dict[str, Value] = {"kms:viaservice": via, "kms:resourcealiases": list(key.aliases)}
        yield from (Access(action, key.arn, context) for action in QUEUE_USES[access.action])


def _of_messages(access: Access) -> str:
    """The name of the key that encrypts what `access` puts into a queue or topic."""
    _, _, _, region, account, name = access.resource.split(":", 5)
    if access.action == "sqs:SendMessage":
        keeper = backends.queue(account, region, name)
    elif access.action == "sns:Publish":
        keeper = backends.topic(account, region, access.resource)
    else:
        return ""
    return str(getattr(keeper, "kms_master_key_id", None) or "")


def _of_object(access: Access, call: Call) -> str:
    bucket_name, _, key = access.resource.split(":", 5)[5].partition("/")
    bucket = backends.s3(call.account).buckets.get(bucket_name)
    if bucket is None:
        return ""
    if not access.action.startswith("s3:Put"):
        stored = backends.s3_object(call.account, bucket_name, key, str(access.context.get("s3:versionid", "")))
        if stored is not None and stored.encryption == "aws:kms" and stored.kms_key_id:
            return str(stored.kms_key_id)
        if stored is None:
            return ""
    header = access.context.get("s3:x-amz-server-side-encryption-aws-kms-key-id")
    return str(header) if header else _default_of(bucket)


def _default_of(bucket: Any) -> str:
    rule = (bucket.encryption or {}).get("Rule") or {}
    default = (rule[0] if isinstance(rule, list) else rule).get("ApplyServerSideEncryptionByDefault") or {}
    return (
        str(default.get("KMSMasterKeyID") or "") if str(default.get("SSEAlgorithm", "")).startswith("aws:kms") else ""
    )


def _of_secret(access: Access, call: Call) -> str:
    if access.action == "secretsmanager:CreateSecret":
        return str(call.arguments.get("KmsKeyId") or "")
    secret = backends.secret(call.account, call.region, access.resource)
    return str(getattr(secret, "kms_key_id", None) or "")


def _of_queue(access: Access, call: Call) -> str:
    queue = backends.queue(call.account, call.region, access.resource.rsplit(":", 1)[-1])
    return str(getattr(queue, "kms_master_key_id", None) or "")


def _of_topic(access: Access, call: Call) -> str:
    topic = backends.topic(call.account, call.region, access.resource)
    return str(getattr(topic, "kms_master_key_id", None) or "")
