"""Executions of state machines that survive, with their histories."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from datetime import timedelta
from typing import Any

from localcloud.agent.clock import Clock
from localcloud.patches.stepfunctions import stored_executions
from localcloud.request import Refused
from localcloud.runtime.store import Store, to_json

log = logging.getLogger(__name__)

STOPPED = "the local cloud was stopped while it ran"

KEPT_FOR = timedelta(days=90)
"""How long an execution that has ended can be looked at.
Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html (execution history retention time)"""

KEPT_PER_MACHINE = 1_000
"""Of more than these ended executions of a state machine the first are forgotten sooner."""

HISTORY_SECONDS = 1.0
"""How much of a running execution's history a killed process loses at most."""

ABORT_SECONDS = 5.0


class Executions:
    """The executions of an account. A `stored_executions.ExecutionStore`."""

    def __init__(self, account: str, store: Store, lock: threading.RLock, clock: Clock):
        self._account = account
        self._store = store
        self._lock = lock
        self._clock = clock
        self._lengths: dict[str, int] = {}
        self.homeless: list[dict[str, Any]] = []
        """Executions of machines that are not there."""

        self._going = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._follow, name="executions", daemon=True)
        self._thread.start()

    def started(self, record: dict[str, Any]) -> None:
        """Raises `Refused` when the disk takes no more: a run that would leave no trace does not begin."""
        try:
            self._write(record, [])
        except sqlite3.Error as error:
            raise Refused("ServiceUnavailable", f"the execution cannot be kept: {error}", 503) from error
        self._going.set()

    def ended(self, record: dict[str, Any], history: list[Any]) -> bool:
        self._lengths.pop(record["arn"], None)
        try:
            self._write(record, history)
            self._prune(record["machine"])
        except sqlite3.Error as error:
            log.error("%s is lost at the next restart: %s", record["arn"], error)
            return False
        return True

    def _write(self, record: dict[str, Any], history: list[Any]) -> None:
        # When it began is written once, by the clock that decides how long it is kept.
        self._store.write(
            "INSERT INTO execution VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (arn) DO UPDATE SET "
            "status = excluded.status, told = excluded.told, history = excluded.history",
            (record["arn"], record["machine"], self._clock.now().timestamp(), record["status"], to_json(record),
             to_json(history)),
        )  # fmt: skip

    def _prune(self, machine: str) -> None:
        ended = "FROM execution WHERE machine = ? AND status != 'RUNNING'"
        old = self._store.read(
            f"SELECT arn {ended} AND started < ? UNION "
            f"SELECT arn FROM (SELECT arn {ended} ORDER BY started DESC LIMIT -1 OFFSET ?)",
            (machine, self._oldest(), machine, KEPT_PER_MACHINE),
        )
        for (arn,) in old:
            self._store.write("DELETE FROM execution WHERE arn = ?", (arn,))
            stored_executions.forget(arn, machine)

    def _oldest(self) -> float:
        return (self._clock.now() - KEPT_FOR).timestamp()

    def machine_deleted(self, arn: str) -> None:
        self._store.write("DELETE FROM execution WHERE machine = ?", (arn,))

    def history(self, arn: str) -> list[Any]:
        rows = self._store.read("SELECT history FROM execution WHERE arn = ?", (arn,))
        return list(json.loads(rows[0][0])) if rows else []

    def restore(self, journal_is_whole: bool = True) -> tuple[int, int]:
        """Put all executions back: how many, and how many of them had been running, which are aborted now.

        Those of a machine that is not there go if the journal is whole, else they wait for it.
        """
        count = aborted = 0
        self._store.write("DELETE FROM execution WHERE status != 'RUNNING' AND started < ?", (self._oldest(),))
        for arn, text, history in self._store.read("SELECT arn, told, history FROM execution ORDER BY started"):
            record = json.loads(text)
            if record["status"] == "RUNNING":
                moment, events = stored_executions.now(), json.loads(history)
                record |= {"status": "ABORTED", "stopped": moment.isoformat(), "cause": STOPPED}
                self._write(record, [*events, stored_executions.aborted_event(events, STOPPED, moment)])
                aborted += 1
            if stored_executions.revive(record, self):
                count += 1
            elif journal_is_whole:
                self._store.write("DELETE FROM execution WHERE arn = ?", (arn,))
            else:
                self.homeless.append(record)
        return count, aborted

    def find_again(self) -> None:
        """Put back what waits for a machine that is there now."""
        self.homeless = [record for record in self.homeless if not stored_executions.revive(record, self)]

    def _follow(self) -> None:
        """Write down now and then how far running executions are."""
        while not self._closed:
            self._going.wait()
            if self._closed:
                return
            with self._lock:
                running = stored_executions.running(self._account)
                if not running:
                    self._going.clear()
                for execution in running:
                    self._note(execution)
            time.sleep(HISTORY_SECONDS)

    def _note(self, execution: Any) -> None:
        history = stored_executions.history(execution)
        if len(history) == self._lengths.get(execution.exec_arn):
            return
        self._lengths[execution.exec_arn] = len(history)
        try:
            self._store.write("UPDATE execution SET history = ? WHERE arn = ?", (to_json(history), execution.exec_arn))
        except sqlite3.Error as error:
            log.warning("the history of %s was not written: %s", execution.exec_arn, error)

    def abort_running(self) -> None:
        """Stop what runs and wait for its end, so that nobody takes the end of its tasks for a failure of theirs."""
        with self._lock:
            running = stored_executions.running(self._account)
            for execution in running:
                stored_executions.abort(execution, STOPPED)
        deadline = time.monotonic() + ABORT_SECONDS
        for execution in running:
            execution.finished.wait(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Follow no more."""
        self._closed = True
        self._going.set()
        self._thread.join(5)
