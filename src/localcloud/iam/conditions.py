"""Condition blocks of policies.

A key that a request does not have is absent: what asks for a value of it fails, what asks for anything but a value
holds. Source: "IAM JSON policy elements: Condition operators" and "Multivalued context keys" (IAM user guide).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from localcloud.iam.patterns import Context, arn_like, expand, like

Test = Callable[[str, str, Context], bool]
"""Whether a value that the policy wants, with its variables, is met by the one that the request has."""

Block = tuple[tuple[str, str, tuple[str, ...]], ...]
"""A Condition block, flat: operator, key in lower case, wanted values."""


def read(block: Mapping[str, Any] | None) -> Block:
    """A Condition block as the document has it, flattened."""
    return tuple(
        (operator, key.lower(), tuple(_text(value) for value in (wanted if isinstance(wanted, list) else [wanted])))
        for operator, keys in (block or {}).items()
        for key, wanted in keys.items()
    )


def hold(block: Block, context: Context) -> bool | None:
    """Whether all conditions hold; None if one of them has an operator that AWS does not know."""
    for operator, key, wanted in block:
        holds = _condition(operator, context.get(key), wanted, context)
        if not holds:
            return holds
    return True


def _condition(operator: str, actual: Any, wanted: tuple[str, ...], context: Context) -> bool | None:
    name = operator.lower()
    over, _, rest = name.rpartition(":")
    name, optional = rest.removesuffix("ifexists"), rest.endswith("ifexists")
    if name == "null":
        return (actual is None) == (wanted[0].lower() == "true")
    negated = name in NEGATIONS
    test = TESTS.get(NEGATIONS.get(name, name))
    if test is None or over not in ("", "forallvalues", "foranyvalue"):
        return None
    values = [actual] if isinstance(actual, str) else list(actual or [])
    if not values:
        return over == "forallvalues" or optional or (negated and over != "foranyvalue")
    met = [any(_meets(test, one, value, context) for one in wanted) != negated for value in values]
    # A key with several values and no word for how many have to fit: any that AWS wants, all that it does not want.
    return all(met) if over == "forallvalues" or (not over and negated) else any(met)


def _meets(test: Test, wanted: str, value: str, context: Context) -> bool:
    try:
        return test(wanted, value, context)
    except ValueError:  # no number, date or address
        return False


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _string(compare: Callable[[str, str], bool]) -> Test:
    def test(wanted: str, value: str, context: Context) -> bool:
        return compare(_expanded(wanted, context), value)

    return test


def _number(compare: Callable[[float, float], bool]) -> Test:
    return lambda wanted, value, context: compare(float(value), float(_expanded(wanted, context)))


def _date(compare: Callable[[datetime, datetime], bool]) -> Test:
    return lambda wanted, value, context: compare(_moment(value), _moment(_expanded(wanted, context)))


def _expanded(pattern: str, context: Context) -> str:
    filled = expand(pattern, context)
    if filled is None:
        raise ValueError(f"{pattern} has no value")
    return filled.replace("\ue000", "*").replace("\ue001", "?")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _same_bytes(wanted: str, value: str, _: Context) -> bool:
    try:
        return base64.b64decode(wanted, validate=True) == base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _in_network(wanted: str, value: str, _: Context) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


TESTS: Mapping[str, Test] = {
    "stringequals": _string(lambda wanted, actual: wanted == actual),
    "stringequalsignorecase": _string(lambda wanted, actual: wanted.lower() == actual.lower()),
    "stringlike": like,
    "arnequals": arn_like,
    "arnlike": arn_like,
    "bool": _string(lambda wanted, actual: wanted.lower() == actual.lower()),
    "binaryequals": _same_bytes,
    "ipaddress": _in_network,
    "numericequals": _number(lambda actual, wanted: actual == wanted),
    "numericlessthan": _number(lambda actual, wanted: actual < wanted),
    "numericlessthanequals": _number(lambda actual, wanted: actual <= wanted),
    "numericgreaterthan": _number(lambda actual, wanted: actual > wanted),
    "numericgreaterthanequals": _number(lambda actual, wanted: actual >= wanted),
    "dateequals": _date(lambda actual, wanted: actual == wanted),
    "datelessthan": _date(lambda actual, wanted: actual < wanted),
    "datelessthanequals": _date(lambda actual, wanted: actual <= wanted),
    "dategreaterthan": _date(lambda actual, wanted: actual > wanted),
    "dategreaterthanequals": _date(lambda actual, wanted: actual >= wanted),
}
NEGATIONS: Mapping[str, str] = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
}
