"""What the preview and the deployment may do: the calls of `herd.bootstrap.api_calls`, on what is the project's.

Everything is bound to the project's prefix where AWS names resources; where it gives ids (VPCs, keys, certificates) to
the region. No document here lets anybody read a secret's value, and none lets a deployment widen itself: it makes roles
with the boundary only, and may touch neither the boundary nor the roles of this project.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from herd.bootstrap.api_calls import LOOK_UPS, PHASES, TYPES
from herd.bootstrap.scope import PULL_REQUESTS, Scope
from herd.infra.context import Document, Statement
from herd.infra.naming import ENVIRONMENT_TAG, Naming
from herd.infra.permissions.workload import allow, document
from herd.runner.contract import keys

KEY_CHANGES = [
    *("kms:CreateAlias", "kms:CreateGrant", "kms:DeleteAlias", "kms:DisableKey", "kms:PutKeyPolicy"),
    *("kms:RetireGrant", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias"),
]

STATE_FOLDERS = ("stacks", "history", "backups", "locks/organization")
"""Where Pulumi's own backends keep what is a project's, each with a folder for it (pkg/backend/diy in Pulumi)."""

PASSED_TO = ("ecs-tasks.amazonaws.com", "scheduler.amazonaws.com", "states.amazonaws.com", "ec2.amazonaws.com")

PUSHES = (
    *("ecr:BatchDeleteImage", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage"),
    "ecr:UploadLayerPart",
)
"""What changes which image a tag names."""

Condition = Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """What calls are checked on: which of it is the project's, under which condition.

    `policy`: the managed policy of the deployment that grants it. `herd`: actions beside those of the table, which the
    command line needs while it deploys (runs, logs, what is left); a family like `sqs:*` where all names are our own.
    """

    policy: str
    arns: Callable[[Scope], list[str]]
    condition: Callable[[Scope], Condition] = lambda scope: {}
    herd: str = ""


def _everything(scope: Scope) -> list[str]:
    return ["*"]


def _here(scope: Scope) -> Condition:
    return {"StringEquals": {"aws:RequestedRegion": scope.account.region}}


def _named(service: str, *kinds: str) -> Callable[[Scope], list[str]]:
    """Resources `<kind><prefix>` of a service: `_named("ecs", "cluster/")`."""
    return lambda scope: [scope.own(service, f"{kind}{scope.prefix}") for kind in kinds]


def _buckets(scope: Scope, *keys: str) -> list[str]:
    """Named as herd.infra.naming has them: the bucket for state, and objects in it, are none of these."""
    return [scope.account.bucket_arn(f"{scope.prefix}-{scope.account.id}-*", *keys)]


def _report_pages(scope: Scope) -> list[str]:
    """The lasting addresses of reports; not what jobs have published, which may have such names too."""
    return [scope.account.bucket_arn(f"{scope.prefix}-{scope.account.id}-reports", keys.ALL_REPORT_PAGES)]


def _adopted(scope: Scope, *keys: str) -> list[str]:
    """Buckets that environments use and do not make, by whatever name."""
    return [scope.account.bucket_arn(name, *keys) for name in scope.adopted_buckets]


def _log_groups(scope: Scope) -> list[str]:
    # The last is where ECS writes the metrics of containers, under a name of its own.
    names = (f"/{scope.prefix}", f"/{scope.prefix}:*", f"/aws/ecs/containerinsights/{scope.prefix}")
    return [scope.own("logs", f"log-group:{name}") for name in names]


def _repositories(scope: Scope) -> list[str]:
    # A pull request's images lie in its own: what is found in a shared one under its tag is deployed as it is.
    shared = [] if scope.stacks == PULL_REQUESTS else [f"{scope.project}/*"]
    return [scope.own("ecr", f"repository/{name}") for name in (scope.prefix, *shared)]


def _global(service: str, resource: str) -> Callable[[Scope], list[str]]:
    return lambda scope: [f"arn:{scope.account.partition}:{service}:::{resource}"]


ON: Mapping[str, Kind] = {
    "buckets": Kind("data", _buckets),
    "objects": Kind("data", lambda scope: _buckets(scope, "*")),
    # How the first runs went, which `herd up` waits for; not what they made.
    "run-records": Kind(
        "data",
        lambda scope: [*_buckets(scope, keys.ALL_RECORDS), *_adopted(scope, keys.ALL_RECORDS)],
        herd="s3:GetObject",
    ),
    # The commit of each image, which `herd up` writes down.
    "image-records": Kind(
        "data",
        lambda scope: [*_buckets(scope, keys.ALL_IMAGES), *_adopted(scope, keys.ALL_IMAGES)],
        herd="s3:GetObject s3:PutObject",
    ),
    # What the address of a report shows until its first run, which `herd up` puts there.
    "waiting-pages": Kind("data", _report_pages, herd="s3:PutObject"),
    # Whether reports can be mailed by the sender that the settings name.
    "mail-identities": Kind("data", lambda scope: [scope.own("ses", "identity/*")]),
    "log-groups": Kind("data", _log_groups, herd="logs:FilterLogEvents logs:GetLogEvents logs:DescribeLogStreams"),
    "log-group-lists": Kind("data", _everything),
    "queues": Kind("data", _named("sqs", ""), herd="sqs:*"),
    "own-secrets": Kind(
        "data",
        lambda scope: [scope.own("secretsmanager", f"secret:{scope.prefix}/*")],
        herd="secretsmanager:DeleteSecret secretsmanager:TagResource secretsmanager:UpdateSecret",
    ),
    "secret-lists": Kind("data", _everything, herd="secretsmanager:ListSecrets"),
    # Keys have no names; their policies are written by whoever makes them. With the last three secrets are given the
    # environment's key, without their values being read.
    "keys": Kind(
        "data",
        lambda scope: [scope.own("kms", "key/*"), scope.own("kms", f"alias/{scope.prefix}")],
        _here,
        herd="kms:Get* kms:List* kms:GenerateDataKey kms:Encrypt kms:Decrypt",
    ),
    "key-lists": Kind("data", _everything, _here),
    "ecs": Kind(
        "compute",
        _named("ecs", "capacity-provider/", "cluster/", "service/", "task/", "task-definition/", "container-instance/"),
        herd="ecs:*",
    ),
    "ecs-lists": Kind("compute", _everything, _here, herd="ecs:Describe* ecs:List*"),
    "lists": Kind(
        "compute", _everything, _here, herd="states:ListStateMachines scheduler:ListSchedules ssm:DescribeParameters"
    ),
    # The login with which images are pushed: Herd asks for it, the program does not.
    "registry": Kind("compute", _everything, _here, herd="ecr:GetAuthorizationToken"),
    "scaling": Kind("compute", _everything, _here, herd="application-autoscaling:*"),
    "instance-groups": Kind(
        "compute", _named("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"), herd="autoscaling:*"
    ),
    "instance-group-lists": Kind("compute", _everything, _here, herd="autoscaling:Describe*"),
    "repositories": Kind("compute", _repositories, herd="ecr:*"),
    "machines": Kind("compute", _named("states", "stateMachine:", "execution:"), herd="states:*"),
    # Asked before there is a machine, so AWS checks it on `stateMachine:*`.
    "all-machines": Kind("compute", _everything),
    "schedules": Kind("compute", _named("scheduler", "schedule/", "schedule-group/"), herd="scheduler:*"),
    # The watch. `herd alarms` reads what is armed, and tries whether a message arrives.
    "functions": Kind("watch", _named("lambda", "function:"), herd="lambda:InvokeFunction"),
    "event-rules": Kind("watch", _named("events", "rule/")),
    "topics": Kind("watch", _named("sns", "")),
    "alarms": Kind("watch", _named("cloudwatch", "alarm:")),
    "alarm-lists": Kind("watch", _everything, _here, herd="cloudwatch:DescribeAlarms"),
    # Amazon's own: which machine image is the latest.
    "amazon-parameters": Kind(
        "compute",
        lambda scope: [
            f"arn:{scope.account.partition}:ssm:{scope.account.region}::parameter/aws/service/*",
        ],
        herd="ssm:GetParameter ssm:GetParameters",
    ),
    "network": Kind("network", _everything, _here, herd="ec2:Describe* ec2:Get* logs:*LogDelivery*"),
    "balancing": Kind("network", _everything, _here, herd="elasticloadbalancing:*"),
    "certificates": Kind("network", _everything, _here, herd="acm:*Certificate*"),
    # Global services are asked in us-east-1.
    "zones": Kind("network", _global("route53", "hostedzone/*"), herd="route53:Get* route53:List*"),
    "dns-changes": Kind("network", _global("route53", "change/*")),
    "cdn": Kind("network", _everything, herd="cloudfront:*Distribution* cloudfront:*OriginAccessControl*"),
    "roles": Kind("roles", lambda scope: [scope.roles()], herd="iam:Get* iam:List*"),
    # Only such as have the boundary: a deployment cannot give what it lacks.
    "bounded-roles": Kind(
        "roles",
        lambda scope: [scope.roles()],
        lambda scope: {"StringEquals": {"iam:PermissionsBoundary": scope.boundary_arn}},
    ),
    "passed-roles": Kind(
        "roles",
        lambda scope: [scope.roles()],
        lambda scope: {"StringEquals": {"iam:PassedToService": list(PASSED_TO)}},
    ),
    # No role of a workload may be given to a function: the deployment could then write code that has it.
    "passed-watch-role": Kind(
        "roles",
        lambda scope: [f"{scope.roles().removesuffix('*')}{scope.prefix}-watch"],
        lambda scope: {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    ),
    "instance-profiles": Kind(
        "roles",
        lambda scope: [
            f"arn:{scope.account.partition}:iam::{scope.account.id}:instance-profile{scope.iam_path}{scope.prefix}/*"
        ],
    ),
    # Whether the account has what removes an environment at its end.
    "ends-project": Kind(
        "compute",
        lambda scope: [scope.own("codebuild", f"project/{Naming(scope.project, 'dev').ends_project}")],
        herd="codebuild:BatchGetProjects",
    ),
    # Roles that AWS makes for itself when a service is first used.
    "service-roles": Kind("roles", lambda scope: [scope.account.role_arn("aws-service-role/*")]),
    # What the program asks before it makes anything; most of it knows no resources (service authorization reference).
    "account": Kind("look-ups", _everything),
    "tags": Kind("look-ups", _everything),
    "network-lists": Kind("look-ups", _everything),
    "zone-lists": Kind("look-ups", _everything),
    "certificate-lists": Kind("look-ups", _everything, herd="acm:ListCertificates"),
    "adopted-buckets": Kind(
        "look-ups", lambda scope: [scope.account.bucket_arn(scope.prefix), *_adopted(scope)], herd="s3:GetBucketTagging"
    ),
    "secrets": Kind("look-ups", lambda scope: [scope.own("secretsmanager", f"secret:{scope.prefix}/*")]),
    "boundary": Kind("look-ups", lambda scope: [scope.boundary_arn], herd="iam:GetPolicy"),
    "key-descriptions": Kind("look-ups", lambda scope: [scope.own("kms", "key/*")], herd="kms:DescribeKey"),
}

PURPOSES = ("preview", "deploy", "environments")
"""The roles of GitHub's jobs that are made once; one that starts runs is made for each environment."""

