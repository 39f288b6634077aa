"""What a benchmark gives back, and how its lines are printed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One measured figure beside what it may be at most (or at least), both in `unit`.

    `yardstick` says what was measured in the same run and how `limit` comes from it.
    """

    what: str
    value: float
    limit: float
    unit: str
    yardstick: str
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Is the goal reached?"""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "reached" if self.reached else "MISSED"
        return f"{verdict:8} {self.what}: {self.value:.2f} {self.unit} (goal {sign} {self.limit:.2f}; {self.yardstick})"


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def interleaved(rounds: int, *actions: Callable[[], object]) -> list[float]:
    """The median time of each action, run in turns so that a busy machine slows all of them alike."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for mine, action in zip(times, actions, strict=True):
            mine.append(seconds(action))
    return [statistics.median(mine) for mine in times]
