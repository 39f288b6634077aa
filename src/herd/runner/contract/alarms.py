"""The CloudWatch alarms that a service has, and their names: the program makes them, the watch reads their changes."""

from __future__ import annotations

from typing import Final, Literal, get_args

ServiceAlarm = Literal["copies", "errors"]
"""`copies`: fewer healthy ones than `replicas.min`. `errors`: answers of 5xx."""
SERVICE_ALARMS: Final[tuple[ServiceAlarm, ...]] = get_args(ServiceAlarm)


def alarm_name(project: str, environment: str, workload: str, alarm: ServiceAlarm) -> str:
    """No workload's name has an underscore, so no two alarms share a name.

    >>> alarm_name("herd", "dev", "flights-api", "copies")
    'herd-dev-flights-api_copies'
    """
    return f"{project}-{environment}-{workload}_{alarm}"
