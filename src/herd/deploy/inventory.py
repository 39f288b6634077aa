"""The resources of an account, listed service by service through the AWS API, with the environment of each.

`herd down` compares two listings to prove that nothing is left. Resources that AWS keeps listing for a while after
their deletion (inactive task definitions, deleted endpoints, ended executions) and those that AWS makes in every
account (its own log and schedule groups, default networks) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jmespath

from herd.infra.naming import ENVIRONMENT_TAG
from herd.runs.runs import in_parallel
from herd.targets.target import Target

TAG = ENVIRONMENT_TAG


@dataclass(frozen=True, order=True)
class Item:
    """One resource. `environment`: by its tag, name or parent; None for a resource of no environment."""

    kind: str
    name: str
    environment: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Listing:
    """All resources of an account and region. `unseen`: kinds that could not be listed, with AWS's error code."""

    items: frozenset[Item]
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """One kind of resource and the call that lists it.

    `each`: a JMESPath expression over the response; it gives objects with `name` and, where the name does not have the
    environment, `tags`, `parent` (the resource it belongs to) or `default` (AWS made it and what belongs to it).
    `within`: for resources that are listed per resource of another kind, the argument and the label of that kind.
    """

    label: str
    service: str
    call: str
    each: str
    arguments: Mapping[str, Any] | None = None
    within: tuple[str, str] | None = None


def _ec2(label: str, call: str, each: str, name: str, where: str = "", parent: str = "") -> Kind:
    inside = f", parent: {parent}" if parent else ""
    return Kind(label, "ec2", call, f"{each}[?{where or '@'}].{{name: {name}, tags: Tags{inside}}}")


_LIVE = "!contains(['deleted', 'deleting', 'terminated', 'shutting-down'], State)"

