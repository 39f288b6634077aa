"""EventBridge: buses, rules and their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.plugins.conversion import camel, from_api, pascal, to_api
from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.schema import Field
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props

_TAGGING = Tagging(resource="ResourceARN")
_BUS = "default"


@resource_type
class EventBus(Resource):
    """A bus of one's own; its id is its name."""

    token = "aws:cloudwatch/eventBus:EventBus"
    service = "events"
    table = """
        name ^
        description
        kmsKeyIdentifier
        eventSourceName ^
        arn ~
    """
    tagging = _TAGGING
    autoname = Autoname(limit=256, forbidden=r"[^/A-Za-z0-9._-]")
    create_call, named_by = "create_event_bus", "name"
    read_call, read_key = "describe_event_bus", "Name"
    update_call, delete_call = "update_event_bus", "delete_event_bus"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("events", f"event-bus/{props['name']}")}


@resource_type
class EventRule(Resource):
    """A rule; its id is its name, with `bus/` before it on a bus of one's own."""

    token = "aws:cloudwatch/eventRule:EventRule"
    service = "events"
    table = """
        name ^
        namePrefix ^ =-
        description
        eventBusName ^ default:default
        eventPattern json
        forceDestroy bool =-
        roleArn
        scheduleExpression
        state default:ENABLED
        arn ~
    """
    tagging = _TAGGING
    autoname = Autoname(limit=64)
    create_call = "put_rule"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        if inputs.get("eventPattern") is None and inputs.get("scheduleExpression") is None:
            return [("eventPattern", "eventPattern or scheduleExpression must be given")]
        return []

    def derived(self, cloud: Cloud, props: Props) -> Props:
        bus = props.get("eventBusName") or _BUS
        place = props["name"] if bus == _BUS else f"{bus}/{props['name']}"
        return {"arn": cloud.arn("events", f"rule/{place}")}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, "put_rule", **self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs))
        bus = inputs.get("eventBusName") or _BUS
        return inputs["name"] if bus == _BUS else f"{bus}/{inputs['name']}", {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = self.live(cloud, self.call(cloud, "describe_rule", **self._named(identifier)))
        live["tagsAll"] = _TAGGING.read(cloud.client(self.service), live["arn"])
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll"}:
            self.call(cloud, "put_rule", **self.arguments(cloud, new))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_rule", **self._named(identifier), Force=bool(props.get("forceDestroy")))

    def _named(self, identifier: str) -> dict[str, str]:
        bus, _, name = identifier.rpartition("/")
        return {"Name": name, "EventBusName": bus or _BUS}


@resource_type
class EventTarget(Resource):
    """Where a rule's events go; its id is `rule-target`, and `bus-rule-target` on a bus of one's own."""

    token = "aws:cloudwatch/eventTarget:EventTarget"
    service = "events"
    table = """
        targetId ^ =Id
        rule ! ^ =-
        eventBusName ^ default:default =-
        arn !
        forceDestroy bool =-
        input
        inputPath
        roleArn
        inputTransformer object
            inputPaths map =InputPathsMap
            inputTemplate !
        deadLetterConfig object
            arn
        retryPolicy object
            maximumEventAgeInSeconds int
            maximumRetryAttempts int
        sqsTarget object =SqsParameters
            messageGroupId
        ecsTarget object =-
            taskDefinitionArn !
            taskCount int default:1
            launchType
            platformVersion
            group
            propagateTags
            enableEcsManagedTags bool =EnableECSManagedTags
            enableExecuteCommand bool
            capacityProviderStrategies bag =-
                capacityProvider !
                base int
                weight int
            networkConfiguration object =-
                subnets set !
                securityGroups set
                assignPublicIp bool
    """
    autoname = Autoname("targetId", limit=64)

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        present = [name for name in ("input", "inputPath", "inputTransformer") if inputs.get(name) is not None]
        return [(present[1], f"only one of {' and '.join(present)} can be given")] if len(present) > 1 else []

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self._put(cloud, inputs)
        bus = inputs.get("eventBusName") or _BUS
        name = f"{inputs['rule']}-{inputs['targetId']}"
        return name if bus == _BUS else f"{bus}-{name}", {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        if not props:
            props = self._imported(identifier)
        for target in self.all(cloud, "list_targets_by_rule", "Targets", **self._rule(props)):
            if target["Id"] == props["targetId"]:
                bus = {"eventBusName": props.get("eventBusName") or _BUS}
                live = {**bus, "rule": props["rule"], **from_api(self.fields, target, self.spelling)}
                return {**live, **_ecs_read(self.fields["ecsTarget"], target)}
        return None

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._put(cloud, new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "remove_targets", **self._rule(props), Ids=[props["targetId"]])

    def _imported(self, identifier: str) -> Props:
        """`rule/target`, or `bus/rule/target`, is what pulumi-aws imports by."""
        *bus, rule, target = identifier.split("/") if "/" in identifier else (_BUS, "", "")
        return {"eventBusName": bus[0] if bus else _BUS, "rule": rule, "targetId": target}

    def _rule(self, props: Mapping[str, Any]) -> dict[str, str]:
        return {"Rule": props["rule"], "EventBusName": props.get("eventBusName") or _BUS}

    def _put(self, cloud: Cloud, inputs: Props) -> None:
        target = {**to_api(self.fields, inputs, self.spelling), **_ecs(self.fields["ecsTarget"], inputs)}
        answer = self.call(cloud, "put_targets", **self._rule(inputs), Targets=[target])
        for failed in answer.get("FailedEntries", []):
            said = {"Error": {"Code": failed["ErrorCode"], "Message": failed["ErrorMessage"]}}
            raise ClientError(said, "PutTargets")


def _ecs(known: Field, inputs: Props) -> Props:
    """A task that a rule starts; EventBridge spells parts of it as ECS does."""
    target = inputs.get("ecsTarget")
    if not target:
        return {}
    parameters = {"TaskCount": 1, **to_api(known.fields, target, pascal)}
    if strategies := target.get("capacityProviderStrategies"):
        inner = known.fields["capacityProviderStrategies"].fields
        parameters["CapacityProviderStrategy"] = [to_api(inner, each, camel) for each in strategies]
    if network := target.get("networkConfiguration"):
        address = "ENABLED" if network.get("assignPublicIp") else "DISABLED"
        groups = {"SecurityGroups": network["securityGroups"]} if network.get("securityGroups") else {}
        inside = {"Subnets": network["subnets"], **groups, "AssignPublicIp": address}
        parameters["NetworkConfiguration"] = {"awsvpcConfiguration": inside}
    return {"EcsParameters": parameters}


def _ecs_read(known: Field, target: Mapping[str, Any]) -> Props:
    parameters = target.get("EcsParameters")
    if not parameters:
        return {}
    live = from_api(known.fields, parameters, pascal)
    if strategies := parameters.get("CapacityProviderStrategy"):
        inner = known.fields["capacityProviderStrategies"].fields
        live["capacityProviderStrategies"] = [from_api(inner, each, camel) for each in strategies]
    if network := (parameters.get("NetworkConfiguration") or {}).get("awsvpcConfiguration"):
        live["networkConfiguration"] = {
            "subnets": network["Subnets"], "securityGroups": network.get("SecurityGroups", []),
            "assignPublicIp": network.get("AssignPublicIp") == "ENABLED",
        }  # fmt: skip
    return {"ecsTarget": live}
