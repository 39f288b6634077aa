"""Up and down, again and again: what it costs does not grow. `make soak` holds twenty cycles to 5 %."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from soak import cycles
from soak.world import World

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-cycles")]

CYCLES = 4
"""The first is not compared: pools of threads fill while the watch is started for the first times, and then stay."""

MOST_MB = 12
"""Of memory and disk over two cycles: noise, and far below what one environment takes."""


def test_a_cloud_that_others_keep_up(worlds: Callable[[str], World]) -> None:
    world = worlds("cycles")
    world.start("up", "-e", cycles.OTHER, "--no-run").assert_done()
    done = [cycles.cycle(world) for _ in range(CYCLES)]
    first, last = done[1], done[-1]
    assert last.files_open <= first.files_open + 2, done
    assert last.threads <= first.threads + 2, done
    assert last.memory_mb <= first.memory_mb + MOST_MB, done
    assert last.disk_mb <= first.disk_mb + MOST_MB, done
    world.start("down", "-e", cycles.OTHER).assert_done()
    world.assert_nothing_left()
