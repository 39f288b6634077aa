"""Runs of jobs and reports: the truth of a run's state is its Step Functions execution, of its data its record."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from herd.runner.contract.keys import record_key
from herd.runner.contract.kinds import FOLDERS, Kind
from herd.runner.contract.statuses import ABORTED_RUN, FAILED_RUNS, STATUS_OF_ERROR, SUCCEEDED_RUN, TIMED_OUT_RUN
from herd.targets.target import Target

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
"""Concurrent requests to AWS, so that `herd status` of fifty jobs takes seconds, also to a distant region."""

STATUS_OF_EXECUTION = {
    "RUNNING": "running",
    "PENDING_REDRIVE": "running",
    "TIMED_OUT": TIMED_OUT_RUN,
    "ABORTED": ABORTED_RUN,
}

OUT_OF_MEMORY = "OutOfMemoryError"
"""How ECS's own reason begins when a task has used more than its memory."""


@dataclass(frozen=True)
class Run:
    """One run of one workload. `started`, `ended`: aware datetimes; `status`: of `contract.statuses`, or `running`;
    `attempts`: how many there were; `task`: the ARN of the last one's ECS task.
    """

    workload: str
    id: str
    status: str
    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    attempts: int | None = None
    task: str | None = None
    ran_before: bool = False
    """For a skipped run: whether the job has an earlier run."""

    @property
    def failed(self) -> bool:
        return self.status in FAILED_RUNS

    @property
    def seconds(self) -> float:
        """Its duration in seconds, up to now while it runs."""
        if self.started is None:
            return 0.0
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()


def new_id(trigger: str) -> str:
    """A run's name that sorts by time: `20270131T060000-manual-4f2a`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{trigger}-{secrets.token_hex(2)}"


def utc(moment: datetime) -> str:
    """ISO 8601 in UTC with Z, to the second, as scripts get it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def start(target: Target, machine: str, trigger: str, **more: Any) -> str:
    """Start an execution of a job's or pipeline's state machine (`machine`: its ARN); the run's id."""
    run_id = new_id(trigger)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    execution_input = {"trigger": trigger, "scheduled_time": now, **more}
    target.client("stepfunctions").start_execution(
        stateMachineArn=machine, name=run_id, input=json.dumps(execution_input)
    )
    return run_id


def execution_arn(machine: str, run_id: str) -> str:
    """`arn:…:stateMachine:NAME` and a run's id -> `arn:…:execution:NAME:ID`."""
    return f"{machine.replace(':stateMachine:', ':execution:')}:{run_id}"


def execution(target: Target, machine: str, run_id: str) -> dict[str, Any] | None:
    """An execution as AWS describes it; None if there is none of that name."""
    states = target.client("stepfunctions")
    try:
        described: dict[str, Any] = states.describe_execution(executionArn=execution_arn(machine, run_id))
    except states.exceptions.ExecutionDoesNotExist:
        return None
    return described


def run_of(workload: str, described: Mapping[str, Any]) -> Run:
    """The run of an execution that `DescribeExecution` returned."""
    status, cause = _outcome(described)
    details = cause if isinstance(cause, dict) else {}
    return Run(
        workload=workload,
        id=described["name"],
        status=status,
        started=described["startDate"],
        ended=described.get("stopDate"),
        exit_code=0 if status == SUCCEEDED_RUN else details.get("exit_code"),
        reason=str(details.get("reason") or (cause if isinstance(cause, str) else "")),
        attempts=details.get("attempts"),
        task=details.get("task"),
    )


def _outcome(described: Mapping[str, Any]) -> tuple[str, Any]:
    """The run's status, and the execution's output or cause, parsed if it is JSON."""
    state = described["status"]
    if state == "SUCCEEDED":
        output = _parsed(described.get("output"))
        return (output.get("status", SUCCEEDED_RUN) if isinstance(output, dict) else SUCCEEDED_RUN), output
    cause = _parsed(described.get("cause"))
    if state == "FAILED":
        return STATUS_OF_ERROR.get(described.get("error", ""), "failed"), cause or described.get("error", "")
    return STATUS_OF_EXECUTION.get(state, state.lower()), cause


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text) if text else ""
    except ValueError:
        return text


def job_statuses(described: Mapping[str, Any]) -> dict[str, str]:
    """Job -> status, from the output or cause of a pipeline's execution: `{"clean": "failed", "train": "skipped"}`."""
    _, said = _outcome(described)
    jobs = said.get("jobs") if isinstance(said, dict) else None
    return {str(name): str(status) for name, status in jobs.items()} if isinstance(jobs, dict) else {}


def latest(target: Target, machine: str, status: str | None = None) -> dict[str, Any] | None:
    """The newest execution of a state machine (name, status, dates), or None; `status`: filter, in AWS's words."""
    wanted = {"statusFilter": status} if status else {}
    states = target.client("stepfunctions")
    try:
        executions = states.list_executions(stateMachineArn=machine, maxResults=1, **wanted)["executions"]
    except states.exceptions.StateMachineDoesNotExist:  # removed by hand, or lost by the local cloud
        return None
    return executions[0] if executions else None


def last_runs(target: Target) -> dict[str, Run]:
    """The last run of every job and report that has one."""
    machines = {name: entry.machine for name, entry in target.exports.batch.items()}
    pipelines = target.exports.pipelines
    target.client("stepfunctions")  # made once, before the threads
    asked = in_parallel(
        lambda item: _last(target, *item),
        [*machines.items(), *((name, entry.machine) for name, entry in pipelines.items())],
    )
    last: dict[str, Run] = {}
    for name, described in zip(machines, asked[: len(machines)], strict=True):
        if described:
            last[name] = _with_record(target, run_of(name, described))
    for described in asked[len(machines) :]:
        if described:
            _add_skipped(last, described)
    return last


