"""Load balancers: values of conditions, actions, attributes and health checks, and networks that belong together.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/ (CreateRule, CreateTargetGroup,
ModifyTargetGroupAttributes, ModifyLoadBalancerAttributes, RegisterTargets).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused

WEIGHTS = range(1000)
ENDING = ("forward", "redirect", "fixed-response")
FIXED_CODES = re.compile(r"[245]\d\d")
HTTP = ("HTTP", "HTTPS")
MATCHER = re.compile(r"[2-4]\d\d(?:-[2-4]\d\d)?(?:,[2-4]\d\d(?:-[2-4]\d\d)?)*")
PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"))
)
"""The last is none of AWS's: tasks of the local cloud listen on this machine's loopback."""

WHOLE_NUMBERS: Mapping[str, tuple[int, int]] = {
    "idle_timeout.timeout_seconds": (1, 4000),
    "client_keep_alive.seconds": (60, 604_800),
    "deregistration_delay.timeout_seconds": (0, 3600),
    "slow_start.duration_seconds": (30, 900),
    "stickiness.lb_cookie.duration_seconds": (1, 604_800),
    "stickiness.app_cookie.duration_seconds": (1, 604_800),
}
"""Attribute -> the least and the most; slow start is off at 0."""
YES_OR_NO = (
    *("deletion_protection.enabled", "access_logs.s3.enabled", "connection_logs.s3.enabled", "stickiness.enabled"),
    *("routing.http2.enabled", "routing.http.drop_invalid_header_fields.enabled", "waf.fail_open.enabled"),
    *("routing.http.preserve_host_header.enabled", "routing.http.xff_client_port.enabled"),
    *("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "lambda.multi_value_headers.enabled"),
)
WORDS: Mapping[str, tuple[str, ...]] = {
    "load_balancing.algorithm.type": ("round_robin", "least_outstanding_requests", "weighted_random"),
    "routing.http.desync_mitigation_mode": ("monitor", "defensive", "strictest"),
    "routing.http.xff_header_processing.mode": ("append", "preserve", "remove"),
    "stickiness.type": ("lb_cookie", "app_cookie", "source_ip", "source_ip_dest_ip", "source_ip_dest_ip_proto"),
    **dict.fromkeys(YES_OR_NO, ("true", "false")),
}


def rule_values_are_valid(asked: Call) -> None:
    """A rule has conditions, and addresses in CIDR notation."""
    conditions = asked.arguments.get("Conditions")
    if asked.operation == "CreateRule" and not conditions:
        raise _wrong("A rule must have at least one condition")
    for condition in conditions or []:
        for value in (condition.get("SourceIpConfig") or {}).get("Values") or []:
            if "/" not in str(value) or not _is_network(value):
                raise _wrong(f"The value '{value}' of the condition source-ip is not in CIDR notation")
    _actions(asked, asked.arguments.get("Actions"), "")


def listener_values_are_valid(asked: Call) -> None:
    """A listener has a default action and a port of its own."""
    arguments = asked.arguments
    if asked.operation == "CreateListener":
        if not arguments.get("DefaultActions"):
            raise _wrong("A listener must have a default action")
        balancer = backends.elbv2(asked.account, asked.region).load_balancers.get(asked.text("LoadBalancerArn"))
        ports = [str(listener.port) for listener in balancer.listeners.values()] if balancer is not None else []
        if str(arguments.get("Port")) in ports:
            raise Refused("DuplicateListener", "A listener already exists on this port for this load balancer")
    _actions(asked, arguments.get("DefaultActions"), asked.text("Protocol"))


def rule_is_deletable(asked: Call) -> None:
    """A listener's default rule stays."""
    for balancer in backends.elbv2(asked.account, asked.region).load_balancers.values():
        for listener in balancer.listeners.values():
            for rule in listener.rules.values():
                if rule.is_default and rule.arn == asked.text("RuleArn"):
                    raise Refused("OperationNotPermitted", "Default rule cannot be deleted")


