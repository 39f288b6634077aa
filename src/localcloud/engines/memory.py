"""Memory limits for process trees, kept by looking at them a few times a second."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

_PAGE = os.sysconf("SC_PAGE_SIZE")
_HAS_CHILDREN_FILES = Path(f"/proc/self/task/{os.getpid()}/children").exists()


@dataclass(frozen=True)
class _Watched:
    limit: int
    on_exceeded: Callable[[], None]


class MemoryWatch:
    """Calls back, once, when the processes below one use more than its limit. One thread looks after all of them."""

    def __init__(self, interval_seconds: float = 0.2) -> None:
        self._interval = interval_seconds
        self._watched: dict[int, _Watched] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, pid: int, limit_bytes: int, on_exceeded: Callable[[], None]) -> None:
        """Watch a process and its descendants."""
        with self._changed:
            self._watched[pid] = _Watched(limit_bytes, on_exceeded)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="memory-watch", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, pid: int) -> None:
        """Watch it no longer."""
        with self._changed:
            self._watched.pop(pid, None)

    def _look(self) -> None:
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                watched = dict(self._watched)
            for pid, limits in watched.items():
                try:
                    if memory_of_tree(pid, above=limits.limit) > limits.limit:
                        self.remove(pid)
                        limits.on_exceeded()
                except Exception:
                    log.exception("cannot tell the memory of process %d", pid)
            time.sleep(self._interval)


def memory_of_tree(pid: int, above: int = 0) -> int:
    """Bytes of memory that a process and its descendants use; 0 if it has ended.

    Resident sizes are summed, which is cheap but counts shared pages once for each process. Only where that sum is
    more than `above` the exact proportional sizes are taken, if the system has them.
    """
    pids = list(_tree(pid))
    resident = sum(_resident(each) for each in pids)
    if resident <= above or len(pids) == 1:
        return resident
    return sum(_proportional(each) for each in pids)


def processor_seconds_of_tree(pid: int) -> float:
    """Processor time that a process and its descendants have used, those that have ended included; 0 if it has."""
    seconds = 0.0
    for each in _tree(pid):
        with suppress(psutil.Error):
            used = psutil.Process(each).cpu_times()
            seconds += used.user + used.system + used.children_user + used.children_system
    return seconds


def _tree(pid: int) -> Iterator[int]:
    if not _HAS_CHILDREN_FILES:
        yield pid
        with suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        return
    pending = [pid]
    while pending:
        each = pending.pop()
        yield each
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{each}/task"):
                with suppress(OSError):
                    pending += map(int, Path(f"/proc/{each}/task/{thread}/children").read_bytes().split())


def _resident(pid: int) -> int:
    if _HAS_CHILDREN_FILES:
        with suppress(OSError):
            return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
        return 0
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _proportional(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(pid)