Asked = tuple[str, str]
"""An action, and the kind that it is checked on."""


def state_access(scope: Scope, *, write: bool) -> Document:
    """Pulumi's own state: the bucket with its locks, and the key that encrypts the secrets in it.

    Written is the project's alone: with that of `herd bootstrap`, which lies beside it, a deployment could have an
    administrator's next run widen it.
    """
    bucket = scope.account.bucket_arn(scope.state_bucket)
    own = [f"{bucket}/.pulumi/{folder}/{scope.project}/{scope.stacks}" for folder in STATE_FOLDERS]
    use = ["kms:Decrypt", *(["kms:Encrypt", "kms:GenerateDataKey"] if write else [])]
    return document(
        allow(["s3:ListBucket", "s3:GetBucketLocation"], bucket),
        allow("s3:GetObject", f"{bucket}/*"),
        *([allow(["s3:DeleteObject", "s3:PutObject"], own)] if write else []),
        allow(["kms:DescribeKey", *use], scope.own("kms", "key/*"), **scope.state_key),
    )


def look_ups(scope: Scope) -> Document:
    """What the program asks before it makes anything. Descriptions only: no secret's value, no object's content."""
    asked = [_asked(entry) for entries in LOOK_UPS.values() for entry in entries.split()]
    of_the_command_line = [
        (action, kind) for kind, on in ON.items() if on.policy == "look-ups" for action in on.herd.split()
    ]
    return document(*_statements(scope, [*asked, *of_the_command_line]))