def attributes_are_valid(asked: Call) -> None:
    """Of load balancers and target groups: known words, numbers in their range."""
    for attribute in asked.arguments.get("Attributes") or []:
        key, value = str(attribute.get("Key")), str(attribute.get("Value"))
        if key in WORDS and value not in WORDS[key]:
            raise _wrong(f"'{value}' is not a valid value for attribute '{key}'; valid: {', '.join(WORDS[key])}")
        if key in WHOLE_NUMBERS:
            least, most = WHOLE_NUMBERS[key]
            is_off = key == "slow_start.duration_seconds" and value == "0"
            if not is_off and not (value.isdecimal() and least <= int(value) <= most):
                raise _wrong(f"The value of attribute '{key}' must be between {least} and {most}, was '{value}'")


def target_group_is_valid(asked: Call) -> None:
    """The codes that are healthy: of HTTP 200 to 499."""
    arguments = asked.arguments
    codes = (arguments.get("Matcher") or {}).get("HttpCode")
    if codes is not None and not MATCHER.fullmatch(str(codes)):
        raise _wrong(f"Health check matcher HTTP code '{codes}' must be within 200 to 499")
    interval, limit = arguments.get("HealthCheckIntervalSeconds"), arguments.get("HealthCheckTimeoutSeconds")
    if interval is not None and limit is not None and limit >= interval:
        raise _wrong("Health check timeout must be smaller than the interval")


def targets_are_valid(asked: Call) -> None:
    """Targets by address are private ones."""
    group = backends.elbv2(asked.account, asked.region).target_groups.get(asked.text("TargetGroupArn"))
    if group is None or group.target_type != "ip":
        return
    for target in asked.arguments.get("Targets") or []:
        try:
            address = ipaddress.ip_address(str(target.get("Id")))
        except ValueError:
            raise _wrong(f"The IP address '{target.get('Id')}' is not a valid IPv4 or IPv6 address") from None
        if address.version == 4 and not any(address in network for network in PRIVATE):
            raise _wrong(f"The IP address '{address}' is not within a valid range: use the VPC's or a private one")


def network_is_one(asked: Call) -> None:
    """A load balancer's subnets and security groups are of one VPC."""
    arguments, account, region = asked.arguments, asked.account, asked.region
    mapped = [each.get("SubnetId") for each in arguments.get("SubnetMappings") or []]
    known = backends.ec2_subnets(account, region)
    subnets = [str(each) for each in [*(arguments.get("Subnets") or []), *mapped]]
    for subnet in subnets:
        if subnet not in known:
            raise Refused("SubnetNotFound", f"The subnet ID '{subnet}' does not exist")
    vpcs = {known[subnet].vpc_id for subnet in subnets}
    if len(vpcs) > 1:
        raise Refused("InvalidSubnet", "All subnets must belong to the same VPC")
    owners = backends.security_group_vpcs(account, region)
    for group in arguments.get("SecurityGroups") or []:
        if group not in owners:
            raise Refused("InvalidSecurityGroup", f"The security group '{group}' does not exist")
        if vpcs and owners[group] not in vpcs:
            raise Refused("InvalidConfigurationRequest", f"The security group '{group}' does not belong to the VPC")


def _actions(asked: Call, actions: Any, protocol: str) -> None:
    groups = backends.elbv2(asked.account, asked.region).target_groups
    kinds = [str(action.get("Type")) for action in actions or []]
    if sum(kind in ENDING for kind in kinds) > 1:
        raise Refused("TooManyActions", "A rule has exactly one action of type forward, redirect or fixed-response")
    for action in actions or []:
        targets = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        for target in targets:
            weight = target.get("Weight")
            if weight is not None and weight not in WEIGHTS:
                raise _wrong(f"Weight '{weight}' must be between {WEIGHTS[0]} and {WEIGHTS[-1]}")
        code = (action.get("FixedResponseConfig") or {}).get("StatusCode")
        if code is not None and not FIXED_CODES.fullmatch(str(code)):
            raise _wrong(f"The status code '{code}' of a fixed response must be 2XX, 4XX or 5XX")
        arns = [action.get("TargetGroupArn"), *(target.get("TargetGroupArn") for target in targets)]
        for arn in arns:
            group = groups.get(arn)
            other = getattr(group, "protocol", None)
            if protocol in HTTP and other and other not in HTTP:
                message = f"Protocols of the listener ({protocol}) and the target group ({other}) are incompatible"
                raise Refused("IncompatibleProtocols", message)


def _is_network(value: object) -> bool:
    try:
        ipaddress.ip_network(str(value))
    except ValueError:
        return False
    return True


def _wrong(message: str) -> Refused:
    return Refused("ValidationError", message)
