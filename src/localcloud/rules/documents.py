"""The grammar of policy documents, as IAM and the services that take them check it.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html and …_elements.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any


class Kind(Enum):
    """What a document is attached to, which decides who is named in it."""

    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE = "resource"


DOCUMENT_KEYS = {"Version", "Id", "Statement"}
STATEMENT_KEYS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip
VERSIONS = ("2012-10-17", "2008-10-17")
PRINCIPALS = {"AWS", "Service", "Federated", "CanonicalUser"}
ACTION = re.compile(r"\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?_]+")
ARN = re.compile(r"\*|arn:[a-z*?-]+:[a-zA-Z0-9*?-]+:[^:]*:[^:]*:.+", re.DOTALL)
SID = re.compile(r"[0-9A-Za-z]*")
PRINCIPAL = re.compile(r"\*|\d{12}|arn:aws[a-z-]*:(iam|sts)::(\d{12}|cloudfront):.+|[A-Z]{4}[A-Z0-9]{12,}")
_OPERATORS = {
    "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
    "StringNotLike", "NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals",
    "NumericGreaterThan", "NumericGreaterThanEquals", "DateEquals", "DateNotEquals", "DateLessThan",
    "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "Bool", "BinaryEquals", "IpAddress",
    "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike",
}  # fmt: skip
OPERATORS = {name.lower() for name in _OPERATORS} | {f"{name}IfExists".lower() for name in _OPERATORS} | {"null"}
CONDITION_KEY = re.compile(r"[a-zA-Z0-9-]+(\.[a-zA-Z0-9.-]+)?(/[^:]*)?:.+|[a-z0-9.:/-]+:(sub|aud|oaud|amr|[a-z_]+)")


def problem(text: str, kind: Kind) -> str | None:
    """The first thing that is wrong with a document, None if nothing is."""
    try:
        document = json.loads(text)
    except ValueError:
        return "This policy contains invalid Json"
    if not isinstance(document, dict):
        return "Syntax errors in policy."
    if unknown := set(document) - DOCUMENT_KEYS:
        return f"Syntax errors in policy: unknown element {_names(unknown)}"
    if document.get("Version", VERSIONS[0]) not in VERSIONS:
        return f"The policy's Version must be one of {', '.join(VERSIONS)}"
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        return "Missing required field Statement"
    named = [each["Sid"] for each in statements if isinstance(each, dict) and each.get("Sid")]
    if len(set(map(str, named))) < len(named):
        return "Statement IDs (SID) in a single policy must be unique."
    return next((wrong for each in statements for wrong in _statement(each, kind)), None)


def size(text: str) -> int:
    """Characters that count: white space does not."""
    return len(re.sub(r"\s", "", text))


def _statement(statement: Any, kind: Kind) -> Iterator[str]:
    if not isinstance(statement, dict):
        yield "Syntax errors in policy."
        return
    if unknown := set(statement) - STATEMENT_KEYS:
        yield f"Syntax errors in policy: unknown element {_names(unknown)}"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield (
            "Missing required field Effect" if "Effect" not in statement else (f"Invalid effect: {statement['Effect']}")
        )
    if kind is not Kind.RESOURCE and not SID.fullmatch(str(statement.get("Sid", ""))):
        yield f"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*: {statement['Sid']}"  # noqa: E501
    yield from _actions(statement)
    yield from _resources(statement, kind)
    yield from _principals(statement, kind)
    yield from _conditions(statement.get("Condition", {}))


def _actions(statement: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in ("Action", "NotAction") if name in statement]
    if len(names) != 1:
        yield "Missing required field Action" if not names else "A statement has either Action or NotAction"
        return
    actions = _texts(statement[names[0]])
    if not actions:
        yield "Policy statement must contain actions."
        return
    for action in actions:
        if not ACTION.fullmatch(action):
            if ":" not in action:
                yield f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: {action}"
            yield f"Vendor {action.partition(':')[0]} is not valid, or the action {action} is not one"


def _resources(statement: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    names = [name for name in ("Resource", "NotResource") if name in statement]
    if kind is Kind.TRUST:
        if names:
            yield f"Has prohibited field {names[0]}"
        return
    if len(names) > 1:
        yield "A statement has either Resource or NotResource"
    if not names:
        if kind is Kind.IDENTITY:
            yield "Policy statement must contain resources."
        return
    resources = _texts(statement[names[0]])
    if not resources:
        yield "Policy statement must contain resources."
    for resource in resources:
        if not ARN.fullmatch(resource):
            yield f'Resource {resource} must be in ARN format or "*".'


def _principals(statement: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    names = [name for name in ("Principal", "NotPrincipal") if name in statement]
    if kind is Kind.IDENTITY:
        if names:
            yield "Policy document should not specify a principal."
        return
    if len(names) != 1:
        yield "Missing required field Principal" if not names else "A statement has either Principal or NotPrincipal"
        return
    principal = statement[names[0]]
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        yield f"Invalid principal in policy: {json.dumps(principal)}"
        return
    for name, value in principal.items():
        if name not in PRINCIPALS:
            yield f'Invalid principal in policy: "{name}"'
        for text in _texts(value):
            if name == "AWS" and not PRINCIPAL.fullmatch(text):
                yield f'Invalid principal in policy: "AWS":"{text}"'
            if name == "Service" and not re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?", text):
                yield f'Invalid principal in policy: "SERVICE":"{text}"'


def _conditions(conditions: Any) -> Iterator[str]:
    if not isinstance(conditions, dict):
        yield "Syntax errors in policy: Condition"
        return
    for operator, keys in conditions.items():
        plain = re.sub(r"^(ForAllValues|ForAnyValue):", "", operator, flags=re.IGNORECASE).lower()
        if plain not in OPERATORS:
            yield f"Invalid Condition type : {operator}."
        if not isinstance(keys, dict):
            yield "Syntax errors in policy: Condition"
            continue
        for key, values in keys.items():
            if not CONDITION_KEY.fullmatch(key):
                yield f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: {key}"
            if isinstance(values, dict) or values is None or values == []:
                yield f"Syntax errors in policy: the condition {key} has no values"


def _texts(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names))
