"""What a resource type's properties are: a small table language, read once when the program starts.

    name        string           # a line a property: its name, its kind (string when left out), its flags
    subnets     set !            # `!` must be given
    vpcId       ^                # `^` a change replaces the resource
    cidrBlock   ?                # `?` AWS chooses a value when none is given
    arn         ~                # `~` never given, only answered
    placement   objects =placementConstraints    # `=` the API's name for it, where the convention does not give it
        type !                   # deeper lines are the properties of the object above
    attempts    int default:3    # what AWS takes when nothing is given: giving it too is no difference

Kinds: string int number bool · list set (of strings) · map (of strings) · object objects bag (objects in any order) ·
json policy (text that is compared by meaning).
"""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.plugins.values import UNKNOWN, Props, has_unknown

_SCALARS = {"string", "int", "number", "bool", "json", "policy"}
_OBJECTS = {"object", "objects", "bag"}
_KINDS = _SCALARS | _OBJECTS | {"list", "set", "map"}


@dataclass(frozen=True)
class Field:
    """One property: `path` names the API's member ("a.b" lies one object deeper), `fields` what an object holds."""

    name: str
    kind: str = "string"
    required: bool = False
    replaces: bool = False
    chosen: bool = False
    output: bool = False
    member: str | None = None
    default: Any = None
    meaning: Callable[[str], Any] | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)


Fields = Mapping[str, Field]


@dataclass(frozen=True)
class Problem:
    """Why a property cannot be accepted; `path` is what the person wrote, dotted."""

    path: str
    reason: str


def table(text: str, **meanings: Callable[[str], Any]) -> Fields:
    """Read a table; `meanings` give named json properties their own way of being compared."""
    lines = [line.split(" #")[0].rstrip() for line in text.splitlines()]
    rows = [(len(line) - len(line.lstrip()), line.split()) for line in lines if line.strip()]
    fields, rest = _block(rows, rows[0][0] if rows else 0, meanings)
    if rest:
        raise ValueError(f"bad indentation at {rest[0][1]}")
    return fields


_Rows = list[tuple[int, list[str]]]


def _block(rows: _Rows, indent: int, meanings: Mapping[str, Callable[[str], Any]]) -> tuple[Fields, _Rows]:
    fields: dict[str, Field] = {}
    while rows and rows[0][0] == indent:
        words, rows = rows[0][1], rows[1:]
        children: Fields = {}
        if rows and rows[0][0] > indent:
            children, rows = _block(rows, rows[0][0], meanings)
        fields[words[0]] = _field(words, children, meanings.get(words[0]))
    return fields, rows


def _field(words: list[str], children: Fields, meaning: Callable[[str], Any] | None) -> Field:
    name, kind, flags = words[0], "string", {"!": False, "^": False, "?": False, "~": False}
    member: str | None = None
    default: Any = None
    for word in words[1:]:
        if word in _KINDS:
            kind = word
        elif word in flags:
            flags[word] = True
        elif word.startswith("="):
            member = word[1:]
        elif word.startswith("default:"):
            default = word.removeprefix("default:")
        else:
            raise ValueError(f"property {name}: unknown word {word!r}")
    if (kind in _OBJECTS) != bool(children):
        raise ValueError(f"property {name}: {kind} with {len(children)} properties of its own")
    if default is not None:
        default = {"bool": lambda: default == "true", "int": lambda: float(default)}.get(kind, lambda: default)()
    return Field(name, kind, flags["!"], flags["^"], flags["?"], flags["~"], member, default, meaning, children)


# ── accepting what a program declares ────────────────────────────────────────────────────────────────────────────────


def accept(fields: Fields, given: Mapping[str, Any], where: str = "", of: str = "") -> tuple[Props, list[Problem]]:
    """The inputs in their proper kinds (a number for a text that says one, as Terraform's schema does), and all problems."""
    accepted: Props = {}
    problems: list[Problem] = []
    for name, value in given.items():
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
    return f"the local cloud does not support the property '{where}{name}' of {of}.{hint} Supported: {', '.join(supported)}"


