"""EC2's rules of security groups: one that is modified is then what was asked for, and stays of its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import InvalidParameterValue
from moto.ec2.models import security_groups

_KINDS: dict[str, Callable[[Any], Any]] = {
    "CidrIpv4": lambda rule: rule.cidr_ipv4,
    "CidrIpv6": lambda rule: rule.cidr_ipv6,
    "PrefixListId": lambda rule: rule.prefix_list_id,
    "ReferencedGroupId": lambda rule: rule.source_group.get("GroupId"),
}
"""How a request names a source -> what a rule has of it."""


def apply() -> None:
    """Change sources of every kind, refuse another kind, and take all traffic without ports."""
    # ec2/models/security_groups.py (modify_security_group_rules) changes IPv4 addresses only, leaves the referenced
    # group beside them, and asks for the ports of a rule about every protocol.
    backend = security_groups.SecurityGroupBackend
    stock = backend.modify_security_group_rules

    def modify_security_group_rules(self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        group = self.get_security_group_by_name_or_id(group_id)
        existing = {number: group.get_rule(number) if group else None for number in rules}
        for number, rule in existing.items():
            if rule is None:
                continue
            for kind, of in _KINDS.items():
                if rules[number].get(kind) is not None and of(rule) is None:
                    had = next((other for other, its in _KINDS.items() if its(rule) is not None), "nothing")
                    raise InvalidParameterValue(
                        f"Invalid rule type for security group rule '{number}'. "
                        f"You may not specify {kind} for an existing {had} rule."
                    )
        everything = {"FromPort": -1, "ToPort": -1}
        whole = {
            number: {**everything, **rule} if rule.get("IpProtocol") == "-1" else rule for number, rule in rules.items()
        }
        stock(self, group_id, whole)
        for number, rule in existing.items():
            asked = rules[number]
            if rule is None:  # refused before
                continue
            if rule.ip_protocol == "-1":
                rule.from_port = rule.to_port = None
            if asked.get("CidrIpv6") is not None:
                rule.ip_range["CidrIpv6"] = asked["CidrIpv6"]
            if asked.get("PrefixListId") is not None:
                rule.prefix_list_id = asked["PrefixListId"]
            if asked.get("ReferencedGroupId") is not None:
                rule.source_group = {**rule.source_group, "GroupId": asked["ReferencedGroupId"]}

    backend.modify_security_group_rules = modify_security_group_rules
