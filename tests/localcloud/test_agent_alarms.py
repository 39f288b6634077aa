"""Alarms in virtual time: what they come to, whom they tell, and in which form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.agent.agent import Agent
from localcloud.iam.guard import Guard
from localcloud.server import Server
from tests.localcloud.iam.acting import document

REGION = "eu-west-1"

BOTH = ["MetricAlarm", "CompositeAlarm"]


class Alarms:
    """An account whose alarms tell a topic that a queue hears, and whose state changes arrive in another queue."""

    def __init__(self, server: Server, agent: Agent, clock: Any):
        self.server, self.agent, self.clock = server, agent, clock
        clock.time = datetime(2031, 6, 2, 12, 0, 30, tzinfo=UTC)
        self.cloudwatch, self.sqs, self.sns = (server.client(name) for name in ("cloudwatch", "sqs", "sns"))
        self.topic = self.sns.create_topic(Name="t")["TopicArn"]
        self.queues: dict[str, str] = {}
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.queue("told"))
        events = server.client("events")
        events.put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.cloudwatch"]}))
        events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": self.queue("events")}])

    def queue(self, name: str) -> str:
        self.queues[name] = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{self.server.account}:{name}"
        policy = document({"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn})
        self.sqs.set_queue_attributes(QueueUrl=self.queues[name], Attributes={"Policy": policy})
        return arn

    def put(self, name: str = "a", **settings: Any) -> None:
        """An alarm on `n` `m` whose every minute's sum is held against 1, which tells the topic of everything."""
        plain: dict[str, Any] = {"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60}
        if "Metrics" in settings:
            plain = {}
        told = dict.fromkeys(("AlarmActions", "OKActions", "InsufficientDataActions"), [self.topic])
        held = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold"}
        self.cloudwatch.put_metric_alarm(AlarmName=name, **{**plain, **told, **held, **settings})

    def measure(self, value: float, metric: str = "m", **more: Any) -> None:
        self.cloudwatch.put_metric_data(Namespace="n", MetricData=[{"MetricName": metric, "Value": value, **more}])

    def pass_minutes(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.clock.advance(minutes=1)
            self.agent.tick()

    def state(self, name: str = "a") -> str:
        answer = self.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=BOTH)
        return str((answer["MetricAlarms"] + answer["CompositeAlarms"])[0]["StateValue"])

    def read(self, queue: str) -> list[Any]:
        self.agent.settle()
        bodies = []
        url = self.queues[queue]
        while batch := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                bodies.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def told(self) -> list[tuple[str, str]]:
        """Alarm and new state of each notification since the last time."""
        messages = [json.loads(body["Message"]) for body in self.read("told")]
        return [(message["AlarmName"], message["NewStateValue"]) for message in messages]

    def changes(self) -> list[tuple[str, str, str]]:
        """Alarm, old and new state of each event since the last time."""
        details = [body["detail"] for body in self.read("events")]
        return [(it["alarmName"], it["previousState"]["value"], it["state"]["value"]) for it in details]


@pytest.fixture
def alarms(server: Server, ticking: Agent, clock: Any) -> Alarms:
    return Alarms(server, ticking, clock)


def test_an_alarm_begins_without_a_state_and_follows_its_data(alarms: Alarms) -> None:
    alarms.put(TreatMissingData="notBreaching")
    assert alarms.state() == "INSUFFICIENT_DATA"
    alarms.measure(5)
    alarms.pass_minutes()
    assert alarms.state() == "ALARM" and alarms.told() == [("a", "ALARM")]
    alarms.pass_minutes()
    assert alarms.state() == "ALARM", "the newest real point decides while it is in the range"
    alarms.pass_minutes(2)
    assert alarms.state() == "OK" and alarms.told() == [("a", "OK")]
    assert alarms.changes() == [("a", "INSUFFICIENT_DATA", "ALARM"), ("a", "ALARM", "OK")]


def test_a_heartbeat_that_stops_is_noticed(alarms: Alarms) -> None:
    heartbeat = {"Namespace": "AWS/Lambda", "MetricName": "Invocations", "Period": 300, "TreatMissingData": "breaching",
                 "Dimensions": [{"Name": "FunctionName", "Value": "f"}]}  # fmt: skip
    alarms.put(ComparisonOperator="LessThanThreshold", **heartbeat)
    for _ in range(4):
        alarms.agent.meters.count(REGION, "AWS/Lambda", "Invocations", {"FunctionName": "f"})
        alarms.pass_minutes(5)
    assert alarms.changes() == [("a", "INSUFFICIENT_DATA", "OK")]
    alarms.pass_minutes(9)
    assert alarms.state() == "OK"
    alarms.pass_minutes(2)
    assert alarms.changes() == [("a", "OK", "ALARM")]
    alarms.agent.meters.count(REGION, "AWS/Lambda", "Invocations", {"FunctionName": "f"})
    alarms.pass_minutes()
    assert alarms.changes() == [("a", "ALARM", "OK")]


def test_an_alarm_that_is_put_again_keeps_its_state(alarms: Alarms) -> None:
    alarms.put()
    alarms.measure(5)
    alarms.pass_minutes()
    alarms.put(AlarmDescription="why")
    assert alarms.state() == "ALARM"
    alarms.put(Threshold=9.0)
    alarms.pass_minutes()
    assert alarms.state() == "OK"


def test_a_state_set_by_hand_lasts_until_the_next_evaluation(alarms: Alarms) -> None:
    alarms.put(TreatMissingData="notBreaching")
    alarms.pass_minutes()
    assert alarms.told() == [("a", "OK")]
    alarms.cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="a drill")
    alarms.agent.tick()
    assert alarms.state() == "ALARM" and alarms.told() == [("a", "ALARM")]
    alarms.pass_minutes()
    assert alarms.state() == "OK" and alarms.told() == [("a", "OK")]
    described = alarms.cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="StateUpdate")
    assert [item["HistorySummary"] for item in described["AlarmHistoryItems"]] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]


