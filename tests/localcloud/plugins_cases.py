"""Each resource type: what to declare, and what to change. Read by test_plugins_types."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.plugins.values import Props
from tests.localcloud.plugins_support import TRUST, Made, World, policy, service_inputs, task

GET = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::x/*"]}
READ = policy(GET)
READ_SAID_OTHERWISE = json.dumps({"Statement": {**GET, "Action": "s3:GetObject"}, "Version": "2012-10-17"})
LIST = policy({**GET, "Action": "s3:ListBucket"})
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
WAIT = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": True}}})


@dataclass
class Case:
    """One type: what to declare, and changes of it. `None` as a value takes the property away."""

    token: str
    inputs: Callable[[World], Props]
    change: Props = field(default_factory=dict)
    replace: Props = field(default_factory=dict)
    same: Props = field(default_factory=dict)  # says the same in other words
    drift: Callable[[World, Made], Any] | None = None
    imported: Callable[[Made], str] | None = lambda made: made.id
    unreadable: frozenset[str] = frozenset()  # what a program must say that AWS does not answer
    stays: bool = False  # deleting leaves the thing in AWS


def schedule(world: World) -> Props:
    return {
        "scheduleExpression": "cron(0 6 ? * 2-6 *)",
        "scheduleExpressionTimezone": "Europe/Amsterdam",
        "state": "ENABLED",
        "groupName": world.make("aws:scheduler/scheduleGroup:ScheduleGroup", name="group").id,
        "endDate": "2027-06-30T00:00:00Z",
        "description": "daily",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": {
            "arn": "arn:aws:states:eu-west-1:310000000000:stateMachine:m",
            "roleArn": world.role().outputs["arn"],
            "input": "{}",
            "retryPolicy": {"maximumRetryAttempts": 3},
        },
    }


CASES = [
    Case(
        "aws:ecs/cluster:Cluster",
        lambda w: {"settings": [{"name": "containerInsights", "value": "disabled"}], "tags": {"a": "1"}},
        {"settings": [{"name": "containerInsights", "value": "enabled"}], "tags": {"b": "2"}},
        {"name": "other"},
    ),
    Case(
        "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
        lambda w: {
            "clusterName": w.cluster().outputs["name"],
            "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
            "defaultCapacityProviderStrategies": [{"capacityProvider": "FARGATE", "weight": 1}],
        },
        {"defaultCapacityProviderStrategies": [{"capacityProvider": "FARGATE_SPOT", "weight": 2}]},
        same={"capacityProviders": ["FARGATE_SPOT", "FARGATE"]},
        stays=True,
    ),
    Case(
        "aws:ecs/taskDefinition:TaskDefinition",
        lambda w: {**task(), "tags": {"a": "1"}},
        {"tags": {"b": "2"}},
        {"containerDefinitions": task(image="repo@sha256:2")["containerDefinitions"]},
        same={
            "containerDefinitions": json.dumps(
                [
                    {
                        "environment": [{"value": "1", "name": "A"}, {"name": "B", "value": "2"}],
                        "image": "repo@sha256:1",
                        "name": "main",
                        "portMappings": [{"containerPort": 8000, "hostPort": 8000, "protocol": "tcp"}],
                    }
                ]
            )
        },
    ),
    Case(
        "aws:ecs/service:Service",
        lambda w: {**service_inputs(w), "tags": {"a": "1"}},
        {"desiredCount": 2, "deploymentMaximumPercent": 150, "tags": {"b": "2"}},
        {"capacityProviderStrategies": [{"capacityProvider": "FARGATE_SPOT"}]},
        drift=lambda w, m: w.server.client("ecs").update_service(cluster="cluster", service=m.id, desiredCount=3),
    ),
    Case(
        "aws:s3/bucket:Bucket",
        lambda w: {"forceDestroy": True, "tags": {"a": "1"}},
        {"tags": {"b": "2"}, "forceDestroy": False},
        {"bucket": "another-name"},
        drift=lambda w, m: w.server.client("s3").put_bucket_tagging(
            Bucket=m.id, Tagging={"TagSet": [{"Key": "z", "Value": "9"}]}
        ),
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        lambda w: {"bucket": w.bucket(), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        lambda w: {
            "bucket": w.bucket(),
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        {"blockPublicPolicy": False},
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        lambda w: {
            "bucket": w.bucket(),
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": True}],
        },
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]},
    ),
    Case(
        "aws:s3/bucketVersioning:BucketVersioning",
        lambda w: {"bucket": w.bucket(), "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        stays=True,
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        lambda w: {
            "bucket": w.bucket(),
            "policy": json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": ["s3:*"],
                            "Resource": ["*"],
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        }
                    ],
                }
            ),
        },
        {
            "policy": json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "*"}],
                }
            )
        },
        same={
            "policy": json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Principal": {"AWS": "*"},
                        "Effect": "Deny",
                        "Action": "s3:*",
                        "Resource": "*",
                        "Condition": {"Bool": {"aws:SecureTransport": [False]}},
                    },
                }
            )
        },
    ),
    Case(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        lambda w: {
            "bucket": w.bucket(),
            "rules": [
                {
                    "id": "old",
                    "status": "Enabled",
                    "filter": {"tag": {"key": "state", "value": "superseded"}},
                    "expiration": {"days": 30},
                },
                {"id": "parts", "status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1}},
                {
                    "id": "both",
                    "status": "Enabled",
                    "filter": {"and": {"prefix": "x/", "tags": {"a": "1"}}},
                    "noncurrentVersionExpiration": {"noncurrentDays": 7},
                },
            ],
        },
        {"rules": [{"id": "old", "status": "Enabled", "filter": {"prefix": "p/"}, "expiration": {"days": 31}}]},
    ),
    Case(
        "aws:iam/role:Role",
        lambda w: {
            "assumeRolePolicy": TRUST,
            "path": "/p/",
            "description": "d",
            "maxSessionDuration": 7200,
            "tags": {"a": "1"},
        },
        {"description": "e", "assumeRolePolicy": TRUST.replace("ecs-tasks", "states"), "tags": {}},
        {"path": "/q/"},
        drift=lambda w, m: w.server.client("iam").untag_role(RoleName=m.id, TagKeys=["a"]),
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        lambda w: {"role": w.role().id, "policy": READ},
        {"policy": LIST},
        {"name": "other"},
        same={"policy": READ_SAID_OTHERWISE},
        drift=lambda w, m: w.server.client("iam").put_role_policy(
            RoleName=m.outputs["role"], PolicyName=m.outputs["name"], PolicyDocument=LIST
        ),
    ),
    Case(
        "aws:iam/policy:Policy",
        lambda w: {"policy": READ, "description": "d", "tags": {"a": "1"}},
        {"policy": LIST, "tags": {"b": "2"}},
        {"description": "e"},
        same={"policy": READ_SAID_OTHERWISE},
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        lambda w: {"role": w.role().id, "policyArn": w.make("aws:iam/policy:Policy", policy=READ).id},
        {},
        {"role": "other"},
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        lambda w: {"name": "/x/y", "retentionInDays": 7, "tags": {"a": "1"}},
        {"retentionInDays": 14, "tags": {"b": "2"}},
        {"name": "/x/z"},
        drift=lambda w, m: w.server.client("logs").put_retention_policy(logGroupName=m.id, retentionInDays=30),
    ),
    Case(
        "aws:ecr/repository:Repository",
        lambda w: {
            "forceDelete": True,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "AES256"}],
            "tags": {"a": "1"},
        },
        {"imageTagMutability": "MUTABLE", "tags": {"b": "2"}},
        {"name": "other"},
    ),
    Case(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        lambda w: {
            "repository": w.make("aws:ecr/repository:Repository").id,
            "policy": json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20},
                            "action": {"type": "expire"},
                        }
                    ]
                }
            ),
        },
        {
            "policy": json.dumps(
                {
                    "rules": [
                        {
                            "rulePriority": 1,
                            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
                            "action": {"type": "expire"},
                        }
                    ]
                }
            )
        },
    ),
    Case(
        "aws:sfn/stateMachine:StateMachine",
        lambda w: {"definition": PASS, "roleArn": w.role().outputs["arn"], "tags": {"a": "1"}},
        {"definition": WAIT, "tags": {"b": "2"}},
        {"name": "other"},
        same={"definition": json.dumps(json.loads(PASS), indent=2)},
    ),
    Case(
        "aws:scheduler/scheduleGroup:ScheduleGroup",
        lambda w: {"tags": {"a": "1"}},
        {"tags": {"b": "2"}},
        {"name": "other"},
    ),
    Case(
        "aws:scheduler/schedule:Schedule",
        schedule,
        {"scheduleExpression": "rate(2 hours)", "endDate": "2028-01-01T00:00:00Z", "state": "DISABLED"},
        {"groupName": "default"},
        same={"endDate": "2027-06-30T00:00:00+00:00"},
    ),
    Case(
        "aws:appautoscaling/target:Target",
        lambda w: {**w.scalable(), "minCapacity": 1, "maxCapacity": 4, "tags": {"a": "1"}},
        {"maxCapacity": 6},
        imported=lambda m: f"ecs/{m.id}/ecs:service:DesiredCount",
    ),
    Case(
        "aws:appautoscaling/policy:Policy",
        lambda w: (
            names := w.scalable(),
            w.make("aws:appautoscaling/target:Target", **names, minCapacity=1, maxCapacity=4),
            {
                **names,
                "policyType": "TargetTrackingScaling",
                "targetTrackingScalingPolicyConfiguration": {
                    "targetValue": 60,
                    "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
                    "scaleInCooldown": 60,
                },
            },
        )[2],
        {
            "targetTrackingScalingPolicyConfiguration": {
                "targetValue": 70,
                "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
            }
        },
        imported=lambda m: f"ecs/{m.outputs['resourceId']}/ecs:service:DesiredCount/{m.id}",
    ),
]
