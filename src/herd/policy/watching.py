"""Rules about what happens when nobody looks: schedules, alarms, logs, and whose a resource is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from herd.policy.model import FOLDERS, UNKNOWN, Resource, Rules, Stack

WEAKER = {
    "protect": ("false", "a wrong `down` removes the data"),
    "require_tls": ("false", "services may answer in plain HTTP"),
    "encryption_key": ("none", "what is kept has no key of its own"),
    "network": ("public", "tasks have public addresses"),
}
"""Settings of a prod environment that make it less than prod, and what follows."""

LOGS = {
    "access_logs": "nobody can tell afterwards who called",
    "flow_logs": "nobody can tell afterwards who talked to whom",
}
"""Logs that the profile prod keeps, and what follows without them."""

SCHEDULE = "aws:scheduler/schedule:Schedule"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE_ALARM = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
rules = Rules()


@rules.each(
    "schedules-tried-again",
    SCHEDULE,
    says="A schedule names its time zone, and how often and how long a start is tried again.",
    why="Scheduler's own default tries for a day: yesterday's run then meets today's.",
    link="https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule.html",
)
def tried_again(schedule: Resource, stack: Stack) -> Iterator[str]:
    if not schedule.has("scheduleExpressionTimezone"):
        yield "has no time zone; set scheduleExpressionTimezone"
    retry = (schedule.props.get("target") or {}).get("retryPolicy") or {}
    if not (retry.get("maximumEventAgeInSeconds") and retry.get("maximumRetryAttempts")):
        yield "does not say how often a start is tried again; set target.retryPolicy"


@rules.each(
    "schedules-missed-kept",
    SCHEDULE,
    says="A start that never came about lies in a queue.",
    why="Scheduler gives up in silence: without the queue nobody learns that a run was lost.",
    link="https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html",
)
def missed_kept(schedule: Resource, stack: Stack) -> Iterator[str]:
    if not (schedule.props.get("target") or {}).get("deadLetterConfig"):
        yield "has no queue for starts that never came about; set target.deadLetterConfig"


@rules.each(
    "schedules-end",
    SCHEDULE,
    says="A schedule that is on has an end: the date by which somebody must have looked at it.",
    why="Jobs that run for years with nobody looking are what this product is against.",
    link="https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule.html",
)
def schedules_end(schedule: Resource, stack: Stack) -> Iterator[str]:
    fires_once = str(schedule.props.get("scheduleExpression")).startswith("at(")
    if not schedule.has("endDate") and not fires_once and schedule.props.get("state", "ENABLED") == "ENABLED":
        yield "never ends; set endDate"


@rules.whole(
    "alarms-heard",
    ALARM,
    COMPOSITE_ALARM,
    EVENT_RULE,
    says="An alarm tells somebody, and says what silence means.",
    why="By default missing data is no alarm, and a job that never ran has no data.",
    control="CloudWatch.15",
)
def alarms_heard(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    patterns = [pattern for rule in resources if rule.type == EVENT_RULE for pattern in _event_pattern(rule)]
    for alarm in resources:
        if alarm.type not in (ALARM, COMPOSITE_ALARM):
            continue
        if not alarm.has("alarmActions") and not any(_hears(pattern, alarm) for pattern in patterns):
            yield alarm, "tells nobody; set alarmActions"
        if alarm.type == ALARM and alarm.props.get("treatMissingData", "missing") == "missing":
            yield alarm, "says nothing about missing data; set treatMissingData to breaching or notBreaching"


def _event_pattern(rule: Resource) -> Iterator[Mapping[str, Any]]:
    """Of a rule that hears of alarms and is on."""
    try:
        pattern = json.loads(rule.props.get("eventPattern") or "{}")
    except (TypeError, ValueError):
        return
    off = rule.props.get("state") == "DISABLED"
    if not off and isinstance(pattern, dict) and "aws.cloudwatch" in pattern.get("source", ()):
        yield pattern


def _hears(pattern: Mapping[str, Any], alarm: Resource) -> bool:
    """Whether the pattern names the alarm, or says no names: `arn:…:alarm:<prefix>` in its resources."""
    name = str(alarm.props.get("name") or "")
    named = pattern.get("resources")
    prefixes = [one.get("prefix", "") if isinstance(one, dict) else one for one in named or ()]
    return named is None or any(name.startswith(prefix.partition(":alarm:")[2]) for prefix in prefixes if prefix)


@rules.each(
    "logs-end",
    LOG_GROUP,
    says="Log lines are kept for a time that somebody chose.",
    why="The default is for ever, and it is paid for by the gigabyte and month.",
    control="CloudWatch.16",
)
def logs_end(group: Resource, stack: Stack) -> Iterator[str]:
    if not group.has("retentionInDays"):
        yield "keeps its lines for ever; set retentionInDays"
    if group.props.get("skipDestroy"):
        yield "would stay when the environment goes; turn skipDestroy off"


@rules.whole(
    "everything-tagged",
    "aws:*",
    says="Whatever can be tagged says which environment, and which workload, it belongs to.",
    why="Costs, permissions and cleaning up go by tags; what has none belongs to nobody.",
    link="https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html",
)
def everything_tagged(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    taggable = {r.type for r in resources if r.has("tags")}
    for resource in resources:
        tags = resource.props.get("tags")
        if resource.type not in taggable or not resource.type.startswith("aws:") or tags is UNKNOWN:
            continue
        if isinstance(tags, list):  # an Auto Scaling group hands its tags on to machines, and says so of each
            tags = {tag.get("key"): tag.get("value") for tag in tags}
        wanted = ["herd:environment"]
        if resource.parent.rpartition("::")[0].rsplit(":", 1)[-1] in FOLDERS:
            wanted += ["herd:workload", "herd:kind", "herd:owner"]
        missing = [tag for tag in wanted if tag not in (tags or {})]
        if missing:
            yield resource, f"has no tag {', '.join(missing)}; take its tags from context.tags()"


@rules.whole(
    "protected-logged",
    "aws:*",
    says="A prod environment that is protected keeps its logs of access and of its network.",
    why="They are wanted after an incident, and cannot be had afterwards; what is worth protecting is worth them.",
    link="https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/sec_detect_investigate_events_app_service_logging.html",
)
def protected_logged(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    for setting, consequence in LOGS.items():
        # A network of the company's has its flow logs from whoever keeps it.
        theirs = setting == "flow_logs" and stack.setting("vpc")
        if stack.is_prod and stack.on("protect") and not stack.on(setting) and not theirs:
            yield (
                Resource("", f"Pulumi.{stack.environment}.yaml", {}),
                f"{setting} is false although the environment is protected: {consequence}; turn it on, or say in "
                "policy-exceptions.toml why not and until when",
            )


@rules.whole(
    "prod-as-prod",
    "aws:*",
    says="A prod environment keeps what the profile prod sets.",
    why="Each of these can be chosen, and whoever reviews the environment should see that it was.",
    link="https://docs.aws.amazon.com/wellarchitected/latest/security-pillar/welcome.html",
    level="advisory",
)
def prod_as_prod(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    for setting, (weak, consequence) in WEAKER.items():
        if stack.is_prod and stack.setting(setting) == weak:
            yield Resource("", f"Pulumi.{stack.environment}.yaml", {}), f"{setting} is {weak}: {consequence}"
    for setting, consequence in LOGS.items():
        if stack.is_prod and not stack.on("protect") and not stack.on(setting):
            yield Resource("", f"Pulumi.{stack.environment}.yaml", {}), f"{setting} is false: {consequence}"
