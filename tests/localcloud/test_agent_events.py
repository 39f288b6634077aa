"""Task state changes on the bus, and rules that deliver them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.agent.events import EventBus
from localcloud.patches.events import matches
from tests.localcloud.conftest import FakeClock


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


def test_events_of_services_have_their_documented_form(cloud: Any, listening: Listening, wait_until: Any) -> None:
    """Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html and
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html
    """
    listening.rule({"source": ["aws.ecs"]})
    cluster = f"arn:aws:ecs:eu-west-1:{cloud.server.account}:cluster/c"
    service = SimpleNamespace(
        region_name="eu-west-1", arn=cluster.replace("cluster/", "service/") + "/s", cluster_arn=cluster
    )
    clock = FakeClock(datetime(2020, 5, 23, 11, 11, 11, 725_000, UTC))
    bus, reason = EventBus(cloud.server.account, clock), "ECS deployment circuit breaker: task failed to start."
    with cloud.server.lock:
        bus.deployment_changed(service, "SERVICE_DEPLOYMENT_FAILED", "ERROR", "ecs-svc/123", reason)
        bus.service_acted(service, "SERVICE_STEADY_STATE", "INFO")
    wait_until(lambda: len(listening.read()) == 2)
    deployment, action = listening.bodies
    for event in (deployment, action):
        assert (event["resources"], event["time"]) == ([service.arn], "2020-05-23T11:11:11Z")
        assert event.keys() == {
            "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail",
        }  # fmt: skip
    assert deployment["detail-type"] == "ECS Deployment State Change"
    assert deployment["detail"] == {
        "eventType": "ERROR", "eventName": "SERVICE_DEPLOYMENT_FAILED", "deploymentId": "ecs-svc/123",
        "updatedAt": "2020-05-23T11:11:11Z", "reason": reason,
    }  # fmt: skip
    assert action["detail-type"] == "ECS Service Action"
    assert action["detail"] == {
        "eventType": "INFO", "eventName": "SERVICE_STEADY_STATE", "clusterArn": cluster,
        "createdAt": "2020-05-23T11:11:11.725Z",
    }  # fmt: skip


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


# --- patterns --------------------------------------------------------------------------------------------------------

MATCHES = {
    # operator: pattern of `v`, values that match, values that do not
    "exact": (["a", 2, None, True], ["a", 2, None, True, ["x", "a"]], ["b", 1, False]),
    "a number is no truth": ([1, False], [1, False], [True, 0]),
    "prefix": ([{"prefix": "herd-"}], ["herd-dev"], ["dev", 1]),
    "prefix, case ignored": ([{"prefix": {"equals-ignore-case": "HERD"}}], ["herd-dev"], ["dev"]),
    "suffix": ([{"suffix": ".csv"}], ["a.csv"], ["a.csv.gz"]),
    "case ignored": ([{"equals-ignore-case": "Prod"}], ["PROD"], ["prod2"]),
    "wildcard": ([{"wildcard": "a*c"}], ["abc", "ac"], ["abd"]),
    "escaped wildcard": ([{"wildcard": "a\\*c"}], ["a*c"], ["abc"]),
    "anything but": ([{"anything-but": ["a", "b"]}], ["c"], ["a", "b"]),
    "anything but a prefix": ([{"anything-but": {"prefix": "a"}}], ["ba"], ["ab"]),
    "anything but prefixes": ([{"anything-but": {"prefix": ["a", "b"]}}], ["c"], ["ab", "ba"]),
    "anything but a wildcard": ([{"anything-but": {"wildcard": "*x*"}}], ["ab"], ["axb"]),
    "number": ([{"numeric": [">", 0, "<=", 5]}], [5, 0.1], [0, 5.1, "3"]),
    "network": ([{"cidr": "10.0.0.0/24"}], ["10.0.0.7"], ["10.0.1.7", "x"]),
    "one of two": (["x", {"prefix": "y"}], ["x", "yz"], ["z"]),
}


@pytest.mark.parametrize("name", MATCHES)
def test_patterns_match_as_on_aws(server: Any, name: str) -> None:
    pattern, matching, others = MATCHES[name]
    events = server.client("events")
    events.put_rule(Name="r", EventPattern=json.dumps({"detail": {"v": pattern}}))
    for value in (*matching, *others):
        event = {"id": "1", "detail-type": "t", "source": "s", "account": "1", "time": "2026-01-01T00:00:00Z",
                 "region": "eu-west-1", "resources": [], "detail": {"v": value}}  # fmt: skip
        expected = json.dumps(value) in [json.dumps(each) for each in matching]
        assert matches({"detail": {"v": pattern}}, event) == expected, value


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({"v": [{"exists": True}]}, {"v": None}, True),
        ({"v": [{"exists": False}]}, {"w": 1}, True),
        ({"v": [{"exists": False}]}, {"v": 1}, False),
        ({"v": {"w": [{"exists": False}]}}, {}, True),
        ({"$or": [{"v": [1]}, {"w": [2]}]}, {"w": 2}, True),
        ({"u": [1], "$or": [{"v": [1]}, {"w": [2]}]}, {"u": 2, "w": 2}, False),
        ({"v": {"w": ["a"]}}, {"v": [{"w": "b"}, {"w": "a"}]}, True),
    ],
)
def test_patterns_of_several_fields(pattern: dict[str, Any], event: dict[str, Any], expected: bool) -> None:
    assert matches(pattern, event) == expected


REFUSED = {
    "unknown operator": ({"v": [{"sufix": "x"}]}, "Unrecognized match type sufix"),
    "two operators": ({"v": [{"prefix": "x", "suffix": "y"}]}, "Only one key allowed"),
    "a value alone": ({"v": "x"}, "must be an object or an array"),
    "nothing": ({"v": []}, "Empty arrays are not allowed"),
    "no number": ({"v": [{"numeric": [">", "5"]}]}, "numeric of"),
    "an empty range": ({"v": [{"numeric": [">", 5, "<", 1]}]}, "numeric of"),
    "no network": ({"v": [{"cidr": "10.0.0"}]}, "cidr of"),
    "two stars": ({"v": [{"wildcard": "a**b"}]}, "wildcard of"),
    "a list in a list": ({"v": [["x"]]}, "array in its array"),
    "or of one": ({"$or": {"v": [1]}}, "$or must be an array of objects"),
    "exists": ({"v": [{"exists": "true"}]}, "exists of"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_patterns_that_are_refused(server: Any, name: str) -> None:
    pattern, words = REFUSED[name]
    with pytest.raises(ClientError, match="InvalidEventPatternException") as refused:
        server.client("events").put_rule(Name="r", EventPattern=json.dumps(pattern))
    assert words in str(refused.value)


def test_nobody_else_speaks_as_a_service(cloud: Any, listening: Listening, wait_until: Any) -> None:
    listening.rule({"detail-type": ["t"]}, InputPath="$.source")
    entries = [{"Source": source, "DetailType": "t", "Detail": "{}"} for source in ("aws.states", "mine", "aws.ecs")]
    answer = listening.events.put_events(Entries=entries)
    codes = [entry.get("ErrorCode", "") for entry in answer["Entries"]]
    assert codes == ["NotAuthorizedForSourceException", "", "NotAuthorizedForSourceException"]
    assert answer["FailedEntryCount"] == 2
    wait_until(lambda: listening.read() == ["mine"])
