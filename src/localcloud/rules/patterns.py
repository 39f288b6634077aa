"""EventBridge: what an event pattern may say. moto takes an operator that it does not know for one that always matches.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.request import Call, Refused

COMPARISONS = ("<", "<=", "=", ">", ">=")

LARGEST_NUMBER = 5e9
"""Numeric matching works between this number and its negative."""


def event_pattern_is_valid(asked: Call) -> None:
    """Raise `Refused` for a pattern that EventBridge does not take."""
    text = asked.text("EventPattern")
    if not text:
        return
    try:
        pattern = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused("Invalid JSON") from error
    if not isinstance(pattern, dict):
        raise _refused("Filter is not an object")
    if not pattern:
        raise _refused("Empty objects are not allowed")
    _check(pattern)


def _refused(reason: str) -> Refused:
    return Refused("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason}")


def _check(pattern: Mapping[str, Any]) -> None:
    for key, value in pattern.items():
        if key == "$or":
            if not isinstance(value, list) or not value or not all(isinstance(each, dict) and each for each in value):
                raise _refused("$or must be an array of objects")
            for choice in value:
                _check(choice)
        elif isinstance(value, dict):
            if not value:
                raise _refused("Empty objects are not allowed")
            _check(value)
        elif isinstance(value, list):
            if not value:
                raise _refused("Empty arrays are not allowed")
            for item in value:
                _check_item(key, item)
        else:
            raise _refused(f'"{key}" must be an object or an array')


def _check_item(key: str, item: Any) -> None:
    if isinstance(item, list):
        raise _refused(f'Match value must be String, number, true, false, or null: "{key}" has an array in its array')
    if not isinstance(item, dict):
        return
    if len(item) != 1:
        raise _refused(f'Only one key allowed in match expression: "{key}" has {", ".join(item) or "none"}')
    ((operator, value),) = item.items()
    check = CHECKS.get(operator)
    if check is None:
        raise _refused(f"Unrecognized match type {operator}")
    if not check(value):
        raise _refused(f'{operator} of "{key}" cannot be {json.dumps(value)}')


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_text_or_ignoring_case(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, dict) and list(value) == ["equals-ignore-case"]
                               and isinstance(value["equals-ignore-case"], str))  # fmt: skip


def _is_wildcard(value: Any) -> bool:
    return _is_text(value) and "**" not in value.replace("\\*", "")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _is_numeric(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (2, 4):
        return False
    pairs = list(zip(value[::2], value[1::2], strict=True))
    if not all(sign in COMPARISONS and _is_number(number) for sign, number in pairs):
        return False
    return len(pairs) == 1 or (pairs[0][0] in (">", ">=") and pairs[1][0] in ("<", "<=") and pairs[0][1] < pairs[1][1])


def _is_anything_but(value: Any) -> bool:
    if isinstance(value, dict):
        if len(value) != 1:
            return False
        ((operator, inner),) = value.items()
        texts = inner if isinstance(inner, list) else [inner]
        known = {"prefix": _is_text, "suffix": _is_text, "equals-ignore-case": _is_text, "wildcard": _is_wildcard}
        return operator in known and bool(texts) and all(known[operator](each) for each in texts)
    values = value if isinstance(value, list) else [value]
    return bool(values) and (all(isinstance(each, str) for each in values) or all(_is_number(each) for each in values))


def _is_network(value: Any) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except (ValueError, TypeError):
        return False
    return isinstance(value, str)


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "prefix": _is_text_or_ignoring_case,
    "suffix": _is_text_or_ignoring_case,
    "equals-ignore-case": lambda value: isinstance(value, str),
    "wildcard": _is_wildcard,
    "anything-but": _is_anything_but,
    "numeric": _is_numeric,
    "exists": lambda value: isinstance(value, bool),
    "cidr": _is_network,
}
"""Operator -> is its value one that it takes?"""
