"""The state machine of a job or a report: from "start" to "published" or a recorded failure.

    Defaults → Input → [Begun] → [overlap] → Run ⟲ retries → Succeeded
                                              └→ Record the failure → Failed
    with fan_out:                  Items (a Run ⟲ each) → Publish ⟲ → Succeeded

A start that was due leaves its marker before anything can skip it (`Begun`); the task completes that once its result is
published.

A task's exit code decides: 65 means that a check failed, 124 that the attempt passed its time limit; 137, 143 or none
at all mean that the task was killed or never started. Anything else is the program's own failure. What trying again
cannot mend is not tried again.

The time limit is kept by the task itself (src/herd/runner/limit.py). The machine's own is the outer net, for a task
that never starts or whose machine hangs. When that one passes, nobody knows whether the task still runs: Step Functions
promises to stop a task when its execution is stopped, not when a state times out ("Run a Job (.sync)", Step Functions
developer guide). So then there is no further attempt: it would write where the first one may still write.
"""

from typing import Any

from herd.infra.capacity import MANAGED, placement
from herd.infra.states.asl import (
    RUN_ID,
    Batch,
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
from herd.runner.contract import variables
from herd.runner.contract.statuses import (
    CHECK_FAILED,
    CHECK_FAILED_ERROR,
    FAILED_ERROR,
    KILLED,
    KILLED_ERROR,
    NOT_RETRIED,
    STATUS_OF_ERROR,
    SUCCEEDED_RUN,
    TIMED_OUT,
    TIMED_OUT_ERROR,
)
from herd.runner.contract.task import CONTAINER

FIRST_WAIT_SECONDS = 5
REASONS = {"container": "$.ended.task.Containers[0].Reason", "task": "$.ended.task.StoppedReason"}
_RECORDED: State = {
    "status.$": "$.failure.status",
    "attempt.$": "$.failure.cause.attempts",
    "exit_code.$": "$.failure.cause.exit_code",
    "reason.$": "$.failure.cause.reason",
}


def job_definition(spec: Batch, family: str, target: Target) -> dict[str, Any]:
    """The machine that runs `spec` by tasks of the definition `family` (its latest revision).

    A run in flight thus goes on with new code after a deployment, instead of failing on a definition that is gone.
    Outcome: `{"status": "succeeded"}`, `{"status": "skipped", "reason": …}`, or a failure whose error is one of
    `STATUS_OF_ERROR` and whose cause is JSON: exit_code, reason, attempts, task.
    """
    begin = "Items" if spec.fan_out else "Run: first attempt"
    overlap = _overlap(spec, target, then=begin)
    first = next(iter(overlap), begin)
    begun = when_due("Begun", put_marker(target, spec.name, first), first)
    states: States = {
        **read_input(next(iter(begun)), **({"items": list(spec.fan_out)} if spec.fan_out else {})),
        **begun,
        **overlap,
        **(_fan_out(spec, family, target) if spec.fan_out else {}),
        **_attempts(spec, family, target, "Publish" if spec.fan_out else "Run", "Succeeded", "Record the failure"),
        "Record the failure": put_record(target, spec.name, spec.kind, "Failed", status=_RECORDED),
        "Failed": {
            "Type": "Fail",
            "ErrorPath": "$.failure.error",
            "CausePath": "States.JsonToString($.failure.cause)",
        },
        "Succeeded": {"Type": "Pass", "Result": {"status": SUCCEEDED_RUN}, "End": True},
    }
    return {"Comment": f"{spec.kind} {spec.name}", "StartAt": "Defaults", "States": states}


def net_minutes(spec: Batch) -> int:
    """How much later than the task the machine gives up."""
    return placement(spec.hardware).start_minutes


def waits_seconds(retries: int) -> list[int]:
    """How long it waits before each further attempt: 5 s, 10 s, 20 s …"""
    return [FIRST_WAIT_SECONDS * 2**number for number in range(retries)]


def _run_task(spec: Batch, family: str, target: Target, label: str, then: str) -> State:
    environment = {
        variables.RUN_ID: RUN_ID,
        variables.SCHEDULED_TIME: "$.run.scheduled_time",
        variables.TRIGGER: "$.run.trigger",
        variables.PARAMS: "States.JsonToString($.run.params)",
        variables.PINS: "States.JsonToString($.run.pins)",
        variables.ATTEMPT: "States.Format('{}', $.attempt.number)",
        **({variables.ITEM: "$.item"} if label == "Item" else {}),
    }
    overrides: list[State] = [{"Name": name, "Value.$": value} for name, value in environment.items()]
    provider = target.capacity_provider or MANAGED[spec.hardware].provider
    if label == "Publish":
        overrides.append({"Name": variables.STEP, "Value": variables.PUBLISH})
    return {
        "Type": "Task",
        "Resource": target.integration("ecs:runTask.sync"),
        "TimeoutSeconds": (spec.timeout_minutes + net_minutes(spec)) * 60,
        "Parameters": {
            "Cluster": target.cluster,
            "TaskDefinition": family,
            "CapacityProviderStrategy": [{"CapacityProvider": provider, "Weight": 1}],
            # What a task costs is then found under its workload and the company's own tags.
            "PropagateTags": "TASK_DEFINITION",
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "Subnets": list(target.subnets),
                    "SecurityGroups": list(target.security_groups),
                    "AssignPublicIp": "ENABLED" if target.assign_public_ip else "DISABLED",
                }
            },
            "Overrides": {"ContainerOverrides": [{"Name": CONTAINER, "Environment": overrides}]},
        },
        "ResultPath": None,
        "Catch": catch_all(f"{label}: what went wrong"),
        "Next": then,
    }