def test_actions_that_are_off_are_not_carried_out_and_the_event_is_there(alarms: Alarms) -> None:
    alarms.put(ActionsEnabled=False)
    alarms.measure(5)
    alarms.pass_minutes()
    assert alarms.told() == [] and alarms.changes() == [("a", "INSUFFICIENT_DATA", "ALARM")]
    alarms.cloudwatch.enable_alarm_actions(AlarmNames=["a"])
    alarms.measure(0)
    alarms.pass_minutes()
    assert alarms.told() == [("a", "OK")]


def test_m_out_of_n(alarms: Alarms) -> None:
    alarms.put(EvaluationPeriods=3, DatapointsToAlarm=2)
    for value, state in ((0, None), (0, None), (0, "OK"), (5, "OK"), (0, "OK"), (5, "ALARM"), (0, "OK"), (0, "OK")):
        alarms.measure(value)
        alarms.pass_minutes()
        if state:
            assert alarms.state() == state
    assert alarms.told() == [("a", "OK"), ("a", "ALARM"), ("a", "OK")]


WALL_CLOCK = {"EvaluationWindow": {"WallClockWindow": {"Timezone": "Europe/Berlin"}}}


def test_a_wall_clock_window_judges_complete_days(alarms: Alarms) -> None:
    alarms.clock.time = datetime(2031, 6, 2, 20, 0, tzinfo=UTC)
    alarms.put(Period=86400, ComparisonOperator="LessThanThreshold", TreatMissingData="breaching", **WALL_CLOCK)
    alarms.measure(1)  # on the 2nd in Berlin, where it is ten in the evening
    for hours, state in ((1, "ALARM"), (2, "OK"), (25, "OK"), (26, "ALARM")):
        alarms.clock.time = datetime(2031, 6, 2, 20, 0, tzinfo=UTC) + timedelta(hours=hours)
        alarms.agent.tick()
        assert (hours, alarms.state()) == (hours, state)
    (described,) = alarms.cloudwatch.describe_alarms()["MetricAlarms"]
    assert described["EvaluationWindow"] == WALL_CLOCK["EvaluationWindow"]


