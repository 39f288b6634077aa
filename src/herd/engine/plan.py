"""What an update would do, resource by resource: to be reviewed by people, and to be compared with what was reviewed.

The list of changes that `--save` writes holds no value of any property. A digest of the values, old and new, stands
for them, so a list is the same only if the same would be done; what is secret the engine masks, and is not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from herd.engine.changes import Changes, group_of, short, type_and_name
from herd.errors import HerdError, WrongInput

SCHEMA = 1
OPERATIONS = {"create": "create", "import": "import", "update": "update", "replace": "replace", "delete": "delete"}
"""The engine's operations that a person sees; the single steps of a replacement are left out."""

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One resource that would change. `differs` are the properties that do, `forces` those that force a replacement."""

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
        """The component it belongs to: a workload's name, mostly."""
        return self.group or "environment"


@dataclass(frozen=True)
class Listed:
    """A step as it stands in a saved list."""

    operation: str
    urn: str
    type: str
    name: str
    differs: tuple[str, ...]
    digest: str


class Plan(Changes):
    """The changes of a preview with all that the engine says of each."""

    def __init__(self, project: str, environment: str, root: Path) -> None:
        super().__init__(preview=True)
        self.project, self.environment = project, environment
        self._root = root
        self.steps: list[Step] = []

    def add(self, event: dict[str, Any]) -> Any:
        if "resourcePreEvent" in event:
            self._step(event["resourcePreEvent"]["metadata"])
        return super().add(event)

    def _step(self, told: dict[str, Any]) -> None:
        old, new = told.get("old") or {}, told.get("new") or {}
        type_, name = type_and_name(told["urn"])
        if told["op"] not in OPERATIONS or not (new or old).get("custom") or type_.startswith("pulumi:"):
            return
        self.steps.append(
            Step(
                OPERATIONS[told["op"]],
                short(type_),
                name,
                told["urn"],
                group_of(told),
                old.get("inputs") or {},
                new.get("inputs") or {},
                tuple(sorted(told.get("detailedDiff") or told.get("diffs") or ())),
                tuple(sorted(told.get("keys") or ())) if told["op"] == "replace" else (),
            )
        )

    @property
    def only_refused(self) -> bool:
        """Are rules of the policy pack all that stands in the way? Then everything was looked at."""
        return bool(self.errors) and len(self.errors) == sum(finding.mandatory for finding in self.findings)

    def listed(self) -> list[Listed]:
        """Every change, in an order that does not depend on who was ready first."""
        return sorted(
            (Listed(s.operation, s.urn, s.type, s.name, s.differs, self._digest(s)) for s in self.steps),
            key=lambda entry: (entry.urn, entry.operation),
        )

    def _digest(self, step: Step) -> str:
        # Where the checkout lies says nothing about what is done.
        text = json.dumps([step.old, step.new], sort_keys=True).replace(str(self._root), ".")
        return hashlib.sha256(text.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The list of changes as `--save` writes it."""
        return {
            "schema": SCHEMA,
            "project": self.project,
            "environment": self.environment,
            "changes": [asdict(entry) for entry in self.listed()],
        }


def save(plan: Plan, path: Path) -> None:
    """Write the list of changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plan.as_json(), indent=2) + "\n")


def load(path: Path) -> dict[str, Any]:
    """A saved list. Raises WrongInput for what is none."""
    try:
        told = json.loads(path.read_text())
        if told["schema"] != SCHEMA:
            raise WrongInput(f"{path}: was written by another version of herd; make the preview again")
        for entry in told["changes"]:
            Listed(**entry)
        return dict(told)
    except OSError as error:
        raise WrongInput(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise WrongInput(f"{path}: is not a list of changes that `herd preview --save` wrote") from None


def expect(plan: Plan, path: Path) -> None:
    """Raises HerdError with what differs, unless what would be done is what was reviewed."""
    reviewed = load(path)
    place = (plan.project, plan.environment)
    if (reviewed["project"], reviewed["environment"]) != place:
        raise WrongInput(f"{path}: is of {reviewed['project']}/{reviewed['environment']}, not of {'/'.join(place)}")
    before = [Listed(**{**entry, "differs": tuple(entry["differs"])}) for entry in reviewed["changes"]]
    if different := _differences(before, plan.listed()):
        raise HerdError(
            "\n".join(
                [
                    "nothing was done: the list of changes is not the reviewed one any more",
                    *(f"    {line}" for line in different),
                    "preview it, look at it and approve it again",
                ]
            )
        )


def _differences(reviewed: Sequence[Listed], now: Sequence[Listed]) -> list[str]:
    before, after = {entry.urn: entry for entry in reviewed}, {entry.urn: entry for entry in now}
    found = [f"not reviewed: {_words(after[urn])}" for urn in after if urn not in before]
    found += [f"reviewed, and not to be done any more: {_words(before[urn])}" for urn in before if urn not in after]
    for urn in before.keys() & after.keys():
        was, is_ = before[urn], after[urn]
        if was.operation != is_.operation or was.differs != is_.differs:
            found.append(f"was to {_words(was)}, now to {_words(is_)}")
        elif was.digest != is_.digest:
            found.append(f"has other values than the reviewed: {_words(is_)}")
    return sorted(found)


def _words(entry: Listed) -> str:
    differs = f"  [{', '.join(entry.differs)}]" if entry.differs else ""
    return f"{entry.operation} {entry.type} {entry.name}{differs}"
