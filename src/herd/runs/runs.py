"""Runs of jobs and reports: the truth of a run's state is its Step Functions execution, of its data its record."""

from __future__ import annotations

import getpass
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
from herd.runner.contract.statuses import (
    ABORTED_RUN,
    FAILED_RUNS,
    SKIPPED_RUN,
    STATUS_OF_ERROR,
    SUCCEEDED_RUN,
    TIMED_OUT_RUN,
)
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
    files: int | None = None
    """How many it has published; None where its record was not read, or there is none."""
    confirms: str = ""
    """The run that it would have repeated, so that it was not carried out."""
    skipped: Run | None = None
    """A start after this run, or while it went on, that was skipped; the newest one."""

    @property
    def failed(self) -> bool:
        return self.status in FAILED_RUNS

    @property
    def seconds(self) -> float:
        """Its duration in seconds, up to now while it runs."""
        if self.started is None:
            return 0.0
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds()

    @property
    def published_nothing(self) -> bool:
        """Whether it succeeded, and left readers with what they had."""
        return self.status == SUCCEEDED_RUN and self.files == 0 and not self.confirms

    def as_json(self) -> dict[str, Any]:
        """Its entry in the output for scripts: times in UTC."""
        return {
            "id": self.id,
            "workload": self.workload,
            "status": self.status,
            "started": utc(self.started) if self.started else None,
            "ended": utc(self.ended) if self.ended else None,
            "seconds": round(self.seconds, 3) if self.started else None,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "attempts": self.attempts,
            "confirms": self.confirms or None,
        }


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
        output = parsed(described.get("output"))
        return (output.get("status", SUCCEEDED_RUN) if isinstance(output, dict) else SUCCEEDED_RUN), output
    cause = parsed(described.get("cause"))
    if state == "FAILED":
        return STATUS_OF_ERROR.get(described.get("error", ""), "failed"), cause or described.get("error", "")
    return STATUS_OF_EXECUTION.get(state, state.lower()), cause


def parsed(text: str | None) -> Any:
    """The value of a JSON text, else the text itself."""
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
    return next(iter(_listed(target, machine, 1, status)), None)


def last_runs(target: Target) -> dict[str, Run]:
    """The last run of every job and report that has one: what goes on, else what ended last.

    A start that was skipped is no run: it is a note on the run (`skipped`), or stands alone where there is none.
    """
    jobs, pipelines = target.exports.batch, target.exports.pipelines
    target.client("stepfunctions")  # made once, before the threads
    runs = in_parallel(lambda name: last_run(target, name), jobs)
    last = {name: run for name, run in zip(jobs, runs, strict=True) if run is not None}
    for described in in_parallel(lambda entry: _newest(target, entry.machine), pipelines.values()):
        if described:
            _add_skipped(last, described)
    return last


def last_run(target: Target, workload: str, *, with_record: bool = True) -> Run | None:
    """The run of a job or report that goes on, else the one that ended last, with the start after it that was skipped.

    `with_record`: with the details that only its record has.
    """
    machine = target.exports.batch[workload].machine
    newest = _listed(target, machine, LOOK_AT)
    running = [entry for entry in newest if entry["status"] == "RUNNING"]
    if not running and len(newest) == LOOK_AT:
        running = _listed(target, machine, 1, "RUNNING")
    run, skipped_start = None, None
    for entry in [*newest[:1], *running[:1], *_all(target, machine)] if newest else ():
        # What a skipped start gave way to had begun before it, and went on.
        if skipped_start is not None and entry.get("stopDate", LATER) < (skipped_start.started or LATER):
            continue
        described = execution(target, machine, entry["name"])
        run = run_of(workload, described) if described else None
        if run is not None and run.status == SKIPPED_RUN:
            skipped_start = skipped_start or run
        elif run is not None and (run.status == "running" or not running or entry["status"] == "RUNNING"):
            break  # one that was listed as running and has ended since is the one that ended last
        run = None
    if run is None:
        return skipped_start
    run = replace(run, skipped=skipped_start)
    return _with_record(target, run) if with_record else run


LOOK_AT = 10
"""Executions that are listed at first: mostly the first one is the last run."""

LATER = datetime.max.replace(tzinfo=UTC)


def _listed(target: Target, machine: str, most: int, status: str | None = None) -> list[dict[str, Any]]:
    """The newest executions, `most` at most; none of a machine that was removed by hand, or lost by the local cloud."""
    wanted = {"statusFilter": status} if status else {}
    states = target.client("stepfunctions")
    try:
        executions: list[dict[str, Any]] = states.list_executions(stateMachineArn=machine, maxResults=most, **wanted)[
            "executions"
        ]
    except states.exceptions.StateMachineDoesNotExist:
        return []
    return executions


def _all(target: Target, machine: str) -> Iterator[dict[str, Any]]:
    """Every execution, the newest first, page by page."""
    for page in target.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine):
        yield from page["executions"]


def _newest(target: Target, machine: str) -> dict[str, Any] | None:
    newest = latest(target, machine)
    return execution(target, machine, newest["name"]) if newest else None


def _add_skipped(last: dict[str, Run], described: Mapping[str, Any]) -> None:
    """Note jobs that were skipped: they have no execution of their own, only an entry in the pipeline's output."""
    for name, status in job_statuses(described).items():
        known = last.get(name)
        if status != SKIPPED_RUN or (known and known.started and known.started >= described["startDate"]):
            continue
        start = skipped(name, described)
        last[name] = replace(known, skipped=start) if known is not None and known.status != SKIPPED_RUN else start


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
    """A run that has ended with the details of its record: the check that failed and its value, the exit code; how many
    files it published.
    """
    if not run.failed and run.status != SUCCEEDED_RUN:
        return run
    workload = target.exports.workloads.get(run.workload)
    record = read_record(target, run.workload, run.id)
    if not run.failed:
        files = record.get("files") if record else None
        confirms = str((record or {}).get("confirms") or "")
        return replace(run, files=len(files) if isinstance(files, list) else None, confirms=confirms)
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


def who(target: Target) -> str:
    """Who acts: the identity that AWS knows, and the name on this machine."""
    identity = str(target.client("sts").get_caller_identity()["Arn"])
    try:
        return f"{getpass.getuser()} ({identity})"
    except (KeyError, OSError):  # no entry for this user
        return identity


def stop(target: Target, machine: str, run_id: str) -> bool:
    """Stop an execution and its tasks; False if it was not running."""
    described = execution(target, machine, run_id)
    if described is None or described["status"] != "RUNNING":
        return False
    target.client("stepfunctions").stop_execution(
        executionArn=execution_arn(machine, run_id), error="Herd.Cancelled", cause=f"stopped by {who(target)}"
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
