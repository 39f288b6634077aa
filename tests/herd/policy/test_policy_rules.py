"""Each rule passes what is good, finds what is bad, and says so in words; nothing that is not known yet is a fault."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from herd.policy import tasks
from herd.policy.catalogue import BY_ID, CONCERNS, RULES, examine
from herd.policy.model import UNKNOWN, Finding, Resource, Stack
from tests.herd.policy.fixtures import DEV, JOB, PROD, RESOURCES, STACKS, Fixture, policy, task

ROOT = Path(__file__).parents[3]


def test_every_rule_has_a_fixture() -> None:
    assert RESOURCES.keys() | STACKS.keys() == BY_ID.keys()
    assert all(fixture.bad for fixture in (*RESOURCES.values(), *STACKS.values()))


def _cases(fixtures: dict[str, Fixture]) -> list[Any]:
    return [
        pytest.param(rule, text, bad, fixture.stack, id=f"{rule}: {text}")
        for rule, fixture in fixtures.items()
        for text, bad in fixture.bad.items()
    ]


def _of(rule: str, props: dict[str, Any]) -> Resource:
    return Resource(BY_ID[rule].types[0], "it", props)


def problems(rule: str, resources: list[Resource], stack: Stack) -> list[str]:
    return [finding.problem for finding in examine(resources, stack) if finding.rule.id == rule]


@pytest.mark.parametrize("rule", RESOURCES)
def test_good_resources_pass(rule: str) -> None:
    fixture = RESOURCES[rule]
    for good in fixture.good:
        types = [kind for kind in BY_ID[rule].types if _fits(rule, kind, good)]
        for kind in types:
            assert not problems(rule, [Resource(kind, "it", good)], fixture.stack), kind


def _fits(rule: str, kind: str, props: dict[str, Any]) -> bool:
    """Rules for several types have one fixture each for those whose inputs differ."""
    if rule == "buckets-not-public":
        return ("policy" in props) == kind.endswith("BucketPolicy")
    if rule in ("iam-own-policies", "encrypted-with-own-key", "messages-encrypted"):
        return kind == BY_ID[rule].types[0] or "kmsMasterKeyId" in props
    return True


@pytest.mark.parametrize(("rule", "text", "props", "stack"), _cases(RESOURCES))
def test_bad_resources_are_found(rule: str, text: str, props: dict[str, Any], stack: Stack) -> None:
    kinds = [kind for kind in BY_ID[rule].types if _fits_bad(rule, kind, props)]
    found = problems(rule, [Resource(kinds[0], "it", props)], stack)
    assert any(text in problem for problem in found), found


def _fits_bad(rule: str, kind: str, props: dict[str, Any]) -> bool:
    if rule == "messages-encrypted":
        return kind.endswith("Queue")
    return _fits(rule, kind, props)


@pytest.mark.parametrize("rule", STACKS)
def test_good_stacks_pass(rule: str) -> None:
    stack = PROD if rule in ("prod-as-prod", "protected-logged") else STACKS[rule].stack
    for good in STACKS[rule].good:
        assert not problems(rule, good, stack)


@pytest.mark.parametrize(("rule", "text", "resources", "stack"), _cases(STACKS))
def test_bad_stacks_are_found(rule: str, text: str, resources: list[Resource], stack: Stack) -> None:
    found = problems(rule, resources, stack)
    assert any(text in problem for problem in found), found


@pytest.mark.parametrize(
    ("settings", "rule", "found"),
    [
        ({"flow_logs": "false"}, "protected-logged", 1),
        ({"flow_logs": "false", "vpc": "vpc-1"}, "protected-logged", 0),
        ({"access_logs": "false", "vpc": "vpc-1"}, "protected-logged", 1),
        ({"flow_logs": "false", "protect": "false"}, "protected-logged", 0),
        ({"flow_logs": "false", "protect": "false"}, "prod-as-prod", 2),
        ({"flow_logs": "false"}, "prod-as-prod", 0),
        ({"profile": "dev", "protect": "true"}, "protected-logged", 0),
    ],
)
def test_logs_of_what_is_protected_are_kept(settings: dict[str, str], rule: str, found: int) -> None:
    told = {f"herd:{name}": value for name, value in {"profile": "prod", **settings}.items()}
    assert len(problems(rule, [], Stack("prod", "herd", told))) == found


def _topic(*services: str) -> Resource:
    statement = {"Effect": "Allow", "Action": "sns:Publish", "Resource": "t", "Principal": {"Service": [*services]}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return Resource("aws:sns/topic:Topic", "t", {"policy": policy})


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        (_topic("cloudwatch.amazonaws.com"), 0),
        (_topic("cloudwatch.amazonaws.com", "events.amazonaws.com"), 1),
        (Resource("aws:sns/topic:Topic", "t", {}), 1),
    ],
    ids=["alarms alone", "events too", "of everybody in the account"],
)
def test_a_topic_of_alarms_alone_needs_no_key_that_could_silence_it(topic: Resource, found: int) -> None:
    assert len(problems("encrypted-with-own-key", [topic], PROD)) == found


MORE = {
    "a group's own rule": (
        "network-world-ports",
        Resource(
            "aws:ec2/securityGroup:SecurityGroup",
            "g",
            {
                "description": "x",
                "ingress": [{"cidrBlocks": ["0.0.0.0/0"], "protocol": "tcp", "fromPort": 22, "toPort": 22}],
            },
        ),
    ),
    "the old resource for rules": (
        "network-narrow",
        Resource(
            "aws:ec2/securityGroupRule:SecurityGroupRule",
            "r",
            {"type": "egress", "protocol": "-1", "cidrBlocks": ["0.0.0.0/0"], "fromPort": 0, "toPort": 0},
        ),
    ),
    "a wide range to the world": (
        "network-narrow",
        Resource(
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            "r",
            {"ipProtocol": "tcp", "cidrIpv4": "0.0.0.0/0", "fromPort": 0, "toPort": 65535},
        ),
    ),
    **{
        f"the world as {source}": (
            "network-world-ports",
            Resource(
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
                "r",
                {"ipProtocol": "tcp", key: source, "fromPort": 22, "toPort": 22},
            ),
        )
        for key, source in {"cidrIpv4": "128.0.0.0/1", "cidrIpv6": "2000::/3"}.items()
    },
    "a topic that alarms cannot use": (
        "messages-encrypted",
        Resource("aws:sns/topic:Topic", "t", {"kmsMasterKeyId": "alias/aws/sns"}),
    ),
    "an attached policy of AWS": (
        "iam-own-policies",
        Resource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "a",
            {"policyArn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"},
        ),
    ),
    **{
        f"{rule}, written within a role": (
            rule,
            Resource("aws:iam/role:Role", "r", {"inlinePolicies": [{"name": "p", **text}]}),
        )
        for rule, text in {
            "iam-no-star": policy("*", "*"),
            "iam-pass-role-bound": policy("iam:PassRole", "*"),
            "iam-run-task-in-cluster": policy("ecs:RunTask"),
            "iam-readable": {"policy": "{"},
        }.items()
    },
    "a parameter that is a secret": (
        "secrets-not-in-state",
        Resource("aws:ssm/parameter:Parameter", "p", {"name": "/x/db-password", "type": "String"}),
    ),
    "dev that could not be removed": ("kept-as-the-profile-says", Resource("aws:s3/bucket:Bucket", "b", {})),
    "dev's protected balancer": (
        "balancers-protected",
        Resource("aws:lb/loadBalancer:LoadBalancer", "b", {"enableDeletionProtection": True}),
    ),
    "one role twice, before AWS has named it": (
        "tasks-two-roles",
        Resource(
            "aws:ecs/taskDefinition:TaskDefinition",
            "t",
            {"executionRoleArn": UNKNOWN, "taskRoleArn": UNKNOWN},
            links={"executionRoleArn": frozenset({"urn:r"}), "taskRoleArn": frozenset({"urn:r"})},
        ),
    ),
}


@pytest.mark.parametrize(("rule", "resource"), MORE.values(), ids=MORE)
def test_more_that_is_found(rule: str, resource: Resource) -> None:
    assert problems(rule, [resource], DEV)


@pytest.mark.parametrize("source", ["10.0.0.0/8", "203.0.113.0/24", "fd00::/8", UNKNOWN, None])
def test_a_network_that_belongs_to_somebody_is_not_the_world(source: Any) -> None:
    rule = {"description": "x", "ipProtocol": "tcp", "cidrIpv4": source, "fromPort": 22, "toPort": 22}
    assert not problems("network-world-ports", [Resource(BY_ID["network-world-ports"].types[0], "r", rule)], DEV)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.check], ids=lambda rule: rule.id)
def test_what_is_not_known_yet_is_no_fault(rule: Any) -> None:
    """A first preview knows no ARN, no id and no image: every input of every fixture, one after the other, unknown."""
    fixture = RESOURCES[rule.id]
    for good in fixture.good:
        for key in good:
            for kind in (kind for kind in rule.types if _fits(rule.id, kind, good)):
                found = problems(rule.id, [Resource(kind, "it", {**good, key: UNKNOWN})], fixture.stack)
                assert not found, (kind, key)


def test_a_setting_left_to_the_profile_is_the_profiles() -> None:
    left = Stack("prod", "herd", {"herd:profile": "prod", "herd:protect": "profile"})
    off = Stack("prod", "herd", {"herd:profile": "prod", "herd:protect": "false"})
    assert left.on("protect") and not off.on("protect") and not DEV.on("protect")
    assert left.setting("network", dev="public", prod="nat") == "nat"


def test_a_finding_names_file_resource_and_control() -> None:
    resource = Resource("aws:ecs/taskDefinition:TaskDefinition", "train-task", task(user="root"), parent=JOB)
    (found,) = [f for f in examine([resource], DEV) if f.rule.id == "tasks-not-root"]
    assert str(found) == (
        "jobs/train/workload.toml: train-task: container main runs as root; set `user` (tasks-not-root, AWS ECS.20)"
    )
    shared = Resource("aws:ec2/vpc:Vpc", "network-vpc", {}, parent="urn:pulumi:dev::herd::herd:infra:Network::network")
    assert str(Finding(BY_ID["network-default-group-empty"], shared, "x")).startswith("environment: network-vpc: x")


def test_a_finding_never_shows_the_value_of_a_variable() -> None:
    for name, value in {"DB_PASSWORD": "hunter2hunter2", "DATABASE_URL": "postgresql://ada:hunter2@db/x"}.items():
        reason = tasks.looks_secret(name, value)
        assert reason and "hunter2" not in reason


NO_SECRETS = {
    "HERD_WORKLOAD": "delay-model",
    "TARGET": "arr_delay",
    "TOKENIZER": "bert-base-multilingual-cased",
    "SECRET_NAME": "openweather-key",
    "BUCKET": "herd-prod-123456789012-eu-west-1-data",
    "ENDPOINT": "https://api.example.com/v1/forecast?units=metric",
    "IMAGE": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "RUN": "0190a2f4-7c3e-7d40-9a51-1f6a3c2b4d5e",
    "COLUMNS": "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time",
    "PYTHONPATH": "/opt/herd/lib/features:/opt/herd/lib/reporting",
    "EMPTY_PASSWORD": "",
    "MAX_TOKENS": "4096",
}


@pytest.mark.parametrize("name", NO_SECRETS)
def test_what_only_resembles_a_secret(name: str) -> None:
    assert tasks.looks_secret(name, NO_SECRETS[name]) == ""


def test_ids_reasons_and_links() -> None:
    for rule in RULES:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.id)
        assert rule.says.endswith(".") and rule.why.endswith("."), rule.id
        assert re.match(r"https://docs\.(aws\.amazon|github)\.com/", rule.link), rule.id
        assert (rule.check is None) != (rule.whole is None)
    for concern in CONCERNS.values():
        assert concern.rules.all


def test_rules_need_no_packages() -> None:
    """They start with every preview: importing them takes milliseconds, and nothing but Python itself."""
    program = "import sys; import herd.policy.catalogue, herd.policy.exceptions; print(sorted(m for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert not loaded & {"pulumi", "grpc", "pydantic", "herd.infra", "herd.console", "boto3"}