KINDS = (
    Kind("VPC", "ec2", "describe_vpcs", "Vpcs[].{name: VpcId, tags: Tags, default: IsDefault}"),
    _ec2("internet gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    _ec2("NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", _LIVE, "VpcId"),
    _ec2("elastic address", "describe_addresses", "Addresses", "AllocationId"),
    _ec2("subnet", "describe_subnets", "Subnets", "SubnetId", parent="VpcId"),
    _ec2("route table", "describe_route_tables", "RouteTables", "RouteTableId", parent="VpcId"),
    _ec2("network ACL", "describe_network_acls", "NetworkAcls", "NetworkAclId", parent="VpcId"),
    _ec2("security group", "describe_security_groups", "SecurityGroups", "GroupId", parent="VpcId"),
    _ec2("VPC endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", _LIVE, "VpcId"),
    Kind(
        "network interface",
        "ec2",
        "describe_network_interfaces",
        "NetworkInterfaces[].{name: NetworkInterfaceId, tags: TagSet, parent: VpcId}",
    ),
    Kind(
        "instance",
        "ec2",
        "describe_instances",
        "Reservations[].Instances[?!contains(['terminated', 'shutting-down'], State.Name)][]"
        ".{name: InstanceId, tags: Tags, parent: VpcId}",
    ),
    _ec2("volume", "describe_volumes", "Volumes", "VolumeId", _LIVE),
    _ec2("flow log", "describe_flow_logs", "FlowLogs", "FlowLogId", parent="ResourceId"),
    _ec2("launch template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    Kind(
        "auto scaling group",
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups[].{name: AutoScalingGroupARN}",
    ),
    Kind(
        "capacity provider",
        "ecs",
        "describe_capacity_providers",
        "capacityProviders[?status == 'ACTIVE' && !starts_with(name, 'FARGATE')].{name: capacityProviderArn}",
    ),
    Kind("cluster", "ecs", "list_clusters", "clusterArns[].{name: @}"),
    Kind("task definition", "ecs", "list_task_definitions", "taskDefinitionArns[].{name: @}", {"status": "ACTIVE"}),
    Kind("bucket", "s3", "list_buckets", "Buckets[].{name: Name}"),
    Kind("role", "iam", "list_roles", "Roles[?!starts_with(Path, '/aws-service-role/')].{name: Arn}"),
    Kind("policy", "iam", "list_policies", "Policies[].{name: Arn}", {"Scope": "Local"}),
    Kind("user", "iam", "list_users", "Users[].{name: Arn}"),
    Kind("instance profile", "iam", "list_instance_profiles", "InstanceProfiles[].{name: Arn}"),
    Kind("key alias", "kms", "list_aliases", "Aliases[?!starts_with(AliasName, 'alias/aws/')].{name: AliasName}"),
    Kind(
        "certificate",
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList[].{name: ResourceARN, tags: Tags}",
        {"ResourceTypeFilters": ["acm:certificate"]},
    ),
    Kind("log group", "logs", "describe_log_groups", "logGroups[].{name: logGroupName}"),
    Kind("repository", "ecr", "describe_repositories", "repositories[].{name: repositoryName}"),
    Kind("state machine", "stepfunctions", "list_state_machines", "stateMachines[].{name: stateMachineArn}"),
    Kind("schedule group", "scheduler", "list_schedule_groups", "ScheduleGroups[?Name != 'default'].{name: Name}"),
    Kind("schedule", "scheduler", "list_schedules", "Schedules[].{name: join('/', [GroupName, Name])}"),
    Kind("load balancer", "elbv2", "describe_load_balancers", "LoadBalancers[].{name: LoadBalancerArn}"),
    Kind("target group", "elbv2", "describe_target_groups", "TargetGroups[].{name: TargetGroupArn}"),
    Kind(
        "scalable target",
        "application-autoscaling",
        "describe_scalable_targets",
        "ScalableTargets[].{name: ResourceId}",
        {"ServiceNamespace": "ecs"},
    ),
    Kind("rule", "events", "list_rules", "Rules[?!ManagedBy].{name: Arn}"),
    Kind("alarm", "cloudwatch", "describe_alarms", "[MetricAlarms, CompositeAlarms][][].{name: AlarmArn}"),
    Kind("secret", "secretsmanager", "list_secrets", "SecretList[?!DeletedDate].{name: ARN, tags: Tags}"),
    Kind("parameter", "ssm", "describe_parameters", "Parameters[].{name: Name}"),
    Kind("database", "rds", "describe_db_instances", "DBInstances[].{name: DBInstanceArn, tags: TagList}"),
    Kind("database subnet group", "rds", "describe_db_subnet_groups", "DBSubnetGroups[].{name: DBSubnetGroupName}"),
    Kind("queue", "sqs", "list_queues", "QueueUrls[].{name: @}"),
    Kind("function", "lambda", "list_functions", "Functions[].{name: FunctionArn}"),
    Kind("topic", "sns", "list_topics", "Topics[].{name: TopicArn}"),
    Kind(
        "subscription",
        "sns",
        "list_subscriptions",
        "Subscriptions[].{name: join(' ', [TopicArn, Protocol, Endpoint])}",
    ),
    Kind(
        "e-mail identity",
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList[].{name: ResourceARN, tags: Tags}",
        {"ResourceTypeFilters": ["ses:identity"]},
    ),
    Kind(
        "distribution",
        "cloudfront",
        "list_distributions",
        "DistributionList.Items[].{name: join(' ', [Id, Comment])}",
    ),
    Kind(
        "origin access control",
        "cloudfront",
        "list_origin_access_controls",
        "OriginAccessControlList.Items[].{name: Name}",
    ),
    Kind("hosted zone", "route53", "list_hosted_zones", "HostedZones[].{name: Id, parent: Name}"),
    Kind(
        "record",
        "route53",
        "list_resource_record_sets",
        "ResourceRecordSets[?AliasTarget].{name: join(' -> ', [Name, AliasTarget.DNSName])}",
        within=("HostedZoneId", "hosted zone"),
    ),
)
"""Services, listeners, policies and objects are not listed: they go with their cluster, load balancer, role, bucket."""


def take(target: Target) -> Listing:
    """List everything in the target's account and region."""
    from botocore.exceptions import ClientError

    for kind in KINDS:
        target.client(kind.service)  # made before the threads: making clients is not thread-safe

    def one(kind: Kind) -> list[dict[str, Any]] | str:
        try:
            return _listed(target.client(kind.service), kind)
        except ClientError as error:
            return f"{kind.label}: {error.response.get('Error', {}).get('Code', '')}"

    whole = [kind for kind in KINDS if kind.within is None]
    listings = list(zip(whole, in_parallel(one, whole), strict=True))
    parts = [
        replace(kind, arguments={argument: thing["name"]})
        for kind in KINDS
        for argument, label in [kind.within or ("", "")]
        for other, answer in listings
        if other.label == label and not isinstance(answer, str)
        for thing in answer
    ]
    listings += zip(parts, in_parallel(one, parts), strict=True)
    things = [(kind, thing) for kind, answer in listings if not isinstance(answer, str) for thing in answer]
    unseen = tuple(answer for _, answer in listings if isinstance(answer, str))
    return Listing(_owned(target.checkout.project, things), unseen)


def _listed(client: Any, kind: Kind) -> list[dict[str, Any]]:
    each = jmespath.compile(kind.each)
    arguments = dict(kind.arguments or {})
    if client.can_paginate(kind.call):
        pages = client.get_paginator(kind.call).paginate(**arguments)
    else:
        pages = _followed(getattr(client, kind.call), arguments)
    return [thing for page in pages for thing in each.search(page) or []]


def _followed(call: Any, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The pages of a call that botocore knows no paginator for."""
    page = call(**arguments)
    yield page
    while token := page.get("nextToken"):
        page = call(**{**arguments, "nextToken": token})
        yield page


def _owned(project: str, things: list[tuple[Kind, dict[str, Any]]]) -> frozenset[Item]:
    """Every resource with its environment: by its tag, its name, or its parent."""
    defaults = {str(thing["name"]) for _, thing in things if thing.get("default")}
    owners = {str(thing["name"]): _owner(project, thing) for _, thing in things}
    return frozenset(
        Item(kind.label, name, owners[name] or owners.get(parent))
        for kind, thing in things
        for name, parent in [(str(thing["name"]), str(thing.get("parent")))]
        if not defaults & {name, parent}
    )


def _owner(project: str, thing: Mapping[str, Any]) -> str | None:
    tags = {str(tag.get("Key")): str(tag.get("Value")) for tag in thing.get("tags") or []}
    return tags.get(TAG) or environment_of(project, str(thing["name"]))


def environment_of(project: str, name: str) -> str | None:
    """The environment in a physical name, by `herd.infra.naming`: `/herd-pr-17/ingest` -> `pr-17`; else None."""
    match = re.search(
        rf"(?<![a-z0-9-])(?:internal-)?{re.escape(project)}-([a-z][a-z0-9]{{0,15}}(?:-[0-9]{{1,6}})?)(?![a-z0-9])", name
    )
    return match[1] if match else None
