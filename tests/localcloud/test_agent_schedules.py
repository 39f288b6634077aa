"""Schedules in virtual time: what fires when, with which input, how often again, and what ends in the queue."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.agent.agent import Agent
from localcloud.agent.schedules import LONGEST_SLEEP_SECONDS
from localcloud.server import Server


class Timetable:
    """A scheduler whose clock stands still, with a queue as the target of its schedules."""

    def __init__(self, server: Server, agent: Agent, clock: Any):
        self.agent = agent
        self.clock = clock
        self.scheduler = server.client("scheduler")
        self.sqs = server.client("sqs")
        self.account = server.account
        self.queue = self.sqs.create_queue(QueueName="q")["QueueUrl"]
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]

    def arn(self, queue: str) -> str:
        return f"arn:aws:sqs:eu-west-1:{self.account}:{queue}"

    def add(self, expression: str, name: str = "s", target: dict[str, Any] | None = None, **parameters: Any) -> None:
        self.scheduler.create_schedule(**self._schedule(expression, name, target, parameters))
        self.agent.schedules.tick()

    def change(self, expression: str, name: str = "s", target: dict[str, Any] | None = None, **parameters: Any) -> None:
        self.scheduler.update_schedule(**self._schedule(expression, name, target, parameters))
        self.agent.schedules.tick()

    def _schedule(
        self, expression: str, name: str, target: dict[str, Any] | None, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        role = f"arn:aws:iam::{self.account}:role/r"
        wanted = {"Arn": self.arn("q"), "RoleArn": role, "Input": "<aws.scheduler.scheduled-time>", **(target or {})}
        window = {"Mode": "OFF"}
        return {
            "Name": name,
            "ScheduleExpression": expression,
            "FlexibleTimeWindow": window,
            "Target": wanted,
            **parameters,
        }

    def pass_time(self, until: datetime, step: timedelta) -> None:
        while self.clock.now() < until:
            self.clock.time += step
            self.agent.schedules.tick()

    def messages(self, queue: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while batch := self.sqs.receive_message(
            QueueUrl=queue or self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += batch
        return found

    def fired(self) -> list[str]:
        return [message["Body"] for message in self.messages()]


@pytest.fixture
def timetable(server: Server, ticking: Agent, clock: Any) -> Timetable:
    return Timetable(server, ticking, clock)


def hours(first: datetime, *after: float) -> list[str]:
    return [f"{first + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}" for hour in after]


def test_cron_fires_in_its_own_time_zone(timetable: Timetable) -> None:
    timetable.clock.time = datetime(2031, 6, 2, 0, 0, tzinfo=UTC)  # a Monday, summer time in Amsterdam
    timetable.add("cron(30 6 ? * MON-FRI *)", ScheduleExpressionTimezone="Europe/Amsterdam")
    timetable.pass_time(datetime(2031, 6, 9, 0, 0, tzinfo=UTC), timedelta(minutes=15))
    assert timetable.fired() == [f"2031-06-0{day}T04:30:00Z" for day in range(2, 7)]


def test_rate_fires_at_once_and_then_every_step(timetable: Timetable) -> None:
    timetable.add("rate(1 hour)")
    assert len(timetable.fired()) == 1
    timetable.pass_time(timetable.clock.now() + timedelta(hours=3), timedelta(minutes=10))
    assert len(timetable.fired()) == 3


def test_rate_counts_from_its_start_date(timetable: Timetable) -> None:
    start = timetable.clock.now() + timedelta(hours=5)
    timetable.add("rate(2 hours)", StartDate=start)
    timetable.pass_time(start + timedelta(hours=5), timedelta(minutes=30))
    assert timetable.fired() == hours(start, 0, 2, 4)


def test_at_fires_once_and_is_deleted(timetable: Timetable) -> None:
    timetable.clock.time = datetime(2031, 1, 15, 12, 0, tzinfo=UTC)
    timetable.add(
        "at(2031-01-15T09:00:00)", ScheduleExpressionTimezone="America/New_York", ActionAfterCompletion="DELETE"
    )
    timetable.pass_time(datetime(2031, 1, 15, 16, 0, tzinfo=UTC), timedelta(minutes=20))
    assert timetable.fired() == ["2031-01-15T14:00:00Z"]
    assert timetable.scheduler.list_schedules()["Schedules"] == []


def test_at_is_kept_unless_it_says_otherwise(timetable: Timetable) -> None:
    moment = timetable.clock.now() + timedelta(hours=1)
    timetable.add(f"at({moment:%Y-%m-%dT%H:%M:%S})")
    timetable.pass_time(moment + timedelta(hours=1), timedelta(minutes=20))
    assert len(timetable.fired()) == 1
    assert timetable.scheduler.get_schedule(Name="s")["ActionAfterCompletion"] == "NONE"


def test_nothing_fires_after_the_end_date(timetable: Timetable) -> None:
    start = timetable.clock.now()
    timetable.add("cron(0 * * * ? *)", StartDate=start, EndDate=start + timedelta(hours=3, minutes=30))
    timetable.pass_time(start + timedelta(hours=8), timedelta(minutes=30))
    assert len(timetable.fired()) in (3, 4)


def test_disabled_schedules_wait_until_they_are_enabled(timetable: Timetable) -> None:
    timetable.add("rate(1 hours)", State="DISABLED")
    timetable.pass_time(timetable.clock.now() + timedelta(hours=4), timedelta(minutes=30))
    assert timetable.fired() == []
    timetable.change("rate(1 hours)", State="ENABLED")
    timetable.pass_time(timetable.clock.now() + timedelta(hours=2), timedelta(minutes=30))
    assert len(timetable.fired()) == 2


def test_a_sleeping_computer_fires_what_it_missed_once(timetable: Timetable) -> None:
    timetable.clock.time = timetable.clock.time.replace(minute=30)
    timetable.add("cron(0 * * * ? *)")
    timetable.clock.advance(hours=30)
    timetable.agent.tick()
    assert len(timetable.fired()) == 1


def test_context_attributes_and_execution_names(timetable: Timetable, server: Server, wait_until: Any) -> None:
    sfn = server.client("stepfunctions")
    machine = sfn.create_state_machine(
        name="m",
        definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}),
        roleArn=f"arn:aws:iam::{server.account}:role/r",
    )["stateMachineArn"]
    text = {name: f"<aws.scheduler.{name}>" for name in ("scheduled-time", "execution-id", "attempt-number")}
    timetable.add("cron(0 * * * ? *)", target={"Arn": machine, "Input": json.dumps(text)})
    timetable.pass_time(timetable.clock.now() + timedelta(hours=1), timedelta(minutes=30))
    wait_until(lambda: sfn.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"])
    execution = sfn.list_executions(stateMachineArn=machine)["executions"][0]
    given = json.loads(sfn.describe_execution(executionArn=execution["executionArn"])["output"])
    assert given["execution-id"] == execution["name"]
    assert given["attempt-number"] == "1"
    assert datetime.fromisoformat(given["scheduled-time"]).minute == 0


def test_a_task_target_runs_the_task(cloud: Any, wait_until: Any) -> None:
    definition = cloud.define("sh", "-c", "echo $X", family="scheduled")
    moment = datetime.now(UTC) + timedelta(seconds=4)  # what is in the past when it is declared never fires
    overrides = {"containerOverrides": [{"name": "main", "environment": [{"name": "X", "value": "in time"}]}]}
    cluster = f"arn:aws:ecs:eu-west-1:{cloud.server.account}:cluster/c"
    cloud.server.client("scheduler").create_schedule(
        Name="s",
        ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": cluster,
            "RoleArn": f"arn:aws:iam::{cloud.server.account}:role/r",
            "Input": json.dumps(overrides),
            "EcsParameters": {
                "TaskDefinitionArn": definition,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {
                    "awsvpcConfiguration": {"Subnets": cloud.network["awsvpcConfiguration"]["subnets"]}
                },
            },
        },
    )
    wait_until(lambda: cloud.ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"])
    arn = cloud.ecs.list_tasks(cluster="c", desiredStatus="STOPPED")["taskArns"][0]
    assert cloud.stopped(arn)["startedBy"] == "chronos-schedule/s"
    assert cloud.lines(arn) == ["in time"]


def test_a_universal_target_calls_the_api(timetable: Timetable) -> None:
    body = json.dumps({"QueueUrl": timetable.queue, "MessageBody": "hello"})
    timetable.add("cron(0 * * * ? *)", target={"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", "Input": body})
    timetable.pass_time(timetable.clock.now() + timedelta(hours=1), timedelta(minutes=30))
    assert timetable.fired() == ["hello"]


def test_a_refused_target_goes_to_the_dead_letter_queue_at_once(timetable: Timetable) -> None:
    target = {
        "Arn": f"arn:aws:states:eu-west-1:{timetable.account}:stateMachine:absent",
        "Input": "{}",
        "DeadLetterConfig": {"Arn": timetable.arn("dead")},
    }
    timetable.add("cron(0 * * * ? *)", target=target)
    timetable.pass_time(timetable.clock.now() + timedelta(hours=1), timedelta(minutes=30))
    (message,) = timetable.messages(timetable.dead)
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "StateMachineDoesNotExist"
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert attributes["TARGET_ARN"] == target["Arn"]


def test_a_failing_target_is_tried_again_as_often_as_its_policy_says(
    timetable: Timetable, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[datetime] = []

    def fail(*_: Any) -> None:
        attempts.append(timetable.clock.now())
        raise OSError("unreachable")

    monkeypatch.setattr(timetable.agent.schedules._delivery, "deliver", fail)
    policy = {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}
    timetable.add(
        "cron(0 * * * ? *)",
        target={"RetryPolicy": policy, "DeadLetterConfig": {"Arn": timetable.arn("dead")}},
    )
    due = timetable.clock.now().replace(minute=0) + timedelta(hours=1)
    timetable.pass_time(due, timedelta(minutes=1))
    timetable.pass_time(due + timedelta(seconds=30), timedelta(seconds=1))
    assert [(moment - attempts[0]).total_seconds() for moment in attempts] == [0, 1, 3, 7]
    (message,) = timetable.messages(timetable.dead)
    attributes = message["MessageAttributes"]
    assert attributes["EXHAUSTED_RETRY_CONDITION"]["StringValue"] == "MaximumRetryAttempts"
    assert attributes["RETRY_ATTEMPTS"]["StringValue"] == "3"


def test_an_update_resets_what_it_leaves_out(timetable: Timetable) -> None:
    timetable.add("cron(0 * * * ? *)", State="DISABLED", ActionAfterCompletion="DELETE", Description="d")
    timetable.change("cron(5 * * * ? *)")
    schedule = timetable.scheduler.get_schedule(Name="s")
    assert (schedule["State"], schedule["ActionAfterCompletion"]) == ("ENABLED", "NONE")
    assert "Description" not in schedule or schedule["Description"] is None


def test_a_schedule_in_a_group_goes_with_it(timetable: Timetable) -> None:
    timetable.scheduler.create_schedule_group(Name="g")
    timetable.add("cron(0 * * * ? *)", GroupName="g")
    timetable.fired()
    timetable.scheduler.delete_schedule_group(Name="g")
    timetable.pass_time(timetable.clock.now() + timedelta(hours=3), timedelta(minutes=30))
    assert timetable.fired() == []


def test_the_loop_wakes_up_for_a_new_schedule(cloud: Any, wait_until: Any) -> None:
    sqs = cloud.server.client("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    cloud.server.client("scheduler").create_schedule(
        Name="s",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"arn:aws:sqs:eu-west-1:{cloud.server.account}:q",
            "RoleArn": f"arn:aws:iam::{cloud.server.account}:role/r",
            "Input": "x",
        },
    )
    wait_until(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), LONGEST_SLEEP_SECONDS - 10)
