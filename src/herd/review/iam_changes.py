"""What a change of an IAM policy document allows that was not allowed before. Pure functions of two documents.

A document is split into single grants (principal, action, resource, condition). A grant that an earlier one covers, by
wildcards or by having had no condition, is not new. Where that cannot be decided it counts as new: better one needless
line in a review than one that is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's placeholder for a text that is unknown before the update."""

DOCUMENTS = {
    "aws:iam:RolePolicy": "policy",
    "aws:iam:Policy": "policy",
    "aws:iam:Role": "assumeRolePolicy",
    "aws:s3:BucketPolicy": "policy",
    "aws:kms:Key": "policy",
    "aws:sqs:Queue": "policy",
    "aws:sqs:QueuePolicy": "policy",
    "aws:sns:TopicPolicy": "policy",
    "aws:ecr:RepositoryPolicy": "policy",
    "aws:secretsmanager:SecretPolicy": "policy",
    "aws:ec2:VpcEndpoint": "policy",
}
"""Type of resource -> the property with its policy document."""

MOST_GRANTS = 5000
"""Documents with more grants are not compared; the comment says only that they changed."""


@dataclass(frozen=True, order=True)
class Grant:
    """One action that is allowed, or (`denied`) denied. `who`: the principal; "" for an identity policy."""

    denied: bool
    who: str
    action: str
    resource: str
    condition: str

    def covers(self, other: Grant) -> bool:
        """Whether this grant includes everything that `other` grants."""
        return (
            self.who in (other.who, "*")
            and _matches(self.action.lower(), other.action.lower())
            and _matches(self.resource, other.resource)
            and self.condition in ("", other.condition)
        )


@dataclass(frozen=True)
class Widening:
    """Newly allowed `actions` on `resources`, for principal `who` under `condition`."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    who: str = ""
    condition: str = ""
    no_longer_denied: bool = False


def widened(old: Any, new: Any) -> list[Widening] | None:
    """What `new` allows beyond `old` (JSON texts or None). None: a document is unknown yet, or not a valid policy."""
    try:
        before, after = set(_grants(old)), set(_grants(new))
    except (ValueError, TypeError, AttributeError):
        return None
    if len(before) > MOST_GRANTS or len(after) > MOST_GRANTS:
        return None if before != after else []
    allowed = _beyond(after, before, denied=False)
    freed = _beyond(before, after, denied=True)
    return [*_together(allowed), *_together(freed)]


def _beyond(wide: set[Grant], narrow: set[Grant], denied: bool) -> list[Grant]:
    known = [grant for grant in narrow if grant.denied == denied]
    return [
        grant for grant in wide - narrow if grant.denied == denied and not any(other.covers(grant) for other in known)
    ]


def _together(grants: Iterable[Grant]) -> list[Widening]:
    """Merge grants that differ in the resource only, then those that differ in the action only."""
    by_action: dict[tuple[bool, str, str, str], set[str]] = {}
    for grant in grants:
        by_action.setdefault((grant.denied, grant.who, grant.condition, grant.action), set()).add(grant.resource)
    by_resources: dict[tuple[bool, str, str, tuple[str, ...]], set[str]] = {}
    for (denied, who, condition, action), resources in by_action.items():
        by_resources.setdefault((denied, who, condition, tuple(sorted(resources))), set()).add(action)
    return [
        Widening(tuple(sorted(actions)), resources, who, condition, denied)
        for (denied, who, condition, resources), actions in sorted(by_resources.items())
    ]


def _grants(document: Any) -> Iterator[Grant]:
    if document in (None, ""):
        return
    policy = json.loads(document) if isinstance(document, str) else document
    for statement in _several(policy["Statement"]):
        if statement["Effect"] not in ("Allow", "Deny"):
            raise ValueError("a statement that neither allows nor denies")
        denied = statement["Effect"] == "Deny"
        condition = json.dumps(statement["Condition"], sort_keys=True) if statement.get("Condition") else ""
        for who in _principals(statement):
            for action in _either(statement, "Action"):
                for resource in _either(statement, "Resource"):
                    yield Grant(denied, who, action, resource, condition)


def _principals(statement: dict[str, Any]) -> Iterator[str]:
    for key in ("Principal", "NotPrincipal"):
        if key not in statement:
            continue
        prefix = "everybody but " if key == "NotPrincipal" else ""
        principal = statement[key]
        if not isinstance(principal, dict):
            yield f"{prefix}{principal}"
            continue
        for values in principal.values():
            yield from (f"{prefix}{value}" for value in _several(values))
        return
    if "Principal" not in statement and "NotPrincipal" not in statement:
        yield ""


def _either(statement: dict[str, Any], key: str) -> Iterator[str]:
    """Its values; those that are excepted as one, which covers nothing and is covered by itself and `*` only."""
    if key in statement:
        yield from map(str, _several(statement[key]))
    elif f"Not{key}" in statement:
        yield f"everything but {', '.join(sorted(map(str, _several(statement[f'Not{key}']))))}"
    else:
        yield "itself" if key == "Resource" else ""


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, text: str) -> bool:
    return pattern == text or (("*" in pattern or "?" in pattern) and bool(_expression(pattern).fullmatch(text)))


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    # What the text itself has as `*` is matched by a `*` only: `s3:Get?bject` does not cover `s3:Get*bject`.
    parts = {"*": ".*", "?": "[^*]"}
    return re.compile("".join(parts.get(char, re.escape(char)) for char in pattern), re.DOTALL)
