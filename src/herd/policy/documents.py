"""IAM documents and container definitions: JSON in a text, written by people and by AWS in several shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from herd.policy.model import UNKNOWN


def listed(value: Any) -> list[Any]:
    """AWS lets a list of one be written without the list."""
    if value is None or value is UNKNOWN:
        return []
    return value if isinstance(value, list) else [value]


def load(value: Any) -> Any:
    """The content of a JSON text, None if it is not known yet. Raises ValueError if it is not JSON."""
    if value is None or value is UNKNOWN:
        return None
    return json.loads(value) if isinstance(value, str) else value


def statements(value: Any) -> list[dict[str, Any]]:
    """The statements of an IAM document that are read without surprises; none if it is not known."""
    document = load(value)
    if not isinstance(document, dict):
        return []
    return [statement for statement in listed(document.get("Statement")) if isinstance(statement, dict)]


def allowing(value: Any) -> Iterator[dict[str, Any]]:
    return (statement for statement in statements(value) if statement.get("Effect") == "Allow")


def actions(statement: dict[str, Any]) -> list[str]:
    return [str(action) for action in listed(statement.get("Action"))]


def resources(statement: dict[str, Any]) -> list[str]:
    return [str(resource) for resource in listed(statement.get("Resource"))]


def tests(statement: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """The conditions as (operator, key in lower case, values)."""
    for operator, keys in (statement.get("Condition") or {}).items():
        for key, values in keys.items():
            yield operator, key.lower(), [str(value) for value in listed(values)]


def tested(statement: dict[str, Any], key: str) -> list[str]:
    """The values that a condition demands for `key`; none if it demands nothing, also where `…IfExists` lets it be
    absent or a negative test lets everything else through."""
    demanded: list[str] = []
    for operator, name, values in tests(statement):
        if name == key.lower() and operator in ("StringEquals", "StringLike", "ArnEquals", "ArnLike"):
            demanded += values
    return demanded


def everybody(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    return principal == "*" or (isinstance(principal, dict) and "*" in listed(principal.get("AWS")))


def services(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal")
    return listed(principal.get("Service")) if isinstance(principal, dict) else []


def containers(value: Any) -> list[dict[str, Any]]:
    """The containers of a task definition; none while they are not known."""
    loaded = load(value)
    return [container for container in listed(loaded) if isinstance(container, dict)]
