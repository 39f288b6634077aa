"""Services (APIs): which task definition runs, how many copies, and whether the load balancer finds them healthy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from herd import console
from herd.target import LocalTarget, Target

HEALTHY_SECONDS_LOCAL = 90.0
HEALTHY_SECONDS_AWS = 900.0


@dataclass(frozen=True)
class Service:
    """One service now. `state` is one of DESIGN 6's words for a service."""

    name: str
    state: str
    healthy: bool
    running: int
    desired: int
    started: Any = None
    reason: str = ""
    exists: bool = True


def look(target: Target, name: str, told: dict[str, Any]) -> Service:
    """How the service of workload `name` is; `told` is its entry in the exports."""
    ecs = target.client("ecs")
    try:
        found = ecs.describe_services(cluster=target.exports["cluster"], services=[told["service"]])["services"]
    except ecs.exceptions.ClusterNotFoundException:  # removed by hand, or lost by the local cloud
        found = []
    if not found or found[0]["status"] != "ACTIVE":
        return Service(name, "stopped", False, 0, 0, reason="the service does not exist", exists=False)
    service = found[0]
    primary: dict[str, Any] = next((entry for entry in service["deployments"] if entry["status"] == "PRIMARY"), {})
    running, desired = service["runningCount"], service["desiredCount"]
    targets = _targets(target, service)
    good = sum(health["State"] == "healthy" for health in targets) if targets else running
    state, reason = _state(target, service, primary, told, good)
    if state in ("deploying", "unhealthy") and not reason:
        reason = _complaint(targets)
    return Service(name, state, state == "healthy", running, desired, primary.get("createdAt"), reason)


def _state(
    target: Target, service: dict[str, Any], primary: dict[str, Any], told: dict[str, Any], good: int
) -> tuple[str, str]:
    runs, intended = primary.get("taskDefinition") or service["taskDefinition"], _intended(target, told)
    if intended and runs != intended:
        # Pulumi says nothing of it: to ECS a rollback that went well is a success.
        wrong = f"runs {_revision(runs)}, wanted is {_revision(intended)}"
        return "rolled-back", f"{wrong}: {why}" if (why := _why(service)) else wrong
    if service["desiredCount"] == 0:
        return "stopped", ""
    rollout = primary.get("rolloutState")
    if rollout == "FAILED":
        return ("rolled-back" if good else "unhealthy"), primary.get("rolloutStateReason", "")
    if rollout != "COMPLETED":
        # Whatever the old copies do, what was deployed last is not there yet.
        return "deploying", ""
    return ("healthy", "") if good else ("unhealthy", _why(service))


def _intended(target: Target, told: dict[str, Any]) -> str | None:
    """The revision that the program deployed last; where its exports do not say, the newest one of the family."""
    if arn := told.get("task_definition_arn"):
        return str(arn)
    ecs = target.client("ecs")
    try:
        found = ecs.describe_task_definition(taskDefinition=told["task_definition"])
        return str(found["taskDefinition"]["taskDefinitionArn"])
    except ecs.exceptions.ClientException:
        return None


def _revision(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _targets(target: Target, service: dict[str, Any]) -> list[dict[str, str]]:
    """The health of each of its targets, in the load balancer's words: State, Reason, Description."""
    balancing = target.client("elbv2")
    return [
        entry["TargetHealth"]
        for group in service.get("loadBalancers", [])
        for entry in balancing.describe_target_health(TargetGroupArn=group["targetGroupArn"])[
            "TargetHealthDescriptions"
        ]
    ]


def _complaint(targets: list[dict[str, str]]) -> str:
    """What the load balancer says of a target that it does not send requests to, if that is a complaint."""
    said = (health.get("Description", "") for health in targets if health["State"] == "unhealthy")
    return next(filter(None, said), "")


def _why(service: dict[str, Any]) -> str:
    """The newest event of the service that says what went wrong."""
    words = ("unable", "failed", "unhealthy", "stopped")
    return next((e["message"] for e in service.get("events", []) if any(word in e["message"] for word in words)), "")


def last_stop(target: Target, told: dict[str, Any]) -> str:
    """Why the newest stopped task of the service stopped: its reason and exit code."""
    ecs = target.client("ecs")
    cluster = target.exports["cluster"]
    arns = ecs.list_tasks(cluster=cluster, serviceName=told["service"], desiredStatus="STOPPED")["taskArns"]
    if not arns:
        return ""
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
    task = max(tasks, key=lambda entry: str(entry.get("stoppedAt", "")), default=None)
    if task is None:
        return ""
    codes = [str(entry["exitCode"]) for entry in task["containers"] if "exitCode" in entry]
    return str(task.get("stoppedReason", "")) + (f" (exit code {', '.join(codes)})" if codes else "")


def wait(target: Target) -> list[str]:
    """Wait until every service runs what was deployed, and is healthy; what is wrong with those that do not."""
    told = {name: entry for name, entry in target.exports.workloads.items() if entry.get("service")}
    if not told:
        return []
    seconds = HEALTHY_SECONDS_LOCAL if isinstance(target, LocalTarget) else HEALTHY_SECONDS_AWS
    deadline = time.monotonic() + seconds
    with console.step("waiting for services to be healthy", quiet=True) as step:
        while True:
            now = [look(target, name, entry) for name, entry in told.items()]
            waiting = [service for service in now if service.state not in ("healthy", "stopped", "rolled-back")]
            if not waiting or time.monotonic() > deadline:
                break
            step.update(", ".join(f"{service.name} {service.running}/{service.desired}" for service in waiting))
            time.sleep(0.2 if isinstance(target, LocalTarget) else 5)
    return [
        _problem(target, service, told[service.name], seconds)
        for service in now
        if service.state not in ("healthy", "stopped") or not service.exists
    ]


def _problem(target: Target, service: Service, told: dict[str, Any], seconds: float) -> str:
    from herd import logs

    why = service.reason or last_stop(target, told) or f"not healthy within {seconds:.0f} s"
    lines = [f"✗ {service.name} is {service.state}: {why}"]
    lines += [f"    {line.text}" for line in logs.tail(target, service.name, told["log_group"], 10)]
    return "\n".join(lines)
