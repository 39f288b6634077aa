"""What the watch decides: deadlines, failures and recoveries, by a world whose clock is virtual."""

from __future__ import annotations

from datetime import timedelta

from tests.herd.watch.plans import ANA, BOSS, LOAD, OPS, plan
from tests.herd.watch.world import World, at


def test_a_day_on_which_nothing_starts_then_fails_then_recovers() -> None:
    world = World(plan(LOAD), at("2027-02-01 00:00"))
    world.call()
    while world.now < at("2027-02-01 09:00"):
        world.now += timedelta(minutes=5)
        world.call()
    key = world.begins("load", "r1", at("2027-02-01 06:00"))
    world.now += timedelta(minutes=5)
    world.call(world.ends(key, "FAILED", "Herd.Failed", {"exit_code": 1, "reason": "exit code 1", "attempts": 3}))
    key = world.begins("load", "r2", trigger="manual")
    world.now += timedelta(minutes=5)
    world.call(world.succeeds("load", key))
    assert [(f"{when:%H:%M}", message.to, message.subject) for when, message in world.sent] == [
        ("07:15", (ANA, OPS, BOSS), "[herd prod] load: late: has not started, due at Mon 1 Feb 2027 06:00 UTC"),
        ("09:05", (ANA, OPS, BOSS), "[herd prod] load: failed: exit code 1"),
        ("09:10", (ANA, OPS, BOSS), "[herd prod] load: has recovered, after 3 hours"),
    ]
