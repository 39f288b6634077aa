"""The one place where a request is allowed or not, and where it is said what is missing."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from localcloud.iam import accesses, encryption, principals, resources, roles, s3
from localcloud.iam.errors import CannotAssume, Denied
from localcloud.iam.evaluation import Decision, Policies, Who, Why, decide
from localcloud.iam.patterns import Circumstances
from localcloud.request import Call, Refused
from localcloud.request.access import Access, Value
from localcloud.request.judged import Judged

log = logging.getLogger(__name__)

UNJUDGED = ("root", "anonymous")
"""The account's own key may do everything; what everyone may read of a bucket was decided by who read it for them."""

DENIED: Mapping[str, tuple[str, int]] = {
    "ec2": ("UnauthorizedOperation", 403),
    "sns": ("AuthorizationError", 403),
    "sqs": ("AccessDenied", 403),
    "s3": ("AccessDenied", 403),
}
"""Service -> code and status of its refusal, where it is not the one of its protocol."""

DENIED_BY_PROTOCOL: Mapping[str, tuple[str, int]] = {
    "json": ("AccessDeniedException", 400),
    "rest-json": ("AccessDeniedException", 403),
}

NAMES_OWNER = frozenset({"cloudwatch.amazonaws.com"})
"""Services that say by aws:SourceOwner for whom they act, which is what a topic's default policy asks for: an alarm may
publish to a topic without a policy, a rule may not. Source: "Example cases for Amazon SNS access control"."""


