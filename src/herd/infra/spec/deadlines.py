"""By when a scheduled run is to have published: what its time limits and retries can take, and 15 minutes.

The limits are those of the state machine (`herd.infra.states.job`). Where a task waits for a machine of a pool, that
wait is part of them: it is over in a minute or two on Fargate, and can be half an hour where a pool rests.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Protocol

from herd.infra.capacity import ON_FARGATE, placement
from herd.infra.states.asl import Batch
from herd.infra.states.job import waits_seconds

SPARE_MINUTES = 15

LONGEST_MINUTES = 44_640
"""31 days; what takes longer by itself has to say by when it is to be there, as no deadline is that late."""


def longest_minutes(spec: Batch) -> int:
    """How long a run can take from its start until it has published, if each attempt takes all its time.

    A fan-out takes that once for each round of items that run at the same time, and once more for the step that
    publishes.
    """
    attempts = spec.retries + 1
    once = attempts * spec.timeout_minutes * 60 + sum(waits_seconds(spec.retries))
    rounds = ceil(len(spec.fan_out) / spec.max_parallel) + 1 if spec.fan_out else 1
    start = max(0, placement(spec.hardware).start_minutes - ON_FARGATE.start_minutes)
    return ceil(rounds * once / 60) + start


class Due(Batch, Protocol):
    """A job or report with its own deadline, if it sets one; `herd.infra.spec.models.BatchSpec` is one."""

    @property
    def deadline_minutes(self) -> int | None: ...


def deadline_minutes(spec: Due) -> int:
    """Of what its own schedule starts."""
    return spec.deadline_minutes or default_minutes(longest_minutes(spec))


def pipeline_deadline_minutes(levels: Sequence[Sequence[str]], specs: Mapping[str, Due]) -> int:
    """Of a pipeline: the largest that one of its roots sets, else by what it can take."""
    set_by_roots = [minutes for name in levels[0] if (minutes := specs[name].deadline_minutes)]
    return max(set_by_roots, default=0) or default_minutes(longest_pipeline_minutes(levels, specs))


def default_minutes(longest: int) -> int:
    """The deadline of what can take so many minutes."""
    return min(longest + SPARE_MINUTES, LONGEST_MINUTES)


def longest_pipeline_minutes(levels: Iterable[Sequence[str]], specs: Mapping[str, Batch]) -> int:
    """Of a pipeline: each level takes as long as the longest of its jobs."""
    return sum(max(longest_minutes(specs[name]) for name in level) for level in levels)
