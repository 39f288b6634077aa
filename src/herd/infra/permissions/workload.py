"""Who may do what. Documents are made by pure functions of names and settings; nothing is `*` that AWS narrows.

Each workload has two roles: the execution role, by which ECS pulls its image and ships its log, and the task role,
which its own code has. An environment has three more: for EventBridge Scheduler, Step Functions and the watch; with
pools of machines a fourth, for these. Roles of tasks lie under the path `…/<prefix>/tasks/`, so that "may be given to a
task" can be said in one line.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy

from herd.infra.context import Account, Component, Context
from herd.infra.offer import Offer
from herd.infra.settings.tables import Dataset
from herd.infra.spec.checks import Measured
from herd.infra.spec.load import BatchSpec, ReportSpec, WorkloadSpec
from herd.infra.storage import secrets
from herd.infra.storage.keys import key_use
from herd.runner.contract import keys

Statement = dict[str, Any]
Document = dict[str, Any]

MOST_POLICY_CHARACTERS = 10_240
"""Of all inline policies of a role, white space not counted. Source: "IAM and AWS STS quotas", IAM user guide."""

MANAGED_RULES = (
    "StepFunctionsGetEventsForECSTaskRule",
    "StepFunctionsGetEventsForStepFunctionsExecutionRule",
)
"""EventBridge rules by which Step Functions learns that a task or a nested execution has ended (AWS's names)."""


def allow(actions: str | list[str], resources: str | list[str], **condition: dict[str, Any]) -> Statement:
    """`allow("s3:GetObject", arn, StringLike={"s3:prefix": "x/*"})`."""
    statement: Statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def document(*statements: Statement) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


# --- trust: who may take on a role ---------------------------------------------------------------------------------


def trust(account: Account, service: str, source_arn: str) -> Document:
    """Only `service`, acting for this account and for `source_arn`: a stranger's resource cannot borrow the role."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": account.id},
                "ArnLike": {"aws:SourceArn": source_arn},
            },
        }
    )


def tasks_trust(account: Account) -> Document:
    """ECS names no task here, only account and region ("Task IAM role", ECS developer guide)."""
    return trust(account, "ecs-tasks.amazonaws.com", account.arn("ecs", "*"))


def states_trust(context: Context) -> Document:
    machines = context.machine_arn(f"{context.naming.prefix}-*")
    return trust(context.account, "states.amazonaws.com", machines)


def scheduler_trust(context: Context) -> Document:
    """The source is the schedule *group*; Scheduler never sends a schedule's own ARN."""
    group = context.account.arn("scheduler", f"schedule-group/{context.naming.schedule_group}")
    return trust(context.account, "scheduler.amazonaws.com", group)


# --- a workload ----------------------------------------------------------------------------------------------------


def execution_permissions(spec: WorkloadSpec, context: Context) -> Document:
    """Pull this image, write this log, hand out these secrets. The log group exists, so nobody need create it."""
    account, naming = context.account, context.naming
    # Six characters that AWS chooses follow the name. Source: "What's in a Secrets Manager secret?", user guide.
    arns = [
        account.arn("secretsmanager", f"secret:{naming.secret(secret)}-??????")
        for secret in sorted(secrets.needed(spec, context.settings.connections))
    ]
    return document(
        # The token call knows no resources (ECR, service authorization reference).
        allow("ecr:GetAuthorizationToken", "*"),
        allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            account.arn("ecr", f"repository/{context.repository(spec.image)}"),
        ),
        allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            account.arn("logs", f"log-group:{naming.log_group(spec.name)}:*"),
        ),
        *([allow("secretsmanager:GetSecretValue", arns)] if arns else []),
        *(key_use(context, "kms:Decrypt", "secretsmanager") if arns else []),
    )


def task_permissions(spec: WorkloadSpec, context: Context) -> Document | None:
    """What the workload's own code may do: read what it `reads`, write below its own name. None if that is nothing."""
    datasets = context.settings.datasets
    statements = [
        statement
        for read in spec.reads
        for statement in (
            _dataset(datasets[read.name], context) if read.name in datasets else _reader(read.name, context)
        )
    ]
    if isinstance(spec, BatchSpec):
        statements += _writer(spec, context)
    if spec.is_page and context.settings.reports != "none":
        statements += _publisher(spec, context)
    if isinstance(spec, ReportSpec) and spec.mail_to:
        statements += _mailer(spec, context)
    if isinstance(spec, BatchSpec):
        statements += key_use(context, ["kms:Decrypt", "kms:GenerateDataKey"], "s3")
    elif any(read.name not in datasets for read in spec.reads):
        statements += key_use(context, "kms:Decrypt", "s3")
    return document(*statements) if statements else None


