"""Events that nobody waits for: attempts by the clock, their ends, and who may send them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.functions.conftest import Functions
from tests.localcloud.iam.acting import allow, document, trust

FAILS = "def handler(event, context):\n    print('attempt', event)\n    raise RuntimeError('no good')\n"
WORKS = "import json\ndef handler(event, context):\n    print('got', json.dumps(event, sort_keys=True))\n    return 7\n"


def attempts(functions: Functions) -> int:
    return len([line for line in functions.lines() if line.startswith("attempt")])


def send(functions: Functions, event: Any) -> str:
    answer = functions.api.invoke(FunctionName="f", InvocationType="Event", Payload=json.dumps(event).encode())
    assert answer["StatusCode"] == 202 and answer["Payload"].read() == b""
    return str(answer["ResponseMetadata"]["RequestId"])


def test_two_retries_after_one_and_two_minutes_then_the_dead_letter_queue(functions: Functions) -> None:
    url, queue = functions.queue("dead")
    functions.permit(allow("sqs:SendMessage", queue))
    functions.make(FAILS, DeadLetterConfig={"TargetArn": queue})
    request_id = send(functions, {"n": 1})
    functions.settle()
    assert attempts(functions) == 1
    functions.pass_minutes(0.9)
    assert attempts(functions) == 1
    functions.pass_minutes(0.2)
    assert attempts(functions) == 2
    functions.pass_minutes(1.9)
    assert attempts(functions) == 2
    assert functions.messages(url) == []
    functions.pass_minutes(0.2)
    assert attempts(functions) == 3
    (message,) = functions.messages(url)
    assert json.loads(message["Body"]) == {"n": 1}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "no good"}
    functions.pass_minutes(60)
    assert attempts(functions) == 3
    assert functions.metric("Invocations") == functions.metric("Errors") == [3, 3]
    assert list(Path(functions.agent.functions.functions.folder / "events").iterdir()) == []


def test_destinations(functions: Functions) -> None:
    bad, bad_arn = functions.queue("bad")
    good, good_arn = functions.queue("good")
    functions.permit(allow("sqs:SendMessage", [bad_arn, good_arn]))
    arn = functions.make("def handler(event, context):\n    return 1 / event\n")
    functions.api.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": good_arn}, "OnFailure": {"Destination": bad_arn}},
    )  # fmt: skip
    send(functions, 0)
    functions.settle()
    send(functions, 4)
    functions.settle()
    (failure,) = [json.loads(message["Body"]) for message in functions.messages(bad)]
    assert failure["requestContext"]["condition"] == "RetriesExhausted"
    assert failure["requestContext"]["functionArn"] == f"{arn}:$LATEST"
    assert failure["requestContext"]["approximateInvokeCount"] == 1
    assert failure["requestPayload"] == 0
    assert failure["responseContext"] == {
        "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
    }  # fmt: skip
    assert failure["responsePayload"]["errorType"] == "ZeroDivisionError"
    (success,) = [json.loads(message["Body"]) for message in functions.messages(good)]
    assert (success["requestContext"]["condition"], success["responsePayload"]) == ("Success", 0.25)


def test_an_event_that_is_too_old_is_given_up(functions: Functions) -> None:
    bad, bad_arn = functions.queue("bad")
    functions.permit(allow("sqs:SendMessage", bad_arn))
    functions.make(FAILS)
    functions.api.put_function_event_invoke_config(
        FunctionName="f", MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": bad_arn}}
    )
    send(functions, {})
    functions.settle()
    functions.pass_minutes(2)
    (failure,) = [json.loads(message["Body"]) for message in functions.messages(bad)]
    assert failure["requestContext"]["condition"] == "EventAgeExceeded"
    assert attempts(functions) == 1


def test_a_role_that_may_not_send_loses_the_dead_letter(functions: Functions) -> None:
    url, queue = functions.queue("dead")
    with pytest.raises(ClientError, match="does not have permissions to call SendMessage on SQS"):
        functions.make(FAILS, DeadLetterConfig={"TargetArn": queue})
    functions.permit(allow("sqs:SendMessage", queue))
    functions.make(FAILS, DeadLetterConfig={"TargetArn": queue})
    functions.permit()
    functions.api.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    send(functions, {})
    functions.settle()
    assert functions.messages(url) == []
    assert functions.metric("DeadLetterErrors") == [1, 1]


def test_events_wait_for_the_next_process(functions: Functions, clock: Any) -> None:
    """What was accepted is run once more than it may have been, never less."""
    from localcloud.agent.functions.asynchronous import Asynchronous
    from localcloud.agent.worker import Worker

    functions.make(WORKS)
    send(functions, {"n": 1})
    runner = functions.agent.functions
    runner.events.close()
    next_one = Asynchronous(
        functions.server, runner.functions, functions.agent._delivery, clock, Worker("w"),
        runner.functions.folder / "events",
    )  # fmt: skip
    next_one.tick()
    assert next_one.settle()
    next_one.close()
    assert 'got {"n": 1}' in functions.lines()


# --- services ----------------------------------------------------------------------------------------------------


def rule(functions: Functions, arn: str, **parameters: Any) -> str:
    events = functions.server.client("events")
    rule_arn: str = events.put_rule(Name="r", **parameters)["RuleArn"]
    events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": arn}])
    return rule_arn


def put(functions: Functions) -> None:
    entry = {"Source": "mine", "DetailType": "d", "Detail": json.dumps({"n": 5})}
    functions.server.client("events").put_events(Entries=[entry])
    functions.settle()


def got(functions: Functions) -> list[Any]:
    groups = functions.logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    return [json.loads(line[4:]) for line in functions.lines() if line.startswith("got ")] if groups else []


@pytest.mark.parametrize("permission", ["none", "another service", "another rule", "another account", "this rule"])
def test_a_rule_invokes_a_function_that_permits_it(functions: Functions, permission: str) -> None:
    arn = functions.make(WORKS)
    rule_arn = rule(functions, arn, EventPattern=json.dumps({"source": ["mine"]}))
    conditions = {
        "another service": {"Principal": "sns.amazonaws.com"},
        "another rule": {"SourceArn": rule_arn + "2"},
        "another account": {"SourceArn": rule_arn, "SourceAccount": "111111111111"},
        "this rule": {"SourceArn": rule_arn, "SourceAccount": functions.server.account},
    }
    if permission in conditions:
        given = {"Principal": "events.amazonaws.com", **conditions[permission]}
        functions.api.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", **given)
    put(functions)
    permitted = permission == "this rule"
    assert [event["detail"] for event in got(functions)] == ([{"n": 5}] if permitted else [])
    assert functions.metric("FailedInvocations", "r", "AWS/Events") == ([] if permitted else [1, 1])


@pytest.mark.parametrize("permission", ["none", "another alarm", "this alarm"])
def test_an_alarm_invokes_a_function_that_permits_it(functions: Functions, permission: str) -> None:
    arn = functions.make(WORKS)
    alarm = functions.arn("cloudwatch", "alarm:a")
    if permission != "none":
        functions.api.add_permission(
            FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", SourceAccount=functions.server.account,
            Principal="lambda.alarms.cloudwatch.amazonaws.com", SourceArn=alarm + "2" * (permission != "this alarm"),
        )  # fmt: skip
    cloudwatch = functions.server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a", Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold", AlarmActions=[arn], AlarmDescription="d",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="a drill")
    functions.settle()
    (item,) = cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"]
    if permission != "this alarm":
        assert got(functions) == [] and item["HistorySummary"] == f"Failed to execute action {arn}"
        return
    assert item["HistorySummary"] == f"Successfully executed action {arn}"
    (event,) = got(functions)
    (metric,) = event["alarmData"]["configuration"]["metrics"]
    assert metric["metricStat"]["metric"] == {"dimensions": {}, "name": "m", "namespace": "n"}
    state, before = event["alarmData"]["state"], event["alarmData"]["previousState"]
    assert (state["value"], state["reason"], before["value"]) == ("ALARM", "a drill", "INSUFFICIENT_DATA")
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html
    assert event.keys() == {"source", "alarmArn", "accountId", "time", "region", "alarmData"}
    assert (event["source"], event["alarmArn"]) == ("aws.cloudwatch", alarm)
    assert event["alarmData"].keys() == {"alarmName", "state", "previousState", "configuration"}


def test_a_rule_every_minute(functions: Functions) -> None:
    arn = functions.make(WORKS)
    rule_arn = rule(functions, arn, ScheduleExpression="rate(1 minute)")
    functions.api.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com",
        SourceArn=rule_arn,
    )  # fmt: skip
    for _ in range(3):
        functions.agent.tick()
        functions.settle()
        functions.clock.advance(minutes=1)
    events = got(functions)
    assert len(events) == 2, "a rate counts from when the rule was made"
    assert {(event["source"], event["detail-type"]) for event in events} == {("aws.events", "Scheduled Event")}
    assert events[0]["resources"] == [rule_arn]
    functions.server.client("events").disable_rule(Name="r")
    functions.clock.advance(minutes=5)
    functions.agent.tick()
    functions.settle()
    assert len(got(functions)) == 2


def test_a_schedule_invokes_by_its_role(functions: Functions) -> None:
    arn = functions.make(WORKS)
    scheduler = functions.server.client("scheduler")
    role = functions.make_role("scheduler", trusted=trust("scheduler.amazonaws.com"))
    target = {"Arn": arn, "RoleArn": role, "Input": '{"from": "scheduler"}', "RetryPolicy": {"MaximumRetryAttempts": 0}}
    at = f"at({functions.clock.now() + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S})"
    window = {"Mode": "OFF"}
    scheduler.create_schedule(Name="s", ScheduleExpression=at, FlexibleTimeWindow=window, Target=target)
    functions.agent.tick()
    functions.clock.advance(minutes=2)
    functions.agent.tick()
    functions.settle()
    assert got(functions) == []
    functions.iam.put_role_policy(
        RoleName="scheduler", PolicyName="p", PolicyDocument=document(allow("lambda:InvokeFunction", arn))
    )
    at = f"at({functions.clock.now() + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S})"
    scheduler.update_schedule(Name="s", ScheduleExpression=at, FlexibleTimeWindow=window, Target=target)
    functions.agent.tick()
    functions.clock.advance(minutes=2)
    functions.agent.tick()
    functions.settle()
    assert got(functions) == [{"from": "scheduler"}]


def test_a_topic_and_a_bucket_invoke_a_function_that_permits_them(functions: Functions) -> None:
    arn = functions.make(WORKS)
    sns, s3 = functions.server.client("sns"), functions.server.client("s3")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    s3.create_bucket(Bucket="events-of-mine", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    notification = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    configuration = {"LambdaFunctionConfigurations": [notification]}
    s3.put_bucket_notification_configuration(Bucket="events-of-mine", NotificationConfiguration=configuration)

    def act() -> None:
        sns.publish(
            TopicArn=topic, Message="hello", Subject="s",
            MessageAttributes={"a": {"DataType": "String", "StringValue": "1"}},
        )  # fmt: skip
        s3.put_object(Bucket="events-of-mine", Key="k", Body=b"x")
        functions.settle()

    act()
    assert got(functions) == []
    for service, source in (("sns", topic), ("s3", "arn:aws:s3:::events-of-mine")):
        functions.api.add_permission(
            FunctionName="f", StatementId=service, Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com", SourceArn=source,
        )  # fmt: skip
    act()
    by_source = {event["Records"][0].get("EventSource") or event["Records"][0]["eventSource"]: event["Records"][0]
                 for event in got(functions)}  # fmt: skip
    message = by_source["aws:sns"]["Sns"]
    assert (message["Message"], message["Subject"], message["TopicArn"]) == ("hello", "s", topic)
    assert message["MessageAttributes"] == {"a": {"Type": "String", "Value": "1"}}
    assert by_source["aws:s3"]["s3"]["object"]["key"] == "k"


def test_who_may_invoke(functions: Functions) -> None:
    arn = functions.make(WORKS)
    caller = functions.make_role("caller", allow("lambda:InvokeFunction", arn))
    stranger = functions.make_role("stranger")
    from localcloud.iam.principals import session_of

    def invoke(role: str, **parameters: Any) -> Any:
        client = functions.server.client("lambda", principal=session_of(role, "x"))
        return client.invoke(FunctionName="f", Payload=b"{}", **parameters)["Payload"].read()

    assert invoke(caller) == b"7"
    with pytest.raises(ClientError, match="lambda:InvokeFunction on resource: " + arn):
        invoke(stranger)
    with pytest.raises(ClientError, match="AccessDenied"):
        invoke(stranger, InvocationType="Event")
    functions.api.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal=stranger)
    assert invoke(stranger) == b"7"


def test_a_state_machine_invokes_by_its_role(functions: Functions, wait_until: Any) -> None:
    arn = functions.make("def handler(event, context):\n    return 10 / event['n']\n")
    role = functions.make_role("machine", trusted=trust("states.amazonaws.com"))
    states = functions.server.client("stepfunctions")
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
            "Parameters": {"FunctionName": arn, "Payload.$": "$"}, "OutputPath": "$.Payload"}  # fmt: skip
    machine = states.create_state_machine(
        name="m", roleArn=role, definition=json.dumps({"StartAt": "A", "States": {"A": task}})
    )["stateMachineArn"]

    def ends(n: int) -> Any:
        execution = states.start_execution(stateMachineArn=machine, input=json.dumps({"n": n}))["executionArn"]
        wait_until(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return states.describe_execution(executionArn=execution)

    assert ends(5)["error"] == "Lambda.AccessDeniedException"
    policy = document(allow("lambda:InvokeFunction", arn))
    functions.iam.put_role_policy(RoleName="machine", PolicyName="p", PolicyDocument=policy)
    assert json.loads(ends(5)["output"]) == 2
    failed = ends(0)
    assert (failed["error"], json.loads(failed["cause"])["errorMessage"]) == ("ZeroDivisionError", "division by zero")
