"""The state of every workload, joined from executions, records, services and schedules; what `herd status` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from herd.checkout import review_dates
from herd.runner.contract.documents import Rollback
from herd.runner.contract.statuses import SKIPPED_RUN
from herd.runs import due_times, rollback, runs, services
from herd.runs.runs import Run
from herd.runs.services import Service
from herd.targets.exports import BatchExport, PipelineExport, ScheduleExport, ServiceExport
from herd.targets.target import Target

TROUBLE = frozenset({"failing", "late", "unhealthy", "rolled-back"})
"""States that somebody has to see to."""


@dataclass(frozen=True)
class WorkloadState:
    """One line of `herd status`. `healthy` is None for jobs and reports; states: docs/guide/contract.md."""

    name: str
    kind: str
    state: str
    url: str | None
    healthy: bool | None
    next_run: datetime | None
    last_run: Run | None
    log_group: str
    reason: str = ""
    rollback: Rollback | None = None
    """Set while the current version is an earlier one, and not that of the last run that succeeded."""

    def as_json(self) -> dict[str, Any]:
        """The entry of `herd status --json`, which scripts rely on."""
        run = self.last_run
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "url": self.url,
            "healthy": self.healthy,
            "next_run": _text(self.next_run),
            "reason": self.reason,
            "rollback": asdict(self.rollback) if self.rollback else None,
            "last_run": {**entry, "files": run.files} if run and (entry := _entry(run)) else None,
            "skipped": _entry(run.skipped) if run else None,
        }


def _entry(run: Run | None) -> dict[str, Any] | None:
    """A run in the entry of its workload."""
    return {name: value for name, value in run.as_json().items() if name in _OF_RUN} if run else None


_OF_RUN = ("id", "status", "started", "ended", "exit_code", "reason", "confirms")


def collect(target: Target) -> list[WorkloadState]:
    """The state of every deployed workload, sorted by name."""
    exports = target.require_exports()
    for service in ("ecs", "elbv2", "s3", "scheduler", "stepfunctions"):
        target.client(service)  # made before the threads: making clients is not thread-safe
    last = runs.last_runs(target)
    armed = _armed(target)
    now = review_dates.now()
    rolled_back = rollback.rolled_back(target)

    def one(item: tuple[str, BatchExport | ServiceExport]) -> WorkloadState:
        name, entry = item
        if isinstance(entry, ServiceExport):
            return _of_service(services.look(target, name, entry), entry)
        pipeline = exports.pipelines.get(entry.pipeline) if entry.pipeline else None
        is_armed = bool({entry.machine, pipeline.machine if pipeline else None} & armed.keys())
        if pipeline is None:
            due = _overdue(target, name, entry, armed.get(entry.machine), now, last.get(name))
            return _of_job(name, entry, last.get(name), is_armed, now, due=due)
        members = {member: exports.batch[member] for member in pipeline.members if member in exports.batch}
        of_pipeline = {"schedule": entry.schedule or pipeline.schedule, "paused": entry.paused or pipeline.paused}
        due = _overdue(target, entry.pipeline or name, pipeline, armed.get(pipeline.machine), now, last.get(name))
        return _of_job(name, entry.model_copy(update=of_pipeline), last.get(name), is_armed, now, members, due)

    states = runs.in_parallel(one, sorted(exports.workloads.items()))
    return [replace(state, rollback=rolled_back.get(state.name)) for state in states]


def _of_service(service: Service, export: ServiceExport) -> WorkloadState:
    return WorkloadState(
        service.name,
        export.kind,
        service.state,
        export.url,
        service.healthy,
        None,
        None,
        export.log_group,
        service.reason,
    )


def _overdue(
    target: Target, of: str, entry: BatchExport | PipelineExport, since: datetime | None, now: datetime, run: Run | None
) -> datetime | None:
    """A due time of a job or pipeline that was not kept. An earlier Herd exports no deadline and leaves no markers."""
    if entry.schedule is None or entry.deadline_minutes is None or since is None:
        return None
    return due_times.overdue(target, of, entry.schedule, entry.deadline_minutes, since, now, run)


def _end(export: BatchExport) -> datetime:
    """The end of a workload's last day, in its time zone."""
    from herd.runner.contract.schedule import end_of

    return end_of(export.review_by, export.timezone)


def _of_job(
    name: str,
    export: BatchExport,
    run: Run | None,
    armed: bool,
    now: datetime,
    members: Mapping[str, BatchExport] = MappingProxyType({}),
    due: datetime | None = None,
) -> WorkloadState:
    """`members`: the jobs of its pipeline, whose schedule ends with the earliest `review_by` among them. `due`: a due
    time that has passed its deadline and was not kept.
    """
    whose, first = min([(name, export), *members.items()], key=lambda item: _end(item[1]))
    expired = _end(first) < now
    scheduled = export.schedule is not None
    paused = scheduled and not armed
    failed_since = run is not None and run.failed and run.status != "aborted" and not _is_before(run, due)
    late = due is not None and not (expired or paused or failed_since)
    if late:
        state = "late"
    elif run is not None and run.status == "running":
        state = "running"
    elif expired:
        state = "expired"
    elif paused:
        state = "paused"
    elif run is not None and run.failed and run.status != "aborted":
        state = "failing"
    else:
        state = "idle" if run is not None and run.status != SKIPPED_RUN else "never-run"
    reason = ""
    if late and due is not None:
        reason = f"was due at {_text(due)}, has passed its deadline, and nothing was published"
    elif not expired:
        reason = export.paused or ""
    else:
        reason = f"review_by {first.review_by}{'' if whose == name else f' of {whose}'} has passed"
    next_run = _next(export.schedule, now) if export.schedule and not paused and not expired else None
    return WorkloadState(name, export.kind, state, export.url, None, next_run, run, export.log_group, reason)


def _is_before(run: Run, due: datetime | None) -> bool:
    return due is not None and run.started is not None and run.started < due


def _next(schedule: ScheduleExport, now: datetime) -> datetime | None:
    from herd.runner.contract.schedule import Schedule, next_runs

    upcoming = next_runs(Schedule(schedule.expression, schedule.text), schedule.timezone, now, 1)
    return upcoming[0] if upcoming else None


def _armed(target: Target) -> dict[str, datetime | None]:
    """ARNs of the state machines that an enabled schedule of the environment starts -> when that was changed last."""
    from herd.infra.naming import Naming

    naming = Naming(target.exports.project, target.exports.environment)
    client = target.client("scheduler")
    machines: dict[str, datetime | None] = {}
    arguments: dict[str, Any] = {"GroupName": naming.schedule_group}
    while True:
        try:
            page = client.list_schedules(**arguments)
        except client.exceptions.ResourceNotFoundException:
            return machines
        machines |= {
            entry["Target"]["Arn"]: entry.get("LastModificationDate")
            for entry in page["Schedules"]
            if entry["State"] == "ENABLED"
        }
        if not page.get("NextToken"):
            return machines
        arguments["NextToken"] = page["NextToken"]


def _text(moment: datetime | None) -> str | None:
    return runs.utc(moment) if moment else None