DRIFT = (
    *("cloudtrail:LookupEvents@account", "ec2:DescribeRouteTables@network", "ec2:DescribeSecurityGroupRules@network"),
    *("ecs:DescribeServices@ecs-lists", "ecs:DescribeTaskDefinition@ecs-lists", "ecs:ListTaskDefinitions@ecs-lists"),
    *("elasticloadbalancing:DescribeRules@balancing", "events:ListTargetsByRule@event-rules"),
    *("iam:GetRolePolicy@roles", "iam:ListAttachedRolePolicies@roles", "iam:ListRolePolicies@roles"),
    *("lambda:GetPolicy@functions", "s3:GetBucketPolicy@buckets", "scheduler:ListSchedules@lists"),
    "sns:ListSubscriptionsByTopic@topics",
)
"""What `herd drift` asks beside a refresh: what was added by hand to what is declared, since when and by whom."""


def reads(scope: Scope) -> Document:
    """What a preview asks of what exists: nothing that changes anything, no secret, no content."""
    refreshed = [asked for calls in TYPES.values() for asked in calls.actions("read")]
    return document(*_statements(scope, [*refreshed, *map(_asked, DRIFT)]))


def deployment(scope: Scope, role: str = "deploy") -> dict[str, Document]:
    """What `pulumi up` and `destroy` need of each service, as managed policies by name."""
    return {
        f"{role}-{policy}": document(*_statements(scope, _granted(policy)), *DENIED.get(policy, _nothing)(scope))
        for policy in ("data", "compute", "network", "roles", "watch")
    }


