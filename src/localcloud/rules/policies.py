"""Policies as they come in: their grammar, their sizes, and what a public access block forbids."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused
from localcloud.rules.documents import Kind, problem, size

DOCUMENTS: Mapping[tuple[str, str], tuple[str, Kind, str]] = {
    ("iam", "CreatePolicy"): ("PolicyDocument", Kind.IDENTITY, "MalformedPolicyDocument"),
    ("iam", "CreatePolicyVersion"): ("PolicyDocument", Kind.IDENTITY, "MalformedPolicyDocument"),
    ("iam", "PutRolePolicy"): ("PolicyDocument", Kind.IDENTITY, "MalformedPolicyDocument"),
    ("iam", "PutUserPolicy"): ("PolicyDocument", Kind.IDENTITY, "MalformedPolicyDocument"),
    ("iam", "PutGroupPolicy"): ("PolicyDocument", Kind.IDENTITY, "MalformedPolicyDocument"),
    ("iam", "CreateRole"): ("AssumeRolePolicyDocument", Kind.TRUST, "MalformedPolicyDocument"),
    ("iam", "UpdateAssumeRolePolicy"): ("PolicyDocument", Kind.TRUST, "MalformedPolicyDocument"),
    ("s3", "PutBucketPolicy"): ("Policy", Kind.RESOURCE, "MalformedPolicy"),
    ("kms", "CreateKey"): ("Policy", Kind.RESOURCE, "MalformedPolicyDocumentException"),
    ("kms", "PutKeyPolicy"): ("Policy", Kind.RESOURCE, "MalformedPolicyDocumentException"),
    ("secretsmanager", "PutResourcePolicy"): ("ResourcePolicy", Kind.RESOURCE, "MalformedPolicyDocumentException"),
    ("ecr", "SetRepositoryPolicy"): ("policyText", Kind.RESOURCE, "InvalidParameterException"),
    ("ec2", "CreateVpcEndpoint"): ("PolicyDocument", Kind.RESOURCE, "InvalidPolicyDocument"),
    ("ec2", "ModifyVpcEndpoint"): ("PolicyDocument", Kind.RESOURCE, "InvalidPolicyDocument"),
}
"""Operation → the argument that holds a document, what it is attached to, the code of its refusal."""

ATTRIBUTES: Mapping[tuple[str, str], str] = {
    ("sqs", "CreateQueue"): "InvalidAttributeValue",
    ("sqs", "SetQueueAttributes"): "InvalidAttributeValue",
    ("sns", "CreateTopic"): "InvalidParameter",
    ("sns", "SetTopicAttributes"): "InvalidParameter",
}
"""Operations whose document is an attribute named Policy → the code of its refusal."""

MANAGED_LIMIT, ROLE_LIMIT, USER_LIMIT, GROUP_LIMIT, TRUST_LIMIT, BUCKET_LIMIT = 6144, 10_240, 2048, 5120, 2048, 20_480
MANAGED_PER_ROLE = 10
"""Characters without white space. Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


def document_is_valid(asked: Call) -> None:
    """A document must be one that the service understands."""
    argument, kind, code = DOCUMENTS[asked.model, asked.operation]
    text = asked.text(argument)
    _judge(text, kind, code)
    if asked.model == "s3" and text:
        _about_its_bucket(asked.text("Bucket"), text)


def attribute_is_valid(asked: Call) -> None:
    """The same, where it is one of a queue's or topic's attributes."""
    attributes = asked.arguments.get("Attributes") or {}
    text = (
        attributes.get("Policy")
        if asked.arguments.get("AttributeName") is None
        else (asked.text("AttributeValue") if asked.text("AttributeName") == "Policy" else "")
    )
    _judge(str(text or ""), Kind.RESOURCE, ATTRIBUTES[asked.model, asked.operation])


def _judge(text: str, kind: Kind, code: str) -> None:
    wrong = problem(text, kind) if text else None
    if wrong:
        raise Refused(code, wrong)


def _about_its_bucket(bucket: str, text: str) -> None:
    """A bucket's policy speaks of S3, of that bucket, and of nothing else."""
    for statement in _statements(json.loads(text)):
        for action in _texts(statement.get("Action", statement.get("NotAction"))):
            if action != "*" and not action.startswith("s3:"):
                raise Refused("MalformedPolicy", "Policy has invalid action")
        resources = statement.get("Resource", statement.get("NotResource"))
        if resources is None:
            raise Refused("MalformedPolicy", "Missing required field Resource")
        for resource in _texts(resources):
            name = resource.rpartition(":::")[2].partition("/")[0]
            if resource != "*" and "*" not in name and name != bucket:
                raise Refused("MalformedPolicy", "Policy has invalid resource")


def document_fits(asked: Call) -> None:
    """Managed policies, trust policies and bucket policies have a size of their own."""
    text = asked.text("PolicyDocument") or asked.text("AssumeRolePolicyDocument") or asked.text("Policy")
    match asked.operation:
        case "CreatePolicy" | "CreatePolicyVersion" if size(text) > MANAGED_LIMIT:
            raise Refused("LimitExceeded", f"Cannot exceed quota for PolicySize: {MANAGED_LIMIT}", 409)
        case "CreateRole" | "UpdateAssumeRolePolicy" if size(text) > TRUST_LIMIT:
            raise Refused("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {TRUST_LIMIT}", 409)
        case "PutBucketPolicy" if len(text.encode()) > BUCKET_LIMIT:
            raise Refused("PolicyTooLarge", f"The policy is larger than {BUCKET_LIMIT} bytes.")


