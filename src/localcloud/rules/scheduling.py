"""EventBridge and its Scheduler: expressions, zones, windows, groups."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

from localcloud import backends, cron
from localcloud.request import Call, Refused, models


def schedule_is_valid(asked: Call) -> None:
    """The expression and the time zone must be ones that Scheduler knows, and the window and the dates make sense."""
    expression = asked.text("ScheduleExpression")
    _parsed(expression, f"Invalid Schedule Expression {expression}")
    timezone = asked.text("ScheduleExpressionTimezone") or "UTC"
    try:
        cron.zone(timezone)
    except cron.BadExpression as error:
        message = f"Invalid Schedule Expression Timezone {timezone}."
        raise Refused("ValidationException", message) from error
    window = asked.arguments.get("FlexibleTimeWindow") or {}
    if window.get("Mode") == "FLEXIBLE" and not window.get("MaximumWindowInMinutes"):
        raise Refused("ValidationException", "MaximumWindowInMinutes is required when FlexibleTimeWindow is FLEXIBLE.")
    if window.get("Mode") == "OFF" and window.get("MaximumWindowInMinutes"):
        raise Refused("ValidationException", "MaximumWindowInMinutes cannot be set when FlexibleTimeWindow is OFF.")
    start, end = asked.arguments.get("StartDate"), asked.arguments.get("EndDate")
    if start is not None and end is not None and end <= start:
        raise Refused("ValidationException", "EndDate must be after StartDate.")


def rule_schedule_is_valid(asked: Call) -> None:
    """A rule's expression is `cron(…)` or `rate(…)`, in UTC, and only on the default bus."""
    expression = asked.text("ScheduleExpression")
    if not expression:
        return
    invalid = "Parameter ScheduleExpression is not valid."
    if expression.startswith("at("):
        raise Refused("ValidationException", invalid)
    _parsed(expression, invalid)
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", expression.strip())
    if match and (match[1] == "1") == bool(match[3]):  # one is singular here, unlike in Scheduler
        raise Refused("ValidationException", invalid)
    if asked.text("EventBusName") not in ("", "default"):
        raise Refused("ValidationException", "ScheduleExpression is supported only on the default event bus.")


def _parsed(expression: str, message: str) -> None:
    try:
        cron.parse(expression)
    except cron.BadExpression as error:
        raise Refused("ValidationException", f"{message.rstrip('.')}: {error}.") from error


def group_is_new(asked: Call) -> None:
    """A group's name is taken by the one that has it."""
    name = asked.text("Name")
    if name in backends.scheduler(asked.account, asked.region).schedule_groups:
        raise Refused("ConflictException", f"Schedule group {name} already exists.", 409)


