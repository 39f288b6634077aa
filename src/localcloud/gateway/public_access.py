"""Whether a bucket policy lets everyone do something, and whether Block Public Access forbids it all the same.

Sources: "Policy evaluation logic" (IAM user guide) and "Blocking public access: the meaning of public" (S3 user
guide). Object and bucket ACLs are not looked at: buckets have had them disabled since April 2023.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcloud.iam import documents
from localcloud.iam.documents import Statement
from localcloud.iam.patterns import Context

# Conditions that, with fixed values, make a policy "not public" in the sense of Block Public Access.
_LIMITING_KEYS = {
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourcearn",
    "aws:sourceaccount",
    "aws:principalorgid",
}
_ANYWHERE = ("0.0.0.0/0", "::/0")


def everyone_may(policy: Mapping[str, Any], restricted: bool, action: str, resource: str, context: Context) -> bool:
    """True when an anonymous caller may perform `action` ("s3:GetObject") on the ARN `resource`.

    `restricted` is the bucket's RestrictPublicBuckets; `context` has condition keys in lower case.
    """
    statements = documents.read(json.dumps(policy))
    if restricted and any(statement.allows and _is_public(statement) for statement in statements):
        return False
    effects = {
        statement.allows
        for statement in statements
        if _names_everyone(statement) and statement.covers(action, resource, context)
    }
    return effects == {True}


def _names_everyone(statement: Statement) -> bool:
    return bool(statement.not_principals) or "*" in statement.principals.get("AWS", ())


def _is_public(statement: Statement) -> bool:
    """Open to everyone, with no condition that limits who or from where."""
    return _names_everyone(statement) and not any(
        key in _LIMITING_KEYS
        and "not" not in operator.lower()
        and not any("*" in value or value in _ANYWHERE for value in wanted)
        for operator, key, wanted in statement.condition
    )