def _last(target: Target, name: str, machine: str) -> dict[str, Any] | None:
    newest = latest(target, machine)
    return execution(target, machine, newest["name"]) if newest else None


def _add_skipped(last: dict[str, Run], described: Mapping[str, Any]) -> None:
    """Add jobs that were skipped: they have no execution of their own, only an entry in the pipeline's output."""
    for name, status in job_statuses(described).items():
        known = last.get(name)
        if status == "skipped" and (known is None or known.started is None or known.started < described["startDate"]):
            last[name] = replace(skipped(name, described), ran_before=known is not None)


def skipped(workload: str, described: Mapping[str, Any]) -> Run:
    """The run of a job that the pipeline's execution `described` skipped."""
    return Run(
        workload,
        described["name"],
        "skipped",
        described["startDate"],
        described.get("stopDate"),
        reason="a job before it did not succeed",
    )


def _with_record(target: Target, run: Run) -> Run:
    """A failed run with the details of its record: the check that failed and its value, the exit code."""
    if not run.failed:
        return run
    workload = target.exports.workloads.get(run.workload)
    record = read_record(target, run.workload, run.id)
    return placed(completed(run, record) if record else run, workload.kind if workload else None)


def completed(run: Run, record: Mapping[str, Any]) -> Run:
    """A failed run with the details of its record; unchanged if the record is of an earlier attempt."""
    outdated = (
        run.attempts is not None
        and (record.get("attempt") or run.attempts) < run.attempts
        and (record.get("status"), record.get("exit_code")) != (run.status, run.exit_code)
    )
    if outdated:
        return run
    failed = [check["message"] for check in record.get("checks") or [] if not check["passed"] and check.get("message")]
    reason = "; ".join(failed) or record.get("reason") or run.reason
    if OUT_OF_MEMORY in run.reason:
        reason = run.reason  # ECS's own; the task could not record it
    code = run.exit_code if run.exit_code is not None else record.get("exit_code")
    return replace(run, reason=reason, exit_code=code)


def placed(run: Run, kind: Kind | None) -> Run:
    """The run with the settings file added to a reason that names a setting."""
    setting = re.search(r"\b(timeout_minutes|memory_gb) = [0-9.]*[0-9]", run.reason)
    if setting is None or kind is None:
        return run
    start, end = run.reason[: setting.end()], run.reason[setting.end() :]
    return replace(run, reason=f"{start} ({FOLDERS[kind]}/{run.workload}/workload.toml){end}")


def explained(target: Target, workload: str, described: Mapping[str, Any]) -> Run:
    """The run of an execution, with the details of its record."""
    return _with_record(target, run_of(workload, described))


def read_record(target: Target, workload: str, run_id: str, item: str | None = None) -> dict[str, Any] | None:
    """A run's record, or that of one item of a fan-out; None if there is none."""
    return read_json(target, record_key(workload, run_id, item))


def read_json(target: Target, key: str) -> dict[str, Any] | None:
    """A JSON object of the data bucket; None if there is none."""
    from botocore.exceptions import ClientError

    try:
        body = target.client("s3").get_object(Bucket=target.exports.data_bucket, Key=key)["Body"].read()
        value = json.loads(body)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            return None
        raise
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def listing(target: Target, prefix: str, bucket: str | None = None, **more: str) -> Iterator[dict[str, Any]]:
    """The pages of ListObjectsV2 over `bucket`, by default the data bucket; none where it was lost, as in a power
    failure.
    """
    from botocore.exceptions import ClientError

    pages = target.client("s3").get_paginator("list_objects_v2")
    try:
        yield from pages.paginate(Bucket=bucket or target.exports.data_bucket, Prefix=prefix, **more)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def stop(target: Target, machine: str, run_id: str) -> bool:
    """Stop an execution and its tasks; False if it was not running."""
    described = execution(target, machine, run_id)
    if described is None or described["status"] != "RUNNING":
        return False
    target.client("stepfunctions").stop_execution(
        executionArn=execution_arn(machine, run_id), error="Herd.Cancelled", cause="stopped by herd"
    )
    return True


def running(target: Target) -> list[tuple[str, str]]:
    """ARN of the state machine and run id of each running execution; pipelines first: stopping them starts no job."""
    states = target.client("stepfunctions")

    def ask(machine: str) -> list[tuple[str, str]]:
        try:
            pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
            return [(machine, entry["name"]) for page in pages for entry in page["executions"]]
        except states.exceptions.StateMachineDoesNotExist:
            return []

    return [entry for entries in in_parallel(ask, target.exports.machines) for entry in entries]


def in_parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The results of `function` for all items, in their order, AT_ONCE at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, items))


def waiting(target: Target) -> dict[str, str]:
    """Workload -> why its task has not started yet. The local cloud gives such a reason, Fargate does not."""
    ecs, cluster = target.client("ecs"), target.exports.cluster
    # ListTasks returns pages of a hundred, as many as DescribeTasks takes.
    pages = [page["taskArns"] for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster)]
    tasks = [task for arns in pages if arns for task in ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]]
    reasons = {
        task["taskDefinitionArn"].rsplit("/", 1)[-1].rpartition(":")[0]: task["containers"][0].get("reason", "")
        for task in tasks
        if task["lastStatus"] == "PROVISIONING" and task.get("containers")
    }
    families = {name: entry.task_definition for name, entry in target.exports.workloads.items()}
    return {name: reasons[family] for name, family in families.items() if reasons.get(family)}
