"""Route 53: names of zones, and what a change batch may do to their records.

Sources: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html (values),
https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html (batches).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused

BATCH = "InvalidChangeBatch"
LABEL = 63
NAME = 255
TEXT = re.compile(r'"(?:[^"\\]|\\.){0,255}"(?:\s+"(?:[^"\\]|\\.){0,255}")*')
MAIL = re.compile(r"\d{1,5}\s+\S+")
SERVICE = re.compile(r"\d{1,5}\s+\d{1,5}\s+\d{1,5}\s+\S+")
AUTHORITY = re.compile(r'\d{1,3}\s+\w+\s+"[^"]*"')
MOST_TTL = 2_147_483_647

Record = Mapping[str, Any]


def _is_address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _is_name(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return len(text) <= NAME and all(0 < len(label) <= LABEL for label in labels) and " " not in text


VALUES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "A": (_is_address(4), "is not a valid IPv4 address"),
    "AAAA": (_is_address(6), "is not a valid IPv6 address"),
    "CNAME": (_is_name, "is not a valid domain name"),
    "NS": (_is_name, "is not a valid domain name"),
    "PTR": (_is_name, "is not a valid domain name"),
    "TXT": (lambda text: TEXT.fullmatch(text) is not None, "should be enclosed in quotation marks"),
    "SPF": (lambda text: TEXT.fullmatch(text) is not None, "should be enclosed in quotation marks"),
    "MX": (lambda text: MAIL.fullmatch(text) is not None, "is not a priority and a domain name"),
    "SRV": (lambda text: SERVICE.fullmatch(text) is not None, "is not priority, weight, port and domain name"),
    "CAA": (lambda text: AUTHORITY.fullmatch(text) is not None, "is not flags, tag and a value in quotation marks"),
}
"""Type of a record -> what its values must be, and the refusal's words."""


def zone_name_is_valid(asked: Call) -> None:
    """Labels of 1 to 63 characters."""
    name = asked.text("Name")
    if name and not _is_name(name):
        raise Refused("InvalidDomainName", f"{name} is not a valid domain name")


def changes_are_valid(asked: Call) -> None:
    """All of a batch is done or nothing, so that the first thing that is wrong refuses it."""
    zone = backends.route53(asked.account).zones.get(asked.text("HostedZoneId").rsplit("/", 1)[-1])
    if zone is None:
        return
    changes = (asked.arguments.get("ChangeBatch") or {}).get("Changes") or []
    for change in changes:
        record = change.get("ResourceRecordSet") or {}
        if not record.get("AliasTarget"):
            if (
                record.get("ResourceRecords")
                and record.get("TTL") is None
                and not record.get("TrafficPolicyInstanceId")
            ):
                raise Refused("InvalidInput", "Invalid request: Missing field 'TTL' in ResourceRecordSet")
        elif record.get("TTL") is not None or record.get("ResourceRecords"):
            raise Refused("InvalidInput", "Invalid request: an alias has neither TTL nor ResourceRecords")
    wrong = [line for change in changes for line in _findings(zone, change, changes)]
    if wrong:
        raise Refused(BATCH, f"[{', '.join(wrong)}]")


def _findings(zone: Any, change: Mapping[str, Any], changes: list[Any]) -> Iterator[str]:
    record, action = change.get("ResourceRecordSet") or {}, str(change.get("Action"))
    name, kind = _full(record.get("Name")), str(record.get("Type"))
    top, known = _full(zone.name), [(_full(one.name), one.type) for one in zone.rrsets]
    if name != top and not name.endswith(f".{top}"):
        yield f"RRSet with DNS name {name} is not permitted in zone {top}"
        return
    if action == "DELETE":
        if name == top and kind in ("NS", "SOA"):
            yield f"A HostedZone must contain at least one {kind} record for the zone itself."
        elif (name, kind) not in known:
            yield f"Tried to delete resource record set [name='{name}', type='{kind}'] but it was not found"
        return
    if action == "CREATE" and (name, kind) in known and not record.get("SetIdentifier"):
        yield f"Tried to create resource record set [name='{name}', type='{kind}'] but it already exists"
    if kind == "CNAME" and name == top:
        yield f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {top}"
    deleted = [one["ResourceRecordSet"] for one in changes if one.get("Action") == "DELETE"]
    gone = {(_full(one["Name"]), one["Type"]) for one in deleted}
    others = {other for other in known if other[0] == name and other[1] != kind} - gone
    if others and (kind == "CNAME" or any(other == "CNAME" for _, other in others)):
        conflict = "it conflicts with other records with the same DNS name"
        yield f"RRSet of type {kind} with DNS name {name} is not permitted as {conflict} in zone {top}"
    yield from _values(record, name, kind)
    alias = record.get("AliasTarget") or {}
    if alias and str(alias.get("HostedZoneId", "")).rsplit("/", 1)[-1] == zone.resource_id:
        target = _full(alias.get("DNSName"))
        made = {_full(one["ResourceRecordSet"]["Name"]) for one in changes if one.get("Action") != "DELETE"}
        if target not in {other for other, _ in known} | (made - {name}):
            missing = f"{target}, type {kind} in zone {zone.resource_id}, but that is not there"
            yield f"Tried to create an alias that targets {missing}"


def _values(record: Record, name: str, kind: str) -> Iterator[str]:
    values = [str(one.get("Value")) for one in record.get("ResourceRecords") or []]
    ttl = record.get("TTL")
    if ttl is not None and not 0 <= ttl <= MOST_TTL:
        yield f"TTL {ttl} must be between 0 and {MOST_TTL}"
    if len(set(values)) < len(values):
        yield f"Duplicate Resource Record in {name}"
    if kind == "CNAME" and len(values) > 1:
        yield "Invalid Resource Record: 'FATAL problem: CNAMEs must have exactly one value'"
    if kind in VALUES:
        is_valid, words = VALUES[kind]
        for value in values:
            if not is_valid(value):
                yield f"Invalid Resource Record: 'FATAL problem: {value} {words}'"


def _full(name: object) -> str:
    return f"{str(name or '').lower().removesuffix('.')}."
