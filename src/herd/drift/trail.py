"""Since when something differs and who changed it, where CloudTrail knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from herd.targets.target import Target

MOST_NAMES = 40
"""CloudTrail answers two questions a second."""


@dataclass(frozen=True)
class Trace:
    """The last call that changed it: when (UTC), who, which."""

    since: str
    by: str
    call: str

    def __str__(self) -> str:
        return f"since {self.since} by {self.by} ({self.call})"


def traces(target: Target, names: Sequence[str]) -> dict[str, Trace | None]:
    """Name of a resource -> what CloudTrail knows of it; none of any where it is not to be asked."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = target.client("cloudtrail")
    known: dict[str, Trace | None] = {}
    try:
        for name in list(dict.fromkeys(filter(None, names)))[:MOST_NAMES]:
            known[name] = _last(client, name)
    except (ClientError, BotoCoreError):
        pass  # it is not there, or this role may not ask: then nobody knows
    return known


def _last(client: Any, name: str) -> Trace | None:
    asked = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
    for event in client.lookup_events(LookupAttributes=asked, MaxResults=50)["Events"]:  # the newest first
        details = json.loads(event.get("CloudTrailEvent") or "{}")
        read_only = event.get("ReadOnly", details.get("readOnly"))
        if str(read_only).lower() == "true" or details.get("errorCode"):
            continue
        who = (details.get("userIdentity") or {}).get("arn") or event.get("Username") or "somebody"
        return Trace(_utc(event["EventTime"]), str(who), str(event["EventName"]))
    return None


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
