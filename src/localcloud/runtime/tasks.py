"""Tasks and services that survive: what was, for those who look back, and how far deployments had come."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from moto.core.utils import utcnow

from localcloud.patches.ecs import stopped_tasks
from localcloud.runtime.executions import STOPPED
from localcloud.runtime.store import Store, to_json

log = logging.getLogger(__name__)

SHOWN_SECONDS = 3600.0
"""How long a stopped task is shown: about an hour, as on AWS."""


class Tasks:
    """The tasks and services of an account. An `agent.memory.Memory`."""

    def __init__(self, account: str, store: Store):
        self._account = account
        self._store = store
        self._services: dict[str, str] = {}
        self._restored: list[Any] = []

    def task_changed(self, task: Any) -> None:
        stopped = time.time() if task.last_status == "STOPPED" else None
        record = to_json(stopped_tasks.describe(task))
        self._write("INSERT OR REPLACE INTO task VALUES (?, ?, ?)", (task.task_arn, stopped, record))

    def task_forgotten(self, arn: str) -> None:
        self._write("DELETE FROM task WHERE arn = ?", (arn,))

    def stopped_tasks(self) -> list[Any]:
        restored, self._restored = self._restored, []
        return restored

    def service(self, arn: str) -> Mapping[str, Any] | None:
        rows = self._store.read("SELECT told FROM service WHERE arn = ?", (arn,))
        return dict(json.loads(rows[0][0])) if rows else None

    def service_changed(self, arn: str, record: Mapping[str, Any] | None) -> None:
        if record is None:
            self._services.pop(arn, None)
            self._write("DELETE FROM service WHERE arn = ?", (arn,))
            return
        text = to_json(record)
        if self._services.get(arn) != text:
            self._services[arn] = text
            self._write("INSERT OR REPLACE INTO service VALUES (?, ?)", (arn, text))

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._store.write(statement, values)
        except sqlite3.Error as error:
            log.error("tasks and services of now will be lost at the next restart: %s", error)

    def tidy(self) -> None:
        """Forget tasks and services whose clusters are gone: nobody can ask for them any more."""
        for table in ("task", "service"):
            for (arn,) in self._store.read(f"SELECT arn FROM {table}"):
                if not stopped_tasks.has_cluster(self._account, arn):
                    self._write(f"DELETE FROM {table} WHERE arn = ?", (arn,))

    def restore(self, journal_is_whole: bool = True) -> tuple[int, int]:
        """Put the tasks of the last hour back: how many, and how many of them had been running, which are stopped
        now.
        """
        self._write("DELETE FROM task WHERE stopped < ?", (time.time() - SHOWN_SECONDS,))
        stopped = 0
        for arn, moment, text in self._store.read("SELECT arn, stopped, told FROM task ORDER BY stopped NULLS LAST"):
            task = stopped_tasks.revive(self._account, json.loads(text))
            if task is None:
                if journal_is_whole:
                    self.task_forgotten(arn)
                continue
            if moment is None:
                _stop(task)
                self.task_changed(task)
                stopped += 1
            self._restored.append(task)
        return len(self._restored), stopped


def _stop(task: Any) -> None:
    """Say of a task whose process ended with the cloud what became of it."""
    now = utcnow()
    task.last_status = task.desired_status = "STOPPED"
    task.stop_code = task.stop_code or "TerminationNotice"
    task.stopped_reason = task.stopped_reason or STOPPED
    task.stopping_at = task.stopping_at or now
    task.stopped_at = task.execution_stopped_at = now
    task.connectivity = None
    task.version += 1
    for attachment in task.attachments:
        attachment["status"] = "DELETED"
    for container in task.containers:
        if container.last_status != "STOPPED":
            container.last_status, container.reason = "STOPPED", STOPPED
