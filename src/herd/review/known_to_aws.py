"""Regions and machines of which AWS has none of that name, as botocore's data says. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from herd.infra.messages import did_you_mean, show


def problems(settings: Mapping[str, Any], region: object) -> Iterator[str]:
    """A line for each; `settings`: a stack's own. What has a wrong form is left to the program."""
    pools = settings.get("pools")
    for name, pool in pools.items() if isinstance(pools, Mapping) else ():
        kind = pool.get("instance_type") if isinstance(pool, Mapping) else None
        if isinstance(kind, str) and kind not in _instance_types():
            hint = did_you_mean(kind, _near(kind))
            yield f"herd:pools.{name}.instance_type = {show(kind)} is no machine that EC2 has{hint}"
    if isinstance(region, str) and region and region not in _regions():
        near = [one for one in _regions() if one.startswith(region[:2].lower())] or ["eu-west-1", "us-east-1"]
        yield f"aws:region = {show(region)} is no region that AWS has{did_you_mean(region, near)}"


def _near(kind: str) -> list[str]:
    """Sizes of the same family; where there is none, the families' usual size."""
    family = kind.partition(".")[0]
    return [one for one in _instance_types() if one.startswith(f"{family}.")] or [
        one for one in _instance_types() if one.endswith(".large") and one[0] == kind[:1].lower()
    ]


@cache
def _regions() -> frozenset[str]:
    from botocore.session import Session

    session = Session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    )


@cache
def _instance_types() -> frozenset[str]:
    from botocore.session import Session

    return frozenset(Session().get_service_model("ec2").shape_for("InstanceType").enum)
