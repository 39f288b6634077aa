"""The state of every workload, joined from executions, records, services and schedules; what `herd status` shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from herd.checkout import review_dates as reviews
from herd.runs import runs, services
from herd.runs.runs import Run
from herd.runs.services import Service
from herd.targets.target import Target


@dataclass(frozen=True)
class WorkloadState:
    """One line of `herd status`. `healthy` is None for what is not a service."""

    name: str
    kind: str
    state: str
    url: str | None
    healthy: bool | None
    next_run: datetime | None
    last_run: Run | None
    log_group: str
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """The shape that the manual promises to scripts."""
        run = self.last_run
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "url": self.url,
            "healthy": self.healthy,
            "next_run": _text(self.next_run),
            "reason": self.reason,
            "last_run": None
            if run is None
            else {
                "id": run.id,
                "status": run.status,
                "started": _text(run.started),
                "ended": _text(run.ended),
                "exit_code": run.exit_code,
                "reason": run.reason,
            },
        }


def collect(target: Target) -> list[WorkloadState]:
    """The state of everything that is deployed, by name."""
    workloads = target.require_exports().workloads
    for service in ("ecs", "elbv2", "s3", "scheduler", "stepfunctions"):
        target.client(service)  # made before the threads: making clients is not thread-safe
    last = runs.last_runs(target)
    armed = _armed(target)
    now = reviews.now()

    def one(item: tuple[str, dict[str, Any]]) -> WorkloadState:
        name, told = item
        if told.get("service"):
            return _of_service(services.look(target, name, told), told)
        pipeline = target.exports.pipelines.get(told.get("pipeline") or "", {})
        schedule = told.get("schedule") or pipeline.get("schedule")
        is_armed = bool({told["machine"], pipeline.get("machine")} & armed)
        whose = _first_to_end(name, pipeline, workloads)
        ends = (whose, workloads[whose])
        return _of_job(name, {**told, "schedule": schedule}, last.get(name), is_armed, now, ends)

    return runs.in_parallel(one, sorted(workloads.items()))


def _of_service(service: Service, told: dict[str, Any]) -> WorkloadState:
    return WorkloadState(
        service.name,
        told["kind"],
        service.state,
        told.get("url"),
        service.healthy,
        None,
        None,
        told["log_group"],
        service.reason,
    )


def _first_to_end(name: str, pipeline: dict[str, Any], workloads: dict[str, dict[str, Any]]) -> str:
    """Whose `review_by` ends the schedule that starts workload `name`: a pipeline ends with its first."""
    members = [job for level in pipeline.get("levels", []) for job in level if job in workloads]
    first: str = min([name, *members], key=lambda job: _end(workloads[job]))
    return first


def _end(told: dict[str, Any]) -> datetime:
    """When a workload's last day is over, where it is at home."""
    from herd.infra.spec.schedule import end_of

    return end_of(date.fromisoformat(told["review_by"]), str(told.get("timezone", "UTC")))


def _of_job(
    name: str,
    told: dict[str, Any],
    run: Run | None,
    armed: bool,
    now: datetime,
    ends: tuple[str, dict[str, Any]] | None = None,
) -> WorkloadState:
    """`ends`: the workload whose `review_by` ends its schedule, where that is another's, and what is deployed of it."""
    whose, first = ends or (name, told)
    expired = _end(first) < now
    scheduled = told.get("schedule") is not None
    paused = scheduled and not armed
    if run is not None and run.status == "running":
        state = "running"
    elif expired:
        state = "expired"
    elif paused:
        state = "paused"
    elif run is not None and run.failed and run.status != "aborted":
        state = "failing"
    else:
        state = "idle" if run is not None and (run.status != "skipped" or run.ran_before) else "never-run"
    reason = ""
    if expired:
        reason = f"review_by {first['review_by']}{'' if whose == name else f' of {whose}'} has passed"
    url = told.get("url") if told["kind"] == "report" else None
    next_run = _next(told["schedule"], now) if scheduled and not paused and not expired else None
    return WorkloadState(name, told["kind"], state, url, None, next_run, run, told["log_group"], reason)


def _next(schedule: dict[str, str], now: datetime) -> datetime | None:
    from herd.infra.spec.schedule import Schedule, next_runs

    found = next_runs(Schedule(schedule["expression"], schedule["text"]), schedule["timezone"], now, 1)
    return found[0] if found else None


def _armed(target: Target) -> set[str]:
    """The machines that an enabled schedule of the environment starts, by ARN."""
    from herd.infra.naming import Naming

    naming = Naming(target.exports["project"], target.exports["environment"])
    client = target.client("scheduler")
    found: set[str] = set()
    arguments: dict[str, Any] = {"GroupName": naming.schedule_group}
    while True:
        try:
            page = client.list_schedules(**arguments)
        except client.exceptions.ResourceNotFoundException:
            return found
        found |= {entry["Target"]["Arn"] for entry in page["Schedules"] if entry["State"] == "ENABLED"}
        if not page.get("NextToken"):
            return found
        arguments["NextToken"] = page["NextToken"]


def _text(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with Z, as in the records."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