def pull_requests(scope: Scope) -> dict[str, Document]:
    """What brings up and removes environments of pull requests, by policy: as a deployment does, and to no other.

    Where AWS gives no names (VPCs, balancers, keys), the tag that every resource has says whose it is.
    """
    own = scope.of_pull_requests()
    tag = f"aws:ResourceTag/{ENVIRONMENT_TAG}"
    of_others = deny("*", "*", StringNotLike={tag: own.stacks}, Null={tag: "false"})
    state = state_access(own, write=True)
    return {
        "environments-state": document(*state["Statement"], of_others, deny("route53:Change*", "*")),
        "environments-look-ups": look_ups(own),
        **deployment(own, "environments"),
    }


def starts(scope: Scope, environment: str) -> Document:
    """What `herd run` needs in one environment: start its machines, follow what they print, see how they ended."""
    naming = Naming(scope.project, environment)
    account, state = scope.account, scope.account.bucket_arn(scope.state_bucket)
    data = (scope.data_bucket(environment), *scope.adopted_buckets)
    logs = [scope.own("logs", f"log-group:/{naming.prefix}/*")]
    return document(
        allow(
            ["states:ListExecutions", "states:StartExecution"],
            scope.own("states", f"stateMachine:{naming.prefix}-*"),
        ),
        # `herd-dev-*` is also a name of dev-2's: what follows an environment's name begins with a letter.
        deny("states:*", [scope.own("states", f"stateMachine:{naming.prefix}-{digit}*") for digit in range(10)]),
        allow("states:DescribeExecution", scope.own("states", f"execution:{naming.prefix}-*:*")),
        allow(["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"], logs),
        allow("s3:GetObject", [account.bucket_arn(name, keys.ALL_RECORDS) for name in data]),
        allow("kms:Decrypt", scope.own("kms", "key/*"), StringEquals=scope.via("s3")),
        # The outputs of its stack say which machines there are.
        allow(["s3:GetBucketLocation", "s3:ListBucket"], state),
        allow(
            "s3:GetObject",
            [f"{state}/.pulumi/*.yaml", f"{state}/.pulumi/stacks/{scope.project}/{environment}.*"],
        ),
        allow(["kms:Decrypt", "kms:DescribeKey"], scope.own("kms", "key/*"), **scope.state_key),
    )