def _reader(other: str, context: Context) -> list[Statement]:
    bucket, arn = context.data_bucket, context.account.bucket_arn
    return [
        allow("s3:GetObject", [arn(bucket, keys.latest_key(other)), arn(bucket, keys.all_versions(other))]),
        allow("s3:ListBucket", arn(bucket), StringLike={"s3:prefix": keys.all_of(other)}),
    ]


def _dataset(dataset: Dataset, context: Context) -> list[Statement]:
    """Whatever lies below its address; who owns the bucket may have to allow it too."""
    arn = context.account.bucket_arn
    prefixes = {"StringLike": {"s3:prefix": f"{dataset.prefix}*"}} if dataset.prefix else {}
    return [
        allow("s3:GetObject", arn(dataset.bucket, f"{dataset.prefix}*")),
        allow("s3:ListBucket", arn(dataset.bucket), **prefixes),
    ]


def _writer(spec: BatchSpec, context: Context) -> list[Statement]:
    """Its versions, its switch `latest.json`, its rejects, its records, its cache and the markers of its due times;
    deleting only files of its versions and of its cache.

    The baseline may be made by whoever has checks, but only where there is none: `s3:if-none-match` is in a request's
    context exactly when the write depends on that (S3, "Conditional writes"). Changing it is a person's decision.
    """
    name, bucket, arn = spec.name, context.data_bucket, context.account.bucket_arn
    versions, rejected = arn(bucket, keys.all_versions(name)), arn(bucket, keys.all_rejected(name))
    latest, records = arn(bucket, keys.latest_key(name)), arn(bucket, keys.all_records(name))
    baseline, due = arn(bucket, keys.baseline_key(name)), arn(bucket, keys.all_due(name))
    snapshots, images = arn(bucket, keys.ALL_SNAPSHOTS), arn(bucket, keys.ALL_IMAGES)
    listed = [keys.all_of(name), keys.all_records(name), keys.ALL_SNAPSHOTS, keys.ALL_IMAGES]
    statements = [
        allow(["s3:PutObject", "s3:AbortMultipartUpload"], [versions, rejected, latest, records, due]),
        # Snapshots say which versions are not to expire: names and sums of files, no content. Images: the commit that a
        # record and a page name; whose content it was built from, nobody needs to keep from others.
        allow("s3:GetObject", [versions, latest, records, snapshots, images, *([baseline] if spec.checks else [])]),
        allow("s3:PutObjectTagging", [versions, rejected]),
        # A retry clears what a failed attempt of the same run has left behind.
        allow("s3:DeleteObject", versions),
        allow("s3:ListBucket", arn(bucket), StringLike={"s3:prefix": listed}),
    ]
    if spec.checks:
        statements.append(allow("s3:PutObject", baseline, Null={"s3:if-none-match": "false"}))
    if spec.cache:
        cache = arn(bucket, keys.all_cached(name))
        actions = ["GetObject", "PutObject", "PutObjectTagging", "DeleteObject", "AbortMultipartUpload"]
        statements.append(allow([f"s3:{action}" for action in actions], cache))
    if any(isinstance(check, Measured) and check.trend is not None for check in spec.checks):
        statements.append(allow(["s3:GetObject", "s3:PutObject"], arn(bucket, keys.history_key(name))))
    return statements


def _publisher(spec: WorkloadSpec, context: Context) -> list[Statement]:
    bucket, arn = context.reports_bucket, context.account.bucket_arn
    return [
        allow(["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"], arn(bucket, keys.all_of(spec.name))),
        allow("s3:ListBucket", arn(bucket), StringLike={"s3:prefix": keys.all_of(spec.name)}),
    ]


def _mailer(spec: ReportSpec, context: Context) -> list[Statement]:
    """Mail by this sender to these people, and write down that it was done.

    Which identity SES takes for a sender, its address or its domain, depends on what is verified. A raw message is
    sent by SendRawEmail, whatever version of the API is called. `ForAllValues` holds where there is no recipient, too:
    hence `Null`. Source: "Actions, resources, and condition keys for Amazon SES v2", service authorization reference.
    """
    sender, mail = (
        context.settings.notifications.mail_from,
        context.account.bucket_arn(context.data_bucket, keys.all_mail(spec.name)),
    )
    identities = [context.account.arn("ses", f"identity/{name}") for name in (sender, sender.rpartition("@")[2])]
    return [
        {
            **allow(["ses:SendEmail", "ses:SendRawEmail"], identities),
            "Condition": {
                "StringEquals": {"ses:FromAddress": sender},
                "ForAllValues:StringEquals": {"ses:Recipients": list(spec.mail_to)},
                "Null": {"ses:Recipients": "false"},
            },
        },
        allow(["s3:GetObject", "s3:PutObject"], mail),
    ]


# --- the environment -----------------------------------------------------------------------------------------------


