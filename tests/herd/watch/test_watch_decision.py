"""What the watch decides: deadlines, failures and recoveries, by a world whose clock is virtual."""

from __future__ import annotations

from datetime import timedelta

import pytest

from herd.watch.decision import decide, questions
from herd.watch.events import Tick
from herd.watch.known import Known
from herd.watch.memory import Memory, read
from herd.watch.messages import digest
from tests.herd.watch.plans import ANA, BOSS, LOAD, MODEL, OPS, plan
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


@pytest.mark.parametrize("flag", ["--stack", "-e"])
def test_commands_are_of_the_environment_that_tells(flag: str) -> None:
    world = World(plan(LOAD), at("2027-02-01 06:00"))
    key = world.begins("load", "r1", trigger="manual")
    event = world.ends(key, "FAILED", "Herd.Failed")
    known = world.answers(questions(world.plan, Memory(), world.now, event))
    (message,) = decide(world.plan, Memory(), world.now, event, known, flag).messages
    assert f"\n    herd logs load {flag} prod\n    herd status {flag} prod\n" in message.body


def test_what_aws_refuses_does_not_silence_the_rest() -> None:
    """Markers can be read, and nothing else: what did not start and what was begun are late all the same."""
    world = World(plan(LOAD, MODEL), at("2027-02-01 00:00"))
    before = decide(world.plan, Memory(), world.now, Tick(), Known()).memory
    world.now = at("2027-02-01 06:00")
    world.begins("load", "r1", world.now)
    world.now = at("2027-02-01 09:00")
    known = Known(markers=world.answers(questions(world.plan, before, world.now, Tick())).markers)
    told = decide(world.plan, before, world.now, Tick(), known)
    assert [message.kind for message in told.messages] == ["not-done", "not-started"]
    assert "may still go on: AWS would not say" in told.messages[0].body
    assert "published" not in told.messages[1].body
    assert not decide(world.plan, told.memory, world.now, Tick(), known).messages


def test_nothing_is_judged_without_its_markers() -> None:
    """Whether anything has begun is not known: it is not accused, and judged as soon as it is."""
    world = World(plan(LOAD), at("2027-02-01 00:00"))
    world.call()
    world.now = at("2027-02-01 09:00")
    silent = decide(world.plan, read(world.stored), world.now, Tick(), Known())
    assert not silent.messages
    world.stored = silent.memory.to_json()
    world.call()
    assert [message.kind for _, message in world.sent] == ["not-started"]


@pytest.mark.parametrize("line", ["", " ", "\u0301"])
def test_a_message_that_was_held_without_words_has_a_subject(line: str) -> None:
    """SNS refuses an empty one, and with it all that is told in the same call."""
    subject, _ = digest(plan(LOAD), [line], 0, "herd status")
    assert subject == "[herd prod] 1 message within ten minutes"
