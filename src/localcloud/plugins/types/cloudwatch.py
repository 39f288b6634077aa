"""CloudWatch: alarms, dashboards; of its Logs what is not a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.conversion import camel, from_api, to_api
from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.schema import Fields
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props

_TAGGING = Tagging(resource="ResourceARN")


def _pairs(dimensions: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in (dimensions or {}).items()]


def _map(pairs: list[dict[str, str]] | None) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in pairs or []}


@resource_type
class MetricAlarm(Resource):
    """An alarm on a metric or an expression of metrics; its id is its name."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    service = "cloudwatch"
    table = """
        name ^ =AlarmName
        alarmDescription
        actionsEnabled bool default:true
        alarmActions set
        okActions set =OKActions
        insufficientDataActions set
        comparisonOperator !
        evaluationPeriods int !
        evaluationWindow object
            wallClockWindow object !
                timezone default:UTC
        warmUpConfiguration object
            warmUpPeriodDurationInMinutes int !
            onlyStartEvaluatingAfterWarmUpPeriodEnds bool default:false
        datapointsToAlarm int
        dimensions map =-
        evaluateLowSampleCountPercentiles =EvaluateLowSampleCountPercentile
        extendedStatistic
        metricName
        namespace
        period int
        statistic
        threshold number
        thresholdMetricId
        treatMissingData default:missing
        unit
        metricQueries bag =Metrics
            id !
            accountId
            expression
            label
            period int
            returnData bool
            metric object =MetricStat
                metricName ! =Metric.MetricName
                namespace =Metric.Namespace
                dimensions map =Metric.Dimensions
                period int !
                stat !
                unit
        arn ~ =AlarmArn
    """
    tagging = _TAGGING
    autoname = Autoname(limit=255)
    create_call = update_call = "put_metric_alarm"
    named_by = "name"
    read_call, read_key, read_answer = "describe_alarms", "AlarmNames[]", "MetricAlarms"
    delete_call = "delete_alarms"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("cloudwatch", f"alarm:{props['name']}")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = {"ActionsEnabled": True, **super().arguments(cloud, inputs)}
        if inputs.get("dimensions"):
            arguments["Dimensions"] = _pairs(inputs["dimensions"])
        for query in arguments.get("Metrics", []):
            if metric := query.get("MetricStat", {}).get("Metric"):
                metric["Dimensions"] = _pairs(metric.get("Dimensions"))
        return arguments

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        if described.get("Dimensions"):
            live["dimensions"] = _map(described["Dimensions"])
        for query in live.get("metricQueries", []):
            if "metric" in query:
                query["metric"]["dimensions"] = _map(query["metric"].get("dimensions"))
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll"}:  # an alarm is put as a whole
            self.call(cloud, "put_metric_alarm", **self.arguments(cloud, new))
        return {}


@resource_type
class CompositeAlarm(Resource):
    """An alarm on the states of others; its id is its name."""

    token = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
    service = "cloudwatch"
    table = """
        alarmName ! ^
        alarmRule !
        alarmDescription
        actionsEnabled bool ^ default:true
        actionsSuppressor object =-
            alarm ! =ActionsSuppressor
            extensionPeriod int ! =ActionsSuppressorExtensionPeriod
            waitPeriod int ! =ActionsSuppressorWaitPeriod
        alarmActions set
        okActions set =OKActions
        insufficientDataActions set
        arn ~ =AlarmArn
    """
    tagging = _TAGGING
    create_call = "put_composite_alarm"
    named_by = "alarmName"
    delete_call, delete_key = "delete_alarms", "AlarmNames[]"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("cloudwatch", f"alarm:{props['alarmName']}")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        suppressor = to_api(self._suppressor(), inputs.get("actionsSuppressor") or {}, self.spelling)
        return {"ActionsEnabled": True, **super().arguments(cloud, inputs), **suppressor}

    def _suppressor(self) -> Fields:
        return self.fields["actionsSuppressor"].fields

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        wanted = {"AlarmNames": [identifier], "AlarmTypes": ["CompositeAlarm"]}
        alarms = self.call(cloud, "describe_alarms", **wanted)["CompositeAlarms"]
        if not alarms:
            return None
        live = self.live(cloud, alarms[0])
        if suppressor := from_api(self._suppressor(), alarms[0], self.spelling):
            live["actionsSuppressor"] = suppressor
        live["tagsAll"] = _TAGGING.read(cloud.client(self.service), live["arn"])
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll"}:  # it is put as a whole
            self.call(cloud, "put_composite_alarm", **self.arguments(cloud, new))
        return {}


