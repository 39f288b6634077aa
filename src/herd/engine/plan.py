"""The plan of an update, resource by resource, from the events of the engine's preview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from herd.engine.changes import STEPS_OF_A_REPLACEMENT, Changes, group_of, short, type_and_name

OPERATIONS = {"create": "create", "import": "import", "update": "update", "replace": "replace", "delete": "delete"}
"""The engine's operations that a plan lists; the single steps of a replacement are left out."""

ENVIRONMENT = "environment"
"""Whose what stands outside of components is."""

STACK = "pulumi:pulumi:Stack"
"""The type of the resource that has the stack's outputs."""

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One resource that would change. `old`, `new`: its inputs before and after. `differs`: the properties that
    change; `forces`: those that force a replacement. `group`: the name of its component.
    """

    operation: str
    type: str
    name: str
    urn: str
    group: str = ""
    old: Inputs = field(default_factory=dict)
    new: Inputs = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    forces: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """The name of its component, mostly a workload's; "environment" outside of components."""
        return self.group or ENVIRONMENT


@dataclass(frozen=True)
class Resource:
    """A resource as it is declared. `owner` as of a step."""

    type: str
    name: str
    owner: str
    inputs: Inputs


class Plan(Changes):
    """The changes of a preview, with the inputs of each. `root`: the checkout's folder.

    `before`, `after`: all resources of AWS that are deployed and that would be, changed or not.
    `outputs_before`, `outputs_after`: the stack's, empty where nothing is deployed, or the preview did not get so far.
    """

    def __init__(self, project: str, environment: str, root: Path) -> None:
        super().__init__(preview=True)
        self.project, self.environment = project, environment
        self.root = root
        self.steps: list[Step] = []
        self.before: list[Resource] = []
        self.after: list[Resource] = []
        self.outputs_before: Mapping[str, Any] = {}
        self.outputs_after: Mapping[str, Any] = {}

    def add(self, event: dict[str, Any]) -> Any:
        if "resourcePreEvent" in event:
            self._step(event["resourcePreEvent"]["metadata"])
            self._resource(event["resourcePreEvent"]["metadata"])
        elif "resOutputsEvent" in event:
            self._outputs(event["resOutputsEvent"]["metadata"])
        return super().add(event)

    def _resource(self, metadata: dict[str, Any]) -> None:
        if metadata["op"] in STEPS_OF_A_REPLACEMENT:
            return
        type_, name = type_and_name(metadata["urn"])
        owner = group_of(metadata) or ENVIRONMENT
        for key, resources in (("old", self.before), ("new", self.after)):
            state = metadata.get(key)
            if state and state.get("custom") and not type_.startswith("pulumi:"):
                resources.append(Resource(short(type_), name, owner, state.get("inputs") or {}))

    def _outputs(self, metadata: dict[str, Any]) -> None:
        if metadata.get("type") == STACK:
            self.outputs_before = (metadata.get("old") or {}).get("outputs") or {}
            self.outputs_after = (metadata.get("new") or {}).get("outputs") or {}

    def _step(self, metadata: dict[str, Any]) -> None:
        old, new = metadata.get("old") or {}, metadata.get("new") or {}
        type_, name = type_and_name(metadata["urn"])
        if metadata["op"] not in OPERATIONS or not (new or old).get("custom") or type_.startswith("pulumi:"):
            return
        self.steps.append(
            Step(
                OPERATIONS[metadata["op"]],
                short(type_),
                name,
                metadata["urn"],
                group_of(metadata),
                old.get("inputs") or {},
                new.get("inputs") or {},
                tuple(sorted(metadata.get("detailedDiff") or metadata.get("diffs") or ())),
                tuple(sorted(metadata.get("keys") or ())) if metadata["op"] == "replace" else (),
            )
        )

    @property
    def only_refused(self) -> bool:
        """Whether mandatory rules of the policy pack are the only errors: then the preview is complete."""
        return bool(self.errors) and len(self.errors) == sum(finding.mandatory for finding in self.findings)


class Refreshed(Plan):
    """What a refresh sees: steps from what is in the state to what is really there. Nothing is changed by it.

    A step's `new` has what AWS answered also where a declared value became AWS's own default, which inputs leave out.
    """

    def add(self, event: dict[str, Any]) -> Any:
        if "resOutputsEvent" in event:
            metadata = event["resOutputsEvent"]["metadata"]
            if metadata["op"] in SEEN_BY_A_REFRESH:
                self._step(_with_defaults(metadata))
                self._change(metadata)
        return Changes.add(self, event)

    def count(self) -> str:
        changed = len(self.steps)
        return f"{changed} differ" if changed != 1 else "1 differs"


SEEN_BY_A_REFRESH = frozenset({"update", "delete"})


def _with_defaults(metadata: dict[str, Any]) -> dict[str, Any]:
    old, new = metadata.get("old") or {}, metadata.get("new") or {}
    if metadata["op"] != "update":
        return metadata
    before, after, live = old.get("inputs") or {}, dict(new.get("inputs") or {}), new.get("outputs") or {}
    for name in before:
        if name not in after and live.get(name) not in (None, "", [], {}):
            after[name] = live[name]
    return {**metadata, "new": {**new, "inputs": after}}
