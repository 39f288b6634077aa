"""What the boundary and the two roles may and may not do, judged by the evaluator of the local cloud."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from herd.bootstrap import grants, permissions
from herd.bootstrap.permissions import MANAGED_POLICY_CHARACTERS
from herd.infra.permissions.workload import allow, document
from localcloud.iam import documents
from localcloud.iam.evaluation import Access, Policies, Who, decide
from tests.herd.bootstrap.conftest import SCOPE
from tests.herd.infra.program.mocks import ACCOUNT, REGION, Program
from tests.herd.policy.program import program

pytestmark = pytest.mark.xdist_group("program-environments")  # the runs of tests.herd.policy.program

BOUNDARY = permissions.boundary(SCOPE)
DEPLOY = [
    grants.state_access(SCOPE, write=True),
    grants.look_ups(SCOPE),
    *grants.deployment(SCOPE).values(),
]
PREVIEW = [grants.state_access(SCOPE, write=False), grants.look_ups(SCOPE), grants.reads(SCOPE)]
ROLES = {"deploy": DEPLOY, "preview": PREVIEW}

STATE = f"arn:aws:s3:::herd-{ACCOUNT}-state"
KEPT = f"arn:aws:s3:::herd-prod-{ACCOUNT}-data"
REPORTS = f"arn:aws:s3:::herd-prod-{ACCOUNT}-reports"
DEV = f"arn:aws:s3:::herd-dev-{ACCOUNT}-data"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:herd-prod/api-AbCdEf"
BOUND = {"iam:permissionsboundary": SCOPE.boundary_arn}
HERE = {"aws:requestedregion": REGION}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
STATE_KEY = {"kms:resourcealiases": ["alias/herd-state"]}
ANY_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:*"


def allowed(granted: list[dict[str, Any]], action: str, resource: str, **context: Any) -> bool:
    identity = tuple(documents.read(json.dumps(document)) for document in granted)
    return decide(Access(action, resource), Who(), Policies(identity=identity), context).allowed


READS = ("secretsmanager:DescribeSecret", "states:ValidateStateMachineDefinition", "s3:ListTagsForResource")

CASES: list[tuple[str, str, str, dict[str, Any], bool]] = [
    # role, action, resource, condition keys, whether
    ("preview", "s3:GetObject", f"{STATE}/.pulumi/stacks/herd/prod.json", {}, True),
    ("preview", "s3:PutObject", f"{STATE}/.pulumi/stacks/herd/prod.json", {}, False),
    ("preview", "s3:DeleteObject", f"{STATE}/.pulumi/stacks/herd/prod.json", {}, False),
    ("preview", "kms:Decrypt", KEY, STATE_KEY, True),
    ("preview", "kms:Decrypt", KEY, {"kms:resourcealiases": ["alias/x"]}, False),
    ("preview", "kms:Encrypt", KEY, STATE_KEY, False),
    ("preview", "secretsmanager:DescribeSecret", SECRET, {}, True),
    ("preview", "secretsmanager:GetSecretValue", SECRET, {}, False),
    ("preview", "s3:GetObject", f"{KEPT}/model/latest.json", {}, False),
    ("preview", "s3:ListBucket", KEPT, {}, True),
    ("preview", "s3:GetAccountPublicAccessBlock", "*", {}, True),
    ("preview", "states:ValidateStateMachineDefinition", ANY_MACHINE, {}, True),
    ("deploy", "states:ValidateStateMachineDefinition", ANY_MACHINE, {}, True),
    ("deploy", "kms:RetireGrant", KEY, HERE, True),
    ("deploy", "kms:RetireGrant", KEY, {**HERE, **STATE_KEY}, False),
    ("deploy", "s3:PutObject", f"{REPORTS}/page/index.html", {}, True),
    ("deploy", "s3:PutObject", f"{REPORTS}/page/r1/style.css", {}, False),
    ("deploy", "s3:PutObject", f"{KEPT}/page/versions/r1/index.html", {}, False),
    ("preview", "s3:PutObject", f"{REPORTS}/page/index.html", {}, False),
    ("deploy", "s3:TagResource", DEV, {}, True),
    ("deploy", "s3:UntagResource", DEV, {}, True),
    ("deploy", "s3:ListTagsForResource", DEV, {}, True),
    ("deploy", "s3:TagResource", KEPT, {}, False),
    ("deploy", "s3:UntagResource", KEPT, {}, False),
    ("preview", "s3:ListTagsForResource", DEV, {}, True),
    ("preview", "s3:TagResource", DEV, {}, False),
    ("preview", "ecs:RunTask", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/herd-prod-x:1", {}, False),
    ("preview", "iam:PassRole", f"{ROLE}/herd-prod/tasks/x", {}, False),
    ("preview", "iam:CreateRole", f"{ROLE}/herd-prod/x", BOUND, False),
    ("preview", "sts:AssumeRole", f"{ROLE}/herd-deploy", {}, False),
    ("preview", "s3:GetObject", f"{DEV}/_runs/model/1.json", {}, False),
    ("preview", "s3:ListBucket", "arn:aws:s3:::payroll", {}, False),
    ("preview", "ecr:DescribeImages", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python", {}, True),
    ("preview", "ecr:GetAuthorizationToken", "*", HERE, False),
    ("deploy", "ecr:GetAuthorizationToken", "*", HERE, True),
    ("deploy", "ecr:PutImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python", {}, True),
    ("preview", "ecr:PutImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python", {}, False),
    ("preview", "ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python", {}, False),
    (
        "preview",
        "logs:GetLogEvents",
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/herd-prod/api:log-stream:x",
        {},
        False,
    ),
    ("preview", "route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1", {}, False),
    ("preview", "iam:GetPolicy", SCOPE.boundary_arn, {}, True),
    ("preview", "iam:CreatePolicyVersion", SCOPE.boundary_arn, {}, False),
    (
        "deploy",
        "logs:CreateLogGroup",
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/ecs/containerinsights/herd-prod/performance",
        {},
        True,
    ),
    (
        "deploy",
        "logs:DeleteLogGroup",
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/ecs/containerinsights/payroll/performance",
        {},
        False,
    ),
    ("deploy", "s3:PutObject", f"{STATE}/.pulumi/stacks/herd/prod.json", {}, True),
    ("deploy", "s3:PutObject", f"{STATE}/.pulumi/history/herd/prod/prod-1.history.json", {}, True),
    ("deploy", "s3:PutObject", f"{STATE}/.pulumi/locks/organization/herd/prod/1.json", {}, True),
    ("deploy", "s3:DeleteObject", f"{STATE}/.pulumi/locks/organization/herd/prod/1.json", {}, True),
    ("deploy", "s3:PutObject", f"{STATE}/.pulumi/stacks/herd-bootstrap/main.json", {}, False),
    ("deploy", "s3:DeleteObject", f"{STATE}/.pulumi/stacks/herd-bootstrap/main.json", {}, False),
    ("deploy", "s3:PutObject", f"{STATE}/.pulumi/stacks/payroll/prod.json", {}, False),
    ("deploy", "s3:DeleteObjectVersion", f"{STATE}/.pulumi/stacks/herd/prod.json", {}, False),
    ("deploy", "s3:PutBucketVersioning", STATE, {}, False),
    ("deploy", "s3:DeleteBucket", STATE, {}, False),
    ("deploy", "s3:PutBucketPolicy", STATE, {}, False),
    ("deploy", "s3:DeleteBucket", DEV, {}, True),
    ("deploy", "s3:DeleteObjectVersion", f"{DEV}/model/latest.json", {}, True),
    ("deploy", "kms:Encrypt", KEY, STATE_KEY, True),
    ("deploy", "kms:ScheduleKeyDeletion", KEY, {**HERE, **STATE_KEY}, False),
    ("deploy", "kms:PutKeyPolicy", KEY, {**HERE, **STATE_KEY}, False),
    ("deploy", "kms:DeleteAlias", KEY, {**HERE, **STATE_KEY}, False),
    ("deploy", "kms:DeleteAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/herd-state", HERE, False),
    ("deploy", "kms:ScheduleKeyDeletion", KEY, {**HERE, "kms:resourcealiases": ["alias/herd-prod"]}, True),
    ("deploy", "kms:DeleteAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/herd-prod", HERE, True),
    ("deploy", "s3:DeleteBucket", KEPT, {}, False),
    ("deploy", "s3:DeleteObject", f"{KEPT}/model/latest.json", {}, False),
    ("deploy", "s3:GetObject", f"{KEPT}/model/latest.json", {}, False),
    ("deploy", "s3:GetObject", f"{KEPT}/_runs/model/1.json", {}, True),
    ("deploy", "s3:CreateBucket", "arn:aws:s3:::other", {}, False),
    ("deploy", "s3:PutBucketAcl", DEV, {}, False),
    ("deploy", "s3:PutBucketWebsite", DEV, {}, False),
    ("deploy", "secretsmanager:GetSecretValue", SECRET, {}, False),
    ("deploy", "secretsmanager:DescribeSecret", SECRET, {}, True),
    ("deploy", "secretsmanager:UpdateSecret", SECRET, {}, True),
    ("deploy", "kms:Encrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", HERE, True),
    ("deploy", "iam:CreateRole", f"{ROLE}/herd-prod/tasks/x", BOUND, True),
    ("deploy", "iam:CreateRole", f"{ROLE}/herd-prod/tasks/x", {}, False),
    ("deploy", "iam:CreateRole", f"{ROLE}/herd-prod/tasks/x", {"iam:permissionsboundary": "arn:other"}, False),
    ("deploy", "iam:PutRolePolicy", f"{ROLE}/herd-prod/tasks/x", BOUND, True),
    ("deploy", "iam:PutRolePolicy", f"{ROLE}/herd-prod/tasks/x", {}, False),
    ("deploy", "iam:PutRolePolicy", f"{ROLE}/admin", BOUND, False),
    ("deploy", "iam:DeleteRolePermissionsBoundary", f"{ROLE}/herd-prod/tasks/x", BOUND, False),
    ("deploy", "iam:PutRolePolicy", f"{ROLE}/herd-deploy", BOUND, False),
    ("deploy", "iam:AttachRolePolicy", f"{ROLE}/herd-preview", BOUND, False),
    ("deploy", "iam:UpdateAssumeRolePolicy", f"{ROLE}/herd-deploy", {}, False),
    ("deploy", "iam:CreatePolicyVersion", SCOPE.boundary_arn, {}, False),
    ("deploy", "iam:DeletePolicy", SCOPE.boundary_arn, {}, False),
    ("deploy", "iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x", {}, False),
    ("deploy", "iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/x", {}, False),
    ("deploy", "iam:PassRole", f"{ROLE}/herd-prod/tasks/x", {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}, True),
    ("deploy", "iam:PassRole", f"{ROLE}/herd-prod/tasks/x", {"iam:passedtoservice": "lambda.amazonaws.com"}, False),
    (
        "deploy",
        "iam:PassRole",
        f"{ROLE}/herd-prod/herd-prod-states",
        {"iam:passedtoservice": "lambda.amazonaws.com"},
        False,
    ),
    (
        "deploy",
        "iam:PassRole",
        f"{ROLE}/herd-prod/herd-prod-watch",
        {"iam:passedtoservice": "lambda.amazonaws.com"},
        True,
    ),
    (
        "preview",
        "iam:PassRole",
        f"{ROLE}/herd-prod/herd-prod-watch",
        {"iam:passedtoservice": "lambda.amazonaws.com"},
        False,
    ),
    ("preview", "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:herd-prod-watch", {}, False),
    ("deploy", "lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:payroll", {}, False),
    ("deploy", "iam:PassRole", f"{ROLE}/herd-deploy", {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}, False),
    ("deploy", "ecs:UpdateService", f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/herd-prod/herd-prod-api", {}, True),
    ("deploy", "ecs:DeleteCluster", f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/other", {}, False),
    ("deploy", "states:StartExecution", f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:herd-prod-x", {}, True),
    ("deploy", "states:StartExecution", f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:payroll", {}, False),
    ("deploy", "ecr:PutImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python", {}, True),
    ("deploy", "ecr:DeleteRepository", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python", {}, False),
    ("deploy", "ecr:DeleteRepository", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd-dev/python", {}, True),
    ("deploy", "ec2:CreateVpc", "*", HERE, True),
    ("deploy", "ec2:CreateVpc", "*", {"aws:requestedregion": "us-east-1"}, False),
    ("deploy", "lambda:CreateFunction", "*", HERE, False),
    ("deploy", "organizations:LeaveOrganization", "*", HERE, False),
]


CASES += [
    ("preview", action, resource, context, False)
    for role, action, resource, context, may in CASES
    if role == "deploy" and may and action not in READS
]
"""Whoever may push a branch may use the preview's role: nothing that a deployment may do is among what it may."""


