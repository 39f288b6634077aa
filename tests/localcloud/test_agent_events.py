"""Task state changes on the bus, and rules that deliver them."""

from __future__ import annotations

import json
from typing import Any

import pytest


class Listening:
    """A queue that a rule sends the account's task events to."""

    def __init__(self, cloud: Any):
        self.events = cloud.server.client("events")
        self.sqs = cloud.server.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="q")["QueueUrl"]
        self.arn = f"arn:aws:sqs:eu-west-1:{cloud.server.account}:q"
        self.bodies: list[Any] = []

    def rule(self, pattern: dict[str, Any], state: str = "ENABLED", **target: Any) -> None:
        self.events.put_rule(Name="r", EventPattern=json.dumps(pattern), State=state)
        self.events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": self.arn, **target}])

    def read(self) -> list[Any]:
        while batch := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            self.bodies += [json.loads(message["Body"]) for message in batch]
            for message in batch:  # it would come again when its time of invisibility is over
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return self.bodies


TASKS = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]}


@pytest.fixture
def listening(cloud: Any) -> Listening:
    return Listening(cloud)


def test_a_task_tells_its_way(cloud: Any, listening: Listening, wait_until: Any) -> None:
    listening.rule(TASKS)
    arn = cloud.run(cloud.define("sh", "-c", "sleep 0.3; exit 3"))
    cloud.stopped(arn)
    wait_until(lambda: [body["detail"]["lastStatus"] for body in listening.read()][-1:] == ["STOPPED"])
    statuses = [body["detail"]["lastStatus"] for body in listening.bodies]
    assert statuses == ["PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPED"]
    last = listening.bodies[-1]
    assert (last["account"], last["region"], last["resources"]) == (cloud.server.account, "eu-west-1", [arn])
    assert last["detail"]["containers"][0]["exitCode"] == 3
    assert last["detail"]["stopCode"] == "EssentialContainerExited"
    versions = [body["detail"]["version"] for body in listening.bodies]
    assert versions == sorted(set(versions))


def test_a_rule_can_look_at_exit_codes(cloud: Any, listening: Listening, wait_until: Any) -> None:
    listening.rule(
        {**TASKS, "detail": {"lastStatus": ["STOPPED"], "containers": {"exitCode": [{"anything-but": 0}]}}},
        InputPath="$.detail.containers[0].exitCode",
    )
    for code in (0, 7):
        cloud.stopped(cloud.run(cloud.define("sh", "-c", f"exit {code}")))
    wait_until(lambda: listening.read() == [7])


def test_a_disabled_rule_is_silent_and_a_constant_input_is_sent(
    cloud: Any, listening: Listening, wait_until: Any
) -> None:
    pattern = {"source": ["me"]}
    entry = {"Source": "me", "DetailType": "t", "Detail": "{}"}
    listening.rule(pattern, state="DISABLED")
    listening.events.put_events(Entries=[entry])
    listening.rule(pattern, Input='{"constant": true}')
    listening.events.put_events(Entries=[entry])
    wait_until(lambda: listening.read() == [{"constant": True}])


