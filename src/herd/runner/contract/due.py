"""What is known of a due time: the marker that a scheduled run leaves at `_due/<workload>/<scheduled time>.json`.

The state machine writes it when it starts, and its runner completes it once the result is published; that of a pipeline
is written and completed by the pipeline's own machine. It is the truth of deadlines: Step Functions' list of executions
cannot be asked by due time, and counts a start that was skipped as a success.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from .documents import SCHEMA, from_json, to_json

FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
"""As EventBridge Scheduler writes `<aws.scheduler.scheduled-time>`."""

BY_SCHEDULE: Final = "schedule"
"""The `trigger` of a start that was due; only such a run has a marker."""


def scheduled(time: datetime) -> str:
    """A due time as it stands in the key of its marker."""
    return time.astimezone(UTC).strftime(FORMAT)


def due_time(text: str) -> datetime:
    """The other way round. Raises ValueError."""
    return datetime.strptime(text, FORMAT).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Marker:
    """One due time that was begun. `completed`: when its result was published; None until then."""

    workload: str
    scheduled_time: str
    run_id: str
    started: str
    completed: str | None = None

    def to_json(self) -> bytes:
        return to_json({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, text: bytes) -> Marker:
        """Raises ValueError."""
        data = from_json(text)
        try:
            completed = data["completed"]
            return cls(
                workload=str(data["workload"]),
                scheduled_time=str(data["scheduled_time"]),
                run_id=str(data["run_id"]),
                started=str(data["started"]),
                completed=str(completed) if completed is not None else None,
            )
        except KeyError as error:
            raise ValueError(f"not a marker of a due time: {error} is missing") from error
