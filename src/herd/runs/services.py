"""Services: the task definition that runs, the number of copies, their health at the load balancer, and failures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from herd import console
from herd.runner.contract.kinds import FOLDERS
from herd.runs import logs
from herd.runs.runs import OUT_OF_MEMORY
from herd.targets.exports import ServiceExport
from herd.targets.target import Target

USUAL_START_SECONDS = 60
COPIES_TRIED = 3
"""Copies that may fail before ECS's circuit breaker fails the deployment."""

TAIL_LINES = 10
LOOKED_THROUGH = 200
"""Log lines that are searched for the runner's message about the service's health."""

_ADVICE = re.compile(r"herd: ((?:GET /\S* (?:still )?answers (?!200\b)|nothing answers on port ).*)")
_UNHEALTHY = re.compile(r"is unhealthy in .*due to \(reason (.+?)\)\.?$")


@dataclass(frozen=True)
class Service:
    """One service as it is now. `state`: one of the states of services in docs/guide/contract.md."""

    name: str
    state: str
    healthy: bool
    running: int
    desired: int
    started: Any = None
    reason: str = ""
    exists: bool = True


def look(target: Target, name: str, export: ServiceExport) -> Service:
    """The present state of the service of workload `name`."""
    ecs = target.client("ecs")
    try:
        services = ecs.describe_services(cluster=target.exports.cluster, services=[export.service])["services"]
    except ecs.exceptions.ClusterNotFoundException:  # removed by hand, or lost by the local cloud
        services = []
    if not services or services[0]["status"] != "ACTIVE":
        return Service(name, "stopped", False, 0, 0, reason="the service does not exist", exists=False)
    service = services[0]
    primary: dict[str, Any] = next((entry for entry in service["deployments"] if entry["status"] == "PRIMARY"), {})
    running, desired = service["runningCount"], service["desiredCount"]
    targets = _targets(target, service)
    good = sum(health["State"] == "healthy" for health in targets) if targets else running
    state, reason = _state(target, service, primary, export, good)
    complaint = ""
    if state in ("deploying", "unhealthy", "rolled-back"):
        since = primary.get("createdAt") if state == "deploying" else None
        complaint = (_complaint(targets) if state != "rolled-back" else "") or _complained(service, since)
    if complaint:
        words = _health_words(name, export, complaint)
        reason = f"{reason.rstrip('.')}; {words}" if reason else words
    return Service(name, state, state == "healthy", running, desired, primary.get("createdAt"), reason)


def _state(
    target: Target, service: dict[str, Any], primary: dict[str, Any], export: ServiceExport, good: int
) -> tuple[str, str]:
    runs, intended = primary.get("taskDefinition") or service["taskDefinition"], _intended(target, export)
    if intended and runs != intended:
        # Pulumi does not report it: for ECS a rollback that succeeded is a success.
        wrong = f"runs {_revision(runs)}, wanted is {_revision(intended)}"
        return "rolled-back", f"{wrong}: {why}" if (why := _why(service)) else wrong
    if service["desiredCount"] == 0:
        return "stopped", ""
    rollout = primary.get("rolloutState")
    if rollout == "FAILED":
        return ("rolled-back" if good else "unhealthy"), primary.get("rolloutStateReason", "")
    if rollout != "COMPLETED":
        # Whatever the old copies do, the last deployment is not complete.
        return "deploying", ""
    return ("healthy", "") if good else ("unhealthy", _why(service))


def _intended(target: Target, export: ServiceExport) -> str | None:
    """The revision that the program deployed last, by the stack's outputs, else the newest one of the family."""
    if export.task_definition_arn:
        return export.task_definition_arn
    ecs = target.client("ecs")
    try:
        described = ecs.describe_task_definition(taskDefinition=export.task_definition)
        return str(described["taskDefinition"]["taskDefinitionArn"])
    except ecs.exceptions.ClientException:
        return None


