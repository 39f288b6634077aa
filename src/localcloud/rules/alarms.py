"""CloudWatch: alarms whose settings make no sense together, and such as the local cloud cannot evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud import backends
from localcloud.metrics import alarm_rule, expressions, windows
from localcloud.metrics.evaluation import COMPARISONS, MISSING_DATA
from localcloud.metrics.series import DAY, HOUR, STATISTICS, percentile
from localcloud.request import Call, Refused

LONGEST, LONGEST_OF_SHORT_PERIODS = 7 * DAY, DAY
"""What period times evaluation periods may come to, for periods of an hour and more, and for shorter ones.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""

MOST_METRICS = 10

SUPPRESSION = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")

ANOMALY = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")


def metric_alarm_is_valid(asked: Call) -> None:
    """Everything that CloudWatch says of PutMetricAlarm's arguments together."""
    for problem in _problems(asked.arguments):
        raise Refused("ValidationError", problem)
    known = backends.cloudwatch(asked.account, asked.region).alarms.get(str(asked.arguments.get("AlarmName")))
    if known is not None and known.rule is not None:
        raise Refused("ValidationError", f"A composite alarm is called {known.name}")


def composite_alarm_is_valid(asked: Call) -> None:
    """The rule must be one, and what suppresses actions has both of its periods."""
    settings = asked.arguments
    try:
        alarm_rule.parse(str(settings.get("AlarmRule", "")))
    except ValueError as error:
        raise Refused("ValidationError", f"Invalid AlarmRule: {error}") from error
    present = [name for name in SUPPRESSION if settings.get(name) is not None]
    if len(present) not in (0, len(SUPPRESSION)):
        raise Refused("ValidationError", f"{', '.join(SUPPRESSION)} are given together or not at all")


def alarms_exist(asked: Call) -> None:
    """What is to be deleted must be there."""
    known = backends.cloudwatch(asked.account, asked.region).alarms
    missing = [str(name) for name in asked.arguments.get("AlarmNames") or () if name not in known]
    if missing:
        raise Refused("ResourceNotFound", f"Alarms [{', '.join(missing)}] do not exist", 404)


