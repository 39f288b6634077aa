"""Every change that the local cloud makes to moto's code, a module per service.

moto 5.2.5 is pinned. A patch replaces a name of moto by assignment; its comment says what is wrong there, its test in
tests/localcloud/test_patches*.py fails when the name vanishes. All of it is applied once per process. What a patch
needs of the running cloud (its lock, its agent) it finds by account in `hooks`, so that one process can hold several.
"""

from __future__ import annotations

import threading
from importlib import import_module
from importlib.metadata import version

import localcloud.patches.ec2.api  # noqa: F401 - before any other part of moto is loaded

MOTO_VERSION = "5.2.5"

MODULES = (
    "core",
    "access_logs",
    "awslambda.api",
    "ec2.api",
    "ecs.api",
    "ecs.clusters",
    "ecs.services",
    "elbv2.api",
    "dynamodb",
    "ecr",
    "events",
    "iam.api",
    "s3.api",
    "s3.contents",
    "s3.listings",
    "scheduler",
    "codebuild",
    "autoscaling",
    "stepfunctions.api",
    "stepfunctions.language",
    "stepfunctions.patience",
    "stepfunctions.tasks",
    "sts",
    "ecs.stopped_tasks",
    "logs.log_streams",
    "stepfunctions.stored_executions",
    "acm",
    "iam.providers",
    "iam.users",
    "ec2.launch_templates",
    "ec2.security_group_rules",
    "logs.metric_filters",
    "cloudwatch.metrics",
    "cloudwatch.alarms",
    "s3.notifications",
    "ses.api",
    "sns.api",
    "sqs",
    "rds",
    "cloudfront",
    "elbv2.certificates",
    "judged",  # what the others have put in place is held too
    "determinism",  # all modules of moto that are in use are loaded
)
"""The patches in the order in which they are applied: each module has a function `apply`."""

_applied = False
_apply_lock = threading.Lock()


class WrongMoto(Exception):
    """Another moto is installed than the one that the patches were written for."""


def apply() -> None:
    """Patch moto; a second call does nothing. Raises `WrongMoto`."""
    global _applied
    with _apply_lock:
        if _applied:
            return
        if version("moto") != MOTO_VERSION:
            raise WrongMoto(f"the local cloud needs moto {MOTO_VERSION}, installed is {version('moto')}")
        for name in MODULES:
            import_module(f"{__name__}.{name}").apply()
        _applied = True
