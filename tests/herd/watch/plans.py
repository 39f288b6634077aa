"""The environments of the stories: who owns what, and when it is due."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from herd.runner.contract.plan import CatchUp, Due, Plan, PlannedPipeline, PlannedWorkload, Recipient

ANA, BEN, OPS, BOSS = "ana@example.com", "ben@example.com", "ops@example.com", "boss@example.com"


def due(
    name: str, expression: str, text: str, deadline: int = 75, zone: str = "UTC", catch_up: CatchUp = "none"
) -> Due:
    return Due(f"herd-prod-{name}", expression, text, zone, deadline, catch_up)


def job(name: str, when: Due | None = None, **more: Any) -> PlannedWorkload:
    """A job of Ana's."""
    settings: dict[str, Any] = {
        "name": name,
        "kind": "job",
        "owner": "analytics",
        "owners": (ANA,),
        "review_by": "2029-12-31",
        "log_group": f"/herd-prod/{name}",
        "machine": f"herd-prod-{name}",
        "due": when,
    }
    return PlannedWorkload(**{**settings, **more})


DAILY = due("load", "cron(0 6 * * ? *)", "0 6 * * *")
LOAD = job("load", DAILY, readers=("delay-model",))
MODEL = job("delay-model", due("delay-model", "cron(0 7 * * ? *)", "0 7 * * *"), readers=("delay-report", "delay-api"))
API = PlannedWorkload(
    name="delay-api",
    kind="api",
    owner="ben@example.com",
    owners=(BEN,),
    review_by="2029-12-31",
    log_group="/herd-prod/delay-api",
    service="herd-prod-delay-api",
    min_replicas=2,
)


def plan(*workloads: PlannedWorkload, **more: Any) -> Plan:
    """An environment `prod`; Ops want failures of everything and what is late, the boss all there is."""
    settings: dict[str, Any] = {
        "project": "herd",
        "environment": "prod",
        "schedules": True,
        "schedule_group": "herd-prod",
        "workloads": workloads,
        "pipelines": (),
        "recipients": (Recipient(OPS, ("failures", "late")), Recipient(BOSS, ("all",))),
    }
    return Plan(**{**settings, **more})


def pipeline(name: str, *jobs: str, when: Due | None = None) -> PlannedPipeline:
    return PlannedPipeline(name, f"herd-prod-{name}_pipeline", jobs, (ANA, BEN), when)


def of_others(workload: PlannedWorkload) -> PlannedWorkload:
    """The same, but Ben's."""
    return replace(workload, owner="ben@example.com", owners=(BEN,))