def group_exists(asked: Call) -> None:
    """What is to be deleted must be there, and the default group stays."""
    name = asked.text("Name")
    if name == "default":
        raise Refused("ValidationException", "You cannot delete the default schedule group.")
    if name not in backends.scheduler(asked.account, asked.region).schedule_groups:
        raise Refused("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)


ARN = re.compile(r"arn:[\w-]+:(?P<service>[\w-]+):[^:]*:[^:]*:(?P<rest>.+)")
TEMPLATED: Mapping[str, tuple[str, str]] = {
    "EcsParameters": ("ecs", "cluster/"),
    "EventBridgeParameters": ("events", "event-bus/"),
    "KinesisParameters": ("kinesis", "stream/"),
    "SageMakerPipelineParameters": ("sagemaker", "pipeline/"),
    "SqsParameters": ("sqs", ""),
}
"""Parameters of a templated target -> the service, and how the resource begins, whose targets have them.
Source: "Using templated targets", EventBridge Scheduler user guide."""
OPTIONAL = ("SqsParameters",)
JSON_INPUTS = ("lambda", "states")


def target_is_valid(asked: Call) -> None:
    """A target is an ARN, with the parameters of its service and of no other; and a schedule ends in the future."""
    end = asked.arguments.get("EndDate")
    if end is not None and end <= datetime.now(end.tzinfo):
        raise Refused("ValidationException", "The EndDate you specify must be in the future.")
    target = asked.arguments.get("Target") or {}
    match = ARN.fullmatch(str(target.get("Arn")))
    if match is None:
        raise Refused("ValidationException", f"Provided Arn is not in correct format: {target.get('Arn')}")
    service, rest = match["service"], match["rest"]
    if service == "scheduler":
        _universal(rest)
        return
    for name, (of, prefix) in TEMPLATED.items():
        fits = service == of and rest.startswith(prefix)
        if target.get(name) and not fits:
            raise Refused("ValidationException", f"{name} is not supported for the target {target['Arn']}.")
        if fits and not target.get(name) and name not in OPTIONAL:
            raise Refused("ValidationException", f"{name} is required for the target {target['Arn']}.")
    if service == "sqs" and rest.endswith(".fifo") and not (target.get("SqsParameters") or {}).get("MessageGroupId"):
        raise Refused("ValidationException", "MessageGroupId is required for a FIFO queue.")
    if service in JSON_INPUTS and target.get("Input"):
        try:
            json.loads(target["Input"])
        except ValueError:
            raise Refused("ValidationException", "Invalid Input: it must be JSON.") from None


def _universal(rest: str) -> None:
    """`aws-sdk:sqs:sendMessage`: any operation that changes something."""
    service, _, action = rest.removeprefix("aws-sdk:").partition(":")
    operation = action[:1].upper() + action[1:]
    known = models.operation(UNIVERSAL.get(service, service), operation) is not None
    if (
        not rest.startswith("aws-sdk:")
        or not known
        or action.startswith(("get", "describe", "list", "poll", "receive"))
    ):
        raise Refused("ValidationException", f"arn:aws:scheduler:::{rest} is not a supported target.")


UNIVERSAL = {"sfn": "stepfunctions", "eventbridge": "events", "cloudwatchlogs": "logs"}
"""Service as universal targets spell it -> as botocore does, where they differ."""


MOST_TARGETS = 5
RULE_PARAMETERS = {"EcsParameters": ":ecs:", "BatchParameters": ":batch:", "KinesisParameters": ":kinesis:"}
VARIABLE = re.compile(r"<([^<>\s]+)>")
AWS_VARIABLES = ("aws.events.",)


def rule_targets_are_valid(asked: Call) -> None:
    """A rule has five targets; each has one way to its input, and the parameters of its service.

    Source: PutTargets, Amazon EventBridge API reference.
    """
    targets = asked.arguments.get("Targets") or []
    name, bus = asked.text("Rule"), asked.text("EventBusName").rsplit("/", 1)[-1] or "default"
    buses = backends.events(asked.account, asked.region).event_buses
    rule = buses[bus].rules.get(name) if bus in buses else None
    ids = {str(target.get("Id")) for target in targets} | {str(one["Id"]) for one in (rule.targets if rule else ())}
    if len(ids) > MOST_TARGETS:
        raise Refused(
            "LimitExceededException", f"The requested resource exceeds the maximum number allowed: {MOST_TARGETS}."
        )
    for target in targets:
        arn, number = str(target.get("Arn")), target.get("Id")
        if sum(bool(target.get(way)) for way in ("Input", "InputPath", "InputTransformer")) > 1:
            message = f"Only one of Input, InputPath, or InputTransformer must be provided for target {number}."
            raise Refused("ValidationException", message)
        for parameters, service in RULE_PARAMETERS.items():
            if parameters != "KinesisParameters" and service in arn and not target.get(parameters):
                raise Refused("ValidationException", f"Parameter {parameters} must be provided for target {number}.")
            if target.get(parameters) and service not in arn:
                raise Refused("ValidationException", f"Parameter {parameters} does not fit target {number}.")
        transformer = target.get("InputTransformer") or {}
        known = set(transformer.get("InputPathsMap") or {})
        for variable in VARIABLE.findall(str(transformer.get("InputTemplate") or "")):
            if variable not in known and not variable.startswith(AWS_VARIABLES):
                where = f"InputTemplate for target {number} contains placeholder {variable}"
                raise Refused("ValidationException", f"{where} which is not defined in InputPathsMap.")