@pytest.mark.parametrize(
    ("wait_for_all", "measured", "states"),
    [
        (False, False, ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA", "ALARM"]),
        (False, True, ["OK", "OK", "OK"]),
        (True, True, ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA", "OK"]),
    ],
)
def test_an_alarm_that_warms_up_waits_for_data(
    alarms: Alarms, wait_for_all: bool, measured: bool, states: list[str]
) -> None:
    warm_up = {"WarmUpPeriodDurationInMinutes": 3, "OnlyStartEvaluatingAfterWarmUpPeriodEnds": wait_for_all}
    alarms.put(TreatMissingData="breaching", WarmUpConfiguration=warm_up, ComparisonOperator="LessThanThreshold")
    seen = []
    for _ in states:
        if measured:
            alarms.measure(7)
        alarms.pass_minutes()
        seen.append(alarms.state())
    assert seen == states


def query(identifier: str, metric: str = "", expression: str = "", shown: bool = False) -> dict[str, Any]:
    of = {"MetricStat": {"Metric": {"Namespace": "n", "MetricName": metric}, "Period": 60, "Stat": "Sum"}}
    return {"Id": identifier, "ReturnData": shown, **(of if metric else {"Expression": expression})}


@pytest.mark.parametrize(
    ("expression", "state"),
    [
        ("bad / all", "OK"),
        ("100 * bad / all", "ALARM"),
        ("SUM([bad, all])", "ALARM"),
        ("FILL(none, 0) + bad / all", "OK"),
        ("IF(bad > 1 AND all > 5, 1, 0)", "ALARM"),
        ("none", "INSUFFICIENT_DATA"),
    ],
)
def test_an_expression_of_metrics(alarms: Alarms, expression: str, state: str) -> None:
    metrics = [query("bad", "bad"), query("all", "all"), query("none", "none"), query("e", "", expression, shown=True)]
    alarms.put(Metrics=metrics)
    alarms.measure(2, "bad")
    alarms.measure(10, "all")
    alarms.pass_minutes()
    assert alarms.state() == state


def test_a_composite_alarm_follows_the_others(alarms: Alarms) -> None:
    for name in ("a", "b"):
        alarms.put(name, MetricName=name, TreatMissingData="notBreaching", AlarmActions=[], OKActions=[])
    actions = {"AlarmActions": [alarms.topic], "OKActions": [alarms.topic]}
    rule = 'ALARM(a) AND NOT OK("b")'
    alarms.cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule=rule, **actions)
    alarms.pass_minutes()
    assert alarms.state("both") == "OK"
    alarms.measure(5, "a")
    alarms.pass_minutes()
    assert alarms.state("both") == "OK"
    alarms.measure(5, "b")
    alarms.pass_minutes()
    assert alarms.state("both") == "ALARM"
    assert alarms.told() == [("both", "OK"), ("both", "ALARM")]
    metric_alarms = alarms.cloudwatch.describe_alarms()
    assert metric_alarms["CompositeAlarms"] == [] and len(metric_alarms["MetricAlarms"]) == 2
    (described,) = alarms.cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert described["AlarmRule"] == rule
    parents = alarms.cloudwatch.describe_alarms(ParentsOfAlarmName="a", AlarmTypes=BOTH)["CompositeAlarms"]
    assert [alarm["AlarmName"] for alarm in parents] == ["both"]


def test_the_actions_of_a_composite_alarm_are_suppressed(alarms: Alarms) -> None:
    for name in ("a", "deploying"):
        alarms.put(name, MetricName=name, TreatMissingData="notBreaching", AlarmActions=[], OKActions=[])
    alarms.cloudwatch.put_composite_alarm(
        AlarmName="c", AlarmRule="ALARM(a)", AlarmActions=[alarms.topic], ActionsSuppressor="deploying",
        ActionsSuppressorWaitPeriod=120, ActionsSuppressorExtensionPeriod=60,
    )  # fmt: skip
    alarms.pass_minutes()

    def set_state(name: str, state: str) -> None:
        alarms.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="x")

    set_state("a", "ALARM")
    assert alarms.state("c") == "ALARM" and alarms.told() == []
    (described,) = alarms.cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert described["ActionsSuppressedBy"] == "WaitPeriod"
    set_state("deploying", "ALARM")
    alarms.clock.advance(seconds=20)
    set_state("deploying", "OK")
    assert alarms.told() == []
    alarms.measure(5, "a")
    alarms.pass_minutes(2)
    assert alarms.told() == [("c", "ALARM")], "after the extension period"


# --- whom it tells, and how ---


