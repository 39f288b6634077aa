"""What a plan makes public, what it loses, and which permissions it widens. Pure functions of the plan's steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from herd.engine.plan import Inputs, Step
from herd.policy.network import is_world
from herd.review.iam_changes import DOCUMENTS, UNKNOWN, Widening, widened

BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

NARROWING = ("aws:SourceAccount", "aws:SourceArn", "aws:PrincipalOrgID", "aws:PrincipalAccount", "aws:SourceVpc")
"""Condition keys that restrict a policy for principal `*` to few."""

LOST = {
    "aws:s3:Bucket": "every object in it",
    "aws:ecr:Repository": "every image in it; what runs from one cannot start again",
    "aws:cloudwatch:LogGroup": "every log line in it",
    "aws:kms:Key": "what is encrypted with it, once its waiting period has passed",
    "aws:secretsmanager:Secret": "its value",
    "aws:sqs:Queue": "the messages in it",
    "aws:sfn:StateMachine": "its runs: those under way are stopped, the history goes",
    "aws:lb:LoadBalancer": "its address: people and programs must use another one",
    "aws:cloudfront:Distribution": "its address: people and programs must use another one",
    "aws:ecs:Service": "its running copies; nothing answers until new ones are healthy",
    "aws:ecs:Cluster": "everything that runs in it",
    "aws:ec2:Vpc": "everything in it has to move to another network",
    "aws:ec2:Subnet": "everything in it has to move to another network",
    "aws:route53:Zone": "every name in it",
    "aws:route53:Record": "the name: it leads nowhere",
    "aws:acm:Certificate": "the certificate: HTTPS with it ends",
    "aws:autoscaling:Group": "its machines and what runs on them",
    "aws:iam:OpenIdConnectProvider": "everybody who signs in by it",
    "aws:rds:Instance": "the database",
    "aws:efs:FileSystem": "every file in it",
    "aws:dynamodb:Table": "every item in it",
}
"""Type -> what is lost with a resource. With other types nothing is lost but the resource itself."""


@dataclass(frozen=True)
class Permission:
    """What one policy document newly permits; `widenings` is None if that is unknown before the update."""

    step: Step
    widenings: tuple[Widening, ...] | None


def losses(steps: Iterable[Step]) -> Iterator[tuple[Step, str]]:
    """Each resource that is deleted or replaced, with what is lost with it; "" for nothing."""
    for step in steps:
        if step.operation in ("delete", "replace"):
            yield step, LOST.get(step.type, "")


def exposed(steps: Iterable[Step], public_services: frozenset[str] = frozenset()) -> Iterator[tuple[Step, str]]:
    """Each change by which something becomes reachable or readable for everybody, with a text that says what."""
    for step in steps:
        if step.operation == "delete":
            continue
        openings = set(_openings(step, step.new)) - set(_openings(step, step.old) if step.old else ())
        if step.type == "aws:lb:ListenerRule" and step.group in public_services and _opens_route(step):
            openings.add(f"the service {step.group} answers everybody")
        yield from ((step, text) for text in sorted(openings))


def _opens_route(step: Step) -> bool:
    def open_(inputs: Inputs) -> bool:
        guarded = any(str(action.get("type", "")).startswith("authenticate") for action in _tables(inputs, "actions"))
        return not guarded and not any(condition.get("sourceIp") for condition in _tables(inputs, "conditions"))

    moved = not step.old or step.old.get("listenerArn") != step.new.get("listenerArn")
    return open_(step.new) and (moved or not open_(step.old))


def _tables(inputs: Inputs, key: str) -> list[dict[str, Any]]:
    value = inputs.get(key)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _openings(step: Step, inputs: Inputs) -> Iterator[str]:
    match step.type:
        case "aws:lb:LoadBalancer":
            if not inputs.get("internal", False):
                yield "a load balancer that faces the internet"
        case "aws:vpc:SecurityGroupIngressRule":
            if any(map(is_world, (inputs.get("cidrIpv4"), inputs.get("cidrIpv6")))):
                yield f"{_ports(inputs)} open to every address"
        case "aws:ec2:SecurityGroup":
            for rule in inputs.get("ingress") or ():
                if isinstance(rule, dict) and any(map(is_world, _sources(rule))):
                    yield f"{_ports(rule)} open to every address"
        case "aws:ec2:SecurityGroupRule":
            if inputs.get("type") == "ingress" and any(map(is_world, _sources(inputs))):
                yield f"{_ports(inputs)} open to every address"
        case "aws:s3:BucketPublicAccessBlock":
            off = [name for name in BLOCKS if inputs.get(name) is not True]
            if off:
                yield f"a bucket that may be made public: {', '.join(off)} off"
        case "aws:cloudfront:Distribution":
            if inputs.get("enabled", True):
                yield "pages that CloudFront serves to everybody"
        case "aws:lambda:FunctionUrl":
            if inputs.get("authorizationType") == "NONE":
                yield "an address that anybody may call"
        case "aws:rds:Instance":
            if inputs.get("publiclyAccessible"):
                yield "a database with a public address"
        case _:
            pass
    if step.type in DOCUMENTS and step.type != "aws:iam:Role":
        yield from _everybody(inputs.get(DOCUMENTS[step.type]))


def _sources(rule: Inputs) -> list[Any]:
    return _flat([rule.get("cidrBlocks") or [], rule.get("ipv6CidrBlocks") or []])


def _everybody(document: Any) -> Iterator[str]:
    """A text for each statement of a resource policy that allows everybody something."""
    try:
        policy = json.loads(document) if isinstance(document, str) else document or {}
        statements = policy.get("Statement") or []
        for statement in statements if isinstance(statements, list) else [statements]:
            who = statement.get("Principal")
            anybody = who == "*" or (isinstance(who, dict) and "*" in _flat(who.values()))
            narrowed = any(key in json.dumps(statement.get("Condition") or {}) for key in NARROWING)
            if statement.get("Effect") == "Allow" and anybody and not narrowed:
                actions = sorted(map(str, _flat([statement.get("Action") or "everything"])))
                yield f"everybody may {', '.join(actions)}"
    except (ValueError, AttributeError, TypeError):
        return


def permissions(steps: Iterable[Step]) -> Iterator[Permission]:
    """Each policy document that becomes wider, and each attachment of a policy."""
    for step in steps:
        if step.operation == "delete":
            continue
        if step.type == "aws:iam:RolePolicyAttachment":
            if step.old.get("policyArn") != step.new.get("policyArn"):
                yield Permission(step, (Widening((f"all of {_text(step.new.get('policyArn'))}",), ()),))
            continue
        if step.type == "aws:iam:Role":
            yield from _role(step)
        key = DOCUMENTS.get(step.type)
        if key is None:
            continue
        widenings = _widened(step.old.get(key) if step.old else None, step.new.get(key))
        if widenings is None or widenings:
            yield Permission(step, None if widenings is None else tuple(widenings))


def _widened(old: Any, new: Any) -> list[Widening] | None:
    if _is_unknown(new) and old == new:
        return []
    return None if _is_unknown(new) else widened(old, new)


def _role(step: Step) -> Iterator[Permission]:
    """What a role gains beside its trust policy: by losing its boundary, by inline and by managed policies."""
    before, after = step.old.get("permissionsBoundary"), step.new.get("permissionsBoundary")
    if before and before != after:
        what = f"another boundary, {_text(after)}" if after else "no boundary any more"
        yield Permission(step, (Widening((what,), ()),))
    inline = _inline(step.old)
    for name, document in sorted(_inline(step.new).items()):
        widenings = _widened(inline.get(name), document)
        if widenings is None or widenings:
            yield Permission(step, None if widenings is None else tuple(widenings))
    gained = [
        arn
        for arn in _flat([step.new.get("managedPolicyArns") or []])
        if arn not in _flat([step.old.get("managedPolicyArns") or []])
    ]
    if gained:
        yield Permission(step, tuple(Widening((f"all of {_text(arn)}",), ()) for arn in sorted(map(str, gained))))


def _inline(inputs: Inputs) -> dict[str, Any]:
    """The policies that are written within a role, by name."""
    return {str(policy.get("name", "")): policy.get("policy") for policy in _tables(inputs, "inlinePolicies")}


def _ports(rule: Inputs) -> str:
    first, last = rule.get("fromPort"), rule.get("toPort")
    if rule.get("ipProtocol", rule.get("protocol")) in ("-1", -1, "all") or first is None:
        return "every port"
    ports = f"port {first:g}" if isinstance(first, int | float) else f"port {first}"
    return ports if first == last else f"ports {first} to {last}"


def _text(value: Any) -> str:
    return "a policy that the update makes" if value is None or _is_unknown(value) else str(value)


def _is_unknown(value: Any) -> bool:
    return UNKNOWN in value if isinstance(value, str) else isinstance(value, dict) and UNKNOWN in json.dumps(value)


def _flat(values: Iterable[Any]) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]
