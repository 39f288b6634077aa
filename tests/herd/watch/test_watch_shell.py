"""The function around the decision, on the API of the local cloud: what it asks, remembers, tells and starts."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from herd.runner.contract.due import Marker
from herd.runner.contract.keys import WATCH_MEMORY, due_key
from herd.runner.contract.plan import Due, Plan, PlannedWorkload
from herd.watch import events, outbox
from herd.watch.aws import Aws, Raced
from herd.watch.events import Tick
from herd.watch.handler import Refused, run
from localcloud.server import Server

REGION = "eu-west-1"
OWNER = "data@example.com"
DUE = Due("herd-dev-train", "cron(0 6 * * ? *)", "0 6 * * *", "UTC", 60, "latest")
TRAIN = PlannedWorkload(
    name="train",
    kind="job",
    owner=OWNER,
    owners=(OWNER,),
    review_by="2099-06-30",
    log_group="/herd-dev/train",
    machine="herd-dev-train",
    due=DUE,
)
PLAN = Plan("herd", "dev", True, "herd-dev", (TRAIN,))
TODAY = datetime(2027, 3, 2, tzinfo=UTC)

_accounts = itertools.count(510_000_000_000 + os.getpid() * 1000)


class Killed(Exception):
    """The process of the function has gone."""


@dataclass
class World:
    """One environment's API, and the function in it. `before`: is called with the name of each operation."""

    server: Server
    bucket: str
    topic: str
    before: Callable[[str], None] | None = None
    told: list[dict[str, Any]] = field(default_factory=list)

    def client(self, service: str) -> Any:
        client = self.server.client(service)
        client.meta.events.register("before-call", self._called, unique_id="called")
        client.meta.events.register("provide-client-params.sns.Publish", self._publish, unique_id="told")
        return client

    def _called(self, model: Any, **more: Any) -> None:
        if self.before is not None:
            self.before(model.name)

    def _publish(self, params: dict[str, Any], **more: Any) -> None:
        self.told.append(params)

    @property
    def aws(self) -> Aws:
        return Aws(PLAN, self.bucket, self.topic, self.client)

    def at(self, hours: float, day: int = 0) -> dict[str, Any]:
        """What a tick comes to, so many hours after midnight."""
        return run(self.aws, Tick(), TODAY + timedelta(days=day, hours=hours))

    def mark(self, marker: Marker) -> None:
        key = due_key(marker.workload, marker.scheduled_time)
        self.server.client("s3").put_object(Bucket=self.bucket, Key=key, Body=marker.to_json())

    @property
    def kept(self) -> outbox.Kept:
        return outbox.read(self.server.client("s3").get_object(Bucket=self.bucket, Key=WATCH_MEMORY)["Body"].read())

    @property
    def runs(self) -> list[str]:
        states = self.server.client("stepfunctions")
        arn = self.aws._arn("states", "stateMachine:herd-dev-train")
        return [one["name"] for one in states.list_executions(stateMachineArn=arn)["executions"]]


@pytest.fixture
def world() -> Iterator[World]:
    account = str(next(_accounts))
    server = Server(account, REGION, "http://127.0.0.1:4999")
    bucket = f"herd-dev-{account}-data"
    server.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    topic = server.client("sns").create_topic(Name="herd-dev-messages")["TopicArn"]
    server.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint=OWNER)
    server.client("scheduler").create_schedule_group(Name="herd-dev")
    role = f"arn:aws:iam::{account}:role/states"
    machine = server.client("stepfunctions").create_state_machine(
        name="herd-dev-train",
        roleArn=role,
        definition=json.dumps({"StartAt": "Do", "States": {"Do": {"Type": "Pass", "End": True}}}),
    )["stateMachineArn"]
    server.client("scheduler").create_schedule(
        Name="herd-dev-train",
        GroupName="herd-dev",
        ScheduleExpression=DUE.expression,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": machine, "RoleArn": role},
    )
    yield World(server, bucket, topic)
    server.close()


