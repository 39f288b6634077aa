"""Keeps what somebody changed by hand, by writing it into the settings, or reverts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from herd import console
from herd.checkout import edit_settings, team_files
from herd.checkout.edit_settings import Edit
from herd.deploy import local_stack, up
from herd.drift.look import Drift, Seen, look
from herd.engine.plan import ENVIRONMENT, Plan
from herd.engine.pulumi import Engine
from herd.errors import HerdError, WrongInput, unknown
from herd.infra import as_written
from herd.review.settings import Changed, place_of_check
from herd.targets.exports import Exports
from herd.targets.target import Target

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs


TASK_DEFINITION = "aws:ecs:TaskDefinition"


def within(target: Target, names: Sequence[str], keep: Sequence[str], since_when: bool = True) -> Seen:
    """What differs of these workloads (of all without names). Raises WrongInput for a name that there is none of."""
    exports = target.require_exports()
    for name in (*names, *keep):
        _known(exports, name)
    local_stack.prepare_locked(target)
    return _of(look(target, since_when), (*names, *keep) if names else ())


def _known(exports: Exports, name: str) -> None:
    known = list(dict.fromkeys([*exports.workloads, *exports.pipelines, ENVIRONMENT]))
    if name not in known:
        raise WrongInput(unknown(name, known, "workload"))


def _of(seen: Seen, names: Sequence[str]) -> Seen:
    if not names:
        return seen
    return replace(seen, drifts=tuple(drift for drift in seen.drifts if drift.owner in names))


def settle(
    target: Target, seen: Seen, names: Sequence[str], keep: Sequence[str], *, revert: bool, yes: bool = False
) -> Seen:
    """Keep what is to be kept, revert the rest if that is asked for; what differs then.

    The settings are written first, and put back where they are wrong. Then the same resources, and no others, are
    deployed as the files say. Raises WrongInput where nothing can be kept, HerdError where the update fails.
    """
    kept = [drift for drift in seen.drifts if drift.owner in keep and drift.can_be_kept]
    for name in keep:
        if any(drift.owner == name for drift in seen.drifts) and not any(drift.owner == name for drift in kept):
            raise WrongInput(f"--keep {name}: no setting says what was changed of it; `herd drift {name} --revert`")
    reverted = [one for one in seen.drifts if revert and one not in kept and one.can_be_reverted]
    if not kept and not reverted:
        return seen
    edits = _edits(target, kept)
    with edit_settings.written(target.checkout.root, edits):
        for edit in edits:
            console.say(f"{edit.file}: {edit}")
        up.look_over(target)  # refuses what the settings cannot be, and the files are put back
    with target.locked():
        local_stack.prepare(target)
        engine = Engine(target)
        target.announce()
        urns = _urns(target, [one for one in (*kept, *reverted) if not one.is_added or one in kept])
        # What uses a resource that is made again needs its new id. Else nothing but what was asked for is touched.
        dependents = not names and not kept and len(reverted) == len(seen.drifts)
        if target.is_shared:
            if urns:
                plan = Plan(target.checkout.project, target.name, target.checkout.root)
                up.show_changes(engine.preview_of(plan, urns, dependents))
            target.approve("change this", yes)
        for one in reverted:
            _undo(target, one)
        if urns:
            up.show_changes(engine.up_of(urns, dependents))
        local_stack.settle(target)
        target.forget_exports()
    return _of(look(target), (*names, *keep) if names else ())


def _urns(target: Target, drifts: Sequence[Drift]) -> list[str]:
    """Of their resources, and of the services that run what is a new task definition then."""
    urns = list(dict.fromkeys(one.urn for one in drifts))
    owners = {one.owner for one in drifts if one.type == TASK_DEFINITION}
    for resource in target.state_resources():
        if "aws:ecs/service:Service" in resource["urn"] and _workload(resource) in owners:
            urns.append(resource["urn"])
    return list(dict.fromkeys(urns))


def _workload(resource: Mapping[str, Any]) -> str:
    return str(((resource.get("inputs") or {}).get("tags") or {}).get("herd:workload", ""))


def _undo(target: Target, drift: Drift) -> None:
    """Take away what was added. That it is gone already is fine."""
    from botocore.exceptions import ClientError

    for undo in drift.undo:
        try:
            getattr(target.client(undo.service), undo.operation)(**undo.arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if not any(word in code for word in ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")):
                raise HerdError(f"{drift.line}: AWS refused {undo.operation}: {error}") from None


def _edits(target: Target, kept: Sequence[Drift]) -> list[Edit]:
    """What is to be written where, once each."""
    specs = team_files.load(target.checkout, target.name)
    changed = dict.fromkeys(one for drift in kept for one in drift.settings)
    return [_edit(target, specs, one) for one in changed]


def _edit(target: Target, specs: Specs, one: Changed) -> Edit:
    if not one.kind:
        return edit_settings.in_stack(target.checkout, target.name, one.path, one.new)
    if one.owner not in specs.workloads:
        raise WrongInput(f"{one.owner} is not among the files any more; `herd up` removes it")
    spec, origins = specs.workloads[one.owner], specs.origins[one.owner]
    origin = origins.get(".".join(one.path[:2])) or origins.get(one.setting)
    path: edit_settings.Path_ = one.path
    if one.setting == "check":
        entries = as_written.workload(spec).get("check") or []
        place = place_of_check(entries, one.path[1])
        if place is None or len(one.path) < 3:
            raise WrongInput(f"{one.who}: write the check {one.path[1]} yourself: it came or went as a whole")
        path = ("check", place, one.path[2])
    return edit_settings.in_workload(spec.folder, target.name, path, one.new, origin)
