"""`paused` that does not get forgotten: what rests, why, and the line to remove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from herd.infra.spec.load import Specs


ALL = (
    "schedules are off: nothing starts by itself, and nothing is late, until herd:schedules is on and `herd up` has run"
)
"""Where the stack's file has `herd:schedules: off`."""


@dataclass(frozen=True)
class Pause:
    """A job, report or pipeline that nothing starts by the clock. `others`: what rests with it; `place`: the line."""

    name: str
    reason: str
    place: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        others = f" (and with it {', '.join(self.others)})" if self.others else ""
        return f"{self.name} is paused{others}: {self.reason}; to go on, remove paused in {self.place}, and `herd up`"


def in_files(specs: Specs) -> list[Pause]:
    """What the team's files pause, by name."""
    pauses = []
    for name, spec in specs.batch.items():
        if spec.paused is None:
            continue
        pipeline = specs.pipeline_with(name)
        members = [job for level in pipeline.levels for job in level] if pipeline else []
        origin = specs.origins[name]["paused"]
        place = f"{origin}, line {origin.line}" if origin.line else str(origin)
        pauses.append(Pause(name, spec.paused, place, tuple(job for job in members if job != name)))
    return pauses


def of(specs: Specs, name: str) -> Pause | None:
    """Why `name` rests: by its own file, or with its pipeline."""
    return next((pause for pause in in_files(specs) if name in (pause.name, *pause.others)), None)
