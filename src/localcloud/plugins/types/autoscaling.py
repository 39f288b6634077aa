"""Application Auto Scaling: targets and policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Autoname, Cloud, Resource, dig, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props

_NAMES = """
        resourceId ! ^
        scalableDimension ! ^
        serviceNamespace ! ^
"""


def _named(props: Props) -> Props:
    return {
        "ServiceNamespace": props["serviceNamespace"],
        "ResourceId": props["resourceId"],
        "ScalableDimension": props["scalableDimension"],
    }


def _parts(identifier: str, shape: str) -> list[str]:
    """An id as pulumi-aws imports by."""
    parts = identifier.split("/")
    if len(parts) <= shape.count("/"):
        raise Refused(f"the id to import must be {shape}, not {identifier!r}")
    return parts


@resource_type
class Target(Resource):
    """Something whose capacity may be changed; its id is the resource's id."""

    token = "aws:appautoscaling/target:Target"
    service = "application-autoscaling"
    table = f"""
        {_NAMES.strip()}
        minCapacity int !
        maxCapacity int !
        roleArn ^ ? =RoleARN
        suspendedState object ?
            dynamicScalingInSuspended bool
            dynamicScalingOutSuspended bool
            scheduledScalingSuspended bool
        arn ~ =ScalableTargetARN
    """
    tagging = Tagging("Tags", pairs=None, resource="ResourceARN")

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(
            cloud, "register_scalable_target", **self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs)
        )
        arn = answer.get("ScalableTargetARN") or self._find(cloud, inputs).get("ScalableTargetARN")
        return inputs["resourceId"], {"arn": arn}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        if not props:
            namespace, *resource, dimension = _parts(identifier, "namespace/resource id/dimension")
            props = {"serviceNamespace": namespace, "resourceId": "/".join(resource), "scalableDimension": dimension}
        described = self._find(cloud, props)
        if not described:
            return None
        live = self.live(cloud, described)
        return {**live, "tagsAll": Tagging.read(self.tagging or Tagging(), cloud.client(self.service), live["arn"])}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll"}:
            self.call(cloud, "register_scalable_target", **self.arguments(cloud, new))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "deregister_scalable_target", **_named(props))

    def _find(self, cloud: Cloud, props: Props) -> Props:
        request = _named(props)
        request["ResourceIds"] = [request.pop("ResourceId")]
        return dict(dig(self.call(cloud, "describe_scalable_targets", **request), "ScalableTargets") or {})


@resource_type
class Policy(Resource):
    """How a target's capacity follows a metric; its id is its name."""

    token = "aws:appautoscaling/policy:Policy"
    service = "application-autoscaling"
    table = f"""
        name ^ =PolicyName
        policyType default:StepScaling
        {_NAMES.strip()}
        targetTrackingScalingPolicyConfiguration object
            targetValue number !
            disableScaleIn bool
            scaleInCooldown int
            scaleOutCooldown int
            predefinedMetricSpecification object
                predefinedMetricType !
                resourceLabel
            customizedMetricSpecification object
                metricName
                namespace
                statistic
                unit
                dimensions bag
                    name !
                    value !
        stepScalingPolicyConfiguration object
            adjustmentType
            cooldown int
            metricAggregationType
            minAdjustmentMagnitude int
            stepAdjustments bag
                scalingAdjustment int !
                metricIntervalLowerBound number
                metricIntervalUpperBound number
        alarmArns list ~ =-
        arn ~ =PolicyARN
    """
    autoname = Autoname(limit=255)

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(cloud, "put_scaling_policy", **self.arguments(cloud, inputs))
        alarms = [alarm["AlarmARN"] for alarm in answer.get("Alarms", [])]
        return inputs["name"], {"arn": answer["PolicyARN"], "alarmArns": alarms}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        return {"PolicyType": "StepScaling", **super().arguments(cloud, inputs)}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        if not props:
            namespace, *resource, dimension, identifier = _parts(identifier, "namespace/resource id/dimension/name")
            props = {"serviceNamespace": namespace, "resourceId": "/".join(resource), "scalableDimension": dimension}
        described = dig(
            self.call(cloud, "describe_scaling_policies", PolicyNames=[identifier], **_named(props)), "ScalingPolicies"
        )
        return self.live(cloud, described) if described else None

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        return {
            **super().live(cloud, described),
            "alarmArns": [alarm["AlarmARN"] for alarm in described.get("Alarms", [])],
        }

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        return self.create(cloud, new)[1]

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_scaling_policy", PolicyName=identifier, **_named(props))