def inline_policies_fit(asked: Call) -> None:
    """All inline policies of a role, user or group have one size together."""
    backend = backends.iam(asked.account)
    kind, limit = {
        "PutRolePolicy": ("Role", ROLE_LIMIT), "PutUserPolicy": ("User", USER_LIMIT),
        "PutGroupPolicy": ("Group", GROUP_LIMIT),
    }[asked.operation]  # fmt: skip
    name, policy = asked.text(f"{kind}Name"), asked.text("PolicyName")
    owners = {"Role": backend.roles, "User": backend.users, "Group": backend.groups}[kind]
    owner = next((each for each in owners.values() if each.name == name), None)
    others = {} if owner is None else {key: str(text) for key, text in owner.policies.items() if key != policy}
    if size(asked.text("PolicyDocument")) + sum(map(size, others.values())) > limit:
        message = f"Maximum policy size of {limit} bytes exceeded for {kind.lower()} {name}"
        raise Refused("LimitExceeded", message, 409)


def role_has_room(asked: Call) -> None:
    """Ten managed policies can be attached to a role."""
    roles = backends.iam(asked.account).roles.values()
    role = next((each for each in roles if each.name == asked.text("RoleName")), None)
    arn = asked.text("PolicyArn")
    if role is not None and arn not in role.managed_policies and len(role.managed_policies) >= MANAGED_PER_ROLE:
        message = f"Cannot exceed quota for PoliciesPerRole: {MANAGED_PER_ROLE}"
        raise Refused("LimitExceeded", message, 409)


# --- public access ---------------------------------------------------------------------------------------------------


def policy_is_not_blocked(asked: Call) -> None:
    """A bucket that blocks public policies takes none (new buckets do), nor does any bucket if the account does."""
    name = asked.text("Bucket")
    try:
        document = json.loads(asked.text("Policy") or "{}")
    except ValueError:
        return
    if not is_public(document):
        return
    bucket = backends.s3(asked.account).buckets.get(name)
    account = backends.s3control(asked.account).public_access_block
    for block, whose in ((account, "account-level "), (bucket and bucket.public_access_block, "")):
        if _set(block, "block_public_policy"):
            message = (
                f'User is not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::{name}" because '
                f"public policies are prevented by the BlockPublicPolicy setting in S3 {whose}Block Public Access."
            )
            raise Refused("AccessDenied", message, 403)


def acl_is_not_blocked(asked: Call) -> None:
    """A public access control list, likewise; where the owner of the bucket owns everything there are no lists."""
    acl = asked.text("ACL")
    bucket = backends.s3(asked.account).buckets.get(asked.text("Bucket"))
    if bucket is None or not acl.startswith(("public-", "authenticated-")):
        return
    account = backends.s3control(asked.account).public_access_block
    if _set(account, "block_public_acls") or _set(bucket.public_access_block, "block_public_acls"):
        message = (
            f'User is not authorized to perform: s3:PutBucketAcl on resource: "arn:aws:s3:::{bucket.name}" because '
            "public access control lists (ACLs) are blocked by the BlockPublicAcls block public access setting."
        )
        raise Refused("AccessDenied", message, 403)


def _set(block: Any, name: str) -> bool:
    return block is not None and str(getattr(block, name, False)).lower() == "true"


NARROWING = frozenset(
    name.lower() for name in (
        "aws:SourceArn", "aws:SourceAccount", "aws:SourceOwner", "aws:SourceOrgID", "aws:SourceOrgPaths",
        "aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn", "aws:SourceIp", "aws:VpcSourceIp", "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:userid", "s3:DataAccessPointArn",
        "s3:DataAccessPointAccount", "s3:x-amz-server-side-encryption-aws-kms-key-id",
    )
)  # fmt: skip
"""Condition keys that make a statement for everybody one for some, if their values are fixed.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"""
EQUALS = re.compile(r"(ForAnyValue:)?(StringEquals(IgnoreCase)?|StringLike|ArnEquals|ArnLike|IpAddress)", re.IGNORECASE)
WIDEST = {4: 8, 6: 32}  # the shortest prefix of addresses that AWS does not call public


def is_public(policy: Any) -> bool:
    """Whether a policy lets anyone in: an Allow for everybody that no condition on fixed values narrows."""
    for statement in _statements(policy):
        principal = statement.get("Principal")
        named = _texts(principal.get("AWS")) if isinstance(principal, dict) and "AWS" in principal else []
        everybody = principal == "*" or "*" in named or "NotPrincipal" in statement
        if statement.get("Effect") == "Allow" and everybody and not _narrowed(statement.get("Condition") or {}):
            return True
    return False


def _narrowed(conditions: Mapping[str, Any]) -> bool:
    return any(
        key.lower() in NARROWING and all(_fixed(key.lower(), str(value)) for value in _texts(values))
        for operator, keys in conditions.items() if EQUALS.fullmatch(operator)
        for key, values in keys.items()
    )  # fmt: skip


def _fixed(key: str, value: str) -> bool:
    if key.endswith("sourceip"):
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return False
        return network.prefixlen >= WIDEST[network.version]
    if key.endswith("arn"):  # the account of an ARN must be fixed, its end may be open
        return "*" not in value.split(":")[4] if value.count(":") >= 5 else "*" not in value
    return "*" not in value and "?" not in value and "${" not in value


def _statements(policy: Any) -> list[dict[str, Any]]:
    statements = policy.get("Statement", []) if isinstance(policy, dict) else []
    return [each for each in (statements if isinstance(statements, list) else [statements]) if isinstance(each, dict)]


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    many: Iterable[Any] = value if isinstance(value, list) else [value]
    return [str(each) for each in many]