def test_a_rule_starts_an_execution(cloud: Any, listening: Listening, wait_until: Any) -> None:
    machine = cloud.machine({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    template = {"InputPathsMap": {"x": "$.detail.x"}, "InputTemplate": '{"got": "<x>"}'}
    listening.rule({"source": ["me"]}, InputTransformer=template)
    listening.events.put_targets(
        Rule="r",
        Targets=[{"Id": "1", "Arn": machine, "InputTransformer": template}],
    )
    listening.events.put_events(Entries=[{"Source": "me", "DetailType": "t", "Detail": '{"x": "y"}'}])
    wait_until(lambda: cloud.sfn.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"])
    arn = cloud.sfn.list_executions(stateMachineArn=machine)["executions"][0]["executionArn"]
    assert json.loads(cloud.sfn.describe_execution(executionArn=arn)["output"]) == {"got": "y"}


def test_a_target_that_fails_does_not_fail_the_sender(cloud: Any, listening: Listening, wait_until: Any) -> None:
    listening.rule({"source": ["me"]})
    absent = f"arn:aws:states:eu-west-1:{cloud.server.account}:stateMachine:absent"
    listening.events.put_targets(Rule="r", Targets=[{"Id": "0", "Arn": absent, "RoleArn": "arn:aws:iam::1:role/r"}])
    answer = listening.events.put_events(Entries=[{"Source": "me", "DetailType": "t", "Detail": "{}"}])
    assert answer["FailedEntryCount"] == 0
    wait_until(lambda: len(listening.read()) == 1)


EXECUTIONS = {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"]}

ENDS = {
    "SUCCEEDED": {"Type": "Pass", "Result": "Hello", "End": True},
    "FAILED": {"Type": "Fail", "Error": "Mine", "Cause": "why"},
    "TIMED_OUT": {"Type": "Wait", "Seconds": 60, "End": True},
    "ABORTED": {"Type": "Wait", "Seconds": 60, "End": True},
}


@pytest.mark.parametrize("status", ENDS)
def test_an_execution_tells_its_way(cloud: Any, listening: Listening, wait_until: Any, status: str) -> None:
    listening.rule({**EXECUTIONS, "detail": {"stateMachineArn": [{"prefix": "arn:aws:states:"}]}})
    definition = {"StartAt": "A", "States": {"A": ENDS[status]}}
    machine = cloud.machine({**definition, "TimeoutSeconds": 1} if status == "TIMED_OUT" else definition)
    arn = cloud.sfn.start_execution(stateMachineArn=machine, name="run-1", input='{"x": 1}')["executionArn"]
    if status == "ABORTED":
        cloud.sfn.stop_execution(executionArn=arn, error="Me", cause="enough")
    done = cloud.finished(arn)
    wait_until(lambda: len(listening.read()) == 2)
    begun, ended = listening.bodies
    for event in (begun, ended):
        assert event["resources"] == [arn] and event["account"] == cloud.server.account
    # The documented example, and what DescribeExecution answers besides.
    plain = {"executionArn": arn, "stateMachineArn": machine, "name": "run-1", "input": '{"x": 1}'}
    unversioned = {"stateMachineVersionArn": None, "stateMachineAliasArn": None, "redriveCount": 0, "redriveDate": None}
    dates = {name: int(done[name].timestamp() * 1000) for name in ("startDate", "stopDate")}
    assert begun["detail"] == {
        **plain, **unversioned, **dates, "status": "RUNNING", "stopDate": None, "output": None, "error": None,
        "cause": None, "inputDetails": {"included": True}, "outputDetails": None,
    }  # fmt: skip
    output = done.get("output")
    assert ended["detail"] == {
        **plain, **unversioned, **dates, "status": status, "output": output, "error": done.get("error"),
        "cause": done.get("cause"), "inputDetails": {"included": True},
        "outputDetails": {"included": True} if output else None,
    }  # fmt: skip
    counted = cloud.server.client("cloudwatch").list_metrics(Namespace="AWS/States")["Metrics"]
    word = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "TIMED_OUT": "TimedOut", "ABORTED": "Aborted"}[status]
    names = sorted(metric["MetricName"] for metric in counted)
    assert names == sorted(["ExecutionTime", "ExecutionsStarted", f"Executions{word}"])
    assert all(it["Dimensions"] == [{"Name": "StateMachineArn", "Value": machine}] for it in counted)


def test_what_is_too_large_is_not_in_the_event(cloud: Any, listening: Listening, wait_until: Any) -> None:
    listening.rule(EXECUTIONS, InputPath="$.detail.inputDetails.included")
    machine = cloud.machine({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    cloud.execute(machine, {"x": "y" * 150_000})
    wait_until(lambda: listening.read() == [True, False])
