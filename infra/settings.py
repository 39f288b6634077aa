"""The stack's settings: the only reader of `pulumi.Config`.

Every setting is declared in Pulumi.yaml with its type, default and meaning; here each becomes a plain value that was
checked, so that the rest of the program needs no Pulumi configuration and tests can make a `Settings` by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """What an environment is told from outside. Defaults are those of Pulumi.yaml (a test compares them)."""

    project: str
    environment: str
    region: str
    scheme: Literal["http", "https"] = "https"
    allow_public: bool = False
    schedules: bool = True
    log_retention_days: int = 14
    keep_versions_days: int = 30
    vpc_cidr: str = "10.0.0.0/16"
    tags: Mapping[str, str] = field(default_factory=dict)
