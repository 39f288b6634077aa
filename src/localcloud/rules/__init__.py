"""AWS's rules that moto lacks, checked before a request reaches moto, so that every client meets them here first.

Two kinds. What botocore's service models say of arguments is checked for every operation of every service
(`shapes.py`). What they do not say is a function of a `Call` that raises `Refused`, and a line in `RULES`.
Messages are AWS's own as far as known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from localcloud.request import Call, models
from localcloud.rules import (
    alarms,
    balancing,
    balancing_values,
    bucket_settings,
    buckets,
    containers,
    distributions,
    ecs,
    ecs_services,
    functions,
    groups,
    identities,
    in_use,
    keys,
    logs,
    machines,
    messaging,
    networks,
    parameters,
    patterns,
    policies,
    registry,
    scaling,
    scheduling,
    shapes,
    zones,
)

Rule = Callable[[Call], None]

RULES: Mapping[tuple[str, str], tuple[Rule, ...]] = {
    ("acm", "DeleteCertificate"): (in_use.certificate,),
    ("application-autoscaling", "DeregisterScalableTarget"): (scaling.target_is_registered,),
    ("application-autoscaling", "PutScalingPolicy"): (scaling.target_is_registered, scaling.policy_is_valid),
    ("application-autoscaling", "PutScheduledAction"): (scaling.target_is_registered, scaling.action_is_valid),
    ("application-autoscaling", "RegisterScalableTarget"): (scaling.target_is_valid,),
    ("autoscaling", "CreateAutoScalingGroup"): (scaling.group_is_valid,),
    ("autoscaling", "DeleteAutoScalingGroup"): (in_use.scaling_group,),
    ("autoscaling", "UpdateAutoScalingGroup"): (scaling.group_is_valid,),
    ("cloudfront", "CreateDistribution"): (distributions.distribution_is_valid,),
    ("cloudfront", "CreateDistributionWithTags"): (distributions.distribution_is_valid,),
    ("cloudfront", "CreateInvalidation"): (distributions.invalidation_is_valid,),
    ("cloudfront", "CreateOriginAccessControl"): (distributions.access_control_is_new,),
    ("cloudfront", "DeleteDistribution"): (in_use.distribution,),
    ("cloudfront", "DeleteOriginAccessControl"): (in_use.origin_access_control,),
    ("cloudfront", "UpdateDistribution"): (distributions.distribution_is_valid,),
    ("cloudwatch", "DeleteAlarms"): (alarms.alarms_exist,),
    ("cloudwatch", "PutCompositeAlarm"): (
        alarms.actions_are_arns,
        alarms.composite_alarm_is_valid,
    ),
    ("cloudwatch", "PutMetricAlarm"): (
        alarms.actions_are_arns,
        alarms.metric_alarm_is_valid,
    ),
    ("cloudwatch", "PutMetricData"): (alarms.data_is_valid,),
    ("ec2", "AssociateRouteTable"): (networks.subnet_is_free,),
    ("ec2", "AuthorizeSecurityGroupEgress"): (groups.rule_words_are_valid, groups.ports_are_valid),
    ("ec2", "AuthorizeSecurityGroupIngress"): (groups.rule_words_are_valid, groups.ports_are_valid),
    ("ec2", "CreateRoute"): (networks.route_has_a_target,),
    ("ec2", "CreateSecurityGroup"): (groups.words_are_valid,),
    ("ec2", "CreateVpcEndpoint"): (networks.endpoint_is_offered,),
    ("ec2", "DeleteInternetGateway"): (in_use.internet_gateway,),
    ("ec2", "DeleteRouteTable"): (networks.table_may_go,),
    ("ec2", "DeleteSecurityGroup"): (
        networks.group_may_go,
        in_use.security_group,
    ),
    ("ec2", "DeleteSubnet"): (in_use.subnet,),
    ("ec2", "DeleteVpc"): (in_use.vpc,),
    ("ec2", "DetachInternetGateway"): (in_use.internet_gateway,),
    ("ec2", "ReleaseAddress"): (in_use.address,),
    ("ecr", "PutImage"): (registry.manifest_is_valid, registry.tag_may_be_written),
    ("ecr", "PutLifecyclePolicy"): (registry.lifecycle_is_valid,),
    ("ecr", "SetRepositoryPolicy"): (registry.policy_is_valid,),
    ("ecs", "CreateCluster"): (ecs.names, ecs_services.cluster_is_valid),
    ("ecs", "CreateService"): (
        ecs.names,
        ecs.service_is_new,
        ecs.target_group_has_load_balancer,
        ecs_services.service_is_valid,
    ),
    ("ecs", "DeleteCapacityProvider"): (ecs.capacity_provider_is_unused,),
    ("ecs", "DeleteCluster"): (ecs.cluster_is_empty,),
    ("ecs", "PutClusterCapacityProviders"): (ecs_services.cluster_is_valid,),
    ("ecs", "RegisterTaskDefinition"): (
        ecs.names,
        ecs.essential_container,
        ecs.container_dependencies,
        ecs.fargate_task_definition,
        containers.containers_are_valid,
    ),
    ("ecs", "RunTask"): (ecs.overrides_are_short, ecs_services.task_is_valid),
    ("ecs", "UpdateCluster"): (ecs_services.cluster_is_valid,),
    ("ecs", "UpdateClusterSettings"): (ecs_services.cluster_is_valid,),
    ("ecs", "UpdateService"): (ecs_services.service_is_valid,),
    ("elbv2", "CreateListener"): (balancing.listener_is_valid, balancing_values.listener_values_are_valid),
    ("elbv2", "CreateLoadBalancer"): (
        balancing.name_is_valid,
        balancing.load_balancer_is_valid,
        balancing_values.network_is_one,
    ),
    ("elbv2", "CreateRule"): (balancing.rule_is_valid, balancing_values.rule_values_are_valid),
    ("elbv2", "CreateTargetGroup"): (balancing.name_is_valid, balancing_values.target_group_is_valid),
    ("elbv2", "DeleteLoadBalancer"): (balancing.load_balancer_is_deletable,),
    ("elbv2", "DeleteRule"): (balancing_values.rule_is_deletable,),
    ("elbv2", "DeleteTargetGroup"): (balancing.target_group_is_unused,),
    ("elbv2", "ModifyListener"): (balancing.listener_is_valid, balancing_values.listener_values_are_valid),
    ("elbv2", "ModifyLoadBalancerAttributes"): (balancing_values.attributes_are_valid,),
    ("elbv2", "ModifyRule"): (balancing.rule_is_valid, balancing_values.rule_values_are_valid),
    ("elbv2", "ModifyTargetGroup"): (balancing_values.target_group_is_valid,),
    ("elbv2", "ModifyTargetGroupAttributes"): (balancing_values.attributes_are_valid,),
    ("elbv2", "RegisterTargets"): (balancing.targets_fit, balancing_values.targets_are_valid),
    ("events", "PutRule"): (scheduling.rule_schedule_is_valid, patterns.event_pattern_is_valid),
    ("events", "PutTargets"): (scheduling.rule_targets_are_valid,),
    ("iam", "AttachRolePolicy"): (policies.role_has_room,),
    ("iam", "CreateGroup"): (identities.name_is_new,),
    ("iam", "CreateOpenIDConnectProvider"): (identities.provider_is_secure,),
    ("iam", "CreateUser"): (
        identities.name_is_new,
        identities.tags_are_valid,
    ),
    ("iam", "DeletePolicy"): (in_use.managed_policy,),
    ("iam", "DeleteUser"): (identities.user_is_empty,),
    ("iam", "TagPolicy"): (identities.tags_are_valid,),
    ("iam", "TagRole"): (identities.tags_are_valid,),
    ("iam", "TagUser"): (identities.tags_are_valid,),
    ("kms", "CancelKeyDeletion"): (keys.cancelling_is_valid,),
    ("kms", "CreateKey"): (keys.key_is_valid,),
    ("kms", "ScheduleKeyDeletion"): (keys.deletion_is_valid,),
    ("kms", "Sign"): (keys.key_signs,),
    ("kms", "Verify"): (keys.key_signs,),
    ("lambda", "CreateFunction"): (functions.variables_are_allowed,),
    ("lambda", "UpdateFunctionConfiguration"): (functions.variables_are_allowed,),
    ("logs", "CreateLogGroup"): (logs.name_is_not_aws,),
    ("logs", "PutMetricFilter"): (logs.pattern_is_whole,),
    ("logs", "PutRetentionPolicy"): (logs.retention_is_valid,),
    ("logs", "PutSubscriptionFilter"): (logs.pattern_is_whole,),
    ("route53", "ChangeResourceRecordSets"): (zones.changes_are_valid,),
    ("route53", "CreateHostedZone"): (zones.zone_name_is_valid,),
    ("s3", "CreateBucket"): (buckets.name_is_valid,),
    ("s3", "PutBucketAcl"): (policies.acl_is_not_blocked,),
    ("s3", "PutBucketLifecycleConfiguration"): (bucket_settings.lifecycle_is_valid,),
    ("s3", "PutBucketTagging"): (bucket_settings.tags_are_valid,),
    ("s3", "PutBucketWebsite"): (bucket_settings.website_is_valid,),
    ("scheduler", "CreateSchedule"): (scheduling.schedule_is_valid, scheduling.target_is_valid),
    ("scheduler", "CreateScheduleGroup"): (scheduling.group_is_new,),
    ("scheduler", "DeleteScheduleGroup"): (scheduling.group_exists,),
    ("scheduler", "UpdateSchedule"): (scheduling.schedule_is_valid, scheduling.target_is_valid),
    ("secretsmanager", "CreateSecret"): (parameters.secret_has_one_value,),
    ("secretsmanager", "PutSecretValue"): (parameters.secret_has_one_value,),
    ("secretsmanager", "RotateSecret"): (parameters.rotation_has_a_function,),
    ("secretsmanager", "UpdateSecret"): (parameters.secret_has_one_value,),
    ("sns", "CreateTopic"): (messaging.topic_is_the_same,),
    ("sns", "Subscribe"): (messaging.subscription_is_valid,),
    ("sqs", "CreateQueue"): (messaging.queue_is_valid,),
    ("sqs", "SendMessage"): (messaging.messages_are_valid,),
    ("sqs", "SendMessageBatch"): (messaging.messages_are_valid,),
    ("sqs", "SetQueueAttributes"): (messaging.queue_is_valid,),
    ("ssm", "PutParameter"): (parameters.parameter_is_valid,),
    ("stepfunctions", "CreateStateMachine"): (
        machines.name_is_valid,
        machines.settings_are_valid,
        machines.definition_is_valid,
        machines.is_new,
    ),
    ("stepfunctions", "DeleteStateMachineVersion"): (in_use.machine_version,),
    ("stepfunctions", "StartExecution"): (machines.name_is_valid, machines.input_is_json),
    ("stepfunctions", "UpdateStateMachine"): (machines.settings_are_valid, machines.definition_is_valid),
    ("sts", "AssumeRole"): (identities.session_policy_is_one,),
}
"""botocore's name of the service, and operation → the rules that judge it, in this order."""

