"""The decision, from documents alone.

An explicit Deny anywhere wins. Otherwise an identity-based policy has to allow, within the permissions boundary and
the session policy; a resource-based policy of the same account may allow instead. Source: "Policy evaluation logic"
and "Evaluating identity-based policies with resource-based policies" (IAM user guide).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from localcloud.iam.documents import Document, Principals, Statement
from localcloud.iam.patterns import Context, arn_like
from localcloud.request.access import Access


@dataclass(frozen=True)
class Who:
    """A caller as policies name it: a role's session (`arn` and `role`), a service, or nobody known."""

    arn: str = ""
    role: str = ""
    account: str = ""
    service: str = ""
    federated: str = ""

    def named_by(self, principals: Principals) -> str:
        """How a Principal element names the caller: "session", "role", "account", or "" when it does not."""
        if self.service:
            named = self.service in principals.get("Service", ())
            return "session" if named or "*" in principals.get("AWS", ()) else ""
        if self.federated and self.federated in principals.get("Federated", ()):
            return "session"
        strength = ""
        for who in principals.get("AWS", ()):
            if who == self.arn and self.arn:
                return "session"
            if who == "*" or (self.role and who == self.role):
                strength = "role"
            elif self.account and who in (self.account, f"arn:aws:iam::{self.account}:root"):
                strength = strength or "account"
        return strength


class Why(Enum):
    """What decided."""

    ALLOWED = "allowed"
    DENIED_BY_IDENTITY = "with an explicit deny in an identity-based policy"
    DENIED_BY_BOUNDARY = "with an explicit deny in a permissions boundary"
    DENIED_BY_SESSION = "with an explicit deny in a session policy"
    DENIED_BY_RESOURCE = "with an explicit deny in a resource-based policy"
    NOT_IN_IDENTITY = "because no identity-based policy allows the {action} action"
    NOT_IN_BOUNDARY = "because no permissions boundary allows the {action} action"
    NOT_IN_SESSION = "because no session policy allows the {action} action"
    NOT_IN_RESOURCE = "because no resource-based policy allows the {action} action"


@dataclass(frozen=True)
class Decision:
    """What became of an access, and the statement that denied it if one did."""

    why: Why
    statement: Statement | None = None

    @property
    def allowed(self) -> bool:
        return self.why is Why.ALLOWED


@dataclass(frozen=True)
class Policies:
    """All documents that have a say. None means that there is no such policy; () is one that says nothing.

    `resource_decides`: the resource's own policy has to allow, or to leave it to the account (KMS keys, roles).
    """

    identity: tuple[Document, ...] = ()
    boundary: Document | None = None
    session: Document | None = None
    resource: Document | None = None
    resource_decides: bool = False


def decide(access: Access, who: Who, policies: Policies, context: Context) -> Decision:
    """Whether `who` gets `access`; `context` is the whole of the request's condition keys."""
    statement = _denial(policies.identity, access, context)
    if statement is not None:
        return Decision(Why.DENIED_BY_IDENTITY, statement)
    for document, why in (
        (policies.boundary, Why.DENIED_BY_BOUNDARY),
        (policies.session, Why.DENIED_BY_SESSION),
    ):
        if document is not None and (statement := _denial((document,), access, context)) is not None:
            return Decision(why, statement)
    strength = ""
    for statement in policies.resource or ():
        named = _names(statement, who)
        if named and statement.covers(access.action, access.resource, context):
            if not statement.allows:
                return Decision(Why.DENIED_BY_RESOURCE, statement)
            strength = max(strength, named, key=_STRENGTH.index)
    return Decision(_verdict(access, policies, context, strength))


_STRENGTH = ("", "account", "role", "session")


def _verdict(access: Access, policies: Policies, context: Context, strength: str) -> Why:
    if strength == "session":  # neither boundary nor session policy limits what is given to a session itself
        return Why.ALLOWED
    if policies.resource_decides and not strength:
        return Why.NOT_IN_RESOURCE
    if strength != "role" and not any(_allows(document, access, context) for document in policies.identity):
        return Why.NOT_IN_IDENTITY
    if policies.boundary is not None and not _allows(policies.boundary, access, context):
        return Why.NOT_IN_BOUNDARY
    if policies.session is not None and not _allows(policies.session, access, context):
        return Why.NOT_IN_SESSION
    return Why.ALLOWED


def _names(statement: Statement, who: Who) -> str:
    if statement.not_principals:
        return "" if who.named_by(statement.not_principals) else "role"
    if (
        not statement.allows
        and who.role
        and any(arn_like(pattern, who.role, {}) for pattern in statement.principals.get("AWS", ()) if "*" in pattern)
    ):
        return "role"
    return who.named_by(statement.principals)


def _denial(documents: tuple[Document, ...], access: Access, context: Context) -> Statement | None:
    for document in documents:
        for statement in document:
            if not statement.allows and statement.covers(access.action, access.resource, context):
                return statement
    return None


def _allows(document: Document, access: Access, context: Context) -> bool:
    return any(statement.allows and statement.covers(access.action, access.resource, context) for statement in document)
