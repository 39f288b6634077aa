"""A run once more, as it was: the same parameters and the same versions of its inputs; for `rerun` and `try --like`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from herd.errors import HerdError, WrongInput
from herd.infra.states.limits import MOST_OVERRIDES_CHARACTERS
from herd.runner.contract import variables
from herd.runner.contract.keys import latest_key, version_prefix
from herd.runs import detail, history, runs, tasks
from herd.runs.detail import Detail
from herd.targets.target import Target

OTHER_OVERRIDES_CHARACTERS = 1_500
"""What else a run hands over to its task: ids, times, names of variables."""


@dataclass(frozen=True)
class Again:
    """A run to be done once more. `pins`: input -> the run whose version it read, None where it read none.

    `notes`: what cannot be as it was, a sentence each.
    """

    run: Detail
    params: Mapping[str, Any]
    pins: Mapping[str, str | None]
    notes: Sequence[str]

    @property
    def workload(self) -> str:
        return self.run.run.workload


def of_run(target: Target, text: str, workload: str | None) -> Detail:
    """The run that the beginning of an id means. Raises WrongInput where it is none, several, or still goes on."""
    matches = [match for match in history.find(target, text, workload) if match[0] in target.exports.batch]
    if len(matches) > 1:
        jobs = ", ".join(name for name, _ in matches)
        raise WrongInput(f"run {matches[0][1]} is a pipeline's, and one of each of {jobs}; say which with `--job NAME`")
    if not matches:
        raise WrongInput(f"run {text} is a pipeline's of which no job began; `herd run NAME` starts one")
    one = detail.of_run(target, *matches[0])
    if one is None:
        raise WrongInput(f"run {matches[0][1]} of {matches[0][0]} is gone")
    if one.run.status == "running":
        raise WrongInput(f"run {one.run.id} of {one.run.workload} still goes on; `herd show {one.run.id}` shows it")
    return one


def plan(target: Target, run: Detail, reads: Sequence[str], defaults: Mapping[str, Any]) -> Again:
    """How to do it once more with a workload that now reads `reads` and has the parameters `defaults`.

    Raises HerdError naming every version that has expired.
    """
    notes = []
    read = {one.name: one.run_id for one in run.inputs}  # items that began apart may have read several: the last one
    if len(read) < len(run.inputs):
        notes.append("its items read several versions of one input; all of them now read the latest of those")
    pins: dict[str, str | None] = {name: read[name] for name in reads if name in read}
    own = run.run.workload
    if own in reads and own not in read and run.has_inputs:
        pins[own] = None
    unpinned = [name for name in reads if name not in pins]
    if unpinned and run.has_inputs:
        notes.append(f"it did not read {', '.join(unpinned)}, which {own} reads now: the current version is taken")
    elif unpinned:
        notes.append(f"which versions it read was not written down: the current one of {', '.join(unpinned)} is taken")
    if dropped := [name for name in read if name not in reads]:
        notes.append(f"it read {', '.join(dropped)}, which {own} does not read any more")
    if unknown := [name for name in run.params if name not in defaults]:
        notes.append(f"it had the parameter {', '.join(unknown)}, which {own} has no more")
    params = {name: value for name, value in run.params.items() if name in defaults}
    gone = [f"{name} of run {pin}" for name, pin in pins.items() if pin and not _is_there(target, name, pin)]
    if gone:
        raise HerdError(
            f"run {run.run.id} cannot be done again as it was: the version of {', '.join(gone)} is gone; superseded "
            "versions expire, but for those that a snapshot names"
        )
    return Again(run, params, pins, notes)


def _is_there(target: Target, workload: str, run_id: str) -> bool:
    pages = runs.listing(target, version_prefix(workload, run_id))
    if any(page.get("Contents") for page in pages):
        return True
    current = runs.read_json(target, latest_key(workload)) or {}
    return current.get("run_id") == run_id


def of_deployed(target: Target, run: Detail) -> Again:
    """The same by what is deployed now. Raises HerdError where the environment's machines cannot be told versions."""
    export = target.exports.batch[run.run.workload]
    states = target.client("stepfunctions")
    definition = states.describe_state_machine(stateMachineArn=export.machine)["definition"]
    if variables.PINS not in definition:
        raise HerdError(
            f"{target.name} was deployed by an earlier Herd, whose runs always read the current versions; "
            "`herd up` first"
        )
    deployed = tasks.settings_of(target, export.task_definition)
    reads = [str(one["name"]) for one in deployed.get("reads") or () if not one.get("uri")]
    again = plan(target, run, reads, deployed.get("params") or {})
    notes = [*again.notes]
    if run.content_hash and run.content_hash != export.content_hash:
        was = run.commit.words if run.commit else f"content {run.content_hash[:12]}"
        notes.append(f"the code is what is deployed now; the run had {was}")
    elif not run.content_hash:
        notes.append("the code is what is deployed now; which the run had was not written down")
    if outside := _outside(deployed):
        notes.append(f"{', '.join(outside)} is read as it is now")
    size = len(json.dumps(dict(again.params))) + len(json.dumps(dict(again.pins))) + OTHER_OVERRIDES_CHARACTERS
    if size > MOST_OVERRIDES_CHARACTERS:
        raise HerdError(
            f"run {run.run.id} has more parameters and inputs than ECS takes with a run ({size:,} characters as JSON; "
            f"allowed: {MOST_OVERRIDES_CHARACTERS:,})"
        )
    return Again(run, again.params, again.pins, notes)


def _outside(deployed: Mapping[str, Any]) -> list[str]:
    """Datasets and databases, of which there is one version only."""
    datasets = [f"the dataset {one['name']}" for one in deployed.get("reads") or () if one.get("uri")]
    return datasets + [f"the database {one['name']}" for one in deployed.get("connections") or ()]


def words(again: Again, notes: Sequence[str]) -> list[str]:
    """What is the same as in the run, a line each; then `notes`, what is not."""
    run = again.run
    lines = [f"like run {run.run.id} of {again.workload}:"]
    lines += [f"  input {name}: run {pin}" if pin else f"  input {name}: none" for name, pin in again.pins.items()]
    lines += [f"  {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in again.params.items()]
    return lines + [note if note.startswith(" ") else f"! {note}" for note in notes]


def start(target: Target, again: Again) -> str:
    """Start it; the new run's id."""
    machine = target.exports.batch[again.workload].machine
    due = {"scheduled_time": again.run.scheduled_time} if again.run.scheduled_time else {}
    return runs.start(target, machine, "rerun", params=dict(again.params), pins=dict(again.pins), **due)
