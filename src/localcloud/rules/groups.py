"""Security groups: what their names and descriptions, and those of their rules, may consist of.

Source: CreateSecurityGroup and IpRange, Amazon EC2 API reference. Texts with other characters, an apostrophe say, are
refused by EC2 alone: no service model says so.
"""

from __future__ import annotations

import re

from localcloud.request import Call, Refused

SET = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
RANGES = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")


def words_are_valid(asked: Call) -> None:
    """A group's name and description."""
    _check("security group description", asked.text("Description"))
    name = asked.text("GroupName")
    if name.startswith("sg-"):
        message = f"Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*."
        raise Refused("InvalidParameterValue", message)
    _check("security group name", name)


def rule_words_are_valid(asked: Call) -> None:
    """The descriptions of a group's rules."""
    for permission in asked.arguments.get("IpPermissions") or []:
        for kind in RANGES:
            for entry in permission.get(kind) or []:
                _check("rule description", str(entry.get("Description") or ""))


def _check(what: str, text: str) -> None:
    if not TEXT.fullmatch(text):
        message = (
            f"Invalid {what}. Valid {what.rpartition(' ')[2]}s are strings less than 256 characters from the following "
            f"set: {SET}"
        )
        raise Refused("InvalidParameterValue", message)


PORT_PROTOCOLS = ("tcp", "udp", "6", "17")
PORTS = range(65_536)
SOURCES = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")


def ports_are_valid(asked: Call) -> None:
    """TCP and UDP have ports, in their order; each rule has a source or a destination.

    Source: AuthorizeSecurityGroupIngress, Amazon EC2 API reference.
    """
    for permission in asked.arguments.get("IpPermissions") or []:
        low, high = permission.get("FromPort"), permission.get("ToPort")
        if str(permission.get("IpProtocol")) in PORT_PROTOCOLS:
            if low is None or high is None:
                raise Refused(
                    "InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.'"
                )
            if low not in PORTS or high not in PORTS or low > high:
                raise Refused("InvalidParameterValue", f"Invalid value for portRange: {low} to {high}.")
        if not any(permission.get(name) for name in SOURCES):
            raise Refused("InvalidParameterValue", "Invalid value: a rule must have a source or a destination.")
