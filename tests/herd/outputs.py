"""A stack's outputs as Pulumi gives them, for tests that need some: the least that the first release exported."""

from __future__ import annotations

from typing import Any

from herd.targets import exports
from herd.targets.exports import BatchExport, Exports, ServiceExport


def batch(**more: Any) -> dict[str, Any]:
    """A job's entry."""
    return {
        "kind": "job",
        "log_group": "/x",
        "task_definition": "herd-dev-job",
        "machine": "arn:x",
        "review_by": "2027-06-30",
        "url": None,
        "schedule": None,
        "pipeline": None,
        "service": None,
        **more,
    }


def service(**more: Any) -> dict[str, Any]:
    """An API's entry."""
    own = {"kind": "api", "task_definition": "herd-dev-api", "machine": None, "service": "herd-dev-api"}
    return {**batch(), **own, **more}


def outputs(**more: Any) -> dict[str, Any]:
    """The outputs of an environment without workloads, and `more`."""
    return {
        "environment": "dev",
        "project": "herd",
        "region": "eu-west-1",
        "account": "123456789012",
        "reports_url": None,
        "data_bucket": "data",
        "reports_bucket": None,
        "cluster": "herd-dev",
        "workloads": {},
        "pipelines": {},
        **more,
    }


def parsed(**more: Any) -> Exports:
    """The same as commands have it."""
    result = exports.parse(outputs(**more), "dev")
    assert result is not None
    return result


def job_export(**more: Any) -> BatchExport:
    """A job's entry as commands have it."""
    return BatchExport.model_validate(batch(**more))


def service_export(**more: Any) -> ServiceExport:
    """An API's entry as commands have it."""
    return ServiceExport.model_validate(service(**more))
