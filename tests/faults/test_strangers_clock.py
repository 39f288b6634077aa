"""The clock jumps: schedules go on, and nothing that has run runs again."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.agent.agent import Agent
from localcloud.credentials import Key, Keyring, TaskIdentity
from localcloud.server import Server

REGION = "eu-west-1"
MONDAY = datetime(2031, 3, 24, 0, 30, tzinfo=UTC)

_accounts = itertools.count(700_000_000_000 + os.getpid() * 100)


class Hands:
    """A clock that tests set."""

    def __init__(self, time: datetime):
        self.time = time

    def now(self) -> datetime:
        return self.time


class NoImages:
    def resolve(self, reference: str) -> object:
        raise AssertionError(reference)


class Timetable:
    """Schedules that put the time they were due for into a queue."""

    def __init__(self, server: Server, agent: Agent, clock: Hands):
        self.server, self.agent, self.clock = server, agent, clock
        self.sqs = server.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="q")["QueueUrl"]

    def add(self, expression: str, zone: str = "UTC") -> None:
        target = {
            "Arn": f"arn:aws:sqs:{REGION}:{self.server.account}:q",
            "RoleArn": f"arn:aws:iam::{self.server.account}:role/r",
            "Input": "<aws.scheduler.scheduled-time>",
        }
        self.server.client("scheduler").create_schedule(
            Name="s",
            ScheduleExpression=expression,
            ScheduleExpressionTimezone=zone,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
        )
        self.agent.schedules.tick()

    def go(self, amount: timedelta, step: timedelta = timedelta(minutes=10)) -> list[str]:
        """Let time pass step by step; what fired, in order."""
        end = self.clock.time + amount
        while self.clock.time < end:
            self.clock.time = min(end, self.clock.time + step)
            self.agent.schedules.tick()
        return self.fired()

    def jump(self, amount: timedelta) -> list[str]:
        """Set the clock; what fires at the next look."""
        self.clock.time += amount
        self.agent.schedules.tick()
        return self.fired()

    def fired(self) -> list[str]:
        found: list[str] = []
        while batch := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in batch]
            for message in batch:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return sorted(found)


@pytest.fixture
def timetable() -> Iterator[Timetable]:
    server = Server(str(next(_accounts)), REGION, "http://127.0.0.1:4998")
    clock = Hands(MONDAY)
    unused: Any = SimpleNamespace(has_own_network=False)
    agent = Agent(server, unused, NoImages(), unused, clock)
    yield Timetable(server, agent, clock)
    agent.stop(timeout=5)
    server.close()


HOUR = timedelta(hours=1)


def at(*hours: int, day: datetime = MONDAY) -> list[str]:
    midnight = day.replace(hour=0, minute=0)
    return [f"{midnight + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}" for hour in hours]


def test_an_hour_back_repeats_nothing_and_misses_nothing(timetable: Timetable) -> None:
    timetable.add("cron(0 * * * ? *)")
    assert timetable.go(2 * HOUR) == at(1, 2)
    assert timetable.jump(-HOUR) == []
    assert timetable.go(3 * HOUR) == at(3, 4)


def test_an_hour_ahead_fires_what_was_due_once(timetable: Timetable) -> None:
    timetable.add("cron(0 * * * ? *)")
    assert timetable.jump(HOUR) == at(1)
    assert timetable.go(HOUR) == at(2)


def test_a_laptop_that_slept_for_days_fires_once_and_goes_on(timetable: Timetable) -> None:
    timetable.add("cron(0 * * * ? *)")
    assert len(timetable.jump(timedelta(days=3))) == 1
    assert timetable.go(2 * HOUR) == at(73, 74)


def test_a_clock_that_was_years_ahead_does_not_stop_schedules_for_years(timetable: Timetable) -> None:
    timetable.add("cron(0 * * * ? *)")
    assert timetable.go(HOUR) == at(1)
    assert len(timetable.jump(timedelta(days=3650))) == 1
    assert timetable.jump(-timedelta(days=3650)) == []
    assert timetable.go(2 * HOUR) == at(2, 3)


def test_a_rate_survives_a_clock_that_was_years_ahead(timetable: Timetable) -> None:
    timetable.jump(timedelta(days=3650))
    timetable.add("rate(1 hour)")
    timetable.fired()
    timetable.jump(-timedelta(days=3650))
    timetable.fired()
    assert len(timetable.go(5 * HOUR)) == 5


@pytest.mark.parametrize(
    ("start", "expression", "expected"),
    [
        # Spring: 02:00 becomes 03:00 in Amsterdam on 30 March 2031 at 01:00 UTC.
        (datetime(2031, 3, 29, 23, 0, tzinfo=UTC), "cron(30 1,3 * * ? *)", ["00:30", "01:30"]),
        # Autumn: 03:00 becomes 02:00 on 26 October 2031 at 01:00 UTC; 02:30 comes twice and fires once.
        (datetime(2031, 10, 25, 22, 0, tzinfo=UTC), "cron(30 1,2,3 * * ? *)", ["23:30", "00:30", "02:30"]),
    ],
    ids=["spring", "autumn"],
)
def test_summer_time_begins_and_ends(
    timetable: Timetable, start: datetime, expression: str, expected: list[str]
) -> None:
    timetable.clock.time = start
    timetable.add(expression, "Europe/Amsterdam")
    assert [moment[11:16] for moment in timetable.go(6 * HOUR)] == expected


def test_a_task_gets_new_keys_after_its_laptop_slept(timetable: Timetable) -> None:
    hands = Hands(MONDAY)
    keyring = Keyring(Key("AKIAROOTROOTROOTROOT", "secret", "root"), clock=hands.now)
    path, token = keyring.admit(TaskIdentity("arn:aws:ecs:eu-west-1:1:task/c/1", "arn:aws:iam::1:role/r", "f"))
    first = keyring.fetch(path, token)
    hands.time += timedelta(days=2)
    second = keyring.fetch(path, token)
    assert first and second and first["AccessKeyId"] != second["AccessKeyId"]
    assert second["Expiration"] > f"{hands.time:%Y-%m-%dT%H:%M:%SZ}"
    assert keyring.find(first["AccessKeyId"]) is None
