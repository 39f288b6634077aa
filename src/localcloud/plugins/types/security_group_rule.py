"""Security group rules of the older kind, which have no id in AWS's API."""

from __future__ import annotations

import zlib
from typing import Any

from localcloud.plugins.resource import Cloud, Resource, resource_type
from localcloud.plugins.types.security_groups import permission
from localcloud.plugins.values import Props


@resource_type
class SecurityGroupRule(Resource):
    """Rules of one kind of source, as they were declared before there were rules with ids; its id is its own."""

    token = "aws:ec2/securityGroupRule:SecurityGroupRule"
    service = "ec2"
    table = """
        securityGroupId ! ^
        type ! ^
        protocol ! ^
        fromPort int ! ^
        toPort int ! ^
        cidrBlocks list ^
        ipv6CidrBlocks list ^
        prefixListIds list ^
        self bool ^ default:false
        sourceSecurityGroupId ^ ?
        description
        securityGroupRuleId ~
    """

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        problems = []
        if inputs.get("type") not in ("ingress", "egress") and isinstance(inputs.get("type"), str):
            problems.append(("type", f"{inputs['type']!r} is neither ingress nor egress"))
        names = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "self", "sourceSecurityGroupId")
        if not any(inputs.get(name) for name in names):
            problems.append(("cidrBlocks", f"one of {', '.join(names)} must be given"))
        return problems

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self._call(cloud, "authorize", inputs)
        mark = repr(sorted((name, str(value)) for name, value in inputs.items() if name != "description"))
        return f"sgrule-{zlib.crc32(mark.encode())}", self._numbered(cloud, inputs)

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        if not props:
            props = self._imported(identifier)
        rules = self._described(cloud, props)
        if not rules:
            return None
        said = {"description": rules[0]["Description"]} if rules[0].get("Description") else {}
        kept = {name: props[name] for name in self.fields if name in props and name != "description"}
        return {**kept, **said, "securityGroupRuleId": rules[0]["SecurityGroupRuleId"] if len(rules) == 1 else ""}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._call(cloud, f"update_security_group_rule_descriptions_{new['type']}", new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if self._described(cloud, props):
            self._call(cloud, "revoke", props)

    def _imported(self, identifier: str) -> Props:
        """`group_type_protocol_from_to_source[_source…]`, which is what pulumi-aws imports by."""
        group, kind, protocol, start, end, *sources = identifier.split("_")
        props: Props = {
            "securityGroupId": group, "type": kind, "protocol": protocol,
            "fromPort": float(start), "toPort": float(end),
        }  # fmt: skip
        for source in sources:
            if source == "self":
                props["self"] = True
            elif source.startswith("sg-"):
                props["sourceSecurityGroupId"] = source
            else:
                name = "ipv6CidrBlocks" if ":" in source else "prefixListIds" if source[:3] == "pl-" else "cidrBlocks"
                props.setdefault(name, []).append(source)
        return props

    def _call(self, cloud: Cloud, verb: str, props: Props) -> None:
        group = props["securityGroupId"]
        other = [props["sourceSecurityGroupId"]] if props.get("sourceSecurityGroupId") else []
        rule = {**props, "securityGroups": other, "protocol": _named(props["protocol"])}
        operation = verb if "_" in verb else f"{verb}_security_group_{props['type']}"
        self.call(cloud, operation, GroupId=group, IpPermissions=[permission(rule, group)])

    def _described(self, cloud: Cloud, props: Props) -> list[dict[str, Any]]:
        """The API's rules that these are, or none when one of them is missing."""
        group = props["securityGroupId"]
        filters = [{"Name": "group-id", "Values": [group]}]
        rules = self.call(cloud, "describe_security_group_rules", Filters=filters)["SecurityGroupRules"]
        sources = [
            *(("CidrIpv4", cidr) for cidr in props.get("cidrBlocks") or []),
            *(("CidrIpv6", cidr) for cidr in props.get("ipv6CidrBlocks") or []),
            *(("PrefixListId", number) for number in props.get("prefixListIds") or []),
            *([("Group", group)] if props.get("self") else []),
            *([("Group", props["sourceSecurityGroupId"])] if props.get("sourceSecurityGroupId") else []),
        ]
        protocol = _named(props["protocol"])
        ports = [int(props["fromPort"]), int(props["toPort"])]
        chosen = []
        for member, value in sources:
            for rule in rules:
                source = (
                    (rule.get("ReferencedGroupInfo") or {}).get("GroupId") if member == "Group" else rule.get(member)
                )
                fits = protocol == "-1" or [rule.get("FromPort"), rule.get("ToPort")] == ports
                same = rule["IsEgress"] is (props["type"] == "egress") and rule["IpProtocol"] == protocol
                if source == value and fits and same:
                    chosen.append(rule)
                    break
            else:
                return []
        return chosen

    def _numbered(self, cloud: Cloud, props: Props) -> Props:
        rules = self._described(cloud, props)
        return {"securityGroupRuleId": rules[0]["SecurityGroupRuleId"] if len(rules) == 1 else ""}


def _named(protocol: str) -> str:
    return {"all": "-1", "6": "tcp", "17": "udp", "1": "icmp"}.get(protocol.lower(), protocol.lower())