@resource_type
class Dashboard(Resource):
    """A dashboard; its id is its name."""

    token = "aws:cloudwatch/dashboard:Dashboard"
    service = "cloudwatch"
    table = """
        dashboardName ! ^
        dashboardBody json !
        dashboardArn ~
    """
    create_call = update_call = "put_dashboard"
    named_by = "dashboardName"
    read_call, read_key = "get_dashboard", "DashboardName"
    delete_call, delete_key = "delete_dashboards", "DashboardNames[]"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {
            "dashboardArn": f"arn:aws:cloudwatch::{cloud.account}:dashboard/{props['dashboardName']}",
        }

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "put_dashboard", **self.arguments(cloud, new))
        return {}


@resource_type
class LogMetricFilter(Resource):
    """A metric made of log lines; its id is its name."""

    token = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
    service = "logs"
    table = """
        name ^ =filterName
        logGroupName ! ^
        pattern ! =filterPattern
        metricTransformation object ! =-
            name ! =metricName
            namespace ! =metricNamespace
            value ! =metricValue
            defaultValue
            unit default:None
            dimensions map
    """
    spelling = camel
    autoname = Autoname(limit=512)
    named_by = "name"
    create_call = "put_metric_filter"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        known = self.fields["metricTransformation"].fields
        values = inputs["metricTransformation"]
        arguments = {known[name].member or name: value for name, value in values.items()}
        if "defaultValue" in arguments:
            arguments["defaultValue"] = float(arguments["defaultValue"])
        return {**super().arguments(cloud, inputs), "metricTransformations": [arguments]}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        group, _, name = str(identifier).rpartition(":")
        group = group or props["logGroupName"]
        of = {"logGroupName": group, "filterNamePrefix": name}
        filters = self.all(cloud, "describe_metric_filters", "metricFilters", **of)
        described = next((each for each in filters if each["filterName"] == name), None)
        if described is None:
            return None
        values = described["metricTransformations"][0]
        known = self.fields["metricTransformation"].fields
        made = {
            inner: values[each.member or inner] for inner, each in known.items() if (each.member or inner) in values
        }
        if "defaultValue" in made:
            made["defaultValue"] = f"{made['defaultValue']:g}"
        return {**self.live(cloud, described), "metricTransformation": made}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "put_metric_filter", **self.arguments(cloud, new))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_metric_filter", logGroupName=props["logGroupName"], filterName=props["name"])


@resource_type
class LogStream(Resource):
    """A stream of a log group; its id is its name."""

    token = "aws:cloudwatch/logStream:LogStream"
    service = "logs"
    table = """
        name ^ =logStreamName
        logGroupName ! ^
        arn ~ =-
    """
    spelling = camel
    autoname = Autoname(limit=512)
    named_by = "name"
    create_call = "create_log_stream"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("logs", f"log-group:{props['logGroupName']}:log-stream:{props['name']}")}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        group, _, name = str(identifier).rpartition(":")
        group = group or props["logGroupName"]
        of = {"logGroupName": group, "logStreamNamePrefix": name}
        streams = self.all(cloud, "describe_log_streams", "logStreams", **of)
        return {"name": name, "logGroupName": group} if any(it["logStreamName"] == name for it in streams) else None

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_log_stream", logGroupName=props["logGroupName"], logStreamName=props["name"])
