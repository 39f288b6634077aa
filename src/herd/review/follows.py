"""Which resources a setting reaches: what follows from a setting that differs is no other difference.

`follows.toml` is made from the program itself: each setting is changed, and what is then registered differently is
written down (tests/herd/infra/program). A property that a setting does not reach never follows from it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from herd.runner.contract import variables

EXISTS = ("exists",)
"""For a path: that there is such a resource at all."""

DEPTH = 4
"""So much of a path is written down where it has names of AWS only."""

TABLE = Path(__file__).parent / "follows.toml"


def reaches(setting: str, of_workload: bool, type_: str, path: tuple[str, ...]) -> bool:
    """Does the value of a setting decide this property of resources of this type?"""
    written = _table()["workload" if of_workload else "stack"].get(setting, ())
    here = {place(type_, path)}
    if path[0] == "definition":  # a state appears, or one of its fields is another
        here |= {place(type_, ("definition", part)) for part in path[1:]}
    return any(f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") for a in here for b in written)


def place(type_: str, path: tuple[str, ...]) -> str:
    """As the table has it: `aws:ecs:TaskDefinition memory`, without names that a team chooses.

    >>> place("aws:ecs:TaskDefinition", ("containerDefinitions", "main", "environment", "TARGET"))
    'aws:ecs:TaskDefinition containerDefinitions.environment.*'
    >>> place("aws:sfn:StateMachine", ("definition", "States", "Run", "TimeoutSeconds"))
    'aws:sfn:StateMachine definition.*.TimeoutSeconds'
    """
    return f"{type_} {'.'.join(_general(path))}"


def _general(path: tuple[str, ...]) -> tuple[str, ...]:
    match path:
        case ("tags", tag, *_):
            return "tags", tag if tag.startswith("herd:") else "*"
        case ("containerDefinitions", _, "environment", variables.TASK, *more):
            return "containerDefinitions", "environment", variables.TASK, *more[:1]
        case ("containerDefinitions", _, "environment" | "secrets" as table, name, *_):
            return "containerDefinitions", table, name if name.startswith(("HERD_", "AWS_")) else "*"
        case ("containerDefinitions", _, *more):
            return "containerDefinitions", *more[:2]
        case ("definition", *_, leaf) if len(path) > 1:
            return "definition", "*", leaf
        case ("code", file, *_, leaf) if len(path) > 2:
            return "code", file, "*", leaf
        case ("policy" | "assumeRolePolicy" as document, *_):
            return (document,)
    return path[:DEPTH]


@cache
def _table() -> Mapping[str, Mapping[str, frozenset[str]]]:
    read = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        of: {setting: frozenset(places) for setting, places in read.get(of, {}).items()} for of in ("stack", "workload")
    }
