"""Services are reconciled: the desired number of healthy tasks, rolled over to a new definition without a gap.

`reconcile` looks at what is declared and at what runs, and takes the next step. The agent's worker calls it whenever
something changed and when a restart is due, not by the clock.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from localcloud import backends
from localcloud.agent.deployments import Deployment, ServiceState, ServiceTask
from localcloud.agent.events import EventBus
from localcloud.agent.health import HealthChecks, Target
from localcloud.agent.memory import Memory
from localcloud.agent.run import TaskRun
from localcloud.agent.tasks import Tasks
from localcloud.agent.worker import Worker
from localcloud.server import Server

log = logging.getLogger(__name__)

LONGEST_DRAIN_SECONDS = 1.0
"""Requests here are answered from the same machine; nobody waits for a connection to be drained for minutes."""

IMPAIRED_AFTER = 3
"""How many tasks of a deployment have failed when the service is said to be unable to start them consistently."""

SCHEDULER = "ServiceSchedulerInitiated"


class Services:
    """Runs the account's services."""

    def __init__(self, server: Server, tasks: Tasks, bus: EventBus, memory: Memory, worker: Worker):
        self._server = server
        self._tasks = tasks
        self._bus = bus
        self._memory = memory
        self._health = HealthChecks(server, self._target_changed, worker)
        self._states: dict[str, ServiceState] = {}
        self._by_run: dict[TaskRun, tuple[ServiceState, ServiceTask]] = {}
        self._step = worker.add("services", self.reconcile)

    def stop(self) -> None:
        """Start no tasks any more; those that run are the caller's to stop."""
        self._step.remove()
        self._health.stop()

    def changed(self, service: Any) -> None:
        """A service was declared anew, or is to go. Hold the lock."""
        self._step.wake()

    def reconcile(self) -> float | None:
        """Take the next step for each service. In how many seconds to be called again if nothing else happens."""
        due: list[float] = []
        with self._server.lock:
            for _, backend in backends.regions("ecs", self._server.account):
                for service in list(backend.services.values()):
                    if service.status == "INACTIVE":
                        continue
                    try:
                        due += self._reconcile(backend, service)
                    except Exception:
                        log.exception("service %s is stuck", service.name)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _reconcile(self, backend: Any, service: Any) -> list[float]:
        state = self._states.get(service.arn)
        if state is None or state.service is not service:
            state = self._states[service.arn] = ServiceState(service)
            state.recall(self._memory.service(service.arn) or {})
        self._drop_stopped(state)
        if service.status == "DRAINING":
            self._wind_up(state)
            return []
        self._open_deployment(state)
        self._start_missing(backend, state)
        self._stop_surplus(state)
        self._judge(state)
        state.deployments[1:] = [older for older in state.older if older.tasks]
        state.publish()
        self._memory.service_changed(service.arn, state.record())
        now = time.monotonic()
        waiting = len(state.primary.live) < service.desired_count and state.primary.state != "FAILED"
        steady = [member.steady_at or 0.0 for deployment in state.deployments for member in deployment.tasks]
        return [due for due in (*steady, *([state.primary.restart_at] if waiting else [])) if due > now]

    # --- the steps ---

    def _drop_stopped(self, state: ServiceState) -> None:
        for deployment in state.deployments:
            for member in [member for member in deployment.tasks if member.run.finished.is_set()]:
                deployment.tasks.remove(member)
                self._by_run.pop(member.run, None)
                task = member.run.task
                if task.stop_code != SCHEDULER or member.unhealthy or member.run.unhealthy:
                    deployment.task_failed()
                    if deployment.failed == IMPAIRED_AFTER:
                        self._bus.service_acted(state.service, "SERVICE_TASK_START_IMPAIRED", "WARN")
                    state.say(f"(task {task.id}) stopped: {task.stopped_reason}")

    def _wind_up(self, state: ServiceState) -> None:
        """The service is being deleted: stop its tasks; when the last one has ended the service is INACTIVE."""
        for deployment in state.deployments:
            for member in deployment.live:
                member.run.before_stop = None
                self._forget_targets(member)
                self._stop(member, f"Scaling activity initiated by (deployment {deployment.id})")
        if any(deployment.tasks for deployment in state.deployments):
            state.publish()
            return
        state.deployments = []
        service = state.service
        service.deployments, service.running_count, service.pending_count = [], 0, 0
        service.status = "INACTIVE"
        self._states.pop(service.arn, None)
        self._memory.service_changed(service.arn, None)

    def _open_deployment(self, state: ServiceState) -> None:
        service = state.service
        current = state.deployments and state.primary.task_definition == service.task_definition
        if current and not service.new_deployment_forced:
            return
        service.new_deployment_forced = False
        deployment = Deployment(service.task_definition)
        state.deployments.insert(0, deployment)
        self._tell(state, "SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO")

    def _start_missing(self, backend: Any, state: ServiceState) -> None:
        deployment, service = state.primary, state.service
        if deployment.state == "FAILED" or time.monotonic() < deployment.restart_at:
            return
        _, most = state.bounds()
        room = most - sum(len(other.live) for other in state.deployments)
        for _ in range(min(service.desired_count - len(deployment.live), room)):
            member = ServiceTask(self._run_task(backend, service, deployment))
            member.run.on_change = self._run_changed
            deployment.tasks.append(member)
            self._by_run[member.run] = (state, member)
            state.say(f"has started 1 tasks: (task {member.run.task.id}).")

    def _run_task(self, backend: Any, service: Any, deployment: Deployment) -> TaskRun:
        strategy = service.capacity_provider_strategy
        task = backend.run_task(
            service.cluster_name,
            deployment.task_definition,
            1,
            None,
            deployment.id,
            service.tags if service.propagate_tags == "SERVICE" else [],
            None if strategy else (service.launch_type or "FARGATE"),
            service.network_configuration or None,
            f"service:{service.name}",
            service.platform_version,
            strategy,
        )[0]
        return self._tasks.run_of(task)

    def _stop_surplus(self, state: ServiceState) -> None:
        """Tasks above the desired count, and tasks of older deployments as far as enough healthy ones remain."""
        least, _ = state.bounds()
        reason = f"Scaling activity initiated by (deployment {state.primary.id})"
        for member in state.primary.live[state.service.desired_count :]:
            self._stop(member, reason)
        spare = sum(len(deployment.ready) for deployment in state.deployments) - least
        for member in [member for deployment in state.older for member in deployment.live]:
            if member.ready:
                if spare <= 0:
                    continue
                spare -= 1
            self._stop(member, reason)
            state.say(f"has stopped 1 running tasks: (task {member.run.task.id}).")

    def _judge(self, state: ServiceState) -> None:
        deployment, service = state.primary, state.service
        if deployment.state != "IN_PROGRESS":
            return
        enabled, rollback = state.breaker()
        if enabled and deployment.failed >= state.failures_allowed():
            self._fail(state, rollback)
        elif len(deployment.ready) == len(deployment.live) == service.desired_count and not any(
            older.tasks for older in state.older
        ):
            rolled_back = "rolling back" in deployment.reason
            deployment.settle(
                "COMPLETED", deployment.reason if rolled_back else f"ECS deployment {deployment.id} completed."
            )
            state.last_good = deployment.task_definition
            state.deployments = [deployment]
            state.say(f"(deployment {deployment.id}) deployment completed.")
            state.say("has reached a steady state.")
            self._tell(state, "SERVICE_DEPLOYMENT_COMPLETED", "INFO")
            self._bus.service_acted(service, "SERVICE_STEADY_STATE", "INFO")

    def _fail(self, state: ServiceState, rollback: bool) -> None:
        failed = state.primary
        failed.settle("FAILED", "ECS deployment circuit breaker: tasks failed to start.")
        state.say(f"(deployment {failed.id}) deployment failed: tasks failed to start.")
        self._tell(state, "SERVICE_DEPLOYMENT_FAILED", "ERROR")
        good = state.last_good
        if not rollback or good is None or good == failed.task_definition:
            return
        again = next((older for older in state.older if older.task_definition == good), None) or Deployment(good)
        state.deployments = [again, *(d for d in state.deployments if d is not again)]
        again.state, again.failed, again.restart_at = "IN_PROGRESS", 0, 0.0
        again.reason = f"ECS deployment circuit breaker: rolling back to deploymentId {again.id}."
        # Declared, so that it holds after a restart too.
        self._server.client("ecs", state.service.region_name).update_service(
            cluster=state.service.cluster_arn, service=state.service.arn, taskDefinition=good
        )
        state.say(f"rolling back to deployment {again.id}.")
        self._step.wake()

    # --- tasks and targets ---

    def _run_changed(self, run: TaskRun) -> None:
        """A task of a service runs or has stopped."""
        known = self._by_run.get(run)
        if known is not None:
            state, member = known
            if run.finished.is_set():
                self._forget_targets(member)
            elif not member.registered:
                self._register(state, member)
        self._step.wake()

    def _register(self, state: ServiceState, member: ServiceTask) -> None:
        groups = backends.elbv2(self._server.account, state.service.region_name).target_groups
        for entry in state.service.load_balancers:
            container = next(c for c in member.run.task.containers if c.name == entry["containerName"])
            binding = next(b for b in container.network_bindings if b["containerPort"] == entry["containerPort"])
            group = groups[entry["targetGroupArn"]]
            member.targets.append(self._health.register(member.run, group, binding["hostPort"]))
            state.say(f"registered 1 targets in (target-group {group.arn})")
        member.registered = True
        member.run.before_stop = lambda: self._drain(member)

    def _drain(self, member: ServiceTask) -> None:
        """Take a running task out of the load balancer, and give the requests that it has a moment to end."""
        with self._server.lock:
            for target in member.targets:
                self._health.drain(target)
            delays = [float(t.group.attributes["deregistration_delay.timeout_seconds"]) for t in member.targets]
        if delays and not member.run.exited:
            time.sleep(min(LONGEST_DRAIN_SECONDS, max(delays)))
        with self._server.lock:
            self._forget_targets(member)

    def _forget_targets(self, member: ServiceTask) -> None:
        for target in member.targets:
            self._health.deregister(target)
        member.targets = []

    def _target_changed(self, target: Target) -> None:
        """A target's health is another one now, or it is still unhealthy."""
        known = self._by_run.get(target.run)
        entry = target.entry
        if known is not None and entry is not None and entry["health"][0] == "unhealthy":
            state, member = known
            grace = state.service.health_check_grace_period_seconds or 0
            if member.live and time.monotonic() - target.run.started >= grace:
                group, reason = target.group.arn, entry["health"][2]
                state.say(f"(port {target.port}) is unhealthy in (target-group {group}) due to (reason {reason})")
                member.unhealthy = True
                self._stop(member, f"Task failed ELB health checks in (target-group {group})")
        self._step.wake()

    def _stop(self, member: ServiceTask, reason: str) -> None:
        self._tasks.request_stop(member.run.task, SCHEDULER, reason)

    def _tell(self, state: ServiceState, name: str, kind: str) -> None:
        self._bus.deployment_changed(state.service, name, kind, state.primary.id, state.primary.reason)
