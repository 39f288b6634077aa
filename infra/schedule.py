"""When a job runs."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Schedule:
    """A schedule as AWS takes it (`cron(0 6 ? * MON-FRI *)`, `rate(2 hours)`) and as the person wrote it."""

    expression: str
    text: str


def parse(text: str) -> Schedule:
    raise ValueError(text)


def next_runs(schedule: Schedule, timezone: str, after: datetime, count: int) -> list[datetime]:
    raise ValueError(schedule)
