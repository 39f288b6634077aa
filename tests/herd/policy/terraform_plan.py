"""Pulumi's resources as a Terraform plan, for linters that read only that.

Both providers are made from one schema, so this is spelling: snake case, singular names of blocks, a list around each
block that Pulumi shows as an object. What cannot be spelt for sure is an error, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from herd.policy.model import Resource

TYPES = {
    "acm/certificate:Certificate": "aws_acm_certificate",
    "acm/certificateValidation:CertificateValidation": "aws_acm_certificate_validation",
    "appautoscaling/policy:Policy": "aws_appautoscaling_policy",
    "appautoscaling/target:Target": "aws_appautoscaling_target",
    "autoscaling/group:Group": "aws_autoscaling_group",
    "cloudfront/distribution:Distribution": "aws_cloudfront_distribution",
    "cloudfront/originAccessControl:OriginAccessControl": "aws_cloudfront_origin_access_control",
    "cloudfront/responseHeadersPolicy:ResponseHeadersPolicy": "aws_cloudfront_response_headers_policy",
    "cloudwatch/eventRule:EventRule": "aws_cloudwatch_event_rule",
    "cloudwatch/eventTarget:EventTarget": "aws_cloudwatch_event_target",
    "cloudwatch/logGroup:LogGroup": "aws_cloudwatch_log_group",
    "cloudwatch/metricAlarm:MetricAlarm": "aws_cloudwatch_metric_alarm",
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": "aws_default_security_group",
    "ec2/eip:Eip": "aws_eip",
    "ec2/flowLog:FlowLog": "aws_flow_log",
    "ec2/internetGateway:InternetGateway": "aws_internet_gateway",
    "ec2/launchTemplate:LaunchTemplate": "aws_launch_template",
    "ec2/natGateway:NatGateway": "aws_nat_gateway",
    "ec2/route:Route": "aws_route",
    "ec2/routeTable:RouteTable": "aws_route_table",
    "ec2/routeTableAssociation:RouteTableAssociation": "aws_route_table_association",
    "ec2/securityGroup:SecurityGroup": "aws_security_group",
    "ec2/subnet:Subnet": "aws_subnet",
    "ec2/vpc:Vpc": "aws_vpc",
    "ec2/vpcEndpoint:VpcEndpoint": "aws_vpc_endpoint",
    "ecr/lifecyclePolicy:LifecyclePolicy": "aws_ecr_lifecycle_policy",
    "ecr/repository:Repository": "aws_ecr_repository",
    "ecs/capacityProvider:CapacityProvider": "aws_ecs_capacity_provider",
    "ecs/cluster:Cluster": "aws_ecs_cluster",
    "ecs/clusterCapacityProviders:ClusterCapacityProviders": "aws_ecs_cluster_capacity_providers",
    "ecs/service:Service": "aws_ecs_service",
    "ecs/taskDefinition:TaskDefinition": "aws_ecs_task_definition",
    "iam/instanceProfile:InstanceProfile": "aws_iam_instance_profile",
    "iam/role:Role": "aws_iam_role",
    "iam/rolePolicy:RolePolicy": "aws_iam_role_policy",
    "iam/rolePolicyAttachment:RolePolicyAttachment": "aws_iam_role_policy_attachment",
    "kms/alias:Alias": "aws_kms_alias",
    "kms/key:Key": "aws_kms_key",
    "lambda/function:Function": "aws_lambda_function",
    "lambda/permission:Permission": "aws_lambda_permission",
    "lb/listener:Listener": "aws_lb_listener",
    "lb/listenerRule:ListenerRule": "aws_lb_listener_rule",
    "lb/loadBalancer:LoadBalancer": "aws_lb",
    "lb/targetGroup:TargetGroup": "aws_lb_target_group",
    "route53/record:Record": "aws_route53_record",
    "s3/bucket:Bucket": "aws_s3_bucket",
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "aws_s3_bucket_lifecycle_configuration",
    "s3/bucketLogging:BucketLogging": "aws_s3_bucket_logging",
    "s3/bucketOwnershipControls:BucketOwnershipControls": "aws_s3_bucket_ownership_controls",
    "s3/bucketPolicy:BucketPolicy": "aws_s3_bucket_policy",
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "aws_s3_bucket_public_access_block",
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "aws_s3_bucket_server_side_encryption_configuration"
    ),
    "s3/bucketVersioning:BucketVersioning": "aws_s3_bucket_versioning",
    "scheduler/schedule:Schedule": "aws_scheduler_schedule",
    "scheduler/scheduleGroup:ScheduleGroup": "aws_scheduler_schedule_group",
    "sfn/stateMachine:StateMachine": "aws_sfn_state_machine",
    "sns/topic:Topic": "aws_sns_topic",
    "sns/topicSubscription:TopicSubscription": "aws_sns_topic_subscription",
    "sqs/queue:Queue": "aws_sqs_queue",
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": "aws_vpc_security_group_egress_rule",
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "aws_vpc_security_group_ingress_rule",
}

BLOCKS = {
    "actions": "action",
    "capacityProviderStrategies": "capacity_provider_strategy",
    "conditions": "condition",
    "customErrorResponses": "custom_error_response",
    "defaultActions": "default_action",
    "defaultCapacityProviderStrategies": "default_capacity_provider_strategy",
    "encryptionConfigurations": "encryption_configuration",
    "loadBalancers": "load_balancer",
    "noncurrentVersionTransitions": "noncurrent_version_transition",
    "orderedCacheBehaviors": "ordered_cache_behavior",
    "orderedPlacementStrategies": "ordered_placement_strategy",
    "origins": "origin",
    "placementConstraints": "placement_constraints",
    "rewrites": "rewrite",
    "rules": "rule",
    "settings": "setting",
    "transforms": "transform",
    "transitions": "transition",
    "volumes": "volume",
    # The same in Terraform.
    "aliases": "alias",
    "blockDeviceMappings": "block_device_mappings",
    "egress": "egress",
    "ingress": "ingress",
    "networkInterfaces": "network_interfaces",
    "tagSpecifications": "tag_specifications",
}
"""Lists of blocks: Pulumi's plural -> Terraform's name."""

MAPS = {"tags", "tagsAll", "authenticationRequestExtraParams", "dimensions", "variables"}
"""Objects whose keys are the person's own."""