def states_permissions(context: Context) -> Document:
    """Run and watch tasks of this environment in its cluster, start and stop its machines, write run records and
    the markers of due times.
    """
    account, prefix = context.account, context.naming.prefix
    in_cluster = {"ecs:cluster": context.cluster_arn}
    return document(
        # A target without a revision is authorised as its latest revision (ECS, 2024-03-21), hence `:*`.
        allow("ecs:RunTask", account.arn("ecs", f"task-definition/{prefix}-*:*"), ArnEquals=in_cluster),
        allow(["ecs:StopTask", "ecs:DescribeTasks"], account.arn("ecs", f"task/{context.naming.cluster}/*")),
        # Tasks have the tags of their definition from the start; nobody changes them afterwards.
        allow(
            "ecs:TagResource",
            account.arn("ecs", f"task/{context.naming.cluster}/*"),
            StringEquals={"ecs:CreateAction": "RunTask"},
        ),
        allow(
            "iam:PassRole",
            account.role_arn(f"{tasks_path(context)[1:]}*"),
            StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"},
        ),
        allow(
            ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
            [account.arn("events", f"rule/{rule}") for rule in MANAGED_RULES],
        ),
        allow(["states:StartExecution", "states:ListExecutions"], context.machine_arn(f"{prefix}-*")),
        allow(["states:DescribeExecution", "states:StopExecution"], account.arn("states", f"execution:{prefix}-*:*")),
        allow(
            "s3:PutObject", [account.bucket_arn(context.data_bucket, key) for key in (keys.ALL_RECORDS, keys.ALL_DUE)]
        ),
        *key_use(context, ["kms:Decrypt", "kms:GenerateDataKey"], "s3"),
    )


def scheduler_permissions(context: Context) -> Document:
    """Start machines of this environment; put down what could not be started. Of one that ends by itself also tell so,
    and have it removed.
    """
    account, naming = context.account, context.naming
    ends = [
        allow("sns:Publish", account.arn("sns", naming.messages)),
        allow("codebuild:StartBuild", account.arn("codebuild", f"project/{naming.ends_project}")),
        *key_use(context, ["kms:Decrypt", "kms:GenerateDataKey"], "sns"),
    ]
    return document(
        allow("states:StartExecution", context.machine_arn(f"{naming.prefix}-*")),
        *(ends if context.settings.ends_at else []),
        allow("sqs:SendMessage", context.account.arn("sqs", context.naming.missed_schedules)),
        *key_use(context, ["kms:Decrypt", "kms:GenerateDataKey"], "sqs"),
    )


