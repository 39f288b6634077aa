"""Lines that containers write, on their way to CloudWatch Logs.

Lines of all containers are gathered for a moment and put into moto together, because each put takes the server's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from localcloud import backends
from localcloud.agent.worker import Worker
from localcloud.engines.lines import MAX_LINE_BYTES, pieces
from localcloud.server import Server

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.05
"""How long lines are gathered: what `logs --follow` lags behind at most."""

MOST_WAITING = 2_000
"""Lines of a stream that wait to be shipped; a container that writes faster waits, as with AWS's own log driver."""

LINE_BYTES = 512
"""A longer line counts for several."""

PUT_AT_ONCE = 500
"""Lines that are put while the server's lock is held: a flood of one container keeps nobody waiting for long."""


class NoLogGroup(Exception):
    """The log group that a container is to write into does not exist."""


@dataclass(frozen=True)
class Stream:
    """A log stream: where a container's lines go."""

    account: str
    region: str
    group: str
    name: str


class LogShipper:
    """Takes lines from any thread and puts them into their streams, in order."""

    def __init__(self, server: Server, worker: Worker):
        self._server = server
        self._waiting: dict[Stream, deque[dict[str, Any]]] = {}
        self._weight: dict[Stream, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._stopped = False
        self._step = worker.add("logs", self.flush)

    def stop(self) -> None:
        """Ship what is there and end."""
        with self._lock:
            self._stopped = True
            self._room.notify_all()
        self._step.remove()
        self.flush()

    def open(self, stream: Stream, create_group: bool) -> None:
        """Make a stream. Hold the server's lock. Raises `NoLogGroup`."""
        backend = backends.logs(stream.account, stream.region)
        if stream.group not in backend.groups:
            if not create_group:
                raise NoLogGroup(stream.group)
            # Declared, so that it is there after a restart.
            self._server.client("logs", stream.region).create_log_group(logGroupName=stream.group)
        backend.create_log_stream(stream.group, stream.name)

    def write(self, stream: Stream, line: str) -> None:
        """Take a line; it is shipped a moment later. Waits while too many lines of the stream wait: hold no lock."""
        now = int(time.time() * 1000)
        parts = cut(line)
        with self._room:
            while self._weight[stream] >= MOST_WAITING and not self._stopped:
                self._room.wait()
            first = not self._waiting
            self._waiting.setdefault(stream, deque()).extend({"timestamp": now, "message": part} for part in parts)
            self._weight[stream] += sum(map(_weight, parts))
        if first:
            self._step.wake(GATHER_SECONDS)

    def flush(self) -> float | None:
        """Ship everything taken so far before returning; seconds until there is more to ship, None if there is not."""
        with self._lock:
            wanted = {stream: len(events) for stream, events in self._waiting.items()}
        while wanted:
            # Taken and put under one lock, so that lines stay in order whoever else ships at the same time.
            with self._server.lock:
                for stream, events in self._take(wanted):
                    self._put(stream, events)
        with self._lock:
            return GATHER_SECONDS if self._waiting else None

    def _take(self, wanted: dict[Stream, int]) -> list[tuple[Stream, list[dict[str, Any]]]]:
        """The next PUT_AT_ONCE lines of those that are wanted, which has what is left then."""
        taken, room = [], PUT_AT_ONCE
        with self._room:
            for stream in list(wanted):
                waiting = self._waiting.get(stream, deque())
                count = min(wanted[stream], len(waiting), room)
                events = [waiting.popleft() for _ in range(count)]
                wanted[stream] -= count
                room -= count
                if not waiting:
                    self._waiting.pop(stream, None)
                    self._weight.pop(stream, None)
                else:
                    self._weight[stream] -= sum(_weight(event["message"]) for event in events)
                if not waiting or not wanted[stream]:
                    del wanted[stream]
                if events:
                    taken.append((stream, events))
                if not room:
                    break
            self._room.notify_all()
        return taken

    def _put(self, stream: Stream, events: list[dict[str, Any]]) -> None:
        try:
            backend = backends.logs(stream.account, stream.region)
            if stream.name not in backend.groups[stream.group].streams:  # forgotten: it was quiet for very long
                backend.create_log_stream(stream.group, stream.name)
            backend.put_log_events(stream.group, stream.name, events)
        except Exception as error:  # the group may be gone: on AWS too its late lines are lost
            log.info("lost %d log lines of %s: %r", len(events), stream.name, error)


def _weight(message: str) -> int:
    return 1 + len(message) // LINE_BYTES


def cut(line: str) -> list[str]:
    """A line in pieces that CloudWatch takes, as the awslogs driver cuts it, but within no character.

    An empty line is one space, for it takes no empty message.
    """
    if len(line) * 4 <= MAX_LINE_BYTES:
        return [line or " "]
    return list(pieces(line.encode()))