class Guard:
    """Judges the requests to one account's server. Its lock is held in every call."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str]] = set()

    def check(self, call: Call) -> None:
        """Raise `Refused` if a request's sender lacks a permission, or names a role that its service cannot use.

        What cannot be judged is refused too.
        """
        with _refusing_failures(call):
            if call.principal not in UNJUDGED:
                self._judge(call)
            roles.check(call, self)

    def _judge(self, call: Call) -> None:
        principal = call.principal
        wanted = s3.accesses(call) if call.service == "s3" else accesses.accesses(call)
        common = {"aws:requestedregion": call.region}
        if agent := call.headers.get("user-agent"):
            common["aws:useragent"] = agent
        try:
            for access in wanted:
                self.demand(principal, access, common)
                for needed in encryption.accesses(access, call):
                    self.demand(principal, needed, common)
                if access.action == "s3:GetObject":
                    self._hide_absence(call.account, access.resource, principal, common)
        except Denied as denied:
            raise _refusal(call, str(denied)) from denied

    def demand(self, principal: str, access: Access, more: Mapping[str, Value] | None = None) -> None:
        """Raise `Denied` unless the principal, a role's session, has what it needs; say so in the log, once."""
        decision, caller = self._decide(principal, access, more or {})
        if decision.allowed:
            return
        message = explain(access, caller, decision)
        said = (caller.who.role or principal, access.action, access.resource)
        if said not in self._said:
            self._said.add(said)
            log.warning("%s", message)
        raise Denied(message, access)

    def assume(self, role_arn: str, service: str, source_arn: str | None, session: str) -> str:
        """The principal that a service becomes when it takes on a role for `source_arn`. Raises `CannotAssume`."""
        if source_arn is not None:
            self.trust(role_arn, service, source_arn)
        return principals.session_of(role_arn, session)

    def trust(self, role_arn: str, service: str, source_arn: str) -> None:
        """Raise `CannotAssume` unless a role trusts a service that acts for `source_arn`."""
        account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
        access = Access("sts:AssumeRole", role_arn)
        policies = Policies(resource=resources.policy(role_arn, account), resource_decides=True)
        if not decide(access, Who(service=service), policies, _of_service(service, account, source_arn)).allowed:
            missing = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
            condition = {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": source_arn}}
            raise CannotAssume(
                f"{service} is not authorized to assume the role {role_arn} for {source_arn}. Its trust policy lacks: "
                f"{_compact({**missing, 'Condition': condition})}"
            )

    def demand_service(self, service: str, access: Access, source_arn: str) -> None:
        """Raise `Denied` unless the resource's own policy lets one of AWS's services have it for `source_arn`, and so
        does the policy of the key that encrypts the resource.
        """
        self._demand_of_policy(service, access, source_arn)
        if managed := encryption.managed_key(access):
            raise Denied(
                f"{access.resource} is encrypted with {managed}, whose policy nobody can change and which admits no "
                f"service: {service} cannot use it. Encrypt it with a key of your own that admits {service}, or with "
                f"none",
                access,
            )
        for needed in encryption.of_service(access):
            self._demand_of_policy(service, needed, source_arn)

    def _demand_of_policy(self, service: str, access: Access, source_arn: str) -> None:
        account = source_arn.split(":")[4] or access.resource.split(":")[4]
        policies = Policies(resource=resources.policy(access.resource, account) or (), resource_decides=True)
        context = {**_of_service(service, account, source_arn), **access.context}
        decision = decide(access, Who(service=service), policies, context)
        if decision.allowed:
            return
        why = decision.why.value.format(action=access.action)
        lacking = {"Effect": "Allow", "Principal": {"Service": service}, "Action": access.action,
                   "Resource": access.resource, "Condition": {"ArnLike": {"aws:SourceArn": source_arn}}}  # fmt: skip
        raise Denied(
            f"{service} is not authorized to perform: {access.action} on resource: {access.resource} for {source_arn} "
            f"{why}. To the policy of {access.resource} add: {_compact(lacking)}",
            access,
        )

    def _decide(self, principal: str, access: Access, more: Mapping[str, Value]) -> tuple[Decision, principals.Caller]:
        caller = principals.caller(principal)
        service = access.action.partition(":")[0]
        account = caller.who.account
        policies = Policies(
            identity=caller.identity,
            boundary=caller.boundary,
            session=caller.session,
            resource=resources.policy(access.resource, account),
            resource_decides=service in resources.DECIDES,
        )
        if service == "iam":  # a trust policy is about who takes the role on, not about who hands it over or changes it
            policies = Policies(identity=caller.identity, boundary=caller.boundary, session=caller.session)
        region = str(more.get("aws:requestedregion", ""))
        known = {**circumstances(), **_about(caller), **more, **access.context}
        context = Circumstances(known, lambda: resources.tags(access.resource, account, region))
        return decide(access, caller.who, policies, context), caller

    def _hide_absence(self, account: str, arn: str, principal: str, common: Mapping[str, Value]) -> None:
        """Whoever may not list a bucket is not told which keys it lacks. Source: GetObject (S3 API reference).

        There is no prefix in such a question, so that a permission to list some prefixes does not answer it.
        """
        bucket, _, key = arn.partition(":::")[2].partition("/")
        if s3.exists(account, bucket, key):
            return
        access = Access("s3:ListBucket", s3.bucket_arn(bucket))
        decision, caller = self._decide(principal, access, common)
        if not decision.allowed:
            refusal = f"User: {caller.who.arn} is not authorized to read {arn}"
            raise Denied(
                f"{refusal}: there is no such key, which only s3:ListBucket on {access.resource} tells", access
            )


def asked_for(call: Call) -> Judged:
    """What a request asks for, as it is judged. Raises `Refused` for what S3 has no action for."""
    with _refusing_failures(call):
        return Judged(call, tuple(s3.accesses(call)) if call.service == "s3" and not call.is_control else ())


@contextmanager
def _refusing_failures(call: Call) -> Iterator[None]:
    """What cannot be judged is refused: a failure of the judge lets nobody in."""
    try:
        yield
    except Refused:
        raise
    except Exception as failure:
        log.exception("could not judge %s", call.name)
        text = f"The local cloud could not judge {call.name}: {type(failure).__name__}: {failure}"
        raise _refusal(call, text) from failure


def _refusal(call: Call, text: str) -> Refused:
    code, status = DENIED.get(call.service) or DENIED_BY_PROTOCOL.get(call.protocol, ("AccessDenied", 403))
    return Refused(code, text, status)


def explain(access: Access, caller: principals.Caller, decision: Decision) -> str:
    """AWS's message, and the statement that is missing or in the way."""
    why = decision.why.value.format(action=access.action)
    refusal = (
        f"User: {caller.who.arn} is not authorized to perform: {access.action} on resource: {access.resource} {why}"
    )
    role = caller.who.role.rsplit("/", 1)[-1]
    if decision.statement is not None:
        return f"{refusal}. The statement that denies it: {decision.statement.text}"
    if not role:
        return f"{refusal}. Its role does not exist any more"
    places = {Why.NOT_IN_BOUNDARY: f"the permissions boundary {caller.boundary_arn}",
              Why.NOT_IN_RESOURCE: f"the policy of {access.resource}"}  # fmt: skip
    return f"{refusal}. To {places.get(decision.why, f'a policy of the role {role}')} add: {missing(access)}"


def missing(access: Access) -> str:
    """The statement that would allow it."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": access.action, "Resource": access.resource}
    return _compact({**statement, "Condition": access.narrow} if access.narrow else statement)


def _compact(statement: Mapping[str, Any]) -> str:
    return json.dumps(statement, separators=(",", ":"))


def circumstances() -> dict[str, Value]:
    """Condition keys that every request has. Loopback counts as secure transport: no one else can listen there."""
    now = time.time()
    return {
        "aws:securetransport": "true",
        "aws:sourceip": "127.0.0.1",
        "aws:epochtime": str(int(now)),
        "aws:currenttime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:viaawsservice": "false",
    }


def _of_service(service: str, account: str, source_arn: str) -> dict[str, Value]:
    """Condition keys of what a service does for a resource of an account."""
    owner: dict[str, Value] = {"aws:sourceowner": account} if service in NAMES_OWNER else {}
    return {
        **circumstances(),
        **owner,
        "aws:sourceaccount": account,
        "aws:sourcearn": source_arn,
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
    }


def _about(caller: principals.Caller) -> dict[str, Value]:
    who = caller.who
    about: dict[str, Value] = {
        "aws:principalarn": who.role or who.arn,
        "aws:principalaccount": who.account,
        "aws:principaltype": "AssumedRole",
        "aws:principalisawsservice": "false",
        "aws:resourceaccount": who.account,
        "s3:resourceaccount": who.account,
    }
    for name, value in caller.tags.items():
        about[f"aws:principaltag/{name.lower()}"] = value
    return about
