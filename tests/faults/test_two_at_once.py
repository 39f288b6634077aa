"""Commands that meet: on one environment, on two of one checkout. `make soak` has twenty rounds of each."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from soak import meetings
from soak.world import World

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-meetings")]

CHANCE = random.Random(3)


@pytest.fixture(scope="module")
def world(worlds: Callable[[str], World]) -> World:
    return worlds("meetings")


def test_two_ups(world: World) -> None:
    assert meetings.two_ups(world, CHANCE.uniform(0.2, 1.0)), "they did not meet"


def test_up_beside_down(world: World) -> None:
    assert meetings.up_beside_down(world, CHANCE.uniform(0.2, 0.6), up_first=True), "they did not meet"


def test_two_environments_in_one_local_cloud(world: World) -> None:
    meetings.two_environments(world, CHANCE.uniform(0.0, 1.0))
