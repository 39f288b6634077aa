"""What a change opens to everybody, and what it loses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from herd.review.exposure import exposed, losses, permissions
from tests.herd.planning import UNKNOWN, event, plan

BALANCER, RULE = "aws:lb/loadBalancer:LoadBalancer", "aws:lb/listenerRule:ListenerRule"
INGRESS, BLOCK = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
)
POLICY, BUCKET_POLICY = "aws:iam/rolePolicy:RolePolicy", "aws:s3/bucketPolicy:BucketPolicy"
ON = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True}


def reading(principal: Any, **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "x", **more}
    return {"policy": json.dumps({"Statement": [statement]})}


def within(*actions: str) -> list[dict[str, Any]]:
    """A role's policies as they are written within the role."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": "x"}
    return [{"name": "p", "policy": json.dumps({"Statement": [statement]})}]


@pytest.mark.parametrize(
    ("type_", "old", "new", "told"),
    [
        pytest.param(BALANCER, None, {"internal": False}, "a load balancer that faces the internet", id="balancer"),
        pytest.param(BALANCER, None, {"internal": True}, None, id="internal balancer"),
        pytest.param(BALANCER, {"internal": False}, {"internal": False, "x": 1}, None, id="it did before"),
        pytest.param(
            INGRESS,
            None,
            {"cidrIpv4": "0.0.0.0/0", "fromPort": 443, "toPort": 443},
            "port 443 open to every address",
            id="port",
        ),
        pytest.param(
            INGRESS, None, {"cidrIpv6": "::/0", "ipProtocol": "-1"}, "every port open to every address", id="all ports"
        ),
        pytest.param(
            INGRESS,
            {"cidrIpv4": "10.0.0.0/8", "fromPort": 1, "toPort": 9},
            {"cidrIpv4": "0.0.0.0/0", "fromPort": 1, "toPort": 9},
            "ports 1 to 9 open to every address",
            id="widened",
        ),
        pytest.param(
            INGRESS,
            {"cidrIpv4": "10.0.0.0/8", "fromPort": 1, "toPort": 1},
            {"cidrIpv4": "128.0.0.0/1", "fromPort": 1, "toPort": 1},
            "port 1 open to every address",
            id="half of the world",
        ),
        pytest.param(
            "aws:ec2/securityGroup:SecurityGroup",
            None,
            {"ingress": [{"ipv6CidrBlocks": ["::/0"], "fromPort": 1, "toPort": 1}]},
            "port 1 open to every address",
            id="within a group",
        ),
        pytest.param(INGRESS, None, {"cidrIpv4": "10.0.0.0/8", "fromPort": 1, "toPort": 1}, None, id="company"),
        pytest.param(
            BLOCK,
            ON,
            {**ON, "blockPublicPolicy": False},
            "a bucket that may be made public: blockPublicPolicy off",
            id="block",
        ),
        pytest.param(BLOCK, None, ON, None, id="blocked"),
        pytest.param(BUCKET_POLICY, None, reading("*"), "everybody may s3:GetObject", id="bucket policy"),
        pytest.param(BUCKET_POLICY, None, reading({"AWS": ["*"]}), "everybody may s3:GetObject", id="in a list"),
        pytest.param(
            BUCKET_POLICY,
            None,
            reading("*", Condition={"StringEquals": {"aws:SourceAccount": "1"}}),
            None,
            id="narrowed by condition",
        ),
        pytest.param(BUCKET_POLICY, None, reading("*", Effect="Deny"), None, id="a denial"),
        pytest.param(BUCKET_POLICY, None, {"policy": UNKNOWN}, None, id="not known yet"),
        pytest.param(RULE, None, {"listenerArn": "a"}, "the service train answers everybody", id="a public service"),
        pytest.param(RULE, {"listenerArn": "a"}, {"listenerArn": "a", "priority": 2}, None, id="it did already"),
        pytest.param(
            RULE, {"listenerArn": "a"}, {"listenerArn": "b"}, "the service train answers everybody", id="moved"
        ),
        pytest.param(
            RULE,
            {"listenerArn": "a", "actions": [{"type": "authenticate-oidc"}, {"type": "forward"}]},
            {"listenerArn": "a", "actions": [{"type": "forward"}]},
            "the service train answers everybody",
            id="no sign-in any more",
        ),
    ],
)
def test_what_becomes_public(type_: str, old: Any, new: Any, told: str | None) -> None:
    told_event = event("update", type_, "x", old=old, new=new) if old else event("create", type_, "x", new=new)
    found = [text for _, text in exposed(plan(told_event).steps, frozenset({"train"}))]
    assert found == ([told] if told else [])


def test_a_route_of_a_service_that_is_not_public_is_no_news() -> None:
    assert not list(exposed(plan(event("create", RULE, "x", new={"listenerArn": "a"})).steps))


def test_what_is_lost() -> None:
    steps = plan(
        event("delete", "aws:s3/bucket:Bucket", "data", old={}),
        event("replace", "aws:ecs/taskDefinition:TaskDefinition", "task", old={}, new={}, keys=["cpu"]),
        event("update", "aws:sqs/queue:Queue", "q", old={}, new={}),
    ).steps
    assert [(step.name, text) for step, text in losses(steps)] == [("data", "every object in it"), ("task", "")]


@pytest.mark.parametrize(
    ("type_", "old", "new", "told"),
    [
        pytest.param(POLICY, {"policy": "{}"}, {"policy": UNKNOWN}, None, id="known only later"),
        pytest.param(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {},
            {"policyArn": "arn:x"},
            "all of arn:x",
            id="an attachment",
        ),
        pytest.param(
            "aws:iam/role:Role",
            {"permissionsBoundary": "arn:b"},
            {},
            "no boundary any more",
            id="a boundary dropped",
        ),
        pytest.param(
            "aws:iam/role:Role",
            {"managedPolicyArns": ["a"]},
            {"managedPolicyArns": ["a", "arn:admin"]},
            "all of arn:admin",
            id="a managed policy more",
        ),
        pytest.param(
            "aws:iam/role:Role",
            {"inlinePolicies": within("s3:GetObject")},
            {"inlinePolicies": within("s3:GetObject", "s3:PutObject")},
            "s3:PutObject",
            id="more in a policy within the role",
        ),
    ],
)
def test_what_is_permitted_beside_documents(type_: str, old: Any, new: Any, told: str | None) -> None:
    (found,) = permissions(plan(event("update", type_, "x", old=old, new=new)).steps)
    assert (found.widenings and found.widenings[0].actions) == ((told,) if told else None)


def test_less_in_a_policy_within_a_role_is_no_news() -> None:
    old, new = within("s3:GetObject", "s3:PutObject"), within("s3:GetObject")
    told = event("update", "aws:iam/role:Role", "x", old={"inlinePolicies": old}, new={"inlinePolicies": new})
    assert not list(permissions(plan(told).steps))
