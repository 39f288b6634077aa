"""Load balancers: names, limits, certificates, and target groups that are still in use.

Limits: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused

NAME = re.compile(r"(?!internal-)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?")
RULES_LIMIT, TARGETS_LIMIT, GROUPS_PER_ACTION, CONDITION_VALUES = 100, 1000, 5, 5
PRIORITIES = range(1, 50_001)
SECURE = ("HTTPS", "TLS")


def name_is_valid(asked: Call) -> None:
    """Up to 32 letters, digits and hyphens; none at an edge, and not `internal-…`."""
    name = asked.text("Name")
    if name and not NAME.fullmatch(name):
        message = f"Invalid name '{name}': it must satisfy the pattern {NAME.pattern}"
        raise Refused("ValidationError", message)


def load_balancer_is_valid(asked: Call) -> None:
    """A load balancer's name is free, and an application load balancer spans two zones at least."""
    name = asked.text("Name")
    if any(balancer.name == name for balancer in backends.elbv2(asked.account, asked.region).load_balancers.values()):
        message = f"A load balancer with the same name '{name}' exists, but with different settings"
        raise Refused("DuplicateLoadBalancerName", message)
    arguments = asked.arguments
    subnets = [
        *(arguments.get("Subnets") or []),
        *(each.get("SubnetId") for each in arguments.get("SubnetMappings") or []),
    ]
    if arguments.get("Type", "application") != "application":
        return
    known = backends.ec2_subnets(asked.account, asked.region)
    zones = {known[each].availability_zone for each in subnets if each in known}
    if len(subnets) < 2 or (len(zones) < 2 and all(each in known for each in subnets)):
        message = "At least two subnets in two different Availability Zones must be specified"
        raise Refused("ValidationError", message)


def listener_is_valid(asked: Call) -> None:
    """Encryption needs exactly one certificate that exists, and what is not encrypted has none."""
    arguments, protocol = asked.arguments, asked.text("Protocol")
    certificates = arguments.get("Certificates") or []
    if protocol in SECURE and asked.operation == "CreateListener" and not certificates:
        raise Refused("ValidationError", f"A certificate must be specified for {protocol} listeners")
    if len(certificates) > 1:
        raise Refused("ValidationError", "You must provide a list containing exactly one certificate")
    if protocol and protocol not in SECURE and (certificates or arguments.get("SslPolicy")):
        raise Refused("InvalidConfigurationRequest", f"A certificate cannot be specified for {protocol} listeners")
    ssl_policy = arguments.get("SslPolicy")
    if ssl_policy and ssl_policy not in backends.ssl_policies():
        raise Refused("SSLPolicyNotFound", f"SSL policy '{ssl_policy}' not found")
    for each in certificates:
        arn = str(each.get("CertificateArn"))
        if not backends.elbv2(asked.account, asked.region)._certificate_exists(certificate_arn=arn):
            raise Refused("CertificateNotFound", f"Certificate ARN '{arn}' is not valid")
    actions_are_valid(arguments.get("DefaultActions") or [], protocol)


def rule_is_valid(asked: Call) -> None:
    """A listener has 100 rules at most; a rule has five values at most, and a priority of its own."""
    arguments = asked.arguments
    priority = arguments.get("Priority")
    if priority is not None and priority not in PRIORITIES:
        raise Refused("ValidationError", f"Rule priority must be between {PRIORITIES[0]} and {PRIORITIES[-1]}")
    values = sum(_values(condition) for condition in arguments.get("Conditions") or [])
    if values > CONDITION_VALUES:
        raise Refused("ValidationError", f"A rule can have up to {CONDITION_VALUES} condition values, was {values}")
    listener = _listener(asked, asked.text("ListenerArn")) if asked.operation == "CreateRule" else None
    if listener is not None:
        if len([rule for rule in listener.rules.values() if not rule.is_default]) >= RULES_LIMIT:
            raise Refused("TooManyRules", f"You've reached the limit on the number of rules: {RULES_LIMIT}")
        if any(str(rule.priority) == str(priority) for rule in listener.rules.values()):
            raise Refused("PriorityInUse", f"Priority '{priority}' is currently in use")
    actions_are_valid(arguments.get("Actions") or [], listener.protocol if listener is not None else "")


def actions_are_valid(actions: list[Any], protocol: str) -> None:
    """Sign-in needs encryption; there are five target groups at most in an action, and one that ends the request."""
    for action in actions:
        kind = str(action.get("Type"))
        if kind.startswith("authenticate-") and protocol and protocol != "HTTPS":
            message = f"Actions of type '{kind}' are supported only on HTTPS listeners"
            raise Refused("InvalidLoadBalancerAction", message)
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        if len(groups) > GROUPS_PER_ACTION:
            message = f"You can specify up to {GROUPS_PER_ACTION} target groups in an action"
            raise Refused("TooManyTargets", message)
    if actions:
        last = max(actions, key=lambda action: action.get("Order") or 0)
        if str(last.get("Type")).startswith("authenticate-"):
            message = "An action of type forward, redirect or fixed-response must be performed last"
            raise Refused("InvalidLoadBalancerAction", message)


def targets_fit(asked: Call) -> None:
    """A load balancer has 1,000 targets at most."""
    group = backends.elbv2(asked.account, asked.region).target_groups.get(asked.text("TargetGroupArn"))
    if group is not None and len(group.targets) + len(asked.arguments.get("Targets") or []) > TARGETS_LIMIT:
        raise Refused("TooManyTargets", f"You've reached the limit on the number of targets: {TARGETS_LIMIT}")


def target_group_is_unused(asked: Call) -> None:
    """A target group goes after the listeners and rules that send to it."""
    arn = asked.text("TargetGroupArn")
    if in_use(backends.elbv2(asked.account, asked.region), arn):
        raise Refused("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")


def load_balancer_is_deletable(asked: Call) -> None:
    """Deletion protection holds."""
    arn = asked.text("LoadBalancerArn")
    balancer = backends.elbv2(asked.account, asked.region).load_balancers.get(arn)
    if balancer is not None and balancer.attrs.get("deletion_protection.enabled") == "true":
        message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        raise Refused("OperationNotPermitted", message)


def in_use(backend: Any, target_group_arn: str) -> bool:
    """Whether a listener or a rule of it sends to a target group."""
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            actions = [*listener.default_actions, *(a for rule in listener.rules.values() for a in rule.actions)]
            if any(target_group_arn in json.dumps(action.data) for action in actions):
                return True
    return False


def _listener(asked: Call, arn: str) -> Any:
    for balancer in backends.elbv2(asked.account, asked.region).load_balancers.values():
        if arn in balancer.listeners:
            return balancer.listeners[arn]
    return None


def _values(condition: Any) -> int:
    inner = next((value for name, value in condition.items() if name.endswith("Config")), None)
    return len((inner or {}).get("Values") or condition.get("Values") or [])
