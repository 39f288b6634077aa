"""How the tests are shared out among pytest's workers: together what shares an environment, first what takes longest.

A file is a unit, and so is a group (`pytest.mark.xdist_group`), which may be a part of a file or several files: its
tests run one after another in one worker and share what is made once for a module or a session. A worker that is free
takes the unit that took longest in the past, so that nothing long is left for the end, when the others are done.

The past is a table of seconds, which `pytest --record-seconds` writes anew for the tests that it ran.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

TABLE = Path(__file__).parents[1] / "tests/seconds.json"

WORTH_RECORDING_SECONDS = 2.0
"""Which of the units that take less comes first makes no difference."""

UNKNOWN_SECONDS = {"tests/live/": 60.0, "tests/faults/": 60.0}
"""What a file below these folders is taken for until it is recorded; others count 0.1 s a test."""


def workers(cores: int, memory_bytes: int) -> int:
    """How many workers a machine bears: three on two cores, because live tests also wait; each needs 2 GB."""
    return max(1, min(cores * 3 // 2, memory_bytes // 2**31))


def auto_workers() -> int:
    """`workers` of this machine."""
    return workers(psutil.cpu_count() or 1, psutil.virtual_memory().total)


def unit_of(nodeid: str) -> str:
    """The group of a test, which xdist writes behind its name, or its file."""
    if nodeid.rfind("@") > nodeid.rfind("]"):
        return nodeid.rsplit("@", 1)[1]
    return nodeid.split("::", 1)[0]


class LongestFirst(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hands out units, of those that are left the one that takes longest."""

    def __init__(self, config: pytest.Config, log: Any, seconds: Mapping[str, float]):
        super().__init__(config, log)
        self.seconds = seconds

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(max(self.workqueue, key=self._expected_seconds), last=False)
        super()._assign_work_unit(node)

    def _expected_seconds(self, unit: str) -> float:
        if unit in self.seconds:
            return self.seconds[unit]
        tests = self.workqueue[unit]
        first = next(iter(tests))
        return max((s for folder, s in UNKNOWN_SECONDS.items() if first.startswith(folder)), default=0.1 * len(tests))


class Recorder:
    """Adds up what each unit took and writes it into the table."""

    def __init__(self, table: Path):
        self.table = table
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        unit = unit_of(report.nodeid)
        self.seconds[unit] = self.seconds.get(unit, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        new = read(self.table) | self.seconds
        kept = {unit: round(new[unit], 1) for unit in sorted(new) if new[unit] >= WORTH_RECORDING_SECONDS}
        self.table.write_text(json.dumps(kept, indent=0) + "\n")


def read(table: Path = TABLE) -> dict[str, float]:
    """The table of seconds."""
    seconds: dict[str, float] = json.loads(table.read_text())
    return seconds
