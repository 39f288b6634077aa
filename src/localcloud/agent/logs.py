"""Lines that containers write, on their way to CloudWatch Logs.

Lines of all containers are gathered for a moment and put into moto together, because each put takes the server's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from localcloud import backends
from localcloud.agent.worker import Worker
from localcloud.server import Server

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.05
"""How long lines are gathered: what `logs --follow` lags behind at most."""

MAX_LINE_BYTES = 256 * 1024 - 26
"""CloudWatch's limit on an event's message; longer lines are cut into several, as the awslogs driver does."""


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
        self._waiting: dict[Stream, list[dict[str, Any]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._step = worker.add("logs", self.flush)

    def stop(self) -> None:
        """Ship what is there and end."""
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
        """Take a line; it is shipped a moment later."""
        now = int(time.time() * 1000)
        with self._lock:
            first = not self._waiting
            self._waiting[stream] += [{"timestamp": now, "message": part} for part in cut(line)]
        if first:
            self._step.wake(GATHER_SECONDS)

    def flush(self) -> None:
        """Ship everything taken so far before returning."""
        with self._lock:
            batch, self._waiting = self._waiting, defaultdict(list)
        if not batch:
            return
        with self._server.lock:
            for stream, events in batch.items():
                self._put(stream, events)

    def _put(self, stream: Stream, events: list[dict[str, Any]]) -> None:
        try:
            backend = backends.logs(stream.account, stream.region)
            if stream.name not in backend.groups[stream.group].streams:  # forgotten: it was quiet for very long
                backend.create_log_stream(stream.group, stream.name)
            backend.put_log_events(stream.group, stream.name, events)
        except Exception as error:  # the group may be gone: on AWS too its late lines are lost
            log.info("lost %d log lines of %s: %r", len(events), stream.name, error)


def cut(line: str) -> list[str]:
    """A line in pieces that CloudWatch takes; an empty line is one space, for it takes no empty message."""
    if len(line) * 4 <= MAX_LINE_BYTES:
        return [line or " "]
    data = line.encode()
    return [
        data[start : start + MAX_LINE_BYTES].decode("utf-8", "ignore") for start in range(0, len(data), MAX_LINE_BYTES)
    ]
