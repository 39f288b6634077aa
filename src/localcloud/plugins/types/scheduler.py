"""EventBridge Scheduler: groups and schedules."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import Props


@resource_type
class ScheduleGroup(Resource):
    """A group of schedules; its id is its name. Deleting it deletes what is in it."""

    token = "aws:scheduler/scheduleGroup:ScheduleGroup"
    service = "scheduler"
    table = """
        name ^
        namePrefix ^ =-
        arn ~
        creationDate ~
        lastModificationDate ~
        state ~
    """
    tagging = Tagging(resource="ResourceArn")
    autoname = Autoname(limit=64)
    create_call = "create_schedule_group"
    read_call, read_key = "get_schedule_group", "Name"
    delete_call = "delete_schedule_group"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("scheduler", f"schedule-group/{props['name']}")}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, self.create_call, Name=inputs["name"], **self.creating_tags(cloud, inputs))
        return inputs["name"], {"state": "ACTIVE"}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, self.read_call, Name=identifier)  # moto answers 500 to deleting what is not there
        super().delete(cloud, identifier, props)


def _moment(text: str) -> Any:
    """The same moment can be written in several ways."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


@resource_type
class Schedule(Resource):
    """A schedule; its id is `group/name`."""

    token = "aws:scheduler/schedule:Schedule"
    service = "scheduler"
    table = """
        name ^
        namePrefix ^ =-
        groupName ^ default:default
        scheduleExpression !
        scheduleExpressionTimezone default:UTC
        flexibleTimeWindow object !
            mode !
            maximumWindowInMinutes int
        target object !
            arn !
            roleArn !
            input
            deadLetterConfig object
                arn !
            retryPolicy object
                maximumEventAgeInSeconds int default:86400
                maximumRetryAttempts int default:185
            ecsParameters object
                taskDefinitionArn !
                taskCount int
                launchType
                platformVersion
                group
                referenceId
                propagateTags
                enableEcsManagedTags bool =EnableECSManagedTags
                enableExecuteCommand bool
                capacityProviderStrategies bag =CapacityProviderStrategy
                    capacityProvider ! =capacityProvider
                    base int =base
                    weight int =weight
                networkConfiguration object =NetworkConfiguration.awsvpcConfiguration
                    subnets set !
                    securityGroups set
                    assignPublicIp bool
            eventbridgeParameters object =EventBridgeParameters
                detailType !
                source !
            kinesisParameters object
                partitionKey !
            sqsParameters object
                messageGroupId
        description
        state default:ENABLED
        startDate
        endDate
        actionAfterCompletion default:NONE
        kmsKeyArn
        arn ~
    """
    meanings = {"startDate": _moment, "endDate": _moment}
    autoname = Autoname(limit=64)

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("scheduler", f"schedule/{props.get('groupName') or 'default'}/{props['name']}")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        network = (
            arguments["Target"].get("EcsParameters", {}).get("NetworkConfiguration", {}).get("awsvpcConfiguration")
        )
        if network and "AssignPublicIp" in network:
            network["AssignPublicIp"] = "ENABLED" if network["AssignPublicIp"] else "DISABLED"
        return arguments

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, "create_schedule", **self.arguments(cloud, inputs))
        return f"{inputs.get('groupName') or 'default'}/{inputs['name']}", {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        group, _, name = identifier.partition("/")
        return self.live(cloud, self.call(cloud, "get_schedule", GroupName=group, Name=name))

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        nothing = {"description": "", "kmsKeyArn": "", "startDate": "", "endDate": ""}  # so that a removal is seen
        return {**nothing, **super().live(cloud, described)}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.call(cloud, "update_schedule", **self.arguments(cloud, new))
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        group, _, name = identifier.partition("/")
        self.call(cloud, "delete_schedule", GroupName=group, Name=name)