@pytest.mark.parametrize(("role", "action", "resource", "context", "may"), CASES)
def test_what_a_role_may_and_may_not(role: str, action: str, resource: str, context: dict[str, Any], may: bool) -> None:
    assert allowed(ROLES[role], action, resource, **context) is may


PARTS_OF_A_BUCKET = {
    "bucket": "s3:PutBucketTagging",
    "bucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "bucketLogging": "s3:PutBucketLogging",
    "bucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "bucketPolicy": "s3:PutBucketPolicy",
    "bucketPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "bucketServerSideEncryptionConfiguration": "s3:PutEncryptionConfiguration",
    "bucketVersioning": "s3:PutBucketVersioning",
}
"""Each resource that the program declares of a bucket, and what writing it takes."""


def test_a_deployment_may_write_what_the_program_declares_of_buckets() -> None:
    types = {found.type for name in ("dev", "prod", "dev with all") for found in program(name).resources}
    declared = {name[len("aws:s3/") :].partition(":")[0] for name in types if name.startswith("aws:s3/")}
    assert declared == PARTS_OF_A_BUCKET.keys()
    for action in PARTS_OF_A_BUCKET.values():
        assert allowed(DEPLOY, action, DEV) and not allowed(DEPLOY, action, KEPT), action


MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine"
RUN: list[tuple[str, str, bool]] = [
    ("states:StartExecution", f"{MACHINE}:herd-dev-model", True),
    ("states:StartExecution", f"{MACHINE}:herd-dev-delays-pipeline", True),
    ("states:ListExecutions", f"{MACHINE}:herd-dev-model", True),
    ("states:DescribeExecution", f"{MACHINE.replace('stateMachine', 'execution')}:herd-dev-model:run-1", True),
    ("logs:FilterLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/herd-dev/model:*", True),
    ("s3:GetObject", f"{DEV}/_runs/model/1.json", True),
    ("s3:GetObject", f"{STATE}/.pulumi/stacks/herd/dev.json", True),
    ("states:StartExecution", f"{MACHINE}:herd-prod-model", False),
    ("states:StartExecution", f"{MACHINE}:herd-dev-2-model", False),
    ("states:StartExecution", f"{MACHINE}:herd-pr-17-model", False),
    ("states:StartExecution", f"{MACHINE}:payroll", False),
    ("states:StartSyncExecution", f"{MACHINE}:herd-dev-model", False),
    ("states:StopExecution", f"{MACHINE.replace('stateMachine', 'execution')}:herd-dev-model:run-1", False),
    ("states:UpdateStateMachine", f"{MACHINE}:herd-dev-model", False),
    ("states:DeleteStateMachine", f"{MACHINE}:herd-dev-model", False),
    ("states:DescribeExecution", f"{MACHINE.replace('stateMachine', 'execution')}:herd-prod-model:run-1", False),
    ("ecs:RunTask", f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/herd-dev-model:1", False),
    ("iam:PassRole", f"{ROLE}/herd-dev/tasks/x", False),
    ("sts:AssumeRole", f"{ROLE}/herd-deploy", False),
    ("s3:GetObject", f"{DEV}/model/versions/1/model.bin", False),
    ("s3:PutObject", f"{DEV}/_runs/model/1.json", False),
    ("s3:GetObject", f"{KEPT}/_runs/model/1.json", False),
    ("s3:GetObject", f"{STATE}/.pulumi/stacks/herd/prod.json", False),
    ("s3:PutObject", f"{STATE}/.pulumi/stacks/herd/dev.json", False),
    ("s3:GetObject", f"{STATE}/.pulumi/stacks/herd-bootstrap/main.json", False),
    ("secretsmanager:GetSecretValue", SECRET, False),
    ("logs:FilterLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/herd-prod/model:*", False),
    ("kms:Decrypt", KEY, False),
    ("scheduler:UpdateSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/herd-dev/herd-dev-model", False),
]


@pytest.mark.parametrize(("action", "resource", "may"), RUN)
def test_who_starts_runs_may_start_those_of_one_environment_and_nothing_else(
    action: str, resource: str, may: bool
) -> None:
    assert allowed([grants.starts(SCOPE, "dev")], action, resource, **HERE) is may


def test_what_starts_runs_is_granted_one_action_that_changes_anything() -> None:
    statements = [one for one in grants.starts(SCOPE, "dev")["Statement"] if one["Effect"] == "Allow"]
    actions = {action for one in statements for action in _listed(one["Action"])}
    reading = ("Get", "List", "Describe", "Filter", "Decrypt")
    assert {one for one in actions if not one.partition(":")[2].startswith(reading)} == {"states:StartExecution"}
    assert not any("*" in action for action in actions)


PULL_REQUEST = list(grants.pull_requests(SCOPE).values())
NARROW = {"iam:permissionsboundary": SCOPE.of_pull_requests().boundary_arn}
OF_PROD, OF_17 = {"aws:resourcetag/herd:environment": "prod"}, {"aws:resourcetag/herd:environment": "pr-17"}
VPC = f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1"
BRANCH: list[tuple[str, str, dict[str, Any], bool]] = [
    ("ecs:UpdateService", f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/herd-pr-17/herd-pr-17-api", {}, True),
    ("ecs:UpdateService", f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/herd-prod/herd-prod-api", {}, False),
    ("ecs:UpdateService", f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/herd-dev/herd-dev-api", {}, False),
    ("iam:CreateRole", f"{ROLE}/herd-pr-17/tasks/x", NARROW, True),
    ("iam:CreateRole", f"{ROLE}/herd-pr-17/tasks/x", BOUND, False),
    ("iam:CreateRole", f"{ROLE}/herd-pr-17/tasks/x", {}, False),
    ("iam:CreateRole", f"{ROLE}/herd-prod/tasks/x", NARROW, False),
    ("iam:PutRolePolicy", f"{ROLE}/herd-environments", NARROW, False),
    ("iam:UpdateAssumeRolePolicy", f"{ROLE}/herd-run-prod", {}, False),
    ("iam:CreatePolicyVersion", SCOPE.of_pull_requests().boundary_arn, {}, False),
    ("s3:PutObject", f"{STATE}/.pulumi/stacks/herd/pr-17.json", {}, True),
    ("s3:PutObject", f"{STATE}/.pulumi/stacks/herd/prod.json", {}, False),
    ("s3:DeleteObject", f"{STATE}/.pulumi/locks/organization/herd/dev/1.json", {}, False),
    ("s3:DeleteBucket", f"arn:aws:s3:::herd-pr-17-{ACCOUNT}-data", {}, True),
    ("s3:DeleteBucket", DEV, {}, False),
    ("s3:DeleteObjectVersion", f"{DEV}/model/latest.json", {}, False),
    ("ecr:PutImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd-pr-17/python", {}, True),
    ("ecr:PutImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python", {}, False),
    ("states:StartExecution", f"{MACHINE}:herd-pr-17-model", {}, True),
    ("states:StartExecution", f"{MACHINE}:herd-prod-model", {}, False),
    ("secretsmanager:DeleteSecret", SECRET, {}, False),
    ("ec2:DeleteVpc", VPC, {**HERE, **OF_17}, True),
    ("ec2:DeleteVpc", VPC, {**HERE, **OF_PROD}, False),
    ("ec2:CreateVpc", "*", HERE, True),
    ("kms:ScheduleKeyDeletion", KEY, {**HERE, **OF_PROD}, False),
    ("kms:ScheduleKeyDeletion", KEY, {**HERE, **STATE_KEY}, False),
    ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1", {}, False),
    ("codebuild:BatchGetProjects", f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/herd-ends", {}, True),
    ("codebuild:StartBuild", f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/herd-ends", {}, False),
]


@pytest.mark.parametrize(("action", "resource", "context", "may"), BRANCH)
def test_a_pull_requests_environments_are_all_that_their_role_changes(
    action: str, resource: str, context: dict[str, Any], may: bool
) -> None:
    assert allowed(PULL_REQUEST, action, resource, **context) is may


def test_what_runs_in_a_pull_requests_environment_reaches_no_other() -> None:
    everything = documents.read(json.dumps(permissions.document(permissions.allow("*", "*"))))
    limit = documents.read(json.dumps(permissions.boundary(SCOPE.of_pull_requests())))
    policies = Policies(identity=(everything,), boundary=limit)
    for resource, may in ((f"arn:aws:s3:::herd-pr-17-{ACCOUNT}-data/x", True), (f"{KEPT}/x", False), (DEV, False)):
        assert decide(Access("s3:GetObject", resource), Who(), policies, {}).allowed is may, resource
    assert not decide(Access("secretsmanager:GetSecretValue", SECRET), Who(), policies, {}).allowed


def test_each_role_is_asked_forty_times() -> None:
    asked = Counter(role for role, *_ in CASES)
    assert asked.keys() == ROLES.keys() and min(asked.values()) >= 40, asked


# --- the boundary ---------------------------------------------------------------------------------------------------


def asked_for(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """One request for each thing that a policy's statements allow: action, resource, condition keys that fulfil it."""
    for statement in document["Statement"]:
        context: dict[str, Any] = {}
        for operator, keys in statement.get("Condition", {}).items():
            for key, wanted in keys.items():
                first = wanted[0] if isinstance(wanted, list) else wanted
                if operator == "Null":
                    context |= {} if first == "true" else {key.lower(): "x"}
                else:
                    value = str(first).replace("*", "x")
                    context[key.lower()] = [value] if operator.startswith("ForA") else value
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield action, resource.replace("*", "x").replace("?", "x"), context


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(("lie_below", "reaches"), [("/acme/", True), ("/", False)])
def test_roles_lie_where_the_company_wants_them(lie_below: str, reaches: bool) -> None:
    """`iam_path` of the environments must be that of the bootstrap, or nothing could make or pass their roles."""
    scope = replace(SCOPE, iam_path=lie_below)
    below = f"{ROLE}/acme/herd-prod/tasks/x"
    passed = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
    deploy = list(grants.deployment(scope).values())
    assert allowed(deploy, "iam:CreateRole", below, **BOUND) is reaches
    assert allowed(deploy, "iam:PassRole", below, **passed) is reaches
    machines = f"arn:aws:iam::{ACCOUNT}:instance-profile/acme/herd-prod/herd-prod-instances"
    assert allowed(deploy, "iam:CreateInstanceProfile", machines) is reaches
    assert allowed([permissions.boundary(scope)], "iam:PassRole", below, **passed) is reaches


@pytest.mark.parametrize("environment", ["dev", "prod", "dev with all"])
def test_the_boundary_leaves_every_role_what_its_policy_gives(environment: str) -> None:
    limit = documents.read(json.dumps(BOUNDARY))
    missing = []
    for policy in program(environment).of("iam/rolePolicy:RolePolicy"):
        document = json.loads(policy.inputs["policy"])
        identity = (documents.read(policy.inputs["policy"]),)
        for action, resource, context in asked_for(document):
            if "acme-prod-data" in resource or "acme-open" in resource or ":key/x" in resource:
                continue  # a bucket of another name is named in `read_buckets`; keys are judged below
            decision = decide(Access(action, resource), Who(), Policies(identity=identity, boundary=limit), context)
            if not decision.allowed:
                missing.append((policy.name, action, resource, decision.why.name))
    assert missing == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateRole", f"{ROLE}/herd-prod/x"),
        ("iam:PutRolePolicy", f"{ROLE}/herd-prod/tasks/x"),
        ("iam:PassRole", f"{ROLE}/admin"),
        ("sts:AssumeRole", f"{ROLE}/herd-deploy"),
        ("s3:GetObject", "arn:aws:s3:::payroll/salaries.csv"),
        ("s3:PutBucketPolicy", KEPT),
        ("s3:DeleteObjectVersion", f"{KEPT}/x"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:payroll"),
        ("secretsmanager:PutSecretValue", SECRET),
        ("ec2:RunInstances", "*"),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"),
        ("ecs:UpdateService", f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/herd-prod/herd-prod-api"),
    ],
)
def test_the_boundary_stops_a_role_that_was_given_everything(action: str, resource: str) -> None:
    everything = documents.read(json.dumps(permissions.document(permissions.allow("*", "*"))))
    policies = Policies(identity=(everything,), boundary=documents.read(json.dumps(BOUNDARY)))
    assert not decide(Access(action, resource), Who(), policies, {}).allowed


# --- trust ---------------------------------------------------------------------------------------------------------

ISSUER = "token.actions.githubusercontent.com"


def trusted(foundation: Program, role: str, **claims: str) -> bool:
    document = documents.read(foundation.one("iam/role:Role", role).inputs["assumeRolePolicy"])
    provider = json.loads(foundation.one("iam/role:Role", role).inputs["assumeRolePolicy"])["Statement"][0]
    who = Who(federated=provider["Principal"]["Federated"])
    context = {f"{ISSUER}:{key}": value for key, value in claims.items()}
    access = Access("sts:AssumeRoleWithWebIdentity", f"{ROLE}/herd-{role}")
    return decide(access, who, Policies(resource=document, resource_decides=True), context).allowed


GOOD = {
    "aud": "sts.amazonaws.com",
    "repository_id": "123",
    "sub": "repo:acme/delays:environment:prod",
    "ref": "refs/heads/main",
}


@pytest.mark.parametrize(
    ("role", "changed", "may"),
    [
        ("deploy", {}, True),
        ("deploy", {"sub": "repo:acme@45/delays@123:environment:prod"}, True),
        ("deploy", {"sub": "repo:acme/delays:environment:dev"}, True),
        ("deploy", {"sub": "repo:acme/delays:pull_request"}, False),
        ("deploy", {"sub": "repo:acme/delays:ref:refs/heads/main"}, False),
        ("deploy", {"sub": "repo:evil/delays:environment:prod"}, False),
        ("deploy", {"repository_id": "999"}, False),
        ("deploy", {"aud": "somebody"}, False),
        ("deploy", {"ref": "refs/heads/evil"}, False),
        ("deploy", {"ref": "refs/pull/17/merge"}, False),
        ("deploy", {"ref": "refs/tags/main"}, False),
        ("preview", {"sub": "repo:acme/delays:pull_request", "ref": "refs/pull/17/merge"}, True),
        ("preview", {"sub": "repo:acme/delays:pull_request"}, True),
        ("preview", {"sub": "repo:acme@45/delays@123:ref:refs/heads/main"}, True),
        ("preview", {"sub": "repo:acme/delays:ref:refs/heads/evil"}, False),
        ("preview", {}, False),
        ("environments", {"sub": "repo:acme/delays:environment:pull-request", "ref": "refs/pull/17/merge"}, True),
        ("environments", {"sub": "repo:acme/delays:ref:refs/heads/main"}, True),
        ("environments", {"sub": "repo:acme/delays:pull_request", "ref": "refs/pull/17/merge"}, False),
        ("environments", {}, False),
        ("run-prod", {}, True),
        ("run-prod", {"sub": "repo:acme/delays:environment:dev"}, False),
        ("run-prod", {"ref": "refs/heads/evil"}, False),
        ("run-dev", {}, False),
        ("run-dev", {"sub": "repo:acme/delays:ref:refs/heads/main"}, False),
    ],
)
def test_only_the_workflows_of_this_repository_take_on_a_role(
    foundation: Program, role: str, changed: dict[str, str], may: bool
) -> None:
    assert trusted(foundation, role, **{**GOOD, **changed}) is may


@pytest.mark.parametrize("missing", ["aud", "sub", "repository_id", "ref"])
def test_a_token_that_lacks_a_claim_is_nobody(foundation: Program, missing: str) -> None:
    assert not trusted(foundation, "deploy", **{key: value for key, value in GOOD.items() if key != missing})


def test_every_policy_fits(foundation: Program) -> None:
    for policy in foundation.of("iam/policy:Policy"):
        assert len("".join(policy.inputs["policy"].split())) <= MANAGED_POLICY_CHARACTERS, policy.name


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("herd-deploy", True),
        ("administrator", True),
        ("herd-preview", False),
        ("herd-environments", False),
        ("herd-run-prod", False),
        ("herd-prod/tasks/model", False),
    ],
)
def test_who_may_write_into_a_shared_repository(foundation: Program, role: str, may: bool) -> None:
    """Whatever else is attached to them: what is found under a tag is deployed as it is."""
    text = foundation.one("ecr/repositoryPolicy:RepositoryPolicy", "image-python").inputs["policy"]
    everything = documents.read(json.dumps(document(allow("*", "*"))))
    policies = Policies(identity=(everything,), resource=documents.read(text))
    arn = f"{ROLE}/{role}"
    for action in grants.PUSHES:
        access = Access(action, f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python")
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/x"
        found = decide(access, Who(session, arn, ACCOUNT), policies, {"aws:principalarn": arn})
        assert found.allowed is may, action
    pull = Access("ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/herd/python")
    assert decide(pull, Who("", arn, ACCOUNT), policies, {"aws:principalarn": arn}).allowed
