"""Log events that survive, as far as they fit."""

from __future__ import annotations

import logging
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.agent.clock import Clock
from localcloud.patches.logs import log_streams
from localcloud.runtime.store import Store

log = logging.getLogger(__name__)

EVENTS_KEPT_PER_STREAM = 10_000
STREAMS_KEPT = 2_000
"""Of more than these the ones that were written to longest ago are forgotten; who writes to one makes it anew."""

SWEPT_EVERY = timedelta(hours=1)
"""How often streams are looked for whose group keeps its events no longer."""


LEFT_OUT = re.compile(r"… ([\d,]+) earlier lines are left out: the log keeps the last [\d,]+ of a task")


def left_out(count: int) -> str:
    """The first line of a stream that has lost its first ones."""
    return f"… {count:,} earlier lines are left out: the log keeps the last {EVENTS_KEPT_PER_STREAM:,} of a task"


class Logs:
    """The log events of an account. A `log_streams.EventStore`."""

    def __init__(self, account: str, store: Store, clock: Clock):
        self._account = account
        self._store = store
        self._clock = clock
        self._ids: dict[tuple[str, str, str], int] = {}
        self._latest: dict[int, datetime] = {}
        """When something came last, by stream."""

        self._swept = clock.now()
        self._written: dict[int, int] = {}
        self._left_out: dict[int, int] = {}
        self._complained = False
        self.homeless: list[Any] = []
        """Streams of groups that are not there: id, region, group, name, when it was made."""

    def stream_made(self, region: str, group: str, stream: str, created: datetime) -> None:
        self._write(lambda: self._make(region, group, stream, created))

    def events_put(self, region: str, group: str, stream: str, events: list[Any]) -> None:
        self._write(lambda: self._put((region, group, stream), events))

    def stream_deleted(self, region: str, group: str, stream: str | None) -> None:
        self._write(lambda: self._delete(region, group, stream))

    def _write(self, action: Any) -> None:
        """Logs are worth less than what writes them: on a full disk they are lost, and nothing else happens."""
        try:
            action()
            self._complained = False
        except sqlite3.Error as error:
            if not self._complained:
                log.error("log events will be lost at the next restart: %s", error)
            self._complained = True

    def _make(self, region: str, group: str, stream: str, created: datetime) -> None:
        statement = "INSERT OR REPLACE INTO stream (region, name_of_group, name, created) VALUES (?, ?, ?, ?)"
        with self._store.changing() as file:
            number = int(file.execute(statement, (region, group, stream, created.isoformat())).lastrowid or 0)
        self._used((region, group, stream), number)
        self._prune()

    def _used(self, key: tuple[str, str, str], number: int) -> None:
        """Streams stay in the order in which something last came."""
        self._ids.pop(key, None)
        self._ids[key] = number
        self._latest[number] = self._clock.now()

    def _prune(self) -> None:
        """Forget the oldest streams above the limit, and those whose group keeps nothing so old."""
        while len(self._ids) > STREAMS_KEPT:
            self._forget(next(iter(self._ids)))
        now = self._clock.now()
        if now - self._swept < SWEPT_EVERY:
            return
        self._swept = now
        for key, number in list(self._ids.items()):
            days = log_streams.retention_days(self._account, *key[:2])
            if days and self._latest[number] < now - timedelta(days=days):
                self._forget(key)

    def _forget(self, key: tuple[str, str, str]) -> None:
        number = self._drop(key)
        with self._store.changing() as file:
            file.execute("DELETE FROM stream WHERE id = ?", (number,))
        log_streams.forget(self._account, *key)

    def _drop(self, key: tuple[str, str, str]) -> int:
        number = self._ids.pop(key)
        self._written.pop(number, None)
        self._latest.pop(number, None)
        self._left_out.pop(number, None)
        return number

    def _put(self, stream: tuple[str, str, str], events: list[Any]) -> None:
        number = self._ids.get(stream)
        if number is None:
            return
        rows = [(number, event.timestamp, event.ingestion_time, event.message) for event in events]
        written = self._written.get(number, 0) + len(rows)
        self._used(stream, number)
        with self._store.changing() as file:
            file.executemany("INSERT INTO event (stream, timestamp, ingested, message) VALUES (?, ?, ?, ?)", rows)
            if written > EVENTS_KEPT_PER_STREAM * 1.1:
                newest = "SELECT id, timestamp, ingested FROM event WHERE stream = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
                last, *times = file.execute(newest, (number, EVENTS_KEPT_PER_STREAM)).fetchone()
                dropped = file.execute("DELETE FROM event WHERE stream = ? AND id <= ?", (number, last)).rowcount
                before = self._left_out.get(number, 0)
                self._left_out[number] = before + dropped - (1 if before else 0)  # the line that said so went, too
                said = left_out(self._left_out[number])
                statement = "INSERT INTO event (id, stream, timestamp, ingested, message) VALUES (?, ?, ?, ?, ?)"
                file.execute(statement, (last, number, *times, said))
                written = EVENTS_KEPT_PER_STREAM + 1
                log_streams.drop_events(self._account, *stream, EVENTS_KEPT_PER_STREAM, (*times, said))
        self._written[number] = written

    def _delete(self, region: str, group: str, stream: str | None) -> None:
        gone = [key for key in self._ids if key[:2] == (region, group) and stream in (None, key[2])]
        with self._store.changing() as file:
            for key in gone:
                file.execute("DELETE FROM stream WHERE id = ?", (self._ids[key],))
        for key in gone:
            self._drop(key)

    def restore(self, journal_is_whole: bool = True) -> int:
        """Bring the streams back whose groups exist; how many events. Nobody is told of them.

        The others go if the journal is whole, else they wait for their groups.
        """
        streams = "SELECT id, region, name_of_group, name, created FROM stream ORDER BY id"
        self.homeless = self._store.read(streams)
        count = self.find_again()
        if journal_is_whole:
            for number, *_ in self.homeless:
                self._store.write("DELETE FROM stream WHERE id = ?", (number,))
            self.homeless = []
        return count

    def find_again(self) -> int:
        """Bring back the streams that wait for groups which are there; how many events."""
        count, waiting = 0, []
        for stream in self.homeless:
            number, region, group, name, created = stream
            events = self._store.read(
                "SELECT timestamp, ingested, message FROM event WHERE stream = ? ORDER BY id", (number,)
            )
            if not log_streams.revive(self._account, region, group, name, datetime.fromisoformat(created), events):
                waiting.append(stream)
                continue
            self._ids[region, group, name] = number
            self._written[number] = len(events)
            if events and (said := LEFT_OUT.fullmatch(events[0][2])):
                self._left_out[number] = int(said[1].replace(",", ""))
            latest = max((event[1] for event in events), default=0) / 1000
            self._latest[number] = datetime.fromtimestamp(latest, UTC) if latest else self._clock.now()
            count += len(events)
        self.homeless = waiting
        return count
