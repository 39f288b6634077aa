"""Parameters of Systems Manager, and values of secrets.

Sources: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html,
https://docs.aws.amazon.com/secretsmanager/latest/apireference/ (CreateSecret, RotateSecret).
"""

from __future__ import annotations

from localcloud import backends
from localcloud.request import Call, Refused

STANDARD_BYTES, ADVANCED_BYTES = 4096, 8192
MOST_LEVELS = 15


def parameter_is_valid(asked: Call) -> None:
    """A path begins with a slash; a value fits its tier."""
    name, value, tier = asked.text("Name"), asked.text("Value"), asked.text("Tier") or "Standard"
    if "/" in name and not name.startswith("/"):
        message = "Parameter name must be a fully qualified name: it must begin with a slash where it has one"
        raise Refused("ValidationException", message)
    if name.strip("/").count("/") + 1 > MOST_LEVELS:
        message = f"A hierarchy can have a maximum of {MOST_LEVELS} levels"
        raise Refused("HierarchyLevelLimitExceededException", message)
    most = STANDARD_BYTES if tier == "Standard" else ADVANCED_BYTES
    if len(value.encode()) > most:
        message = f"{tier} tier parameters support a maximum parameter value of {most} characters."
        raise Refused("ValidationException", message)


def secret_has_one_value(asked: Call) -> None:
    """Text or bytes."""
    arguments = asked.arguments
    if arguments.get("SecretString") is not None and arguments.get("SecretBinary") is not None:
        message = "You can't specify both a binary secret value and a string secret value in the same secret."
        raise Refused("InvalidParameterException", message)


def rotation_has_a_function(asked: Call) -> None:
    """The first rotation of a secret names its function."""
    secret = backends.secretsmanager(asked.account, asked.region).secrets.get(asked.text("SecretId"))
    known = getattr(secret, "rotation_lambda_arn", "") if secret is not None else ""
    managed = (asked.arguments.get("RotationRules") or {}).get("ManagedRotation")
    if secret is not None and not known and not managed and not asked.text("RotationLambdaARN"):
        message = "No Lambda rotation function ARN is associated with this secret."
        raise Refused("InvalidRequestException", message)
