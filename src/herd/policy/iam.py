"""Rules about who may do what: every IAM document, who may take on a role, and what limits it."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from herd.policy.documents import actions, allowing, listed, load, resources, services, tested, tests
from herd.policy.model import Resource, Rules, Stack

ROLE = "aws:iam/role:Role"
ROLE_POLICY, POLICY = "aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"
USERS = ("aws:iam/user:User", "aws:iam/accessKey:AccessKey", "aws:iam/userPolicy:UserPolicy")
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
rules = Rules()

WITHOUT_RESOURCE = (
    # Services that know no resources for these (service authorization reference).
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
    "ec2:Describe*",
    "ecs:DiscoverPollEndpoint",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "scheduler:ListSchedules",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:PutResourcePolicy",
    "sts:GetCallerIdentity",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "ssmmessages:*",
)
NO_SOURCE = ("ec2.amazonaws.com",)
"""Services that take on a role on behalf of one resource only, and send no source: an instance profile's role."""

MANAGED_BY_AWS = (
    # What machines of a cluster need; AWS keeps it up to date with the agent.
    "service-role/AmazonEC2ContainerServiceforEC2Role",
    "AmazonSSMManagedInstanceCore",
)


@rules.each(
    "iam-readable",
    ROLE,
    ROLE_POLICY,
    POLICY,
    says="An IAM document is JSON, of the current version, and allows by name, not by exception.",
    why="In the old version variables are plain text; `NotAction` also allows what AWS will invent tomorrow.",
    link="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html",
)
def readable(resource: Resource, stack: Stack) -> Iterator[str]:
    texts = {key: resource.props.get(key) for key in ("policy", "assumeRolePolicy")}
    for key, text in [*texts.items(), *(("inlinePolicies", text) for text in _inline(resource))]:
        try:
            document = load(text)
        except ValueError:
            yield f"{key} is not JSON"
            continue
        if isinstance(document, dict):
            if document.get("Version") != "2012-10-17":
                yield f'{key} has not Version "2012-10-17"'
            for statement in allowing(document):
                for word in sorted({"NotAction", "NotResource", "NotPrincipal"} & statement.keys()):
                    yield f"{key} allows by {word}; name what is allowed"


@rules.each(
    "iam-no-star",
    ROLE_POLICY,
    POLICY,
    ROLE,
    says="No permission for all actions of a service, or on all resources, that AWS lets one narrow.",
    why="A star is what an intruder can do with the role, today and with every service that AWS adds.",
    control="IAM.21",
)
def no_star(policy: Resource, stack: Stack) -> Iterator[str]:
    for statement in _granting(policy):
        for action in actions(statement):
            if action in ("*", "*:*") or (action.endswith(":*") and action not in WITHOUT_RESOURCE):
                yield f"allows every action of {action.split(':')[0]}; name the actions"
        wide = [a for a in actions(statement) if not any(fnmatchcase(a, known) for known in WITHOUT_RESOURCE)]
        if "*" in resources(statement) and wide and not _narrowed(statement):
            yield f"allows {', '.join(wide)} on every resource; name the resources"


@rules.each(
    "iam-pass-role-bound",
    ROLE_POLICY,
    POLICY,
    ROLE,
    says="Passing a role names the roles, and the service that they may be passed to.",
    why="Whoever may pass any role to any service has the permissions of the widest role in the account.",
    link="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
)
def pass_role_bound(policy: Resource, stack: Stack) -> Iterator[str]:
    for statement in _granting(policy):
        if not any(fnmatchcase("iam:PassRole", action) for action in actions(statement)):
            continue
        if not tested(statement, "iam:PassedToService"):
            yield "may pass roles to any service; demand iam:PassedToService"
        if any(resource.rsplit(":role/", 1)[-1] in ("*", "") for resource in resources(statement)):
            yield "may pass every role of the account; name the roles by their path"


@rules.each(
    "iam-run-task-in-cluster",
    ROLE_POLICY,
    POLICY,
    ROLE,
    says="Who may run tasks may do so in the environment's own cluster.",
    why="Without `ecs:cluster` a dev role can run its tasks in prod's cluster.",
    link="https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html",
)
def run_task_in_cluster(policy: Resource, stack: Stack) -> Iterator[str]:
    for statement in _granting(policy):
        runs = any(fnmatchcase("ecs:RunTask", a) or fnmatchcase("ecs:StartTask", a) for a in actions(statement))
        if runs and not tested(statement, "ecs:cluster"):
            yield "may run tasks in any cluster; demand ecs:cluster"