def test_what_never_came_about_is_told_once_and_made_up_for(world: World) -> None:
    assert world.at(5) == {"messages": [], "starts": []}
    assert world.at(6.5)["messages"] == [], "its deadline is at seven"
    late = world.at(7.1)
    assert [one["to"] for one in late["messages"]] == [[OWNER]] and "train" in late["messages"][0]["subject"]
    assert world.runs == late["starts"] and len(late["starts"]) == 1
    assert world.at(7.2) == {"messages": [], "starts": []}
    (told,) = world.told
    assert told["TopicArn"] == world.topic
    assert told["MessageAttributes"] == {"to": {"DataType": "String.Array", "StringValue": json.dumps([OWNER])}}


def test_what_was_published_in_time_is_no_news(world: World) -> None:
    world.at(5)
    world.mark(Marker("train", "2027-03-02T06:00:00Z", "run-1", "2027-03-02T06:00:01Z", "2027-03-02T06:20:00Z"))
    assert world.at(7.1) == {"messages": [], "starts": []}


def test_something_that_is_no_marker_does_not_stop_the_watch(world: World) -> None:
    world.at(5)
    key = due_key("train", "2027-03-02T06:00:00Z")
    world.server.client("s3").put_object(Bucket=world.bucket, Key=key, Body=b"by hand")
    assert len(world.at(7.1)["messages"]) == 1


def die_at(world: World, operation: str, times: int = 1) -> None:
    left = [times]

    def before(name: str) -> None:
        if name == operation:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

    world.before = before


@pytest.mark.parametrize(
    ("operation", "nth"),
    [("PutObject", 1), ("Publish", 1), ("StartExecution", 1), ("PutObject", 2)],
    ids=["before it is kept", "before it is told", "before it is started", "before it is kept as done"],
)
def test_a_call_that_dies_loses_nothing(world: World, operation: str, nth: int) -> None:
    world.at(5)
    die_at(world, operation, nth)
    with pytest.raises(Killed):
        world.at(7.1)
    world.before = None
    world.at(7.2)
    assert len(world.runs) == 1, "a start has a name, so it comes about once"
    told_before_it_died = operation in ("StartExecution",) or nth == 2
    # The second publish of a call that died between telling and noting so is the one time that it is told twice.
    assert len(world.told) == (2 if told_before_it_died else 1) + (1 if operation == "Publish" else 0)
    assert world.kept.is_settled
    assert world.at(7.3) == {"messages": [], "starts": []}


def refuse(*operations: str) -> Callable[[str], None]:
    def before(name: str) -> None:
        if name in operations:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, name)

    return before


@pytest.mark.parametrize("operation", ["ListSubscriptionsByTopic", "GetLogEvents", "DescribeExecution"])
def test_one_permission_that_is_missing_does_not_silence_the_others(world: World, operation: str) -> None:
    world.at(5)
    world.before = refuse(operation)
    with contextlib.suppress(Refused):
        world.at(7.1)
    assert len(world.told) == 1


def test_what_is_refused_fails_the_call(world: World) -> None:
    world.before = refuse("ListSchedules")
    with pytest.raises(Refused, match="ListSchedules"):
        world.at(5)


def test_a_topic_that_refuses_fails_the_call_and_is_told_later(world: World) -> None:
    world.at(5)
    world.before = refuse("Publish")
    with pytest.raises(ClientError):
        world.at(7.1)
    assert not world.kept.is_settled
    world.before = None
    assert len(world.at(7.2)["messages"]) == 1
    assert world.kept.is_settled


def test_of_two_calls_at_once_one_decides_again(world: World) -> None:
    world.at(5)
    others: list[dict[str, Any]] = []

    def before(name: str) -> None:
        if name == "PutObject" and not others:
            world.before = None
            others.append(world.at(7.1))

    world.before = before
    mine = world.at(7.1)
    assert len(others[0]["messages"]) == 1 and mine["messages"] == []
    assert len(world.told) == 1


def test_a_memory_that_others_keep_writing_is_given_up(world: World) -> None:
    def before(name: str) -> None:
        if name == "PutObject":
            world.before = None
            world.server.client("s3").put_object(Bucket=world.bucket, Key=WATCH_MEMORY, Body=os.urandom(8).hex())
            world.before = before

    world.before = before
    with pytest.raises(RuntimeError, match="written by others"):
        world.at(5)


