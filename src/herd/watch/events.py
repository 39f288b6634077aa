"""What happened: the events that EventBridge hands to the watch, as types of our own.

Names decide whose an event is, and they are compared whole: `herd-dev-2-churn` begins like the environment `herd-dev`
and is another's. What is not of this plan, the watch's own function included, is no event at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from herd.runner.contract.alarms import SERVICE_ALARMS, ServiceAlarm, alarm_name
from herd.runner.contract.names import RUN_ID
from herd.runner.contract.plan import Plan

from .known import Execution, RunKey

DRILL_SOURCE: Final = "herd"
DRILL_TYPE: Final = "Herd Drill"
"""An event that `herd alarms test` makes: `{"source": …, "detail-type": …, "detail": {"workload", "drill"}}`."""

DEPLOYMENT_FAILED: Final = "SERVICE_DEPLOYMENT_FAILED"
DEPLOYMENT_BEGUN: Final = "SERVICE_DEPLOYMENT_IN_PROGRESS"
DEPLOYMENT_COMPLETED: Final = "SERVICE_DEPLOYMENT_COMPLETED"

ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})


@dataclass(frozen=True)
class Tick:
    """The five minutes are over."""


@dataclass(frozen=True)
class RunEnded:
    """An execution of a workload's or pipeline's machine has ended. `name` is that of the workload or pipeline."""

    name: str
    key: RunKey
    execution: Execution
    is_pipeline: bool = False


@dataclass(frozen=True)
class DeploymentChanged:
    """A service's deployment went on. `event` is one of the three names above; `reason` is in ECS's words."""

    workload: str
    event: str
    deployment_id: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class AlarmChanged:
    """An alarm of a service. `state` is OK, ALARM or INSUFFICIENT_DATA; `reason` is in CloudWatch's words."""

    workload: str
    alarm: ServiceAlarm
    state: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Drill:
    """Somebody tries whether a message of this workload arrives. `drill` tells it from another try."""

    workload: str
    drill: str


Event = Tick | RunEnded | DeploymentChanged | AlarmChanged | Drill


def parse(plan: Plan, raw: object) -> Event | None:
    """The event, or None if it is not one of this environment's or does not have the shape that AWS documents.

    Never raises: what comes in is what anybody who may put events has written.
    """
    event = _object(raw)
    read = _READERS.get((_text(event.get("source")), _text(event.get("detail-type"))))
    try:
        return read(plan, event) if read else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _run(plan: Plan, event: Mapping[str, Any]) -> Event | None:
    detail = _object(event.get("detail"))
    status, run_id = _text(detail.get("status")), _text(detail.get("name"))
    machine = _text(detail.get("stateMachineArn")).rpartition(":stateMachine:")[2]
    name, is_pipeline = _machines(plan).get(machine, ("", False))
    if not name or status not in ENDED or not RUN_ID.fullmatch(run_id):
        return None
    execution = Execution(
        status=status,
        started=_millis(detail.get("startDate")),
        ended=_millis(detail.get("stopDate")),
        **{field: _text(detail.get(field)) for field in ("error", "cause", "output", "input")},
    )
    return RunEnded(name, RunKey(machine, run_id), execution, is_pipeline)


def _machines(plan: Plan) -> dict[str, tuple[str, bool]]:
    """Name of a state machine -> the workload or pipeline, and which of the two."""
    jobs = {workload.machine: (workload.name, False) for workload in plan.workloads if workload.machine}
    return jobs | {pipeline.machine: (pipeline.name, True) for pipeline in plan.pipelines}


def _deployment(plan: Plan, event: Mapping[str, Any]) -> Event | None:
    detail = _object(event.get("detail"))
    resources = event.get("resources")
    arn = _text(resources[0]) if isinstance(resources, list) and resources else ""
    # arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME
    cluster, _, service = arn.rpartition(":service/")[2].partition("/")
    workload = next((one.name for one in plan.workloads if one.service and one.service == service), None)
    name = _text(detail.get("eventName"))
    if (
        workload is None
        or cluster != f"{plan.project}-{plan.environment}"
        or name not in (DEPLOYMENT_FAILED, DEPLOYMENT_BEGUN, DEPLOYMENT_COMPLETED)
    ):
        return None
    at = _moment(detail.get("updatedAt")) or _moment(event.get("time"))
    if at is None:
        return None
    return DeploymentChanged(workload, name, _text(detail.get("deploymentId")), _text(detail.get("reason")), at)


def _alarm(plan: Plan, event: Mapping[str, Any]) -> Event | None:
    detail = _object(event.get("detail"))
    state = _object(detail.get("state"))
    names = {
        alarm_name(plan.project, plan.environment, workload.name, alarm): (workload.name, alarm)
        for workload in plan.workloads
        if workload.service
        for alarm in SERVICE_ALARMS
    }
    of = names.get(_text(detail.get("alarmName")))
    at = _moment(state.get("timestamp")) or _moment(event.get("time"))
    value = _text(state.get("value"))
    if of is None or at is None or value not in ("OK", "ALARM", "INSUFFICIENT_DATA"):
        return None
    return AlarmChanged(*of, value, _text(state.get("reason")), at)


def _drill(plan: Plan, event: Mapping[str, Any]) -> Event | None:
    detail = _object(event.get("detail"))
    workload, drill = _text(detail.get("workload")), _text(detail.get("drill"))
    if workload not in {one.name for one in plan.workloads} or not RUN_ID.fullmatch(drill):
        return None
    return Drill(workload, drill)


_READERS: Final[Mapping[tuple[str, str], Callable[[Plan, Mapping[str, Any]], Event | None]]] = {
    ("aws.events", "Scheduled Event"): lambda plan, event: Tick(),
    ("aws.states", "Step Functions Execution Status Change"): _run,
    ("aws.ecs", "ECS Deployment State Change"): _deployment,
    ("aws.cloudwatch", "CloudWatch Alarm State Change"): _alarm,
    (DRILL_SOURCE, DRILL_TYPE): _drill,
}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _millis(value: object) -> datetime:
    """Raises ValueError and its kin for what is no time."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("not a time")
    return datetime.fromtimestamp(value / 1000, UTC)


def _moment(value: object) -> datetime | None:
    """ISO 8601 as AWS writes it: `2027-01-31T06:00:00Z`, `2027-01-31T06:00:00.123+0000`."""
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