def _revision(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _targets(target: Target, service: dict[str, Any]) -> list[dict[str, str]]:
    """The TargetHealth of each of the service's targets: State, Reason, Description."""
    balancing = target.client("elbv2")
    return [
        entry["TargetHealth"]
        for group in service.get("loadBalancers", [])
        for entry in balancing.describe_target_health(TargetGroupArn=group["targetGroupArn"])[
            "TargetHealthDescriptions"
        ]
    ]


def _complaint(targets: list[dict[str, str]]) -> str:
    """The load balancer's description of an unhealthy target; "" if there is none."""
    said = (health.get("Description", "") for health in targets if health["State"] == "unhealthy")
    return next(filter(None, said), "")


def _complained(service: dict[str, Any], since: Any = None) -> str:
    """The load balancer's reason in the events of the last failed deployment, if no steady state has followed."""
    events = service.get("events", [])
    messages = [str(event["message"]) for event in events if since is None or event["createdAt"] >= since]
    failed = next((number for number, message in enumerate(messages) if "deployment failed" in message), 0)
    for message in messages[failed:]:
        if match := _UNHEALTHY.search(message):
            return match[1]
        if "steady state" in message:
            break
    return ""


def _health_words(name: str, export: ServiceExport, said: str) -> str:
    """The load balancer's reason in terms of the workload's settings."""
    path = export.health
    if not path:
        return said
    file = f"{FOLDERS[export.kind]}/{name}/workload.toml"
    if codes := re.search(r"codes: \[(\d+)", said):
        if codes[1].startswith("5"):
            return f"GET {path} answers {codes[1]}, and must answer 200 while the process is up"
        return f'GET {path} answers {codes[1]}; name a path that answers 200 in {file}, like health = "/"'
    minutes = (export.start_seconds or USUAL_START_SECONDS) // 60
    return (
        f"nothing answers GET {path} on $PORT ({said}); if it takes longer to start, "
        f"raise start_minutes = {minutes} in {file}"
    )


def _why(service: dict[str, Any]) -> str:
    """The newest event of the service that reports a failure; "" if there is none."""
    words = ("unable", "failed", "unhealthy", "stopped")
    return next((e["message"] for e in service.get("events", []) if any(word in e["message"] for word in words)), "")


def last_stop(target: Target, export: ServiceExport) -> str:
    """Why the newest stopped task of the service stopped: its reason and exit code."""
    task = _last_stopped(target, export)
    if task is None:
        return ""
    for container in task["containers"]:
        if OUT_OF_MEMORY in container.get("reason", "") and task.get("memory"):
            return f"used more than memory_gb = {int(task['memory']) / 1024:g}: {container['reason']}"
    codes = [str(entry["exitCode"]) for entry in task["containers"] if "exitCode" in entry]
    return str(task.get("stoppedReason", "")) + (f" (exit code {', '.join(codes)})" if codes else "")


def _last_stopped(target: Target, export: ServiceExport) -> dict[str, Any] | None:
    """The task of the service that stopped last; ECS lists it for an hour."""
    ecs = target.client("ecs")
    cluster = target.exports.cluster
    arns = ecs.list_tasks(cluster=cluster, serviceName=export.service, desiredStatus="STOPPED")["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return max(tasks, key=lambda entry: str(entry.get("stoppedAt", "")), default=None)


def explain(target: Target, name: str, export: ServiceExport, reason: str) -> tuple[str, list[str]]:
    """The reason why a service is not healthy, and the last log lines of the copy that failed last.

    The runner's own message about the service's health is preferred to the load balancer's.
    """
    task = _last_stopped(target, export)
    logged = logs.tail(target, name, export.log_group, LOOKED_THROUGH, task["taskArn"] if task else None)
    advice = next((said[1] for line in reversed(logged) if (said := _ADVICE.match(line.text))), "")
    asked = re.compile(rf"(?:GET|HEAD) \S*{re.escape(export.health or '/health')} HTTP/")
    lines = [line.text for line in logged if not asked.search(line.text)][-TAIL_LINES:]
    if advice and (not reason or "GET /" in reason):
        before = re.split(r"(?:nothing answers )?GET /", reason, maxsplit=1)[0]
        reason = f"{before}{advice}"
    return reason, lines


def wait(target: Target) -> list[str]:
    """Wait until every service runs the last deployment and is healthy; a text for each that does not in time."""
    deployed = target.exports.services
    if not deployed:
        return []
    seconds = target.pace.healthy + COPIES_TRIED * (longest_start(deployed.values()) - USUAL_START_SECONDS)
    began = time.monotonic()
    with console.step("waiting for services to be healthy", quiet=True) as step:
        while True:
            now = [look(target, name, entry) for name, entry in deployed.items()]
            waiting = [service for service in now if service.state not in ("healthy", "stopped", "rolled-back")]
            waited = time.monotonic() - began
            if not waiting or waited > seconds:
                break
            step.update(", ".join(f"{service.name} {service.running}/{service.desired}" for service in waiting))
            time.sleep(target.pace.pause(target.pace.poll, waited))
    return [
        _problem(target, service, deployed[service.name], seconds)
        for service in now
        if service.state not in ("healthy", "stopped") or not service.exists
    ]


def longest_start(deployed: Iterable[ServiceExport]) -> float:
    """The longest start time of these services' copies, in seconds."""
    return max((float(entry.start_seconds or 0) for entry in deployed), default=0.0) or USUAL_START_SECONDS


def _problem(target: Target, service: Service, export: ServiceExport, seconds: float) -> str:
    if not service.exists:
        return f"✗ {service.name} is {service.state}: {service.reason}"
    reason, lines = explain(target, service.name, export, service.reason)
    why = reason or last_stop(target, export) or f"not healthy within {seconds:.0f} s"
    return "\n".join([f"✗ {service.name} is {service.state}: {why}", *(f"    {line}" for line in lines)])
