"""IAM and STS: names and tags of roles, what stands in the way of an end, and who may assume a role at all.

Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/ (CreateRole, DeleteUser, CreateOpenIDConnectProvider),
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (names differ by more than case).
"""

from __future__ import annotations

import json

from localcloud import backends
from localcloud.request import Call, Refused

NAMED = {
    "CreateRole": ("RoleName", "roles"),
    "CreateUser": ("UserName", "users"),
    "CreateGroup": ("GroupName", "groups"),
}


def name_is_new(asked: Call) -> None:
    """Names are told apart without regard to case."""
    parameter, kind = NAMED[asked.operation]
    name = asked.text(parameter)
    for other in getattr(backends.iam(asked.account), kind).values():
        if other.name != name and other.name.lower() == name.lower():
            raise Refused("EntityAlreadyExists", f"{kind[:-1].capitalize()} with name {name} already exists.", 409)


def tags_are_valid(asked: Call) -> None:
    """Keys that begin with aws: are AWS's own; each key once."""
    tags = asked.arguments.get("Tags") or []
    keys = [str(tag.get("Key")).lower() for tag in tags]
    for key in keys:
        if key.startswith("aws:"):
            message = "Reserved prefix 'aws:' is not allowed"
            raise Refused("InvalidInput", f"Invalid tag key: {message}.")
    if len(set(keys)) < len(keys):
        raise Refused("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")


def user_is_empty(asked: Call) -> None:
    """A user goes after its access keys, policies and groups."""
    user = backends.iam(asked.account).users.get(asked.text("UserName"))
    if user is None:
        return
    left = {
        "delete access keys first.": user.access_keys,
        "must delete policies first.": user.policies,
        "must detach all policies first.": user.managed_policies,
    }
    for words, things in left.items():
        if things:
            raise Refused("DeleteConflict", f"Cannot delete entity, {words}", 409)


def provider_is_secure(asked: Call) -> None:
    """An identity provider is asked by HTTPS."""
    url = asked.text("Url")
    if url and not url.startswith("https://"):
        raise Refused("ValidationError", "Invalid Open ID Connect Provider URL: it must begin with https://")


def session_policy_is_one(asked: Call) -> None:
    """Of AssumeRole. Who may take on a role is judged by `localcloud/iam`: a person may try any of them on here."""
    policy = asked.text("Policy")
    if policy and not _is_policy(policy):
        raise Refused("MalformedPolicyDocument", "The session policy document is not valid.")


def _is_policy(text: str) -> bool:
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    listed = statements if isinstance(statements, list) else [statements]
    return all(isinstance(one, dict) and one.get("Effect") in ("Allow", "Deny") for one in listed)
