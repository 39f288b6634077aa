"""What a request needs permission for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | list[str]
"""Of a condition key."""


@dataclass(frozen=True)
class Access:
    """One thing that a request asks for. `narrow` is what a policy that allows it could demand, for the advice."""

    action: str
    resource: str
    context: Mapping[str, Value] = field(default_factory=dict)
    narrow: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