def _granted(policy: str) -> Iterator[Asked]:
    for calls in TYPES.values():
        yield from ((action, kind) for action, kind in calls.actions(*PHASES) if ON[kind].policy == policy)
    for kind, on in ON.items():
        if on.policy == policy:
            yield from ((action, kind) for action in on.herd.split())


def _asked(entry: str) -> Asked:
    action, _, kind = entry.partition("@")
    return action, kind


def _statements(scope: Scope, asked: Iterable[Asked]) -> Iterator[Statement]:
    """One statement for all that has the same resources and conditions; what a wildcard covers is not said again."""
    grouped: dict[str, tuple[list[str], Condition, set[str]]] = {}
    for action, kind in asked:
        arns, condition = ON[kind].arns(scope), ON[kind].condition(scope)
        grouped.setdefault(f"{arns} {condition}", (arns, condition, set()))[2].add(action)
    for arns, condition, actions in grouped.values():
        patterns = [action for action in actions if "*" in action]
        kept = sorted(
            action
            for action in actions
            if not any(pattern != action and fnmatchcase(action, pattern) for pattern in patterns)
        )
        yield allow(kept, arns if len(arns) > 1 else arns[0], **condition)


def _nothing(scope: Scope) -> Iterator[Statement]:
    yield from ()


def _kept_data(scope: Scope) -> Iterator[Statement]:
    """What outlives environments: their data, the state and its key."""
    account = scope.account
    names = [*(scope.data_bucket(environment) for environment in scope.environments), *scope.adopted_buckets]
    kept = [arn for name in names for arn in (account.bucket_arn(name), account.bucket_arn(name, "*"))]
    kept.append(account.bucket_arn(scope.state_bucket))
    # Tags say whose a bucket is, so they are among what stays.
    tags = ["s3:TagResource", "s3:UntagResource"]
    yield deny(["s3:DeleteBucket*", "s3:DeleteObject*", "s3:PutBucket*", "s3:Put*Configuration", *tags], kept)
    # Without the state's key no environment could be changed any more. It is told by its name, so that stays too.
    yield deny(KEY_CHANGES, scope.own("kms", "key/*"), **scope.state_key)
    yield deny(["kms:DeleteAlias", "kms:UpdateAlias"], scope.own("kms", scope.state_key_alias))


def _kept_repositories(scope: Scope) -> Iterator[Statement]:
    yield deny("ecr:DeleteRepository", scope.own("ecr", f"repository/{scope.project}/*"))


def _kept_roles(scope: Scope) -> Iterator[Statement]:
    own = [scope.account.role_arn(scope.role_name(purpose)) for purpose in (*PURPOSES, "run-*")]
    account = f"arn:{scope.account.partition}:iam::{scope.account.id}"
    policies = [f"{account}:policy/{scope.project}-{purpose}-*" for purpose in (*PURPOSES, "run", "pr")]
    yield deny(
        [
            *("iam:CreatePolicyVersion", "iam:DeletePolicy*", "iam:SetDefaultPolicyVersion"),
            "iam:DeleteRolePermissionsBoundary",
        ],
        [scope.boundary_arn, *policies, scope.roles()],
    )
    yield deny("iam:*", own)
    yield deny(["iam:CreateUser", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:*OpenIDConnectProvider*"], "*")


DENIED: Mapping[str, Callable[[Scope], Iterator[Statement]]] = {
    "data": _kept_data,
    "compute": _kept_repositories,
    "roles": _kept_roles,
}
"""Policy of the deployment -> what no other statement can give."""


def no_pushes(scope: Scope) -> Document:
    """Of a repository that environments share: who previews and what runs may not write, whatever else lets them.

    An image that is found under its tag is deployed as it is (docs/decisions/0019).
    """
    read_only = ("preview", "environments", "run-*")
    kept_out = [*(scope.account.role_arn(scope.role_name(purpose)) for purpose in read_only), scope.roles()]
    return document(
        {
            "Sid": "NoPushes",
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(PUSHES),
            "Condition": {"ArnLike": {"aws:PrincipalArn": kept_out}},
        }
    )


def deny(actions: str | list[str], resources: str | list[str], **condition: dict[str, Any]) -> Statement:
    """What no other statement can give."""
    return {**allow(actions, resources, **condition), "Effect": "Deny"}
