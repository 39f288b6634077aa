"""The boundary of all roles of environments, and who may take on the roles of this project: pure functions of names.

What those two roles may do is in `herd.bootstrap.grants`.
"""

from herd.bootstrap.scope import Scope
from herd.infra.context import Document
from herd.infra.permissions.workload import MANAGED_RULES, allow, document

MANAGED_POLICY_CHARACTERS = 6_144
"""The size of a managed policy, white space not counted (IAM quotas)."""


def boundary(scope: Scope) -> Document:
    """The most that any role of an environment can have, whatever its own policy says.

    The union of what `herd.infra.permissions.workload` gives workloads and AWS's services; a test holds the two
    together.
    """
    account, prefix = scope.account, scope.prefix
    names = (prefix, *scope.adopted_buckets)
    buckets = [arn for name in names for arn in (account.bucket_arn(name), account.bucket_arn(name, "*"))]
    read = [arn for name in scope.read_buckets for arn in (account.bucket_arn(name), account.bucket_arn(name, "*"))]
    machines = [scope.own("states", f"stateMachine:{prefix}"), scope.own("states", f"execution:{prefix}:*")]
    return document(
        allow(
            [
                *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"),
                "s3:PutObjectTagging",
            ],
            buckets,
        ),
        *([allow(["s3:GetObject", "s3:ListBucket"], read)] if read else []),
        allow(
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents"],
            [scope.own("logs", f"log-group:/{prefix}"), scope.own("logs", f"log-group:/{prefix}:*")],
        ),
        allow("secretsmanager:GetSecretValue", scope.own("secretsmanager", f"secret:{prefix}/*")),
        allow("ecr:GetAuthorizationToken", "*"),
        allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [scope.own("ecr", f"repository/{prefix}"), scope.own("ecr", f"repository/{scope.project}/*")],
        ),
        allow(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            scope.own("kms", "key/*"),
            StringEquals=scope.via("s3", "secretsmanager", "sns", "sqs", "ecr"),
        ),
        allow(["sns:ListSubscriptionsByTopic", "sns:Publish"], scope.own("sns", prefix)),
        allow("scheduler:ListSchedules", "*"),
        allow("sqs:SendMessage", scope.own("sqs", prefix)),
        # Reports by e-mail; by which sender and to whom, each role says.
        allow(["ses:SendEmail", "ses:SendRawEmail"], scope.own("ses", "identity/*")),
        allow("ecs:DiscoverPollEndpoint", "*"),
        allow(
            [
                *("ecs:DeregisterContainerInstance", "ecs:DescribeTasks", "ecs:Poll", "ecs:RegisterContainerInstance"),
                *("ecs:RunTask", "ecs:StartTelemetrySession", "ecs:StopTask", "ecs:SubmitAttachmentStateChanges"),
                *("ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange", "ecs:TagResource"),
                "ecs:UpdateContainerInstancesState",
            ],
            [
                scope.own("ecs", f"{kind}/{prefix}")
                for kind in ("cluster", "container-instance", "task", "task-definition")
            ],
        ),
        allow("iam:PassRole", scope.roles(), StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
        allow(
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [scope.own("events", f"rule/{rule}") for rule in MANAGED_RULES],
        ),
        allow(
            [
                *("states:DescribeExecution", "states:ListExecutions", "states:StartExecution"),
                "states:StopExecution",
            ],
            machines,
        ),
    )


def github_trust(
    provider_arn: str, repository: str, repository_id: str, owner_id: str, claims: list[str], ref: str | None = None
) -> Document:
    """Only this repository, by name and by number, and only its jobs with one of `claims` (`environment:prod`); with
    `ref` only those that run on it, which `claims` cannot say of a job that has an environment.

    Since 2026-06-18 new, renamed and moved repositories say their numbers in `sub` too, so both forms are listed.
    Source: "About security hardening with OpenID Connect", GitHub docs.
    """
    owner, _, name = repository.partition("/")
    forms = (f"repo:{repository}", f"repo:{owner}@{owner_id}/{name}@{repository_id}")
    issuer = "token.actions.githubusercontent.com"
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:aud": "sts.amazonaws.com",
                    f"{issuer}:repository_id": repository_id,
                    f"{issuer}:sub": [f"{form}:{claim}" for claim in claims for form in forms],
                    **({f"{issuer}:ref": ref} if ref else {}),
                }
            },
        }
    )
