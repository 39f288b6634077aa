"""Policies of resources themselves, as moto keeps them. Hold the server's lock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from localcloud import backends
from localcloud.iam import documents

DECIDES = ("kms", "sts")
"""Services whose resource's own policy has to allow, or to leave it to the account."""


def policy(arn: str, account: str) -> documents.Document | None:
    """What the resource's own policy says; None if it has none or is of a kind that has none."""
    parts = arn.split(":", 5)
    read = KINDS.get(parts[2]) if len(parts) == 6 else None
    text = read(account, parts[3], parts[5]) if read else None
    return documents.read(text) if text else None


def tags(arn: str, account: str, region: str) -> dict[str, str]:
    """The resource's tags; none for `*`."""
    if arn.count(":") < 5:
        return {}
    return backends.tags(account, arn.split(":")[3] or region, arn)


def _bucket(account: str, region: str, resource: str) -> str | None:
    bucket = backends.s3(account).buckets.get(resource.partition("/")[0])
    return bucket.policy.decode() if bucket is not None and bucket.policy else None


def _queue(account: str, region: str, resource: str) -> str | None:
    queue = backends.queue(account, region, resource)
    policy = queue._policy_json if queue is not None else {}
    return json.dumps(policy) if policy.get("Statement") else None


def _topic(account: str, region: str, resource: str) -> str | None:
    topic = backends.topic(account, region, f"arn:aws:sns:{region}:{account}:{resource}")
    return json.dumps(topic._policy_json) if topic is not None and topic._policy_json else None


def _log_group(account: str, region: str, resource: str) -> str | None:
    """What all policies of a region's CloudWatch Logs say together: each names the groups that it is about."""
    policies = backends.logs(account, region).resource_policies.values()
    documents_of_region = [json.loads(policy.policy_document) for policy in policies]
    statements = [
        each
        for document in documents_of_region
        for each in (document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]])
    ]
    return json.dumps({"Statement": statements}) if statements else None


def _secret(account: str, region: str, resource: str) -> str | None:
    secret = backends.secret(account, region, resource.removeprefix("secret:"))
    return getattr(secret, "policy", None)


def _key(account: str, region: str, resource: str) -> str | None:
    key = backends.key(account, region, resource)
    return None if key is None else str(key.policy)


def _repository(account: str, region: str, resource: str) -> str | None:
    repository = backends.repository(account, region, resource.removeprefix("repository/"))
    return getattr(repository, "policy", None)


def _role(account: str, region: str, resource: str) -> str | None:
    role = backends.role(account, resource.rsplit("/", 1)[-1])
    if role is None:
        return None
    text: Any = role.assume_role_policy_document
    return text if isinstance(text, str) else json.dumps(text)


def _function(account: str, region: str, resource: str) -> str | None:
    function = backends.function(account, region, resource.removeprefix("function:").partition(":")[0])
    statements = function.policy.statements if function is not None else []
    return json.dumps({"Statement": statements}) if statements else None


KINDS: Mapping[str, Callable[[str, str, str], str | None]] = {
    "ecr": _repository,
    "iam": _role,
    "kms": _key,
    "lambda": _function,
    "logs": _log_group,
    "s3": _bucket,
    "secretsmanager": _secret,
    "sns": _topic,
    "sqs": _queue,
}
"""Service of an ARN -> the text of a resource's policy, from account, region and the ARN's last part."""
