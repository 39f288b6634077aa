"""The agent as a whole: it listens to changes of moto's models and hands them to the part that reconciles them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud.agent.alarms import Alarms
from localcloud.agent.builds import Builds
from localcloud.agent.clock import Clock, SystemClock
from localcloud.agent.containers import Planner
from localcloud.agent.databases import Databases
from localcloud.agent.delivery import Delivery
from localcloud.agent.events import EventBus
from localcloud.agent.executions import Executions
from localcloud.agent.functions.environment import Programs
from localcloud.agent.functions.functions import Credentials
from localcloud.agent.functions.invocations import Invocations
from localcloud.agent.gauges import Gauges
from localcloud.agent.identity import TaskEnvironment
from localcloud.agent.logs import LogShipper
from localcloud.agent.memory import Memory, NoMemory
from localcloud.agent.meters import Meters
from localcloud.agent.rule_deliveries import RuleDeliveries
from localcloud.agent.scheduled_rules import ScheduledRules
from localcloud.agent.schedules import Schedules
from localcloud.agent.services import Services
from localcloud.agent.slots import Capacity
from localcloud.agent.tasks import Tasks
from localcloud.agent.traffic import Traffic
from localcloud.agent.worker import Worker
from localcloud.engines import CannotStart, Engine
from localcloud.images import Images
from localcloud.metrics.series import Series
from localcloud.patches import hooks
from localcloud.server import Server

log = logging.getLogger(__name__)

STOP_SECONDS = 40.0
"""How long `stop` waits for tasks to end: a container's default grace period and a little more."""


@dataclass(frozen=True)
class FunctionParts:
    """What Lambda functions need: what starts their processes, what gives them credentials, where they are kept."""

    programs: Programs | None = None
    credentials: Credentials | None = None
    folder: Path | None = None


class _NoPrograms:
    """An agent that runs no functions."""

    def start_program(self, program: Any, on_line: Any, on_exit: Any) -> Any:
        raise CannotStart("this agent runs no functions")


class Agent:
    """Runs an account's tasks, services, schedules and events. A `hooks.Listener`."""

    def __init__(
        self,
        server: Server,
        engine: Engine,
        images: Images,
        task_environment: TaskEnvironment,
        clock: Clock | None = None,
        memory: Memory | None = None,
        capacity: Capacity | None = None,
        functions: FunctionParts | None = None,
        traffic: Traffic | None = None,
        databases: Path | None = None,
    ):
        memory, clock = memory or NoMemory(), clock or SystemClock()
        capacity = capacity or Capacity.of_this_machine()
        self._server = server
        self._clock = clock
        self._bus = EventBus(server.account, clock)
        self.meters = Meters(server, clock)
        self.executions = Executions(self._bus, self.meters)
        self._worker = Worker("agent")
        self._shipper = LogShipper(server, self._worker)
        self._delivery = Delivery(server)
        self.deliveries = RuleDeliveries(server, self._delivery, self.meters, clock, self._worker)
        planner = Planner(server, self._shipper, images, engine.has_own_network)
        self.tasks = Tasks(server, engine, task_environment, planner, self._bus, memory, clock, capacity)
        self.services = Services(server, self.tasks, self._bus, memory, self._worker)
        self.schedules = Schedules(server, self._delivery, self.meters, clock, self._worker)
        self.rules = ScheduledRules(server, self.event_matched, clock, self._worker)
        self.gauges = Gauges(server, self.meters, traffic or Traffic(clock), self.tasks, clock, self._worker)
        self.alarms = Alarms(server, self._bus, self._delivery, clock, self._worker)
        functions = functions or FunctionParts()
        self.functions = Invocations(
            server, functions.programs or _NoPrograms(), functions.credentials or task_environment, self._shipper,
            self.meters, self._delivery, clock, self._worker, functions.folder,
        )  # fmt: skip
        self.builds = Builds(server, clock)
        self.databases = Databases(server, databases, self._worker)
        hooks.connect_listener(server.account, self)

    def start(self) -> None:
        """Begin. Without it tasks still run; services and schedules then only move by `tick`."""
        self.schedules.start()
        self.databases.start()
        self._worker.start()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop all tasks with their grace period, ship their last lines, and end."""
        hooks.disconnect_listener(self._server.account)
        self.schedules.stop()
        self.rules.stop()
        self.gauges.stop()
        self.alarms.stop()
        self.functions.stop()
        self.services.stop()
        self.tasks.stop_all(timeout)
        self.deliveries.stop()
        self.databases.stop()
        self._shipper.stop()
        self._worker.stop()

    def tick(self) -> None:
        """Observe, compare, act, once: fire what is due by the agent's clock and take each service's next step."""
        self.schedules.tick()
        self.rules.tick()
        self.deliveries.tick()
        self.functions.tick()
        self.services.reconcile()
        self.gauges.tick()
        self.alarms.tick()
        self.databases.tick()
        self._shipper.flush()

    def settle(self) -> None:
        """Wait until what has happened so far is delivered: events to their targets, alarms to whom they tell. Not
        with the server's lock held.
        """
        self.alarms.settle()
        self.deliveries.settle()

    # --- hooks.Listener: called with the server's lock held ---

    def task_submitted(self, task: Any) -> None:
        self.tasks.submit(task)

    def task_stop_requested(self, task: Any, reason: str) -> None:
        self.tasks.request_stop(task, "UserInitiated", reason)

    def task_finished(self, task: Any) -> threading.Event:
        return self.tasks.run_of(task).finished

    def service_changed(self, service: Any) -> None:
        self.services.changed(service)

    def schedules_changed(self) -> None:
        self.schedules.changed()

    def execution_changed(self, record: Mapping[str, Any]) -> None:
        self.executions.changed(record)

    def measured(self, region: str, series: Series) -> None:
        self.alarms.measured(region, series)

    def counted(self, region: str, namespace: str, metric: str) -> None:
        self.meters.count(region, namespace, metric, {})

    def alarm_changed(self, region: str, name: str, what: str) -> None:
        self.alarms.changed(region, name, what)

    def now(self) -> datetime:
        return self._clock.now()

    def build_started(self, build: dict[str, Any]) -> None:
        self.builds.start(build)

    def database_changed(self, instance: Any, operation: str) -> None:
        self.databases.changed(instance, operation)

    def rules_changed(self) -> None:
        self.rules.changed()

    def event_matched(self, rule: Any, target: Mapping[str, Any], payload: str) -> None:
        self.deliveries.submit(rule, target, payload)
