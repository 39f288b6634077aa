"""Why a job's next run in its pipeline will be carried out, or why it is left out: what the runner will decide.

The runner decides by `herd.runner.contract.made_of`; here the same is compared, and what differs is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from herd.checkout import team_files
from herd.deploy import why
from herd.errors import WrongInput
from herd.infra.spec.models import JobSpec
from herd.infra.spec.up_to_date import obstacles
from herd.review.rebuilds import rebuild_of
from herd.runner.contract.documents import Version
from herd.runner.contract.keys import latest_key
from herd.runner.contract.kinds import PAGES
from herd.runner.contract.made_of import MadeOf, contents
from herd.runner.contract.task import TaskSettings
from herd.runs import runs, tasks
from herd.targets.target import Target


@dataclass(frozen=True)
class Verdict:
    """`runs`: whether the next run in a pipeline is carried out. `reasons`: lines; empty where it is left out, and then
    `confirms` is the run that it would have repeated. `here`: how this machine's files differ from what is deployed.
    """

    workload: str
    runs: bool
    reasons: tuple[str, ...]
    confirms: str
    here: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "workload": self.workload,
            "runs": self.runs,
            "reasons": list(self.reasons),
            "confirms": self.confirms or None,
            "not_deployed": list(self.here),
        }


def verdict(target: Target, name: str) -> Verdict:
    """Of a job that is deployed. Raises WrongInput for what is none."""
    entry = target.require_exports().workload(name)
    if name not in target.exports.batch:
        raise WrongInput(f"{name} is a service and always runs; `herd status` says how it is")
    specs = team_files.load(target.checkout, target.name, needed=name)
    here = tuple(line for one in why.rebuilds(target, specs, [name]) for line in one.lines)
    always = tuple(_always(target, name))
    if always:
        return Verdict(name, True, always, "", here)
    deployed = tasks.settings_of(target, entry.task_definition)
    now = TaskSettings.from_json(json.dumps(deployed))
    if not now.settings_digest:
        reason = "it was deployed before Herd left out runs that repeat one; `herd up` deploys it anew"
        return Verdict(name, True, (reason,), "", here)
    document = runs.read_json(target, latest_key(name))
    if document is None:
        return Verdict(name, True, ("it has published nothing yet",), "", here)
    current = Version.from_json(json.dumps(document).encode())
    reasons = tuple(_changes(target, name, now, current))
    return Verdict(name, bool(reasons), reasons, "" if reasons else current.run_id, here)


def _always(target: Target, name: str) -> Iterator[str]:
    """Why every run of it is carried out."""
    spec = team_files.load(target.checkout, target.name, needed=name).workloads.get(name)
    if spec is None:
        return
    if spec.kind in PAGES:
        yield "a report is always made again: its page says how old it is"
    elif isinstance(spec, JobSpec) and spec.skip_unchanged is False:
        yield "skip_unchanged = false in its settings"
    elif isinstance(spec, JobSpec):
        yield from obstacles(spec, team_files.offer(target.checkout, target.name).datasets)


def _changes(target: Target, name: str, now: TaskSettings, current: Version) -> Iterator[str]:
    if current.rollback is not None:
        yield f"somebody went back to run {current.run_id}"
        return
    record = runs.read_record(target, name, current.run_id)
    last = MadeOf.recorded(record)
    if last is None:
        yield f"the record of run {current.run_id}, which readers have, does not say what it was made of"
        return
    versions = _versions(target, now)
    would = MadeOf.by(now, contents(versions))
    if last.code != would.code:
        yield from _code(target, name, last.code, would.code)
    elif last.image != would.image:
        yield "its image was built anew"
    if last.settings != would.settings:
        yield from _settings(target, name, now, current.run_id)
    yield from (f"params.{key}: {was} → {new}" for key, was, new in _pairs(last.params, would.params))
    read = {str(one["name"]): str(one["run_id"]) for one in (record or {}).get("inputs") or ()}
    for key, _, _ in _pairs(last.inputs, would.inputs):
        new = versions[key].run_id if key in versions else "none"
        yield f"input {key} has other files: run {read.get(key, 'none')} → run {new}"


def _versions(target: Target, now: TaskSettings) -> dict[str, Version]:
    """What a run would read now."""
    names = [read.name for read in now.reads if read.uri is None]
    documents = runs.in_parallel(lambda name: runs.read_json(target, latest_key(name)), names)
    return {
        name: Version.from_json(json.dumps(document).encode())
        for name, document in zip(names, documents, strict=True)
        if document
    }


def _code(target: Target, name: str, was: str, is_now: str) -> Iterator[str]:
    before, after = why.known(target, was), why.known(target, is_now)
    if before is None or after is None:
        yield f"its image was built from other files (content {was[:12]} → {is_now[:12]})"
        return
    spec = team_files.load(target.checkout, target.name, needed=name).workloads[name]
    yield from rebuild_of(name, spec.image, spec.folder.as_posix(), before, after).lines


def _settings(target: Target, name: str, now: TaskSettings, run_id: str) -> Iterator[str]:
    """Which ones, by the task definition that the run had; AWS keeps that of a run for 90 days."""
    started = tasks.of_run(target, target.exports.batch[name].machine, run_id)
    definition = next((task.definition for task in started.values() if task.definition), "")
    if not (before := tasks.settings_of(target, definition)):
        yield "its settings changed (command, reads, checks, cache or [env])"
        return
    after = json.loads(now.to_json())
    changed = [key for key in ("command", "reads", "checks", "cache") if before.get(key) != after.get(key)]
    if before.get("settings_digest") != after.get("settings_digest"):
        changed.append("[env]")
    yield f"its settings changed: {', '.join(changed)}"


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)
