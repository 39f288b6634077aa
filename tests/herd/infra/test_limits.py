"""AWS's limits, worked out from definitions: counted by hand, and for the machines of jobs."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herd.infra.spec.load import JobSpec
from herd.infra.states import limits
from herd.infra.states.asl import Target
from herd.infra.states.job import job_definition

PASS: dict[str, Any] = {"Type": "Pass", "End": True}
TASK: dict[str, Any] = {"Type": "Task", "Resource": "x", "End": True}


def machine(**states: Any) -> dict[str, Any]:
    return {"StartAt": "One", "States": states}


COUNTED: dict[str, tuple[dict[str, Any], int, int, int]] = {
    # name -> definition, attempts, items, events
    "a pass": (machine(One=PASS), 1, 1, 2 + 2),
    "two in a row": (machine(One={"Type": "Pass", "Next": "Two"}, Two=PASS), 1, 1, 2 + 4),
    "a task: scheduled, started, submitted, ended": (machine(One=TASK), 1, 1, 2 + 2 + 4),
    "a task that Step Functions tries again": (
        machine(One={**TASK, "Retry": [{"ErrorEquals": ["x"], "MaxAttempts": 2}]}), 1, 1, 2 + 2 + 3 * 4,
    ),
    "the longer way of a choice": (
        machine(One={"Type": "Choice", "Choices": [{"Next": "Two"}], "Default": "Three"}, Two=PASS, Three=TASK),
        1, 1, 2 + 2 + 6,
    ),
    "the way of what is caught": (
        machine(One={**TASK, "Catch": [{"Next": "Two"}]}, Two=PASS), 1, 1, 2 + 6 + 2,
    ),
    "a loop of a task and a wait, three times round": (
        machine(One={"Type": "Task", "Catch": [{"Next": "Again?"}], "Next": "End"},
                **{"Again?": {"Type": "Choice", "Choices": [{"Next": "Wait"}], "Default": "End"}},
                Wait={"Type": "Wait", "Next": "One"}, End=PASS),
        3, 1, 2 + (6 + 2 + 2) + 2 * (6 + 2 + 2),
    ),
    "a branch each": (
        machine(One={"Type": "Parallel", "End": True,
                     "Branches": [{"StartAt": n, "States": {n: PASS}} for n in ("a", "b", "c")]}),
        1, 1, 2 + 2 + 2 + 3 * 2,
    ),
    "an iteration each": (
        machine(One={"Type": "Map", "End": True, "ItemProcessor": {"StartAt": "a", "States": {"a": TASK}}}),
        1, 5, 2 + 2 + 2 + 5 * (2 + 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_events_are_counted_as_a_person_would(name: str) -> None:
    definition, attempts, items, events = COUNTED[name]
    # The last state of the loop is not passed on the way out, so its bound is a little above.
    counted = limits.most_events(definition, attempts, items)
    assert events <= counted <= events + 2


def spec(**settings: Any) -> JobSpec:
    named = {"name": "train", "folder": Path("jobs/train"), "owner": "a@b", "review_by": date(2027, 1, 1)}
    return JobSpec(**{**named, "command": ("true",), **settings})


def definition(**settings: Any) -> dict[str, Any]:
    return job_definition(spec(**settings), "family", Target("", "", "", "", (), ()))


@given(st.integers(0, 10), st.integers(1, 200))
def test_what_is_allowed_fits_and_one_more_does_not(retries: int, items: int) -> None:
    made = definition(retries=retries, fan_out=tuple(f"item-{n}" for n in range(items)))
    most = limits.most_items(made, retries + 1)
    assert limits.most_events(made, retries + 1, most) <= limits.MOST_EVENTS
    assert limits.most_events(made, retries + 1, most + 1) > limits.MOST_EVENTS


def test_the_default_retries_allow_as_many_items_as_a_file_can_name() -> None:
    assert limits.most_items(definition(fan_out=("a",)), 3) >= 200


def test_what_a_run_hands_over_fits_beside_its_parameters() -> None:
    """Everything else that the overrides of RunTask have, each as long as it can be."""
    made = definition(fan_out=("a",))
    task = made["States"]["Items"]["ItemProcessor"]["States"]["Item"]
    (container,) = task["Parameters"]["Overrides"]["ContainerOverrides"]
    longest = {"HERD_RUN_ID": 80, "HERD_SCHEDULED_TIME": 30, "HERD_TRIGGER": 20, "HERD_ATTEMPT": 2, "HERD_ITEM": 50}
    names = {variable["Name"] for variable in container["Environment"]}
    others = sum(len(name) + longest.get(name, 0) + len('{"name":"","value":""},') for name in names)
    # Quotes within the JSON of parameters are escaped once more: at most every third character is one.
    used = others + len('{"containerOverrides":[{"name":"main","environment":[]}]}') + limits.MOST_PARAMS_CHARACTERS
    assert used + limits.MOST_PARAMS_CHARACTERS // 4 <= limits.MOST_OVERRIDES_CHARACTERS


def test_the_biggest_definition_fits() -> None:
    made = definition(retries=2, overlap="replace", fan_out=tuple(f"{n:03}{'x' * 47}" for n in range(200)))
    assert len(json.dumps(made).encode()) < limits.MOST_DEFINITION_BYTES / 10