def test_the_forms_of_notification_and_event(alarms: Alarms) -> None:
    dimensions = [{"Name": "d", "Value": "x"}]
    alarms.put(AlarmDescription="too much", Dimensions=dimensions)
    alarms.measure(5, Dimensions=dimensions)
    alarms.pass_minutes()
    (notified,) = alarms.read("told")
    assert notified["Subject"] == 'ALARM: "a" in EU (Ireland)'
    message = json.loads(notified["Message"])
    reason = ("Threshold Crossed: 1 out of the last 1 datapoints [5.0 (02/06/31 12:00:00)] was greater than or equal "
              "to the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition).")  # fmt: skip
    account = alarms.server.account
    arn = f"arn:aws:cloudwatch:{REGION}:{account}:alarm:a"
    assert message == {
        "AlarmName": "a", "AlarmDescription": "too much", "AWSAccountId": account, "AlarmArn": arn,
        "AlarmConfigurationUpdatedTimestamp": "2031-06-02T12:00:30.000+0000", "NewStateValue": "ALARM",
        "NewStateReason": reason, "StateChangeTime": "2031-06-02T12:01:30.000+0000", "Region": "EU (Ireland)",
        "OldStateValue": "INSUFFICIENT_DATA", "OKActions": [alarms.topic], "AlarmActions": [alarms.topic],
        "InsufficientDataActions": [alarms.topic],
        "Trigger": {
            "MetricName": "m", "Namespace": "n", "StatisticType": "Statistic", "Statistic": "SUM", "Unit": None,
            "Dimensions": [{"value": "x", "name": "d"}], "Period": 60, "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 1.0, "TreatMissingData": "missing",
            "EvaluateLowSampleCountPercentile": "",
        },
    }  # fmt: skip
    (event,) = alarms.read("events")
    detail = event.pop("detail")
    assert {key: value for key, value in event.items() if key != "id"} == {
        "version": "0", "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch", "account": account,
        "time": "2031-06-02T12:01:30Z", "region": REGION, "resources": [arn],
    }  # fmt: skip
    data = json.loads(detail["state"].pop("reasonData"))
    assert data == {
        "version": "1.0", "queryDate": "2031-06-02T12:01:30.000+0000", "startDate": "2031-06-02T12:00:00.000+0000",
        "statistic": "Sum", "period": 60, "recentDatapoints": [5.0], "threshold": 1.0,
        "evaluatedDatapoints": [{"timestamp": "2031-06-02T12:00:00.000+0000", "sampleCount": 1.0, "value": 5.0}],
    }  # fmt: skip
    (metric,) = detail["configuration"].pop("metrics")
    assert metric.pop("id")
    assert metric == {
        "metricStat": {
            "metric": {"dimensions": {"d": "x"}, "name": "m", "namespace": "n"}, "period": 60, "stat": "Sum",
        },
        "returnData": True,
    }  # fmt: skip
    assert detail == {
        "alarmName": "a",
        "configuration": {"description": "too much"},
        "previousState": {
            "reason": "Unchecked: Initial alarm creation", "timestamp": "2031-06-02T12:00:30.000+0000",
            "value": "INSUFFICIENT_DATA",
        },
        "state": {"reason": reason, "timestamp": "2031-06-02T12:01:30.000+0000", "value": "ALARM"},
    }  # fmt: skip


def test_a_topic_whose_policy_refuses_keeps_the_alarm_silent_and_the_history_says_so(alarms: Alarms) -> None:
    alarms.server.guard = Guard()
    other = document({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish",
                      "Resource": alarms.topic})  # fmt: skip
    alarms.sns.set_topic_attributes(TopicArn=alarms.topic, AttributeName="Policy", AttributeValue=other)
    alarms.put()
    alarms.measure(5)
    alarms.pass_minutes()
    assert alarms.told() == []
    (item,) = alarms.cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"]
    assert item["HistorySummary"] == f"Failed to execute action {alarms.topic}"
    assert "cloudwatch.amazonaws.com is not authorized" in json.loads(item["HistoryData"])["error"]


