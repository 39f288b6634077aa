"""Who a request's principal is, and which identity-based policies hold for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from localcloud import backends
from localcloud.iam import documents
from localcloud.iam.evaluation import Who

SESSION = re.compile(r"arn:aws:sts::(\d+):assumed-role/([^/]+)/(.+)")


@dataclass(frozen=True)
class Caller:
    """A role's session: what its policies are at this moment. A role that is gone has none: it may do nothing."""

    who: Who
    identity: tuple[documents.Document, ...] = ()
    boundary: documents.Document | None = None
    session: documents.Document | None = None
    boundary_arn: str = ""
    tags: dict[str, str] = field(default_factory=dict)


def caller(principal: str) -> Caller:
    """The caller behind a session's ARN. Hold the server's lock. Raises ValueError for any other principal."""
    match = SESSION.fullmatch(principal)
    if match is None:
        raise ValueError(f"{principal} is no session of a role")
    account, name, _ = match.groups()
    role = backends.role(account, name)
    if role is None:
        return Caller(Who(arn=principal, account=account))
    boundary_arn = role.permissions_boundary_arn or ""
    session = backends.session_policy(account, principal)
    return Caller(
        Who(arn=principal, role=role.arn, account=account),
        tuple(documents.read(text) for text in _identity_texts(role)),
        documents.read(_managed_text(backends.policy(account, boundary_arn))) if boundary_arn else None,
        documents.read(session) if session else None,
        boundary_arn,
        {tag["Key"]: tag["Value"] for tag in role.tags or ()},
    )


def session_of(role_arn: str, session: str) -> str:
    """The session's ARN when somebody takes on a role; the role's path is not in it."""
    _, partition, _, _, account, resource = role_arn.split(":", 5)
    return f"arn:{partition}:sts::{account}:assumed-role/{resource.rsplit('/', 1)[-1]}/{session}"


def _identity_texts(role: Any) -> list[str]:
    return [*role.policies.values(), *(_managed_text(policy) for policy in role.managed_policies.values())]


def _managed_text(policy: Any) -> str:
    """A managed policy's default version; a boundary that is gone allows nothing."""
    versions = policy.versions if policy is not None else ()
    for version in versions:
        if version.version_id == policy.default_version_id:
            text: str = version.document
            return text
    return '{"Statement":[]}'
