"""What a request asks for, found out before moto sees it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Call:
    """What a request asks for. `action` is "" where a REST path was not recognised (only some need to be)."""

    service: str
    action: str
    protocol: str
    account: str
    region: str
    url: str
    body: bytes

    @property
    def name(self) -> str:
        """For people: service and action."""
        return f"{self.service}:{self.action or urlsplit(self.url).path}"

    @cached_property
    def parameters(self) -> Any:
        """The parameters as the client sent them; in the query protocols flat, as `Subnets.member.1`.

        Empty if they cannot be read.
        """
        if self.protocol in ("query", "ec2"):
            return dict(parse_qsl(self.body.decode("utf-8", "replace")))
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            return {}

    @property
    def last_path_part(self) -> str:
        """The decoded end of the path: in REST protocols mostly a name."""
        return unquote(urlsplit(self.url).path.rstrip("/").rsplit("/", 1)[-1])


S3_CONTROL = "/v20180820/"
"""Where the paths of S3 Control begin: it has the same signature as S3."""

REST_ACTIONS: tuple[tuple[str, str, re.Pattern[str], str], ...] = (
    ("scheduler", "POST", re.compile(r"/schedules/[^/]+"), "CreateSchedule"),
    ("scheduler", "PUT", re.compile(r"/schedules/[^/]+"), "UpdateSchedule"),
    ("scheduler", "POST", re.compile(r"/schedule-groups/[^/]+"), "CreateScheduleGroup"),
    ("scheduler", "DELETE", re.compile(r"/schedule-groups/[^/]+"), "DeleteScheduleGroup"),
    ("s3", "PUT", re.compile(r"/[^/?]+/?\?policy=?"), "PutBucketPolicy"),
    ("s3", "PUT", re.compile(r"/[^/?]+/?"), "CreateBucket"),
)
"""Service, method, path (with query for S3), action: of the REST services those calls that a rule judges."""


def identify(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, account: str, default_region: str
) -> Call:
    """Find out from a request's signature, headers and path what it asks for."""
    lower = {key.lower(): value for key, value in headers}
    query = parse_qs(urlsplit(url).query)
    scope = re.search(r"Credential=([^,\s]+)", lower.get("authorization", ""))
    credential = scope[1] if scope else query.get("X-Amz-Credential", [""])[0]
    parts = credential.split("/")
    region, service = (parts[2], parts[3]) if len(parts) == 5 else (default_region, "s3")
    target = lower.get("x-amz-target", "")
    if target:
        return Call(service, target.rsplit(".", 1)[-1], "json", account, region, url, body)
    if lower.get("content-type", "").partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        action = dict(parse_qsl(body.decode("utf-8", "replace"))).get("Action", "")
        return Call(service, action, "ec2" if service == "ec2" else "query", account, region, url, body)
    subject = url if service == "s3" else urlsplit(url).path
    action = next(
        (name for s, m, path, name in REST_ACTIONS if s == service and m == method and path.fullmatch(subject)), ""
    )
    return Call(service, action, "rest-xml" if service == "s3" else "rest-json", account, region, url, body)
