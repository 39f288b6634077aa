"""The door to moto's models: one function per service. Hold the server's lock while you use what they give.

They load a service's part of moto at the first call, so that a cloud pays memory only for the services in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.backends import get_backend
from moto.core.base_backend import BackendDict


def _of(service: str, account: str, region: str) -> Any:
    return get_backend(service)[account][region]


def ecs(account: str, region: str) -> Any:
    """`.clusters`, `.services` by "cluster:service", `.tasks` by cluster and ARN, `.run_task` …"""
    return _of("ecs", account, region)


def elbv2(account: str, region: str) -> Any:
    """`.load_balancers`, `.target_groups` by ARN, `.listeners` …"""
    return _of("elbv2", account, region)


def events(account: str, region: str) -> Any:
    """`.event_buses`, `.put_events` …"""
    return _of("events", account, region)


def logs(account: str, region: str) -> Any:
    """`.groups` by name, `.create_log_stream`, `.put_log_events` …"""
    return _of("logs", account, region)


def scheduler(account: str, region: str) -> Any:
    """`.schedule_groups` by name, each with `.schedules` by name."""
    return _of("scheduler", account, region)


def secretsmanager(account: str, region: str) -> Any:
    """`.get_secret_value` …"""
    return _of("secretsmanager", account, region)


def ssm(account: str, region: str) -> Any:
    """`.get_parameters` …"""
    return _of("ssm", account, region)


def s3(account: str) -> Any:
    """`.buckets` by name: S3 has no regions here."""
    return _of("s3", account, "aws")


def stepfunctions(account: str, region: str) -> Any:
    """The backend that executes; `get_backend("stepfunctions")` is one that only writes down (moto 5.2.5)."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    return stepfunctions_parser_backends[account][region]


def stepfunctions_regions(account: str) -> list[Any]:
    """The executing backends of all regions in use."""
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    return list(stepfunctions_parser_backends[account].values())


def regions(service: str, account: str) -> Iterator[tuple[str, Any]]:
    """The regions of an account that the service has been used in, with their backends."""
    yield from list(get_backend(service)[account].items())


def detach_interface(account: str, region: str, attachment: dict[str, Any]) -> None:
    """Delete the network interface that moto made for a task; nothing happens if somebody else already has."""
    ec2 = _of("ec2", account, region)
    for detail in attachment["details"]:
        if detail["name"] == "networkInterfaceId":
            ec2.enis.pop(detail["value"], None)


def forget(account: str) -> None:
    """Empty an account, as if nobody had ever used it."""
    for service in list(BackendDict._instances):
        dict.pop(service, account, None)
    buckets = get_backend("s3").bucket_accounts
    for name in [name for name, (_, owner) in buckets.items() if owner == account]:
        del buckets[name]
