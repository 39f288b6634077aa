"""The list of changes that `herd preview --save` writes and `herd up --expect` compares with.

It has no values of properties but a SHA-256 of the old and new ones, so two lists are equal only if the same changes
would be made. The engine masks secrets, so they are not in the digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from herd.engine.plan import Plan, Step
from herd.errors import HerdError, WrongInput
from herd.policy.wire import ARCHIVE, ASSET, SIGNATURE

SCHEMA = 1


@dataclass(frozen=True)
class Listed:
    """One change in a saved list. `digest`: SHA-256 of its inputs, old and new."""

    operation: str
    urn: str
    type: str
    name: str
    differs: tuple[str, ...]
    digest: str


def listed(plan: Plan) -> list[Listed]:
    """Every change of a plan, sorted by URN and operation."""
    return sorted(
        (Listed(s.operation, s.urn, s.type, s.name, s.differs, _digest(s, plan.root)) for s in plan.steps),
        key=lambda entry: (entry.urn, entry.operation),
    )


def _digest(step: Step, root: Path) -> str:
    # The list must not depend on the folder of the checkout.
    text = json.dumps(_placeless([step.old, step.new]), sort_keys=True).replace(str(root), ".")
    return hashlib.sha256(text.encode()).hexdigest()


def _placeless(value: Any) -> Any:
    """A value of the wire without the places of files: their hashes say what is in them, wherever Herd is installed."""
    if isinstance(value, list):
        return [_placeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    hashed = value.get(SIGNATURE) in (ASSET, ARCHIVE) and value.get("hash")
    return {key: _placeless(item) for key, item in value.items() if not (hashed and key == "path")}


def as_json(plan: Plan) -> dict[str, Any]:
    """The list of changes as `--save` writes it."""
    return {
        "schema": SCHEMA,
        "project": plan.project,
        "environment": plan.environment,
        "changes": [asdict(entry) for entry in listed(plan)],
    }


def save(plan: Plan, path: Path) -> None:
    """Write the list of changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(plan), indent=2) + "\n")


def load(path: Path) -> dict[str, Any]:
    """Read a saved list. Raises WrongInput for a file that is none, or of another version."""
    try:
        saved = json.loads(path.read_text())
        if saved["schema"] != SCHEMA:
            raise WrongInput(f"{path}: was written by another version of herd; make the preview again")
        for entry in saved["changes"]:
            Listed(**entry)
        return dict(saved)
    except OSError as error:
        raise WrongInput(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise WrongInput(f"{path}: is not a list of changes that `herd preview --save` wrote") from None


def expect(plan: Plan, path: Path) -> None:
    """Compare a plan with a saved list. Raises HerdError with the differences, WrongInput for another environment's."""
    reviewed = load(path)
    place = (plan.project, plan.environment)
    if (reviewed["project"], reviewed["environment"]) != place:
        raise WrongInput(f"{path}: is of {reviewed['project']}/{reviewed['environment']}, not of {'/'.join(place)}")
    before = [Listed(**{**entry, "differs": tuple(entry["differs"])}) for entry in reviewed["changes"]]
    if different := _differences(before, listed(plan)):
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
    differences = [f"not reviewed: {_words(after[urn])}" for urn in after if urn not in before]
    differences += [
        f"reviewed, and not to be done any more: {_words(before[urn])}" for urn in before if urn not in after
    ]
    for urn in before.keys() & after.keys():
        was, is_ = before[urn], after[urn]
        if was.operation != is_.operation or was.differs != is_.differs:
            differences.append(f"was to {_words(was)}, now to {_words(is_)}")
        elif was.digest != is_.digest:
            differences.append(f"has other values than the reviewed: {_words(is_)}")
    return sorted(differences)


def _words(entry: Listed) -> str:
    differs = f"  [{', '.join(entry.differs)}]" if entry.differs else ""
    return f"{entry.operation} {entry.type} {entry.name}{differs}"
