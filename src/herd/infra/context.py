"""What every part of the program is given: settings, names, the account; and the base class of its components."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_aws.get_caller_identity import get_caller_identity

from herd.infra.naming import Naming
from herd.infra.offer import Offer
from herd.infra.settings.load import SettingsError
from herd.infra.settings.schema import Settings
from herd.infra.spec.load import WorkloadSpec
from herd.runner.contract.task import Deadline

Statement = dict[str, Any]
Document = dict[str, Any]
"""Of IAM and of the policies of buckets and keys."""


@dataclass(frozen=True)
class Account:
    """The AWS account, and the ARNs of what the program names itself.

    Names are fixed, so these ARNs are known before anything exists: permissions are plain text in every preview, and
    nothing has to wait for an output.
    """

    id: str
    region: str
    partition: str = "aws"

    @classmethod
    def look_up(cls, settings: Settings) -> "Account":
        """Asks AWS whose credentials these are; raises SettingsError where they are not those of the stack's account.

        The partition (aws, aws-cn, aws-us-gov) is part of the answer's ARN.
        """
        identity = get_caller_identity()
        if identity.account_id != settings.account:
            raise SettingsError(
                f"Pulumi.{settings.environment}.yaml: herd:account = {settings.account}, but the "
                f"credentials are of the account {identity.account_id}; nothing was changed"
            )
        return cls(id=identity.account_id, region=settings.region, partition=identity.arn.split(":")[1])

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    @property
    def dns_suffix(self) -> str:
        """Of the names of AWS's services."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def role_arn(self, path_and_name: str) -> str:
        """IAM knows no regions."""
        return f"arn:{self.partition}:iam::{self.id}:role/{path_and_name}"

    def bucket_arn(self, bucket: str, key: str | None = None) -> str:
        """Bucket names are unique in the whole partition, so neither region nor account is part of the ARN."""
        return f"arn:{self.partition}:s3:::{bucket}" + (f"/{key}" if key else "")


@dataclass(frozen=True)
class LogBucket:
    """Where AWS's services write who asked for what; `ready`: what must be there before they are told to.

    Environments may share one, so each writes below its own prefix.
    """

    name: str
    arn: str
    prefix: str
    ready: tuple[pulumi.Resource, ...] = ()


@dataclass(frozen=True)
class Context:
    """One environment's plain facts; of Pulumi's outputs only the key's ARN, which AWS chooses."""

    settings: Settings
    naming: Naming
    account: Account
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Name -> ARN of each secret that a workload needs."""
    key_arn: pulumi.Input[str] | None = None
    """What encrypts data, logs and images; None: AWS's own keys."""
    logs: LogBucket | None = None
    """None: neither access logs nor flow logs are kept."""
    deadlines: Mapping[str, Deadline] = field(default_factory=dict)
    """When each job and report is due that is started by the clock, its own schedule or its pipeline's."""

    @property
    def access_logs(self) -> LogBucket | None:
        """Where buckets and load balancers log who asked for what."""
        return self.logs if self.settings.access_logs else None

    @property
    def flow_logs(self) -> LogBucket | None:
        """Where the network's connections are logged."""
        return self.logs if self.settings.flow_logs else None

    @property
    def offer(self) -> Offer:
        """What the stack's settings offer to workloads."""
        return Offer.of(self.settings)

    @property
    def cluster_arn(self) -> str:
        return self.account.arn("ecs", f"cluster/{self.naming.cluster}")

    @property
    def data_bucket(self) -> str:
        return self.settings.data_bucket or self.naming.bucket(self.account.id, "data")

    @property
    def boundary(self) -> str | None:
        """The ARN of the policy that limits every role."""
        return self.settings.boundary or None

    @property
    def role_path(self) -> str:
        """Where the environment's roles lie in IAM: `/herd-dev/`, with `iam_path` below that. No two share one."""
        return f"{self.settings.iam_path or '/'}{self.naming.prefix}/"

    def repository(self, image: str) -> str:
        """The name of the repository of an image folder: one of those that environments share, or the own one."""
        shared = self.settings.image_repositories
        return f"{shared}/{image}" if shared else self.naming.repository(image)

    @property
    def reports_bucket(self) -> str:
        return self.naming.bucket(self.account.id, "reports")

    def machine_arn(self, machine: str) -> str:
        return self.account.arn("states", f"stateMachine:{machine}")

    def tags(self, spec: WorkloadSpec | None = None, **more: str) -> dict[str, str]:
        """Tags of a shared resource, or of one that belongs to `spec`."""
        company: Mapping[str, str] = {**self.settings.tags, **more}
        if spec is None:
            return self.naming.tags(company=company)
        return self.naming.tags(workload=spec.name, kind=spec.kind, owner=spec.owner, company=company)


class Component(pulumi.ComponentResource):
    """A component whose children bear its name as prefix and have it as parent, so that no two instances collide."""

    def __init__(
        self,
        kind: str,
        name: str,
        parent: pulumi.Resource | None = None,
        transformations: list[pulumi.ResourceTransformation] | None = None,
    ) -> None:
        options = pulumi.ResourceOptions(parent=parent, transformations=transformations)
        super().__init__(f"herd:infra:{kind}", name, opts=options)
        self.name = name

    def child(self, name: str) -> str:
        return f"{self.name}-{name}"

    def options(
        self,
        depends_on: Sequence[pulumi.Resource] = (),
        ignore_changes: list[str] | None = None,
        delete_before_replace: bool | None = None,
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=list(depends_on) or None,
            ignore_changes=ignore_changes,
            delete_before_replace=delete_before_replace,
        )
