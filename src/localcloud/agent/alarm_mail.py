"""What CloudWatch writes to subscribers by e-mail when an alarm changes: text for people, where queues get JSON.

The form is not documented. Source: mails that people have published, and the `publishedMessage` of an alarm's history.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

_WIDTH, _METRIC_WIDTH = 28, 37
"""Where the values of a list begin, behind its dash."""

_STATES = (("OK", "OKActions"), ("ALARM", "AlarmActions"), ("INSUFFICIENT_DATA", "InsufficientDataActions"))


def text(notification: dict[str, Any], region: str, at: datetime) -> str:
    """The mail of a notification as topics get it. `at`: when it changed, aware."""
    name, state = notification["AlarmName"], notification["NewStateValue"]
    when = f"{at:%A %d %B, %Y %H:%M:%S} UTC"
    where, reason = notification["Region"], notification["NewStateReason"]
    intro = f'You are receiving this email because your Amazon CloudWatch Alarm "{name}" in the {where} region has '
    is_composite = "AlarmRule" in notification
    intro += (
        f'transitioned to {state} state on {when}, because "{reason}".'
        if is_composite
        else f'entered the {state} state, because "{reason}" at "{when}".'
    )
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/deeplink.js?region={region}#alarmsV2:alarm/"
    details = [
        ("Name", name),
        ("Description", notification["AlarmDescription"] or ""),
        ("State Change", f"{notification['OldStateValue']} -> {state}"),
        *([("Alarm Rule", notification["AlarmRule"])] if is_composite else []),
        ("Reason for State Change", reason),
        ("Timestamp", when),
        ("AWS Account", notification["AWSAccountId"]),
        ("Alarm Arn", notification["AlarmArn"]),
    ]
    parts = [intro, f"View this alarm in the AWS Management Console:\n{console}{quote(name, safe='')}"]
    parts.append(_listed("Alarm Details:", details, _WIDTH))
    if not is_composite:
        parts += _metric(notification["Trigger"], state)
    actions = [f"- {one}: {_actions(notification[key])}".rstrip() for one, key in _STATES]
    parts.append("\n".join(["State Change Actions:", *actions]))
    return "\n\n".join(parts) + "\n"


def _metric(trigger: dict[str, Any], state: str) -> list[str]:
    of, periods = trigger.get("DatapointsToAlarm") or trigger["EvaluationPeriods"], trigger["EvaluationPeriods"]
    seconds = f" of {trigger['Period']} seconds" if trigger.get("Period") else ""
    threshold = (
        f"Threshold:\n- The alarm is in the ALARM state when the metric is {trigger['ComparisonOperator']} "
        f"{trigger.get('Threshold')} for at least {of} of the last {periods} period(s){seconds}."
    )
    if "MetricName" not in trigger:
        return [threshold]
    dimensions = ", ".join(f"{each['name']} = {each['value']}" for each in trigger["Dimensions"])
    values = [
        ("MetricNamespace", trigger["Namespace"]),
        ("MetricName", trigger["MetricName"]),
        ("Dimensions", f"[{dimensions}]" if dimensions else ""),
        ("Period", f"{trigger['Period']} seconds"),
        ("Statistic", str(trigger.get("ExtendedStatistic") or trigger["Statistic"]).capitalize()),
        ("Unit", trigger["Unit"] or "not specified"),
        ("TreatMissingData", trigger["TreatMissingData"]),
    ]
    return [threshold, _listed("Monitored Metric:", values, _METRIC_WIDTH)]


def _listed(title: str, entries: list[tuple[str, Any]], width: int) -> str:
    return "\n".join([title, *(f"- {f'{name}:':<{width}}{value}".rstrip() for name, value in entries)])


def _actions(arns: list[str]) -> str:
    return " ".join(f"[{arn}]" for arn in arns)
