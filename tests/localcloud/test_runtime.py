"""What the runtime keeps: bounds, full disks, and what is done about what does not fit together."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import backends
from localcloud.metrics.series import Store
from localcloud.patches.cloudwatch.alarms import State
from localcloud.request import Call, Request, Response
from localcloud.runtime import Runtime, executions, logs, objects
from localcloud.server import Server
from localcloud.unreadable import Reason, Unreadable

MACHINE = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
WAITING = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 60, "End": True}}})
ROLE = "arn:aws:iam::123456789012:role/x"


class Account:
    """A server whose runtime is kept, and can be lost and brought back; what is declared stays."""

    def __init__(self, server: Server, folder: Path):
        self.server = server
        self.folder = folder
        server.recorder = self
        self.open()
        self.s3, self.sfn, self.logs = (server.client(name) for name in ("s3", "stepfunctions", "logs"))
        self.bucket = f"b-{server.account}"

    def open(self, journal_is_whole: bool = True) -> None:
        self.runtime = Runtime(self.server, self.folder)
        self.runtime.restore(journal_is_whole)

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        return self.runtime.perform(call, request, carry_out)

    def make_bucket(self, versioned: bool = False) -> None:
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        if versioned:
            self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def make_machine(self, name: str = "m", definition: str = MACHINE) -> str:
        made = self.sfn.create_state_machine(name=name, definition=definition, roleArn=ROLE)
        return str(made["stateMachineArn"])

    def run(self, machine: str, name: str) -> str:
        arn = self.sfn.start_execution(stateMachineArn=machine, name=name)["executionArn"]
        deadline = time.monotonic() + 60
        while self.sfn.describe_execution(executionArn=arn)["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return str(arn)

    def again(self) -> None:
        """Lose objects, log streams and executions, as with the process, and bring them back."""
        self.runtime.close()
        account = self.server.account
        for bucket in backends.s3(account).buckets.values():
            dict.clear(bucket.keys)
        for machine in backends.stepfunctions(account, self.server.region).state_machines:
            machine.executions = []
        for group in backends.logs(account, self.server.region).groups.values():
            group.streams.clear()
        cloudwatch = backends.cloudwatch(account, self.server.region)
        cloudwatch.points = Store()
        for alarm in cloudwatch.alarms.values():
            alarm.state = State()
        self.open()

    def keys(self) -> list[str]:
        return [found["Key"] for found in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "objects").rglob("*") if path.is_file()]


@pytest.fixture
def account(server: Server, tmp_path: Path) -> Iterator[Account]:
    account = Account(server, tmp_path / "runtime")
    yield account
    account.runtime.close()
    server.recorder = None


# --- objects ---------------------------------------------------------------------------------------------------------


def test_equal_bytes_are_kept_once_and_go_with_the_last_object(account: Account) -> None:
    account.make_bucket()
    for key in ("a", "b"):
        account.s3.put_object(Bucket=account.bucket, Key=key, Body=b"same")
    assert len(account.files()) == 1
    account.s3.delete_object(Bucket=account.bucket, Key="a")
    account.again()
    assert account.s3.get_object(Bucket=account.bucket, Key="b")["Body"].read() == b"same"
    account.s3.put_object(Bucket=account.bucket, Key="b", Body=b"other")
    account.s3.delete_object(Bucket=account.bucket, Key="b")
    assert account.files() == []


def test_bytes_are_not_kept_in_memory(account: Account) -> None:
    account.make_bucket()
    account.s3.put_object(Bucket=account.bucket, Key="big", Body=b"x" * 3_000_000)
    got = account.s3.get_object(Bucket=account.bucket, Key="big", Range="bytes=10-19")
    assert (got["ContentRange"], got["Body"].read()) == ("bytes 10-19/3000000", b"x" * 10)
    key = backends.s3(account.server.account).buckets[account.bucket].keys["big"]
    assert [piece.file.path.stat().st_size for piece in key.stored.pieces] == [3_000_000]


def test_only_what_changed_of_a_long_history_is_written(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.make_bucket(versioned=True)
    versions = [
        account.s3.put_object(Bucket=account.bucket, Key="k", Body=f"{number}".encode())["VersionId"]
        for number in range(30)
    ]
    described = []
    real = account.runtime.objects._files_of
    monkeypatch.setattr(
        account.runtime.objects, "_files_of", lambda version: described.append(version) or real(version)
    )
    account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"last")
    assert len(described) == 2
    account.s3.delete_object(Bucket=account.bucket, Key="k", VersionId=versions[3])
    account.s3.put_object_tagging(
        Bucket=account.bucket, Key="k", VersionId=versions[5], Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    )
    before = account.s3.list_object_versions(Bucket=account.bucket)["Versions"]
    account.again()
    assert account.s3.list_object_versions(Bucket=account.bucket)["Versions"] == before
    tags = account.s3.get_object_tagging(Bucket=account.bucket, Key="k", VersionId=versions[5])["TagSet"]
    assert tags == [{"Key": "a", "Value": "b"}]


@pytest.mark.parametrize("where", ["file", "database"])
def test_a_full_disk_leaves_objects_as_they_were(account: Account, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    account.make_bucket()
    account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"old")
    with monkeypatch.context() as patched:
        if where == "file":

            def full(*_: Any) -> None:
                raise OSError(28, "No space left on device")

            patched.setattr(os, "replace", full)
        else:
            account.runtime._store._file.execute("PRAGMA max_page_count = 1")
        big = {"Metadata": {"filler": "x" * 1000}}
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            for number in range(500):
                account.s3.put_object(Bucket=account.bucket, Key=f"n{number}", Body=f"{number}".encode(), **big)
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"new", **big)
    account.runtime._store._file.execute("PRAGMA max_page_count = 1000000")
    assert account.s3.get_object(Bucket=account.bucket, Key="k")["Body"].read() == b"old"
    before = account.keys()
    account.again()
    assert account.keys() == before
    assert account.s3.get_object(Bucket=account.bucket, Key="k")["Body"].read() == b"old"
    account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"new")
    assert account.s3.get_object(Bucket=account.bucket, Key="k")["Body"].read() == b"new"


def test_an_object_whose_bytes_are_missing_is_named_and_waits_for_them(account: Account) -> None:
    account.make_bucket()
    for key in ("whole", "cut", "missing"):
        account.s3.put_object(Bucket=account.bucket, Key=key, Body=key.encode() * 100)
    spoilt = {}
    for path in account.files():
        content = path.read_bytes()
        if content.startswith(b"cut"):
            path.write_bytes(b"c")
        elif content.startswith(b"missing"):
            path.unlink()
        else:
            continue
        spoilt[path] = content
    with pytest.raises(Unreadable) as refused:
        account.again()
    assert refused.value.reason is Reason.damaged
    for what in ("/cut: ", " has 1 of 300 bytes", "/missing: ", " is missing"):
        assert what in str(refused.value)
    assert "/whole" not in str(refused.value) and len(account.files()) == 2
    for path, content in spoilt.items():
        path.write_bytes(content)
    account.again()
    assert account.keys() == ["cut", "missing", "whole"]


def test_only_files_that_the_store_knows_to_be_in_vain_go(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed while it writes leaves a draft, or a file that no object has got yet."""
    account.make_bucket()
    account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"old")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    for where, name in ((os, "replace"), (objects.stored_objects, "describe")):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(where, name, killed)
            patched.setattr(Path, "unlink", lambda *_, **__: None)
            account.s3.put_object(Bucket=account.bucket, Key=name, Body=name.encode())
    assert len(account.files()) == 3
    account.again()
    assert [path.read_bytes() for path in account.files()] == [b"old"]


