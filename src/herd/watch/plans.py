"""What is worked out of a plan once: a function has one for as long as it lives."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from herd.runner.contract.plan import Plan

T = TypeVar("T")


def once_per_plan(work: Callable[[Plan], T]) -> Callable[[Plan], T]:
    """Keeps the result for the plan that was given last, the very object."""
    last: list[tuple[Plan, T]] = []

    @wraps(work)
    def kept(plan: Plan) -> T:
        if not last or last[0][0] is not plan:
            last[:] = [(plan, work(plan))]
        return last[0][1]

    return kept
