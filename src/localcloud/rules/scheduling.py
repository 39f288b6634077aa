"""EventBridge and its Scheduler: expressions, zones, windows, groups."""

from __future__ import annotations

import re

from localcloud import backends, cron
from localcloud.request import Call, Refused


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
