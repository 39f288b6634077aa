"""Plans made by hand, in the engine's own events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from herd.engine.plan import STACK, Plan

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def event(operation: str, type_: str, name: str, group: str = "train", **more: Any) -> dict[str, Any]:
    """What the engine says before a step; `old` and `new` are inputs."""
    urn = f"urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Job${type_}::{name}"
    parent = f"urn:pulumi:dev::herd::herd:infra:Environment$herd:infra:Job::{group}" if group else ""
    states = {
        key: {"urn": urn, "custom": more.get("custom", True), "parent": parent, "inputs": more[key]}
        for key in ("old", "new")
        if key in more
    }
    kept = {key: more[key] for key in ("keys", "diffs", "detailedDiff") if key in more}
    return {"resourcePreEvent": {"metadata": {"op": operation, "urn": urn, **states, **kept}}}


def outputs(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What the engine says when the program has exported everything."""
    states = {"old": {"outputs": old}, "new": {"outputs": new}}
    return {"resOutputsEvent": {"metadata": {"op": "same", "type": STACK, "urn": "", **states}}}


def plan(*events: dict[str, Any], environment: str = "dev") -> Plan:
    made = Plan("herd", environment, Path("/checkout"))
    for one in events:
        made.add(one)
    return made
