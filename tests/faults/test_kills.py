"""`kill -9` of each victim at a seeded point: the next command puts it right. `make soak` has hundreds of these."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

import pytest

from soak.kills import Case, Driver, Operation, Usual
from soak.world import World

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("faults-kills")]

SEED = 4
CHANCE = random.Random(SEED)

USUAL: dict[Operation, Usual] = {
    "create": Usual(bytes=80_000),
    "update": Usual(bytes=6_000),
    "replace": Usual(bytes=6_000),
    "down": Usual(bytes=15_000),
    "run": Usual(seconds=2.0),
}
"""Less than what each declares, so that the victim is met before the end however slow or quick the machine is."""


def case(operation: Operation, victim: str, then: str = "up") -> Case:
    return Case(operation, victim, round(CHANCE.uniform(0.1, 0.9), 2), operation != "run", then)  # type: ignore[arg-type]


CASES = [
    case("create", "engine"),
    case("update", "cloud"),
    case("replace", "herd"),
    case("run", "task"),
    case("run", "runner"),
    case("down", "cloud", "down"),
]
"""In an order in which each begins where the last one ended."""


@pytest.fixture(scope="module")
def driver(worlds: Callable[[str], World]) -> Iterator[Driver]:
    with Driver(worlds("kills"), random.Random(SEED), USUAL) as driver:
        yield driver


@pytest.mark.parametrize("case", CASES[:-1], ids=str)
def test_the_next_up_puts_it_right(driver: Driver, case: Case) -> None:
    assert driver.carry_out(case).met, "it was over before the kill"


def test_pending_operations_are_resolved(driver: Driver) -> None:
    """As Pulumi writes them where it keeps checkpoints, also of an update that somebody began without `herd`."""
    world = driver.world
    file = world.target().state_file
    told = json.loads(file.read_text())
    resources = told["checkpoint"]["latest"]["resources"]
    group = next(one for one in resources if one["type"] == "aws:cloudwatch/logGroup:LogGroup")
    never = {**group, "urn": f"{group['urn']}-never-made", "id": "", "outputs": {}}
    told["checkpoint"]["latest"]["pending_operations"] = [
        {"resource": {key: value for key, value in never.items() if key != "id"}, "type": "creating"},
        {"resource": group, "type": "updating"},
    ]
    file.write_text(json.dumps(told))
    done = world.herd("up", "--no-run")
    assert "was killed during" in done.stderr, done.stderr
    world.assert_whole(None)


def test_a_killed_down_is_finished_by_the_next(driver: Driver) -> None:
    assert driver.carry_out(CASES[-1]).met, "it was over before the kill"