def _accept_value(known: Field, value: Any, path: str, of: str, problems: list[Problem]) -> Any:
    if value is UNKNOWN:
        return value
    match known.kind:
        case "object" | "objects" | "bag" if isinstance(value, dict) and known.kind == "object":
            inner, found = accept(known.fields, value, f"{path}.", of)
            problems.extend(found)
            return inner
        case "objects" | "bag" if isinstance(value, list):
            items = []
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    inner, found = accept(known.fields, item, f"{path}[{index}].", of)
                    problems.extend(found)
                    items.append(inner)
                elif item is UNKNOWN:
                    items.append(item)
                else:
                    problems.append(Problem(f"{path}[{index}]", f"{of}: '{path}[{index}]' must be an object"))
            return items
        case "list" | "set" if isinstance(value, list) and all(not isinstance(item, dict | list) for item in value):
            return [_text(item) for item in value]
        case "map" if isinstance(value, dict) and all(not isinstance(item, dict | list) for item in value.values()):
            return {key: _text(item) for key, item in value.items()}
        case kind if kind in _SCALARS and not isinstance(value, dict | list):
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
            return _text(value)
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
        "bag": "a list of objects", "json": "JSON text", "policy": "JSON text",
    }.get(kind, "a string")  # fmt: skip


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return value


# ── comparing by meaning ─────────────────────────────────────────────────────────────────────────────────────────────


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
        if not known.output and item is not None and item is not False and item != meaning(known, None):
            said[name] = item
        elif item is False and known.default is True:
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
        told = {name: _policy_meaning(item, name, inside) for name, item in value.items()}
        return [told] if key == "Statement" else told
    if key in _ANY_ORDER or in_condition:
        items = value if isinstance(value, list) else [value]
        return sorted((_text(item) if not isinstance(item, str) else item for item in items), key=str)
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
                found = next((index for index, other in enumerate(left) if covers(one, other, item)), None)
                if found is None:
                    return False
                left.pop(found)
            return not left
        case _:
            return same(known, live, declared)


def paths_of_change(old: Any, new: Any, path: str) -> list[tuple[str, str]]:
    """Where two values differ, for showing: pairs of property path and add, delete or update."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner = [(f"{path}.{key}" if key.isidentifier() else f'{path}["{key}"]', key) for key in {**old, **new}]
        return [found for step, key in inner for found in paths_of_change(old.get(key), new.get(key), step)]
    if isinstance(old, list) and isinstance(new, list):
        longest = range(max(len(old), len(new)))
        at = [(old[i] if i < len(old) else None, new[i] if i < len(new) else None, f"{path}[{i}]") for i in longest]
        return [found for one, other, step in at for found in paths_of_change(one, other, step)]
    if old is new or (old == new and type(old) is type(new)):
        return []
    return [(path, "add" if old is None else "delete" if new is None else "update")]


# ── to the API and back ──────────────────────────────────────────────────────────────────────────────────────────────


def pascal(name: str) -> str:
    """vpcId → VpcId: how EC2, IAM, S3, load balancing and Scheduler spell their members."""
    return name[:1].upper() + name[1:]


def camel(name: str) -> str:
    """As it is: how ECS, ECR, Logs and Step Functions spell their members."""
    return name


Spelling = Callable[[str], str]


def to_api(fields: Fields, props: Mapping[str, Any], spelling: Spelling, only: Iterable[str] | None = None) -> Props:
    """API arguments for properties; those whose member is "-" are left to the type's own code."""
    wanted = None if only is None else set(only)
    answer: Props = {}
    for name, known in fields.items():
        value = props.get(name)
        if value is None or known.output or known.member == "-" or (wanted is not None and name not in wanted):
            continue
        place = answer
        *outer, last = (known.member or spelling(name)).split(".")
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = _to_api_value(known, value, spelling)
    return answer


def _to_api_value(known: Field, value: Any, spelling: Spelling) -> Any:
    match known.kind:
        case "object":
            return to_api(known.fields, value, spelling)
        case "objects" | "bag":
            return [to_api(known.fields, item, spelling) for item in value]
        case "int":
            return int(value)
        case _:
            return value


def from_api(fields: Fields, answer: Mapping[str, Any], spelling: Spelling) -> Props:
    """Properties out of an API answer; what the answer does not hold is left out."""
    props: Props = {}
    for name, known in fields.items():
        if known.member == "-":
            continue
        value: Any = answer
        for part in (known.member or spelling(name)).split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            props[name] = _from_api_value(known, value, spelling)
    return props


def _from_api_value(known: Field, value: Any, spelling: Spelling) -> Any:
    match known.kind:
        case "object":
            return from_api(known.fields, value, spelling)
        case "objects" | "bag":
            return [from_api(known.fields, item, spelling) for item in value]
        case "int" | "number":
            return float(value)
        case "json" | "policy":
            return value if isinstance(value, str) else json.dumps(value)
        case "bool":
            return value if isinstance(value, bool) else str(value).lower() in ("true", "enabled")
        case "string":
            return value.isoformat() if isinstance(value, datetime.datetime) else str(value)
        case _:
            return value