def test_a_file_that_the_store_should_know_says_that_it_lost_something(account: Account) -> None:
    account.make_bucket()
    account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"old")
    content = b"of an object whose row is gone"
    name = hashlib.sha256(content).hexdigest()
    file = account.folder / "objects" / name[:2] / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    with pytest.raises(Unreadable, match=f"{name} belongs to an object that runtime.sqlite does not know"):
        account.again()
    assert file.read_bytes() == content
    file.unlink()
    account.again()
    assert account.keys() == ["k"]


@pytest.mark.parametrize("whole", [True, False])
def test_what_has_lost_its_place_goes_only_if_the_journal_is_whole(account: Account, whole: bool) -> None:
    account.make_bucket()
    account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"content")
    account.logs.create_log_group(logGroupName="/g")
    account.logs.create_log_stream(logGroupName="/g", logStreamName="s")
    account.logs.put_log_events(
        logGroupName="/g", logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "hello"}]
    )
    machine = account.make_machine()
    run = account.run(machine, "n")

    account.runtime.close()
    account.server.recorder = None
    dict.clear(backends.s3(account.server.account).buckets[account.bucket].keys)
    account.s3.delete_bucket(Bucket=account.bucket)
    account.logs.delete_log_group(logGroupName="/g")
    account.sfn.delete_state_machine(stateMachineArn=machine)
    account.open(whole)
    account.server.recorder = account
    account.runtime.find_again()
    assert len(account.files()) == (0 if whole else 1)

    account.make_bucket()
    account.logs.create_log_group(logGroupName="/g")
    account.make_machine()
    account.runtime.find_again()
    assert account.keys() == ([] if whole else ["k"])
    streams = account.logs.describe_log_streams(logGroupName="/g")["logStreams"]
    listed = account.sfn.list_executions(stateMachineArn=machine)["executions"]
    assert [len(streams), [found["executionArn"] for found in listed]] == ([0, []] if whole else [1, [run]])
    if not whole:
        assert account.s3.get_object(Bucket=account.bucket, Key="k")["Body"].read() == b"content"
        account.again()
        assert account.keys() == ["k"], "it stays"


