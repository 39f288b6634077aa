"""Up and down, again and again: what an environment costs must not grow with how often it was made.

A second environment keeps the local cloud alive meanwhile, so that its process sees every cycle.
"""

from __future__ import annotations

import os
import resource
import statistics
from dataclasses import dataclass
from pathlib import Path

from soak.world import World, timed

OTHER = "pr-1"


@dataclass(frozen=True)
class Cycle:
    """One up and down of `dev`. Sizes are taken when it is down again."""

    processor_seconds: float
    up_seconds: float
    down_seconds: float
    memory_mb: float
    threads: int
    files_open: int
    disk_mb: float

    @property
    def seconds(self) -> float:
        return self.up_seconds + self.down_seconds


def cycle(world: World) -> Cycle:
    """Up and down once; the other environment is up."""
    before = _processor_seconds(world)
    with timed() as up:
        world.start("up").assert_done()
    with timed() as down:
        world.start("down").assert_done()
    cloud = world.cloud_process()
    assert cloud is not None, "the local cloud must have stayed for the other environment"
    with cloud.oneshot():
        memory, threads = cloud.memory_info().rss / 2**20, cloud.num_threads()
    return Cycle(
        _processor_seconds(world) - before,
        up[0],
        down[0],
        memory,
        threads,
        cloud.num_fds(),
        disk_mb(world.checkout.state, world.temporary),
    )


def _processor_seconds(world: World) -> float:
    """Of all commands that have ended so far and of the local cloud, with what they started and waited for."""
    cloud = world.cloud_process()
    assert cloud is not None
    ended, served = resource.getrusage(resource.RUSAGE_CHILDREN), cloud.cpu_times()
    return ended.ru_utime + ended.ru_stime + float(sum(served[:4]))


def disk_mb(*folders: Path) -> float:
    """What lies below the folders, in MiB; what is hard-linked or linked elsewhere counts as what it takes here."""
    total = 0
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                try:
                    total += os.lstat(os.path.join(path, name)).st_blocks * 512
                except FileNotFoundError:
                    continue
    return total / 2**20


def growth(values: list[float]) -> float:
    """By how much the last quarter lies above the second, as a share: 0.05 is 5 %. The first quarter warms up."""
    early, late = quarters(values)
    return late / early - 1


def quarters(values: list[float]) -> tuple[float, float]:
    """The medians of the second quarter and of the last."""
    quarter = len(values) // 4
    return statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
