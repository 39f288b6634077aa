"""What an alarm does when its state changes: SNS topics and Lambda functions are told, each in its documented form.

Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session

from localcloud.agent import alarm_mail
from localcloud.agent.delivery import Delivery, NoSuchTarget, OnBehalf
from localcloud.metrics.evaluation import stamp

TO_TOPICS, TO_FUNCTIONS = "cloudwatch.amazonaws.com", "lambda.alarms.cloudwatch.amazonaws.com"
"""Who CloudWatch is in the eyes of a topic's and of a function's policy."""

LONGEST_SUBJECT = 100


@dataclass(frozen=True)
class Change:
    """An alarm's change from one state to another, as it was then: safe to look at without the server's lock."""

    name: str
    arn: str
    region: str
    account: str
    settings: dict[str, Any]
    configuration: dict[str, Any]
    """of its event: description and metrics, or the rule"""

    configured: datetime
    at: datetime
    old: dict[str, Any]
    """the state before, as events show it"""

    new: dict[str, Any]

    @property
    def value(self) -> str:
        """The state now."""
        return str(self.new["value"])


def act(delivery: Delivery, action: str, change: Change) -> str:
    """Carry out an action, an ARN; what was sent. Raises whatever went wrong, `NoSuchTarget` for what is not there."""
    service = action.split(":")[2] if action.count(":") >= 5 else ""
    match service:
        case "sns":
            notified = notification(change)
            message = json.dumps(notified)
            mail = {"email": alarm_mail.text(notified, change.region, change.at)}
            delivery.publish(action, TO_TOPICS, change.arn, subject(change), message, mail)
        case "lambda":
            message = json.dumps(invocation(change))
            acting = OnBehalf(TO_FUNCTIONS, change.arn)
            delivery.deliver({"Arn": action}, message, None, f"alarm/{change.name}"[:36], acting=acting)
        case _:
            raise NoSuchTarget(f"the local cloud carries out actions of topics and functions only, not {action}")
    return message


def subject(change: Change) -> str:
    """The subject of a notification, as long as SNS takes it and in ASCII."""
    text = f'{change.value}: "{change.name}" in {region_name(change.region)}'
    return text.encode("ascii", "replace").decode()[: LONGEST_SUBJECT - 1]


def notification(change: Change) -> dict[str, Any]:
    """The message that a topic gets."""
    settings = change.settings
    return {
        "AlarmName": change.name,
        "AlarmDescription": settings.get("AlarmDescription"),
        "AWSAccountId": change.account,
        "AlarmConfigurationUpdatedTimestamp": stamp(change.configured),
        "NewStateValue": change.value,
        "NewStateReason": change.new["reason"],
        "StateChangeTime": stamp(change.at),
        "Region": region_name(change.region),
        "AlarmArn": change.arn,
        "OldStateValue": change.old["value"],
        "OKActions": settings.get("OKActions") or [],
        "AlarmActions": settings.get("AlarmActions") or [],
        "InsufficientDataActions": settings.get("InsufficientDataActions") or [],
        **({"AlarmRule": settings["AlarmRule"]} if "AlarmRule" in settings else {"Trigger": _trigger(settings)}),
    }


def _trigger(settings: dict[str, Any]) -> dict[str, Any]:
    common = {
        "Period": settings.get("Period"),
        "EvaluationPeriods": settings.get("EvaluationPeriods"),
        "DatapointsToAlarm": settings.get("DatapointsToAlarm"),
        "ComparisonOperator": settings.get("ComparisonOperator"),
        "Threshold": settings.get("Threshold"),
        "TreatMissingData": settings.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": settings.get("EvaluateLowSampleCountPercentile", ""),
    }
    common = {name: value for name, value in common.items() if value is not None}
    if settings.get("Metrics"):
        return {**common, "Metrics": settings["Metrics"]}
    statistic = settings.get("Statistic")
    kind = {"StatisticType": "Statistic", "Statistic": str(statistic).upper()} if statistic else {
        "StatisticType": "ExtendedStatistic", "ExtendedStatistic": settings.get("ExtendedStatistic")}  # fmt: skip
    dimensions = [{"value": each["Value"], "name": each["Name"]} for each in settings.get("Dimensions") or ()]
    return {
        "MetricName": settings.get("MetricName"),
        "Namespace": settings.get("Namespace"),
        **kind,
        "Unit": settings.get("Unit"),
        "Dimensions": dimensions,
        **common,
    }


def invocation(change: Change) -> dict[str, Any]:
    """The event that a function gets."""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": change.arn,
        "accountId": change.account,
        "time": stamp(change.at),
        "region": change.region,
        "alarmData": {
            "alarmName": change.name,
            "state": change.new,
            "previousState": change.old,
            "configuration": change.configuration,
        },
    }


def event_detail(change: Change) -> dict[str, Any]:
    """The detail of "CloudWatch Alarm State Change"."""
    return {
        "alarmName": change.name,
        "configuration": change.configuration,
        "previousState": change.old,
        "state": change.new,
    }


def configuration(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """An alarm's settings as its events show them."""
    described = {"description": settings["AlarmDescription"]} if settings.get("AlarmDescription") else {}
    if "AlarmRule" in settings:
        suppression = {
            "actionsSuppressor": settings.get("ActionsSuppressor"),
            "actionsSuppressorWaitPeriod": settings.get("ActionsSuppressorWaitPeriod"),
            "actionsSuppressorExtensionPeriod": settings.get("ActionsSuppressorExtensionPeriod"),
        }
        kept = {key: value for key, value in suppression.items() if value is not None}
        return {"alarmRule": settings["AlarmRule"], **described, **kept}
    if settings.get("Metrics"):
        return {**described, "metrics": [_query(query) for query in settings["Metrics"]]}
    metric = {
        "Id": "m1",
        "MetricStat": {
            "Metric": {key: settings[key] for key in ("Namespace", "MetricName", "Dimensions") if settings.get(key)},
            "Period": settings.get("Period"),
            "Stat": settings.get("Statistic") or settings.get("ExtendedStatistic"),
            **({"Unit": settings["Unit"]} if settings.get("Unit") else {}),
        },
    }
    return {**described, "metrics": [_query(metric)]}


def _query(query: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": query["Id"]}
    if query.get("Expression"):
        answer["expression"] = query["Expression"]
    if query.get("Label"):
        answer["label"] = query["Label"]
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        answer["metricStat"] = {
            "metric": {
                "dimensions": {each["Name"]: each["Value"] for each in metric.get("Dimensions") or ()},
                "name": metric.get("MetricName"),
                "namespace": metric.get("Namespace"),
            },
            "period": stat["Period"],
            "stat": stat["Stat"],
            **({"unit": stat["Unit"]} if stat.get("Unit") else {}),
        }
    answer["returnData"] = query.get("ReturnData") is not False
    return answer


@cache
def region_name(region: str) -> str:
    """A region's name for people, as notifications have it."""
    session = botocore.session.get_session()
    partitions = session.get_data("endpoints")["partitions"]
    known = {code: data["description"] for each in partitions for code, data in each["regions"].items()}
    return str(known.get(region, region)).replace("Europe (", "EU (")