# --- executions ------------------------------------------------------------------------------------------------------


def test_the_oldest_runs_make_room(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "KEPT_PER_MACHINE", 3)
    machine = account.make_machine()
    arns = [account.run(machine, f"n{number}") for number in range(5)]
    listed = account.sfn.list_executions(stateMachineArn=machine)["executions"]
    assert [found["executionArn"] for found in listed] == arns[:1:-1]
    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        account.sfn.describe_execution(executionArn=arns[0])
    account.again()
    assert [e["name"] for e in account.sfn.list_executions(stateMachineArn=machine)["executions"]] == ["n4", "n3", "n2"]


def test_a_name_stays_taken(account: Account) -> None:
    machine = account.make_machine()
    account.run(machine, "once")
    account.again()
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        account.sfn.start_execution(stateMachineArn=machine, name="once")


def test_runs_go_with_their_machine(account: Account) -> None:
    machine = account.make_machine()
    account.run(machine, "n")
    account.sfn.delete_state_machine(stateMachineArn=machine)
    account.make_machine()
    assert account.sfn.list_executions(stateMachineArn=machine)["executions"] == []
    account.again()
    assert account.sfn.list_executions(stateMachineArn=machine)["executions"] == []


def test_a_run_that_could_not_be_kept_does_not_begin(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = account.make_machine()

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(account.runtime._store, "write", full)
        with pytest.raises(ClientError, match=r"ServiceUnavailable.*disk is full"):
            account.sfn.start_execution(stateMachineArn=machine, name="n")
    assert account.sfn.list_executions(stateMachineArn=machine)["executions"] == []
    account.run(machine, "n")


def test_a_run_can_be_stopped_and_is_kept_as_stopped(account: Account) -> None:
    machine = account.make_machine("w", WAITING)
    arn = account.sfn.start_execution(stateMachineArn=machine, name="n")["executionArn"]
    account.sfn.stop_execution(executionArn=arn, error="E", cause="because")
    deadline = time.monotonic() + 60
    while account.sfn.describe_execution(executionArn=arn)["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before = account.sfn.describe_execution(executionArn=arn)
    assert (before["status"], before["error"], before["cause"]) == ("ABORTED", "E", "because")
    history = account.sfn.get_execution_history(executionArn=arn)["events"]
    account.again()
    after = account.sfn.describe_execution(executionArn=arn)
    assert {**after, "ResponseMetadata": None} == {**before, "ResponseMetadata": None}
    assert account.sfn.get_execution_history(executionArn=arn)["events"] == history
    account.sfn.stop_execution(executionArn=arn)  # says nothing, changes nothing


# --- logs ------------------------------------------------------------------------------------------------------------


def put(account: Account, stream: str, *messages: str) -> None:
    now = int(time.time() * 1000)
    account.logs.put_log_events(
        logGroupName="/g",
        logStreamName=stream,
        logEvents=[{"timestamp": now, "message": message} for message in messages],
    )


def read(account: Account, stream: str) -> list[str]:
    events = account.logs.get_log_events(logGroupName="/g", logStreamName=stream, startFromHead=True)["events"]
    return [event["message"] for event in events]


def test_long_streams_lose_their_beginning(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "EVENTS_KEPT_PER_STREAM", 10)
    account.logs.create_log_group(logGroupName="/g")
    account.logs.create_log_stream(logGroupName="/g", logStreamName="s")
    for number in range(30):
        put(account, "s", f"{number}")
    account.again()
    kept = read(account, "s")
    assert kept[-1] == "29" and 10 <= len(kept) <= 12

    def whole() -> int:
        first, *rest = read(account, "s")
        said = logs.LEFT_OUT.fullmatch(first)
        assert said is not None, first
        return int(said[1].replace(",", "")) + len(rest)

    assert whole() == 30
    for number in range(30, 3030, 100):
        put(account, "s", *map(str, range(number, number + 100)))
        account.again() if number % 1000 == 30 else None
        assert whole() == number + 100
    assert read(account, "s")[-2:] == ["3028", "3029"]


def test_of_too_many_streams_those_in_use_stay(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "STREAMS_KEPT", 3)
    account.logs.create_log_group(logGroupName="/g")
    for number in range(5):
        account.logs.create_log_stream(logGroupName="/g", logStreamName=f"s{number}")
        put(account, f"s{number}", "hello")
        put(account, "s0", "still works")

    def names() -> list[str]:
        streams = account.logs.describe_log_streams(logGroupName="/g")["logStreams"]
        return [stream["logStreamName"] for stream in streams]

    assert names() == ["s0", "s3", "s4"]
    account.again()
    assert names() == ["s0", "s3", "s4"]


def test_deleted_logs_stay_deleted(account: Account) -> None:
    account.logs.create_log_group(logGroupName="/g")
    for name in ("s", "t"):
        account.logs.create_log_stream(logGroupName="/g", logStreamName=name)
        put(account, name, "hello")
    account.logs.delete_log_stream(logGroupName="/g", logStreamName="s")
    account.again()
    assert [s["logStreamName"] for s in account.logs.describe_log_streams(logGroupName="/g")["logStreams"]] == ["t"]
    account.logs.delete_log_group(logGroupName="/g")
    account.logs.create_log_group(logGroupName="/g")
    account.again()
    assert account.logs.describe_log_streams(logGroupName="/g")["logStreams"] == []


def test_logs_that_cannot_be_kept_still_go_through(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    account.logs.create_log_group(logGroupName="/g")
    account.logs.create_log_stream(logGroupName="/g", logStreamName="s")
    account.runtime._store._file.execute("PRAGMA max_page_count = 1")
    with caplog.at_level(logging.ERROR):
        for number in range(300):
            put(account, "s", f"{number}" * 100)
    assert len(read(account, "s")) == 300
    assert len([record for record in caplog.records if "will be lost" in record.message]) == 1
    account.runtime._store._file.execute("PRAGMA max_page_count = 1000000")


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_data_points_and_the_states_of_alarms_come_back(account: Account) -> None:
    cloudwatch = account.server.client("cloudwatch")
    of = [{"Name": "d", "Value": "x"}]
    for value in (1, 2, 4):
        cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": value, "Dimensions": of}])
    held = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    for name in ("a", "gone"):
        cloudwatch.put_metric_alarm(AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60, **held)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="why")
    cloudwatch.delete_alarms(AlarmNames=["gone"])
    points = backends.cloudwatch(account.server.account, account.server.region).points
    before = points.values("n", "m", {"d": "x"}, 0, 2**40).record()
    account.again()
    points = backends.cloudwatch(account.server.account, account.server.region).points
    assert points.values("n", "m", {"d": "x"}, 0, 2**40).record() == before and before[:2] == [3, 7]
    (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
    assert (alarm["StateValue"], alarm["StateReason"]) == ("ALARM", "why")
    kept = [arn for (arn,) in account.runtime._store.read("SELECT arn FROM alarm")]
    assert kept == [alarm["AlarmArn"]]
    history = cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="ConfigurationUpdate")
    assert [item["HistorySummary"] for item in history["AlarmHistoryItems"]] == ['Alarm "a" created']


def test_a_point_that_goes_on_is_written_whole(account: Account) -> None:
    cloudwatch = account.server.client("cloudwatch")
    datum = {"MetricName": "m", "Value": 1, "Timestamp": datetime.now(UTC)}
    for _ in range(2):
        cloudwatch.put_metric_data(Namespace="n", MetricData=[datum])
        with account.server.lock:
            account.runtime.metrics.write()
    account.again()
    points = backends.cloudwatch(account.server.account, account.server.region).points
    assert points.values("n", "m", {}, 0, 2**40).count == 2


def test_a_state_waits_for_an_alarm_that_is_declared_again(account: Account) -> None:
    cloudwatch = account.server.client("cloudwatch")
    alarm = {"AlarmName": "a", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60,
             "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}  # fmt: skip
    cloudwatch.put_metric_alarm(**alarm)
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="OK", StateReason="why")
    account.runtime.close()
    backends.cloudwatch(account.server.account, account.server.region).alarms.clear()
    account.open(journal_is_whole=False)
    assert list(account.runtime.metrics.homeless)
    with account.server.lock:
        account.runtime.metrics.find_again()
    assert list(account.runtime.metrics.homeless), "it is not there yet"
    account.runtime.close()
    account.open()
    assert account.runtime.metrics.homeless == {}, "a whole journal knows that it is gone"
