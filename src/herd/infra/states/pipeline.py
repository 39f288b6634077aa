"""The state machine of a pipeline: the jobs joined by `after`, level by level.

Each level is a Parallel whose branches start the machines of the jobs; the next level begins when all have ended. A
branch catches its job's failure, because Parallel would stop the siblings. A job runs only if all its `after` have
succeeded, else it is skipped, and its record says so. The pipeline fails at its end if any of its jobs failed. One that
was due leaves its own marker when it starts, and completes it when all have succeeded.
"""

from collections.abc import Mapping
from typing import Any

from herd.infra.states.asl import (
    RUN_ID,
    Batch,
    Pipeline,
    State,
    States,
    Target,
    catch_all,
    choice,
    present,
    put_marker,
    put_record,
    read_input,
    when,
    when_due,
)
from herd.runner.contract.statuses import (
    ABORTED_RUN,
    FAILED_ERROR,
    FAILED_RUN,
    IN_A_PIPELINE,
    STATUS_OF_ERROR,
    SUCCEEDED_RUN,
)

_SKIPPED: State = {"status": "skipped", "attempt": None, "exit_code": None, "reason": "a job before it did not succeed"}


def pipeline_definition(
    pipeline: Pipeline, specs: Mapping[str, Batch], machines: Mapping[str, str], target: Target
) -> dict[str, Any]:
    """The machine of `pipeline`; `machines` are the ARNs of its jobs' machines.

    Input beside that of a job: `only` = {job: whether it takes part}, absent = all do; `params` is by job. Jobs'
    executions bear the name of the pipeline's. Output, and on failure cause: `{"status", "jobs": {job: status}}` with
    the words of the records, and `not-selected`.
    """
    place = {name: f"$.level_{i}[{j}]" for i, level in enumerate(pipeline.levels) for j, name in enumerate(level)}
    names = [f"Level {number}" for number in range(1, len(pipeline.levels) + 1)]
    parameters = "Parameters of the jobs"
    begun = when_due("Begun", put_marker(target, pipeline.name, parameters), parameters)
    completed = when_due("Completed", put_marker(target, pipeline.name, "Succeeded", completed=True), "Succeeded")
    states: States = {
        **read_input(next(iter(begun)), params={name: {} for name in place}),
        **begun,
        parameters: {
            "Type": "Pass",
            "Parameters": {
                "run.$": "$.run",
                "params.$": "States.JsonMerge($.params, $.run.params, false)",
            },
            "Next": names[0],
        },
    }
    for number, (name, level) in enumerate(zip(names, pipeline.levels, strict=True)):
        states[name] = {
            "Type": "Parallel",
            "Branches": [_branch(specs[job], machines[job], place, target) for job in level],
            "ResultPath": f"$.level_{number}",
            "Next": [*names, "Outcome"][number + 1],
        }
    return {
        "Comment": f"pipeline {pipeline.name}",
        "StartAt": "Defaults",
        "States": states | _ending(place, next(iter(completed))) | completed,
    }


def _branch(spec: Batch, machine: str, place: Mapping[str, str], target: Target) -> State:
    job = spec.name
    blocked = [when(f"{place[other]}.blocks", "BooleanEquals", True) for other in spec.after]
    selected = f"$.run.only['{job}']"
    states: States = {
        f"{job}?": choice(
            {
                "And": [present(selected), when(selected, "BooleanEquals", False)],
                "Next": f"{job} not selected",
            },
            *([{"Or": blocked, "Next": f"{job} skip"}] if blocked else []),
            default=job,
        ),
        job: {
            "Type": "Task",
            "Resource": target.integration("states:startExecution.sync:2"),
            "Parameters": {
                "StateMachineArn": machine,
                "Name.$": RUN_ID,
                "Input": {
                    "trigger": IN_A_PIPELINE,
                    "scheduled_time.$": "$.run.scheduled_time",
                    "params.$": f"$.params['{job}']",
                    # Links the two executions in the console of Step Functions.
                    "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id",
                },
            },
            "ResultSelector": {"status.$": "$.Output.status"},
            "ResultPath": "$.result",
            "Catch": catch_all(f"{job} went wrong"),
            "Next": f"{job} ended",
        },
        f"{job} ended": choice(
            when("$.result.status", "StringEquals", "skipped", f"{job} skipped"), default=f"{job} succeeded"
        ),
        # The cause is the description of the job's execution, as text; its error is one of ours, or it was aborted.
        f"{job} went wrong": choice(
            {"Not": present("$.error.Cause"), "Next": f"{job} {STATUS_OF_ERROR[FAILED_ERROR]}"},
            *(
                when("$.error.Cause", "StringMatches", f"*{error}*", f"{job} {status}")
                for error, status in STATUS_OF_ERROR.items()
            ),
            when("$.error.Cause", "StringMatches", "*ABORTED*", f"{job} aborted"),
            default=f"{job} {STATUS_OF_ERROR[FAILED_ERROR]}",
        ),
        f"{job} succeeded": _result(SUCCEEDED_RUN, blocks=False),
        f"{job} not selected": _result("not-selected", blocks=False),
        f"{job} skipped": _result("skipped", blocks=True),
        **{
            f"{job} {status}": _result(status, blocks=True, failed=True)
            for status in (*STATUS_OF_ERROR.values(), ABORTED_RUN)
        },
    }
    if blocked:
        states[f"{job} skip"] = put_record(
            target, job, spec.kind, f"{job} skipped", status=_SKIPPED, params=f"$.params['{job}']", task_ran=False
        )
    return {"StartAt": f"{job}?", "States": states}


def _result(status: str, *, blocks: bool, failed: bool = False) -> State:
    """A branch's answer: `blocks` keeps its dependants from running, `failed` fails the pipeline."""
    return {"Type": "Pass", "Result": {"status": status, "blocks": blocks, "failed": failed}, "End": True}


def _ending(place: Mapping[str, str], success: str) -> States:
    statuses = {f"{job}.$": f"{path}.status" for job, path in place.items()}
    return {
        "Outcome": choice(
            {"Or": [when(f"{path}.failed", "BooleanEquals", True) for path in place.values()], "Next": "What failed"},
            default=success,
        ),
        "What failed": {
            "Type": "Pass",
            "Parameters": {"status": FAILED_RUN, "jobs": statuses},
            "Next": "Failed",
        },
        "Failed": {"Type": "Fail", "Error": FAILED_ERROR, "CausePath": "States.JsonToString($)"},
        "Succeeded": {"Type": "Pass", "Parameters": {"status": SUCCEEDED_RUN, "jobs": statuses}, "End": True},
    }
