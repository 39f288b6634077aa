"""EC2's ways out and ways in: addresses, NAT, access lists, flow logs, key pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Autoname, Cloud, dig, resource_type
from localcloud.plugins.tags import Ec2Tagging
from localcloud.plugins.types.ec2 import Ec2
from localcloud.plugins.values import Props


@resource_type
class Eip(Ec2):
    """A public address, which may be given to an instance or a network interface."""

    token = "aws:ec2/eip:Eip"
    kind = "elastic-ip"
    table = """
        domain ^ ?
        networkBorderGroup ^ ?
        publicIpv4Pool ^ ?
        address ^ ?
        instance ? =InstanceId
        networkInterface ? =NetworkInterfaceId
        allocationId ~
        arn ~
        associationId ~
        carrierIp ~
        customerOwnedIp ~
        privateDns ~
        privateIp ~ =PrivateIpAddress
        ptrRecord ~
        publicDns ~
        publicIp ~
    """
    tagging = Ec2Tagging(kind="elastic-ip")
    create_call, identifier = "allocate_address", "AllocationId"
    read_call, read_key, read_answer = "describe_addresses", "AllocationIds[]", "Addresses"
    delete_call, delete_key = "release_address", "AllocationId"

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        return {
            "Domain": "vpc",
            **{name: arguments[name] for name in arguments if name not in ("InstanceId", "NetworkInterfaceId")},
        }

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        address = str(live.get("publicIp", "")).replace(".", "-")
        named = {"publicDns": f"ec2-{address}.{cloud.region}.compute.amazonaws.com"} if address else {}
        nowhere = dict.fromkeys(
            ("associationId", "carrierIp", "customerOwnedIp", "ptrRecord", "privateDns", "privateIp"), ""
        )
        used = {name: live[name] for name in ("instance", "networkInterface") if live.get(name)}
        rest = {name: value for name, value in live.items() if name not in ("instance", "networkInterface")}
        return {**nowhere, **rest, **used, **named}

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        return self._give(cloud, identifier, inputs)

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed & {"instance", "networkInterface"}:
            self._take(cloud, identifier)
            return {"associationId": "", **self._give(cloud, identifier, new)}
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if props.get("instance") or props.get("networkInterface"):
            self._take(cloud, identifier)
        super().delete(cloud, identifier, props)

    def _give(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        candidates = {"InstanceId": inputs.get("instance"), "NetworkInterfaceId": inputs.get("networkInterface")}
        whom = {member: value for member, value in candidates.items() if value}
        if not whom:
            return {}
        return {
            "associationId": self.call(cloud, "associate_address", AllocationId=identifier, **whom)["AssociationId"]
        }

    def _take(self, cloud: Cloud, identifier: str) -> None:
        for address in self.call(cloud, "describe_addresses", AllocationIds=[identifier])["Addresses"]:
            if address.get("AssociationId"):
                self.call(cloud, "disassociate_address", AssociationId=address["AssociationId"])


@resource_type
class NatGateway(Ec2):
    """Lets private subnets reach the internet; public ones have an address. Deleted ones stay listed for a while."""

    token = "aws:ec2/natGateway:NatGateway"
    kind = "natgateway"
    table = """
        subnetId ^
        allocationId ^ =-
        connectivityType ^ default:public
        privateIp ^ ? =-
        associationId ~ =-
        autoProvisionZones ~
        autoScalingIps ~
        networkInterfaceId ~ =-
        publicIp ~ =-
        regionalNatGatewayAutoMode ~
        routeTableId ~
    """
    tagging = Ec2Tagging(kind="natgateway")
    create_call, create_answer, identifier = "create_nat_gateway", "NatGateway", "NatGatewayId"
    read_call, read_key, read_answer = "describe_nat_gateways", "NatGatewayIds[]", "NatGateways"
    delete_call, delete_key = "delete_nat_gateway", "NatGatewayId"

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        if inputs.get("subnetId") is None:
            return [("subnetId", "must be given: a regional NAT gateway is not supported here")]
        if inputs.get("connectivityType", "public") == "public" and inputs.get("allocationId") is None:
            return [("allocationId", "a public NAT gateway needs the allocationId of an address")]
        return []

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        allocation = {"AllocationId": inputs["allocationId"]} if inputs.get("allocationId") else {}
        address = {"PrivateIpAddress": inputs["privateIp"]} if inputs.get("privateIp") else {}
        return {**super().arguments(cloud, inputs), **allocation, **address}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        first = (described.get("NatGatewayAddresses") or [{}])[0]
        members = {
            "allocationId": "AllocationId", "associationId": "AssociationId", "publicIp": "PublicIp",
            "networkInterfaceId": "NetworkInterfaceId", "privateIp": "PrivateIp",
        }  # fmt: skip
        addresses = {name: first[member] for name, member in members.items() if first.get(member)}
        absent = dict.fromkeys(("associationId", "autoProvisionZones", "autoScalingIps", "publicIp"), "")
        absent |= {"regionalNatGatewayAutoMode": "", "routeTableId": ""}
        return {**absent, **super().live(cloud, described), **addresses}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        gateway = dig(self.call(cloud, "describe_nat_gateways", NatGatewayIds=[identifier]), "NatGateways")
        return None if not gateway or gateway.get("State") in ("deleting", "deleted") else self.live(cloud, gateway)


_ENTRIES = """bag ? =-
            action ! =RuleAction
            ruleNo int ! =RuleNumber
            protocol !
            fromPort int ! =PortRange.From
            toPort int ! =PortRange.To
            cidrBlock
            ipv6CidrBlock
            icmpCode int =IcmpTypeCode.Code
            icmpType int =IcmpTypeCode.Type"""
_PROTOCOLS = {"all": "-1", "tcp": "6", "udp": "17", "icmp": "1"}
_LAST_RULE = 32767  # "deny everything", which is always there


def _protocol(name: str) -> str:
    return _PROTOCOLS.get(name.lower(), name)


@resource_type
class NetworkAcl(Ec2):
    """An access list of subnets, with its entries in line. A subnet that leaves it gets the VPC's default one."""

    token = "aws:ec2/networkAcl:NetworkAcl"
    kind = "network-acl"
    table = f"""
        vpcId ! ^
        ingress {_ENTRIES}
        egress {_ENTRIES}
        subnetIds set ? =-
        arn ~
        ownerId ~
    """
    tagging = Ec2Tagging(kind="network-acl")
    create_call, create_answer, identifier = "create_network_acl", "NetworkAcl", "NetworkAclId"
    read_call, read_key, read_answer = "describe_network_acls", "NetworkAclIds[]", "NetworkAcls"
    delete_call, delete_key = "delete_network_acl", "NetworkAclId"

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = super().live(cloud, described)
        entries = [entry for entry in described.get("Entries", []) if entry["RuleNumber"] < _LAST_RULE]
        inner = self.fields["ingress"].fields
        for name, outgoing in (("ingress", False), ("egress", True)):
            rules = [_entry(inner, entry) for entry in entries if entry["Egress"] is outgoing]
            live[name] = rules
        live["subnetIds"] = [association["SubnetId"] for association in described.get("Associations", [])]
        live.setdefault("ownerId", cloud.account)
        return live

    def completed(self, cloud: Cloud, identifier: str, inputs: Props) -> Props:
        self._entries(cloud, identifier, inputs, {"ingress", "egress"})
        self._subnets(cloud, identifier, inputs)
        return {"ownerId": cloud.account}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._entries(cloud, identifier, new, changed)
        if "subnetIds" in changed:
            self._subnets(cloud, identifier, new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self._subnets(cloud, identifier, {"vpcId": props["vpcId"]})
        super().delete(cloud, identifier, props)

    def _entries(self, cloud: Cloud, identifier: str, wanted: Props, directions: set[str]) -> None:
        entries = self.call(cloud, self.read_call, NetworkAclIds=[identifier])["NetworkAcls"][0]["Entries"]
        for name, outgoing in (("ingress", False), ("egress", True)):
            if name not in directions:
                continue
            for entry in entries:
                if entry["Egress"] is outgoing and entry["RuleNumber"] < _LAST_RULE:
                    number = {"RuleNumber": entry["RuleNumber"], "Egress": outgoing}
                    self.call(cloud, "delete_network_acl_entry", NetworkAclId=identifier, **number)
            for entry in wanted.get(name) or []:
                arguments = {
                    "RuleNumber": int(entry["ruleNo"]), "RuleAction": entry["action"].lower(), "Egress": outgoing,
                    "Protocol": _protocol(entry["protocol"]),
                    "PortRange": {"From": int(entry["fromPort"]), "To": int(entry["toPort"])},
                    **({"CidrBlock": entry["cidrBlock"]} if entry.get("cidrBlock") else {}),
                    **({"Ipv6CidrBlock": entry["ipv6CidrBlock"]} if entry.get("ipv6CidrBlock") else {}),
                }  # fmt: skip
                self.call(cloud, "create_network_acl_entry", NetworkAclId=identifier, **arguments)

    def _subnets(self, cloud: Cloud, identifier: str, wanted: Props) -> None:
        """Give the list to exactly the wanted subnets."""
        filters = [{"Name": "vpc-id", "Values": [wanted["vpcId"]]}]
        lists = self.call(cloud, self.read_call, Filters=filters)["NetworkAcls"]
        default = next((each["NetworkAclId"] for each in lists if each["IsDefault"]), None)
        for each in lists:
            for association in each.get("Associations", []):
                mine, own = (
                    association["SubnetId"] in (wanted.get("subnetIds") or []),
                    each["NetworkAclId"] == identifier,
                )
                goal = identifier if mine and not own else default if own and not mine else None
                if goal:
                    number = association["NetworkAclAssociationId"]
                    self.call(cloud, "replace_network_acl_association", AssociationId=number, NetworkAclId=goal)


def _entry(inner: Mapping[str, Any], entry: Mapping[str, Any]) -> Props:
    names = {number: name for name, number in _PROTOCOLS.items() if name != "all"}
    ports = entry.get("PortRange") or {}
    rule = {
        "action": entry["RuleAction"], "ruleNo": float(entry["RuleNumber"]),
        "protocol": names.get(str(entry["Protocol"]), str(entry["Protocol"])),
        "fromPort": float(ports.get("From") or 0), "toPort": float(ports.get("To") or 0),
        "cidrBlock": entry.get("CidrBlock"), "ipv6CidrBlock": entry.get("Ipv6CidrBlock"),
    }  # fmt: skip
    return {name: value for name, value in rule.items() if value is not None and name in inner}


@resource_type
class FlowLog(Ec2):
    """A record of a network's traffic. Here nothing is recorded: no packets flow."""

    token = "aws:ec2/flowLog:FlowLog"
    kind = "vpc-flow-log"
    table = """
        vpcId ^ =-
        subnetId ^ =-
        eniId ^ =-
        trafficType ^
        iamRoleArn ^ =DeliverLogsPermissionArn
        logDestination ^ ?
        logDestinationType ^ default:cloud-watch-logs
        logFormat ^ ?
        maxAggregationInterval int ^ default:600
        arn ~
    """
    tagging = Ec2Tagging(kind="vpc-flow-log")
    create_call = "create_flow_logs"
    read_call, read_key, read_answer = "describe_flow_logs", "FlowLogIds[]", "FlowLogs"
    delete_call, delete_key = "delete_flow_logs", "FlowLogIds[]"
    _sources = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        present = [name for name in self._sources if inputs.get(name) is not None]
        return [] if len(present) == 1 else [("vpcId", f"exactly one of {', '.join(self._sources)} must be given")]

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        source = next(name for name in self._sources if inputs.get(name))
        answer = self.call(
            cloud, self.create_call, ResourceIds=[inputs[source]], ResourceType=self._sources[source],
            **{"LogDestinationType": "cloud-watch-logs", **self.arguments(cloud, inputs)},
            **self.creating_tags(cloud, inputs),
        )  # fmt: skip
        for failure in answer.get("Unsuccessful") or ():
            # The call succeeds all the same.
            raise Refused(f"CreateFlowLogs: {failure['Error']['Message']}")
        return str(answer["FlowLogIds"][0]), {}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        resource = described["ResourceId"]
        name = "vpcId" if resource.startswith("vpc-") else "subnetId" if resource.startswith("subnet-") else "eniId"
        live = {**super().live(cloud, described), name: resource}
        if "logDestination" not in live and described.get("LogGroupName"):
            live["logDestination"] = cloud.arn("logs", f"log-group:{described['LogGroupName']}")
        return live


@resource_type
class KeyPair(Ec2):
    """A public key for instances; its id is its name."""

    token = "aws:ec2/keyPair:KeyPair"
    kind = "key-pair"
    table = """
        keyName ^
        keyNamePrefix ^ =-
        publicKey ! ^ =-
        arn ~
        fingerprint ~ =KeyFingerprint
        keyPairId ~
        keyType ~
    """
    tagging = Ec2Tagging(kind="key-pair")
    autoname = Autoname("keyName", prefix="keyNamePrefix")
    create_call, named_by = "import_key_pair", "keyName"
    read_call, read_key, read_answer = "describe_key_pairs", "KeyNames[]", "KeyPairs"
    delete_call, delete_key = "delete_key_pair", "KeyName"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        return {"arn": cloud.arn("ec2", f"key-pair/{props['keyName']}")}

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        return {"KeyName": inputs["keyName"], "PublicKeyMaterial": inputs["publicKey"].encode()}

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        return {"keyType": "rsa", **super().live(cloud, described)}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        answer = self.call(cloud, self.read_call, KeyNames=[identifier], IncludePublicKey=True)
        pair = dig(answer, self.read_answer)
        if not pair:
            return None
        live = self.live(cloud, pair)
        key = props.get("publicKey") or pair.get("PublicKey")
        return {**live, "tagsAll": Ec2Tagging().unwrap(pair.get("Tags")), **({"publicKey": key} if key else {})}

    def tagged(self, identifier: str, props: Props) -> str:
        return str(props["keyPairId"])
