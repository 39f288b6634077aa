"""Every machine that can be generated is valid Amazon States Language; no cloud needed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from herd.infra.spec.load import JobSpec, Pipeline
from herd.infra.states.asl import Target
from herd.infra.states.job import job_definition
from herd.infra.states.pipeline import pipeline_definition
from localcloud.patches.stepfunctions.definitions import diagnose

Jobs = Callable[..., JobSpec]

TARGET = Target(
    "dev", "aws", "arn:aws:ecs:eu-west-1:123456789012:cluster/herd-dev", "data", ("subnet-1", "subnet-2"), ("sg-1",)
)
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no retries": {"retries": 0},
    "replace": {"overlap": "replace"},
    "allow": {"overlap": "allow"},
    "fan-out": {"fan_out": ("a", "b")},
    "fan-out without retries": {"fan_out": ("a",), "retries": 0, "overlap": "replace"},
    "spot": {"hardware": "fargate-spot"},
}
LONGEST = "a" * 30


def scopes(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The machine itself and what is nested in its Map and Parallel states."""
    yield definition
    for state in definition["States"].values():
        for nested in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            yield from scopes(nested)


def followers(state: dict[str, Any]) -> set[str]:
    rules = [*state.get("Choices", []), *state.get("Catch", [])]
    return {found for found in (state.get("Next"), state.get("Default"), *(rule["Next"] for rule in rules)) if found}


def check(definition: dict[str, Any]) -> None:
    assert diagnose(json.dumps(definition)) == []
    names = [name for scope in scopes(definition) for name in scope["States"]]
    assert len(names) == len(set(names)), "names of states are unique in the whole machine"
    assert max(map(len, names)) <= 80
    for scope in scopes(definition):
        states = scope["States"]
        reached = {scope["StartAt"]}.union(*map(followers, states.values()))
        assert reached == states.keys(), "every state exists and is reached"
        for name, state in states.items():
            ends = state["Type"] in ("Succeed", "Fail") or state.get("End") is True
            assert bool(followers(state)) != ends, name


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_machines_of_jobs(job: Jobs, settings: dict[str, Any]) -> None:
    check(job_definition(job(LONGEST, **settings), "herd-dev-x", TARGET))


def records(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The states that write a run's record."""
    return puts(definition, "_runs/")


def puts(definition: dict[str, Any], prefix: str) -> dict[str, dict[str, Any]]:
    states = {name: state for scope in scopes(definition) for name, state in scope["States"].items()}
    put = {name: state for name, state in states.items() if "s3:putObject" in state.get("Resource", "")}
    return {name: state for name, state in put.items() if prefix in state["Parameters"]["Key.$"]}


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_a_start_that_was_due_is_marked_before_anything_can_skip_it(job: Jobs, settings: dict[str, Any]) -> None:
    definition = job_definition(job("train", **settings), "f", TARGET)
    ((name, marks),) = puts(definition, "_due/train/").items()
    assert definition["States"]["Input"]["Next"] == "Begun: was due?"
    assert followers(definition["States"]["Begun: was due?"]) == {name, marks["Next"]}
    assert followers(marks) == {marks["Next"]}, "whether it can be written or not"
    assert marks["Parameters"]["IfNoneMatch"] == "*", "what is delivered twice takes nothing back"


def test_only_where_a_task_ran_may_a_record_be_there_already(job: Jobs) -> None:
    """Step Functions knows S3's fields by a copy of its own; a field that is left out cannot be missing from it."""
    failed = records(job_definition(job("train", fan_out=("a", "b")), "f", TARGET))
    assert failed and all(state["Parameters"]["IfNoneMatch"] == "*" for state in failed.values())
    specs = {"first": job("first"), "second": job("second", after=("first",))}
    pipeline = Pipeline("first", (("first",), ("second",)), None, "UTC")
    skipped = records(pipeline_definition(pipeline, specs, {name: f"arn:{name}" for name in specs}, TARGET))
    assert skipped.keys() == {"second skip"}
    assert "IfNoneMatch" not in skipped["second skip"]["Parameters"]


def test_machines_of_pipelines(job: Jobs) -> None:
    names = [LONGEST, "b" * 30, "c-3", "d-4"]
    after = {names[1]: (names[0],), "c-3": (names[0],), "d-4": (names[1], "c-3")}
    specs = {name: job(name, after=after.get(name, ())) for name in names}
    levels = ((names[0],), (names[1], "c-3"), ("d-4",))
    machines = {name: f"arn:aws:states:eu-west-1:123456789012:stateMachine:{name}" for name in names}
    check(pipeline_definition(Pipeline(names[0], levels, None, "UTC"), specs, machines, TARGET))


def test_the_capacity_is_what_the_settings_say(job: Jobs) -> None:
    asked = {
        hardware: job_definition(job("train", hardware=hardware), "f", TARGET)["States"]["Run"]["Parameters"]
        for hardware in ("fargate", "fargate-spot")
    }
    assert asked["fargate"]["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE", "Weight": 1}]
    assert asked["fargate-spot"]["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]


def test_tasks_have_the_tags_of_their_definition(job: Jobs) -> None:
    for settings in VARIANTS.values():
        for scope in scopes(job_definition(job("train", **settings), "f", TARGET)):
            for state in scope["States"].values():
                if ":ecs:" in state.get("Resource", ""):
                    assert state["Parameters"]["PropagateTags"] == "TASK_DEFINITION"


@pytest.mark.parametrize(
    ("hardware", "minutes"), [("fargate", 17), ("fargate-spot", 17), ("vm", 37), ("big", 37)], ids=str
)
@pytest.mark.parametrize("items", [(), ("a", "b")], ids=["one task", "a task an item"])
def test_the_machines_limit_lies_beyond_that_of_the_task(
    job: Jobs, hardware: str, minutes: int, items: tuple[str, ...]
) -> None:
    fan_out = {"fan_out": items} if items else {}
    spec = job("train", timeout_minutes=7, hardware=hardware, **fan_out)
    definition = job_definition(spec, "f", replace(TARGET, capacity_provider="provider"))
    limits = [
        state["TimeoutSeconds"]
        for scope in scopes(definition)
        for state in scope["States"].values()
        if ":ecs:" in state.get("Resource", "")
    ]
    assert limits == [minutes * 60] * (2 if items else 1)
    assert "TimeoutSeconds" not in definition, "an execution that is cut off records nothing"


def test_waits_double_between_attempts(job: Jobs) -> None:
    states = job_definition(job("train", retries=2), "f", TARGET)["States"]
    assert states["Run: first attempt"]["Result"]["wait"] == 5
    assert states["Run: next attempt"]["Parameters"]["wait.$"] == "States.MathAdd($.attempt.wait, $.attempt.wait)"


def test_a_machine_stays_far_below_the_limit_of_step_functions(job: Jobs) -> None:
    """1 MB, with many items and a job's longest definition."""
    definition = job_definition(job("train", fan_out=tuple(f"item-{n}" for n in range(200))), "f", TARGET)
    assert len(json.dumps(definition)) < 50_000
