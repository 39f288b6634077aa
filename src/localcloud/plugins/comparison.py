"""Whether two values of a property mean the same to AWS, and where they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcloud.plugins.acceptance import text_of
from localcloud.plugins.schema import Field, Fields
from localcloud.plugins.values import UNKNOWN, Props, has_unknown


def meaning(known: Field, value: Any) -> Any:
    """A form of a value in which two that mean the same to AWS are equal."""
    if value is None or value == "" or value == [] or value == {}:
        value = known.default
    if value is None or has_unknown(value):
        return value
    match known.kind:
        case "json" | "policy":
            return _json_meaning(known, value)
        case "object":
            return _object_meaning(known.fields, value) or None
        case "objects":
            return [_object_meaning(known.fields, item) for item in value]
        case "bag":
            return sorted((_object_meaning(known.fields, item) for item in value), key=_order)
        case "set":
            return sorted(value)
        case "asset" | "archive":
            return value.get("hash") or value
        case "int" | "number":
            return float(value)
        case "string" if known.meaning is not None:
            return known.meaning(value)
        case _:
            return value


def _object_meaning(fields: Fields, value: Mapping[str, Any]) -> Props:
    """Without the members that say what AWS takes anyway, so that leaving them out means the same."""
    said = {}
    for name, known in fields.items():
        item = meaning(known, value.get(name))
        switched_off = item is False and known.default is True
        says_something = item is not None and item is not False and item != meaning(known, None)
        if not known.output and (says_something or switched_off):
            said[name] = item
    return said


def _order(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _json_meaning(known: Field, text: str) -> Any:
    if known.meaning is not None:
        return known.meaning(text)
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    return _policy_meaning(parsed) if known.kind == "policy" else parsed


_ANY_ORDER = {"Action", "NotAction", "Resource", "NotResource", "AWS", "Service", "Federated", "CanonicalUser"}


def _policy_meaning(value: Any, key: str = "", in_condition: bool = False) -> Any:
    """IAM takes "x" for ["x"], one statement for a list of one, and lists of actions or resources in any order."""
    if isinstance(value, dict):
        inside = in_condition or key == "Condition"
        meanings = {name: _policy_meaning(item, name, inside) for name, item in value.items()}
        return [meanings] if key == "Statement" else meanings
    if key in _ANY_ORDER or in_condition:
        items = value if isinstance(value, list) else [value]
        return sorted((text_of(item) if not isinstance(item, str) else item for item in items), key=str)
    if key == "Principal" and value == "*":
        return {"AWS": ["*"]}
    return [_policy_meaning(item) for item in value] if isinstance(value, list) else value


def same(known: Field, one: Any, other: Any) -> bool:
    """Whether two values of a property mean the same; nothing is the same as a value that is not known yet."""
    if has_unknown(one) or has_unknown(other):
        return one is other and one is not UNKNOWN
    a, b = meaning(known, one), meaning(known, other)
    if known.kind == "bool":
        return bool(a) == bool(b)
    return bool(a == b)


def changes(fields: Fields, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names of the top-level properties whose values differ in meaning. What AWS may choose is kept when left out."""
    return [
        name
        for name, known in fields.items()
        if not known.output
        and (name in old or name in new)
        and not (known.chosen and new.get(name) is None)
        and not same(known, old.get(name), new.get(name))
    ]


def replaces(known: Field, old: Any, new: Any) -> bool:
    """Whether a property that has changed makes the resource anew: for its own sake, or for that of one inside."""
    if known.replaces:
        return True
    if known.kind != "object":
        return False
    before, after = (value if isinstance(value, Mapping) else {} for value in (old, new))
    return any(
        not same(inner, before.get(name), after.get(name)) and replaces(inner, before.get(name), after.get(name))
        for name, inner in known.fields.items()
    )


def covers(known: Field, live: Any, declared: Any) -> bool:
    """Whether what exists is as declared; parts of objects that were not declared, or not answered, do not count."""
    if declared is None or live is None:
        return True
    match known.kind:
        case "object" if isinstance(live, dict):
            return all(covers(inner, live.get(name), declared.get(name)) for name, inner in known.fields.items())
        case "objects":
            one = Field(known.name, "object", fields=known.fields)
            return len(live) == len(declared) and all(map(covers, [one] * len(live), live, declared))
        case "bag":
            one = Field(known.name, "object", fields=known.fields)
            left = list(live)
            for item in declared:
                match = next((index for index, other in enumerate(left) if covers(one, other, item)), None)
                if match is None:
                    return False
                left.pop(match)
            return not left
        case _:
            return same(known, live, declared)


def paths_of_change(old: Any, new: Any, path: str) -> list[tuple[str, str]]:
    """Where two values differ, for showing: pairs of property path and add, delete or update."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner = [(f"{path}.{key}" if key.isidentifier() else f'{path}["{key}"]', key) for key in {**old, **new}]
        return [change for step, key in inner for change in paths_of_change(old.get(key), new.get(key), step)]
    if isinstance(old, list) and isinstance(new, list):
        longest = range(max(len(old), len(new)))
        at = [(old[i] if i < len(old) else None, new[i] if i < len(new) else None, f"{path}[{i}]") for i in longest]
        return [change for one, other, step in at for change in paths_of_change(one, other, step)]
    if old is new or (old == new and type(old) is type(new)):
        return []
    return [(path, "add" if old is None else "delete" if new is None else "update")]
