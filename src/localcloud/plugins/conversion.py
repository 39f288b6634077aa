"""Properties to API arguments, and API answers to properties."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.plugins.schema import Field, Fields
from localcloud.plugins.values import Props


@dataclass(frozen=True)
class Spelling:
    """How a service spells the members of its API, given Pulumi's name of the property."""

    capital: bool

    def __call__(self, name: str) -> str:
        return name[:1].upper() + name[1:] if self.capital else name


pascal = Spelling(True)
"""vpcId → VpcId: EC2, IAM, S3, load balancing, Scheduler, Application Auto Scaling."""

camel = Spelling(False)
"""clusterName → clusterName: ECS, ECR, Logs, Step Functions."""


def to_api(fields: Fields, props: Mapping[str, Any], spelling: Spelling, only: Iterable[str] | None = None) -> Props:
    """API arguments for properties; those whose member is "-" are left to the type's own code."""
    wanted = None if only is None else set(only)
    answer: Props = {}
    for name, known in fields.items():
        value = props.get(name)
        if value is None or known.output or known.member == "-" or (wanted is not None and name not in wanted):
            continue
        place = answer
        *outer, last = (known.member or spelling(name)).split(".")
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = _to_api_value(known, value, spelling)
    return answer


def _to_api_value(known: Field, value: Any, spelling: Spelling) -> Any:
    match known.kind:
        case "object":
            return to_api(known.fields, value, spelling)
        case "objects" | "bag":
            return [to_api(known.fields, item, spelling) for item in value]
        case "int":
            return int(value)
        case _:
            return value


def from_api(fields: Fields, answer: Mapping[str, Any], spelling: Spelling) -> Props:
    """Properties out of an API answer; what the answer does not hold is left out."""
    props: Props = {}
    for name, known in fields.items():
        if known.member == "-":
            continue
        value: Any = answer
        for part in (known.member or spelling(name)).split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            props[name] = _from_api_value(known, value, spelling)
    return props


def _from_api_value(known: Field, value: Any, spelling: Spelling) -> Any:
    match known.kind:
        case "object":
            return from_api(known.fields, value, spelling)
        case "objects" | "bag":
            return [from_api(known.fields, item, spelling) for item in value]
        case "int" | "number":
            return float(value)
        case "json" | "policy":
            return value if isinstance(value, str) else json.dumps(value)
        case "bool":
            return value if isinstance(value, bool) else str(value).lower() in ("true", "enabled")
        case "string":
            return value.isoformat() if isinstance(value, datetime.datetime) else str(value)
        case _:
            return value
