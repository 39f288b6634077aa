"""Rules about who can reach what: security groups, load balancers, subnets, machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from herd.policy.model import UNKNOWN, Resource, Rules, Stack

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
LISTENER = "aws:lb/listener:Listener"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
WIDEST = 8
"""Bits of the prefix."""

WEB = {80, 443}
rules = Rules()


@rules.each(
    "network-world-ports",
    INGRESS,
    OLD_RULE,
    GROUP,
    says="The world may knock at ports 80 and 443 only.",
    why="Everything else (databases, shells, notebooks) is found by scanners within minutes.",
    control="EC2.18",
)
def world_ports(resource: Resource, stack: Stack) -> Iterator[str]:
    for rule in _rules_of(resource, "ingress"):
        if _is_open(rule) and not _ports(rule) <= WEB:
            yield f"the world may reach {_shown(rule)}; allow 80 and 443 at most, or name who may"


@rules.each(
    "network-narrow",
    INGRESS,
    EGRESS,
    OLD_RULE,
    GROUP,
    says="A rule names its protocol and ports.",
    why='"All traffic" also means what nobody thought of, in both directions.',
    control="EC2.19",
)
def narrow(resource: Resource, stack: Stack) -> Iterator[str]:
    for direction in ("ingress", "egress"):
        for rule in _rules_of(resource, direction):
            if str(rule.get("protocol")) in ("-1", "all"):
                yield f"lets all protocols {'in' if direction == 'ingress' else 'out'}; name the protocol and the ports"
            elif _is_open(rule) and len(_ports(rule)) > 2:
                yield f"opens {_shown(rule)} to the whole world; name the ports"


@rules.each(
    "network-described",
    INGRESS,
    EGRESS,
    OLD_RULE,
    GROUP,
    says="Security groups and their rules say what they are for.",
    why="A rule that nobody can explain is a rule that nobody dares to remove.",
    link="https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html",
)
def described(resource: Resource, stack: Stack) -> Iterator[str]:
    if not resource.has("description") or resource.props.get("description") == "Managed by Pulumi":
        yield "has no description; say what it is for"


@rules.whole(
    "network-default-group-empty",
    "aws:ec2/vpc:Vpc",
    says="The default security group of the environment's network lets nothing through.",
    why="Whatever is started without a group gets it; by default its members may talk to each other and the world.",
    control="EC2.2",
)
def default_group_empty(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    emptied = [r for r in resources if r.type == "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"]
    for group in emptied:
        for direction in ("ingress", "egress"):
            if group.props.get(direction):
                yield group, f"has rules for {direction}; a default security group must be empty"
    for vpc in resources:
        if vpc.type == "aws:ec2/vpc:Vpc" and not any(_joined(group, "vpcId", vpc, "id") for group in emptied):
            yield vpc, "keeps AWS's default security group; take it over with an empty DefaultSecurityGroup"


@rules.whole(
    "network-flow-logs",
    "aws:ec2/vpc:Vpc",
    says="Where flow logs are on (in prod) each network has them.",
    why="After an incident they are the only answer to who talked to whom.",
    control="EC2.6",
)
def flow_logs(resources: Sequence[Resource], stack: Stack) -> Iterator[tuple[Resource, str]]:
    logs = [r for r in resources if r.type == "aws:ec2/flowLog:FlowLog"]
    for vpc in resources if stack.on("flow_logs") else ():
        if vpc.type == "aws:ec2/vpc:Vpc" and not any(_joined(log, "vpcId", vpc, "id") for log in logs):
            yield vpc, "has no flow log"


@rules.each(
    "network-no-address-on-launch",
    "aws:ec2/subnet:Subnet",
    says="Nothing gets a public address just because it was started.",
    why="A task asks for its address itself; anything else there should have none.",
    control="EC2.15",
)
def no_address_on_launch(subnet: Resource, stack: Stack) -> Iterator[str]:
    if subnet.props.get("mapPublicIpOnLaunch") is True:
        yield "gives every machine that is started in it a public address; turn mapPublicIpOnLaunch off"


@rules.each(
    "balancers-hardened",
    BALANCER,
    says="Load balancers drop malformed headers, refuse ambiguous requests and stand in two zones.",
    why="Two programs that read one request differently are how requests are smuggled past the first.",
    control="ELB.12",
)
def balancers_hardened(balancer: Resource, stack: Stack) -> Iterator[str]:
    if balancer.props.get("loadBalancerType", "application") != "application":
        return
    if balancer.lacks("dropInvalidHeaderFields", True):
        yield "passes malformed headers on; set dropInvalidHeaderFields (AWS ELB.4)"
    if balancer.lacks("desyncMitigationMode", "strictest", "defensive"):
        yield 'passes ambiguous requests on; set desyncMitigationMode to "strictest"'
    subnets = balancer.props.get("subnets")
    if isinstance(subnets, list) and len(subnets) < 2:
        yield "stands in one zone; give it subnets in two (AWS ELB.13)"


@rules.each(
    "balancers-protected",
    BALANCER,
    says="Where protect is on (in prod) a load balancer cannot be deleted by mistake; elsewhere it can go.",
    why="Its address is in people's bookmarks. In dev the protection would only leave it behind.",
    control="ELB.6",
)
def balancers_protected(balancer: Resource, stack: Stack) -> Iterator[str]:
    wanted = stack.on("protect")
    protection = balancer.props.get("enableDeletionProtection")
    if protection is UNKNOWN or bool(protection) == wanted:
        return
    yield (
        "can be deleted by mistake; turn enableDeletionProtection on"
        if wanted
        else "is protected from deletion, so this environment could not be removed; turn enableDeletionProtection off"
    )


@rules.each(
    "listeners-encrypted",
    LISTENER,
    says="TLS 1.2 or newer, and with require_tls (in prod) nothing else: port 80 only sends people on.",
    why="Plain HTTP shows every request and every cookie to whoever is on the way.",
    control="ELB.1",
)
def listeners_encrypted(listener: Resource, stack: Stack) -> Iterator[str]:
    protocol = listener.props.get("protocol")
    tls = listener.props.get("sslPolicy", "")
    if protocol == "HTTPS" and tls is not UNKNOWN and not str(tls).startswith("ELBSecurityPolicy-TLS13-1-2"):
        yield "accepts old versions of TLS; set sslPolicy to ELBSecurityPolicy-TLS13-1-2-2021-06 (AWS ELB.17)"
    if protocol == "HTTP" and stack.on("require_tls"):
        actions = listener.props.get("defaultActions") or []
        if not all(action.get("type") == "redirect" for action in actions):
            yield "answers in plain HTTP; set a domain, and let port 80 redirect"


@rules.each(
    "targets-checked",
    "aws:lb/targetGroup:TargetGroup",
    says="A target group names the path that tells whether a service is well.",
    why="By default / is asked, which many programs do not have: they would be restarted for ever.",
    link="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
)
def targets_checked(group: Resource, stack: Stack) -> Iterator[str]:
    check = group.props.get("healthCheck") or {}
    if not (check.get("path") and check.get("matcher")):
        yield "does not say which path and answer mean that a service is well; set healthCheck"


@rules.each(
    "machines-hardened",
    TEMPLATE,
    says="Machines answer for their credentials by IMDSv2, to themselves only, and their disks are encrypted.",
    why="With IMDSv1, or from a container one hop away, one wrong URL in a program gives the machine's role away.",
    control="EC2.8",
)
def machines_hardened(template: Resource, stack: Stack) -> Iterator[str]:
    metadata = template.props.get("metadataOptions") or {}
    if metadata is not UNKNOWN:
        if metadata.get("httpTokens") != "required":
            yield 'answers IMDSv1; set metadataOptions.httpTokens to "required"'
        if (metadata.get("httpPutResponseHopLimit") or 0) != 1:
            yield "lets containers ask for the machine's credentials; set metadataOptions.httpPutResponseHopLimit to 1"
    disks = [(m.get("ebs") or {}) for m in template.props.get("blockDeviceMappings") or []]
    if not template.has("blockDeviceMappings") or any(str(disk.get("encrypted")).lower() != "true" for disk in disks):
        yield "has a disk that is not encrypted; set blockDeviceMappings with encrypted"
    for interface in template.props.get("networkInterfaces") or []:
        if str(interface.get("associatePublicIpAddress")).lower() == "true":
            yield "gives its machines public addresses; turn associatePublicIpAddress off (AWS EC2.25)"


def _rules_of(resource: Resource, direction: str) -> Iterator[Mapping[str, Any]]:
    """The rules in one shape, wherever they are written: in a resource of their own or within the group."""
    props = resource.props
    if resource.type == (INGRESS if direction == "ingress" else EGRESS):
        yield {
            "protocol": props.get("ipProtocol"),
            "from": props.get("fromPort"),
            "to": props.get("toPort"),
            "sources": [props.get("cidrIpv4"), props.get("cidrIpv6")],
        }
    elif resource.type == OLD_RULE and props.get("type") == direction:
        yield _written_in(props)
    elif resource.type == GROUP:
        yield from (_written_in(rule) for rule in props.get(direction) or [])


def _written_in(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = [*(rule.get("cidrBlocks") or []), *(rule.get("ipv6CidrBlocks") or [])]
    return {
        "protocol": rule.get("protocol"),
        "from": rule.get("fromPort"),
        "to": rule.get("toPort"),
        "sources": sources,
    }


def _is_open(rule: Mapping[str, Any]) -> bool:
    return any(is_world(source) for source in rule["sources"])


def is_world(source: Any) -> bool:
    """Also by halves and quarters: wider than the widest network that belongs to somebody (10.0.0.0/8, fd00::/8)."""
    _, _, bits = source.partition("/") if isinstance(source, str) else ("", "", "")
    return bits.isdecimal() and int(bits) < WIDEST


def _ports(rule: Mapping[str, Any]) -> set[int]:
    if str(rule["protocol"]) in ("-1", "all") or rule["from"] is None or rule["to"] is None:
        return set(range(65536))
    if UNKNOWN in (rule["from"], rule["to"]) or rule["from"] is UNKNOWN or rule["to"] is UNKNOWN:
        return set()
    return set(range(int(rule["from"]), int(rule["to"]) + 1))


def _shown(rule: Mapping[str, Any]) -> str:
    if str(rule["protocol"]) in ("-1", "all") or rule["from"] is None:
        return "every port"
    first, last = int(rule["from"]), int(rule["to"])
    return f"port {first}" if first == last else f"ports {first} to {last}"


def _joined(one: Resource, key: str, other: Resource, by: str) -> bool:
    """Whether an input of `one` came from `other`: by what Pulumi knows of it, or by value."""
    return other.urn in one.links.get(key, ()) or (
        one.props.get(key) is not None and one.props.get(key) == other.props.get(by)
    )