@rules.each(
    "iam-trust-source",
    ROLE,
    says="A service may take on a role for this account's own resources only.",
    why="Services act for everybody. Without a source a stranger's schedule or task definition can borrow the role.",
    link="https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",
)
def trust_source(role: Resource, stack: Stack) -> Iterator[str]:
    for statement in _allowing(role, "assumeRolePolicy"):
        principal = statement.get("Principal")
        if principal == "*" or (isinstance(principal, dict) and "*" in listed(principal.get("AWS"))):
            yield "can be taken on by everybody; name who may"
        asking = [service for service in services(statement) if service not in NO_SOURCE]
        if asking and not (tested(statement, "aws:SourceAccount") or tested(statement, "aws:SourceArn")):
            yield f"can be borrowed by strangers through {', '.join(asking)}; demand aws:SourceAccount"


@rules.each(
    "iam-oidc-trust",
    ROLE,
    says="A role for GitHub names the repository, and who the token is for.",
    why="A token of any repository passes a star; `ForAllValues` passes when the claim is absent.",
    link="https://docs.github.com/en/actions/security-for-github-actions/security-hardening-your-deployments/"
    "configuring-openid-connect-in-amazon-web-services",
)
def oidc_trust(role: Resource, stack: Stack) -> Iterator[str]:
    for statement in _allowing(role, "assumeRolePolicy"):
        principal = statement.get("Principal")
        federated = listed(principal.get("Federated")) if isinstance(principal, dict) else []
        if not any("token.actions.githubusercontent.com" in str(provider) for provider in federated):
            continue
        host = "token.actions.githubusercontent.com"
        if not tested(statement, f"{host}:aud"):
            yield "does not look at who the token is for; demand aud = sts.amazonaws.com"
        subjects = tested(statement, f"{host}:sub")
        if not subjects:
            yield "does not look at the repository; demand sub"
        for subject in subjects:
            if any(sign in ":".join(subject.split(":")[:2]) for sign in "*?"):
                yield f"trusts {subject}, which is more than one repository; write it out"
        if any(operator.startswith("ForAllValues") for operator, _, _ in tests(statement)):
            yield "uses ForAllValues, which is true where the claim is absent; use StringEquals"


@rules.each(
    "iam-boundary-in-prod",
    ROLE,
    says="In prod every role has a permission boundary.",
    why="It is the limit that even a mistake in this program, or who deploys it, cannot pass.",
    link="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
)
def boundary_in_prod(role: Resource, stack: Stack) -> Iterator[str]:
    if stack.is_prod and not role.has("permissionsBoundary"):
        yield "has no permission boundary; set boundary to the policy that `herd bootstrap` made"


@rules.each(
    "iam-no-users",
    *USERS,
    says="An environment makes no users and no keys.",
    why="A key that does not end is found one day, in a log or a repository.",
    link="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
)
def no_users(resource: Resource, stack: Stack) -> Iterator[str]:
    yield "makes a user or its key; take a role"


@rules.each(
    "iam-own-policies",
    ROLE,
    ATTACHMENT,
    says="Roles have policies of their own, not AWS's wide ones.",
    why="AWS's managed policies are for all customers at once, and grow without asking.",
    control="IAM.1",
)
def own_policies(resource: Resource, stack: Stack) -> Iterator[str]:
    policies = [resource.props.get("policyArn"), *listed(resource.props.get("managedPolicyArns"))]
    for arn in policies:
        if isinstance(arn, str) and ":iam::aws:policy/" in arn:
            name = arn.split(":policy/", 1)[1]
            if name not in MANAGED_BY_AWS:
                yield f"has AWS's policy {name}; write down what it needs"


def _allowing(resource: Resource, key: str) -> list[dict[str, Any]]:
    return _statements(resource.props.get(key))


def _granting(resource: Resource) -> list[dict[str, Any]]:
    """What a policy allows, wherever it is written: as a resource of its own or within its role."""
    return [statement for text in (resource.props.get("policy"), *_inline(resource)) for statement in _statements(text)]


def _inline(resource: Resource) -> list[Any]:
    return [policy.get("policy") for policy in resource.props.get("inlinePolicies") or []]


def _statements(text: Any) -> list[dict[str, Any]]:
    """A document that is not JSON is what `iam-readable` reports."""
    try:
        return list(allowing(text))
    except ValueError:
        return []


def _narrowed(statement: dict[str, Any]) -> bool:
    """Whether a condition says which resources are meant, where AWS's permissions cannot: by tag or by cluster."""
    return any(
        key.startswith("aws:resourcetag/") or "resourcetag/" in key or key in ("ecs:cluster", "aws:resourceaccount")
        for _, key, _ in tests(statement)
    )
