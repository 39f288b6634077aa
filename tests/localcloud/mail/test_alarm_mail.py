"""What an owner reads when an alarm of CloudWatch changes: the words of AWS, as published mails have them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.agent import alarm_mail

AT = datetime(2026, 1, 26, 22, 27, 25, tzinfo=UTC)
TOPIC = "arn:aws:sns:us-east-1:123456789012:watch"
REASON = "Threshold Crossed: 1 datapoint [5.0 (26/01/26 22:22:00)] was greater than or equal to the threshold (3.0)."


def notification(**more: Any) -> dict[str, Any]:
    return {
        "AlarmName": "late loads", "AlarmDescription": None, "AWSAccountId": "123456789012", "NewStateValue": "ALARM",
        "NewStateReason": REASON, "Region": "US East (N. Virginia)", "OldStateValue": "OK", "OKActions": [],
        "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:late loads", "AlarmActions": [TOPIC],
        "InsufficientDataActions": [], **more,
    }  # fmt: skip


TRIGGER = {
    "MetricName": "Invocations", "Namespace": "AWS/Lambda", "StatisticType": "Statistic", "Statistic": "SUM",
    "Unit": None, "Dimensions": [{"name": "FunctionName", "value": "f"}], "Period": 300, "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 3.0,
    "TreatMissingData": "breaching",
}  # fmt: skip


def test_of_a_metric() -> None:
    lines = alarm_mail.text(notification(Trigger=TRIGGER), "us-east-1", AT).splitlines()
    assert lines == [
        'You are receiving this email because your Amazon CloudWatch Alarm "late loads" in the US East (N. Virginia) '
        f'region has entered the ALARM state, because "{REASON}" at "Monday 26 January, 2026 22:27:25 UTC".',
        "",
        "View this alarm in the AWS Management Console:",
        "https://us-east-1.console.aws.amazon.com/cloudwatch/deeplink.js?region=us-east-1#alarmsV2:alarm/late%20loads",
        "",
        "Alarm Details:",
        "- Name:                       late loads",
        "- Description:",
        "- State Change:               OK -> ALARM",
        f"- Reason for State Change:    {REASON}",
        "- Timestamp:                  Monday 26 January, 2026 22:27:25 UTC",
        "- AWS Account:                123456789012",
        "- Alarm Arn:                  arn:aws:cloudwatch:us-east-1:123456789012:alarm:late loads",
        "",
        "Threshold:",
        "- The alarm is in the ALARM state when the metric is GreaterThanOrEqualToThreshold 3.0 for at least 2 of the "
        "last 3 period(s) of 300 seconds.",
        "",
        "Monitored Metric:",
        "- MetricNamespace:                     AWS/Lambda",
        "- MetricName:                          Invocations",
        "- Dimensions:                          [FunctionName = f]",
        "- Period:                              300 seconds",
        "- Statistic:                           Sum",
        "- Unit:                                not specified",
        "- TreatMissingData:                    breaching",
        "",
        "State Change Actions:",
        "- OK:",
        f"- ALARM: [{TOPIC}]",
        "- INSUFFICIENT_DATA:",
    ]


def test_of_other_alarms() -> None:
    rule = "ALARM(a) OR ALARM(b)"
    text = alarm_mail.text(notification(AlarmRule=rule), "us-east-1", AT)
    assert "has transitioned to ALARM state on Monday 26 January, 2026 22:27:25 UTC, because" in text
    assert f"- Alarm Rule:                 {rule}\n" in text and "Monitored Metric" not in text


def test_of_a_metric_that_is_computed() -> None:
    trigger = {key: value for key, value in TRIGGER.items() if key not in ("MetricName", "Namespace", "Period")}
    text = alarm_mail.text(notification(Trigger={**trigger, "Metrics": []}), "us-east-1", AT)
    assert "for at least 2 of the last 3 period(s).\n" in text and "Monitored Metric" not in text