RENAMED = {("aws_cloudwatch_metric_alarm", "name"): "alarm_name", ("aws_autoscaling_group", "tags"): "tag"}


def plan(resources: Iterable[Resource]) -> dict[str, Any]:
    """A plan that creates the AWS resources among these. Raises LookupError for what it has no spelling for."""
    made = [resource for resource in resources if resource.type.startswith("aws:")]
    addresses = {resource.urn: address(resource) for resource in made}
    heads = {resource.urn: _head(resource) for resource in made}
    values = {resource.urn: _values(resource) for resource in made}
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.8",
        "planned_values": {
            "root_module": {"resources": [{**heads[r.urn], "schema_version": 0, "values": values[r.urn]} for r in made]}
        },
        "resource_changes": [
            {
                **heads[r.urn],
                "change": {"actions": ["create"], "before": None, "after": values[r.urn], "after_unknown": {}},
            }
            for r in made
        ],
        "configuration": {
            "root_module": {
                "resources": [
                    {**heads[r.urn], "provider_config_key": "aws", "expressions": _expressions(r, addresses)}
                    for r in made
                ]
            }
        },
    }


def address(resource: Resource) -> str:
    head = _head(resource)
    return f"{head['type']}.{head['name']}"


def _head(resource: Resource) -> dict[str, Any]:
    type_ = TYPES[resource.type.removeprefix("aws:")]
    name = resource.name.replace("-", "_")
    return {
        "address": f"{type_}.{name}",
        "mode": "managed",
        "type": type_,
        "name": name,
        "provider_name": "registry.terraform.io/hashicorp/aws",
    }


def _values(resource: Resource) -> dict[str, Any]:
    type_ = TYPES[resource.type.removeprefix("aws:")]
    spelt = {}
    for key, value in resource.props.items():
        if key == "code":  # an archive of Pulumi's; Terraform has a file
            continue
        name, converted = _property(key, value)
        spelt[RENAMED.get((type_, key), name)] = converted
    return spelt


def _property(key: str, value: Any) -> tuple[str, Any]:
    if key in MAPS and isinstance(value, dict):
        return snake(key), value
    if isinstance(value, dict):
        return snake(key), [dict(_property(k, v) for k, v in value.items())]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return BLOCKS.get(key) or _singular(key), [dict(_property(k, v) for k, v in item.items()) for item in value]
    return snake(key), _plain(value)


def _singular(key: str) -> str:
    if key == "tags":
        return "tag"
    raise LookupError(f"what is the block {key!r} called in Terraform?")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _expressions(resource: Resource, addresses: dict[str, str]) -> dict[str, Any]:
    """What each input refers to: Terraform writes the attribute first, then the resource."""
    found = {}
    for key, urns in resource.links.items():
        targets = sorted(addresses[urn] for urn in urns if urn in addresses)
        if targets:
            references = [entry for target in targets for entry in (f"{target}.{_attribute(key)}", target)]
            found[_property(key, resource.props.get(key))[0]] = {"references": references}
    return found


def _attribute(key: str) -> str:
    return "arn" if key.lower().endswith("arn") else "id"


def snake(name: str) -> str:
    """`routeTableIds` -> `route_table_ids`, `cidrIpv4` -> `cidr_ipv4`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
