"""Step Functions: state machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.conversion import camel
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.tags import LOWER, Tagging
from localcloud.plugins.values import Props


@resource_type
class StateMachine(Resource):
    """A state machine; its id is its ARN."""

    token = "aws:sfn/stateMachine:StateMachine"
    service = "stepfunctions"
    table = """
        name ^
        namePrefix ^ =-
        definition json !
        roleArn !
        type ^ default:STANDARD
        publish bool
        loggingConfiguration object
            includeExecutionData bool
            level default:OFF
            logDestination =-
        tracingConfiguration object
            enabled bool
        encryptionConfiguration object ?
            type
            kmsKeyId
            kmsDataKeyReusePeriodSeconds int
        arn ~ =stateMachineArn
        creationDate ~
        description ~
        revisionId ~
        stateMachineVersionArn ~
        status ~
    """
    spelling = camel
    tagging = Tagging("tags", LOWER, resource="resourceArn", keys="tagKeys")
    autoname = Autoname(limit=80, forbidden=r"[^A-Za-z0-9_-]")
    recomputed = frozenset({"revisionId", "stateMachineVersionArn"})
    create_call, identifier = "create_state_machine", "stateMachineArn"
    read_call, read_key = "describe_state_machine", "stateMachineArn"
    update_call, delete_call = "update_state_machine", "delete_state_machine"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("states", f"stateMachine:{props['name']}")}

    def planned(self, cloud: Cloud, olds: Props, inputs: Props) -> None:
        """The provider validates a definition that changes (CustomizeDiff), and words what is wrong like this."""
        definition = inputs.get("definition")
        if not isinstance(definition, str) or definition == olds.get("definition"):
            return
        kind = inputs.get("type") or "STANDARD"
        answer = self.call(cloud, "validate_state_machine_definition", definition=definition, type=kind)
        if answer["result"] != "OK":
            problems = "\n".join(
                f"{one['severity']} ({one['code']}): {one['message']}" for one in answer["diagnostics"]
            )
            raise Refused(f"invalid Step Functions State Machine definition: {problems}")

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        if live is not None:
            versions = self.call(cloud, "list_state_machine_versions", stateMachineArn=identifier)
            newest: Props = next(iter(versions["stateMachineVersions"]), {})
            live["stateMachineVersionArn"] = newest.get("stateMachineVersionArn", live.get("stateMachineVersionArn"))
        return live

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        destination = (inputs.get("loggingConfiguration") or {}).get("logDestination")
        if destination:
            arguments["loggingConfiguration"]["destinations"] = [
                {"cloudWatchLogsLogGroup": {"logGroupArn": destination}}
            ]
        if updating:
            arguments.pop("name", None), arguments.pop("type", None)
        return arguments

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        arn, live = super().create(cloud, inputs)
        return arn, {**live, "status": "ACTIVE"}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        destinations = (described.get("loggingConfiguration") or {}).get("destinations") or []
        if destinations:
            group = destinations[0].get("cloudWatchLogsLogGroup", {}).get("logGroupArn")
            live["loggingConfiguration"] = {**live.get("loggingConfiguration", {}), "logDestination": group}
        return live


@resource_type
class Alias(Resource):
    """A name for one or two published versions of a state machine; its id is its ARN."""

    token = "aws:sfn/alias:Alias"
    service = "stepfunctions"
    table = """
        name ^
        description
        routingConfigurations bag ! =routingConfiguration
            stateMachineVersionArn !
            weight int !
        arn ~ =stateMachineAliasArn
        creationDate ~
    """
    spelling = camel
    autoname = Autoname(limit=80, forbidden=r"[^A-Za-z0-9_-]")
    create_call, identifier = "create_state_machine_alias", "stateMachineAliasArn"
    read_call, read_key = "describe_state_machine_alias", "stateMachineAliasArn"
    update_call, delete_call = "update_state_machine_alias", "delete_state_machine_alias"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        routes = props.get("routingConfigurations") or [{}]
        version = routes[0].get("stateMachineVersionArn")
        return {"arn": f"{version.rpartition(':')[0]}:{props['name']}"} if isinstance(version, str) else {}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        if updating:
            arguments.pop("name", None)
            arguments.setdefault("description", "")
        return arguments


@resource_type
class Activity(Resource):
    """Work that somebody outside fetches and reports on; its id is its ARN."""

    token = "aws:sfn/activity:Activity"
    service = "stepfunctions"
    table = """
        name ^
        arn ~ =activityArn
        creationDate ~
    """
    spelling = camel
    tagging = Tagging("tags", LOWER, resource="resourceArn", keys="tagKeys")
    autoname = Autoname(limit=80, forbidden=r"[^A-Za-z0-9_-]")
    create_call, identifier = "create_activity", "activityArn"
    read_call, read_key = "describe_activity", "activityArn"
    delete_call = "delete_activity"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("states", f"activity:{props['name']}")}
