"""What the watch knows of an environment before it looks: the workloads, when they are due, and who is told.

The program writes it into the function's archive, so that a change of a deadline or of an owner is a change of the
function and shows in the preview. It holds names, no ARNs and no addresses of AWS: it is a pure function of settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, cast, get_args

from .kinds import Kind

PLAN_SCHEMA: Final = 1
FILE: Final = "plan.json"

Wanted = Literal["failures", "late", "warnings", "all"]
"""Which messages an address gets beside those of what it owns."""
WANTED: tuple[Wanted, ...] = get_args(Wanted)

CatchUp = Literal["none", "latest"]


@dataclass(frozen=True)
class Recipient:
    """An address of `notifications` that wants to hear of every workload."""

    address: str
    wants: tuple[Wanted, ...]


@dataclass(frozen=True)
class Due:
    """When something is to start, and by when it is to have published.

    `expression` is AWS's (`cron(0 6 ? * MON-FRI *)`), `text` what the person wrote; `deadline_minutes` counts from each
    due time. `schedule` is the name of the schedule in EventBridge Scheduler.
    """

    schedule: str
    expression: str
    text: str
    timezone: str
    deadline_minutes: int
    catch_up: CatchUp = "none"


@dataclass(frozen=True)
class PlannedWorkload:
    """One job, report or service. `due` is None where it has no schedule of its own, or is paused.

    `owners` are addresses; `owner` is what the person wrote. `machine` is the name of its state machine, `service` that
    of its ECS service. `pipeline`: the pipeline that starts it. `readers`: the workloads that read its output.
    """

    name: str
    kind: Kind
    owner: str
    owners: tuple[str, ...]
    review_by: str
    log_group: str
    timezone: str = "UTC"
    machine: str | None = None
    service: str | None = None
    due: Due | None = None
    pipeline: str | None = None
    readers: tuple[str, ...] = ()
    paused: str | None = None
    expired: bool = False
    min_replicas: int | None = None


@dataclass(frozen=True)
class PlannedPipeline:
    """Jobs joined by `after`; a failure of one is reported as that job's. `owners`: of all its jobs, once each."""

    name: str
    machine: str
    jobs: tuple[str, ...]
    owners: tuple[str, ...]
    due: Due | None = None


@dataclass(frozen=True)
class Plan:
    """Of one environment. `schedules`: do they run there at all (`herd:schedules`)?"""

    project: str
    environment: str
    schedules: bool
    schedule_group: str
    workloads: tuple[PlannedWorkload, ...]
    pipelines: tuple[PlannedPipeline, ...] = ()
    recipients: tuple[Recipient, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Everybody who may be told anything, each once."""
        owners = (owner for workload in self.workloads for owner in workload.owners)
        return tuple(dict.fromkeys([*(recipient.address for recipient in self.recipients), *owners]))

    def to_json(self) -> str:
        return json.dumps({"schema": PLAN_SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Raises ValueError for what no release of this schema wrote."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("schema") != PLAN_SCHEMA:
            raise ValueError(f"not a plan of schema {PLAN_SCHEMA}")
        try:
            return cls(
                project=data["project"],
                environment=data["environment"],
                schedules=data["schedules"],
                schedule_group=data["schedule_group"],
                workloads=tuple(PlannedWorkload(**_with_due(entry)) for entry in data["workloads"]),
                pipelines=tuple(PlannedPipeline(**_with_due(entry)) for entry in data["pipelines"]),
                recipients=tuple(
                    Recipient(entry["address"], cast("tuple[Wanted, ...]", tuple(entry["wants"])))
                    for entry in data["recipients"]
                ),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a plan: {error!r}") from error


def _with_due(entry: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where the types have tuples."""
    read = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return {**read, "due": Due(**entry["due"]) if entry["due"] is not None else None}
