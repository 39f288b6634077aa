"""Tasks are run: started through an engine, followed, stopped with grace, and described in ECS's words.

A task goes PROVISIONING, PENDING, RUNNING, DEACTIVATING, STOPPING, STOPPED. Each change is made under the server's
lock; an engine is called without it, because it calls back from threads of its own.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from moto.core.utils import utcnow

from localcloud import backends
from localcloud.agent.clock import Clock
from localcloud.agent.containers import CannotPrepare, Plan, Planner
from localcloud.agent.dependencies import Progress, state_of
from localcloud.agent.events import EventBus
from localcloud.agent.identity import TaskEnvironment, TaskIdentity
from localcloud.agent.memory import Memory
from localcloud.agent.run import TaskRun
from localcloud.agent.slots import Capacity, Slots, is_of_service
from localcloud.engines import CannotStart, Container, Engine, Exit
from localcloud.patches.ecs.api import family_of
from localcloud.patches.stepfunctions.patience import of_this_thread
from localcloud.server import Server

log = logging.getLogger(__name__)

STARTS_AT_ONCE = 4
"""How many tasks are being started at the same time. More would only take the processor from one another."""

STOPS_AT_ONCE = 8
"""How many are being drained at the same time."""

SHOWN_AFTER_STOP = timedelta(hours=1)
"""How long DescribeTasks shows a stopped task.
Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html ("at least one hour")"""

MOST_STOPPED_TASKS = 2_000
"""Of more than these, the ones that stopped first are forgotten sooner: a job a second leaves 3,600 in an hour."""

UNHEALTHY = ("ServiceSchedulerInitiated", "Task failed container health checks")
"""Why a service's task is stopped whose essential container is not well; other tasks run on, as on ECS."""

ESSENTIAL_EXITED = ("EssentialContainerExited", "Essential container in task exited")


