"""What the boundary, the preview and the deployment may do: pure functions of names.

Everything is bound to the project's prefix where AWS names resources; where it gives ids (VPCs, keys, certificates)
to the region. No document here lets anybody read a secret's value, and none lets a deployment widen itself: it makes
roles with the boundary only, and may touch neither the boundary nor the roles of this project.
"""

from dataclasses import dataclass
from typing import Any

from infra.context import Account, Document, Statement
from infra.naming import Naming
from infra.permissions import MANAGED_RULES, allow, document

MANAGED_POLICY_CHARACTERS = 6_144
"""The size of a managed policy, white space not counted (IAM quotas)."""

KEY_CHANGES = [
    *("kms:CreateAlias", "kms:CreateGrant", "kms:DeleteAlias", "kms:DisableKey", "kms:PutKeyPolicy"),
    *("kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias"),
]

STATE_FOLDERS = ("stacks", "history", "backups", "locks/organization")
"""Where Pulumi's own backends keep what is a project's, each with a folder for it (pkg/backend/diy in Pulumi)."""

PASSED_TO = ("ecs-tasks.amazonaws.com", "scheduler.amazonaws.com", "states.amazonaws.com", "ec2.amazonaws.com")


@dataclass(frozen=True)
class Scope:
    """One project in one account: whose names all permissions are about."""

    account: Account
    project: str
    environments: tuple[str, ...] = ()
    read_buckets: tuple[str, ...] = ()
    iam_path: str = "/"

    @property
    def prefix(self) -> str:
        return f"{self.project}-*"

    @property
    def boundary_arn(self) -> str:
        return f"arn:{self.account.partition}:iam::{self.account.id}:policy/{self.boundary_name}"

    @property
    def boundary_name(self) -> str:
        return f"{self.project}-boundary"

    @property
    def state_bucket(self) -> str:
        return f"{self.project}-{self.account.id}-state"

    @property
    def state_key_alias(self) -> str:
        return f"alias/{self.project}-state"

    @property
    def state_key(self) -> dict[str, dict[str, str]]:
        """The condition by which a permission for keys, which have no names, is one for the state's."""
        return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": self.state_key_alias}}

    def role_name(self, purpose: str) -> str:
        return f"{self.project}-{purpose}"

    def data_bucket(self, environment: str) -> str:
        return Naming(self.project, environment).bucket(self.account.id, "data")

    def repository(self, image: str) -> str:
        return f"{self.project}/{image}"

    def own(self, service: str, resource: str) -> str:
        return self.account.arn(service, resource)

    def roles(self) -> str:
        """Roles of environments; those of this project have no path, so they are none of them."""
        return self.account.role_arn(f"{self.iam_path[1:]}{self.prefix}/*")

    def via(self, *services: str) -> dict[str, list[str]]:
        suffix = f"{self.account.region}.{self.account.dns_suffix}"
        return {"kms:ViaService": [f"{service}.{suffix}" for service in services]}


def boundary(scope: Scope) -> Document:
    """The most that any role of an environment can have, whatever its own policy says.

    The union of what `infra.permissions` gives workloads and AWS's services; a test holds the two together.
    """
    account, prefix = scope.account, scope.prefix
    buckets = [account.bucket_arn(prefix), account.bucket_arn(prefix, "*")]
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
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            scope.own("logs", f"log-group:/{prefix}:*"),
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
            StringEquals=scope.via("s3", "secretsmanager", "sqs", "ecr"),
        ),
        allow("sqs:SendMessage", scope.own("sqs", prefix)),
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


def state_access(scope: Scope, *, write: bool) -> Document:
    """Pulumi's own state: the bucket with its locks, and the key that encrypts the secrets in it.

    Written is the project's alone: with that of `herd bootstrap`, which lies beside it, a deployment could have an
    administrator's next run widen it.
    """
    bucket = scope.account.bucket_arn(scope.state_bucket)
    own = [f"{bucket}/.pulumi/{folder}/{scope.project}/*" for folder in STATE_FOLDERS]
    use = ["kms:Decrypt", *(["kms:Encrypt", "kms:GenerateDataKey"] if write else [])]
    return document(
        allow(["s3:ListBucket", "s3:GetBucketLocation"], bucket),
        allow("s3:GetObject", f"{bucket}/*"),
        *([allow(["s3:DeleteObject", "s3:PutObject"], own)] if write else []),
        allow(["kms:DescribeKey", *use], scope.own("kms", "key/*"), **scope.state_key),
    )


