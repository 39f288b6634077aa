"""Time as the agent sees it, so that a test can let a month pass in a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day, which schedules go by. Durations are measured otherwise."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""


class SystemClock:
    """The computer's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)
