"""One project in one account: the names and ARNs that all permissions of the bootstrap are about."""

from __future__ import annotations

from dataclasses import dataclass, replace

from herd.infra.context import Account
from herd.infra.naming import Naming, boundary_name

PULL_REQUESTS = "pr-*"
"""The stacks of pull requests: pr-17 is that of number 17."""


@dataclass(frozen=True)
class Scope:
    """One project in one account: whose names all permissions are about."""

    account: Account
    project: str
    environments: tuple[str, ...] = ()
    read_buckets: tuple[str, ...] = ()
    iam_path: str = "/"
    adopted_buckets: tuple[str, ...] = ()
    stacks: str = "*"
    """The stacks that permissions are about, as a pattern: all of the project's, or PULL_REQUESTS."""

    @property
    def prefix(self) -> str:
        return f"{self.project}-{self.stacks}"

    def of_pull_requests(self) -> Scope:
        """The environments of pull requests and nothing else: no adopted bucket, no repository that is shared."""
        return replace(self, stacks=PULL_REQUESTS, adopted_buckets=())

    @property
    def boundary_arn(self) -> str:
        return f"arn:{self.account.partition}:iam::{self.account.id}:policy/{self.boundary_name}"

    @property
    def boundary_name(self) -> str:
        return boundary_name(self.project, of_pull_requests=self.stacks == PULL_REQUESTS)

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
