"""CloudWatch: data points are summed up by the minute, kept for a while, and answered as AWS does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from moto.cloudwatch import models, responses
from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError
from moto.core.responses import ActionResult

from localcloud.metrics import expressions
from localcloud.metrics.series import Series, Store, Values
from localcloud.patches import hooks
from localcloud.per_account import PerAccount

PRUNED_EVERY = timedelta(minutes=10)

PAGE = 500
"""How many metrics ListMetrics answers at once."""

RECENT = timedelta(hours=3)

SUMS = ("SampleCount", "Sum", "Minimum", "Maximum")


class Keeper(Protocol):
    """Who keeps an account's data points beyond the process."""

    def measured(self, region: str, series: Series, point: int) -> None:
        """A point has new measurements."""


_keepers = PerAccount[Keeper]()
connect = _keepers.connect


def apply() -> None:
    """Keep sums instead of measurements, and answer from them."""
    # cloudwatch/models.py:566 keeps every measurement for ever and looks through all of them at each question;
    # percentiles are None, GetMetricData ignores the namespace where there are dimensions, expressions are ids only.
    backend = models.CloudWatchBackend
    stock = backend.__init__

    def init(self: Any, region_name: str, account_id: str) -> None:
        stock(self, region_name, account_id)
        self.points = Store()
        self.pruned = datetime.min.replace(tzinfo=UTC)
        self.points.changed = lambda series, point: _changed(account_id, region_name, series, point)

    backend.__init__ = init
    backend.put_metric_data = _put_metric_data
    responses.CloudWatchResponse.get_metric_data = _get_metric_data
    responses.CloudWatchResponse.get_metric_statistics = _get_metric_statistics
    responses.CloudWatchResponse.list_metrics = _list_metrics


def _changed(account: str, region: str, series: Series, point: int) -> None:
    if keeper := _keepers.of(account):
        keeper.measured(region, series, point)
    if listener := hooks.listener(account):
        listener.measured(region, series)


def _put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    for number, datum in enumerate(metric_data, 1):
        self._validate_parameters_put_metric_data(datum, number)
    now = hooks.now(self.account_id)
    for datum in metric_data:
        moment = _moment(datum.get("Timestamp") or now)
        dimensions = tuple(sorted((each["Name"], each["Value"]) for each in datum.get("Dimensions") or ()))
        series = Series(namespace, datum["MetricName"], dimensions, datum.get("Unit") or "None")
        resolution = 1 if int(datum.get("StorageResolution") or 60) == 1 else 60
        for values in _measurements(datum):
            self.points.put(series, moment, values, resolution)
    prune(self, now)


def prune(backend: Any, now: datetime) -> None:
    """Let go of old data points, now and then."""
    if now - backend.pruned > PRUNED_EVERY:
        backend.pruned = now
        backend.points.prune(now.timestamp())


def _measurements(datum: Mapping[str, Any]) -> Iterator[Values]:
    if datum.get("Values"):
        counts = datum.get("Counts") or [1] * len(datum["Values"])
        yield from (Values.of(float(v), float(n)) for v, n in zip(datum["Values"], counts, strict=True) if float(n) > 0)
    elif statistics := datum.get("StatisticValues"):
        count, total, least, greatest = (float(statistics[name]) for name in SUMS)
        yield Values(count, total, least, greatest)
    else:
        yield Values.of(float(datum.get("Value", 0)))


def _moment(value: Any) -> float:
    """A time of moto's, which is UTC where it names no zone."""
    moment: datetime = value
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()


def _span(start: Any, end: Any) -> tuple[float, float]:
    first, last = _moment(start) // 60 * 60, _moment(end)
    if first >= last:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    return first, last


def _by_name(dimensions: list[dict[str, str]] | None) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in dimensions or ()}