def look_ups(scope: Scope) -> Document:
    """What the program asks before it makes anything. Descriptions only: no secret's value, no object's content."""
    account, prefix = scope.account, scope.prefix
    return document(
        # None of these knows resources (service authorization reference).
        allow(
            [
                *("acm:ListCertificates", "ec2:DescribeAvailabilityZones", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
                *("ec2:DescribeVpcAttribute", "ecr:GetAuthorizationToken", "route53:ListHostedZones"),
                *("s3:GetAccountPublicAccessBlock", "tag:GetResources"),
            ],
            "*",
        ),
        allow(
            ["route53:GetHostedZone", "route53:ListTagsForResource"], f"arn:{account.partition}:route53:::hostedzone/*"
        ),
        allow(["s3:GetBucketLocation", "s3:ListBucket", "s3:GetBucketTagging"], account.bucket_arn(prefix)),
        allow(
            ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"],
            scope.own("secretsmanager", f"secret:{prefix}/*"),
        ),
        allow(
            ["ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListTagsForResource"],
            [scope.own("ecr", f"repository/{scope.project}/*"), scope.own("ecr", f"repository/{prefix}")],
        ),
        allow("iam:GetPolicy", scope.boundary_arn),
        allow("kms:DescribeKey", scope.own("kms", "key/*")),
    )


def deployment(scope: Scope) -> dict[str, Document]:
    """What `pulumi up` and `destroy` need of each service, as managed policies by name."""
    return {
        "deploy-data": _data(scope),
        "deploy-compute": _compute(scope),
        "deploy-network": _network(scope),
        "deploy-roles": _roles(scope),
    }


def _data(scope: Scope) -> Document:
    account, prefix = scope.account, scope.prefix
    # Named as infra.naming has them: the bucket for state, and objects in it, are none of these.
    buckets = f"{scope.prefix}-{account.id}-*"
    names = [scope.data_bucket(environment) for environment in scope.environments]
    kept = [arn for name in names for arn in (account.bucket_arn(name), account.bucket_arn(name, "*"))]
    kept.append(account.bucket_arn(scope.state_bucket))
    here = {"aws:RequestedRegion": account.region}
    return document(
        # Buckets with their settings; when they go, what is in them. What outlives environments is not among them.
        allow(
            [
                *("s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:GetAccelerateConfiguration"),
                *("s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration"),
                *("s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ListBucketVersions", "s3:PutBucketLogging"),
                *("s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock"),
                *("s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration"),
                "s3:PutLifecycleConfiguration",
            ],
            account.bucket_arn(buckets),
        ),
        allow(["s3:DeleteObject", "s3:DeleteObjectVersion"], account.bucket_arn(buckets, "*")),
        # How the first runs went, which `herd up` waits for; not what they made.
        allow("s3:GetObject", account.bucket_arn(buckets, "_runs/*")),
        deny(["s3:DeleteBucket*", "s3:DeleteObject*", "s3:PutBucket*", "s3:Put*Configuration"], kept),
        allow("logs:DescribeLogGroups", "*"),
        allow(
            [
                *("logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:ListTagsForResource", "logs:PutRetentionPolicy"),
                *("logs:AssociateKmsKey", "logs:DisassociateKmsKey", "logs:TagResource", "logs:UntagResource"),
                *("logs:FilterLogEvents", "logs:GetLogEvents", "logs:DescribeLogStreams"),
            ],
            # The last is where ECS writes the metrics of containers, under a name of its own.
            [
                *(scope.own("logs", f"log-group:/{prefix}"), scope.own("logs", f"log-group:/{prefix}:*")),
                scope.own("logs", f"log-group:/aws/ecs/containerinsights/{prefix}"),
            ],
        ),
        allow("sqs:*", scope.own("sqs", prefix)),
        allow(
            ["secretsmanager:DeleteSecret", "secretsmanager:TagResource", "secretsmanager:UpdateSecret"],
            scope.own("secretsmanager", f"secret:{prefix}/*"),
        ),
        allow("secretsmanager:ListSecrets", "*"),
        # Keys have no names; their policies are written by whoever makes them.
        allow(["kms:CreateKey", "kms:ListAliases"], "*", StringEquals=here),
        allow(
            [
                *(
                    "kms:CreateAlias",
                    "kms:CreateGrant",
                    "kms:DeleteAlias",
                    "kms:EnableKeyRotation",
                    "kms:Get*",
                    "kms:List*",
                ),
                *("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource"),
                # With the last three secrets are given the environment's key, without their values being read.
                *("kms:UpdateKeyDescription", "kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"),
            ],
            [scope.own("kms", "key/*"), scope.own("kms", f"alias/{prefix}")],
            StringEquals=here,
        ),
        # Without the state's key no environment could be changed any more. It is told by its name, so that stays too.
        deny(KEY_CHANGES, scope.own("kms", "key/*"), **scope.state_key),
        deny(["kms:DeleteAlias", "kms:UpdateAlias"], scope.own("kms", scope.state_key_alias)),
    )


def _compute(scope: Scope) -> Document:
    account, prefix = scope.account, scope.prefix
    here = {"aws:RequestedRegion": account.region}
    return document(
        allow(
            ["ecs:*"],
            [
                scope.own("ecs", f"{kind}/{prefix}")
                for kind in ("capacity-provider", "cluster", "service", "task", "task-definition", "container-instance")
            ],
        ),
        allow(
            [
                *("ecs:CreateCapacityProvider", "ecs:DeregisterTaskDefinition", "ecs:Describe*", "ecs:List*"),
                *("ecr:GetAuthorizationToken", "states:ListStateMachines", "scheduler:ListSchedules"),
                *("application-autoscaling:*", "autoscaling:Describe*", "ssm:DescribeParameters"),
            ],
            "*",
            StringEquals=here,
        ),
        allow("ecr:*", [scope.own("ecr", f"repository/{prefix}"), scope.own("ecr", f"repository/{scope.project}/*")]),
        deny("ecr:DeleteRepository", scope.own("ecr", f"repository/{scope.project}/*")),
        allow("states:*", [scope.own("states", f"{kind}:{prefix}") for kind in ("stateMachine", "execution")]),
        allow("scheduler:*", [scope.own("scheduler", f"{kind}/{prefix}") for kind in ("schedule", "schedule-group")]),
        allow("autoscaling:*", scope.own("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{prefix}")),
        # Amazon's own parameters: which machine image is the latest.
        allow(
            ["ssm:GetParameter", "ssm:GetParameters"],
            f"arn:{account.partition}:ssm:{account.region}::parameter/aws/service/*",
        ),
    )


def _network(scope: Scope) -> Document:
    here = {"aws:RequestedRegion": scope.account.region}
    names = ("Vpc", "Subnet", "RouteTable", "Route", "InternetGateway", "NatGateway", "SecurityGroup", "FlowLogs")
    made = [f"ec2:{verb}{name}" for name in (*names, "LaunchTemplate") for verb in ("Create", "Delete")]
    made += ["ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplateVersions"]
    return document(
        allow(
            [
                *made,
                *("ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints", "ec2:ModifyVpcEndpoint", "ec2:ModifyVpcAttribute"),
                *("ec2:ModifySubnetAttribute", "ec2:ModifyLaunchTemplate", "ec2:ModifySecurityGroupRules"),
                *("ec2:AllocateAddress", "ec2:ReleaseAddress", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable"),
                *("ec2:DisassociateAddress", "ec2:ReplaceRoute", "ec2:ReplaceRouteTableAssociation"),
                *("ec2:AttachInternetGateway", "ec2:DetachInternetGateway", "ec2:DetachNetworkInterface"),
                *("ec2:DeleteNetworkInterface", "ec2:AuthorizeSecurityGroup*", "ec2:RevokeSecurityGroup*"),
                *("ec2:CreateTags", "ec2:DeleteTags", "ec2:Describe*", "ec2:Get*", "ec2:RunInstances"),
                *("elasticloadbalancing:*", "acm:*Certificate*", "logs:*LogDelivery*"),
            ],
            "*",
            StringEquals=here,
        ),
        # Global services are asked in us-east-1.
        allow(
            [
                *("route53:ChangeResourceRecordSets", "route53:Get*", "route53:List*"),
                *("cloudfront:*Distribution*", "cloudfront:*OriginAccessControl*", "cloudfront:TagResource"),
                *("cloudfront:UntagResource", "cloudfront:ListTagsForResource", "cloudfront:Get*"),
            ],
            "*",
        ),
    )


def _roles(scope: Scope) -> Document:
    """Roles of environments, and of those only such as have the boundary: a deployment cannot give what it lacks."""
    account, roles = scope.account, scope.roles()
    own = [account.role_arn(scope.role_name(purpose)) for purpose in ("preview", "deploy")]
    machines = f"arn:{account.partition}:iam::{account.id}:instance-profile{scope.iam_path}{scope.prefix}/*"
    return document(
        allow(
            [
                *("iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy"),
                *("iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
            ],
            roles,
            StringEquals={"iam:PermissionsBoundary": scope.boundary_arn},
        ),
        allow(
            [
                *(
                    "iam:DeleteRole",
                    "iam:Get*",
                    "iam:List*",
                    "iam:TagRole",
                    "iam:UntagRole",
                    "iam:UpdateAssumeRolePolicy",
                ),
                *("iam:UpdateRole", "iam:UpdateRoleDescription"),
            ],
            roles,
        ),
        allow("iam:PassRole", roles, StringEquals={"iam:PassedToService": list(PASSED_TO)}),
        allow(
            [
                *("iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile"),
                *("iam:GetInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile"),
                "iam:UntagInstanceProfile",
            ],
            machines,
        ),
        # Roles that AWS makes for itself when a service is first used.
        allow("iam:CreateServiceLinkedRole", account.role_arn("aws-service-role/*")),
        deny(
            [
                *("iam:CreatePolicyVersion", "iam:DeletePolicy*", "iam:SetDefaultPolicyVersion"),
                "iam:DeleteRolePermissionsBoundary",
            ],
            [scope.boundary_arn, f"arn:{account.partition}:iam::{account.id}:policy/{scope.project}-deploy-*", roles],
        ),
        deny("iam:*", own),
        deny(["iam:CreateUser", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:*OpenIDConnectProvider*"], "*"),
    )


def deny(actions: str | list[str], resources: str | list[str], **condition: dict[str, Any]) -> Statement:
    """What no other statement can give."""
    return {**allow(actions, resources, **condition), "Effect": "Deny"}


def github_trust(provider_arn: str, repository: str, repository_id: str, owner_id: str, claims: list[str]) -> Document:
    """Only this repository, by name and by number, and only its jobs with one of `claims` (`environment:prod`).

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
                }
            },
        }
    )