def test_a_memory_that_has_gone_is_a_race(world: World) -> None:
    aws = world.aws
    world.at(5)
    stored = aws.memory()
    world.server.client("s3").delete_object(Bucket=world.bucket, Key=WATCH_MEMORY)
    with pytest.raises(Raced):
        aws.remember(b"{}", stored)


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b'{"schema": 1}', b'{"schema": 99}', b"null", b"[" * 100_000])
def test_a_broken_memory_is_replaced(world: World, text: bytes) -> None:
    world.server.client("s3").put_object(Bucket=world.bucket, Key=WATCH_MEMORY, Body=text)
    world.at(5)
    assert world.kept.memory is not None
    json.loads(world.kept.memory)


def test_the_last_lines_of_a_run_are_those_of_its_task(world: World) -> None:
    from herd.watch.known import RunKey
    from herd.watch.questions import LogWanted, Questions

    logs = world.server.client("logs")
    logs.create_log_group(logGroupName="/herd-dev/train")
    for stream, text in {"train/main/1": "first", "train/main/2": "second"}.items():
        logs.create_log_stream(logGroupName="/herd-dev/train", logStreamName=stream)
        at = int(datetime.now(UTC).timestamp() * 1000)
        logs.put_log_events(
            logGroupName="/herd-dev/train",
            logStreamName=stream,
            logEvents=[{"timestamp": at, "message": f"{text} {n}"} for n in range(40)],
        )
    key = RunKey("herd-dev-train", "run-1")
    task = "arn:aws:ecs:eu-west-1:1:task/herd-dev/1"
    asked = Questions(logs=(LogWanted("train", key, "/herd-dev/train", task),))
    lines = world.aws.answers(asked, []).logs[key]
    assert lines[-1] == "first 39" and 10 <= len(lines) <= 40
    nowhere = Questions(logs=(LogWanted("train", key, "/herd-dev/none", None),))
    assert world.aws.answers(nowhere, []).logs[key] == ()


def test_a_schedule_that_somebody_switched_off_is_told(world: World) -> None:
    world.at(7.2)
    scheduler = world.server.client("scheduler")
    found = scheduler.get_schedule(Name="herd-dev-train", GroupName="herd-dev")
    kept = {name: found[name] for name in ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(**kept, State="DISABLED")
    told = [one for hour in range(8, 14) for one in world.at(hour)["messages"]]
    assert len(told) == 1 and "switched off" in told[0]["subject"], told


def test_a_failed_run_is_told_once_with_the_last_lines_of_its_log(world: World) -> None:
    world.at(5)
    logs = world.server.client("logs")
    logs.create_log_group(logGroupName="/herd-dev/train")
    logs.create_log_stream(logGroupName="/herd-dev/train", logStreamName="train/main/7")
    at = int(datetime.now(UTC).timestamp() * 1000)
    logs.put_log_events(
        logGroupName="/herd-dev/train",
        logStreamName="train/main/7",
        logEvents=[{"timestamp": at, "message": "the ledger is locked"}],
    )
    account = world.server.account
    machine = f"arn:aws:states:{REGION}:{account}:stateMachine:herd-dev-train"
    cause = {"exit_code": 1, "reason": "exit code 1", "attempts": 1, "task": f"arn:aws:ecs:{REGION}:{account}:task/c/7"}
    began = TODAY + timedelta(hours=6)
    event: dict[str, Any] = {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": "2027-03-02T06:10:00Z",
        "detail": {
            "executionArn": f"arn:aws:states:{REGION}:{account}:execution:herd-dev-train:run-9",
            "stateMachineArn": machine,
            "name": "run-9",
            "status": "FAILED",
            "startDate": int(began.timestamp() * 1000),
            "stopDate": int((began + timedelta(minutes=10)).timestamp() * 1000),
            "error": "Herd.Failed",
            "cause": json.dumps(cause),
            "input": json.dumps({"trigger": "schedule", "scheduled_time": "2027-03-02T06:00:00Z"}),
        },
    }
    for _ in range(2):  # AWS delivers at least once
        ended = events.parse(PLAN, event)
        assert ended is not None
        run(world.aws, ended, began + timedelta(minutes=11))
    (told,) = world.told
    assert "train" in told["Subject"] and "the ledger is locked" in told["Message"]
    other = {**event, "detail": {**event["detail"], "stateMachineArn": machine.replace("herd-dev-", "herd-dev-2-")}}
    assert events.parse(PLAN, other) is None, "another environment's names begin alike"
