"""Services, tasks and clusters of ECS: what they name must be there, fit together and be what the launch type takes.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html, API_RunTask.html and
API_CapacityProviderStrategyItem.html; messages as public reports quote them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused
from localcloud.rules import ecs

INVALID = "InvalidParameterException"
FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
PLATFORMS = ("LATEST", "1.4.0", "1.3.0")
MOST_GROUPS, MOST_SUBNETS = 5, 16
MOST_STARTED_BY = 128
MOST_TASKS = 10
CLUSTER_SETTINGS = {"containerInsights": ("enabled", "disabled", "enhanced")}


def service_is_valid(asked: Call) -> None:
    """Of CreateService and UpdateService: what is named, how it is deployed, and where its tasks are."""
    arguments, definition = asked.arguments, _definition(asked)
    if (count := arguments.get("desiredCount")) is not None and count < 0:
        raise Refused(INVALID, f"desiredCount must not be negative, was {count}.")
    _deployment(arguments.get("deploymentConfiguration") or {})
    balancers = arguments.get("loadBalancers") or []
    if asked.operation == "CreateService":
        if arguments.get("healthCheckGracePeriodSeconds") and not balancers:
            message = "Health check grace period is only valid for services configured to use load balancers"
            raise Refused(INVALID, message)
        if arguments.get("schedulingStrategy") == "DAEMON" and arguments.get("launchType") == "FARGATE":
            raise Refused(INVALID, "The daemon scheduling strategy is not supported with launch type FARGATE.")
    if definition is not None:
        _balanced(asked, definition, balancers)
        if arguments.get("enableExecuteCommand") and not getattr(definition, "task_role_arn", None):
            raise Refused(INVALID, "ExecuteCommand needs a valid taskRoleArn in the task definition.")
    _placed(asked, definition)


def task_is_valid(asked: Call) -> None:
    """Of RunTask."""
    arguments, definition = asked.arguments, _definition(asked)
    if not 1 <= (arguments.get("count") or 1) <= MOST_TASKS:
        raise Refused(INVALID, f"count must be between 1 and {MOST_TASKS}, was {arguments.get('count')}.")
    if len(str(arguments.get("startedBy") or "")) > MOST_STARTED_BY:
        raise Refused(INVALID, f"startedBy has at most {MOST_STARTED_BY} characters.")
    _placed(asked, definition)
    if definition is None:
        return
    overrides = arguments.get("overrides") or {}
    known = {one["name"] for one in definition.container_definitions}
    for one in overrides.get("containerOverrides") or []:
        if one.get("name") not in known:
            raise Refused(
                INVALID, f"Override for container named {one.get('name')} is not a container in the TaskDefinition."
            )
    if {"cpu", "memory"} & overrides.keys() and "FARGATE" in (definition.requires_compatibilities or []):
        ecs.fargate_size(overrides.get("cpu") or definition.cpu, overrides.get("memory") or definition.memory)


def cluster_is_valid(asked: Call) -> None:
    """Of clusters: their settings, and that a default strategy names providers that they have."""
    arguments = asked.arguments
    for setting in arguments.get("settings") or []:
        allowed = CLUSTER_SETTINGS.get(setting.get("name"))
        if allowed is None or setting.get("value") not in allowed:
            raise Refused(INVALID, f"Invalid setting {setting.get('name')}={setting.get('value')} for the cluster.")
    providers = arguments.get("capacityProviders") or []
    _known_providers(asked, providers)
    strategy = arguments.get("defaultCapacityProviderStrategy") or []
    _strategy(strategy)
    for item in strategy:
        if "capacityProviders" in arguments and item.get("capacityProvider") not in providers:
            message = "contains a capacity provider that is not associated with the cluster"
            raise Refused(INVALID, f"The specified default capacity provider strategy {message}.")


def _definition(asked: Call) -> Any:
    """moto's task definition; None where none is named, or none is there, which moto says itself."""
    family, _, revision = asked.text("taskDefinition").rsplit("/", 1)[-1].partition(":")
    if not family:
        return None
    revisions = backends.ecs(asked.account, asked.region).task_definitions.get(family, {})
    if revision:
        one = revisions.get(int(revision)) if revision.isdecimal() else None
        # A service that is rolled back goes on with the revision that it had, though Pulumi has deregistered that.
        if one is not None and one.status != "ACTIVE" and asked.operation != "UpdateService":
            raise Refused("ClientException", "TaskDefinition is inactive")
        return one
    return next((one for _, one in sorted(revisions.items(), reverse=True) if one.status == "ACTIVE"), None)


def _deployment(settings: Mapping[str, Any]) -> None:
    least, most = settings.get("minimumHealthyPercent"), settings.get("maximumPercent")
    for name, value in (("minimumHealthyPercent", least), ("maximumPercent", most)):
        if value is not None and value < 0:
            raise Refused(INVALID, f"{name} must not be negative, was {value}.")
    if least is None or most is None:
        return
    if least == most == 100:
        message = "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments."
        raise Refused(INVALID, message)
    if most < least:
        raise Refused(INVALID, "maximumPercent must not be below minimumHealthyPercent.")


