"""Commands that meet: on one environment, on two of one checkout, in two checkouts. None may hurt what is not its own.

Each scenario is one round; `delay` in seconds lies between the first command and the second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from harness.processes import variables_of
from herd.deploy import inventory
from herd.deploy.inventory import Item
from soak.world import Command, World

OTHER = "pr-1"


def two_ups(world: World, delay: float) -> bool:
    """Both end well, the second after the first; if they met (the answer), one says for whom it waited."""
    world.edit(edition=f"{world.edition}+")
    first = world.start("up", label="first")
    time.sleep(delay)
    second = world.start("up", label="second")
    for command in (first, second):
        command.assert_done()
    assert not (_waited(first) and _waited(second)), f"both waited:\n{first.said}\n{second.said}"
    world.assert_whole(None)
    return _waited(first) or _waited(second)


def up_beside_down(world: World, delay: float, up_first: bool) -> bool:
    """One after the other, whoever comes first; the environment is whole, or nothing is left of it. Did they meet?"""
    order = ("up", "down") if up_first else ("down", "up")
    first = world.start(order[0], label="first")
    time.sleep(delay)
    second = world.start(order[1], label="second")
    for command in (first, second):
        status = command.wait()
        assert "Traceback" not in command.said, command.said
        # A first run that somebody looks on at may be taken away: that is then said.
        taken_away = "up" in command.arguments and "first run" in command.said
        assert status == 0 or taken_away, f"herd {command.arguments[0]} exited with {status}:\n{command.said}"
    if world.target().state_file.exists():
        world.assert_whole(None)
    else:
        world.assert_nothing_left()
    return _waited(first) or _waited(second)


def two_environments(world: World, delay: float) -> None:
    """Two come up at once in one local cloud; one changes and goes while the other is looked at and stays as it was."""
    _at_once(world, delay, ["up"], ["up", "-e", OTHER])
    world.assert_whole(None)
    world.assert_whole(None, OTHER)
    with _untouched(world, "dev"):
        _at_once(world, delay, ["down", "-e", OTHER], ["up"])
    world.assert_whole(None)
    world.start("up", "-e", OTHER).assert_done()
    # The last two at once: one of them must notice that it is the last, and stop the local cloud.
    _at_once(world, delay, ["down"], ["down", "-e", OTHER])
    world.assert_nothing_left()


def two_checkouts(one: World, other: World, delay: float) -> None:
    """Each has a local cloud of its own; what becomes of one is nothing to the other."""
    first = one.start("up")
    time.sleep(delay)
    second = other.start("up")
    first.assert_done()
    second.assert_done()
    for world in (one, other):
        world.assert_whole(None)
    with _untouched(other, "dev"):
        cloud = one.cloud_process()
        assert cloud is not None
        cloud.kill()
        one.start("up").assert_done()
        one.start("down").assert_done()
        one.assert_nothing_left()
    other.assert_whole(None)
    other.start("down").assert_done()
    other.assert_nothing_left()


def _waited(command: Command) -> bool:
    return "waiting for it" in command.said


def _at_once(world: World, delay: float, *commands: list[str]) -> None:
    started = []
    for number, words in enumerate(commands):
        started.append(world.start(*words, label=f"command{number}"))
        time.sleep(delay)
    for command in started:
        command.assert_done()


@dataclass(frozen=True)
class _Seen:
    """What must not change of an environment while others are at work: its things, its containers, its cloud."""

    items: frozenset[Item]
    containers: frozenset[int]
    cloud: int


@contextmanager
def _untouched(world: World, name: str) -> Iterator[None]:
    """It is what it was, down to each identifier and process, and its service has answered all the time."""
    before = _look(world, name)
    url = world.target(name).exports.workloads["gamma"].url
    assert url is not None
    answers: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        watching = True

        def watch() -> None:
            while watching:
                answers.append(world.answer(url))
                time.sleep(0.2)

        watcher = pool.submit(watch)
        try:
            yield
        finally:
            watching = False
        watcher.result()
    assert set(answers) == {world.edition}
    assert _look(world, name) == before


def _look(world: World, name: str) -> _Seen:
    cloud = world.cloud_process()
    assert cloud is not None
    items = frozenset(item for item in inventory.take(world.target(name)).items if item.environment == name)
    family = world.target(name).exports.workloads["gamma"].task_definition
    running = {one.pid: variables_of(one) for one in world.containers()}
    mine = [pid for pid, variables in running.items() if family in variables.get("HERD_TASK", "") + _family(variables)]
    return _Seen(items, frozenset(mine), cloud.pid)


def _family(environment: dict[str, str]) -> str:
    return f"herd-{environment.get('HERD_ENVIRONMENT')}-{environment.get('HERD_WORKLOAD')}"
