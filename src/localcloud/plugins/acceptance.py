"""Taking what a program declares: known names, proper kinds, and all problems at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.plugins.schema import SCALARS, Field, Fields
from localcloud.plugins.values import UNKNOWN, Props, is_archive, is_asset


@dataclass(frozen=True)
class Problem:
    """Why a property cannot be accepted; `path` is what the person wrote, dotted."""

    path: str
    reason: str


def accept(fields: Fields, properties: Mapping[str, Any], where: str = "", of: str = "") -> tuple[Props, list[Problem]]:
    """The inputs in their proper kinds (a number for a text that says one, as in Terraform), and all problems."""
    accepted: Props = {}
    problems: list[Problem] = []
    for name, value in properties.items():
        known = fields.get(name)
        if name.startswith("__") and not where:
            accepted[name] = value
        elif known is None or known.output:
            problems.append(Problem(where + name, _unknown_name(fields, name, where, of)))
        elif value is not None:
            accepted[name] = _accept_value(known, value, where + name, of, problems)
    for name, known in fields.items():
        if known.required and accepted.get(name) is None and not any(p.path == where + name for p in problems):
            problems.append(Problem(where + name, f"{of} needs '{where + name}'"))
    return accepted, problems


def _unknown_name(fields: Fields, name: str, where: str, of: str) -> str:
    supported = sorted(known for known, its in fields.items() if not its.output)
    close = difflib.get_close_matches(name, supported, 1)
    hint = f" Did you mean '{where}{close[0]}'?" if close else ""
    said = f"the local cloud does not support the property '{where}{name}' of {of}.{hint}"
    return f"{said} Supported: {', '.join(supported)}"


def _accept_value(known: Field, value: Any, path: str, of: str, problems: list[Problem]) -> Any:
    if value is UNKNOWN:
        return value
    match known.kind:
        case "object" | "objects" | "bag" if isinstance(value, dict) and known.kind == "object":
            inner, wrong = accept(known.fields, value, f"{path}.", of)
            problems.extend(wrong)
            return inner
        case "objects" | "bag" if isinstance(value, list):
            items: list[Any] = []
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    inner, wrong = accept(known.fields, item, f"{path}[{index}].", of)
                    problems.extend(wrong)
                    items.append(inner)
                elif item is UNKNOWN:
                    items.append(item)
                else:
                    problems.append(Problem(f"{path}[{index}]", f"{of}: '{path}[{index}]' must be an object"))
            return items
        case "asset" if is_asset(value):
            return value
        case "archive" if is_archive(value):
            return value
        case "list" | "set" if isinstance(value, list) and all(not isinstance(item, dict | list) for item in value):
            return [text_of(item) for item in value]
        case "map" if isinstance(value, dict) and all(not isinstance(item, dict | list) for item in value.values()):
            return {key: text_of(item) for key, item in value.items()}
        case kind if kind in SCALARS and not isinstance(value, dict | list):
            return _scalar(known, value, path, of, problems)
    problems.append(Problem(path, f"{of}: '{path}' must be {_said(known.kind)}, not {value!r}"))
    return value


def _scalar(known: Field, value: Any, path: str, of: str, problems: list[Problem]) -> Any:
    match known.kind:
        case "bool" if isinstance(value, bool):
            return value
        case "bool" if value in ("true", "false"):
            return value == "true"
        case "int" | "number" if not isinstance(value, bool):
            try:
                number = float(value)
            except ValueError:
                pass
            else:
                if known.kind == "number" or number.is_integer():
                    return number
        case "string":
            return text_of(value)
        case "json" | "policy" if isinstance(value, str):
            try:
                json.loads(value)
            except ValueError as error:
                problems.append(Problem(path, f"{of}: '{path}' is not valid JSON: {error}"))
            return value
    problems.append(Problem(path, f"{of}: '{path}' must be {_said(known.kind)}, not {value!r}"))
    return value


def _said(kind: str) -> str:
    return {
        "int": "a whole number", "number": "a number", "bool": "true or false", "list": "a list of strings",
        "set": "a list of strings", "map": "a map of strings", "object": "an object", "objects": "a list of objects",
        "bag": "a list of objects", "asset": "a file or text asset",
        "archive": "an archive (pulumi.FileArchive or pulumi.AssetArchive)", "json": "JSON text", "policy": "JSON text",
    }.get(kind, "a string")  # fmt: skip


def text_of(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return value
