"""Data points and states of alarms that survive, as far as they fit."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import Any

from localcloud import backends
from localcloud.agent.clock import Clock
from localcloud.metrics.series import KEPT_SECONDS, MOST_POINTS, Series, Values
from localcloud.metrics.windows import WEEK
from localcloud.patches.cloudwatch import alarms, metrics
from localcloud.runtime.store import Store, to_json

log = logging.getLogger(__name__)

WRITTEN_EVERY = 5.0
"""Seconds: how much of what was measured a killed process loses at most."""


class Metrics:
    """The data points and alarm states of an account. A `metrics.Keeper` and an `alarms.Keeper`."""

    def __init__(self, account: str, store: Store, lock: threading.RLock, clock: Clock):
        self._account = account
        self._store = store
        self._connected = False
        self._lock = lock
        self._clock = clock
        self._ids: dict[tuple[str, Series], int] = {}
        self._changed: set[tuple[str, Series, int]] = set()
        self._timer: threading.Timer | None = None
        self._pruned = 0.0
        self.gaps: list[tuple[float, float]] = []
        self.homeless: dict[str, dict[str, Any]] = {}
        """States of alarms that are not there, by ARN."""

    def measured(self, region: str, series: Series, point: int) -> None:
        self._changed.add((region, series, point))
        if self._timer is None:
            self._timer = threading.Timer(WRITTEN_EVERY, self._write_soon)
            self._timer.daemon = True
            self._timer.start()

    def state_changed(self, arn: str, state: Mapping[str, Any] | None) -> None:
        self.homeless.pop(arn, None)
        if state is None:
            self._guarded(lambda: self._store.write("DELETE FROM alarm WHERE arn = ?", (arn,)))
        else:
            record = to_json(state)
            self._guarded(lambda: self._store.write("INSERT OR REPLACE INTO alarm VALUES (?, ?)", (arn, record)))

    def _write_soon(self) -> None:
        with self._lock:
            self._timer = None
            self.write()

    def write(self) -> None:
        """Write down what was measured since the last time. The server's lock is held."""
        changed, self._changed = self._changed, set()
        rows = []
        for region, series, point in changed:
            values = backends.cloudwatch(self._account, region).points.point(series, point)
            if values is not None:
                rows.append((region, series, point, to_json(values.record())))
        if rows:
            self._guarded(lambda: self._put(rows))
            self._guarded(self._note_alive)

    def _put(self, rows: list[tuple[str, Series, int, str]]) -> None:
        now = self._clock.now().timestamp()
        with self._store.changing() as file:
            for region, series, point, record in rows:
                number = self._ids.get((region, series))
                if number is None:
                    statement = "INSERT INTO series (region, namespace, name, dimensions, unit) VALUES (?, ?, ?, ?, ?)"
                    of = (region, series.namespace, series.name, to_json(series.dimensions), series.unit)
                    number = self._ids[region, series] = int(file.execute(statement, of).lastrowid or 0)
                file.execute("INSERT OR REPLACE INTO point VALUES (?, ?, ?)", (number, point, record))
            if now - self._pruned > 3600:
                self._pruned = now
                file.execute("DELETE FROM point WHERE moment < ?", (now - KEPT_SECONDS,))
                newest = "SELECT moment FROM point ORDER BY moment DESC LIMIT 1 OFFSET ?"
                file.execute(f"DELETE FROM point WHERE moment < ({newest})", (MOST_POINTS,))

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except sqlite3.Error as error:
            log.error("what was measured will be lost at the next restart: %s", error)

    def restore(self, journal_is_whole: bool = True) -> tuple[int, int]:
        """Bring data points and the states of alarms back: how many of each.

        States of alarms that are not there go if the journal is whole, else they wait for them.
        """
        oldest = self._clock.now().timestamp() - KEPT_SECONDS
        self._store.write("DELETE FROM point WHERE moment < ?", (oldest,))
        self._store.write("DELETE FROM series WHERE id NOT IN (SELECT series FROM point)", ())
        by_number: dict[int, tuple[str, Series]] = {}
        for number, region, namespace, name, dimensions, unit in self._store.read("SELECT * FROM series"):
            pairs = tuple((str(key), str(value)) for key, value in json.loads(dimensions))
            by_number[number] = region, Series(namespace, name, pairs, unit)
        self._ids = {key: number for number, key in by_number.items()}
        points = 0
        for number, moment, record in self._store.read("SELECT series, moment, told FROM point ORDER BY moment"):
            region, series = by_number[number]
            store = backends.cloudwatch(self._account, region).points
            store.restore(series, moment, Values.of_record(json.loads(record)))
            points += 1
        self.gaps = self._away()
        self.homeless = {arn: json.loads(text) for arn, text in self._store.read("SELECT arn, told FROM alarm")}
        states = self.find_again()
        if journal_is_whole:
            for arn in self.homeless:
                self._store.write("DELETE FROM alarm WHERE arn = ?", (arn,))
            self.homeless = {}
        return points, states

    def _away(self) -> list[tuple[float, float]]:
        """When there was no process, back to the longest range of an alarm; a killed one was there at its last word."""
        now = self._clock.now().timestamp()
        self._store.write("DELETE FROM gap WHERE until < ?", (now - WEEK,))
        for (moment,) in self._store.read("SELECT moment FROM alive"):
            if now > moment:
                self._store.write("INSERT INTO gap VALUES (?, ?)", (moment, now))
        self._note_alive()
        return [(float(start), float(end)) for start, end in self._store.read("SELECT since, until FROM gap")]

    def _note_alive(self) -> None:
        with self._store.changing() as file:
            file.execute("DELETE FROM alive")
            file.execute("INSERT INTO alive VALUES (?)", (self._clock.now().timestamp(),))

    def find_again(self) -> int:
        """Give states to the alarms that are there now; how many."""
        revived = [arn for arn, state in self.homeless.items() if alarms.revive(self._account, arn, state)]
        for arn in revived:
            del self.homeless[arn]
        return len(revived)

    def connect(self) -> None:
        """Keep from now on."""
        self._connected = True
        metrics.connect(self._account, self)
        alarms.connect(self._account, self)

    def close(self) -> None:
        """Keep nothing from now on. One that was never connected belongs to a start that failed: it changes nothing."""
        if not self._connected:
            return
        self._connected = False
        metrics.connect(self._account, None)
        alarms.connect(self._account, None)
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self.write()
            self._guarded(self._note_alive)