def _balanced(asked: Call, definition: Any, balancers: Sequence[Mapping[str, Any]]) -> None:
    containers = {one["name"]: one for one in definition.container_definitions}
    groups = backends.elbv2(asked.account, asked.region).target_groups
    for entry in balancers:
        container, port = containers.get(entry.get("containerName")), entry.get("containerPort")
        if container is None:
            message = f"The container {entry.get('containerName')} does not exist in the task definition."
            raise Refused(INVALID, message)
        if port not in [mapping.get("containerPort") for mapping in container.get("portMappings") or []]:
            message = f"The container {entry.get('containerName')} did not have a container port {port} defined."
            raise Refused(INVALID, message)
        group = groups.get(entry.get("targetGroupArn"))
        kind = getattr(group, "target_type", None) if group is not None else None
        if definition.network_mode == "awsvpc" and kind not in (None, "ip"):
            message = f"has target type {kind}, which is incompatible with the awsvpc network mode"
            raise Refused(INVALID, f"The provided target group {entry['targetGroupArn']} {message}.")


def _placed(asked: Call, definition: Any) -> None:
    """Launch type or providers, platform, placement and network."""
    arguments = asked.arguments
    launch, strategy = arguments.get("launchType"), arguments.get("capacityProviderStrategy") or []
    if launch and strategy:
        message = "Specifying both a launch type and capacity provider strategy is not supported."
        raise Refused(INVALID, f"{message} Remove one and try again.")
    _strategy(strategy)
    name = asked.text("cluster").rsplit("/", 1)[-1] or "default"
    cluster = backends.ecs(asked.account, asked.region).clusters.get(name)
    _known_providers(asked, [str(item.get("capacityProvider")) for item in strategy])
    for item in strategy if cluster is not None else ():
        if item.get("capacityProvider") not in (cluster.capacity_providers or []):
            message = "contains a capacity provider that is not associated with the cluster"
            raise Refused(INVALID, f"The specified capacity provider strategy {message}.")
    on_fargate = launch == "FARGATE" or any(item.get("capacityProvider") in FARGATE_PROVIDERS for item in strategy)
    if on_fargate:
        for setting, words in (("placementStrategy", "strategies"), ("placementConstraints", "constraints")):
            if arguments.get(setting):
                raise Refused(INVALID, f"Placement {words} are not supported with FARGATE launch type.")
    required = (definition.requires_compatibilities or []) if definition is not None else []
    if required and launch == "FARGATE" and "FARGATE" not in required:
        raise Refused(INVALID, "Task definition does not support launch_type FARGATE.")
    if (platform := arguments.get("platformVersion")) and platform not in PLATFORMS:
        raise Refused("PlatformUnknownException", "The specified platform does not exist.")
    _network(asked, definition)


def _strategy(strategy: Sequence[Mapping[str, Any]]) -> None:
    refused = "The specified capacity provider strategy"
    names = [str(item.get("capacityProvider")) for item in strategy]
    if sum(bool(item.get("base")) for item in strategy) > 1:
        message = "cannot contain more than one capacity provider with a base value"
        raise Refused(INVALID, f"{refused} {message}. Specify a base value on one capacity provider and try again.")
    if len(set(names)) < len(names):
        raise Refused(INVALID, f"{refused} cannot contain duplicate capacity providers.")
    if strategy and not any(item.get("weight", 1 if len(strategy) == 1 else 0) for item in strategy):
        raise Refused(INVALID, f"{refused} must contain a capacity provider with a weight greater than 0.")
    if 0 < sum(name in FARGATE_PROVIDERS for name in names) < len(names):
        raise Refused(INVALID, f"{refused} cannot contain a mix of Fargate and Auto Scaling group capacity providers.")


def _known_providers(asked: Call, names: Sequence[str]) -> None:
    backend = backends.ecs(asked.account, asked.region)
    known = {*FARGATE_PROVIDERS, *(str(one.name) for one in backend.capacity_providers.values())}
    for name in names:
        if name.rsplit("/", 1)[-1] not in known:
            message = (
                f"The specified capacity provider '{name}' was not found. Specify a valid name or ARN and try again."
            )
            raise Refused(INVALID, message)


def _network(asked: Call, definition: Any) -> None:
    network = (asked.arguments.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if definition is not None and asked.operation != "UpdateService":
        if definition.network_mode == "awsvpc" and not network:
            message = "Network Configuration must be provided when networkMode 'awsvpc' is specified."
            raise Refused(INVALID, message)
        if definition.network_mode != "awsvpc" and network:
            message = "Network Configuration is not valid for the given networkMode of this task definition."
            raise Refused(INVALID, message)
    if not network:
        return
    groups, subnets = network.get("securityGroups") or [], network.get("subnets") or []
    for name, values, most in (("securityGroups", groups, MOST_GROUPS), ("subnets", subnets, MOST_SUBNETS)):
        if len(values) > most:
            raise Refused(INVALID, f"{name} can have at most {most} items.")
    known = backends.ec2_subnets(asked.account, asked.region)
    for subnet in subnets:
        if subnet not in known:
            raise Refused(INVALID, f"Error retrieving subnet information for [{subnet}]: The subnet ID does not exist.")
    vpcs = {known[subnet].vpc_id for subnet in subnets}
    if len(vpcs) > 1:
        raise Refused(INVALID, "subnets must all be of one VPC.")
    own = backends.security_group_vpcs(asked.account, asked.region)
    for group in groups:
        if group not in own:
            raise Refused(INVALID, f"The security group '{group}' does not exist.")
        if vpcs and own[group] not in vpcs:
            message = "does not appear to belong to the same VPC as the input subnets"
            raise Refused(INVALID, f"Security group {group} {message}.")
