"""Names that nobody gave: made from the logical one, within the limits of AWS."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from localcloud.plugins.resource import Autoname

DEFAULTS: Final = "__defaults"
"""The input that lists the properties whose value was made here."""


@dataclass(frozen=True)
class Autonaming:
    """Pulumi's project-wide settings for names that nobody gave."""

    proposed: str = ""
    enforced: bool = False
    disabled: bool = False


def new_name(rule: Autoname, logical: str, prefix: Any, seed: bytes, naming: Autonaming | None) -> str:
    """`<logical>-<7 hex>` within AWS's limits; Pulumi's own proposal where the project configures one."""
    if naming is not None and naming.enforced:
        return naming.proposed
    if not rule.random:
        return logical
    tail = (seed.hex() or secrets.token_hex(4))[:7]
    if isinstance(prefix, str):
        proposed = f"{prefix}{tail}"
    else:
        proposed = naming.proposed if naming is not None and naming.proposed else f"{logical}-{tail}"
    name = re.sub(rule.forbidden, "-", proposed)
    if len(name) > rule.limit:
        name = f"{name[: rule.limit - 8].rstrip('-_.')}-{tail}"
    return name.lower() if rule.lower else name
