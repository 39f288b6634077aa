"""Every change that the local cloud makes to moto's code, a module per service.

moto 5.2.5 is pinned. A patch replaces a name of moto by assignment; its comment says what is wrong there, its test in
tests/localcloud/test_patches*.py fails when the name vanishes. All of it is applied once per process. What a patch
needs of the running cloud (its lock, its agent) it finds by account in `hooks`, so that one process can hold several.
"""

from __future__ import annotations

import threading
from importlib.metadata import version

from localcloud.patches import ec2  # before any other part of moto is loaded

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
            core,
            determinism,
            ecr,
            ecs,
            ecs_clusters,
            ecs_kept,
            ecs_services,
            elbv2,
            events,
            iam,
            iam_providers,
            judged,
            launch_templates,
            listener_certificates,
            logs_kept,
            metric_filters,
            metrics_kept,
            s3,
            s3_notifications,
            scheduler,
            sqs,
            stepfunctions_api,
            stepfunctions_kept,
            stepfunctions_language,
            stepfunctions_patience,
            stepfunctions_tasks,
            sts,
        )

        modules = (
            core,
            access_logs,
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
            metrics_kept,
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
