"""Since when and by whom: what CloudTrail answers, by the shapes of its own model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import boto3
from botocore.stub import Stubber

from herd.drift.trail import Trace, traces
from herd.targets.target import Target

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


class Asked:
    """A target of whose services only CloudTrail is asked."""

    def __init__(self) -> None:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.trail = boto3.client("cloudtrail", region_name="eu-west-1", **keys)

    def client(self, service: str) -> Any:
        assert service == "cloudtrail"
        return self.trail


def event(name: str, read_only: str = "false", **details: Any) -> dict[str, Any]:
    return {
        "EventName": name,
        "EventTime": NOON,
        "Username": "eve",
        "ReadOnly": read_only,
        "CloudTrailEvent": json.dumps(details),
    }


def test_the_last_call_that_changed_it_is_named() -> None:
    asked = Asked()
    with Stubber(asked.trail) as stub:
        who = {"arn": "arn:aws:sts::1:assumed-role/admin/eve"}
        answers: list[list[dict[str, Any]]] = [
            [event("GetSchedule", "true"), event("UpdateSchedule", errorCode="AccessDenied"),
             event("UpdateSchedule", userIdentity=who), event("CreateSchedule")],
            [event("PutRetentionPolicy")],
            [],
        ]  # fmt: skip
        for name, events in zip(("a", "b", "c"), answers, strict=True):
            attribute = {"AttributeKey": "ResourceName", "AttributeValue": name}
            expected = {"LookupAttributes": [attribute], "MaxResults": 50}
            stub.add_response("lookup_events", {"Events": events}, expected)
        known = traces(cast(Target, asked), ["a", "b", "", "c", "a"])
    at = "2027-03-01T12:00:00Z"
    assert known == {
        "a": Trace(at, who["arn"], "UpdateSchedule"), "b": Trace(at, "eve", "PutRetentionPolicy"), "c": None,
    }  # fmt: skip


def test_nobody_knows_where_it_may_not_be_asked() -> None:
    asked = Asked()
    with Stubber(asked.trail) as stub:
        stub.add_client_error("lookup_events", "AccessDeniedException")
        assert traces(cast(Target, asked), ["a", "b"]) == {}
