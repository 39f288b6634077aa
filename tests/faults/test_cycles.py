"""Up and down, again and again: what it costs does not grow. `make soak` holds twenty cycles to 5 %."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from soak import cycles
from soak.world import World

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-cycles")]

CYCLES = 3
MOST_MB = 12
"""Of memory and disk over two cycles: noise, and far below what one environment takes."""

POOLED = 8
"""Threads of pools, which grow while events of runs start the watch at the same moment, and then stay. A thread that is
left behind by each of a cycle's tasks and calls would be more than these in two cycles.
"""


def test_a_cloud_that_others_keep_up(worlds: Callable[[str], World]) -> None:
    world = worlds("cycles")
    world.start("up", "-e", cycles.OTHER, "--no-run").assert_done()
    done = [cycles.cycle(world) for _ in range(CYCLES)]
    first, last = done[0], done[-1]
    assert last.files_open <= first.files_open + 2, done
    assert last.threads <= first.threads + POOLED, done
    assert last.memory_mb <= first.memory_mb + MOST_MB, done
    assert last.disk_mb <= first.disk_mb + MOST_MB, done
    world.start("down", "-e", cycles.OTHER).assert_done()
    world.assert_nothing_left()
