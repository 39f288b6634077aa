"""KMS: how long a key waits for its end, which states allow what, and what a key is for.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html and the API reference of each call.
"""

from __future__ import annotations

from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused

WINDOW_DAYS = range(7, 31)
ENDING = "PendingDeletion"
ASYMMETRIC = ("RSA_", "ECC_", "HMAC_", "SM2")


def key_is_valid(asked: Call) -> None:
    """What is not symmetric says what it is for."""
    spec = asked.text("KeySpec") or asked.text("CustomerMasterKeySpec")
    if spec.startswith(ASYMMETRIC) and not asked.text("KeyUsage"):
        raise Refused("ValidationException", f"You must specify a KeyUsage value for a key of KeySpec {spec}.")


def deletion_is_valid(asked: Call) -> None:
    """Between 7 and 30 days, once."""
    days = asked.arguments.get("PendingWindowInDays")
    if days is not None and days not in WINDOW_DAYS:
        message = f"PendingWindowInDays must be between {WINDOW_DAYS[0]} and {WINDOW_DAYS[-1]}, was {days}."
        raise Refused("ValidationException", message)
    key = _key(asked)
    if key is not None and key.key_state == ENDING:
        raise Refused("KMSInvalidStateException", f"{key.arn} is pending deletion.")


def cancelling_is_valid(asked: Call) -> None:
    """What is not about to go cannot be kept from it."""
    key = _key(asked)
    if key is not None and key.key_state != ENDING:
        raise Refused("KMSInvalidStateException", f"{key.arn} is not pending deletion.")


def key_signs(asked: Call) -> None:
    """Of Sign and Verify."""
    key = _key(asked)
    if key is not None and key.key_usage != "SIGN_VERIFY":
        raise Refused(
            "InvalidKeyUsageException", f"{key.arn} key usage is {key.key_usage} which is not valid for Sign."
        )


def _key(asked: Call) -> Any:
    backend = backends.kms(asked.account, asked.region)
    name = asked.text("KeyId").rsplit("/", 1)[-1]
    return backend.keys.get(name)
