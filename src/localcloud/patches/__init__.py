"""Every change that the local cloud makes to moto's code, a module per service.

moto 5.2.5 is pinned. A patch replaces a name of moto by assignment; its comment says what is wrong there, its test in
tests/localcloud/test_patches*.py fails when the name vanishes. All of it is applied once per process. What a patch
needs of the running cloud (its lock, its agent) it finds by account in `hooks`, so that one process can hold several.
"""

from __future__ import annotations

import threading
from importlib.metadata import version

from localcloud.patches.ec2 import api as ec2  # before any other part of moto is loaded

MOTO_VERSION = "5.2.5"

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
        from localcloud.patches import (
            access_logs,
            acm,
            autoscaling,
            cloudfront,
            cloudwatch,
            core,
            determinism,
            ecr,
            events,
            judged,
            scheduler,
            sqs,
            sts,
        )
        from localcloud.patches.awslambda import api as awslambda
        from localcloud.patches.ec2 import launch_templates
        from localcloud.patches.ecs import api as ecs
        from localcloud.patches.ecs import clusters as ecs_clusters
        from localcloud.patches.ecs import kept as ecs_kept
        from localcloud.patches.ecs import services as ecs_services
        from localcloud.patches.elbv2 import api as elbv2
        from localcloud.patches.elbv2 import certificates as listener_certificates
        from localcloud.patches.iam import api as iam
        from localcloud.patches.iam import providers as iam_providers
        from localcloud.patches.logs import kept as logs_kept
        from localcloud.patches.logs import metric_filters
        from localcloud.patches.s3 import api as s3
        from localcloud.patches.s3 import notifications as s3_notifications
        from localcloud.patches.stepfunctions import api as stepfunctions_api
        from localcloud.patches.stepfunctions import kept as stepfunctions_kept
        from localcloud.patches.stepfunctions import language as stepfunctions_language
        from localcloud.patches.stepfunctions import patience as stepfunctions_patience
        from localcloud.patches.stepfunctions import tasks as stepfunctions_tasks

        modules = (
            core,
            access_logs,
            awslambda,
            ec2,
            ecs,
            ecs_clusters,
            ecs_services,
            elbv2,
            ecr,
            events,
            iam,
            s3,
            scheduler,
            autoscaling,
            stepfunctions_api,
            stepfunctions_language,
            stepfunctions_patience,
            stepfunctions_tasks,
            sts,
            ecs_kept,
            logs_kept,
            stepfunctions_kept,
            acm,
            iam_providers,
            judged,
            launch_templates,
            metric_filters,
            cloudwatch,
            s3_notifications,
            sqs,
            cloudfront,
            listener_certificates,
            judged,
            determinism,
        )
        for module in modules:
            module.apply()
        _applied = True
