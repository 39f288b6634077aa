"""Whether a subscription's filter policy accepts a message.

Each name of a policy has to match, by any of its values. A list of values in the message matches if one of them does.
Source: https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Attributes = Mapping[str, Mapping[str, Any]]
"""A message's attributes by name: Type and Value."""

SCOPES = ("MessageAttributes", "MessageBody")

DIGITS = 6
"""Numbers are the same that do not differ in so many digits behind the point."""


class BadPolicy(Exception):
    """A filter policy that SNS does not take; the text says what is wrong with it."""


def check(text: str) -> None:
    """Raise `BadPolicy` for what would fail when a message is held against it. What else SNS refuses moto knows."""
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise BadPolicy("failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise BadPolicy("it is to be a JSON object")
    _check_rules(policy)


def _check_rules(node: Any) -> None:
    for name, wanted in node.items():
        if isinstance(wanted, Mapping):
            _check_rules(wanted)
        elif name == "$or" and isinstance(wanted, list):
            if not all(isinstance(choice, Mapping) for choice in wanted):
                raise BadPolicy("$or must be an array of objects")
            for choice in wanted:
                _check_rules(choice)
        elif not isinstance(wanted, list) or not wanted:
            raise BadPolicy(f'"{name}" must be an object or an array that is not empty')
        else:
            for rule in wanted:
                _check_rule(rule)


def _check_rule(rule: Any) -> None:
    if isinstance(rule, list):
        raise BadPolicy("Match value must be String, number, true, false, or null")
    if not isinstance(rule, Mapping):
        return
    if len(rule) != 1:
        raise BadPolicy("Only one key allowed in match expression")
    ((keyword, wanted),) = rule.items()
    if keyword in ("prefix", "suffix", "equals-ignore-case") and not isinstance(wanted, str):
        raise BadPolicy(f"{keyword} match pattern must be a string")
    if keyword == "numeric" and not isinstance(wanted, list):
        raise BadPolicy("Value of numeric must be an array.")
    if keyword == "anything-but" and isinstance(wanted, Mapping):
        _check_rule(wanted)


def accepts(policy: Mapping[str, Any] | None, scope: str, attributes: Attributes, message: str) -> bool:
    """`scope` is MessageAttributes or MessageBody; no policy accepts everything."""
    if not policy:
        return True
    if scope != "MessageBody":
        return _matches(policy, {name: _values(each) for name, each in attributes.items()})
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and _matches(policy, body)


def _values(attribute: Mapping[str, Any]) -> Any:
    """An attribute as JSON would say it; a binary one is there, but equals nothing."""
    kind, value = str(attribute["Type"]), attribute["Value"]
    if kind.startswith("Number"):
        return float(value)
    if kind == "String.Array":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return []
    return value if kind.startswith("String") else []


def _matches(policy: Mapping[str, Any], node: Any) -> bool:
    if isinstance(node, list):
        return any(_matches(policy, each) for each in node)
    for name, wanted in policy.items():
        if name == "$or" and isinstance(wanted, list):
            if not any(_matches(choice, node) for choice in wanted):
                return False
        elif isinstance(wanted, Mapping):
            if not isinstance(node, Mapping) or not _matches(wanted, node.get(name, {})):
                return False
        elif not _any_rule(wanted, node if isinstance(node, Mapping) else {}, name):
            return False
    return True


def _any_rule(rules: list[Any], node: Mapping[str, Any], name: str) -> bool:
    present = name in node
    value = node.get(name)
    values = value if isinstance(value, list) else [value] if present else []
    for rule in rules:
        if isinstance(rule, Mapping) and "exists" in rule:
            if rule["exists"] == present:
                return True
        elif any(_rule(rule, each) for each in values):
            return True
    return False


def _rule(rule: Any, value: Any) -> bool:
    if not isinstance(rule, Mapping):
        return _same(rule, value)
    ((keyword, wanted),) = rule.items()
    match keyword:
        case "prefix":
            return isinstance(value, str) and value.startswith(wanted)
        case "suffix":
            return isinstance(value, str) and value.endswith(wanted)
        case "equals-ignore-case":
            return isinstance(value, str) and value.casefold() == str(wanted).casefold()
        case "numeric":
            return _is_number(value) and _in_range(wanted, float(value))
        case "anything-but":
            if isinstance(wanted, Mapping):
                return isinstance(value, str) and not _rule(wanted, value)
            return not any(_same(each, value) for each in (wanted if isinstance(wanted, list) else [wanted]))
    return False


def _same(wanted: Any, value: Any) -> bool:
    if _is_number(wanted) and _is_number(value):
        return round(float(wanted), DIGITS) == round(float(value), DIGITS)
    return type(wanted) is type(value) and bool(wanted == value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_range(expression: list[Any], value: float) -> bool:
    return all(
        _same(limit, value) if operator == "=" else _COMPARED[operator](value, float(limit))
        for operator, limit in zip(expression[::2], expression[1::2], strict=True)
    )


_COMPARED = {
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
}