AFTERWARDS: Mapping[tuple[str, str], tuple[Rule, ...]] = {
    ("iam", "CreatePolicy"): (
        identities.tags_are_valid,
        policies.document_fits,
    ),
    ("iam", "CreatePolicyVersion"): (policies.document_fits,),
    ("iam", "CreateRole"): (
        identities.name_is_new,
        identities.tags_are_valid,
        policies.document_fits,
    ),
    ("iam", "PutGroupPolicy"): (policies.inline_policies_fit,),
    ("iam", "PutRolePolicy"): (policies.inline_policies_fit,),
    ("iam", "PutUserPolicy"): (policies.inline_policies_fit,),
    ("iam", "UpdateAssumeRolePolicy"): (policies.document_fits,),
    ("s3", "PutBucketPolicy"): (policies.document_fits, policies.policy_is_not_blocked),
}
"""The same for what is judged after a policy document's grammar."""


def rules_of(service: str, operation: str) -> tuple[Rule, ...]:
    """All rules of an operation, in their order."""
    key = (service, operation)
    grammar: tuple[Rule, ...] = (policies.document_is_valid,) if key in policies.DOCUMENTS else ()
    grammar += (policies.attribute_is_valid,) if key in policies.ATTRIBUTES else ()
    return (*RULES.get(key, ()), *grammar, *AFTERWARDS.get(key, ()))


def check(call: Call) -> None:
    """Raise `Refused` if one of AWS's rules forbids a request. Hold the server's lock: rules look at moto's models."""
    if models.operation(call.model, call.operation) is None:
        return
    shapes.check(call.model, call.operation, call.protocol, call.arguments)
    for rule in rules_of(call.model, call.operation):
        rule(call)
