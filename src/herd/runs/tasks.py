"""The tasks of a run, from its execution's history: which item and which attempt each was, by which image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from herd.runner.contract import variables
from herd.runs import runs
from herd.targets.target import Target


@dataclass(frozen=True)
class RunTask:
    """One ECS task. `item` and `is_publisher`: of a fan-out; `image`: a reference with a digest, as far as it is known;
    `definition`: the ARN of its task definition.
    """

    id: str
    item: str | None
    attempt: int
    is_publisher: bool
    image: str
    definition: str

    @property
    def label(self) -> str:
        """How its log lines are told from those of its siblings: the item; of the last step of a fan-out `publish`."""
        return variables.PUBLISH if self.is_publisher else self.item or ""


def of_run(target: Target, machine: str, run_id: str) -> dict[str, RunTask]:
    """Task id -> task, in the order in which they were started; empty where AWS keeps the history no more."""
    states = target.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(
        executionArn=runs.execution_arn(machine, run_id), PaginationConfig={"PageSize": 1000}
    )
    try:
        return {task.id: task for page in pages for event in page["events"] for task in _tasks(event)}
    except states.exceptions.ExecutionDoesNotExist:
        return {}


def _tasks(event: dict[str, Any]) -> Iterator[RunTask]:
    """Of one event: RunTask's answer, with what the machine has told the task."""
    details = event.get("taskSubmittedEventDetails") or {}
    if details.get("resourceType") != "ecs":
        return
    answer: dict[str, Any] = {}
    with suppress(ValueError):  # AWS cuts what is too long
        answer = json.loads(details.get("output") or "{}")
    for task in answer.get("Tasks") or ():
        overrides = ((task.get("Overrides") or {}).get("ContainerOverrides") or [{}])[0]
        environment = {one["Name"]: one.get("Value", "") for one in overrides.get("Environment") or ()}
        container = (task.get("Containers") or [{}])[0]
        attempt = environment.get(variables.ATTEMPT, "1")
        yield RunTask(
            id=str(task["TaskArn"]).rsplit("/", 1)[-1],
            item=environment.get(variables.ITEM) or None,
            attempt=int(attempt) if attempt.isdecimal() else 1,
            is_publisher=environment.get(variables.STEP) == variables.PUBLISH,
            image=str(container.get("Image") or ""),
            definition=str(task.get("TaskDefinitionArn") or ""),
        )


def settings_of(target: Target, definition: str) -> dict[str, Any]:
    """What a task definition (its ARN) says of its workload, as HERD_TASK has it; empty where nobody can say.

    Also of one that a later deployment has made inactive: AWS keeps describing those.
    """
    if not definition:
        return {}
    ecs = target.client("ecs")
    try:
        described = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    except ecs.exceptions.ClientException:  # deleted for good
        return {}
    variables_of_task = described["containerDefinitions"][0].get("environment") or ()
    text = next((one["value"] for one in variables_of_task if one["name"] == variables.TASK), "{}")
    value = runs.parsed(text)
    return value if isinstance(value, dict) else {}