def test_an_alarm_of_nothing_is_looked_at_no_more(alarms: Alarms) -> None:
    alarms.put(TreatMissingData="notBreaching")
    alarms.pass_minutes(2)
    assert alarms.agent.alarms._evaluate() is None, "nothing is due until data come"
    alarms.measure(1)
    alarms.clock.advance(seconds=10)
    assert alarms.agent.alarms._evaluate() == pytest.approx(20.5, abs=0.1), "up to the next minute"


def test_a_night_without_the_cloud_is_no_missing_heartbeat(alarms: Alarms) -> None:
    alarms.put(TreatMissingData="breaching", ComparisonOperator="LessThanThreshold", Period=300)
    alarms.measure(1)
    alarms.pass_minutes(2)
    assert alarms.state() == "OK"
    evening = alarms.clock.now().timestamp()
    alarms.clock.advance(hours=9)
    alarms.agent.alarms._gaps.append((evening, alarms.clock.now().timestamp()))
    for minutes in range(12):
        alarms.pass_minutes()
        assert alarms.state() == "OK", minutes
    alarms.pass_minutes(5)
    assert alarms.state() == "ALARM", "from then on it counts"


# --- what is refused ---

REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "anomaly": ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "no anomaly detection"),
    "a day of short periods": ({"Period": 300, "EvaluationPeriods": 289}, "<= 86400; it is 86700"),
    "a week of long periods": ({"Period": 3600, "EvaluationPeriods": 169}, "<= 604800; it is 608400"),
    "more than there are": ({"DatapointsToAlarm": 2}, "must be less than or equal to EvaluationPeriods"),
    "missing data": ({"TreatMissingData": "bad"}, "Option bad is not supported"),
    "trimmed mean": ({"Statistic": None, "ExtendedStatistic": "tm99"}, "tm99 for parameter ExtendedStatistic"),
    "no statistic": ({"Statistic": None}, "mutually exclusive, and one of them is required"),
    "period": ({"Period": 90}, "valid values are 10, 20, 30 and any multiple of 60"),
    "wall clock period": ({"Period": 600, **WALL_CLOCK}, "it is one of 60, 300, 3600, 86400, 604800"),
    "zone": ({"EvaluationWindow": {"WallClockWindow": {"Timezone": "Mars/Olympus"}}}, "Invalid Timezone: Mars/Olympus"),
    "function": ({"Metrics": [query("a", "m"), query("e", "", "SEARCH('x')", shown=True)]}, "SEARCH is not there"),
    "insights": ({"Metrics": [query("e", "", "SELECT SUM(m) FROM n", shown=True)]}, "Metrics Insights"),
    "unknown id": ({"Metrics": [query("a", "m"), query("e", "", "b * 2", shown=True)]}, "has the id b"),
    "two results": ({"Metrics": [query("a", "m", shown=True), query("b", "m", shown=True)]}, "Exactly one element"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_alarms_that_are_refused(alarms: Alarms, case: str) -> None:
    settings, words = REFUSED[case]
    plain: dict[str, Any] = {"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60}
    held = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    asked = {**({} if "Metrics" in settings else plain), **held, **settings}
    with pytest.raises(ClientError, match=r"ValidationError") as refused:
        alarms.cloudwatch.put_metric_alarm(
            AlarmName="a", **{name: value for name, value in asked.items() if value is not None}
        )
    assert words in str(refused.value)


def test_an_alarm_that_is_not_there_cannot_be_deleted(alarms: Alarms) -> None:
    alarms.put()
    with pytest.raises(ClientError, match="ResourceNotFound") as refused:
        alarms.cloudwatch.delete_alarms(AlarmNames=["a", "absent"])
    assert "[absent] do not exist" in str(refused.value)
    alarms.cloudwatch.delete_alarms(AlarmNames=["a"])
    assert alarms.cloudwatch.describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("ALARM(a) AND", "ends too early"),
        ("BAD(a)", "'BAD' is none of ALARM"),
        ("ALARM(absent)", "do not exist"),
        ("(" * 60 + "ALARM(a)" + ")" * 60, "nested deeper"),
    ],
)
def test_rules_that_are_refused(alarms: Alarms, rule: str, words: str) -> None:
    alarms.put()
    with pytest.raises(ClientError, match="ValidationError") as refused:
        alarms.cloudwatch.put_composite_alarm(AlarmName="c", AlarmRule=rule)
    assert words in str(refused.value)
