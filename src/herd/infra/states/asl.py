"""Small pieces of Amazon States Language that the machines of jobs and of pipelines share.

Everything here is plain data: a state is a dict as AWS takes it (JSONPath dialect), a scope is a dict of named states.
Names of states are unique in a whole machine, nested scopes included (ASL specification), so builders take a label.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from herd.runner.contract.documents import SCHEMA
from herd.runner.contract.due import BY_SCHEDULE
from herd.runner.contract.keys import due_key, record_key

State = dict[str, Any]
States = dict[str, State]

RUN_ID = "$$.Execution.Name"
EVERYTHING = ["States.ALL"]


class Batch(Protocol):
    """A job or a report as far as its machine goes; `herd.infra.spec.models.BatchSpec` is one.

    The machines know nothing of the settings they are made from, so that the rules of those settings can look at the
    machine that would be made.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def hardware(self) -> str: ...
    @property
    def memory_gb(self) -> float: ...
    @property
    def timeout_minutes(self) -> int: ...
    @property
    def retries(self) -> int: ...
    @property
    def overlap(self) -> Literal["skip", "replace", "allow"]: ...
    @property
    def fan_out(self) -> tuple[str, ...]: ...
    @property
    def max_parallel(self) -> int: ...
    @property
    def after(self) -> tuple[str, ...]: ...


class Pipeline(Protocol):
    """Jobs joined by `after`; those of one level run at the same time."""

    @property
    def name(self) -> str: ...
    @property
    def levels(self) -> tuple[tuple[str, ...], ...]: ...


@dataclass(frozen=True)
class Target:
    """Where the machines of one environment act. All values are known ARNs and names, no Pulumi outputs.

    `cluster` is an ARN; `subnets` and `security_groups` are ids; `data_bucket` is the bucket of the run records.
    """

    environment: str
    partition: str
    cluster: str
    data_bucket: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    assign_public_ip: bool = True
    capacity_provider: str | None = None

    def integration(self, action: str) -> str:
        """`ecs:runTask.sync` -> the ARN of that service integration."""
        return f"arn:{self.partition}:states:::{action}"


def choice(*rules: State, default: str) -> State:
    return {"Type": "Choice", "Choices": list(rules), "Default": default}


def when(variable: str, test: str, value: object, then: str | None = None) -> State:
    """One comparison: `when("$.n", "NumericEquals", 65, "Check failed")`; without `then`, part of a bigger rule."""
    rule: State = {"Variable": variable, test: value}
    return rule if then is None else {**rule, "Next": then}


def present(variable: str, then: str | None = None) -> State:
    return when(variable, "IsPresent", True, then)


def catch_all(then: str, result_path: str | None = "$.error") -> list[State]:
    return [{"ErrorEquals": EVERYTHING, "ResultPath": result_path, "Next": then}]


def read_input(then: str, **more: object) -> States:
    """The first two states: `$.run` = {trigger, scheduled_time, params, pins} of the execution's input.

    Each has a default, so a machine can be started by hand with `{}`. `more` lies beside `run`.
    """
    return {
        "Defaults": {
            "Type": "Pass",
            "Parameters": {"trigger": "manual", "scheduled_time.$": "$$.Execution.StartTime", "params": {}, "pins": {}},
            "Next": "Input",
        },
        "Input": {
            "Type": "Pass",
            "Parameters": {"run.$": "States.JsonMerge($, $$.Execution.Input, false)", **more},
            "Next": then,
        },
    }


def when_due(label: str, marks: State, then: str) -> States:
    """A state of its own for a start that was due, and a step over it for every other one."""
    name = f"{label}: was due?"
    return {
        name: choice(when("$.run.trigger", "StringEquals", BY_SCHEDULE, label), default=then),
        label: marks,
    }


def put_marker(target: Target, of: str, then: str, *, completed: bool = False) -> State:
    """Writes the marker of the due time of this run: of a job, report or pipeline `of`.

    At the start only where there is none: a start that is delivered twice, or replaces another, must not take back what
    the first one has completed. That it cannot be written changes nothing for the run: the watch then says that the run
    is late, which is better than no run.
    """
    body = {
        "schema": SCHEMA,
        "workload": of,
        "scheduled_time.$": "$.run.scheduled_time",
        "run_id.$": RUN_ID,
        "started.$": "$$.Execution.StartTime",
        **({"completed.$": "$$.State.EnteredTime"} if completed else {"completed": None}),
    }
    key = f"States.Format('{due_key(of, '{}')}', $.run.scheduled_time)"
    return _put_object(target, key, body, then, only_if_absent=not completed)


def put_record(
    target: Target,
    workload: str,
    kind: str,
    then: str,
    *,
    status: State,
    item: Literal["$.item"] | None = None,
    params: str = "$.run.params",
    task_ran: bool = True,
) -> State:
    """Writes a run's record on behalf of a task that cannot; a record that the task itself wrote is never replaced.

    `status` holds the fields `status`, `attempt`, `exit_code`, `reason` (or their `.$` forms). That the record cannot
    be written, usually because there is one (412), changes nothing for the run. `task_ran`: a task may have written
    one, so that S3 is asked to keep it; asking is left out where it is not needed, since Step Functions knows fields of
    S3's requests by a copy of its own.
    """
    key = record_key(workload, "{}", "{}" if item else None)
    values = f"{RUN_ID}, $.item" if item else RUN_ID
    body = {
        "schema": SCHEMA,
        "environment": target.environment,
        "workload": workload,
        "kind": kind,
        "run_id.$": RUN_ID,
        **({"item.$": item} if item else {"item": None}),
        **status,
        "trigger.$": "$.run.trigger",
        "scheduled_time.$": "$.run.scheduled_time",
        "started.$": "$$.Execution.StartTime",
        "ended.$": "$$.State.EnteredTime",
        "image": None,
        "content_hash": None,
        "params.$": params,
        "inputs": [],
        "checks": [],
        "files": [],
    }
    return _put_object(target, f"States.Format('{key}', {values})", body, then, only_if_absent=task_ran)


def _put_object(target: Target, key: str, body: State, then: str, *, only_if_absent: bool) -> State:
    """Writes a JSON object of the data bucket. `key` is an expression; a write that fails is passed over."""
    return {
        "Type": "Task",
        "Resource": target.integration("aws-sdk:s3:putObject"),
        "TimeoutSeconds": 60,
        "Parameters": {
            "Bucket": target.data_bucket,
            "Key.$": key,
            "ContentType": "application/json",
            **({"IfNoneMatch": "*"} if only_if_absent else {}),
            "Body": body,
        },
        "ResultPath": None,
        "Catch": catch_all(then, None),
        "Next": then,
    }