def _spans(start: float, end: float, period: int) -> list[tuple[float, float]]:
    count = int(-(-(end - start) // period))
    if count > 100_800:
        raise ValidationError("You have requested more datapoints than can be returned: use a longer period.")
    return [(start + place * period, start + (place + 1) * period) for place in range(count)]


def _get_metric_data(self: Any) -> ActionResult:
    parameters = self._get_params()
    start, end = _span(parameters["StartTime"], parameters["EndTime"])
    points = self.cloudwatch_backend.points
    _with_providers(self.cloudwatch_backend)
    queries: list[dict[str, Any]] = parameters.get("MetricDataQueries") or []
    for query in queries:
        if "MetricStat" not in query and "Expression" not in query:
            raise ValidationError("The parameter MetricDataQueries.member.1.MetricStat is required.\n")
    period = min((int(query["MetricStat"]["Period"]) for query in queries if "MetricStat" in query), default=60)
    spans = _spans(start, end, period)
    lines: dict[str, expressions.Line] = {}
    results: list[dict[str, Any]] = []
    for query in sorted(queries, key=lambda each: "Expression" in each):
        own = spans
        if stat := query.get("MetricStat"):
            own = _spans(start, end, int(stat["Period"]))
            metric = stat["Metric"]
            name, dimensions = metric["MetricName"], _by_name(metric.get("Dimensions"))
            line = _line(points, metric["Namespace"], name, dimensions, own, stat["Stat"], stat.get("Unit"))
            label = name
            if len(own) == len(spans):
                lines[query["Id"]] = line
        else:
            try:
                expressions.check(query["Expression"], list(lines))
                line = expressions.compute(query["Expression"], lines, period)
            except ValueError as error:
                raise ValidationError(f"Error in expression '{query['Id']}': {error}") from error
            label = query["Id"]
            lines[query["Id"]] = line
        known = [(span[0], value) for span, value in zip(own, line, strict=False) if value is not None]
        if parameters.get("ScanBy") != "TimestampAscending":
            known.reverse()
        if query.get("ReturnData", True):
            results.append({
                "Id": query["Id"], "Label": query.get("Label") or label, "StatusCode": "Complete",
                "Timestamps": [datetime.fromtimestamp(moment, UTC) for moment, _ in known],
                "Values": [value for _, value in known],
            })  # fmt: skip
    order = [query["Id"] for query in queries]
    return ActionResult({"MetricDataResults": sorted(results, key=lambda each: order.index(each["Id"]))})


def _line(
    points: Store, namespace: str, name: str, dimensions: Mapping[str, str], spans: list[tuple[float, float]],
    statistic: str, unit: str | None,
) -> expressions.Line:  # fmt: skip
    try:
        return [points.values(namespace, name, dimensions, *span, unit).statistic(statistic) for span in spans]
    except ValueError as error:
        raise InvalidParameterValue(str(error)) from error


def _get_metric_statistics(self: Any) -> ActionResult:
    parameters = self._get_params()
    start, end = _span(parameters["StartTime"], parameters["EndTime"])
    points = self.cloudwatch_backend.points
    _with_providers(self.cloudwatch_backend)
    statistics, extended = parameters.get("Statistics") or [], parameters.get("ExtendedStatistics") or []
    if not statistics and not extended:
        raise models.InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    namespace, name = parameters["Namespace"], parameters["MetricName"]
    dimensions, wanted = _by_name(parameters.get("Dimensions")), parameters.get("Unit")
    of_dimensions = tuple(sorted(dimensions.items()))
    units = sorted({each.unit for each in points.series(namespace, name) if each.dimensions == of_dimensions})
    answers = []
    for span in _spans(start, end, int(parameters["Period"])):
        for unit in units if wanted is None else [wanted]:
            values = points.values(namespace, name, dimensions, *span, unit)
            if not values.count:
                continue
            answer: dict[str, Any] = {"Timestamp": datetime.fromtimestamp(span[0], UTC), "Unit": unit}
            answer |= {each: values.statistic(each) for each in statistics}
            try:
                known = {each: values.statistic(each) for each in extended}
            except ValueError as error:
                raise InvalidParameterValue(str(error)) from error
            if extended:
                answer["ExtendedStatistics"] = {each: value for each, value in known.items() if value is not None}
            answers.append(answer)
    return ActionResult({"Label": name, "Datapoints": answers})


def _list_metrics(self: Any) -> ActionResult:
    parameters, backend = self._get_params(), self.cloudwatch_backend
    _with_providers(backend)
    filters = parameters.get("Dimensions") or []
    oldest = (hooks.now(backend.account_id) - RECENT).timestamp() if parameters.get("RecentlyActive") else None
    answers: dict[tuple[Any, ...], dict[str, Any]] = {}
    for series in backend.points.series(parameters.get("Namespace"), parameters.get("MetricName")):
        has = dict(series.dimensions)
        if any(each["Name"] not in has or each.get("Value") not in (None, has[each["Name"]]) for each in filters):
            continue
        if oldest is not None and (backend.points.last(series) or 0) < oldest:
            continue
        key = (series.namespace, series.name, series.dimensions)
        named = [{"Name": name, "Value": value} for name, value in series.dimensions]
        answers[key] = {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": named}
    try:
        begin = int(parameters.get("NextToken") or 0)
    except ValueError:
        raise InvalidParameterValue("Request parameter NextToken is invalid") from None
    page = [answers[key] for key in sorted(answers)][begin : begin + PAGE]
    following = str(begin + PAGE) if len(answers) > begin + PAGE else None
    return ActionResult({"Metrics": page, "NextToken": following})


def _with_providers(backend: Any) -> None:
    """Take in what moto itself measures at the moment of a question: sizes of buckets."""
    for datum in backend.aws_metric_data:
        dimensions = tuple(sorted((each.name, each.value) for each in datum.dimensions))
        series = Series(datum.namespace, datum.name, dimensions, datum.unit or "None")
        point = int(_moment(datum.timestamp) // 60 * 60)
        if backend.points.point(series, point) is None:
            backend.points.restore(series, point, Values.of(datum.value))
