"""`herd run`: checks the name and parameters, then starts one execution of a job's or pipeline's state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from herd import console
from herd.checkout import pauses, review_dates, team_files
from herd.errors import WrongInput, unknown
from herd.infra.states.limits import MOST_PARAMS_CHARACTERS
from herd.runs import runs
from herd.runs.follow import Following
from herd.targets.target import Target


@dataclass(frozen=True)
class Start:
    """An execution to start: the state machine's ARN and input; `machines`: job -> ARN, for the jobs that will run."""

    machine: str
    input: dict[str, Any]
    machines: dict[str, str]
    is_pipeline: bool


def plan(target: Target, name: str, params: list[str], with_dependants: bool) -> Start:
    """The execution of `herd run NAME`. Raises WrongInput for a wrong name, kind or parameter."""
    specs = team_files.load(target.checkout, target.name, name)
    deployed = target.deployed.workloads if target.deployed else {}
    spec = specs.workloads.get(name)
    if spec is None and name not in deployed:
        raise WrongInput(unknown(name, [*specs.workloads, *deployed], "workload"))
    exports = target.require_exports()
    if name not in exports.workloads:
        raise WrongInput(f"{name} is not deployed yet; `herd up` does it, `herd try {name}` runs it without")
    job = exports.batch.get(name)
    if job is None:
        raise WrongInput(f"{name} is a service and always runs; `herd run` starts jobs and reports")
    if review := next((review for review in review_dates.due(specs) if review.name == name and review.expired), None):
        console.note(f"! {review}", style="red")
    if pause := pauses.of(specs, name):
        console.note(f"– {pause}", style="yellow")
    values = parse_params(params, dict(spec.params) if spec else {}, name)
    if not with_dependants or not job.pipeline:
        return Start(job.machine, {"params": values}, {name: job.machine}, False)
    pipeline = exports.pipelines[job.pipeline]
    after = {member: set(specs.batch[member].after if member in specs.batch else ()) for member in pipeline.members}
    wanted = with_those_after(name, after)
    return Start(
        pipeline.machine,
        {"params": {name: values} if values else {}, "only": {member: member in wanted for member in after}},
        {member: exports.batch[member].machine for member in after if member in wanted},
        True,
    )


def begin(target: Target, start: Start) -> Following:
    """Start the execution."""
    run_id = runs.start(target, start.machine, "manual", **start.input)
    return Following(run_id, start.machines, start.machine if start.is_pipeline else None)


def with_those_after(name: str, after: Mapping[str, set[str]]) -> set[str]:
    """`name` and all jobs that run after it, directly or not. `after`: job -> the jobs that it waits for."""
    wanted = {name}
    while True:
        more = {job for job, before in after.items() if before & wanted} - wanted
        if not more:
            return wanted
        wanted |= more


def parse_params(entries: list[str], defaults: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`["month=3"]` -> `{"month": 3}`, with the type of the default. Raises WrongInput with all problems."""
    parsed: dict[str, Any] = {}
    problems = []
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals:
            problems.append(f"--param {entry}: must be KEY=VALUE")
        elif key not in defaults:
            problems.append(f"--param {entry}: {unknown(key, list(defaults), f'parameter of {name}')}")
        else:
            try:
                parsed[key] = _as_type_of(defaults[key], text)
            except ValueError as error:
                problems.append(f"--param {entry}: must be {error}, like its default {defaults[key]!r}")
    if (size := len(json.dumps(parsed))) > MOST_PARAMS_CHARACTERS:
        problems.append(
            f"--param: the parameters of {name} have {size:,} characters as JSON; allowed: up to "
            f"{MOST_PARAMS_CHARACTERS:,}, which is what ECS takes with a run; larger things belong in files"
        )
    if problems:
        raise WrongInput("\n".join(problems))
    return parsed


def _as_type_of(default: Any, text: str) -> Any:
    """The text as a value of the default's type. Raises ValueError naming what it must be."""
    # bool first: it is a kind of int.
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError("true or false")
        return text.lower() == "true"
    if isinstance(default, int | float):
        try:
            return type(default)(text)
        except ValueError:
            raise ValueError("a whole number" if isinstance(default, int) else "a number") from None
    return text