def _attempts(spec: Batch, family: str, target: Target, label: str, success: str, failure: str) -> States:
    """One task, tried up to `retries` + 1 times; before `failure` follows, `$.failure` = {error, status, cause}."""
    again = f"{label}: try again?" if spec.retries else failure
    return {
        f"{label}: first attempt": {
            "Type": "Pass",
            # `blank` stands in for what a task's description may lack: Pass states cannot catch a missing path.
            "Result": {"number": 1, "wait": FIRST_WAIT_SECONDS, "blank": {"StoppedReason": "", "TaskArn": None}},
            "ResultPath": "$.attempt",
            "Next": label,
        },
        label: _run_task(spec, family, target, label, success),
        # A failed task's cause is its description as JSON; every other error explains itself in words.
        f"{label}: what went wrong": choice(
            when("$.error.Error", "StringEquals", "States.Timeout", f"{label}: did not end"),
            {
                "And": [present("$.error.Cause"), when("$.error.Cause", "StringMatches", '{*"Containers"*}')],
                "Next": f"{label}: read the task",
            },
            present("$.error.Cause", f"{label}: did not start"),
            default=f"{label}: unexplained",
        ),
        **_causes(spec, label, failure, again),
        **(_try_again(label, spec.retries, failure) if spec.retries else {}),
    }


def _causes(spec: Batch, label: str, failure: str, again: str) -> States:
    """What went wrong in an attempt, as `$.failure`: then `again` follows, or `failure` where that is of no use."""
    return {
        f"{label}: did not end": _failure(
            TIMED_OUT_ERROR,
            failure,
            reason=f"has not ended {net_minutes(spec)} min after timeout_minutes = {spec.timeout_minutes}; it may "
            "still run, or wait for a machine, so it is not tried again",
            attempt_only=True,
        ),
        f"{label}: did not start": _failure(
            KILLED_ERROR,
            again,
            reason_path="States.Format('the task did not start: {}: {}', $.error.Error, $.error.Cause)",
            attempt_only=True,
        ),
        f"{label}: unexplained": _failure(
            KILLED_ERROR,
            again,
            reason_path="States.Format('the task did not start: {}', $.error.Error)",
            attempt_only=True,
        ),
        f"{label}: read the task": {
            "Type": "Pass",
            "Parameters": {"task.$": "States.JsonMerge($.attempt.blank, States.StringToJson($.error.Cause), false)"},
            "ResultPath": "$.ended",
            "Next": f"{label}: who says why?",
        },
        # The container's own reason, that it ran out of memory say, tells more than the task's.
        f"{label}: who says why?": choice(
            present("$.ended.task.Containers[0].Reason", f"{label}: the container"), default=f"{label}: the task"
        ),
        **{
            f"{label}: the {who}": {
                "Type": "Pass",
                "Parameters": {"text.$": path},
                "ResultPath": "$.reason",
                "Next": f"{label}: exit code",
            }
            for who, path in REASONS.items()
        },
        **_by_exit_code(spec, label, failure, again),
    }


