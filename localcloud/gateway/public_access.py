"""Whether a bucket policy lets everyone do something, and whether Block Public Access forbids it all the same.

Source: "Policy evaluation logic" (IAM user guide) and "Blocking public access: the meaning of public" (S3 user
guide). Object and bucket ACLs are not looked at: buckets have had them disabled since April 2023. Only what an
unsigned request can carry is known as a condition key; a statement with an operator or key that is not known here
never allows, and always denies.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

Context = Mapping[str, str]
"""Condition keys in lower case → value."""

# Conditions that, with fixed values, make a policy "not public" in the sense of Block Public Access.
_LIMITING_KEYS = {
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourcearn",
    "aws:sourceaccount",
    "aws:principalorgid",
}


def everyone_may(policy: Mapping[str, Any], restricted: bool, action: str, resource: str, context: Context) -> bool:
    """True when an anonymous caller may perform `action` ("s3:GetObject") on the ARN `resource`.

    `restricted` is the bucket's RestrictPublicBuckets.
    """
    statements = _list(policy.get("Statement", []))
    if restricted and any(_is_public(statement) for statement in statements if statement.get("Effect") == "Allow"):
        return False
    applying = [
        statement["Effect"]
        for statement in statements
        if _names_everyone(statement)
        and _matches(statement, "Action", action, ignore_case=True)
        and _matches(statement, "Resource", resource, ignore_case=False)
        and _conditions_hold(statement, context)
    ]
    return "Allow" in applying and "Deny" not in applying


def _names_everyone(statement: Mapping[str, Any]) -> bool:
    if "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    named = principal.get("AWS", []) if isinstance(principal, Mapping) else principal
    return "*" in _list(named)


def _matches(statement: Mapping[str, Any], element: str, value: str, *, ignore_case: bool) -> bool:
    if element in statement:
        return any(_like(pattern, value, ignore_case) for pattern in _list(statement[element]))
    negated = f"Not{element}"
    return negated in statement and not any(_like(pattern, value, ignore_case) for pattern in _list(statement[negated]))


def _conditions_hold(statement: Mapping[str, Any], context: Context) -> bool:
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            holds = _condition(operator, context.get(key.lower()), [str(one) for one in _list(wanted)])
            if holds is None:
                return bool(statement["Effect"] == "Deny")
            if not holds:
                return False
    return True


_Test = Callable[[str, str], bool]


def _in_network(wanted: str, given: str) -> bool:
    return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)


_TESTS: dict[str, _Test] = {
    "stringequals": lambda wanted, given: wanted == given,
    "stringequalsignorecase": lambda wanted, given: wanted.lower() == given.lower(),
    "stringlike": lambda wanted, given: _like(wanted, given, False),
    "arnequals": lambda wanted, given: _like(wanted, given, False),
    "arnlike": lambda wanted, given: _like(wanted, given, False),
    "bool": lambda wanted, given: wanted.lower() == given.lower(),
    "ipaddress": _in_network,
}
_NEGATIONS = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
}


def _condition(operator: str, given: str | None, wanted: list[str]) -> bool | None:
    """Whether one condition holds; None for an operator that is not known here."""
    name = operator.lower()
    if name == "null":
        return (given is None) == (wanted[0].lower() == "true")
    optional = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    negated = name in _NEGATIONS
    test = _TESTS.get(_NEGATIONS.get(name, name))
    if test is None:
        return None
    if given is None:
        return optional or negated
    return any(test(one, given) for one in wanted) != negated


def _is_public(statement: Mapping[str, Any]) -> bool:
    """Open to everyone, with no condition that limits who or from where."""
    if not _names_everyone(statement):
        return False
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            fixed = not any("*" in str(value) or str(value) in ("0.0.0.0/0", "::/0") for value in _list(values))
            if key.lower() in _LIMITING_KEYS and fixed and "not" not in operator.lower():
                return False
    return True


def _like(pattern: str, value: str, ignore_case: bool) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
