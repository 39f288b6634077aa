"""What a resource type's properties are: a small table language, read once when the program starts.

    name        string           # a line a property: its name, its kind (string when left out), its flags
    subnets     set !            # `!` must be given
    vpcId       ^                # `^` a change replaces the resource, also inside of an object
    cidrBlock   ?                # `?` AWS chooses a value when none is given
    arn         ~                # `~` never given, only answered
    placement   objects =placementConstraints    # `=` the API's name for it, where the convention does not give it
        type !                   # deeper lines are the properties of the object above
    attempts    int default:3    # what AWS takes when nothing is given: giving it too is no difference

Kinds: string int number bool · list set (of strings) · map (of strings) · object objects bag (objects in any order) ·
json policy (text that is compared by meaning) · asset (a file or a text) ·
archive (a folder, a zip or tar file, or files by name).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCALARS = {"string", "int", "number", "bool", "json", "policy"}
_OBJECTS = {"object", "objects", "bag"}
_KINDS = SCALARS | _OBJECTS | {"list", "set", "map", "asset", "archive"}


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
        default = default == "true" if kind == "bool" else float(default) if kind == "int" else default
    return Field(name, kind, flags["!"], flags["^"], flags["?"], flags["~"], member, default, meaning, children)