class Tasks:
    """Runs the account's tasks."""

    def __init__(
        self,
        server: Server,
        engine: Engine,
        environment: TaskEnvironment,
        planner: Planner,
        bus: EventBus,
        memory: Memory,
        clock: Clock,
        capacity: Capacity,
    ):
        self._server = server
        self._engine = engine
        self._environment = environment
        self._planner = planner
        self._shipper = planner.shipper
        self._bus = bus
        self._memory = memory
        self._clock = clock
        self._slots = Slots(capacity)
        self._runs: dict[str, TaskRun] = {}
        self._stopped: deque[tuple[datetime, TaskRun]] = deque()
        self._starters = ThreadPoolExecutor(STARTS_AT_ONCE, thread_name_prefix="task-start")
        # Their own, because a job whose packages are being installed keeps its starter for minutes.
        self._service_starters = ThreadPoolExecutor(STARTS_AT_ONCE, thread_name_prefix="service-start")
        self._stoppers = ThreadPoolExecutor(STOPS_AT_ONCE, thread_name_prefix="task-stop")
        for task in memory.stopped_tasks():
            self._stopped_earlier(task)

    def submit(self, task: Any) -> TaskRun:
        """Take a task that RunTask has just made. Hold the lock."""
        run = TaskRun(task)
        self._runs[run.arn] = run
        self.prune()
        self._memory.task_changed(task)
        self._bus.task_changed(task)
        if is_of_service(run):
            self._service_starters.submit(self._guarded, self._start, run)
        else:
            self._slots.queue(run)
            run.patience = of_this_thread()
            if run.patience is not None:
                run.patience.pause()
            self._admit()
        return run

    def run_of(self, task: Any) -> TaskRun:
        """The run of a task that is not long gone. Raises KeyError."""
        return self._runs[task.task_arn]

    def request_stop(self, task: Any, code: str, reason: str) -> None:
        """Stop a task: `code` is its stopCode, such as UserInitiated. Stopping twice changes nothing. Hold the lock."""
        run = self._runs.get(task.task_arn)
        if run is not None:
            self._begin_stop(run, code, reason)

    def alive(self) -> list[TaskRun]:
        """Tasks that are not STOPPED."""
        return [run for run in self._runs.values() if not run.finished.is_set()]

    def stop_all(self, timeout: float) -> None:
        """Stop every task and wait for their ends, at most so many seconds; then start nothing any more."""
        with self._server.lock:
            alive = self.alive()
            for run in alive:
                run.before_stop = None
                self._begin_stop(run, "UserInitiated", "The local cloud was stopped")
        deadline = time.monotonic() + timeout
        for run in alive:
            run.finished.wait(max(0.0, deadline - time.monotonic()))
        self._starters.shutdown(wait=False, cancel_futures=True)
        self._service_starters.shutdown(wait=False, cancel_futures=True)
        self._stoppers.shutdown(wait=False, cancel_futures=True)

    # --- starting ---

    def _admit(self) -> None:
        """Start those who have a slot now."""
        for run in self._slots.admit():
            if run.patience is not None:
                run.patience.go_on()
            self._starters.submit(self._guarded, self._start, run)

    def _start(self, run: TaskRun) -> None:
        task = run.task
        try:
            # moto's definition has the attribute only when there is a role (ecs/models.py:198).
            role = task.overrides.get("taskRoleArn") or getattr(task.definition, "task_role_arn", None)
            identity = TaskIdentity(run.arn, role, family_of(task.task_definition_arn))
            credentials = self._environment(identity)
            with self._server.lock:
                if run.stopping:
                    return self._started(run)
                self._set_status(task, "PENDING")
                task.pull_started_at = utcnow()
                run.plans = self._planner.plan(task, credentials)
                run.waiting_plans = list(run.plans)
                run.progress = {
                    plan.record.name: Progress(timeout_seconds=plan.after.timeout_seconds) for plan in run.plans
                }
        except Exception as error:
            self._failed_to_start(run, error)
        self._start_containers(run)

    def _start_containers(self, run: TaskRun) -> None:
        """Start those that wait for no other container any more; with the last of them the task has started."""
        with run.start_lock:  # else a second thread would take the last one's start for done
            try:
                while (plan := self._next_plan(run)) is not None:
                    self._start_container(run, plan)
                    self._look_again_in_time(run, plan)
            except Exception as error:
                self._failed_to_start(run, error)
            with self._server.lock:
                if run.starting and (run.stopping or not run.waiting_plans):
                    self._started(run)

    def _next_plan(self, run: TaskRun) -> Plan | None:
        """The next container that may start. Raises `CannotStart` for one that never will."""
        with self._server.lock:
            if run.stopping:
                return None
            for plan in run.waiting_plans:
                may_start, never = state_of(plan.after, run.progress)
                if never:
                    raise CannotStart(f"CannotStartContainerError: container {plan.record.name} did not start: {never}")
                if may_start:
                    run.waiting_plans.remove(plan)
                    return plan
        return None

    def _look_again_in_time(self, run: TaskRun, plan: Plan) -> None:
        """When those that wait for a container that has just started have waited too long."""
        if any(name == plan.record.name for other in run.waiting_plans for name, _ in other.after.on):
            timer = threading.Timer(plan.after.timeout_seconds, self._go_on_starting, (run,))
            timer.daemon = True
            timer.start()

    def _go_on_starting(self, run: TaskRun) -> None:
        """Something that containers may wait for has happened, or the task is to stop."""
        if run.starting and run.plans:
            with suppress(RuntimeError):  # the pool is closed: nothing starts any more
                pool = self._service_starters if is_of_service(run) else self._starters
                pool.submit(self._guarded, self._start_containers, run)

    def _failed_to_start(self, run: TaskRun, error: Exception) -> None:
        if isinstance(error, CannotPrepare | CannotStart):
            reason = str(error)
        else:
            log.error("starting %s failed", run.arn, exc_info=error)
            reason = f"InternalError: {type(error).__name__}: {error}"
        with self._server.lock:
            self._begin_stop(run, "TaskFailedToStart", reason)

    def _start_container(self, run: TaskRun, plan: Plan) -> None:
        on_line = partial(self._shipper.write, plan.stream) if plan.stream else _discard
        on_exit = partial(self._container_exited, run, plan)
        try:
            handle = self._engine.start(self._with_health(run, plan), on_line, on_exit)
        except CannotStart as error:
            reason = in_ecs_words(str(error))
            with self._server.lock:
                plan.record.reason = reason
            raise CannotStart(reason) from error
        with self._server.lock:
            run.handles[plan.record.name] = handle
            plan.record.runtime_id = f"{run.task.id.replace('-', '')}-{handle.pid}"
            run.progress[plan.record.name].started = time.monotonic()
            if plan.record.name not in run.exited:
                plan.record.last_status = "RUNNING"
            stop_now = run.stopping
        if stop_now:
            handle.stop()

    def _with_health(self, run: TaskRun, plan: Plan) -> Container:
        """The container, whose health is told to its task. Until it is known it is UNKNOWN, without a check always."""
        container, checks = plan.container, plan.container.isolation
        if checks.health_check is None:
            return container
        with self._server.lock:
            plan.record.health_status = "UNKNOWN"
        return replace(container, isolation=replace(checks, on_health=partial(self._health_found, run, plan)))

    def _health_found(self, run: TaskRun, plan: Plan, status: str) -> None:
        with self._server.lock:
            plan.record.health_status = status
            if progress := run.progress.get(plan.record.name):  # else it has stopped meanwhile
                progress.health = status
            self._go_on_starting(run)
            if status == "UNHEALTHY" and plan.essential and is_of_service(run) and not run.stopping:
                run.unhealthy = True
                self._begin_stop(run, *UNHEALTHY)

    def _started(self, run: TaskRun) -> None:
        """All containers were started, or it came to nothing."""
        run.starting = False
        task = run.task
        if run.handles:
            task.pull_stopped_at = utcnow()
        if run.handles and task.stop_code != "TaskFailedToStart":
            task.started_at = utcnow()
            run.started = time.monotonic()
        if not run.stopping:
            self._set_status(task, "RUNNING")
            self._tell(run)
        self._finish_if_over(run)

    # --- stopping ---

    def _container_exited(self, run: TaskRun, plan: Plan, exit: Exit) -> None:
        self._shipper.flush()  # a task that is STOPPED has all its lines in the log
        record = plan.record
        with self._server.lock:
            record.exit_code, record.last_status = exit.code, "STOPPED"
            record.reason = exit.reason or None
            run.exited.add(record.name)
            run.progress[record.name].exit_code = exit.code
            self._go_on_starting(run)
            if plan.essential or len(run.exited) == len(run.plans):
                self._begin_stop(run, *ESSENTIAL_EXITED)
            self._finish_if_over(run)

    def _begin_stop(self, run: TaskRun, code: str, reason: str) -> None:
        if run.stopping:
            return
        run.stopping = True
        if self._slots.is_waiting(run):
            self._slots.leave(run)
            run.starting = False  # it never will
        task = run.task
        task.desired_status, task.stopping_at = "STOPPED", utcnow()
        task.stop_code, task.stopped_reason = code, reason
        if task.last_status == "RUNNING":
            self._set_status(task, "DEACTIVATING")
        self._go_on_starting(run)
        self._stoppers.submit(self._guarded, self._stop_containers, run)

    def _stop_containers(self, run: TaskRun) -> None:
        with self._server.lock:
            running = [handle for name, handle in run.handles.items() if name not in run.exited]
            before_stop = run.before_stop
            if running and run.task.last_status == "DEACTIVATING":
                self._set_status(run.task, "STOPPING")
        if before_stop is not None:
            before_stop()
        for handle in running:
            handle.stop()
        with self._server.lock:
            self._finish_if_over(run)

    def _finish_if_over(self, run: TaskRun) -> None:
        over = run.stopping and not run.starting and run.exited >= run.handles.keys()
        if not over or run.finished.is_set():
            return
        task = run.task
        task.stopped_at = task.execution_stopped_at = utcnow()
        task.connectivity = None
        for container in task.containers:
            container.last_status = "STOPPED"
        self._release(run)
        self._set_status(task, "STOPPED")
        self._stopped.append((self._clock.now(), run))
        run.finished.set()
        self._tell(run)
        run.forget_process()

    def _release(self, run: TaskRun) -> None:
        """Give back what the task held: its slot, ports, networks, credentials."""
        task = run.task
        self._engine.end_task(task.id)
        self._slots.leave(run)
        self._admit()
        self._planner.ports.release(b["hostPort"] for c in task.containers for b in c.network_bindings)
        for attachment in task.attachments:
            attachment["status"] = "DELETED"
            backends.detach_interface(self._server.account, task.region_name, attachment)
        self._environment.release(run.arn)

    # --- both ---

    def _set_status(self, task: Any, status: str) -> None:
        task.last_status = status
        task.version += 1
        self._memory.task_changed(task)
        self._bus.task_changed(task)

    def _tell(self, run: TaskRun) -> None:
        if run.on_change is not None:
            run.on_change(run)

    def _stopped_earlier(self, task: Any) -> None:
        """Show a task of an earlier process for the rest of its hour."""
        run = TaskRun(task, starting=False, stopping=True)
        run.finished.set()
        self._runs[run.arn] = run
        self._stopped.append((self._clock.now() - (utcnow() - task.stopped_at), run))

    def prune(self) -> None:
        """Forget tasks that stopped long ago. Hold the lock."""
        oldest = self._clock.now() - SHOWN_AFTER_STOP
        while self._stopped and (self._stopped[0][0] < oldest or len(self._stopped) > MOST_STOPPED_TASKS):
            _, run = self._stopped.popleft()
            self._runs.pop(run.arn, None)
            tasks = backends.ecs(self._server.account, run.task.region_name).tasks.get(run.task.cluster_name, {})
            tasks.pop(run.arn, None)
            self._memory.task_forgotten(run.arn)

    def _guarded(self, action: Callable[[TaskRun], None], run: TaskRun) -> None:
        try:
            action(run)
        except Exception:
            log.exception("%s failed on %s", action.__name__, run.arn)


def _discard(line: str) -> None:
    """Where the lines of a container without a log configuration go."""


def in_ecs_words(reason: str) -> str:
    """An engine's reason as ECS's stoppedReason: an error name, a colon, the text."""
    return reason if re.match(r"[A-Z]\w*Error: ", reason) else f"CannotStartContainerError: {reason}"
