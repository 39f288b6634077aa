"""The index of ended runs: what AWS has said of them once, kept in a SQLite file beside the checkout.

A cache and nothing else: whatever happens to the file, the runs are asked for again. An execution is known by the ARN
of its state machine, which names account, region and environment, with its id and both its times: so no environment
shows another's runs, nor those of one that had its name before, and a run that was started again is read again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from herd.runs.runs import Run

T = TypeVar("T")

FILE = "runs.sqlite"
"""In the checkout's folder for state."""

FORMAT = 1
"""`user_version` of the file; one of another format is made anew."""

BUSY_SECONDS = 5.0
"""How long to wait for another process that writes."""

MOST_VARIABLES = 500
"""In one statement; SQLite of 2020 and before takes 999."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
  machine TEXT NOT NULL, id TEXT NOT NULL, started REAL NOT NULL, ended REAL NOT NULL, workload TEXT NOT NULL,
  status TEXT NOT NULL, exit_code INTEGER, reason TEXT NOT NULL, attempts INTEGER, task TEXT,
  PRIMARY KEY (machine, id)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Execution:
    """What ListExecutions says of a run. `machine`: the ARN of its state machine; `state` is in AWS's words."""

    machine: str
    workload: str
    id: str
    state: str
    started: datetime
    ended: datetime | None


class RunIndex:
    """The ended runs of all environments of a checkout. Several processes may use one file at once.

    A file that is damaged, or of another format, is made anew; where none can be written, nothing is remembered.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, executions: Sequence[Execution]) -> dict[Execution, Run]:
        """The runs of those executions that are in the index."""
        wanted = {(one.machine, one.id): one for one in executions if one.ended is not None}

        def ask(database: sqlite3.Connection) -> dict[Execution, Run]:
            remembered: dict[Execution, Run] = {}
            for keys in _portions(list(wanted)):
                places = ", ".join(["(?, ?)"] * len(keys))
                values = [part for key in keys for part in key]
                rows = database.execute(f"SELECT * FROM run WHERE (machine, id) IN (VALUES {places})", values)
                for machine, name, started, ended, *rest in rows:
                    one = wanted[machine, name]
                    if _same(one.started, started) and one.ended is not None and _same(one.ended, ended):
                        remembered[one] = _run(one, rest)
            return remembered

        return self._use(ask) or {}

    def remember(self, runs: Iterable[tuple[Execution, Run]]) -> None:
        """Keep runs that have ended; one of the same name from before is replaced."""
        rows = [
            (one.machine, one.id, one.started.timestamp(), one.ended.timestamp(), run.workload)
            + (run.status, run.exit_code, run.reason, run.attempts, run.task)
            for one, run in runs
            if one.ended is not None
        ]
        if rows:
            self._use(lambda database: database.executemany(f"REPLACE INTO run VALUES ({_marks(10)})", rows))

    def newest(self, most: int) -> list[tuple[str, str]]:
        """The ids of those that ended last, the newest first, and what each was: `delay-model, failed`."""
        newest = "SELECT id, workload || ', ' || status FROM run ORDER BY ended DESC LIMIT ?"
        return self._use(lambda database: database.execute(newest, (most,)).fetchall()) or []

    def _use(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Its result; None where there is no index to be had."""
        for _ in range(2):
            try:
                with self._opened() as database:
                    return action(database)
            except sqlite3.OperationalError:
                return None  # locked for too long, a full disk, a folder that cannot be written
            except sqlite3.DatabaseError:
                with suppress(OSError):
                    self._path.unlink()
            except OSError:
                return None
        return None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, FORMAT):
                raise sqlite3.DatabaseError(f"format {version}")
            if version == 0:
                database.executescript(f"{_SCHEMA} PRAGMA user_version = {FORMAT};")
            with database:
                yield database


def _run(one: Execution, row: Sequence[object]) -> Run:
    _, status, exit_code, reason, attempts, task = row
    return Run(
        one.workload,
        one.id,
        str(status),
        one.started,
        one.ended,
        exit_code if isinstance(exit_code, int) else None,
        str(reason),
        attempts if isinstance(attempts, int) else None,
        task if isinstance(task, str) else None,
    )


def _same(moment: datetime, seconds: float) -> bool:
    """AWS's times have milliseconds."""
    return abs(moment.timestamp() - seconds) < 0.0005


def _portions(keys: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for start in range(0, len(keys), MOST_VARIABLES // 2):
        yield keys[start : start + MOST_VARIABLES // 2]


def _marks(count: int) -> str:
    return ", ".join("?" * count)
