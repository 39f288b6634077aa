"""Application Auto Scaling and Auto Scaling groups: targets first, one metric a policy, steps that do not overlap.

Sources: https://docs.aws.amazon.com/autoscaling/application/APIReference/ (RegisterScalableTarget, PutScalingPolicy,
PutScheduledAction), https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from localcloud import backends, cron
from localcloud.request import Call, Refused

INVALID = "ValidationException"
OF_BALANCER = "ALBRequestCountPerTarget"


def target_is_valid(asked: Call) -> None:
    """A new target has both ends, in their order."""
    arguments = asked.arguments
    least, most = arguments.get("MinCapacity"), arguments.get("MaxCapacity")
    if _target(asked) is None and (least is None or most is None):
        raise Refused(INVALID, "MinCapacity and MaxCapacity must be specified for a new scalable target.")
    if least is not None and most is not None and least > most:
        raise Refused(INVALID, "Minimum capacity must not exceed the maximum capacity.")
    if any(value is not None and value < 0 for value in (least, most)):
        raise Refused(INVALID, "Capacities must not be negative.")


def target_is_registered(asked: Call) -> None:
    """What scales is registered before."""
    if _target(asked) is None:
        message = f"No scalable target registered for service namespace: {asked.text('ServiceNamespace')}, "
        message += f"resource ID: {asked.text('ResourceId')}, scalable dimension: {asked.text('ScalableDimension')}"
        raise Refused("ObjectNotFoundException", message)


def policy_is_valid(asked: Call) -> None:
    """One metric a policy, with the label that it needs; steps in their order."""
    tracking = asked.arguments.get("TargetTrackingScalingPolicyConfiguration") or {}
    steps = (asked.arguments.get("StepScalingPolicyConfiguration") or {}).get("StepAdjustments") or []
    named = [name for name in ("PredefinedMetricSpecification", "CustomizedMetricSpecification") if tracking.get(name)]
    if tracking and len(named) != 1:
        raise Refused(INVALID, "Exactly one of a predefined and a customized metric must be specified.")
    metric = tracking.get("PredefinedMetricSpecification") or {}
    if metric.get("PredefinedMetricType") == OF_BALANCER and not metric.get("ResourceLabel"):
        raise Refused(INVALID, f"ResourceLabel is required for the metric {OF_BALANCER}.")
    edges = sorted(
        (_edge(step, "MetricIntervalLowerBound", -1), _edge(step, "MetricIntervalUpperBound", 1)) for step in steps
    )
    for low, high in edges:
        if low >= high:
            raise Refused(INVALID, "The lower bound of a step must be below its upper bound.")
    for (_, high), (low, _) in pairwise(edges):
        if low < high:
            raise Refused(INVALID, "Step adjustment intervals must not overlap.")
        if low > high:
            raise Refused(INVALID, "There must be no gap between step adjustment intervals.")


def action_is_valid(asked: Call) -> None:
    """A schedule as EventBridge has it: six fields, a rate, or a moment."""
    schedule = asked.text("Schedule")
    if not schedule:
        return
    try:
        cron.parse(schedule)
    except cron.BadExpression as error:
        raise Refused(INVALID, f"Schedule expression {schedule} is not valid: {error}") from error


def group_is_valid(asked: Call) -> None:
    """A group's name is new, and its sizes are in their order."""
    arguments = asked.arguments
    if asked.operation == "CreateAutoScalingGroup":
        groups = backends.autoscaling(asked.account, asked.region).autoscaling_groups
        if asked.text("AutoScalingGroupName") in groups:
            raise Refused("AlreadyExists", "AutoScalingGroup by this name already exists")
    least, most, wanted = (arguments.get(name) for name in ("MinSize", "MaxSize", "DesiredCapacity"))
    if least is not None and most is not None and least > most:
        raise Refused("ValidationError", "Min size must not exceed the max size.")
    if wanted is not None and most is not None and wanted > most:
        message = "must be between the specified min size and max size"
        raise Refused("ValidationError", f"Desired capacity:{wanted} {message}.")
    if wanted is not None and least is not None and wanted < least:
        raise Refused("ValidationError", f"Desired capacity:{wanted} must not be below the min size.")
    known = backends.ec2_subnets(asked.account, asked.region)
    for subnet in filter(None, (text.strip() for text in asked.text("VPCZoneIdentifier").split(","))):
        if subnet not in known:
            raise Refused("ValidationError", f"The subnet ID '{subnet}' does not exist")


def _edge(step: Any, name: str, sign: int) -> float:
    value = step.get(name)
    return sign * float("inf") if value is None else float(value)


def _target(asked: Call) -> Any:
    targets = backends.application_autoscaling(asked.account, asked.region).targets
    return targets.get(asked.text("ScalableDimension"), {}).get(asked.text("ResourceId"))