def _by_exit_code(spec: Batch, label: str, failure: str, again: str) -> States:
    """What the exit code of a task that has ended says of it, as `$.failure`."""
    outcomes = {CHECK_FAILED: "check failed", TIMED_OUT: "timed out"}
    outcomes |= dict.fromkeys(NOT_RETRIED, "failed for good")
    return {
        f"{label}: exit code": choice(
            {"Not": present("$.ended.task.Containers[0].ExitCode"), "Next": f"{label}: never started"},
            *(
                when("$.ended.task.Containers[0].ExitCode", "NumericEquals", code, f"{label}: {outcome}")
                for code, outcome in outcomes.items()
            ),
            when("$.reason.text", "StringMatches", "OutOfMemoryError*", f"{label}: out of memory"),
            *(
                when("$.ended.task.Containers[0].ExitCode", "NumericEquals", code, f"{label}: killed")
                for code in KILLED
            ),
            default=f"{label}: failed",
        ),
        f"{label}: check failed": _failure(CHECK_FAILED_ERROR, failure, reason="a check failed"),
        f"{label}: timed out": _failure(
            TIMED_OUT_ERROR, again, reason=f"took longer than timeout_minutes = {spec.timeout_minutes}"
        ),
        f"{label}: out of memory": _failure(
            KILLED_ERROR,
            again,
            reason_path=f"States.Format('used more than memory_gb = {spec.memory_gb:g}: {{}}', $.reason.text)",
        ),
        f"{label}: never started": _failure(KILLED_ERROR, again, reason_path="$.reason.text", exit_code=False),
        f"{label}: killed": _failure(KILLED_ERROR, again, reason_path="$.reason.text"),
        **{
            f"{label}: {outcome}": _failure(
                FAILED_ERROR, then, reason_path="States.Format('exit code {}', $.ended.task.Containers[0].ExitCode)"
            )
            for outcome, then in {"failed": again, "failed for good": failure}.items()
        },
    }


def _try_again(label: str, retries: int, failure: str) -> States:
    """Waits 5 s, 10 s, 20 s … between attempts."""
    return {
        f"{label}: try again?": choice(
            when("$.attempt.number", "NumericLessThanEquals", retries, f"{label}: wait"), default=failure
        ),
        f"{label}: wait": {"Type": "Wait", "SecondsPath": "$.attempt.wait", "Next": f"{label}: next attempt"},
        f"{label}: next attempt": {
            "Type": "Pass",
            "Parameters": {
                "number.$": "States.MathAdd($.attempt.number, 1)",
                "wait.$": "States.MathAdd($.attempt.wait, $.attempt.wait)",
                "blank.$": "$.attempt.blank",
            },
            "ResultPath": "$.attempt",
            "Next": label,
        },
    }


def _failure(
    error: str,
    then: str,
    *,
    reason: str | None = None,
    reason_path: str | None = None,
    exit_code: bool = True,
    attempt_only: bool = False,
) -> State:
    """Sets `$.failure`. `attempt_only`: nothing is known of the task itself."""
    known_code = exit_code and not attempt_only
    return {
        "Type": "Pass",
        "Parameters": {
            "error": error,
            "status": STATUS_OF_ERROR[error],
            "cause": {
                **({"exit_code.$": "$.ended.task.Containers[0].ExitCode"} if known_code else {"exit_code": None}),
                **({"reason.$": reason_path} if reason_path else {"reason": reason}),
                "attempts.$": "$.attempt.number",
                **({"task": None} if attempt_only else {"task.$": "$.ended.task.TaskArn"}),
            },
        },
        "ResultPath": "$.failure",
        "Next": then,
    }


