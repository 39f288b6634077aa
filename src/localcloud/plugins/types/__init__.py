"""The resource types, by AWS service. Importing a module registers its types."""

from __future__ import annotations

import importlib

_MODULES = (
    "s3",
    "iam",
    "logs",
    "ec2",
    "security_groups",
    "ecs",
    "ecr",
    "sfn",
    "scheduler",
    "elbv2",
    "listeners",
    "internet",
    "security_group_rule",
    "sqs",
    "sns",
    "ses",
    "cloudwatch",
    "events",
    "kms",
    "awslambda",
    "secretsmanager",
    "s3_settings",
    "s3_objects",
    "iam_more",
    "instances",
    "dynamodb",
    "rds",
    "route53",
    "acm",
    "autoscaling",
    "cloudfront",
    "docker",
)


def load_types() -> None:
    """Register every type."""
    for name in _MODULES:
        importlib.import_module(f"{__name__}.{name}")
