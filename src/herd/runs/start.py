"""From what the person asked to run, to one start of a state machine; everything is checked before anything starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from herd import console
from herd.checkout import files as project
from herd.checkout import review_dates as reviews
from herd.errors import WrongInput
from herd.infra.workloads.states.limits import MOST_PARAMS_CHARACTERS
from herd.runs import runs
from herd.runs.follow import Following
from herd.targets.target import Target, unknown


@dataclass(frozen=True)
class Start:
    """What to start: a job's machine, or its pipeline's with the jobs that are to take part."""

    machine: str
    input: dict[str, Any]
    machines: dict[str, str]
    is_pipeline: bool


def plan(target: Target, name: str, params: list[str], with_dependants: bool) -> Start:
    """What `herd run NAME` means here. Raises WrongInput for a name, kind or parameter that cannot be."""
    specs = project.load(target.checkout, target.name)
    deployed = target.exports.workloads
    spec = specs.workloads.get(name)
    if spec is None and name not in deployed:
        raise WrongInput(unknown(name, [*specs.workloads, *deployed], "workload"))
    told = target.require_exports().workloads.get(name)
    if told is None:
        raise WrongInput(f"{name} is not deployed yet; `herd up` does it, `herd try {name}` runs it without")
    if not told.get("machine"):
        raise WrongInput(f"{name} is a service and always runs; `herd run` starts jobs and reports")
    if review := next((review for review in reviews.due(specs) if review.name == name and review.expired), None):
        console.note(f"! {review}", style="red")
    given = parse_params(params, dict(spec.params) if spec else {}, name)
    pipeline = told.get("pipeline")
    if not with_dependants or not pipeline:
        return Start(told["machine"], {"params": given}, {name: told["machine"]}, False)
    levels = target.exports.pipelines[pipeline]["levels"]
    after = {job: set(getattr(specs.workloads.get(job), "after", ())) for level in levels for job in level}
    wanted = with_those_after(name, after)
    return Start(
        target.exports.pipelines[pipeline]["machine"],
        {"params": {name: given} if given else {}, "only": {job: job in wanted for job in after}},
        {job: deployed[job]["machine"] for level in levels for job in level if job in wanted},
        True,
    )


def begin(target: Target, start: Start) -> Following:
    """Start it."""
    run_id = runs.start(target, start.machine, "manual", **start.input)
    return Following(run_id, start.machines, start.machine if start.is_pipeline else None)


def with_those_after(name: str, after: Mapping[str, set[str]]) -> set[str]:
    """`name` and everything that runs after it, directly or not. `after` is per job what it waits for."""
    wanted = {name}
    while True:
        more = {job for job, before in after.items() if before & wanted} - wanted
        if not more:
            return wanted
        wanted |= more


def parse_params(given: list[str], defaults: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`["month=3"]` -> `{"month": 3}`, with the type of the default. Raises WrongInput with all problems."""
    parsed: dict[str, Any] = {}
    problems = []
    for entry in given:
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
