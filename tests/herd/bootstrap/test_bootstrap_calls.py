"""What the AWS provider calls for each type and look-up in use, held against the two roles by the evaluator."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from herd.bootstrap import grants, permissions
from herd.bootstrap.api_calls import BY_AN_ADMINISTRATOR, LOOK_UPS, PHASES, TYPES
from herd.bootstrap.grants import ON
from tests.herd.bootstrap.conftest import SCOPE
from tests.herd.bootstrap.test_bootstrap_permissions import (
    BOUND,
    DEPLOY,
    DEV,
    HERE,
    KEY,
    PREVIEW,
    ROLE,
    SECRET,
    allowed,
)
from tests.herd.infra.program.mocks import ACCOUNT, REGION, Program
from tests.herd.policy.program import ENVIRONMENTS, program

pytestmark = pytest.mark.xdist_group("program-environments")  # the runs of tests.herd.policy.program

ANY = {"*": HERE}
"""What AWS checks on no resource is checked on `*`."""

REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python"
THINGS: dict[str, dict[str, dict[str, Any]]] = {
    # kind -> a resource of an environment as AWS names it -> condition keys of the request
    "account": {"*": {}},
    "adopted-buckets": {"arn:aws:s3:::herd-prod-123456789012-data": {}},
    "alarm-lists": ANY,
    "alarms": {f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:herd-prod-watch_silent": {}},
    "all-machines": {f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:*": {}, "*": {}},
    "balancing": ANY,
    "bounded-roles": {f"{ROLE}/herd-prod/tasks/model": BOUND},
    "boundary": {SCOPE.boundary_arn: {}},
    "buckets": {DEV: {}},
    "cdn": {f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1": {}, "*": {"aws:requestedregion": "us-east-1"}},
    "certificate-lists": {"*": {}},
    "certificates": {f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1": HERE},
    "dns-changes": {"arn:aws:route53:::change/C1": {"aws:requestedregion": "us-east-1"}},
    "ecs": {
        f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/herd-prod": {},
        f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/herd-prod/herd-prod-api": {},
        f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/herd-prod-model:7": {},
        f"arn:aws:ecs:{REGION}:{ACCOUNT}:capacity-provider/herd-prod-vm": {},
    },
    "ecs-lists": ANY,
    "event-rules": {f"arn:aws:events:{REGION}:{ACCOUNT}:rule/herd-prod-watch_ticks": {}},
    "functions": {f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:herd-prod-watch": {}},
    "instance-group-lists": ANY,
    "instance-groups": {
        f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:0123:autoScalingGroupName/herd-prod-vm": HERE
    },
    "instance-profiles": {f"arn:aws:iam::{ACCOUNT}:instance-profile/herd-prod/herd-prod-instances": {}},
    "key-descriptions": {KEY: {}},
    "key-lists": ANY,
    "keys": {KEY: HERE, f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/herd-prod": HERE},
    "lists": ANY,
    "log-group-lists": {"*": {}},
    "log-groups": {
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/herd-prod/model": {},
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/herd-prod/model:*": {},
    },
    "machines": {f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:herd-prod-model": {}},
    "network": {f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1": HERE, "*": HERE},
    "network-lists": {"*": {}},
    "objects": {f"{DEV}/model/latest.json": {}},
    "passed-roles": {f"{ROLE}/herd-prod/tasks/model": {"iam:passedtoservice": service} for service in grants.PASSED_TO},
    "passed-watch-role": {f"{ROLE}/herd-prod/herd-prod-watch": {"iam:passedtoservice": "lambda.amazonaws.com"}},
    "queues": {f"arn:aws:sqs:{REGION}:{ACCOUNT}:herd-prod-undelivered": {}},
    "registry": {"*": HERE},
    "repositories": {f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd-dev/python": {}},
    "roles": {f"{ROLE}/herd-prod/tasks/model": {}},
    "scaling": {f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/0a": HERE, "*": HERE},
    "schedules": {
        f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/herd-prod/herd-prod-model": {},
        f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/herd-prod": {},
    },
    "mail-identities": {f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/reports@acme.org": {}},
    "secrets": {SECRET: {}},
    "service-roles": {f"{ROLE}/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS": {}},
    "tags": {"*": {}},
    "topics": {f"arn:aws:sns:{REGION}:{ACCOUNT}:herd-prod-messages": {}},
    "zone-lists": {"*": {}},
    "zones": {"arn:aws:route53:::hostedzone/Z1": {"aws:requestedregion": "us-east-1"}},
}


def asked(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from THINGS[kind].items()


def declared() -> set[str]:
    found = {resource.type for name in ENVIRONMENTS for resource in program(name).resources}
    return {kind.removeprefix("aws:") for kind in found if kind.startswith("aws:")}


def test_every_type_in_use_has_its_calls_and_none_is_there_in_vain(foundation: Program) -> None:
    bootstrap = {one.type.removeprefix("aws:") for one in foundation.resources if one.type.startswith("aws:")}
    assert declared() <= TYPES.keys() and bootstrap <= TYPES.keys() | set(BY_AN_ADMINISTRATOR)
    assert TYPES.keys() <= declared() | bootstrap


def test_every_look_up_in_use_has_its_calls(pytestconfig: pytest.Config) -> None:
    found = set()
    for folder in ("infra", "bootstrap"):
        for file in (pytestconfig.rootpath / "src/herd" / folder).rglob("*.py"):
            for module, name in re.findall(r"from pulumi_aws\.(?:(\w+)\.)?(get_\w+) import", file.read_text()):
                function = re.sub(r"_(\w)", lambda match: match[1].upper(), name)
                found.add(f"{module}.{function}" if module else function)
    assert found == LOOK_UPS.keys()


@pytest.mark.parametrize("kind", TYPES)
def test_a_deployment_may_make_read_change_and_remove_each_type(kind: str) -> None:
    missing = [
        (phase, action, resource)
        for phase in PHASES
        for action, on in TYPES[kind].actions(phase)
        for resource, context in asked(on)
        if not allowed(DEPLOY, action, resource, **context)
    ]
    assert missing == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_preview_may_read_each_type_and_nothing_more(kind: str) -> None:
    reads = set(TYPES[kind].actions("read"))
    for action, on in TYPES[kind].actions(*PHASES):
        for resource, context in asked(on):
            if (action, on) in reads:
                assert allowed(PREVIEW, action, resource, **context), (action, resource)
            elif not re.search(r":(Describe|Get|List)", action):
                assert not allowed(PREVIEW, action, resource, **context), (action, resource)


def test_both_roles_may_look_up_what_the_program_looks_up() -> None:
    for entries in LOOK_UPS.values():
        for entry in entries.split():
            action, _, on = entry.partition("@")
            for resource, context in asked(on):
                for granted in (DEPLOY, PREVIEW):
                    assert allowed(granted, action, resource, **context), (action, resource)


def test_every_kind_is_tried_and_used() -> None:
    used = {on for calls in TYPES.values() for _, on in calls.actions(*PHASES)}
    used |= {entry.partition("@")[2] for entries in LOOK_UPS.values() for entry in entries.split()}
    assert used <= ON.keys() and used <= THINGS.keys()
    assert {kind for kind, on in ON.items() if not on.herd} <= used


def test_reading_reads() -> None:
    """No row puts under `read` what changes something, which every branch's code could then do."""
    for kind, calls in TYPES.items():
        for action, _ in calls.actions("read"):
            assert re.search(r":(Describe|Get|List|Validate)", action), (kind, action)
            assert action not in ("secretsmanager:GetSecretValue", "s3:GetObject", "ssm:GetParameter"), kind


def test_a_bucket_of_another_name_is_reached_where_it_is_adopted_and_only_there() -> None:
    scope = replace(SCOPE, adopted_buckets=("acme-lake",))
    look_ups, data = [grants.look_ups(scope)], [grants.deployment(scope)["deploy-data"]]
    lake = "arn:aws:s3:::acme-lake"
    for action in ("s3:ListBucket", "s3:GetBucketLocation", "s3:GetBucketTagging"):
        assert allowed(look_ups, action, lake) and not allowed([grants.look_ups(SCOPE)], action, lake)
    assert allowed(data, "s3:GetObject", f"{lake}/_runs/model/1.json")
    for action in ("s3:GetObject", "s3:DeleteObject", "s3:PutObject"):
        assert not allowed(data, action, f"{lake}/model/a"), action
    for action in ("s3:DeleteBucket", "s3:PutBucketPolicy", "s3:TagResource"):
        assert not allowed(data, action, lake), action
    limit = [permissions.boundary(scope)]
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert allowed(limit, action, f"{lake}/model/a") and not allowed(limit, action, "arn:aws:s3:::other/model/a")