def _problems(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("EvaluationCriteria") or settings.get("EvaluationInterval"):
        yield "The local cloud does not evaluate PromQL: EvaluationCriteria and EvaluationInterval are not there"
    comparison = settings.get("ComparisonOperator")
    if comparison in ANOMALY or settings.get("ThresholdMetricId"):
        yield (
            f"The local cloud has no anomaly detection, which {comparison} is for; it compares with "
            f"{', '.join(COMPARISONS)}"
        )
    for name in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if settings.get(name) is None:
            yield f"The parameter {name} is required."
    missing = settings.get("TreatMissingData", "missing")
    if missing not in MISSING_DATA:
        supported = ", ".join(MISSING_DATA)
        yield f"Option {missing} is not supported. Supported options for parameter TreatMissingData are {supported}."
    periods, datapoints = int(settings.get("EvaluationPeriods") or 1), int(settings.get("DatapointsToAlarm") or 1)
    if datapoints > periods:
        yield f"DatapointsToAlarm ({datapoints}) must be less than or equal to EvaluationPeriods ({periods})."
    yield from _of_expressions(settings) if settings.get("Metrics") else _of_a_metric(settings)
    for period in _periods(settings):
        yield from _of_a_period(period, periods, settings)


def _of_a_metric(settings: Mapping[str, Any]) -> Iterator[str]:
    for name in ("MetricName", "Namespace", "Period"):
        if not settings.get(name):
            yield f"The parameter {name} is required: an alarm has a metric or Metrics."
    statistic, extended = settings.get("Statistic"), settings.get("ExtendedStatistic")
    if bool(statistic) == bool(extended):
        yield "The parameters Statistic and ExtendedStatistic are mutually exclusive, and one of them is required."
    elif extended and percentile(str(extended)) is None:
        yield (
            f"The value {extended} for parameter ExtendedStatistic is not supported: the local cloud computes "
            f"percentiles (p0 to p100) only"
        )


def _of_expressions(settings: Mapping[str, Any]) -> Iterator[str]:
    exclusive = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
    if present := [name for name in exclusive if settings.get(name)]:
        yield f"The parameters Metrics and {', '.join(present)} are mutually exclusive."
    queries: list[Mapping[str, Any]] = settings["Metrics"]
    stats = [query for query in queries if query.get("MetricStat")]
    if len(stats) > MOST_METRICS:
        yield f"An alarm looks at {MOST_METRICS} metrics at most."
    if sum(query.get("ReturnData") is not False for query in queries) != 1:
        yield "Exactly one element of the metrics list should return data."
    ids = [str(query["Id"]) for query in queries]
    for query in queries:
        if bool(query.get("MetricStat")) == bool(query.get("Expression")):
            yield f"{query['Id']} has either a MetricStat or an Expression."
        elif query.get("Expression"):
            try:
                expressions.check(str(query["Expression"]), [each for each in ids if each != query["Id"]])
            except ValueError as error:
                yield f"Error in expression '{query['Id']}': {error}"
        elif (stat := query["MetricStat"]["Stat"]) not in STATISTICS and percentile(str(stat)) is None:
            yield f"The local cloud does not compute the statistic {stat} of {query['Id']}"
        if query.get("AccountId"):
            yield f"The local cloud is one account: AccountId of {query['Id']} names another"
    if len(set(_periods(settings))) > 1:
        yield "All metrics of an alarm must have the same period."


def _periods(settings: Mapping[str, Any]) -> list[int]:
    if settings.get("Metrics"):
        return [int(query["MetricStat"]["Period"]) for query in settings["Metrics"] if query.get("MetricStat")]
    return [int(settings["Period"])] if settings.get("Period") else []


def _of_a_period(period: int, count: int, settings: Mapping[str, Any]) -> Iterator[str]:
    if period not in (10, 20, 30) and period % 60:
        yield f"Period {period}: valid values are 10, 20, 30 and any multiple of 60."
    longest = LONGEST if period >= HOUR else LONGEST_OF_SHORT_PERIODS
    if period * count > longest:
        yield (
            f"Metrics cannot be checked across more than {'a week' if longest == LONGEST else 'a day'} "
            f"(EvaluationPeriods * Period must be <= {longest}; it is {period * count})."
        )
    wall_clock = (settings.get("EvaluationWindow") or {}).get("WallClockWindow")
    if wall_clock is None:
        return
    if period not in windows.WALL_CLOCK_PERIODS:
        valid = ", ".join(map(str, windows.WALL_CLOCK_PERIODS))
        yield f"Period {period}: with a wall clock window it is one of {valid}."
    try:
        windows.zone(str(wall_clock.get("Timezone") or "UTC"))
    except ValueError as error:
        yield f"Invalid Timezone: {error}"


RESOLUTIONS = (1, 60)


def actions_are_arns(asked: Call) -> None:
    """Of alarms of every kind."""
    for name in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        for action in asked.arguments.get(name) or []:
            if not str(action).startswith("arn:"):
                raise Refused("ValidationError", f"Invalid arn syntax: {action}")


def data_is_valid(asked: Call) -> None:
    """Names beginning with AWS/ are AWS's own; a point is of a second or of a minute."""
    if asked.text("Namespace").startswith("AWS/"):
        message = "The value AWS/ for parameter Namespace is invalid: it is reserved."
        raise Refused("InvalidParameterValue", message)
    for number, point in enumerate(asked.arguments.get("MetricData") or [], 1):
        resolution = point.get("StorageResolution")
        if resolution is not None and resolution not in RESOLUTIONS:
            message = f"The parameter MetricData.member.{number}.StorageResolution must be 1 or 60, was {resolution}."
            raise Refused("InvalidParameterValue", message)