def _fan_out(spec: Batch, family: str, target: Target) -> States:
    """One task an item. An item that fails does not stop its siblings, so that all that is wrong shows at once."""
    item: States = {
        **_attempts(spec, family, target, "Item", "Item succeeded", "Record the item's failure"),
        "Record the item's failure": put_record(
            target, spec.name, spec.kind, "Item failed", status=_RECORDED, item="$.item"
        ),
        "Item failed": {
            "Type": "Pass",
            "Parameters": {"failure.$": "$.failure"},
            "End": True,
        },
        "Item succeeded": {"Type": "Pass", "Result": {}, "End": True},
    }
    return {
        "Items": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemSelector": {"run.$": "$.run", "item.$": "$$.Map.Item.Value"},
            "MaxConcurrency": spec.max_parallel,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "Item: first attempt",
                "States": item,
            },
            # Once only, and nothing of items that succeeded: a state's data may have 256 KB, and 200 items can fail.
            "ResultSelector": {"failures.$": "$[*].failure"},
            "ResultPath": "$.failed",
            "Next": "All items succeeded?",
        },
        "All items succeeded?": choice(
            present("$.failed.failures[0]", "First failed item"), default="Publish: first attempt"
        ),
        "First failed item": {
            "Type": "Pass",
            "InputPath": "$.failed.failures[0]",
            "ResultPath": "$.failure",
            "Next": "Record the failure",
        },
    }


def _overlap(spec: Batch, target: Target, then: str) -> States:
    """What happens when the last run still goes on.

    ListExecutions answers the newest first and may not know this run yet. skip: the oldest run goes on, every other
    ends; so of two that start together one runs. replace: the newest stops all older ones and goes on.
    """
    if spec.overlap == "allow":
        return {}
    look: States = {
        "Running": {
            "Type": "Task",
            "Resource": target.integration("aws-sdk:sfn:listExecutions"),
            "Parameters": {
                "StateMachineArn.$": "$$.StateMachine.Id",
                "StatusFilter": "RUNNING",
                "MaxResults": 100,
            },
            "ResultSelector": {"arns.$": "$.Executions[*].ExecutionArn", "me.$": "$$.Execution.Id"},
            "ResultPath": "$.running",
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 2}],
            # Two runs at once are the lesser evil than none.
            "Catch": catch_all(then),
            "Next": "Alone?",
        },
        "Alone?": choice(present("$.running.arns[0]", "Oldest" if spec.overlap == "skip" else "Newest"), default=then),
    }
    return look | (_skip(then) if spec.overlap == "skip" else _replace(target, then))


def _skip(then: str) -> States:
    last = "States.MathAdd(States.ArrayLength($.running.arns), -1)"
    return {
        "Oldest": {
            "Type": "Pass",
            "Parameters": {"arn.$": f"States.ArrayGetItem($.running.arns, {last})"},
            "ResultPath": "$.oldest",
            "Next": "Mine to run?",
        },
        "Mine to run?": choice(when("$.oldest.arn", "StringEqualsPath", "$.running.me", then), default="Skipped"),
        "Skipped": {
            "Type": "Pass",
            "Result": {"status": "skipped", "reason": "the last run is still going on"},
            "End": True,
        },
    }


def _replace(target: Target, then: str) -> States:
    return {
        "Newest": {
            "Type": "Pass",
            "Parameters": {"listed.$": "States.ArrayContains($.running.arns, $.running.me)"},
            "ResultPath": "$.newest",
            "Next": "Mine to replace?",
        },
        "Mine to replace?": choice(
            when("$.newest.listed", "BooleanEquals", False, "Stop the others"),
            when("$.running.arns[0]", "StringEqualsPath", "$.running.me", "Stop the others"),
            default="Replaced",
        ),
        "Stop the others": {
            "Type": "Map",
            "ItemsPath": "$.running.arns",
            "ItemSelector": {"arn.$": "$$.Map.Item.Value", "me.$": "$.running.me"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "Another?",
                "States": {
                    "Another?": choice(when("$.arn", "StringEqualsPath", "$.me", "Stopped"), default="Stop"),
                    "Stop": {
                        "Type": "Task",
                        "Resource": target.integration("aws-sdk:sfn:stopExecution"),
                        "Parameters": {"ExecutionArn.$": "$.arn", "Cause": "replaced by a newer run"},
                        "Catch": catch_all("Stopped"),
                        "Next": "Stopped",
                    },
                    "Stopped": {"Type": "Succeed"},
                },
            },
            "ResultPath": None,
            "Next": then,
        },
        "Replaced": {
            "Type": "Pass",
            "Result": {"status": "skipped", "reason": "a newer run has replaced this one"},
            "End": True,
        },
    }