def instances_trust(context: Context) -> Document:
    """EC2 gives a machine its role without naming a source ("Cross-service confused deputy", IAM user guide)."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"ec2.{context.account.dns_suffix}"},
        "Action": "sts:AssumeRole",
    }
    return document(statement)


def watch_trust(context: Context) -> Document:
    """Lambda names the function ("AWS managed policies in the execution role", Lambda developer guide)."""
    function = context.account.arn("lambda", f"function:{context.naming.watch}")
    return trust(context.account, "lambda.amazonaws.com", function)


def watch_permissions(context: Context) -> Document:
    """Read what became of runs and due times, remember, tell; start what never came about. It reads no data.

    Source for what knows no resources: "Actions, resources, and condition keys for Amazon EventBridge Scheduler",
    service authorization reference.
    """
    account, naming, bucket, arn = context.account, context.naming, context.data_bucket, context.account.bucket_arn
    prefix = naming.prefix
    read = [keys.ALL_DUE, keys.ALL_RECORDS, keys.latest_key("*"), keys.WATCH_MEMORY]
    return document(
        allow("s3:GetObject", [arn(bucket, key) for key in read]),
        # Whoever may not list is told 403 of what is not there, which would look like a missing permission. S3 asks for
        # it with the whole prefix of a listing, and with none for the other.
        allow(
            "s3:ListBucket",
            arn(bucket),
            StringLike={"s3:prefix": [keys.ALL_DUE, keys.ALL_RECORDS, keys.latest_key("*"), keys.WATCH_MEMORY]},
        ),
        allow("s3:PutObject", arn(bucket, keys.WATCH_MEMORY)),
        allow("states:StartExecution", context.machine_arn(f"{prefix}-*")),
        allow("states:DescribeExecution", account.arn("states", f"execution:{prefix}-*:*")),
        allow("scheduler:ListSchedules", "*"),
        allow(
            ["logs:DescribeLogStreams", "logs:GetLogEvents"],
            [account.arn("logs", f"log-group:{naming.log_group('*')}")],
        ),
        allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"], account.arn("logs", f"log-group:{naming.watch_log_group}:*")
        ),
        allow(["sns:ListSubscriptionsByTopic", "sns:Publish"], account.arn("sns", naming.messages)),
        *key_use(context, ["kms:Decrypt", "kms:GenerateDataKey"], "s3"),
        *key_use(context, ["kms:Decrypt", "kms:GenerateDataKey"], "sns"),
    )


def instances_permissions(context: Context) -> Document:
    """What the ECS agent of a machine does: join this cluster, hear of its tasks, tell how they are.

    Images, logs and secrets are fetched with the roles of the tasks, not with this one.
    Source: "Actions, resources, and condition keys for Amazon ECS", service authorization reference.
    """
    account, cluster = context.account, context.cluster_arn
    machines = account.arn("ecs", f"container-instance/{context.naming.cluster}/*")
    return document(
        # It knows no resources.
        allow("ecs:DiscoverPollEndpoint", "*"),
        allow(
            [
                "ecs:DeregisterContainerInstance",
                "ecs:RegisterContainerInstance",
                "ecs:SubmitAttachmentStateChanges",
                "ecs:SubmitContainerStateChange",
                "ecs:SubmitTaskStateChange",
            ],
            cluster,
        ),
        allow(
            ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"],
            machines,
            ArnEquals={"ecs:cluster": cluster},
        ),
    )


# --- resources -----------------------------------------------------------------------------------------------------


Service = Literal["states", "scheduler", "instances", "watch"]
SERVICES: dict[Service, str] = {
    "watch": "the watch",
    "states": "states.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
    "instances": "the machines",
}


@dataclass(frozen=True)
class Granted:
    """A role and its policy. What uses the role depends on `ready`: the role exists a moment before its policy."""

    role: Role
    policy: RolePolicy | None

    @property
    def ready(self) -> list[pulumi.Resource]:
        return [self.policy] if self.policy else [self.role]


def tasks_path(context: Context) -> str:
    """Where roles lie that may be given to tasks, and no others."""
    return f"{context.role_path}tasks/"


def workload_role(
    purpose: Literal["execution", "task"], spec: WorkloadSpec, context: Context, parent: Component
) -> Granted:
    permissions = {"execution": execution_permissions, "task": task_permissions}[purpose](spec, context)
    role = Role(
        parent.child(purpose),
        name=context.naming.role(spec.name, purpose),
        path=tasks_path(context),
        permissions_boundary=context.boundary,
        force_detach_policies=True,  # an update that was killed may have made a policy that no state knows
        description=f"{purpose} role of the {spec.kind} {spec.name}",
        assume_role_policy=json.dumps(tasks_trust(context.account)),
        tags=context.tags(spec),
        opts=parent.options(),
    )
    return Granted(role, _policy(purpose, role, permissions, parent))


def _policy(name: str, role: Role, permissions: Document | None, parent: Component) -> RolePolicy | None:
    if permissions is None:
        return None
    policy = json.dumps(permissions)
    if (size := len("".join(policy.split()))) > MOST_POLICY_CHARACTERS:
        raise pulumi.RunError(
            f"{parent.child(name)}: what it reads, connects to and keeps secret makes a policy of {size:,} characters; "
            f"AWS allows {MOST_POLICY_CHARACTERS:,} for all policies of a role: split it into two, or read fewer things"
        )
    return RolePolicy(parent.child(name), name=name, role=role.name, policy=policy, opts=parent.options())


class PlatformRoles(Component):
    """The roles of AWS's own services, made once an environment and bounded to its name prefix.

        roles = PlatformRoles(project.context, project, (spec.hardware for spec in project.workloads))
        roles.states.role.arn, roles.scheduler.role.arn

    `instances`: that of the machines in pools, only if one of `hardware` is a pool.
    """

    def __init__(self, context: Context, parent: pulumi.Resource, hardware: Iterable[str] = ()) -> None:
        super().__init__("PlatformRoles", "roles", parent)
        self.context = context
        self.states = self._role("states", states_trust(context), states_permissions(context))
        self.scheduler = self._role("scheduler", scheduler_trust(context), scheduler_permissions(context))
        self.watch = self._role("watch", watch_trust(context), watch_permissions(context))
        self.instances: Granted | None = None
        if Offer.of(context.settings).used(hardware):
            self.instances = self._role("instances", instances_trust(context), instances_permissions(context))
        self.register_outputs({})

    def _role(self, service: Service, trusted: Document, permissions: Document) -> Granted:
        role = Role(
            self.child(service),
            name=self.context.naming.environment_role(service),
            path=self.context.role_path,
            permissions_boundary=self.context.boundary,
            force_detach_policies=True,
            description=f"{SERVICES[service]} acting for the environment {self.context.naming.environment}",
            assume_role_policy=json.dumps(trusted),
            tags=self.context.tags(),
            opts=self.options(),
        )
        return Granted(role, _policy(service, role, permissions, self))
