"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, resource_type
from localcloud.plugins.tags import Ec2Tagging
from localcloud.plugins.types.ec2 import Ec2
from localcloud.plugins.values import Props

_RULES = """bag {left_out} =-
            fromPort int !
            toPort int !
            protocol !
            cidrBlocks list
            ipv6CidrBlocks list
            prefixListIds list
            securityGroups set
            self bool
            description"""
_GROUP = f"""
        vpcId ^ ?
        revokeRulesOnDelete bool =-
        ingress {_RULES}
        egress {_RULES}
        arn ~
        ownerId ~
""".strip()
_DIRECTIONS = (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress"))


def permission(rule: Props, group: str) -> Props:
    """One declared rule as the API takes it."""
    said = {"Description": rule["description"]} if rule.get("description") else {}
    permission: Props = {"IpProtocol": rule["protocol"]}
    if rule["protocol"] != "-1":
        permission |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    sources = [*(rule.get("securityGroups") or []), *([group] if rule.get("self") else [])]
    for member, key, values in (
        ("IpRanges", "CidrIp", rule.get("cidrBlocks")),
        ("Ipv6Ranges", "CidrIpv6", rule.get("ipv6CidrBlocks")),
        ("PrefixListIds", "PrefixListId", rule.get("prefixListIds")),
        ("UserIdGroupPairs", "GroupId", sources),
    ):
        if values:
            permission[member] = [{key: value, **said} for value in values]
    return permission


def _rule(permission: Mapping[str, Any], group: str) -> Props:
    """One rule as it would be declared; AWS joins rules of the same ports, so descriptions are the first one's."""
    pairs = [pair["GroupId"] for pair in permission.get("UserIdGroupPairs", [])]
    rule: Props = {
        "protocol": permission["IpProtocol"],
        "fromPort": float(permission.get("FromPort", 0)),
        "toPort": float(permission.get("ToPort", 0)),
        "cidrBlocks": [item["CidrIp"] for item in permission.get("IpRanges", [])],
        "ipv6CidrBlocks": [item["CidrIpv6"] for item in permission.get("Ipv6Ranges", [])],
        "prefixListIds": [item["PrefixListId"] for item in permission.get("PrefixListIds", [])],
        "securityGroups": [pair for pair in pairs if pair != group],
        "self": group in pairs,
    }
    said = [
        item["Description"]
        for member in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
        for item in permission.get(member, [])
        if item.get("Description")
    ]
    return {
        name: value for name, value in {**rule, "description": said[0] if said else ""}.items() if value or value == 0.0
    }


class _Group(Ec2):
    """What the default group and the others share."""

    kind = "security-group"
    tagging = Ec2Tagging(kind="security-group")
    create_call, identifier = "create_security_group", "GroupId"
    read_call, read_key, read_answer = "describe_security_groups", "GroupIds[]", "SecurityGroups"
    delete_call, delete_key = "delete_security_group", "GroupId"

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        for name, member in _DIRECTIONS:
            if member in described:
                live[name] = [_rule(permission, described["GroupId"]) for permission in described[member]]
        return live

    def set_rules(self, cloud: Cloud, group: str, wanted: Props, directions: set[str]) -> None:
        """Make the group's rules exactly the wanted ones."""
        described = self.call(cloud, self.read_call, GroupIds=[group])["SecurityGroups"][0]
        for name, member in _DIRECTIONS:
            if name not in directions:
                continue
            if described.get(member):
                self.call(cloud, f"revoke_security_group_{name}", GroupId=group, IpPermissions=described[member])
            if wanted.get(name):
                permissions = [permission(rule, group) for rule in wanted[name]]
                self.call(cloud, f"authorize_security_group_{name}", GroupId=group, IpPermissions=permissions)

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self.set_rules(cloud, identifier, new, changed & {"ingress", "egress"})
        return {}


@resource_type
class SecurityGroup(_Group):
    """A group. Its rules are in line, or resources of their own; AWS's "all egress" is taken away, as in Terraform."""

    token = "aws:ec2/securityGroup:SecurityGroup"
    table = f"""
        name ^ =GroupName
        namePrefix ^ =-
        description ^
        {_GROUP.format(left_out="?")}
    """
    autoname = Autoname(limit=255, forbidden=r"[^\w .:/()#,@\[\]+=&;{}!$*-]")

    def prepared(self, cloud: Cloud, olds: Props, inputs: Props) -> Props:
        return {"description": "Managed by Pulumi", **inputs}

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        self.set_rules(cloud, identifier, inputs, {"ingress", "egress"} if inputs.get("ingress") else {"egress"})
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if props.get("revokeRulesOnDelete"):
            self.set_rules(cloud, identifier, {}, {"ingress", "egress"})
        super().delete(cloud, identifier, props)


@resource_type
class DefaultSecurityGroup(_Group):
    """The group every VPC has, adopted: its rules become those given (none by default). Deleting leaves it as it is."""

    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    table = f"""
        {_GROUP.format(left_out="")}
        name ~ =GroupName
        description ~
    """

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        filters = [{"Name": "group-name", "Values": ["default"]}]
        if inputs.get("vpcId"):
            filters.append({"Name": "vpc-id", "Values": [inputs["vpcId"]]})
        described = self.call(cloud, self.read_call, Filters=filters)["SecurityGroups"][0]
        group, live = described["GroupId"], self.live(cloud, described)
        try:
            self.set_rules(cloud, group, inputs, {"ingress", "egress"})
            if tags := self.all_tags(cloud, inputs):
                Ec2Tagging().change(cloud.client("ec2"), group, {}, tags)
        except ClientError as error:
            raise HalfCreated(group, live, str(error)) from error
        return group, {**live, "ingress": [], "egress": []}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        """AWS does not let it go."""


class _Rule(Resource):
    """One rule of a group."""

    service = "ec2"
    table = """
        securityGroupId ! ^ =GroupId
        ipProtocol !
        fromPort int
        toPort int
        cidrIpv4
        cidrIpv6
        prefixListId
        referencedSecurityGroupId =ReferencedGroupInfo.GroupId
        description
        arn ~ =-
        securityGroupRuleId ~
    """
    tagging = Ec2Tagging(kind="security-group-rule")
    direction: ClassVar[str]
    _sources = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        problems = []
        if len([name for name in self._sources if inputs.get(name) is not None]) != 1:
            problems.append(("cidrIpv4", f"exactly one of {', '.join(self._sources)} must be given"))
        if inputs.get("ipProtocol") not in ("-1", "icmp", "icmpv6") and inputs.get("fromPort") is None:
            problems.append(("fromPort", "must be given unless ipProtocol is -1"))
        return problems

    def derived(self, cloud: Cloud, props: Props) -> Props:
        if "id" not in props:
            return {}
        return {"arn": cloud.arn("ec2", f"security-group-rule/{props['id']}"), "securityGroupRuleId": props["id"]}

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(
            cloud,
            f"authorize_security_group_{self.direction}",
            GroupId=inputs["securityGroupId"],
            IpPermissions=[self._permission(inputs)],
            **self.creating_tags(cloud, inputs),
        )
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]), {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        rules = self.call(cloud, "describe_security_group_rules", SecurityGroupRuleIds=[identifier])[
            "SecurityGroupRules"
        ]
        if not rules:
            return None
        live = self.live(cloud, rules[0])
        if live.get("ipProtocol") == "-1":
            live.pop("fromPort", None), live.pop("toPort", None)
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        """The id stays."""
        if changed & {"ipProtocol", "fromPort", "toPort", "description", *self._sources}:
            rule = {
                "IpProtocol": new["ipProtocol"],
                **(
                    {"FromPort": int(new["fromPort"]), "ToPort": int(new["toPort"])}
                    if new["ipProtocol"] != "-1"
                    else {}
                ),
                **{
                    name[:1].upper() + name[1:]: new[name]
                    for name in ("cidrIpv4", "cidrIpv6", "prefixListId")
                    if new.get(name)
                },
                **(
                    {"ReferencedGroupId": new["referencedSecurityGroupId"]}
                    if new.get("referencedSecurityGroupId")
                    else {}
                ),
                "Description": new.get("description") or "",
            }
            rules = [{"SecurityGroupRuleId": identifier, "SecurityGroupRule": rule}]
            self.call(cloud, "modify_security_group_rules", GroupId=new["securityGroupId"], SecurityGroupRules=rules)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(
            cloud,
            f"revoke_security_group_{self.direction}",
            GroupId=props["securityGroupId"],
            SecurityGroupRuleIds=[identifier],
        )

    def tagged(self, identifier: str, props: Props) -> str:
        return identifier

    def _permission(self, inputs: Props) -> Props:
        names = {"cidrIpv4": "cidrBlocks", "cidrIpv6": "ipv6CidrBlocks", "prefixListId": "prefixListIds"}
        rule = {plural: [inputs[name]] for name, plural in names.items() if inputs.get(name)}
        if inputs.get("referencedSecurityGroupId"):
            rule["securityGroups"] = [inputs["referencedSecurityGroupId"]]
        ends = {name: inputs.get(name, -1) for name in ("fromPort", "toPort")}
        said = {"description": inputs.get("description")}
        return permission({**rule, **ends, **said, "protocol": inputs["ipProtocol"]}, "")


@resource_type
class IngressRule(_Rule):
    """What may come in."""

    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    direction = "ingress"


@resource_type
class EgressRule(_Rule):
    """What may go out."""

    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    direction = "egress"
